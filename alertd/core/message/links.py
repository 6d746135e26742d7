"""Action links: anyone who has such a link may do one action on one milestone until it expires.

A token is the permission in base64url, a dot, and its signature (HMAC-SHA256, RFC 2104). alertd stores no
tokens: every node with the key can verify a token that another node signed. A token may be used more than
once.
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
"""The purpose for which the signing key is derived."""

LASTS = timedelta(days=30)
"""How long a link in a message is valid, from the instant at which the ledger recorded the delivery."""

UNDO_LASTS = timedelta(hours=1)
"""How long the page that confirms an action offers to undo it."""

MAX_TOKEN = 1024

_FORM = "act1"
"""The type of the token, a part of the signed text. A signature made for another purpose is invalid."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class LinkKind(StrEnum):
    """The action that a link allows. ``UNDO`` reverts an earlier action, and no message contains it."""

    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    DONE = "done"
    UNDO = "undo"


LABELS = {LinkKind.ACKNOWLEDGE: "Acknowledge", LinkKind.SNOOZE: "Snooze", LinkKind.DONE: "Done"}
"""The actions that a message offers, in the order of its buttons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The permission that a token gives.

    Attributes:
        receiver: the receiver of the message that contains the link.
        expires: the instant from which the link is invalid, an aware UTC instant.
        undoes: the instant of the action that ``UNDO`` reverts; None for other kinds.
    """

    kind: LinkKind
    milestone: str
    receiver: str
    expires: datetime
    undoes: datetime | None = None


def make_token(link: Link, key: bytes) -> str:
    """Make the token of a link, signed with a key of at least 32 bytes."""
    undoes = str(_count_micros(link.undoes)) if link.undoes else ""
    parts = (_FORM, link.kind.value, link.milestone, link.receiver, str(_count_micros(link.expires)), undoes)
    text = "\n".join(parts).encode()
    return f"{_encode(text)}.{_encode(_sign(text, key))}"


def read_token(token: str, keys: Sequence[bytes]) -> Link | None:
    """Verify a token.

    Args:
        keys: the keys that are accepted.

    Returns:
        The link, which may have expired; None if none of the keys has signed the token.
    """
    if len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token):
        return None
    first, _, second = token.partition(".")
    try:
        text, given = _decode(first), _decode(second)
    except NotBase64:
        return None
    fits = [
        hmac.compare_digest(_sign(text, key), given) for key in keys
    ]  # check all keys, so that the time taken is the same
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
    """Makes the links of messages.

    Attributes:
        base: the URL of alertd's web server as people reach it, without a slash at the end.
        key: the key that signs action links; None if messages contain no action links.
    """

    base: str
    key: bytes | None = field(default=None, repr=False)

    @property
    def home(self) -> str:
        """The URL of the start page."""
        return f"{self.base}/"

    def make_page_url(self, milestone: str) -> str:
        """Make the URL of a milestone's page. An id contains no character that a URL has to escape."""
        return f"{self.base}/milestones/{milestone}"

    def make_actions(self, milestone: str, receiver: str, since: datetime) -> tuple[ActionLink, ...]:
        """Make the action links about a milestone.

        Args:
            since: when the ledger recorded the delivery, an aware UTC instant.
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


def _count_micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
