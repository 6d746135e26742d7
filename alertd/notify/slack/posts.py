"""Deals the pieces of one message out to as few posts as Slack's limits allow.

A message has at most 50 blocks. An undocumented limit on all of them together makes ``chat.postMessage``
answer ``msg_blocks_too_long`` at some 13,000 characters, of which each block costs about 125
(https://github.com/slackapi/bolt-js/issues/2509 and 2867); blocks in an attachment were refused from the
21st on (https://github.com/slackapi/bolt-python/issues/914). What is counted here is never less than what
Slack counts: bytes of UTF-8 JSON, and 125 for each block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.http.client import Answer, Reply
from alertd.notify.http.redact import quote
from alertd.notify.http.reply import outcome_of, retry_after
from alertd.notify.json_api import object_in
from alertd.notify.render.markup import units
from alertd.notify.slack.text import Block, context, cut, escaped, italic, section

MAX_BLOCKS = 50
MAX_ATTACHED = 20
MAX_WEIGHT = 12_000
BLOCK_WEIGHT = 125
MAX_TEXT = 4_000
"""Of the fallback: what Slack recommends. It cuts at 40,000, and refuses a longer one in ``chat.update``."""

MAX_POSTS = 5
"""The most posts that one message becomes; what does not fit into them is counted instead."""

MAX_FOOTER = 300
_RESERVED = 1_600
"""Of a post's weight, for its footer and for what is said of the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One block, and where it goes.

    Attributes:
        attached: beneath, in the attachment with the coloured edge, which Slack may fold: what adds to the
            message and is not needed to understand it.
        names: a line for each milestone that it names, for those who only hear or see the fallback.
    """

    block: Block
    attached: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What one call posts.

    Attributes:
        text: what a notification, a screen reader, and a service that only knows text show.
    """

    id: str
    text: str
    blocks: tuple[Block, ...]
    attached: tuple[Block, ...]
    color: str
    names: tuple[str, ...] = ()

    def payload(self) -> dict[str, Any]:
        """The body, but for where it goes."""
        return {
            "text": self.text,
            "unfurl_links": False,
            "unfurl_media": False,
            "blocks": list(self.blocks),
            "attachments": [{"color": self.color, "blocks": list(self.attached)}],
        }

    def plain(self) -> dict[str, Any]:
        """The same without any layout, for a receiver that refuses the layout."""
        return {"text": f"{self.text}\n{self.id}", "unfurl_links": False, "unfurl_media": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all posts of a message have in common.

    Attributes:
        lead: the beginning of the fallback, already in Slack's markup.
        more: where the rest is to be found, a sentence; "" for nowhere.
    """

    id: str
    lead: str
    color: str
    footer: str = ""
    more: str = ""


def posts_of(frame: Frame, pieces: Sequence[Piece]) -> tuple[Post, ...]:
    """The pieces in their order, each whole, on as few posts as they need and at most :data:`MAX_POSTS`."""
    hands = _dealt(pieces)
    left = [piece for hand in hands[MAX_POSTS:] for piece in hand]
    hands = hands[:MAX_POSTS]
    return tuple(
        _post(frame, hand, number, len(hands), left if number == len(hands) else [])
        for number, hand in enumerate(hands, 1)
    )


def weight_of(block: Block) -> int:
    return len(json.dumps(block, ensure_ascii=False).encode("utf-8", "replace")) + BLOCK_WEIGHT


def _dealt(pieces: Sequence[Piece]) -> list[list[Piece]]:
    hands: list[list[Piece]] = [[]]
    room = _Room()
    for piece in pieces:
        if hands[-1] and not room.takes(piece):
            hands.append([])
            room = _Room()
        room.take(piece)
        hands[-1].append(piece)
    return hands


class _Room:
    """What a post still has room for, beside its footer and a line on the rest."""

    def __init__(self) -> None:
        self.blocks = MAX_BLOCKS - MAX_ATTACHED
        self.attached = MAX_ATTACHED - 2
        self.weight = MAX_WEIGHT - _RESERVED

    def takes(self, piece: Piece) -> bool:
        places = self.attached if piece.attached else self.blocks
        return places > 0 and weight_of(piece.block) <= self.weight

    def take(self, piece: Piece) -> None:
        self.weight -= weight_of(piece.block)
        if piece.attached:
            self.attached -= 1
        else:
            self.blocks -= 1


def _post(frame: Frame, hand: Sequence[Piece], number: int, of: int, left: Sequence[Piece]) -> Post:
    blocks = [piece.block for piece in hand if not piece.attached]
    attached = [piece.block for piece in hand if piece.attached]
    names = tuple(name for piece in hand for name in piece.names)
    part = f" · part {number} of {of}" if of > 1 else ""
    if left:
        blocks.append(section(italic(_rest(left, frame.more))))
    footer = "\n".join(line for line in (cut(frame.footer, MAX_FOOTER), frame.id + part) if line)
    return Post(
        id=frame.id,
        text=_fallback(frame.lead + escaped(part), names),
        blocks=tuple(blocks),
        attached=(*attached, context(footer)),
        color=frame.color,
        names=names,
    )


def _rest(left: Sequence[Piece], more: str) -> str:
    unnamed = sum(len(piece.names) for piece in left)
    said = f"and {unnamed:,} more, not listed here." if unnamed else "The rest is not shown here."
    return f"{said} {more}".strip()


def _fallback(lead: str, names: Sequence[str]) -> str:
    lines = [cut(lead, MAX_TEXT - 1_000)]
    room = MAX_TEXT - 100 - units(lines[0])
    for at, name in enumerate(names):
        room -= units(name) + 1
        if room < 0:
            return "\n".join([*lines, f"and {len(names) - at:,} more"])
        lines.append(name)
    return "\n".join(lines)


PASSING = frozenset({
    "external_channel_migrating", "message_limit_exceeded", "org_login_required", "rate_limited",
    "ratelimited", "service_unavailable", "team_added_to_org", "update_failed",
})  # fmt: skip
"""It may go well later."""

HALFWAY = frozenset({"fatal_error", "internal_error", "request_timeout"})
"""It may go well later, and some of it may have been done already."""

LAYOUT = frozenset({
    "attachment_payload_limit_exceeded", "invalid_attachments", "invalid_blocks", "invalid_blocks_format",
    "msg_blocks_too_long", "too_many_attachments",
})  # fmt: skip
"""Nothing was posted, and the same without blocks and attachments would be."""

NO_THREAD = frozenset({
    "cannot_reply_to_message", "channel_not_found", "message_not_found",
    "restricted_action_non_threadable_channel", "restricted_action_thread_locked", "thread_not_found",
})  # fmt: skip
"""Nothing was posted: the message to be edited or replied to is gone, or takes no replies."""

NO_EDIT = NO_THREAD | {"cant_update_message", "edit_window_closed"}
"""The message will never be edited, whoever tries."""

_ADVICE = {
    "account_inactive": "the token belongs to a user or workspace that is gone",
    "channel_not_found": "there is no such channel, or it is private and the app is not in it",
    "invalid_auth": "the token is wrong, or used from an address that is not allowed",
    "is_archived": "the channel is archived",
    "missing_scope": "the token needs the scope chat:write",
    "not_in_channel": "invite the app to the channel, or give it the scope chat:write.public",
    "token_revoked": "the app was removed, or its token revoked",
}
_WORD = re.compile(r"[a-z][a-z0-9_]{1,80}")
_TS = re.compile(r"\d{1,20}\.\d{1,20}")
_CHANNEL = re.compile(r"[A-Z0-9]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostAddress:
    """Where a message stands: Slack names it by both."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """It was accepted; ``place`` is None where the receiver does not say it."""

    place: PostAddress | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRefused:
    """It was not; ``error`` is Slack's word for why, "" when it said none."""

    error: str
    outcome: Outcome


def place_in(state: Mapping[str, object]) -> PostAddress | None:
    """The place that a ledger or an answer holds; None when it holds none."""
    channel, ts = state.get("channel", ""), state.get("ts", "")
    if not (isinstance(channel, str) and isinstance(ts, str)):
        return None
    return PostAddress(channel=channel, ts=ts) if _CHANNEL.fullmatch(channel) and _TS.fullmatch(ts) else None


def understood(answer: Answer, now: datetime) -> Posted | PostRefused:
    """What an answer of the Web API, of an incoming webhook, or of a service like Slack means.

    A webhook answers ``ok``, others ``{"ok": true}`` or nothing. Anything else with a 200 is likely
    somebody's log-in page. To call that delivered would lose a reminder; to send it again would not help.
    An error whose name is not known here is final: Slack documents those that pass, and what is wrong with
    one message must not hold up the channel.
    """
    outcome = outcome_of(answer, now)
    if not isinstance(answer, Reply):
        return PostRefused(error="", outcome=outcome)
    said = object_in(answer)
    error = _word(said.get("error")) or _word(answer.body.decode("utf-8", "replace").strip())
    if not isinstance(outcome, Sent):
        return PostRefused(error=error, outcome=outcome)
    where = answer.origin
    if not answer.whole:
        broken = Retry(reason=f"{where} answered {answer.status} and broke off", unknown=True)
        return PostRefused(error="", outcome=broken)
    if said.get("ok") is True or said.get("success") is True or answer.body.strip().lower() in (b"ok", b""):
        return Posted(place=place_in(said), note=outcome.note)
    if said.get("ok") is False and error:
        return PostRefused(error=error, outcome=_outcome(answer, error, now))
    unlike = f"{where} answered {answer.status}, but not ok: {quote(answer.body, answer.hidden)}"
    return PostRefused(error="", outcome=Rejected(reason=unlike))


def _outcome(reply: Reply, error: str, now: datetime) -> Outcome:
    advice = f" ({_ADVICE[error]})" if error in _ADVICE else ""
    reason = f"{reply.origin} answered that it failed: {quote(error, reply.hidden)}{advice}"
    if error in PASSING:
        return Retry(reason=reason, after=retry_after(reply.headers.get("retry-after", ""), now))
    if error in HALFWAY:
        return Retry(reason=reason, unknown=True)
    return Rejected(reason=reason)


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""
