"""The ASGI middleware that every request passes: security headers, host names, failures, and who asks."""

from __future__ import annotations

from email.utils import format_datetime
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alertd.core.access import Web
from alertd.system.telemetry import Event
from alertd.web.server.access import Principal, RequestRefused
from alertd.web.server.authenticate import Authenticator
from alertd.web.server.context import Site
from alertd.web.server.errors import answer, refused
from alertd.web.server.origin import origin_of
from alertd.web.server.session import LASTS_S, Jar, Session

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


class SecurityHeadersMiddleware:
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


class TrustedHostMiddleware:
    """Refuses a request for another host: 400 when it names none, else 421 (RFC 9110, section 15.5.20)."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = Headers(scope=scope).getlist("host")
            name = host_name(given[0]) if len(given) == 1 else ""
            if not name:
                await _answer(400, "the request names no host, or more than one")(scope, receive, send)
                return
            if name not in self._site.web.names and not _is_where_it_came_to(scope, name):
                reason = "this server does not answer to that name; see web.hosts in alertd.yaml"
                await _answer(421, reason)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_where_it_came_to(scope: Scope, name: str) -> bool:
    """Whether it is the very address that the request came to: a probe has no name for it, and a browser that
    asks for it was led here by no name of somebody else's."""
    server = scope.get("server")
    return server is not None and _address(server[0].partition("%")[0]) == name


def host_name(host: str) -> str:
    """The name of a Host header, in lower case, without port, brackets and the root's dot; "" for none."""
    text = host.strip().lower()
    if text.startswith("["):
        inside, bracket, port = text[1:].partition("]")
        return _address(inside) if bracket and (not port or _is_port(port)) else ""
    name, colon, port = text.partition(":")
    if colon and not _is_port(f":{port}"):
        return ""
    return name.removesuffix(".")


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isdecimal() and text.isascii() and len(text) <= 6


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _answer(status: int, reason: str) -> PlainTextResponse:
    return PlainTextResponse(f"{reason}\n", status)


SECRET_PATHS = ("/act/", "/feeds/")
"""Whoever has an address below these can do something by it, or read what others may not."""


def without_tokens(path: str) -> str:
    """A path as it may be written down."""
    return next((f"{one}..." for one in SECRET_PATHS if path.startswith(one)), path)


class FailuresMiddleware:
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


class AuthenticationMiddleware:
    """Puts ``visitor``, ``jar`` and ``doorkeeper`` into ``request.state``."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._doorkeeper = Authenticator(site)

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
        except RequestRefused as refusal:
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


def _stranger(session: Session, address: str, web: Web) -> Principal:
    return Principal(name="", scope=web.access.anonymous, how="nothing", session=session, address=address)
