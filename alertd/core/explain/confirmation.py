"""What holds now that somebody has said something of a milestone, in one or two sentences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from alertd.core.ledger.records import Owed, OwedState, Record
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.planning.decide import CHANGES
from alertd.core.words import day_text, instant_text, listing, offset_words


def confirmation(action: Action, record: Record, owed: Sequence[Owed]) -> str:
    """One sentence about the action and one about what comes next."""
    zone = record.milestone.zone
    pending = sorted(
        (one for one in owed if one.state is OwedState.PENDING and one.cause not in CHANGES),
        key=lambda one: (one.at, one.receiver),
    )
    match action.kind:
        case ActionKind.ACK if action.until:
            until = instant_text(action.until, zone)
            rest = _next([one for one in pending if one.at >= action.until], record, action.at)
            return f"Acknowledged {record.id}: no reminder until {until}, unless its date moves. {rest}"
        case ActionKind.SNOOZE if action.until:
            until = instant_text(action.until, zone)
            return f"Snoozed {record.id} until {until}. {_after(action, pending, record)}"
        case ActionKind.DONE if action.done_on:
            day = day_text(action.done_on)
            return f"Done: {record.id} came about on {day}. No further reminder. {_told(pending)}"
        case ActionKind.CANCEL:
            return f"Cancelled {record.id}: no further reminder."
        case _:
            return f"Open again: {record.id}. {_next(pending, record, action.at)}"


def _after(action: Action, pending: Sequence[Owed], record: Record) -> str:
    waiting = [one for one in pending if action.until and one.at <= action.until]
    if waiting:
        receivers = listing(list(dict.fromkeys(one.receiver for one in waiting)))
        return f"What is still true then is sent once, to {receivers}."
    return _next(pending, record, action.at)


def _next(pending: Sequence[Owed], record: Record, now: datetime) -> str:
    """What comes next; of what is late already the tightest, since only that one goes out."""
    if not pending:
        return "No further reminder is planned."
    late = [one for one in pending if max(one.at, one.wake_at) <= now]
    first = late[-1] if late else pending[0]
    receivers = listing([one.receiver for one in pending if (one.at, one.offset) == (first.at, first.offset)])
    at = instant_text(max(first.at, first.wake_at), record.milestone.zone)
    what = f"{offset_words(first.offset)}, to {receivers}"
    if late:
        return f"Next reminder: as soon as a daemon runs, {what}; it was due on {at}."
    return f"Next reminder: {at}, {what}."


def _told(pending: Sequence[Owed]) -> str:
    receivers = sorted({one.receiver for one in pending if one.cause is Cause.DONE})
    if not receivers:
        return "Nobody had been told of it, so nobody is."
    return f"{listing(receivers)} had been told of it and will hear so."
