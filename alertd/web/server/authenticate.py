"""Authenticates a request: by a token, a password, the header of a trusted proxy, or the session of a login.

A wrong token or password is refused even where no login is needed, because the client expects to be known.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from base64 import b64decode
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network

from starlette.requests import HTTPConnection

from alertd.core.access import Auth, Web
from alertd.system.telemetry import Event
from alertd.web.server.access import Principal, RequestRefused
from alertd.web.server.context import Site
from alertd.web.server.credentials import MOST_PASSWORD, PREFIX, UNKNOWN_USER, Credential, CredentialFiles
from alertd.web.server.origin import find_origin, find_peer, is_among, parse_address
from alertd.web.server.session import Jar, Session, begin, read

BURST = 10
"""How many failures in a row are allowed."""

EVERY_S = 30.0
"""After the burst, one more failure is allowed in each such interval, in seconds."""

MAX_PLACES = 4096
"""How many networks are remembered. The one whose last failure is oldest is forgotten first."""

_NAT64 = ip_network("64:ff9b::/96")
"""A translator in front of the server gives each IPv4 client an address here (RFC 6052, RFC 7755)."""


class Limiter:
    """A token bucket of failures for each network, in memory. Times are in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_s(self, address: str, now_s: float) -> float:
        """Return how many seconds a client must wait before it may try again; 0 for no wait."""
        owed_s = self._full_at.get(find_network(address), now_s) - now_s
        return max(0.0, owed_s - (BURST - 1) * EVERY_S)

    def reserve_try(self, address: str, now_s: float) -> float:
        """Count a try as a failure before its result is known. :meth:`give_back` undoes that.

        Returns:
            0 if the try is counted; otherwise how many seconds the client must wait before it may try again.
        """
        wait_s = self.wait_s(address, now_s)
        if wait_s:
            return wait_s
        place = find_network(address)
        # The stored time is when the bucket is full again. Each failure moves it one interval on.
        self._full_at[place] = max(self._full_at.get(place, now_s), now_s) + EVERY_S
        self._full_at.move_to_end(place)
        while len(self._full_at) > MAX_PLACES:
            self._full_at.popitem(last=False)
        return 0.0

    def give_back(self, address: str, now_s: float) -> None:
        """Give back a reserved try, because it succeeded."""
        place = find_network(address)
        full_at = self._full_at.get(place, now_s) - EVERY_S
        if full_at > now_s:
            self._full_at[place] = full_at
        else:
            self._full_at.pop(place, None)


def find_network(address: str) -> str:
    """Return the network of an address: the IPv4 address, or the /64 that one IPv6 customer has.

    Text that is not an address is returned as it is, so that different texts do not share a limit.
    """
    found = parse_address(address)
    if found is None:
        return address
    if found in _NAT64:
        return str(IPv4Address(int(found) & 0xFFFF_FFFF))
    return str(found) if found.version == 4 else str(ip_network((int(found) >> 64 << 64, 64)))


MAX_HEADER = 1024
"""The longest credentials in an Authorization header, in characters."""

MAX_VERIFIED = 256
"""How many verified passwords are cached, so that scrypt does not run for each request.

The cache holds an HMAC of each password, under a key that only this process has.
"""

MAX_LOGGED = 256
"""For how many addresses the time of the last log entry is remembered."""

MAX_ENDED = 4096
"""How many ended sessions this process remembers."""

AT_ONCE = 2
"""How many passwords are checked at the same time, each in a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCredential:
    """The credentials in a request: a token, or a name and a password."""

    name: str = ""
    secret: str


class Authenticator:
    """The authenticator of a site: finds the principal of each request."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._files = CredentialFiles(site.find, site.log, site.kept)
        self._limiter = Limiter()
        self._logged_s: OrderedDict[str, float] = OrderedDict()
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._hashing = asyncio.Semaphore(AT_ONCE)

    async def find_principal(self, request: HTTPConnection, jar: Jar) -> Principal:
        """Authenticate a request and return its principal.

        Args:
            jar: receives the renewed session, if the browser has to be sent a new cookie.

        Raises:
            Refusal: the credentials are wrong (401) or malformed (400), or the client must wait (429).
        """
        web, auth = self._site.web, self._site.web.access
        session = jar.session or self._begin()
        address = find_origin(request, web.proxies)
        shown = _read_authorization(request)
        if shown is not None and (auth.tokens_file or auth.users_file):
            credential = await self.check(shown, address, "header")
            how = "token" if credential.is_token else "password"
            return Principal(
                name=credential.name, scope=credential.scope, how=how, session=session, address=address
            )
        name = _read_proxy_user(request, web, auth)
        if name:
            return Principal(name=name, scope=auth.proxy_scope, how="proxy", session=session, address=address)
        if session.name:
            await self._files.catch_up(auth)
        known = self._find_session_credential(session, auth)
        if known is not None:
            renewed = session.renew(int(self._site.clock.now().timestamp()))
            if renewed is not None:
                jar.keep(renewed)
            return Principal(
                name=known.name, scope=known.scope, how="session", session=session, address=address
            )
        return Principal(name="", scope=auth.anonymous, how="nothing", session=session, address=address)

    def session(self, cookie: str) -> Session:
        """Return the session of a cookie; a new session if the cookie is invalid, expired or ended."""
        now_s = int(self._site.clock.now().timestamp())
        found = read(self._site.signer, cookie, now_s) if cookie else None
        return self._begin() if found is None or found.id in self._ended else found

    def end(self, session: Session) -> None:
        """End a session, so that its cookie is no longer valid on this node. Other nodes are not told."""
        self._ended[session.id] = None
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    def begin(self, credential: Credential) -> Session:
        """Begin the session of a person who has just logged in, unrelated to the previous session."""
        return begin(
            self._site.signer, int(self._site.clock.now().timestamp()), credential.name, credential.proof
        )

    async def check(self, shown: PresentedCredential, address: str, how: str) -> Credential:
        """Find the credential that somebody has shown.

        Args:
            address: the IP address of the client.
            how: where the credential was: ``header``, ``address`` or ``form``, for the log.

        Raises:
            Refusal: the credential is unknown (401), or too many have failed from that address (429).
        """
        auth, now_s = self._site.web.access, self._site.clock.monotonic()
        wait_s = self._limiter.wait_s(address, now_s)
        await self._files.catch_up(auth)
        is_token = not shown.name
        # A token cannot be guessed, so the rate limit does not apply to programs that share an address.
        if wait_s and not (is_token and how != "form"):
            raise _make_too_many(wait_s)
        if is_token:
            credential = self._find_token(shown, auth)
            if credential is None:
                self._limiter.reserve_try(address, now_s)
        else:
            credential = await self._verify_user(shown, address, auth)
        if credential is not None:
            return credential
        self._log_failure(address, how, now_s)
        if wait_s:
            raise _make_too_many(wait_s)
        raise RequestRefused(401, "that is no token and no password that is known here")

    def _begin(self) -> Session:
        return begin(self._site.signer, int(self._site.clock.now().timestamp()))

    def _find_token(self, shown: PresentedCredential, auth: Auth) -> Credential | None:
        found = None
        # Compare all tokens even after a match, so that the time tells nothing about their order.
        for credential in self._files.read_tokens(auth).values():
            if credential.is_shown_by(shown.secret):
                found = credential
        return found

    async def _verify_user(self, shown: PresentedCredential, address: str, auth: Auth) -> Credential | None:
        """Return the user whose name and password somebody has shown. A failure is counted.

        Raises:
            RequestRefused: too many have failed from that address while this check waited for its turn (429).
        """
        user = self._files.read_users(auth).get(shown.name)
        if len(shown.secret) > MOST_PASSWORD:
            self._limiter.reserve_try(address, self._site.clock.monotonic())
            return None
        mark = hmac.digest(self._key, f"{user.line if user else ''}\n{shown.secret}".encode(), hashlib.sha256)
        if user is not None and mark in self._verified:
            self._verified.move_to_end(mark)
            return user
        async with self._hashing:
            # Reserve the try before the check, so that all guesses sent at the same time count. Reserve it
            # after the wait for a turn, so that right passwords at the same time do not use up the limit.
            wait_s = self._limiter.reserve_try(address, self._site.clock.monotonic())
            if wait_s:
                raise _make_too_many(wait_s)
            # Another request may have verified the same password meanwhile.
            is_right = mark in self._verified or await asyncio.to_thread(
                (user or UNKNOWN_USER).is_shown_by, shown.secret
            )
            if user is None or not is_right:
                return None
            self._limiter.give_back(address, self._site.clock.monotonic())
        self._verified[mark] = None
        while len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)
        return user

    def _find_session_credential(self, session: Session, auth: Auth) -> Credential | None:
        if not session.name:
            return None
        for credentials in (self._files.read_tokens(auth), self._files.read_users(auth)):
            credential = credentials.get(session.name)
            if credential is not None and hmac.compare_digest(credential.proof, session.proof):
                return credential
        return None

    def _log_failure(self, address: str, how: str, now_s: float) -> None:
        """Log a failed login, but at most once a minute for each address, so that the log stays small."""
        if now_s - self._logged_s.get(address, -EVERY_S * 2) < EVERY_S * 2:
            return
        self._site.log.warning(Event.LOGIN_REFUSED, how=how, address=address)
        self._logged_s[address] = now_s
        self._logged_s.move_to_end(address)
        while len(self._logged_s) > MAX_LOGGED:
            self._logged_s.popitem(last=False)


def _read_authorization(request: HTTPConnection) -> PresentedCredential | None:
    """Read the credentials in the Authorization header (RFC 6750, RFC 7617); None without the header.

    Raises:
        RequestRefused: the header is malformed (400).
    """
    headers = request.headers.getlist("authorization")
    if not headers:
        return None
    scheme, _, rest = headers[0].partition(" ")
    rest = rest.strip()
    if len(headers) > 1 or len(rest) > MAX_HEADER:
        raise RequestRefused(400, "more than one Authorization header, or too long a one")
    if scheme.lower() == "bearer":
        return PresentedCredential(secret=rest)
    if scheme.lower() == "basic":
        try:
            name, colon, password = b64decode(rest, validate=True).decode().partition(":")
        except ValueError:  # not ASCII, not base64, or not UTF-8
            raise RequestRefused(400, "the Authorization header cannot be read") from None
        if colon and name:
            return PresentedCredential(name=name, secret=password)
        # Some programs know only Basic, and send a token as the password with an empty name.
        return (
            PresentedCredential(secret=password)
            if colon and password.startswith(PREFIX)
            else PresentedCredential(name="?", secret="")
        )
    raise RequestRefused(400, "the Authorization header is neither Bearer nor Basic")


def _read_proxy_user(request: HTTPConnection, web: Web, auth: Auth) -> str:
    """Read the name of the person whom the trusted proxy has authenticated; "" if there is none.

    Raises:
        RequestRefused: the header occurs more than once (400).
    """
    if not auth.proxy_header or not is_among(find_peer(request), web.proxies):
        return ""
    told = request.headers.getlist(auth.proxy_header)
    if len(told) > 1:
        raise RequestRefused(400, f"more than one {auth.proxy_header} header")
    name = told[0].strip() if told else ""
    return name if name.isprintable() and len(name) <= 100 else ""


def _make_too_many(wait_s: float) -> RequestRefused:
    return RequestRefused(429, "too many failures; try again later", {"retry-after": str(int(wait_s) + 1)})
