"""Why a request is refused, raised wherever that is seen and answered in one place."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException


class Refusal(HTTPException):
    """An answer with a status and a reason for people, a clause in lower case without its full stop."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason, dict(headers or {}))
