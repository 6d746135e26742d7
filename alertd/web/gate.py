"""Finds out who asks before anything else does, and gives the browser its session."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alertd.core.web import Web
from alertd.web.access import Visitor
from alertd.web.session import LASTS_S, Session, begin, read
from alertd.web.site import Site


class Gate:
    """Puts a Visitor into ``request.state``."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        visitor = self._visitor(request)
        request.state.visitor = visitor

        async def sent(message: Message) -> None:
            session: Session = request.state.session if "session" in request.state else visitor.session
            if message["type"] == "http.response.start" and session.is_new and "keep" in request.state:
                MutableHeaders(scope=message).append("set-cookie", cookie(self._site.web, session))
            await send(message)

        await self._app(scope, receive, sent)

    def _visitor(self, request: HTTPConnection) -> Visitor:
        site = self._site
        now_s = int(site.clock.now().timestamp())
        kept = request.cookies.get(cookie_name(site.web), "")
        session = read(site.keys, kept, now_s) or begin(site.keys, now_s)
        address = request.client.host if request.client else ""
        return Visitor(
            name="", scope=site.web.access.anonymous, how="nothing", session=session, address=address
        )


def cookie_name(web: Web) -> str:
    """``__Host-`` makes a browser take it from this host over TLS alone (RFC 6265bis, section 4.1.3.2)."""
    return "__Host-alertd" if web.is_https else "alertd"


def cookie(web: Web, session: Session) -> str:
    """The Set-Cookie header of a session."""
    secure = "; Secure" if web.is_https else ""
    return f"{cookie_name(web)}={session.cookie}; Path=/; Max-Age={LASTS_S}; HttpOnly; SameSite=Lax{secure}"
