"""Rearming: updates the scheduled reminders of a milestone after its dates or its policy changed.

Rules that hold here:
- a reminder that was bound, superseded, suppressed or expired is never scheduled again. A cancelled one may
  be;
- a past reminder is sent late if it is within the catch-up time. It is not sent if a message about a move
  already gives the same facts, or if the policy has just gained it and the receiver had others before;
- of the repeats of `then_every`, the last due one and the next few are in the ledger. A decision about a due
  repeat schedules the following ones. After a long pause, the repeats between are never written down;
- while a milestone is done or cancelled, no further repeats are scheduled;
- a reminder that waits for the end of a mute or a snooze keeps waiting, unless the caller reconsiders it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from alertd.core.config import Config
from alertd.core.ledger.records import Record, ReminderState, ScheduledReminder
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import (
    Cause,
    Occurrence,
    list_occurrences,
    list_repeats,
    list_steps,
)
from alertd.core.planning.decide import NEWS, find_objection
from alertd.core.planning.plan import plan_occurrence
from alertd.core.reason import PlainReason, Reason, TooLateAtLoad

HORIZON = timedelta(days=400)
"""How far ahead the ledger has reminders. Each reconciliation, at least once a day, extends the horizon."""

NEVER = datetime.max.replace(tzinfo=UTC)

_NEAR = timedelta(days=4)
"""How far a change of the policy's time of day, of the zone or of the working days moves a reminder, at most
for most changes. A reminder that moves further is scheduled anew."""

_FAR = timedelta(days=30)
"""A repeat that is further ahead is scheduled with each decision, since it may have been beyond the
horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderChange:
    """The changes to write to the ledger.

    Attributes:
        owed: new or changed reminders.
        cancelled: the keys of reminders to cancel, with the reasons.
        woken: unchanged reminders that alertd has to decide about again.
    """

    owed: tuple[ScheduledReminder, ...]
    cancelled: tuple[tuple[str, Reason], ...]
    woken: tuple[ScheduledReminder, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The reminders that the ledger has to hold for a milestone, as new ones, by key.

    Attributes:
        repeats: the keys of those that are repeats of ``then_every``.
    """

    milestone: Milestone
    steps: Mapping[str, ScheduledReminder]
    repeats: frozenset[str]

    def list_past_keys(self, now: datetime) -> list[str]:
        """List the keys of the reminders that are due at ``now``."""
        return [key for key, reminder in self.steps.items() if reminder.at <= now]


def make_ladder(milestone: Milestone, config: Config, now: datetime, until: datetime) -> Ladder:
    """Make the reminders of a milestone up to ``until``, and of the repeats only those around ``now``.

    Args:
        milestone: relative claims resolved, recurrence expanded.
        now, until: aware UTC instants.
    """
    repeats = [
        repeat
        for repeat in list_repeats(milestone, now, until)
        if repeat.at > now or now - repeat.at <= config.catch_up
    ]
    repeating = {reminder.key: reminder for reminder in schedule(milestone, repeats, config)}
    steps = {reminder.key: reminder for reminder in schedule(milestone, list_steps(milestone, until), config)}
    return Ladder(milestone=milestone, steps=steps | repeating, repeats=frozenset(repeating))


def schedule(
    milestone: Milestone, occurrences: Iterable[Occurrence], config: Config
) -> Iterator[ScheduledReminder]:
    """Make a pending reminder of each occurrence for each of its receivers."""
    for occurrence in occurrences:
        for planned in plan_occurrence(milestone, occurrence, config.route):
            yield ScheduledReminder(
                key=planned.key,
                milestone=milestone.id,
                receiver=planned.receiver,
                cause=occurrence.cause,
                offset=occurrence.offset,
                window_id=occurrence.stated.window.id,
                at=occurrence.at,
                wake_at=occurrence.at,
                group=planned.group,
            )


def rearm(  # noqa: PLR0917  both states
    ladder: Ladder,
    before: Record | None,
    owed: Sequence[ScheduledReminder],
    told: frozenset[str],
    config: Config,
    now: datetime,
    *,
    reconsider: bool = False,
    elsewhere: Set[str] = frozenset(),
) -> LadderChange:
    """Compare the scheduled reminders of a milestone with those that it should have.

    Args:
        before: the record of the milestone as the ledger has it; None if it has none.
        owed: the reminders in the ledger that are pending, those that ``ladder`` has, and at least one
            reminder of each receiver that has any.
        told: receivers that get a message about the move, which describes the new dates.
        now: an aware UTC instant.
        reconsider: decide again about deferred reminders, since the rule that defers them may be gone.
        elsewhere: receivers that ``config`` does not have and another node knows. Their reminders stay as
            they are.
    """
    by_key = {reminder.key: reminder for reminder in owed}
    receivers = {reminder.receiver for reminder in owed if reminder.cause is not Cause.MOVED}
    known = _list_repeat_slots(before, now) if before is not None else frozenset[tuple[str, str]]()
    wanted: dict[str, ScheduledReminder] = {}
    for key, reminder in (*ladder.steps.items(), *_list_further(ladder, owed, config).items()):
        there = by_key.get(key)
        if there is not None and there.state is ReminderState.PENDING:
            wanted[key] = _update_pending(there, reminder, now)
        elif key in ladder.repeats and there is None and before is not None and before.status.closed:
            continue
        else:
            # A repeat that fell due while nothing ran is not in the ledger, although the policy is not new.
            was_due = key in ladder.repeats and (reminder.window_id, reminder.offset) in known
            is_new = there is None and reminder.receiver in receivers and not was_due
            wanted[key] = _arm(reminder, config, now, is_told=reminder.receiver in told, is_new=is_new)
    changed = {key: reminder for key, reminder in wanted.items() if _is_changed(reminder, by_key.get(key))}
    gone: dict[str, Reason] = {
        reminder.key: PlainReason.NOT_OWED
        for reminder in owed
        if reminder.state is ReminderState.PENDING
        and reminder.key not in wanted
        and reminder.cause not in NEWS
        and reminder.receiver not in elsewhere
    }
    left = [
        reminder
        for reminder in owed
        if reconsider and reminder.key not in changed and reminder.key not in gone
    ]
    return LadderChange(owed=tuple(changed.values()), cancelled=tuple(gone.items()), woken=wake(left, now))


def list_following_repeats(
    due: Iterable[tuple[ScheduledReminder, Record]], config: Config, now: datetime
) -> tuple[ScheduledReminder, ...]:
    """List the repeats that come into the ledger because others have fallen due.

    Args:
        due: pending reminders with ``at <= now``.
        now: an aware UTC instant.
    """
    found: list[ScheduledReminder] = []
    for record, members in _group_repeating(due):
        first = min(reminder.at for reminder in members) - timedelta(microseconds=1)
        there = {
            (repeat.stated.window.id, repeat.offset)
            for repeat in list_repeats(record.milestone, first, NEVER)
        }
        coming = [
            repeat
            for repeat in list_repeats(record.milestone, now, now + HORIZON)
            if repeat.at > now
            and ((repeat.stated.window.id, repeat.offset) not in there or repeat.at - now > _FAR)
        ]
        found += schedule(record.milestone, coming, config)
    return tuple(found)


def list_missed_repeats(
    due: Iterable[tuple[ScheduledReminder, Record]], config: Config, now: datetime
) -> tuple[ScheduledReminder, ...]:
    """List the last due repeats that may not be in the ledger, because nothing ran when they fell due.

    The arguments are those of :func:`list_following_repeats`.
    """
    found: list[ScheduledReminder] = []
    for record, members in _group_repeating(due):
        last: dict[str, datetime] = {}
        for reminder in members:
            last[reminder.receiver] = max(reminder.at, last.get(reminder.receiver, reminder.at))
        passed = [
            repeat
            for repeat in list_repeats(record.milestone, now, now + HORIZON)
            if repeat.at <= now and now - repeat.at <= config.catch_up
        ]
        found += [
            reminder
            for reminder in schedule(record.milestone, passed, config)
            if reminder.receiver in last and reminder.at > last[reminder.receiver]
        ]
    return tuple(found)


def _group_repeating(
    due: Iterable[tuple[ScheduledReminder, Record]],
) -> Iterable[tuple[Record, Sequence[ScheduledReminder]]]:
    """Group the overdue reminders by milestone, without those after which nothing repeats."""
    found: dict[str, tuple[Record, list[ScheduledReminder]]] = {}
    for reminder, record in due:
        repeats = record.milestone.policy.then_every is not None
        if repeats and reminder.cause is Cause.OVERDUE and not record.withdrawn and not record.status.closed:
            found.setdefault(record.id, (record, []))[1].append(reminder)
    return found.values()


def make_reopened_repeats(
    record: Record, owed: Iterable[ScheduledReminder], config: Config, now: datetime
) -> tuple[ScheduledReminder, ...]:
    """Schedule the coming repeats of a milestone that a person reopens.

    While a milestone is closed, no repeats are scheduled. The last repeat that fell due in this time is
    recorded as suppressed, so that it is not taken for a reminder that was missed.

    Args:
        record: the milestone, which is still closed.
        owed: the reminders of the milestone that the ledger has already.
        now: an aware UTC instant.
    """
    there = {reminder.key for reminder in owed if reminder.state is not ReminderState.CANCELLED}
    repeats = schedule(record.milestone, list_repeats(record.milestone, now, now + HORIZON), config)
    return tuple(
        reminder
        if reminder.at > now
        else replace(
            reminder, state=ReminderState.SUPPRESSED, reason=find_objection(reminder, record, reminder.at)
        )
        for reminder in repeats
        if reminder.key not in there
    )


def _list_repeat_slots(record: Record, now: datetime) -> frozenset[tuple[str, str]]:
    """List the window and the offset of each repeat that the definition in the ledger asks for now."""
    return frozenset(
        (repeat.stated.window.id, repeat.offset) for repeat in list_repeats(record.milestone, now, NEVER)
    )


def _list_further(
    ladder: Ladder, owed: Iterable[ScheduledReminder], config: Config
) -> Mapping[str, ScheduledReminder]:
    """List the pending repeats that the ladder leaves out and the policy still asks for.

    Such are deferred repeats, and those that an older alertd scheduled further ahead.
    """
    milestone = ladder.milestone
    if milestone.policy.then_every is None:
        return {}
    at = {
        reminder.key: reminder.at
        for reminder in owed
        if reminder.state is ReminderState.PENDING
        and reminder.cause is Cause.OVERDUE
        and reminder.key not in ladder.steps
    }
    if not at:
        return {}
    since, until = min(at.values()) - _NEAR, max(at.values()) + _NEAR
    further = schedule(milestone, list_occurrences(milestone, since, until), config)
    return {reminder.key: reminder for reminder in further if reminder.key in at}


def wake(owed: Iterable[ScheduledReminder], now: datetime) -> tuple[ScheduledReminder, ...]:
    """Return the deferred reminders with ``wake_at`` set to ``now``, so that alertd decides about them again.

    ``wake_at`` does not go back to the due instant, because a deferred reminder does not count as late.

    Args:
        now: an aware UTC instant.
    """
    return tuple(
        replace(reminder, wake_at=max(reminder.at, now))
        for reminder in owed
        if reminder.state is ReminderState.PENDING and reminder.wake_at > max(reminder.at, now)
    )


def _update_pending(
    before: ScheduledReminder, reminder: ScheduledReminder, now: datetime
) -> ScheduledReminder:
    """Return a pending reminder with its new instant and group.

    It stays pending, even if :func:`_arm` would not schedule it today. A deferred reminder is decided about
    again.
    """
    if before.wake_at <= before.at:
        return reminder
    return replace(reminder, wake_at=max(reminder.at, min(before.wake_at, now)), reason=before.reason)


def _arm(
    reminder: ScheduledReminder, config: Config, now: datetime, *, is_told: bool, is_new: bool
) -> ScheduledReminder:
    """Return a new reminder as pending, or with another state if it is past and must not be sent late."""
    if reminder.at > now:
        return reminder
    if now - reminder.at > config.catch_up:
        days = (now - reminder.at).days
        return replace(reminder, state=ReminderState.EXPIRED, reason=TooLateAtLoad(days=days))
    if is_told:
        return replace(reminder, state=ReminderState.SUPERSEDED, reason=PlainReason.TOLD_BY_MOVE)
    if is_new:
        return replace(reminder, state=ReminderState.SUPERSEDED, reason=PlainReason.NEW_IN_POLICY)
    return reminder


def _is_changed(reminder: ScheduledReminder, before: ScheduledReminder | None) -> bool:
    if before is None or before.state is ReminderState.CANCELLED:
        return True
    return before.state is ReminderState.PENDING and (reminder.at, reminder.group) != (
        before.at,
        before.group,
    )
