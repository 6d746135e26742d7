"""Sample messages, one of each kind that a notifier will meet, as `alertd.core.compose` words them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from alertd.core.message import Item, Kind, Message
from alertd.core.occurrence import digest
from alertd.testing.items import approaching_item, contested_item, done_item, moved_item, opens_item

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def _message(kind: Kind, subject: str, name: str, *items: Item, **more: object) -> Message:
    message = Message(
        id="msg_" + digest("sample", name),
        receiver="desk",
        channel="desk/sample",
        kind=kind,
        subject=subject,
        at=NOW,
        items=items,
    )
    return replace(message, **more)  # type: ignore[arg-type]


SAMPLES: Mapping[str, Callable[[], Message]] = {
    "approaching": lambda: _message(
        Kind.SINGLE, "Due in 7 days: Last host leaves Debian 11", "approaching", approaching_item()
    ),
    "contested": lambda: _message(
        Kind.SINGLE,
        "Passed 55 days ago (contested): Forces stationed in the Kurdish autonomous region leave",
        "contested",
        contested_item(),
    ),
    "moved": lambda: _message(
        Kind.SINGLE,
        "Moved from September 2026 to the end of 2026, 92 days later, on the word of Reuters: "
        "Forces stationed in the Kurdish autonomous re…",
        "moved",
        moved_item(),
    ),
    "opens": lambda: _message(
        Kind.SINGLE, "Begun, by November 2026: Auditors hand in their report", "opens", opens_item()
    ),
    "done": lambda: _message(
        Kind.SINGLE,
        "Done: Forces leave Baghdad and the areas under the central government",
        "done",
        done_item(),
        intro="You get this in place of leads, which could not be reached.",
    ),
    "many": lambda: _message(
        Kind.MANY,
        "5 deadlines: 1 passed, 1 due soon, 1 coming, 1 moved, 1 done",
        "many",
        contested_item(),
        approaching_item(),
        replace(
            moved_item(),
            milestone="iraq-coalition-withdrawal/advisers",
            title="New advisory relationship begins",
        ),
        opens_item(),
        done_item(),
    ),
    "notice": lambda: _message(
        Kind.NOTICE,
        "2 definition files cannot be read; what they said before stays in force",
        "notice",
        lines=(
            "milestones/iraq.yaml:14:17: '2026-21': a season; say which months are meant",
            "milestones/audit.yaml:3:1: unknown key 'mileston'; did you mean 'milestones'?",
        ),
    ),
    "test": lambda: _message(
        Kind.TEST,
        "Test message from alertd",
        "test",
        lines=(
            "This is a test of desk/sample. No deadline is behind it.",
            "If you can read this, reminders for this receiver will reach you.",
        ),
    ),
}
"""By name, a maker of each. All are composed at 2026-11-24T06:00Z."""


def sample_message(kind: str = "contested", **changes: object) -> Message:
    """One of :data:`SAMPLES`, with some of the message's fields replaced."""
    return replace(SAMPLES[kind](), **changes)  # type: ignore[arg-type]
