"""Schedules news: messages that a date moved, or that a milestone is done, acknowledged or cancelled.

Rules that hold here:
- a receiver that got the old date gets the new one, once. A delivery that may have arrived counts as arrived;
- a date that moves back before any receiver got a message about the move or the new date is no news;
- alertd reports several moves within the damping time as one;
- if a milestone is withdrawn and returns, the news that waited before is sent after all;
- if a milestone moves while it is done or cancelled, the news waits until a person reopens the milestone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alertd.core.config import Config, list_followers
from alertd.core.ledger.records import Move, Record, ReminderState, ScheduledReminder, Value
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause, find_first_instant, fingerprint
from alertd.core.milestones.status import ActionKind
from alertd.core.reason import PlainReason, Reason
from alertd.core.routing.labels import list_labels
from alertd.core.routing.route import make_group_key, match_routes

BETWEEN = timedelta(seconds=1)
"""The least time between two moves of the same milestone for the same receiver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Reminders to schedule, and the keys of pending ones to cancel, each with the reason."""

    owed: tuple[ScheduledReminder, ...] = ()
    called_off: tuple[tuple[str, Reason], ...] = ()


def make_move_news(
    record: Record, after: Record, owed: Sequence[ScheduledReminder], config: Config, now: datetime
) -> News:
    """Schedule the messages about a move from ``record`` to ``after``, and cancel earlier pending ones.

    Args:
        record: the milestone before the move.
        after: the milestone after the move.
        owed: all scheduled reminders of the milestone, past ones included.
        now: an aware UTC instant.
    """
    waiting = [
        reminder
        for reminder in owed
        if reminder.cause is Cause.MOVED and reminder.state is ReminderState.PENDING
    ]
    called_off = tuple((reminder.key, PlainReason.MOVED_WHILE_DAMPED) for reminder in waiting)
    told = _find_told(owed)
    near = told or waiting or _is_within_horizon(record.milestone, after.milestone, now)
    if not near:
        return News(called_off=called_off)
    # Only another node's files tell whether an unknown receiver is still to get the news that waits for it.
    unknown = {reminder.receiver for reminder in waiting} - config.receivers.keys()
    made = []
    for receiver, group in _list_news_receivers(after.milestone, Cause.MOVED, told | unknown, config):
        before, since = _find_known_values(receiver, record, after, owed)
        if _list_window_ids(before) == _list_window_ids(after.values):
            if not _was_reminded(receiver, record, after, owed):
                continue
            # The receiver got a reminder of the intermediate date before any message about a move.
            before, since = record.values, None
        # The damping time starts at the first of several moves, so a date that keeps moving is reported too.
        at = max(since or now + config.damping, _find_earliest(receiver, owed, now))
        slot = (str(after.revision), *_list_window_ids(before), "to", *_list_window_ids(after.values))
        move = Move(before=before, after=after.values)
        made.append(_make_news(Cause.MOVED, after.id, "/".join(slot), receiver, group, at, move))
    if record.status.closed:
        # :func:`make_reopened_news` finds the reminder by this reason when a person reopens the milestone.
        closed = PlainReason.MOVED_WHILE_CLOSED
        made = [replace(reminder, state=ReminderState.CANCELLED, reason=closed) for reminder in made]
    return News(owed=tuple(made), called_off=called_off)


def make_reopened_news(
    record: Record, owed: Sequence[ScheduledReminder], now: datetime
) -> tuple[ScheduledReminder, ...]:
    """Schedule the moves that alertd held back while the milestone was closed and that are still true.

    Args:
        record: the milestone, which is open again.
        owed: all scheduled reminders of the milestone, past ones included.
        now: an aware UTC instant.
    """
    found = []
    for last in _find_untold_moves(record, owed):
        if _was_closed(last):
            at = max(last.at, now)
            found.append(replace(last, state=ReminderState.PENDING, at=at, wake_at=at, reason=None))
    return tuple(found)


def make_reopening_news(
    record: Record, owed: Sequence[ScheduledReminder], now: datetime
) -> tuple[ScheduledReminder, ...]:
    """Schedule the news that a person's reopening of a milestone calls for.

    This is :func:`make_reopened_news` and the moves whose delivery alertd stopped because the milestone was
    closed. The arguments are the same.
    """
    stopped = [
        _make_news(Cause.MOVED, record.id, f"reopened/{last.key}", last.receiver, last.group, now, last.move)
        for last in _find_untold_moves(record, owed)
        if last.state in (ReminderState.SUPPRESSED, ReminderState.BOUND)
    ]
    return (*make_reopened_news(record, owed, now), *stopped)


def _find_untold_moves(record: Record, owed: Sequence[ScheduledReminder]) -> Iterable[ScheduledReminder]:
    """Find each receiver's last move, if the receiver did not get it and it is still true."""
    for receiver in sorted({reminder.receiver for reminder in owed}):
        last = _find_last_move(receiver, owed)
        if last is None or last.move is None or last.told_at is not None:
            continue
        if _list_window_ids(last.move.after) == _list_window_ids(record.values):
            yield last


def make_returned_news(record: Record, owed: Sequence[ScheduledReminder]) -> News:
    """Schedule the moves that a withdrawal cancelled and that are true again after the milestone's return."""
    made = []
    for receiver in sorted({reminder.receiver for reminder in owed}):
        last = _find_last_move(receiver, owed)
        if last is None or not _was_withdrawn(last):
            continue
        for reminder in owed:
            # Several moves share the instant if the milestone went and returned more than once.
            # Only the move to the current windows is true.
            beside = reminder.receiver == receiver and reminder.at == last.at and _was_withdrawn(reminder)
            if (
                beside
                and reminder.move
                and _list_window_ids(reminder.move.after) == _list_window_ids(record.values)
            ):
                made.append(replace(reminder, state=ReminderState.PENDING, wake_at=reminder.at, reason=None))
    return News(owed=tuple(made))


def make_done_news(
    record: Record, owed: Sequence[ScheduledReminder], config: Config, now: datetime
) -> tuple[ScheduledReminder, ...]:
    """Schedule the message that a milestone is done, for the receivers that got a message about it before."""
    told = _find_told(owed)
    slot = str(int(now.timestamp() * 1_000_000))
    return tuple(
        _make_news(Cause.DONE, record.id, slot, receiver, group, now)
        for receiver, group in _list_news_receivers(record.milestone, Cause.DONE, told, config)
        if receiver in told
    )


def make_status_news(
    record: Record, owed: Sequence[ScheduledReminder], kind: ActionKind, config: Config, now: datetime
) -> tuple[ScheduledReminder, ...]:
    """Schedule the message that a milestone is acknowledged or cancelled.

    It goes to the receivers that got a message about the milestone before and have a notifier that follows
    its status. Other kinds of action have no such message.
    """
    cause = {ActionKind.ACK: Cause.ACKNOWLEDGED, ActionKind.CANCEL: Cause.CANCELLED}.get(kind)
    if cause is None:
        return ()
    slot, alone = str(int(now.timestamp() * 1_000_000)), (("milestone", record.id),)
    return tuple(
        _make_news(cause, record.id, slot, receiver, alone, now)
        for receiver in sorted(_find_told(owed))
        if receiver in config.receivers and list_followers(config.receivers[receiver])
    )


def _find_told(owed: Iterable[ScheduledReminder]) -> set[str]:
    """Find the receivers that got a message or may have got one, since a bound reminder may be on its way."""
    return {
        reminder.receiver
        for reminder in owed
        if reminder.told_at is not None or reminder.state is ReminderState.BOUND
    }


def _list_news_receivers(
    milestone: Milestone, cause: Cause, told: Iterable[str], config: Config
) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """List the receivers of news, each with its group: those of the routes, and those in ``told``.

    This configuration may not know a receiver in ``told``. Another node may know it, or the fallback receiver
    gets the news after a while.
    """
    labels = list_labels(milestone, cause, cause.value)
    found = {match.receiver: make_group_key(match, labels) for match in match_routes(config.route, labels)}
    for receiver in sorted(told):
        found.setdefault(receiver, (("milestone", milestone.id),))
    return list(found.items())


def _find_known_values(
    receiver: str, record: Record, after: Record, owed: Sequence[ScheduledReminder]
) -> tuple[tuple[Value, ...], datetime | None]:
    """Find the values that a receiver knows, and the instant of the move that already waits; None if none."""
    last = _find_last_move(receiver, owed)
    if last is None or last.move is None:
        return record.values, None
    if last.state is ReminderState.PENDING or _was_withdrawn(last) or _was_closed(last):
        # If the milestone returned with its old windows, the withdrawn move is over and a new one begins.
        undone = _list_window_ids(last.move.before) == _list_window_ids(record.values)
        return last.move.before, None if undone else last.at
    if last.state is ReminderState.SUPPRESSED and record.status.closed:
        return last.move.before, None
    if last.state is ReminderState.BOUND and last.told_at is None:
        # The message may be on its way. If the date is back at its old value, alertd cannot know whether the
        # receiver has the message, so it reports the move back.
        back = _list_window_ids(last.move.before) == _list_window_ids(after.values)
        return record.values if back else last.move.before, None
    return record.values, None


def _was_reminded(receiver: str, record: Record, after: Record, owed: Iterable[ScheduledReminder]) -> bool:
    """Tell whether the receiver got a reminder of a window that is gone, since the last change of dates."""
    gone = set(record.window_ids) - set(after.window_ids)
    return any(
        reminder.receiver == receiver
        and reminder.state is ReminderState.BOUND
        and reminder.window_id in gone
        and (reminder.told_at or reminder.at) >= record.changed_at
        for reminder in owed
    )


def _find_earliest(receiver: str, owed: Iterable[ScheduledReminder], now: datetime) -> datetime:
    """Find the earliest instant for the next move, which is later than that of every bound move.

    If a clock ran ahead, the last move may lie in the future. The latest move counts, so the next has to be
    later.
    """
    bound = [
        reminder.at + BETWEEN
        for reminder in owed
        if reminder.cause is Cause.MOVED
        and reminder.receiver == receiver
        and reminder.state is ReminderState.BOUND
    ]
    return max(bound, default=now)


def _find_last_move(receiver: str, owed: Iterable[ScheduledReminder]) -> ScheduledReminder | None:
    moves = [reminder for reminder in owed if reminder.cause is Cause.MOVED and reminder.receiver == receiver]
    return max(moves, key=lambda reminder: (reminder.at, _rank_move(reminder)), default=None)


def _rank_move(reminder: ScheduledReminder) -> int:
    """Rank the moves that share an instant: a pending one is the last, then a bound one."""
    if _was_withdrawn(reminder) or _was_closed(reminder):
        return 1
    return {ReminderState.PENDING: 3, ReminderState.BOUND: 2}.get(reminder.state, 0)


def _was_closed(reminder: ScheduledReminder) -> bool:
    return reminder.state is ReminderState.CANCELLED and reminder.reason is PlainReason.MOVED_WHILE_CLOSED


def _was_withdrawn(reminder: ScheduledReminder) -> bool:
    return reminder.state is ReminderState.CANCELLED and reminder.reason is PlainReason.WITHDRAWN


def _is_within_horizon(old: Milestone, new: Milestone, now: datetime) -> bool:
    """Tell whether the first reminder of the old or of the new date was already due."""
    return any(at is not None and at <= now for at in (find_first_instant(old), find_first_instant(new)))


def _list_window_ids(values: Iterable[Value]) -> tuple[str, ...]:
    return tuple(sorted(value.window_id for value in values))


def _make_news(  # noqa: PLR0917  a constructor by another name
    cause: Cause,
    milestone: str,
    slot: str,
    receiver: str,
    group: tuple[tuple[str, str], ...],
    at: datetime,
    move: Move | None = None,
) -> ScheduledReminder:
    return ScheduledReminder(
        key=fingerprint(cause.value, milestone, slot, receiver),
        milestone=milestone,
        receiver=receiver,
        cause=cause,
        offset=cause.value,
        window_id="",
        at=at,
        wake_at=at,
        group=group,
        move=move,
    )
