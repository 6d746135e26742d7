"""What a browser keeps between two requests: a random id and, once somebody has logged in, their name.

It is signed and not kept here: any node knows the sessions that another has begun, and a restart ends none.
A session is bound to what it was begun with; when that token or password is withdrawn, it has ended too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from alertd.web.keys import Keys

LASTS_S = 12 * 3600
"""A session ends so long after it was begun."""

MAX_COOKIE = 512
_PURPOSE = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """See the module.

    Attributes:
        id: random, another one after each login.
        begun: seconds since the epoch.
        name: who it is of; "" for nobody yet.
        proof: a digest of what they showed.
        is_new: the browser has not got it yet.
    """

    id: str
    begun: int
    name: str = ""
    proof: str = ""
    is_new: bool = False
    keys: Keys = field(repr=False)

    @property
    def csrf(self) -> str:
        """What each form of this session carries."""
        return self.keys.sign("csrf", self.id)

    def verifies(self, token: str) -> bool:
        """Whether a form with that token is one of this session; a new one has sent none."""
        return not self.is_new and self.keys.verify("csrf", self.id, token)

    @property
    def cookie(self) -> str:
        """As the browser keeps it."""
        text = ".".join((self.id, str(self.begun), self.name, self.proof))
        return f"{text}.{self.keys.sign(_PURPOSE, text)}"


def begin(keys: Keys, now_s: int, name: str = "", proof: str = "") -> Session:
    """A session that nobody has had before."""
    return Session(id=secrets.token_urlsafe(16), begun=now_s, name=name, proof=proof, is_new=True, keys=keys)


def read(keys: Keys, cookie: str, now_s: int) -> Session | None:
    """The session of a cookie; None when it was not made here, or is over."""
    if len(cookie) > MAX_COOKIE:
        return None
    text, _, signature = cookie.rpartition(".")
    parts = text.split(".")
    if len(parts) != 4 or not keys.verify(_PURPOSE, text, signature):
        return None
    ident, begun, name, proof = parts
    if not 0 <= now_s - int(begun) < LASTS_S:
        return None
    return Session(id=ident, begun=int(begun), name=name, proof=proof, keys=keys)


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
