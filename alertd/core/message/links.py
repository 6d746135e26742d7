"""Links that act: whoever has one may say one thing of one milestone, until it expires. Pure.

A token is what it allows, in base64url, a dot, and the signature of that (HMAC-SHA256, RFC 2104). Nothing is
kept of it: any node that has the key reads what another one signed. It may be used more than once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from alertd.core.message.message import ActionLink

PURPOSE = "link"
"""What their key is derived for."""

LASTS = timedelta(days=30)
"""How long a link in a message is good, from when its delivery was written down: the same over retries."""

UNDO_LASTS = timedelta(hours=1)
"""How long the page that confirms an action offers to take it back."""

MAX_TOKEN = 1024

_FORM = "act1"
"""Signed with the rest: what is signed for anything else is no link."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class LinkKind(StrEnum):
    """What a link allows. An undo takes back what was done by one, and stands in no message."""

    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    DONE = "done"
    UNDO = "undo"


LABELS = {LinkKind.ACKNOWLEDGE: "Acknowledge", LinkKind.SNOOZE: "Snooze", LinkKind.DONE: "Done"}
"""What a message offers, in the order of its buttons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a token allows.

    Attributes:
        receiver: whom it was sent to.
        expires: an aware UTC instant, from which on it is worth nothing.
        undoes: the instant of the action that an undo takes back; None for the others.
    """

    kind: LinkKind
    milestone: str
    receiver: str
    expires: datetime
    undoes: datetime | None = None


def make_token(link: Link, key: bytes) -> str:
    """The token, signed with a key of at least 32 bytes."""
    undoes = str(_to_micros(link.undoes)) if link.undoes else ""
    parts = (_FORM, link.kind.value, link.milestone, link.receiver, str(_to_micros(link.expires)), undoes)
    text = "\n".join(parts).encode()
    return f"{_encode(text)}.{_encode(_sign(text, key))}"


def read_token(token: str, keys: Sequence[bytes]) -> Link | None:
    """What it allows, expired or not; None when none of the keys has signed it."""
    if len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token):
        return None
    first, _, second = token.partition(".")
    try:
        text, given = _decode(first), _decode(second)
    except NotBase64:
        return None
    fits = [hmac.compare_digest(_sign(text, key), given) for key in keys]  # all, however soon one fits
    if not any(fits):
        return None
    form, kind, milestone, receiver, expires, undoes = text.decode().split("\n")
    if form != _FORM:
        return None
    return Link(
        kind=LinkKind(kind),
        milestone=milestone,
        receiver=receiver,
        expires=_EPOCH + int(expires) * _MICROSECOND,
        undoes=_EPOCH + int(undoes) * _MICROSECOND if undoes else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where messages lead.

    Attributes:
        base: of alertd's own web server as people reach it, without a slash at the end.
        key: what signs the links that act; None: there are none of those.
    """

    base: str
    key: bytes | None = field(default=None, repr=False)

    @property
    def home(self) -> str:
        """The start page."""
        return f"{self.base}/"

    def make_page_url(self, milestone: str) -> str:
        """A milestone's own page. Its id has nothing that an address would have to escape."""
        return f"{self.base}/milestones/{milestone}"

    def make_actions(self, milestone: str, receiver: str, since: datetime) -> tuple[ActionLink, ...]:
        """What can be done about a milestone.

        Args:
            since: when the delivery was written down.
        """
        if self.key is None:
            return ()
        key, expires = self.key, since + LASTS
        return tuple(
            ActionLink(
                kind=kind.value,
                label=label,
                url=f"{self.base}/act/"
                + make_token(Link(kind=kind, milestone=milestone, receiver=receiver, expires=expires), key),
            )
            for kind, label in LABELS.items()
        )


def _sign(text: bytes, key: bytes) -> bytes:
    return hmac.digest(key, text, hashlib.sha256)


def _to_micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
