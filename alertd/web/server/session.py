"""Defines the session of a browser: a random id and, after a login, the name of the person.

The whole session is in a signed cookie and not on the server. Therefore every node accepts the sessions that
another node has begun, and sessions survive a restart. A session is bound to the token or password of its
login, so it ends when that credential is removed or changed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from alertd.web.server.signing import Signer

LASTS_S = 12 * 3600
"""The longest life of a session, in seconds (NIST SP 800-63B-4, section 2.2.3, allows at most 24 hours)."""

IDLE_S = 3600
"""A session without requests ends after so many seconds (the same section allows at most one hour)."""

SEEN_EVERY_S = 60
"""How often the time of the last request is updated in the cookie, in seconds."""

AHEAD_S = 60
"""How far ahead the clock of the node that signed the cookie may be, in seconds."""

MAX_COOKIE = 512
_PURPOSE = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session of a browser.

    Attributes:
        id: a random id, which changes with each login.
        begun, seen: the times of the login and of the last request, in seconds since the epoch.
        name: the name of the person; "" before the login.
        proof: the fingerprint of the credential of the login.
        is_new: the browser does not have the cookie yet.
        signer: the signer of the cookie.
    """

    id: str
    begun: int
    seen: int
    name: str = ""
    proof: str = ""
    is_new: bool = False
    signer: Signer = field(repr=False)

    @property
    def csrf(self) -> str:
        """The CSRF token, which each form of this session contains."""
        return self.signer.sign("csrf", self.id)

    def verifies(self, token: str) -> bool:
        """Whether a CSRF token belongs to this session. No form can belong to a new session."""
        return not self.is_new and self.signer.verify("csrf", self.id, token)

    def renew(self, now_s: int) -> Session | None:
        """Return the session with a new time of use; None if the cookie is recent enough."""
        return replace(self, seen=now_s) if self.name and now_s - self.seen >= SEEN_EVERY_S else None

    @property
    def cookie(self) -> str:
        """The signed value of the cookie."""
        text = ".".join((self.id, str(self.begun), str(self.seen), self.name, self.proof))
        return f"{text}.{self.signer.sign(_PURPOSE, text)}"


def begin(signer: Signer, now_s: int, name: str = "", proof: str = "") -> Session:
    """Begin a new session with a random id."""
    ident = secrets.token_urlsafe(16)
    return Session(id=ident, begun=now_s, seen=now_s, name=name, proof=proof, is_new=True, signer=signer)


def read(signer: Signer, cookie: str, now_s: int) -> Session | None:
    """Read the session in a cookie; None if its signature is wrong or the session has expired."""
    if len(cookie) > MAX_COOKIE:
        return None
    text, _, signature = cookie.rpartition(".")
    parts = text.split(".")
    if len(parts) != 5 or not signer.verify(_PURPOSE, text, signature):
        return None
    ident, name, proof = parts[0], parts[3], parts[4]
    begun, seen = int(parts[1]), int(parts[2])
    is_over = now_s - begun >= LASTS_S or (name and now_s - seen >= IDLE_S) or seen - now_s > AHEAD_S
    if is_over:
        return None
    return Session(id=ident, begun=begun, seen=seen, name=name, proof=proof, signer=signer)


class Jar:
    """The session that a response leaves in the browser."""

    def __init__(self, session: Session) -> None:
        self.session: Session | None = session
        self.is_kept = False
        """Whether the response sets the cookie. It deletes the cookie if ``session`` is None."""

    def keep(self, session: Session) -> None:
        """Set the cookie to this session."""
        self.session, self.is_kept = session, True

    def forget(self) -> None:
        """Delete the cookie."""
        self.session, self.is_kept = None, True
