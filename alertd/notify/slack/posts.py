"""Deals the pieces of one message out to as few posts as Slack's limits allow.

A message has at most 50 blocks. An undocumented limit on all of them together makes ``chat.postMessage``
answer ``msg_blocks_too_long`` at some 13,000 characters, of which each block costs about 125
(https://github.com/slackapi/bolt-js/issues/2509 and 2867); blocks in an attachment were refused from the
21st on (https://github.com/slackapi/bolt-python/issues/914). What is counted here is never less than what
Slack counts: bytes of UTF-8 JSON, and 125 for each block.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
