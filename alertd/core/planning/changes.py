"""What is owed as news: that a date moved, that something is done; and what is no news after all.

Rules that hold here:
- whoever was told an old date is told the new one, once; whoever may have been told counts as told;
- what moves back before anybody was told or reminded of it is no news, and several moves are told as one;
- a milestone that was withdrawn and has returned still owes the news that it owed before;
- what moved while it was done or cancelled is no news until somebody reopens it, and then it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alertd.core.config import Config, followers_of
from alertd.core.ledger.records import Move, Record, ReminderState, ScheduledReminder, Value
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause, fingerprint, first_instant
from alertd.core.milestones.status import ActionKind
from alertd.core.reason import PlainReason, Reason
from alertd.core.routing.labels import labels_of
from alertd.core.routing.route import group_key, match_routes

BETWEEN = timedelta(seconds=1)
"""Two moves of one milestone are at least so far apart for one receiver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is owed, and keys of what is owed no more, each with the reason."""

    owed: tuple[ScheduledReminder, ...] = ()
    called_off: tuple[tuple[str, Reason], ...] = ()


def make_move_news(
    record: Record, after: Record, owed: Sequence[ScheduledReminder], config: Config, now: datetime
) -> News:
    """The moved messages for a change from ``record`` to ``after``; earlier ones that wait are called off.

    Args:
        owed: all that is or was owed for the milestone.
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
    made = []
    for receiver, group in _list_news_receivers(after.milestone, Cause.MOVED, told, config):
        before, since = _find_known_values(receiver, record, after, owed)
        if _list_window_ids(before) == _list_window_ids(after.values):
            if not _was_reminded(receiver, record, after, owed):
                continue
            # It was reminded of the date that has gone again, before it heard that there had been a move.
            before, since = record.values, None
        # The damping time runs from the first of several moves: a date that keeps moving is still told.
        at = max(since or now + config.damping, _find_earliest(receiver, owed, now))
        slot = (str(after.revision), *_list_window_ids(before), "to", *_list_window_ids(after.values))
        move = Move(before=before, after=after.values)
        made.append(_make_news(Cause.MOVED, after.id, "/".join(slot), receiver, group, at, move))
    if record.status.closed:
        # It is found by this reason when somebody reopens the milestone.
        closed = PlainReason.MOVED_WHILE_CLOSED
        made = [replace(reminder, state=ReminderState.CANCELLED, reason=closed) for reminder in made]
    return News(owed=tuple(made), called_off=called_off)


def make_reopened_news(
    record: Record, owed: Sequence[ScheduledReminder], now: datetime
) -> tuple[ScheduledReminder, ...]:
    """The moves that were not told because the milestone was closed, and are true now that it is open."""
    found = []
    for last in _find_untold_moves(record, owed):
        if _was_closed(last):
            at = max(last.at, now)
            found.append(replace(last, state=ReminderState.PENDING, at=at, wake_at=at, reason=None))
    return tuple(found)


def make_reopening_news(
    record: Record, owed: Sequence[ScheduledReminder], now: datetime
) -> tuple[ScheduledReminder, ...]:
    """The same at the moment at which it is reopened, with what was stopped because it had been closed."""
    stopped = [
        _make_news(Cause.MOVED, record.id, f"reopened/{last.key}", last.receiver, last.group, now, last.move)
        for last in _find_untold_moves(record, owed)
        if last.state in (ReminderState.SUPPRESSED, ReminderState.BOUND)
    ]
    return (*make_reopened_news(record, owed, now), *stopped)


def _find_untold_moves(record: Record, owed: Sequence[ScheduledReminder]) -> Iterable[ScheduledReminder]:
    """Each receiver's last move, if it was not told of it and it still stands."""
    for receiver in sorted({reminder.receiver for reminder in owed}):
        last = _find_last_move(receiver, owed)
        if last is None or last.move is None or last.told_at is not None:
            continue
        if _list_window_ids(last.move.after) == _list_window_ids(record.values):
            yield last


def make_returned_news(record: Record, owed: Sequence[ScheduledReminder]) -> News:
    """The moved messages that a withdrawal called off and that are true again now that it has returned."""
    made = []
    for receiver in sorted({reminder.receiver for reminder in owed}):
        last = _find_last_move(receiver, owed)
        if last is None or not _was_withdrawn(last):
            continue
        for reminder in owed:
            # Several may share the instant, when it went and came more than once: the true one is meant.
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
    """The done messages for those who were told something of this milestone."""
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
    """That it is acknowledged or cancelled, for those who were told something and have what follows that."""
    cause = {ActionKind.ACK: Cause.ACKNOWLEDGED, ActionKind.CANCEL: Cause.CANCELLED}.get(kind)
    if cause is None:
        return ()
    slot, alone = str(int(now.timestamp() * 1_000_000)), (("milestone", record.id),)
    return tuple(
        _make_news(cause, record.id, slot, receiver, alone, now)
        for receiver in sorted(_find_told(owed))
        if receiver in config.receivers and followers_of(config.receivers[receiver])
    )


def _find_told(owed: Iterable[ScheduledReminder]) -> set[str]:
    """Who was told something, or may have been: what is bound may be on its way."""
    return {
        reminder.receiver
        for reminder in owed
        if reminder.told_at is not None or reminder.state is ReminderState.BOUND
    }


def _list_news_receivers(
    milestone: Milestone, cause: Cause, told: Iterable[str], config: Config
) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Who hears news, with the group it is told in: whom the routes name, and whoever was told before."""
    labels = labels_of(milestone, cause, cause.value)
    found = {match.receiver: group_key(match, labels) for match in match_routes(config.route, labels)}
    for receiver in sorted(told):
        if receiver in config.receivers:
            found.setdefault(receiver, (("milestone", milestone.id),))
    return list(found.items())


def _find_known_values(
    receiver: str, record: Record, after: Record, owed: Sequence[ScheduledReminder]
) -> tuple[tuple[Value, ...], datetime | None]:
    """The values that a receiver knows of, and when it is to be told of others if that is settled already."""
    last = _find_last_move(receiver, owed)
    if last is None or last.move is None:
        return record.values, None
    if last.state is ReminderState.PENDING or _was_withdrawn(last) or _was_closed(last):
        # A move that was withdrawn, and undone when it returned, is over: another one begins anew.
        undone = _list_window_ids(last.move.before) == _list_window_ids(record.values)
        return last.move.before, None if undone else last.at
    if last.state is ReminderState.SUPPRESSED and record.status.closed:
        return last.move.before, None
    if last.state is ReminderState.BOUND and last.told_at is None:
        # It may be on its way: when the date is what it was before, nobody knows what has arrived.
        back = _list_window_ids(last.move.before) == _list_window_ids(after.values)
        return record.values if back else last.move.before, None
    return record.values, None


def _was_reminded(receiver: str, record: Record, after: Record, owed: Iterable[ScheduledReminder]) -> bool:
    """Whether a reminder of a date that has gone was sent since that date came."""
    gone = set(record.window_ids) - set(after.window_ids)
    return any(
        reminder.receiver == receiver
        and reminder.state is ReminderState.BOUND
        and reminder.window_id in gone
        and (reminder.told_at or reminder.at) >= record.changed_at
        for reminder in owed
    )


def _find_earliest(receiver: str, owed: Iterable[ScheduledReminder], now: datetime) -> datetime:
    """Later than what went out last, also when that was by a clock that was ahead: the later move counts."""
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
    """Moves within one damping time share their instant: the last is what waits, else what went out."""
    if _was_withdrawn(reminder) or _was_closed(reminder):
        return 1
    return {ReminderState.PENDING: 3, ReminderState.BOUND: 2}.get(reminder.state, 0)


def _was_closed(reminder: ScheduledReminder) -> bool:
    return reminder.state is ReminderState.CANCELLED and reminder.reason is PlainReason.MOVED_WHILE_CLOSED


def _was_withdrawn(reminder: ScheduledReminder) -> bool:
    return reminder.state is ReminderState.CANCELLED and reminder.reason is PlainReason.WITHDRAWN


def _is_within_horizon(old: Milestone, new: Milestone, now: datetime) -> bool:
    """Whether the old or the new date is near enough for its first reminder to have been due."""
    return any(at is not None and at <= now for at in (first_instant(old), first_instant(new)))


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
