"""Defines the outside events of the demo: a busy receiver, actions of people and a date that moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from alertd.core.milestones.status import Action, ActionKind
from alertd.demo.edit import diff_lines, restate_claim
from alertd.demo.stage import Stage
from alertd.engine.actions import act

TIMELINE = "iraq-coalition-withdrawal"

BEGINS = datetime(2024, 9, 8, 6, 0, tzinfo=UTC)
ENDS = datetime(2027, 1, 31, 15, 0, tzinfo=UTC)

RETRY_AFTER_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An outside event.

    Attributes:
        at: the aware virtual instant of the event.
        text: a description of one or two sentences.
        act: performs the event, and returns the lines that it changed in a file.
    """

    at: datetime
    text: str
    act: Callable[[Stage], Awaitable[list[str]]]


async def _acknowledge(stage: Stage) -> list[str]:
    await _act(
        stage,
        ActionKind.ACK,
        "signing",
        until=datetime(2024, 11, 15, 6, tzinfo=UTC),
        why="we have seen it; there is no new date yet",
    )
    return []


async def _turn_away(stage: Stage) -> list[str]:
    stage.refuse_next_webhook(RETRY_AFTER_S)
    return []


async def _mark_done(stage: Stage) -> list[str]:
    await _act(
        stage,
        ActionKind.DONE,
        "phase-1",
        done_on=date(2025, 10, 4),
        evidence="made up for this demo",
    )
    return []


async def _move(stage: Stage) -> list[str]:
    before = stage.timeline.read_text(encoding="utf-8")
    after = restate_claim(
        before,
        "phase-2",
        "reuters",
        {"deadline": "2027-01-15", "source": "made-up", "note": "for this demo"},
        "made-up: {who: a made-up report}",
    )
    stage.timeline.write_text(after, encoding="utf-8")
    await stage.daemon.reload()
    return diff_lines(before, after)


STORY = (
    Step(
        at=datetime(2024, 10, 3, 7, 30, tzinfo=UTC),
        text="A person acknowledges the signing until 15 November, so its reminders stop. "
        "(`alertd ack`; the actions of people in this demo are made up.)",
        act=_acknowledge,
    ),
    Step(
        at=datetime(2025, 8, 31, 5, 0, tzinfo=UTC),
        text="The webhook's receiver is busy: it will answer the next request with 503 and "
        f"Retry-After: {RETRY_AFTER_S}.",
        act=_turn_away,
    ),
    Step(
        at=datetime(2025, 10, 5, 7, 30, tzinfo=UTC),
        text="A person marks phase 1 as done. All receivers that were reminded of it are told, and its "
        "reminders stop. (`alertd done`)",
        act=_mark_done,
    ),
    Step(
        at=datetime(2026, 12, 8, 7, 30, tzinfo=UTC),
        text="The timeline's file is edited, with a date made up for this demo, and reloaded:",
        act=_move,
    ),
)


async def _act(
    stage: Stage,
    kind: ActionKind,
    milestone: str,
    *,
    until: datetime | None = None,
    why: str = "",
    done_on: date | None = None,
    evidence: str = "",
) -> None:
    action = Action(
        kind=kind,
        milestone=f"{TIMELINE}/{milestone}",
        at=stage.clock.now(),
        by="m.haddad",
        why=why,
        until=until,
        done_on=done_on,
        evidence=evidence,
    )
    await act(stage.ledger, stage.config(), action)
