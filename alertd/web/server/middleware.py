"""The ASGI middleware that every request passes: security headers, host names, failures, and who asks."""

from __future__ import annotations

from email.utils import format_datetime
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alertd.core.access import Web
from alertd.system.telemetry import Event
from alertd.web.server.access import Principal, RequestRefused
from alertd.web.server.authenticate import Authenticator
from alertd.web.server.context import Site
from alertd.web.server.errors import answer, answer_refusal
from alertd.web.server.limits import REPORTED, Closed
from alertd.web.server.origin import find_origin
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
    """Middleware that adds the headers. It is the outermost, so that errors have the headers too."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._site.web.is_https:
                    headers["strict-transport-security"] = TRANSPORT
                # A server that has a clock must send the date (RFC 9110, section 6.6.1).
                headers["date"] = format_datetime(self._site.clock.now(), usegmt=True)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class TrustedHostMiddleware:
    """Middleware that checks the Host header.

    A request without a valid host gets 400, one with an unknown host gets 421 (RFC 9110, section 15.5.20).
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = Headers(scope=scope).getlist("host")
            name = read_host_name(given[0]) if len(given) == 1 else ""
            if not name:
                await _answer(400, "the request names no host, or more than one")(scope, receive, send)
                return
            if name not in self._site.web.names and not _is_server_address(scope, name):
                reason = "this server does not answer to that name; see web.hosts in alertd.yaml"
                await _answer(421, reason)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_server_address(scope: Scope, name: str) -> bool:
    """Whether the host is the IP address at which the request arrived.

    Health probes use the address because they know no name. DNS rebinding needs a name, so this is safe.
    """
    server = scope.get("server")
    return server is not None and _read_address(server[0].partition("%")[0]) == name


def read_host_name(host: str) -> str:
    """Read the name in a Host header.

    The name is in lower case and without the port, the brackets of IPv6 and the dot of the root domain. It
    is "" if the header is malformed.
    """
    text = host.strip().lower()
    if text.startswith("["):
        inside, bracket, port = text[1:].partition("]")
        return _read_address(inside) if bracket and (not port or _is_port(port)) else ""
    name, colon, port = text.partition(":")
    if colon and not _is_port(f":{port}"):
        return ""
    return name.removesuffix(".")


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isdecimal() and text.isascii() and len(text) <= 6


def _read_address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _answer(status: int, reason: str) -> PlainTextResponse:
    return PlainTextResponse(f"{reason}\n", status)


SECRET_PATHS = ("/act/", "/feeds/")
"""Below these paths, the address itself contains a token, which must not be logged."""


def hide_token(path: str) -> str:
    """Return a path without its token, for the log."""
    return next((f"{prefix}..." for prefix in SECRET_PATHS if path.startswith(prefix)), path)


LOGGED_EVERY_S = 60.0
MAX_LOGGED = 256
"""For how many failures the time of the last log entry is remembered."""

Place = tuple[type[BaseException], str, int]


class FailuresMiddleware:
    """Middleware that answers every exception of the application with status 500.

    A client that disconnects is no failure of the application, and there is nobody to answer. The traceback
    of a failure is logged once a minute. Otherwise a client that finds a bug could fill the log.
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._logged_s: dict[Place, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except ClientDisconnect:
            if REPORTED not in scope:
                self._site.metrics.count_unserved(Closed.DISCONNECTED)
                path = hide_token(scope.get("path", ""))
                self._site.log.debug(Event.REQUEST_ABORTED, why=Closed.DISCONNECTED, path=path)
        except Exception as error:  # a bug in one handler must not stop the server
            self._log_failure(hide_token(scope.get("path", "")), error)
            if has_begun:
                # Close the connection, so that the client notices that the body is incomplete.
                raise
            response = answer(Request(scope, receive), 500, "something went wrong; the log says what", {})
            await response(scope, receive, send)

    def _log_failure(self, path: str, error: Exception) -> None:
        place, now_s = _find_place(error), self._site.clock.monotonic()
        if now_s - self._logged_s.get(place, -LOGGED_EVERY_S) < LOGGED_EVERY_S:
            self._site.log.debug(Event.REQUEST_FAILED, path=path, error=type(error).__name__)
            return
        if len(self._logged_s) >= MAX_LOGGED:
            self._logged_s.clear()
        self._logged_s[place] = now_s
        self._site.log.error(Event.REQUEST_FAILED, path=path, exc_info=error)


def _find_place(error: BaseException) -> Place:
    """Return the type of an error, and the file and the line in which it was raised."""
    frame, file, line = error.__traceback__, "", 0
    while frame is not None:
        file, line, frame = frame.tb_frame.f_code.co_filename, frame.tb_lineno, frame.tb_next
    return type(error), file, line


class AuthenticationMiddleware:
    """Middleware that sets ``principal``, ``jar`` and ``authenticator`` in ``request.state``."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._authenticator = Authenticator(site)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        web, request = self._site.web, Request(scope, receive)
        session = self._authenticator.session(request.cookies.get(name_cookie(web), ""))
        jar = request.state.jar = Jar(session)
        request.state.authenticator = self._authenticator
        # If the credentials are refused below, the error page is shown to an anonymous principal.
        request.state.principal = _make_anonymous(session, find_origin(request, web.proxies), web)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and jar.is_kept:
                headers = MutableHeaders(scope=message)
                # A response that shared caches may store must not contain the cookie of one browser.
                if not headers.get("cache-control", "").startswith("public"):
                    headers.append("set-cookie", cookie(web, jar.session))
            await send(message)

        try:
            request.state.principal = await self._authenticator.find_principal(request, jar)
        except RequestRefused as refusal:
            response = await answer_refusal(request, refusal)
            await response(scope, receive, send_with_cookie)
            return
        await self._app(scope, receive, send_with_cookie)


def name_cookie(web: Web) -> str:
    """Name the cookie. Browsers accept ``__Host-`` only from this host, over TLS (RFC 6265bis, 4.1.3.2)."""
    return "__Host-alertd" if web.is_https else "alertd"


def cookie(web: Web, session: Session | None) -> str:
    """Make the Set-Cookie header that stores a session, or deletes the cookie if ``session`` is None."""
    value, lasts_s = (session.cookie, LASTS_S) if session else ("", 0)
    secure = "; Secure" if web.is_https else ""
    return f"{name_cookie(web)}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Lax{secure}"


def _make_anonymous(session: Session, address: str, web: Web) -> Principal:
    return Principal(name="", scope=web.access.anonymous, how="nothing", session=session, address=address)
