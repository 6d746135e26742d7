"""What every answer carries, so that a browser does with it nothing but show it.

The policy allows no script and no style within a page: those are files of ours (CSP level 3). What a handler
has set itself stays, but for the date.
"""

from __future__ import annotations

from email.utils import format_datetime

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alertd.web.server.context import Site

POLICY = (
    "default-src 'none'; object-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}

ONE_YEAR_S = 365 * 24 * 3600
TRANSPORT = f"max-age={ONE_YEAR_S}"


class Headers:
    """Adds them; the outermost layer, so that refusals and failures have them too."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._site.web.is_https:
                    headers["strict-transport-security"] = TRANSPORT
                # RFC 9110, section 6.6.1: whoever has a clock says so.
                headers["date"] = format_datetime(self._site.clock.now(), usegmt=True)
            await send(message)

        await self._app(scope, receive, sent)
