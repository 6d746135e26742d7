"""What a browser keeps between two requests: a random id and, once somebody has logged in, their name.

It is signed and not kept here: any node knows the sessions that another has begun, and a restart ends none.
A session is bound to what it was begun with; when that token or password is withdrawn, it has ended too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from alertd.web.server.signing import Signer

LASTS_S = 12 * 3600
"""A session ends so long after it was begun (NIST SP 800-63B-4, 2.2.3: at most 24 hours),"""

IDLE_S = 3600
"""and so long after it was last used (the same: at most an hour)."""

SEEN_EVERY_S = 60
"""How often it is written down that it is used."""

AHEAD_S = 60
"""How far the clock of the node that wrote it may have been ahead."""

MAX_COOKIE = 512
_PURPOSE = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """See the module.

    Attributes:
        id: random, another one after each login.
        begun, seen: seconds since the epoch.
        name: who it is of; "" for nobody yet.
        proof: a digest of what they showed.
        is_new: the browser has not got it yet.
    """

    id: str
    begun: int
    seen: int
    name: str = ""
    proof: str = ""
    is_new: bool = False
    keys: Signer = field(repr=False)

    @property
    def csrf(self) -> str:
        """What each form of this session carries."""
        return self.keys.sign("csrf", self.id)

    def verifies(self, token: str) -> bool:
        """Whether a form with that token is one of this session; a new one has sent none."""
        return not self.is_new and self.keys.verify("csrf", self.id, token)

    def used(self, now_s: int) -> Session | None:
        """The same, used again; None while what the browser has will do."""
        return replace(self, seen=now_s) if self.name and now_s - self.seen >= SEEN_EVERY_S else None

    @property
    def cookie(self) -> str:
        """As the browser keeps it."""
        text = ".".join((self.id, str(self.begun), str(self.seen), self.name, self.proof))
        return f"{text}.{self.keys.sign(_PURPOSE, text)}"


def begin(keys: Signer, now_s: int, name: str = "", proof: str = "") -> Session:
    """A session that nobody has had before."""
    ident = secrets.token_urlsafe(16)
    return Session(id=ident, begun=now_s, seen=now_s, name=name, proof=proof, is_new=True, keys=keys)


def read(keys: Signer, cookie: str, now_s: int) -> Session | None:
    """The session of a cookie; None when it was not made here, or is over."""
    if len(cookie) > MAX_COOKIE:
        return None
    text, _, signature = cookie.rpartition(".")
    parts = text.split(".")
    if len(parts) != 5 or not keys.verify(_PURPOSE, text, signature):
        return None
    ident, name, proof = parts[0], parts[3], parts[4]
    begun, seen = int(parts[1]), int(parts[2])
    is_over = now_s - begun >= LASTS_S or (name and now_s - seen >= IDLE_S) or seen - now_s > AHEAD_S
    if is_over:
        return None
    return Session(id=ident, begun=begun, seen=seen, name=name, proof=proof, keys=keys)


class Jar:
    """What becomes of a browser's session with the answer."""

    def __init__(self, session: Session) -> None:
        self.session: Session | None = session
        self.is_kept = False
        """Whether the answer tells the browser to keep the session, or, without one, to forget it."""

    def keep(self, session: Session) -> None:
        """This one from now on."""
        self.session, self.is_kept = session, True

    def forget(self) -> None:
        """None from now on."""
        self.session, self.is_kept = None, True
