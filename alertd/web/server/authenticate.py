"""Finds out who asks: by a token, a password, what a trusted proxy says, or the session that a login began.

What is shown and wrong is refused, also where nothing need be shown: whoever shows it means something by it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from base64 import b64decode
from binascii import Error as NotBase64
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from starlette.requests import HTTPConnection

from alertd.core.access import Auth, Web
from alertd.system.telemetry import Event
from alertd.web.server.access import Principal, RequestRefused
from alertd.web.server.context import Site
from alertd.web.server.credentials import MOST_PASSWORD, NOBODY, PREFIX, Credential, CredentialFiles
from alertd.web.server.origin import is_among, origin_of, peer_of
from alertd.web.server.session import Jar, Session, begin, read

BURST = 10
"""Failures in a row that are borne."""

EVERY_S = 30.0
"""After that, one in so many seconds."""

MAX_PLACES = 4096
"""Places that are remembered; whoever was seen longest ago is forgotten first."""


class Limiter:
    """A bucket of failures for each place, in memory; times are of a monotonic clock."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_s(self, address: str, now_s: float) -> float:
        """How long until another try is heard; 0 for at once."""
        owed_s = self._full_at.get(place_of(address), now_s) - now_s
        return max(0.0, owed_s - (BURST - 1) * EVERY_S)

    def failed(self, address: str, now_s: float) -> None:
        """There was another failure."""
        place = place_of(address)
        # At the time that is kept all failures are forgiven; each moves it on.
        self._full_at[place] = max(self._full_at.get(place, now_s), now_s) + EVERY_S
        self._full_at.move_to_end(place)
        while len(self._full_at) > MAX_PLACES:
            self._full_at.popitem(last=False)


def place_of(address: str) -> str:
    """Where an address is: of IPv6 the network of 64 bits, all of which one customer has."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    return str(found) if found.version == 4 else str(ip_network((int(found) >> 64 << 64, 64)))


MAX_HEADER = 1024
MAX_REMEMBERED = 256
"""Passwords that were right and need not be worked out again; as digests under a key of this process."""

MAX_ENDED = 4096
"""Sessions that were ended and are remembered as such."""

AT_ONCE = 2
"""Passwords that are worked out at a time, each in a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCredential:
    """What somebody shows: a token, or a name and a password."""

    name: str = ""
    secret: str


class Authenticator:
    """Looks at what a request shows. One for a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._files = CredentialFiles(site.find, site.log)
        self._limiter = Limiter()
        self._said_s: OrderedDict[str, float] = OrderedDict()
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._working = asyncio.Semaphore(AT_ONCE)

    async def visitor(self, request: HTTPConnection, jar: Jar) -> Principal:
        """Who asks.

        Raises:
            Refusal: what is shown is wrong (401), or was too often (429).
        """
        web, auth = self._site.web, self._site.web.access
        session = jar.session or self._begin()
        address = origin_of(request, web.proxies)
        shown = _shown(request)
        if shown is not None and (auth.tokens_file or auth.users_file):
            one = await self.check(shown, address, "header")
            how = "token" if one.is_token else "password"
            return Principal(name=one.name, scope=one.scope, how=how, session=session, address=address)
        name = _told_by_proxy(request, web, auth)
        if name:
            return Principal(name=name, scope=auth.proxy_scope, how="proxy", session=session, address=address)
        known = self._of_session(session, auth)
        if known is not None:
            used = session.used(int(self._site.clock.now().timestamp()))
            if used is not None:
                jar.keep(used)
            return Principal(
                name=known.name, scope=known.scope, how="session", session=session, address=address
            )
        return Principal(name="", scope=auth.anonymous, how="nothing", session=session, address=address)

    def session(self, cookie: str) -> Session:
        """The session of a cookie; a new one when that is none, or is over."""
        now_s = int(self._site.clock.now().timestamp())
        found = read(self._site.keys, cookie, now_s) if cookie else None
        return self._begin() if found is None or found.id in self._ended else found

    def end(self, session: Session) -> None:
        """This one is over, whoever still has its cookie; other nodes do not hear of it."""
        self._ended[session.id] = None
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    def begin(self, one: Credential) -> Session:
        """The session of somebody who has just shown who they are; it has nothing of the one before."""
        return begin(self._site.keys, int(self._site.clock.now().timestamp()), one.name, one.proof)

    async def check(self, shown: PresentedCredential, address: str, how: str) -> Credential:
        """Whose it is.

        Args:
            how: ``header``, ``address`` or ``form``, for the log.

        Raises:
            Refusal: nobody's (401), or there were too many of that kind from that address (429).
        """
        auth, now_s = self._site.web.access, self._site.clock.monotonic()
        wait_s = self._limiter.wait_s(address, now_s)
        is_token = not shown.name
        # A token that a program shows is not guessed: who has one need not suffer for a neighbour.
        if wait_s and not (is_token and how != "form"):
            raise _too_many(wait_s)
        one = self._token(shown, auth) if is_token else await self._user(shown, auth)
        if one is not None:
            return one
        self._limiter.failed(address, now_s)
        self._say(address, how, now_s)
        if wait_s:
            raise _too_many(wait_s)
        raise RequestRefused(401, "that is no token and no password that is known here")

    def _begin(self) -> Session:
        return begin(self._site.keys, int(self._site.clock.now().timestamp()))

    def _token(self, shown: PresentedCredential, auth: Auth) -> Credential | None:
        found = None
        # All of them, however soon one fits.
        for one in self._files.tokens(auth).values():
            if one.is_shown_by(shown.secret):
                found = one
        return found

    async def _user(self, shown: PresentedCredential, auth: Auth) -> Credential | None:
        one = self._files.users(auth).get(shown.name)
        if len(shown.secret) > MOST_PASSWORD:
            return None
        mark = hmac.digest(self._key, f"{one.line if one else ''}\n{shown.secret}".encode(), hashlib.sha256)
        if one is not None and mark in self._remembered:
            self._remembered.move_to_end(mark)
            return one
        async with self._working:
            is_right = await asyncio.to_thread((one or NOBODY).is_shown_by, shown.secret)
        if one is None or not is_right:
            return None
        self._remembered[mark] = None
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return one

    def _of_session(self, session: Session, auth: Auth) -> Credential | None:
        if not session.name:
            return None
        for known in (self._files.tokens(auth), self._files.users(auth)):
            one = known.get(session.name)
            if one is not None and hmac.compare_digest(one.proof, session.proof):
                return one
        return None

    def _say(self, address: str, how: str, now_s: float) -> None:
        """Log it, once in a while for an address: whoever guesses must not fill a disk."""
        if now_s - self._said_s.get(address, -EVERY_S * 2) < EVERY_S * 2:
            return
        self._site.log.warning(Event.LOGIN_REFUSED, how=how, address=address)
        self._said_s[address] = now_s
        self._said_s.move_to_end(address)
        while len(self._said_s) > MAX_REMEMBERED:
            self._said_s.popitem(last=False)


def _shown(request: HTTPConnection) -> PresentedCredential | None:
    """What the Authorization header shows (RFC 6750, RFC 7617); None without one. Raises Refusal."""
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
        except (NotBase64, UnicodeDecodeError):
            raise RequestRefused(400, "the Authorization header cannot be read") from None
        if colon and name:
            return PresentedCredential(name=name, secret=password)
        # A token without a name, as some programs send one that know nothing but Basic.
        return (
            PresentedCredential(secret=password)
            if colon and password.startswith(PREFIX)
            else PresentedCredential(name="?", secret="")
        )
    raise RequestRefused(400, "the Authorization header is neither Bearer nor Basic")


def _told_by_proxy(request: HTTPConnection, web: Web, auth: Auth) -> str:
    """Who has logged in at the proxy that is connected; "" when it says nothing, or is none of ours."""
    if not auth.proxy_header or not is_among(peer_of(request), web.proxies):
        return ""
    told = request.headers.getlist(auth.proxy_header)
    if len(told) > 1:
        raise RequestRefused(400, f"more than one {auth.proxy_header} header")
    name = told[0].strip() if told else ""
    return name if name.isprintable() and len(name) <= 100 else ""


def _too_many(wait_s: float) -> RequestRefused:
    return RequestRefused(429, "too many failures; try again later", {"retry-after": str(int(wait_s) + 1)})
