"""Splits a message into as few posts as Slack's limits allow.

A message has at most 50 blocks. An undocumented limit on the size of all blocks makes ``chat.postMessage``
answer ``msg_blocks_too_long`` at about 13,000 characters, where each block costs about 125
(https://github.com/slackapi/bolt-js/issues/2509 and 2867). Slack has refused more than 20 blocks in an
attachment (https://github.com/slackapi/bolt-python/issues/914). alertd's count is never lower than Slack's:
the bytes of UTF-8 JSON, and 125 for each block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.http.redact import quote
from alertd.notify.http.reply import Answer, Reply, judge_answer, parse_retry_after
from alertd.notify.json_api import parse_object
from alertd.notify.render.markup import count_units
from alertd.notify.slack.text import Block, cut_text, escape, italic, make_context, make_section

MAX_BLOCKS = 50
MAX_ATTACHED = 20
MAX_WEIGHT = 12_000
BLOCK_WEIGHT = 125
MAX_TEXT = 4_000
"""Slack's recommended length for the fallback text.

Slack cuts at 40,000, and ``chat.update`` refuses more.
"""

MAX_POSTS = 5
"""The most posts for one message. Milestones that do not fit are counted in the last post."""

MAX_FOOTER = 300
_RESERVED = 1_600
"""The part of a post's weight that is reserved for its footer and the line that counts the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One block, and where it goes.

    Attributes:
        attached: whether the block goes into the attachment with the coloured edge. Slack may fold the
            attachment, so it contains only details that are not needed to understand the message.
        names: a line for each milestone that the block names. The fallback text lists these lines.
    """

    block: Block
    attached: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What one call posts.

    Attributes:
        text: the fallback text, for notifications, screen readers and services without blocks.
    """

    id: str
    text: str
    blocks: tuple[Block, ...]
    attached: tuple[Block, ...]
    color: str
    names: tuple[str, ...] = ()

    def payload(self) -> dict[str, Any]:
        """Return the JSON body, without the channel and thread."""
        return {
            "text": self.text,
            "unfurl_links": False,
            "unfurl_media": False,
            "blocks": list(self.blocks),
            "attachments": [{"color": self.color, "blocks": list(self.attached)}],
        }

    def plain(self) -> dict[str, Any]:
        """Return the JSON body without any layout, for a receiver that refuses the layout."""
        return {"text": f"{self.text}\n{self.id}", "unfurl_links": False, "unfurl_media": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The parts that all posts of a message share.

    Attributes:
        lead: the beginning of the fallback text, in Slack's markup.
        more: a sentence that says where the rest is; "" for none.
    """

    id: str
    lead: str
    color: str
    footer: str = ""
    more: str = ""


def split_into_posts(frame: Frame, pieces: Sequence[Piece]) -> tuple[Post, ...]:
    """Distribute the pieces, in their order, among as few posts as possible, at most :data:`MAX_POSTS`."""
    groups = _group(pieces)
    left = [piece for group in groups[MAX_POSTS:] for piece in group]
    groups = groups[:MAX_POSTS]
    return tuple(
        _build_post(frame, group, number, len(groups), left if number == len(groups) else [])
        for number, group in enumerate(groups, 1)
    )


def measure_weight(block: Block) -> int:
    return len(json.dumps(block, ensure_ascii=False).encode("utf-8", "replace")) + BLOCK_WEIGHT


def _group(pieces: Sequence[Piece]) -> list[list[Piece]]:
    groups: list[list[Piece]] = [[]]
    room = _Room()
    for piece in pieces:
        if groups[-1] and not room.has_place(piece):
            groups.append([])
            room = _Room()
        room.reserve(piece)
        groups[-1].append(piece)
    return groups


class _Room:
    """The room that is left in a post, besides its footer and the line that counts the rest."""

    def __init__(self) -> None:
        self.blocks = MAX_BLOCKS - MAX_ATTACHED
        self.attached = MAX_ATTACHED - 2
        self.weight = MAX_WEIGHT - _RESERVED

    def has_place(self, piece: Piece) -> bool:
        places = self.attached if piece.attached else self.blocks
        return places > 0 and measure_weight(piece.block) <= self.weight

    def reserve(self, piece: Piece) -> None:
        self.weight -= measure_weight(piece.block)
        if piece.attached:
            self.attached -= 1
        else:
            self.blocks -= 1


def _build_post(frame: Frame, group: Sequence[Piece], number: int, total: int, left: Sequence[Piece]) -> Post:
    blocks = [piece.block for piece in group if not piece.attached]
    attached = [piece.block for piece in group if piece.attached]
    names = tuple(name for piece in group for name in piece.names)
    part = f" · part {number} of {total}" if total > 1 else ""
    if left:
        blocks.append(make_section(italic(_rest(left, frame.more))))
    footer = "\n".join(line for line in (cut_text(frame.footer, MAX_FOOTER), frame.id + part) if line)
    return Post(
        id=frame.id,
        text=_fallback(frame.lead + escape(part), names),
        blocks=tuple(blocks),
        attached=(*attached, make_context(footer)),
        color=frame.color,
        names=names,
    )


def _rest(left: Sequence[Piece], more: str) -> str:
    unnamed = sum(len(piece.names) for piece in left)
    text = f"and {unnamed:,} more, not listed here." if unnamed else "The rest is not shown here."
    return f"{text} {more}".strip()


def _fallback(lead: str, names: Sequence[str]) -> str:
    lines = [cut_text(lead, MAX_TEXT - 1_000)]
    room = MAX_TEXT - 100 - count_units(lines[0])
    for at, name in enumerate(names):
        room -= count_units(name) + 1
        if room < 0:
            return "\n".join([*lines, f"and {len(names) - at:,} more"])
        lines.append(name)
    return "\n".join(lines)


PASSING = frozenset({
    "external_channel_migrating", "message_limit_exceeded", "org_login_required", "rate_limited",
    "ratelimited", "service_unavailable", "team_added_to_org", "update_failed",
})  # fmt: skip
"""Errors after which a retry may succeed."""

HALFWAY = frozenset({"fatal_error", "internal_error", "request_timeout"})
"""Errors after which a retry may succeed, although Slack may have posted the message already."""

LAYOUT = frozenset({
    "attachment_payload_limit_exceeded", "invalid_attachments", "invalid_blocks", "invalid_blocks_format",
    "msg_blocks_too_long", "too_many_attachments",
})  # fmt: skip
"""Errors in the layout. Slack posted nothing, and would accept the message without blocks and attachments."""

NO_THREAD = frozenset({
    "cannot_reply_to_message", "channel_not_found", "message_not_found",
    "restricted_action_non_threadable_channel", "restricted_action_thread_locked", "thread_not_found",
})  # fmt: skip
"""Errors of an edit or a reply. Slack posted nothing: the first message is gone, or accepts no replies."""

NO_EDIT = NO_THREAD | {"cant_update_message", "edit_window_closed"}
"""Errors after which no edit of the message will ever succeed."""

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
    """Where a message is. Slack identifies a message by its channel and its timestamp."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """The service accepted the message.

    ``place`` is None if its answer does not tell where the message is.
    """

    place: PostAddress | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRefused:
    """The message was not accepted. ``error`` is Slack's error code; "" if the answer contains none."""

    error: str
    outcome: Outcome


def read_post_address(state: Mapping[str, object]) -> PostAddress | None:
    """Return the place that the ledger's state or an answer contains; None if it contains none."""
    channel, ts = state.get("channel", ""), state.get("ts", "")
    if not (isinstance(channel, str) and isinstance(ts, str)):
        return None
    return PostAddress(channel=channel, ts=ts) if _CHANNEL.fullmatch(channel) and _TS.fullmatch(ts) else None


def interpret(answer: Answer, now: datetime) -> Posted | PostRefused:
    """Interpret the answer of the Web API, of an incoming webhook, or of a compatible service.

    A webhook answers ``ok``; compatible services answer ``{"ok": true}`` or nothing. Any other answer with
    status 200 probably is a log-in page: counting the message as sent would lose a reminder, and a retry
    would not help. An unknown error code is final, because Slack documents the temporary ones, and because an
    error in one message must not hold up the channel.

    Args:
        now: an aware UTC instant.
    """
    outcome = judge_answer(answer, now)
    if not isinstance(answer, Reply):
        return PostRefused(error="", outcome=outcome)
    body = parse_object(answer)
    error = _word(body.get("error")) or _word(answer.body.decode("utf-8", "replace").strip())
    if not isinstance(outcome, Sent):
        return PostRefused(error=error, outcome=outcome)
    where = answer.origin
    if not answer.whole:
        broken = Retry(reason=f"{where} answered {answer.status} and broke off", unknown=True)
        return PostRefused(error="", outcome=broken)
    if body.get("ok") is True or body.get("success") is True or answer.body.strip().lower() in (b"ok", b""):
        return Posted(place=read_post_address(body), note=outcome.note)
    if body.get("ok") is False and error:
        return PostRefused(error=error, outcome=_outcome(answer, error, now))
    reason = f"{where} answered {answer.status}, but not ok: {quote(answer.body, answer.hidden)}"
    return PostRefused(error="", outcome=Rejected(reason=reason))


def _outcome(reply: Reply, error: str, now: datetime) -> Outcome:
    advice = f" ({_ADVICE[error]})" if error in _ADVICE else ""
    reason = f"{reply.origin} answered that it failed: {quote(error, reply.hidden)}{advice}"
    if error in PASSING:
        return Retry(reason=reason, after=parse_retry_after(reply.headers.get("retry-after", ""), now))
    if error in HALFWAY:
        return Retry(reason=reason, unknown=True)
    return Rejected(reason=reason)


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""
