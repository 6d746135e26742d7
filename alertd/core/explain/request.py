"""Reads a person's request to act on a milestone: from the command line, the page, the API or a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from alertd.core.config import Config
from alertd.core.ledger.records import Record, ReminderState, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import NO_ACTIONS, Action, ActionKind, MilestoneStatus
from alertd.core.planning.decide import CHANGES
from alertd.core.time.instant import to_local_date
from alertd.core.time.moments import read_day, read_moment
from alertd.core.words import format_day, format_instant, join_with_and, phrase_offset
from alertd.errors import FieldProblem, MomentError

MAX_TEXT = 1000
"""The longest reason or evidence, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """A person's request as it was typed.

    Attributes:
        by: the person.
        how: the channel of the request, such as ``link:desk`` or ``page:ada``; "" for the command line.
        why: the person's reason; "" for none.
        until: the end of an acknowledgement or a snooze, as :mod:`alertd.core.time.moments` reads it; "" for
            the default.
        on: the done date; "" for today.
        evidence: the evidence that the milestone is done; "" for none.
    """

    kind: ActionKind
    by: str
    how: str = ""
    why: str = ""
    until: str = ""
    on: str = ""
    evidence: str = ""


def make_action(request: ActionRequest, record: Record, config: Config, now: datetime) -> Action:
    """Make the action on a milestone that a request asks for.

    Args:
        now: an aware UTC instant.

    Raises:
        FieldProblem: a field cannot be read, or its value is impossible.
    """
    for name, text in (("why", request.why), ("evidence", request.evidence)):
        if len(text) > MAX_TEXT:
            raise FieldProblem(name, f"longer than {MAX_TEXT:,} characters")
    kind = request.kind
    return Action(
        kind=kind,
        milestone=record.id,
        at=now,
        by=request.by,
        how=request.how,
        why=request.why,
        until=_read_until(request, record, config, now)
        if kind in (ActionKind.ACK, ActionKind.SNOOZE)
        else None,
        done_on=_read_done_on(request, record, now) if kind is ActionKind.DONE else None,
        evidence=request.evidence if kind is ActionKind.DONE else "",
    )


def is_repeated(action: Action, status: MilestoneStatus, windows: tuple[str, ...]) -> bool:
    """Tell whether an action would change nothing, for example because a person clicked a link twice.

    Args:
        windows: the ids of the windows that remind now.
    """
    match action.kind:
        case ActionKind.ACK:
            same = (status.ack_until, status.ack_by) == (action.until, action.by)
            return same and status.ack_windows == windows
        case ActionKind.SNOOZE:
            return (status.snooze_until, status.snooze_by) == (action.until, action.by)
        case ActionKind.DONE:
            return status.done_on == action.done_on
        case ActionKind.CANCEL:
            return status.cancelled
        case ActionKind.REOPEN:
            return status == NO_ACTIONS


def _read_until(request: ActionRequest, record: Record, config: Config, now: datetime) -> datetime:
    if not request.until:
        if request.kind is ActionKind.SNOOZE:
            raise FieldProblem("until", "say until when")
        return (now + config.ack_expires).replace(microsecond=0)
    milestone = record.milestone
    try:
        end = read_moment(request.until, zone=milestone.zone, now=now, at=milestone.policy.at)
    except MomentError as error:
        raise FieldProblem("until", str(error)) from None
    if end <= now:
        raise FieldProblem("until", f"{request.until} is not in the future")
    return end


def _read_done_on(request: ActionRequest, record: Record, now: datetime) -> date:
    today = to_local_date(now, record.milestone.zone)
    try:
        day = read_day(request.on) if request.on else today
    except MomentError as error:
        raise FieldProblem("on", str(error)) from None
    if day > today:
        where = record.milestone.zone.key
        advice = "say so on that day, and if it came about today leave this out"
        raise FieldProblem("on", f"{day} has not come yet in {where}: {advice}")
    return day


def make_confirmation(action: Action, record: Record, owed: Sequence[ScheduledReminder]) -> str:
    """Make a sentence that confirms the action and one about the next reminder.

    Args:
        owed: the milestone's scheduled reminders after the action.
    """
    zone = record.milestone.zone
    pending = sorted(
        (
            reminder
            for reminder in owed
            if reminder.state is ReminderState.PENDING and reminder.cause not in CHANGES
        ),
        key=lambda reminder: (reminder.at, reminder.receiver),
    )
    match action.kind:
        case ActionKind.ACK if action.until:
            until = format_instant(action.until, zone)
            rest = _describe_next(
                [reminder for reminder in pending if reminder.at >= action.until], record, action.at
            )
            return f"Acknowledged {record.id}: no reminder until {until}, unless its date moves. {rest}"
        case ActionKind.SNOOZE if action.until:
            until = format_instant(action.until, zone)
            return f"Snoozed {record.id} until {until}. {_describe_snooze_end(action, pending, record)}"
        case ActionKind.DONE if action.done_on:
            day = format_day(action.done_on)
            return f"Done: {record.id} came about on {day}. No further reminder. {_describe_told(pending)}"
        case ActionKind.CANCEL:
            return f"Cancelled {record.id}: no further reminder."
        case _:
            return f"Open again: {record.id}. {_describe_next(pending, record, action.at)}"


def _describe_snooze_end(action: Action, pending: Sequence[ScheduledReminder], record: Record) -> str:
    waiting = [reminder for reminder in pending if action.until and reminder.at <= action.until]
    if waiting:
        receivers = join_with_and(list(dict.fromkeys(reminder.receiver for reminder in waiting)))
        return f"What is still true then is sent once, to {receivers}."
    return _describe_next(pending, record, action.at)


def _describe_next(pending: Sequence[ScheduledReminder], record: Record, now: datetime) -> str:
    """Describe the next reminder: the last of those that are late already, since only that one is sent."""
    if not pending:
        return "No further reminder is planned."
    late = [reminder for reminder in pending if max(reminder.at, reminder.wake_at) <= now]
    first = late[-1] if late else pending[0]
    receivers = join_with_and(
        [
            reminder.receiver
            for reminder in pending
            if (reminder.at, reminder.offset) == (first.at, first.offset)
        ]
    )
    at = format_instant(max(first.at, first.wake_at), record.milestone.zone)
    what = f"{phrase_offset(first.offset)}, to {receivers}"
    if late:
        return f"Next reminder: as soon as a daemon runs, {what}; it was due on {at}."
    return f"Next reminder: {at}, {what}."


def _describe_told(pending: Sequence[ScheduledReminder]) -> str:
    receivers = sorted({reminder.receiver for reminder in pending if reminder.cause is Cause.DONE})
    if not receivers:
        return "Nobody had been told of it, so nobody is."
    return f"{join_with_and(receivers)} had been told of it and will hear so."
