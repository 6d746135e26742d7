"""Rearming: updates the scheduled reminders of a milestone after its dates or its policy changed.

Rules that hold here:
- a reminder that was bound, superseded, suppressed or expired is never scheduled again. A cancelled one may
  be;
- a past reminder is sent late if it is within the catch-up time. It is not sent if a message about a move
  already gives the same facts, or if the policy has just gained it and the receiver had others before;
- a reminder that waits for the end of a mute or a snooze keeps waiting, unless the caller reconsiders it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alertd.core.config import Config
from alertd.core.ledger.records import ReminderState, ScheduledReminder
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause, list_occurrences
from alertd.core.planning.decide import NEWS
from alertd.core.planning.plan import plan_occurrence
from alertd.core.reason import PlainReason, Reason, TooLateAtLoad


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


def rearm(  # noqa: PLR0917  both states, and the range of time
    milestone: Milestone,
    owed: Sequence[ScheduledReminder],
    told: frozenset[str],
    config: Config,
    now: datetime,
    until: datetime,
    *,
    reconsider: bool = False,
) -> LadderChange:
    """Compare the scheduled reminders of a milestone with those that it should have.

    Args:
        milestone: relative claims resolved, recurrence expanded.
        owed: all scheduled reminders of the milestone, past ones included.
        told: receivers that get a message about the move, which describes the new dates.
        now, until: aware UTC instants. Reminders after ``until`` are not scheduled yet.
        reconsider: decide again about deferred reminders, since the rule that defers them may be gone.
    """
    by_key = {reminder.key: reminder for reminder in owed}
    receivers = {reminder.receiver for reminder in owed if reminder.cause is not Cause.MOVED}
    wanted: dict[str, ScheduledReminder] = {}
    for reminder in _make_ladder(milestone, config, now, until):
        before = by_key.get(reminder.key)
        if before is not None and before.state is ReminderState.PENDING:
            wanted[reminder.key] = _update_pending(before, reminder, now)
        else:
            is_new = before is None and reminder.receiver in receivers
            wanted[reminder.key] = _arm(
                reminder, config, now, is_told=reminder.receiver in told, is_new=is_new
            )
    changed = {key: reminder for key, reminder in wanted.items() if _is_changed(reminder, by_key.get(key))}
    gone: dict[str, Reason] = {
        reminder.key: PlainReason.NOT_OWED
        for reminder in owed
        if reminder.state is ReminderState.PENDING
        and reminder.key not in wanted
        and reminder.cause not in NEWS
    }
    left = [
        reminder
        for reminder in owed
        if reconsider and reminder.key not in changed and reminder.key not in gone
    ]
    return LadderChange(owed=tuple(changed.values()), cancelled=tuple(gone.items()), woken=wake(left, now))


def _make_ladder(
    milestone: Milestone, config: Config, now: datetime, until: datetime
) -> Iterable[ScheduledReminder]:
    beginning = datetime.min.replace(tzinfo=now.tzinfo)
    for occurrence in list_occurrences(milestone, beginning, until):
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
