"""What a program asks the API for: its parameters and its JSON, and how each is refused.

What is not known is refused and not overlooked: a filter that was misspelt would answer with everything.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alertd.errors import FieldProblem, RefusedAction
from alertd.notify.render.clean import line
from alertd.web.server.access import JSON, RequestRefused, kind_of
from alertd.web.server.errors import PROBLEM

MAX_TEXT = 200
MOST, USUAL = 200, 50
"""Of what is listed at a time."""

MAX_FIELD = 4_000

Facts = Mapping[str, Any]


def answered(endpoint: Callable[[Request], Awaitable[Facts]]) -> Callable[[Request], Awaitable[Response]]:
    """As JSON what the endpoint returns; a field that cannot be is 422, what does not fit 409 (RFC 9457)."""

    @wraps(endpoint)
    async def answering(request: Request) -> Response:
        try:
            return JSONResponse(await endpoint(request))
        except FieldProblem as problem:
            facts = {
                "type": "about:blank",
                "title": "Unprocessable Content",
                "status": 422,
                "detail": f"{problem.field}: {problem}",
                "errors": [{"field": problem.field, "reason": str(problem)}],
            }
            return JSONResponse(facts, 422, media_type=PROBLEM)
        except RefusedAction as refused:
            raise RequestRefused(409, str(refused)) from None

    return answering


class Params:
    """The parameters of an address.

    Raises:
        FieldProblem: there is one that the endpoint does not know, or one twice that may come once.
    """

    def __init__(self, request: Request, known: Collection[str], several: Collection[str] = ()) -> None:
        self._params = request.query_params
        for name in self._params:
            if name not in known:
                raise FieldProblem(line(name, 40), f"not a parameter; there is {', '.join(known) or 'none'}")
            if name not in several and len(self._params.getlist(name)) > 1:
                raise FieldProblem(name, "given more than once")

    def text(self, name: str) -> str:
        """What it says; "" when it is not there."""
        return _short(name, self._params.get(name, ""))

    def texts(self, name: str, most: int) -> list[str]:
        """All that it says."""
        found = self._params.getlist(name)
        if len(found) > most:
            raise FieldProblem(name, f"given more than {most} times")
        return [_short(name, one) for one in found]

    def choice(self, name: str, words: Collection[str]) -> str:
        """One of the words; "" when it is not there."""
        if name not in self._params:
            return ""
        found = self._params[name]
        if found not in words:
            raise FieldProblem(name, f"{line(found, 40)!r} is none of {', '.join(words)}")
        return found

    def limit(self) -> int:
        """How many are to be listed."""
        text = self._params.get("limit", str(USUAL))
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MOST):
            raise FieldProblem("limit", f"not a whole number from 1 to {MOST}")
        return int(text)


async def body_of(request: Request, known: Collection[str]) -> dict[str, str]:
    """The JSON object that was sent: texts, each on one line; {} when nothing was.

    Raises:
        Refusal: it is not JSON (415), or cannot be read (400).
        FieldProblem: it is no object of texts, or has one that is not known.
    """
    raw = await request.body()
    if not raw:
        return {}
    if kind_of(request) != JSON:
        raise RequestRefused(415, f"this takes {JSON}")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise RequestRefused(400, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise FieldProblem("body", "not an object")
    for name, value in found.items():
        if name not in known:
            raise FieldProblem(line(name, 40), f"not a field; there is {', '.join(known) or 'none'}")
        if not isinstance(value, str):
            raise FieldProblem(name, "not a text")
        if len(value) > MAX_FIELD:
            raise FieldProblem(name, f"longer than {MAX_FIELD:,} characters")
    return {name: line(value, MAX_FIELD) for name, value in found.items()}


def _short(name: str, text: str) -> str:
    if len(text) > MAX_TEXT:
        raise FieldProblem(name, f"longer than {MAX_TEXT} characters")
    return line(text, MAX_TEXT)
