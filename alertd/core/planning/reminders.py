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
    by_key = {one.key: one for one in owed}
    receivers = {one.receiver for one in owed if one.cause is not Cause.MOVED}
    wanted: dict[str, ScheduledReminder] = {}
    for one in _make_ladder(milestone, config, now, until):
        before = by_key.get(one.key)
        if before is not None and before.state is ReminderState.PENDING:
            wanted[one.key] = _update_pending(before, one, now)
        else:
            is_new = before is None and one.receiver in receivers
            wanted[one.key] = _arm(one, config, now, is_told=one.receiver in told, is_new=is_new)
    changed = {key: one for key, one in wanted.items() if _is_changed(one, by_key.get(key))}
    gone: dict[str, Reason] = {
        one.key: PlainReason.NOT_OWED
        for one in owed
        if one.state is ReminderState.PENDING and one.key not in wanted and one.cause not in NEWS
    }
    left = [one for one in owed if reconsider and one.key not in changed and one.key not in gone]
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
        replace(one, wake_at=max(one.at, now))
        for one in owed
        if one.state is ReminderState.PENDING and one.wake_at > max(one.at, now)
    )


def _update_pending(before: ScheduledReminder, one: ScheduledReminder, now: datetime) -> ScheduledReminder:
    """What is pending and stays so, whatever :func:`_armed` would make of it today; awake, if it waited."""
    if before.wake_at <= before.at:
        return one
    return replace(one, wake_at=max(one.at, min(before.wake_at, now)), reason=before.reason)


def _arm(
    one: ScheduledReminder, config: Config, now: datetime, *, is_told: bool, is_new: bool
) -> ScheduledReminder:
    """Pending, unless it is past and there is a reason not to send it late."""
    if one.at > now:
        return one
    if now - one.at > config.catch_up:
        days = (now - one.at).days
        return replace(one, state=ReminderState.EXPIRED, reason=TooLateAtLoad(days=days))
    if is_told:
        return replace(one, state=ReminderState.SUPERSEDED, reason=PlainReason.TOLD_BY_MOVE)
    if is_new:
        return replace(one, state=ReminderState.SUPERSEDED, reason=PlainReason.NEW_IN_POLICY)
    return one


def _is_changed(one: ScheduledReminder, before: ScheduledReminder | None) -> bool:
    if before is None or before.state is ReminderState.CANCELLED:
        return True
    return before.state is ReminderState.PENDING and (one.at, one.group) != (before.at, before.group)
