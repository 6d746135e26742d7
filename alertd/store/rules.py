"""What the ledger decides without a database: the same rules for every store, values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from alertd.core.ledger.records import Delivery, DeliveryState, HistoryEntry, ReminderState, ScheduledReminder
from alertd.core.milestones.occurrence import Cause, fingerprint
from alertd.core.milestones.status import Action

REMINDERS = frozenset({Cause.OPENS, Cause.APPROACHING, Cause.DUE, Cause.OVERDUE})
"""The causes of which a later one overtakes an earlier one."""

SHARED_SECRET = "secret"  # noqa: S105  its name
"""Under what the shared secret is remembered; a channel's name has a slash in it."""


def line_of(owed: ScheduledReminder) -> tuple[str, str, str]:
    """Within what one occurrence overtakes another: milestone, receiver, and ``reminder`` or the cause."""
    kind = "reminder" if owed.cause in REMINDERS else owed.cause.value
    return owed.milestone, owed.receiver, kind


def overtaken(
    members: Iterable[ScheduledReminder], latest: Mapping[tuple[str, str, str], datetime]
) -> frozenset[str]:
    """Keys of the members that a bound one of their own line has overtaken; nothing overtakes done.

    Args:
        latest: the greatest ``at`` of what is bound, by line.
    """
    return frozenset(
        owed.key
        for owed in members
        if owed.cause is not Cause.DONE and owed.at < latest.get(line_of(owed), owed.at)
    )


def upcoming(
    members: Iterable[ScheduledReminder],
    shown: Iterable[str],
    receiver: str,
    first: Mapping[tuple[str, str], ScheduledReminder],
) -> Mapping[str, ScheduledReminder]:
    """What comes next for the milestones of the members and for those that a digest shows, by full id.

    Args:
        shown: ids of the latter, and ``receiver`` who gets it.
        first: the first reminder to come, by milestone and receiver.
    """
    found: dict[str, ScheduledReminder] = {}
    pairs = [(owed.milestone, owed.receiver) for owed in members] + [(name, receiver) for name in shown]
    for pair in pairs:
        if pair in first:
            found.setdefault(pair[0], first[pair])
    return found


def brought_up_to_date(old: ScheduledReminder, new: ScheduledReminder) -> ScheduledReminder:
    """What is in the ledger for a key after ``new`` was found to be owed (see ``ports.Changes``)."""
    match old.state:
        case ReminderState.PENDING | ReminderState.CANCELLED:
            return replace(
                old,
                state=new.state,
                at=new.at,
                wake_at=new.wake_at,
                group=new.group,
                move=new.move,
                reason=new.reason,
            )
        case (
            ReminderState.BOUND | ReminderState.SUPERSEDED | ReminderState.SUPPRESSED | ReminderState.EXPIRED
        ):
            return old


def sent_again(delivery: Delivery, now: datetime, by: str) -> Delivery:
    """A dead delivery as it stands once ``by`` has asked for it to be tried again."""
    return replace(
        delivery,
        state=DeliveryState.READY,
        bound_at=now,
        next_at=now,
        settled_at=None,
        reason=f"sent again by {by}",
    )


def entry_of_action(action: Action) -> HistoryEntry:
    """What the history keeps of an action."""
    facts = {
        "until": _instant(action.until) if action.until else "",
        "done_on": action.done_on.isoformat() if action.done_on else "",
        "evidence": action.evidence,
        "how": action.how,
    }
    return HistoryEntry(
        milestone=action.milestone,
        at=action.at,
        kind=action.kind.value,
        by=action.by,
        why=action.why,
        facts={name: text for name, text in facts.items() if text},
    )


def entry_of_retry(milestone: str, delivery: str, now: datetime, by: str) -> HistoryEntry:
    """What the history of a milestone keeps of a delivery that somebody had sent again."""
    return HistoryEntry(milestone=milestone, at=now, kind="retry", by=by, facts={"delivery": delivery})


def entry_key(entry: HistoryEntry) -> str:
    """The name of an entry, made of all that it says: one that is written again adds nothing."""
    facts = [part for pair in sorted(entry.facts.items()) for part in pair]
    return fingerprint(
        "history", entry.milestone, _instant(entry.at), entry.kind, entry.by, entry.why, *facts
    )


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
