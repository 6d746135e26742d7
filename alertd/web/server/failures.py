"""Answers a bug with 500, and writes it down once: what went wrong is in the log and nowhere else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alertd.system.telemetry import Event
from alertd.web.server.context import Site
from alertd.web.server.errors import answer

SECRET_PATHS = ("/act/", "/feeds/")
"""Whoever has an address below these can do something by it, or read what others may not."""


def without_tokens(path: str) -> str:
    """A path as it may be written down."""
    return next((f"{one}..." for one in SECRET_PATHS if path.startswith(one)), path)


class Failures:
    """Lets no exception out."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def sent(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:  # a bug in one answer must not cost the others theirs
            self._site.log.error(
                Event.REQUEST_FAILED, path=without_tokens(scope.get("path", "")), exc_info=error
            )
            if has_begun:
                # Cut off, so that nobody takes the half for the whole.
                raise
            response = answer(Request(scope, receive), 500, "something went wrong; the log says what", {})
            await response(scope, receive, send)
