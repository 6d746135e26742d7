"""Finds out who asks before anything else does, and gives the browser its session."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alertd.core.access import Web
from alertd.web.server.access import Visitor
from alertd.web.server.authenticate import Doorkeeper
from alertd.web.server.context import Site
from alertd.web.server.errors import refused
from alertd.web.server.origin import origin_of
from alertd.web.server.refusal import Refusal
from alertd.web.server.session import LASTS_S, Jar, Session


class Gate:
    """Puts ``visitor``, ``jar`` and ``doorkeeper`` into ``request.state``."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._doorkeeper = Doorkeeper(site)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        web, request = self._site.web, Request(scope, receive)
        session = self._doorkeeper.session(request.cookies.get(cookie_name(web), ""))
        jar = request.state.jar = Jar(session)
        request.state.doorkeeper = self._doorkeeper
        # Whoever is refused below is a stranger to the page that says so.
        request.state.visitor = _stranger(session, origin_of(request, web.proxies), web)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and jar.is_kept:
                headers = MutableHeaders(scope=message)
                # What others may keep is not for one browser alone.
                if not headers.get("cache-control", "").startswith("public"):
                    headers.append("set-cookie", cookie(web, jar.session))
            await send(message)

        try:
            request.state.visitor = await self._doorkeeper.visitor(request, jar)
        except Refusal as refusal:
            response = await refused(request, refusal)
            await response(scope, receive, sent)
            return
        await self._app(scope, receive, sent)


def cookie_name(web: Web) -> str:
    """``__Host-`` makes a browser take it from this host over TLS alone (RFC 6265bis, section 4.1.3.2)."""
    return "__Host-alertd" if web.is_https else "alertd"


def cookie(web: Web, session: Session | None) -> str:
    """The Set-Cookie header that has a browser keep a session, or forget it."""
    value, lasts_s = (session.cookie, LASTS_S) if session else ("", 0)
    secure = "; Secure" if web.is_https else ""
    return f"{cookie_name(web)}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Lax{secure}"


def _stranger(session: Session, address: str, web: Web) -> Visitor:
    return Visitor(name="", scope=web.access.anonymous, how="nothing", session=session, address=address)
