"""Decide what every kind of ledger decides in the same way. The functions are pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alertd.core.ledger.outcome import LONGEST_WAIT
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.milestones.occurrence import Cause, fingerprint
from alertd.core.milestones.status import Action
from alertd.core.reason import PlainReason, SentAgainBy, TooLate, TooLateAtLoad
from alertd.ports import KeptConfig

REMINDERS = frozenset({Cause.OPENS, Cause.APPROACHING, Cause.DUE, Cause.OVERDUE})
"""The causes that supersede each other: a later reminder makes an earlier one obsolete."""

SHARED_SECRET = "secret"  # noqa: S105  the name, not the secret
"""The name under which the shared secret is stored. No channel has this name: channel names have a slash."""

KEPT_CONFIG = ("alertd.yaml", "kept")
"""Where the kept configuration is stored: no milestone and no channel has these names.

It is apart from the state of the channels, which every lease reads.
"""


def pack_kept_config(kept: KeptConfig) -> dict[str, str]:
    """Return the stored form of the kept configuration."""
    return {"text": kept.text, "node": kept.node, "at": kept.at.isoformat()}


def unpack_kept_config(state: Mapping[str, str]) -> KeptConfig | None:
    """Return the kept configuration from its stored form; None if no text is kept."""
    if not state["text"]:
        return None
    return KeptConfig(text=state["text"], node=state["node"], at=datetime.fromisoformat(state["at"]))


TOLERANCE = timedelta(minutes=1)
"""How far in the future an instant of another node may lie, whose clock differs a little."""


def make_line_key(owed: ScheduledReminder) -> tuple[str, str, str]:
    """Return the key of the series in which a later reminder overtakes an earlier one.

    The key is the milestone, the receiver, and the cause or ``reminder`` for the causes in :data:`REMINDERS`.
    """
    kind = "reminder" if owed.cause in REMINDERS else owed.cause.value
    return owed.milestone, owed.receiver, kind


def find_overtaken(
    members: Iterable[ScheduledReminder], latest: Mapping[tuple[str, str, str], datetime]
) -> frozenset[str]:
    """Return the keys of the members that a later bound reminder of the same series has overtaken.

    A reminder with the cause ``done`` is never overtaken.

    Args:
        latest: the latest ``at`` of the bound reminders, by the key of :func:`make_line_key`.
    """
    return frozenset(
        owed.key
        for owed in members
        if owed.cause is not Cause.DONE and owed.at < latest.get(make_line_key(owed), owed.at)
    )


def find_owed_elsewhere(
    members: Iterable[ScheduledReminder], owed: Iterable[ScheduledReminder]
) -> dict[str, frozenset[str]]:
    """Return the other receivers to which the occurrence of each member is owed, by the member's key.

    Args:
        owed: all reminders of the members' milestones.
    """
    receivers: dict[tuple[str, str, str, Cause], set[str]] = {}
    for other in owed:
        if other.state in (ReminderState.PENDING, ReminderState.BOUND, ReminderState.SUPERSEDED):
            occurrence = other.milestone, other.window_id, other.offset, other.cause
            receivers.setdefault(occurrence, set()).add(other.receiver)
    return {
        owed.key: frozenset(
            receivers.get((owed.milestone, owed.window_id, owed.offset, owed.cause), set()) - {owed.receiver}
        )
        for owed in members
    }


def select_upcoming(
    members: Iterable[ScheduledReminder],
    shown: Iterable[str],
    receiver: str,
    first: Mapping[tuple[str, str], ScheduledReminder],
) -> Mapping[str, ScheduledReminder]:
    """Return the next reminder of each milestone in a message, by the milestone's full id.

    Args:
        members: the reminders in the message.
        shown: ids of the milestones that a digest shows in its overview.
        receiver: the digest's receiver.
        first: the next reminder by milestone and receiver.
    """
    found: dict[str, ScheduledReminder] = {}
    pairs = [(owed.milestone, owed.receiver) for owed in members] + [(name, receiver) for name in shown]
    for pair in pairs:
        if pair in first:
            found.setdefault(pair[0], first[pair])
    return found


def update_owed(old: ScheduledReminder, new: ScheduledReminder) -> ScheduledReminder:
    """Return what the ledger stores for a key after reconciling has planned ``new``.

    Only a pending or cancelled reminder changes; see :class:`alertd.ports.Changes`.
    """
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


def has_changed(leased: Record, current: Record) -> bool:
    """Tell whether a record has changed since a lease in what decides whether a reminder is sent."""
    return (leased.status, leased.changed_at, leased.withdrawn) != (
        current.status,
        current.changed_at,
        current.withdrawn,
    )


def count_lost_lease(delivery: Delivery) -> Delivery:
    """Return a delivery whose last lease ended without a settlement, with that lease counted."""
    return replace(delivery, attempts=delivery.attempts + 1, lost_leases=delivery.lost_leases + 1)


def make_lost_attempt(delivery: Delivery, now: datetime) -> Attempt:
    """Return the attempt that a lost lease stands for: how it ended is unknown.

    Args:
        delivery: the delivery with the lost lease counted.
        now: when the loss was found, an aware UTC instant.
    """
    return Attempt(
        delivery=delivery.id,
        number=delivery.attempts,
        at=now,
        took_ms=0,
        outcome="unknown",
        reason=PlainReason.LEASE_LOST,
    )


def choose_lost(found: Iterable[tuple[str, str, int]], *, alone: bool) -> list[str]:
    """Choose few of the deliveries whose last lease was lost; see :class:`alertd.ports.LostLeases`.

    Args:
        found: the id, the channel and the number of lost leases of each, the oldest first.
    """
    by_channel: dict[str, str] = {}
    repeated: list[str] = []
    for name, channel, lost in found:
        if lost > 1:
            repeated.append(name)
        else:
            by_channel.setdefault(channel, name)
    if by_channel or not alone:
        return list(by_channel.values())
    return repeated[:1]


def reset_delivery(delivery: Delivery, now: datetime, by: str) -> Delivery:
    """Return a dead delivery as a ready one, because the person ``by`` asked for a retry."""
    return replace(
        delivery,
        state=DeliveryState.READY,
        bound_at=now,
        next_at=now,
        settled_at=None,
        tried_from=None,
        reason=SentAgainBy(by=by),
        lost_leases=0,
    )


def is_misjudged(owed: ScheduledReminder, now: datetime, catch_up: timedelta) -> bool:
    """Return whether a clock that was ahead recorded a reminder as expired that is not too late by now.

    The reason says by how many days the reminder was late, and so when it was judged at the earliest.
    """
    due_at = max(owed.at, owed.wake_at)
    late = owed.reason.days if isinstance(owed.reason, TooLate | TooLateAtLoad) else 0
    is_from_the_future = due_at + timedelta(days=late) > now
    return owed.state is ReminderState.EXPIRED and due_at > now - catch_up and is_from_the_future


def repair_delivery(delivery: Delivery, now: datetime) -> Delivery:
    """Return a ready delivery without the wait and the retry horizon that a clock that was ahead has set."""
    if delivery.state is not DeliveryState.READY:
        return delivery
    next_at = now if delivery.next_at > now + LONGEST_WAIT else delivery.next_at
    tried_from = now if delivery.horizon_start > now + TOLERANCE else delivery.tried_from
    return replace(delivery, next_at=next_at, tried_from=tried_from)


def make_action_entry(action: Action) -> HistoryEntry:
    """Return the history entry of an action."""
    facts = {
        "until": _format_instant(action.until) if action.until else "",
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


def make_retry_entry(milestone: str, delivery: str, now: datetime, by: str) -> HistoryEntry:
    """Return the history entry of a milestone for a delivery that the person ``by`` retried."""
    return HistoryEntry(milestone=milestone, at=now, kind="retry", by=by, facts={"delivery": delivery})


def make_entry_key(entry: HistoryEntry) -> str:
    """Return a fingerprint of an entry.

    The ledger stores one entry for each fingerprint, so a repeated write adds nothing.
    """
    facts = [part for pair in sorted(entry.facts.items()) for part in pair]
    return fingerprint(
        "history", entry.milestone, _format_instant(entry.at), entry.kind, entry.by, entry.why, *facts
    )


def _format_instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
