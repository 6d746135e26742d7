"""Arming: what a milestone's ladder makes owed now, beside what was owed before.

Rules that hold here:
- what was bound, superseded, suppressed or expired is never owed again; what was cancelled may be;
- what is past is sent late only to whom it is news: within the catch-up time, unless a moved message
  says it all or the rung is new in the ladder of somebody who has been told already;
- what waits for the end of a mute or a snooze goes on waiting, unless it is to be reconsidered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alertd.core.config import Config
from alertd.core.ledger.records import ReminderState, ScheduledReminder
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause, occurrences
from alertd.core.planning.decide import NEWS
from alertd.core.planning.plan import plan_occurrence
from alertd.core.reason import PlainReason, Reason, TooLateAtLoad


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderChange:
    """What is to be written.

    Attributes:
        owed: owed anew, or otherwise than before.
        cancelled: keys that are owed no more, with why.
        woken: owed as before, and to be looked at anew.
    """

    owed: tuple[ScheduledReminder, ...]
    cancelled: tuple[tuple[str, Reason], ...]
    woken: tuple[ScheduledReminder, ...] = ()


def rearm(  # noqa: PLR0917  all of them say from what to what
    milestone: Milestone,
    owed: Sequence[ScheduledReminder],
    told: frozenset[str],
    config: Config,
    now: datetime,
    until: datetime,
    *,
    reconsider: bool = False,
) -> LadderChange:
    """How what is owed differs from what should be.

    Args:
        milestone: relative claims resolved, recurrence expanded.
        owed: all that is or was owed for it.
        told: receivers whom a moved message tells where the new date stands.
        until: how far ahead to look.
        reconsider: have what waits looked at anew: what it waits for may be gone.
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
    for occurrence in occurrences(milestone, beginning, until):
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
    """What waits for a mute or a snooze to end, to be looked at now: whether it still has to wait.

    It is awake from ``now`` on and not from when it was due: what has waited on purpose is not late.
    """
    return tuple(
        replace(reminder, wake_at=max(reminder.at, now))
        for reminder in owed
        if reminder.state is ReminderState.PENDING and reminder.wake_at > max(reminder.at, now)
    )


def _update_pending(
    before: ScheduledReminder, reminder: ScheduledReminder, now: datetime
) -> ScheduledReminder:
    """What is pending and stays so, whatever :func:`_armed` would make of it today; awake, if it waited."""
    if before.wake_at <= before.at:
        return reminder
    return replace(reminder, wake_at=max(reminder.at, min(before.wake_at, now)), reason=before.reason)


def _arm(
    reminder: ScheduledReminder, config: Config, now: datetime, *, is_told: bool, is_new: bool
) -> ScheduledReminder:
    """Pending, unless it is past and there is a reason not to send it late."""
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
