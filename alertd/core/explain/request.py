"""From what somebody has typed to the action that it means: the same for every door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from alertd.core.config import Config
from alertd.core.ledger.records import Record
from alertd.core.milestones.status import NOTHING_SAID, Action, ActionKind, Standing
from alertd.core.time.instant import local_date
from alertd.core.time.moments import read_day, read_moment
from alertd.errors import FieldProblem, MomentError

MAX_TEXT = 1000
"""Characters of a reason or of evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What was typed.

    Attributes:
        by: who says so.
        how: by which door: ``link:desk``, ``page:ada``; "" for the command line.
        until: for ack and snooze, as :mod:`alertd.core.time.moments` reads it; "" for what is usual.
        on: for done: the date; "" for today.
    """

    kind: ActionKind
    by: str
    how: str = ""
    why: str = ""
    until: str = ""
    on: str = ""
    evidence: str = ""


def action_of(saying: Saying, record: Record, config: Config, now: datetime) -> Action:
    """What it means for a milestone.

    Raises:
        FieldProblem: a field cannot be read, or says what cannot be.
    """
    for name, text in (("why", saying.why), ("evidence", saying.evidence)):
        if len(text) > MAX_TEXT:
            raise FieldProblem(name, f"longer than {MAX_TEXT:,} characters")
    kind = saying.kind
    return Action(
        kind=kind,
        milestone=record.id,
        at=now,
        by=saying.by,
        how=saying.how,
        why=saying.why,
        until=_until(saying, record, config, now) if kind in (ActionKind.ACK, ActionKind.SNOOZE) else None,
        done_on=_done_on(saying, record, now) if kind is ActionKind.DONE else None,
        evidence=saying.evidence if kind is ActionKind.DONE else "",
    )


def says_nothing_new(action: Action, standing: Standing, windows: tuple[str, ...]) -> bool:
    """Whether it holds already: the same was said before, perhaps by the same click.

    Args:
        windows: ids of the windows that remind now.
    """
    match action.kind:
        case ActionKind.ACK:
            same = (standing.ack_until, standing.ack_by) == (action.until, action.by)
            return same and standing.ack_windows == windows
        case ActionKind.SNOOZE:
            return (standing.snooze_until, standing.snooze_by) == (action.until, action.by)
        case ActionKind.DONE:
            return standing.done_on == action.done_on
        case ActionKind.CANCEL:
            return standing.cancelled
        case ActionKind.REOPEN:
            return standing == NOTHING_SAID


def _until(saying: Saying, record: Record, config: Config, now: datetime) -> datetime:
    if not saying.until:
        if saying.kind is ActionKind.SNOOZE:
            raise FieldProblem("until", "say until when")
        return (now + config.ack_expires).replace(microsecond=0)
    milestone = record.milestone
    try:
        end = read_moment(saying.until, zone=milestone.zone, now=now, at=milestone.policy.at)
    except MomentError as error:
        raise FieldProblem("until", str(error)) from None
    if end <= now:
        raise FieldProblem("until", f"{saying.until} is not in the future")
    return end


def _done_on(saying: Saying, record: Record, now: datetime) -> date:
    today = local_date(now, record.milestone.zone)
    try:
        day = read_day(saying.on) if saying.on else today
    except MomentError as error:
        raise FieldProblem("on", str(error)) from None
    if day > today:
        where = record.milestone.zone.key
        advice = "say so on that day, and if it came about today leave this out"
        raise FieldProblem("on", f"{day} has not come yet in {where}: {advice}")
    return day
