"""The overview of a digest: milestones that are overdue or come soon and have no reminder in the digest.

Rules that hold here:
- a digest shows a milestone only if its route takes a reminder of the milestone for its receiver. Milestones
  that go to other receivers, or by other routes, are not shown;
- acknowledged, snoozed, done and cancelled milestones are not shown;
- a milestone that had ended before it was loaded, by more than the catch-up time, is not overdue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from alertd.core.deadline import read_window
from alertd.core.ledger.records import Record, ScheduledReminder
from alertd.core.milestones.milestone import Milestone, list_operative_windows
from alertd.core.milestones.occurrence import Cause, Occurrence, list_repeats, list_steps
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.planning.decide import is_acknowledged
from alertd.core.planning.plan import Planned, make_grounds, plan_occurrence
from alertd.core.routing.route import Route
from alertd.core.time.instant import UTC_ZONE, to_local_date

MAX_SHOWN = 200
"""The most milestones that an overview shows."""

MAX_LOOKED_AT = 1_000
"""The most milestones whose records alertd reads for an overview, the nearest first."""

_MARGIN = timedelta(days=40)
"""How far to look ahead, so that the first overdue reminder of a window that has just ended is found.

A roll to a working day can move that reminder further ahead.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewScope:
    """The digest whose overview is made: its receiver, its name and the root route."""

    receiver: str
    name: str
    root: Route


def list_candidates(
    windows: Iterable[tuple[str, str, datetime]], now: datetime, until: datetime, catch_up: timedelta
) -> tuple[str, ...]:
    """List the ids of the milestones that may be overdue or come before ``until``, the nearest first.

    Args:
        windows: for each window, the milestone's id, the window's id, and when the milestone's dates last
            changed.
        now, until: aware UTC instants.
        catch_up: a window that had ended by more than this when its date was set is not overdue.
    """
    today, last = now.date(), until.date() + timedelta(days=1)  # one more day, since zones differ
    near: dict[str, int] = {}
    latest: dict[str, tuple[date, str]] = {}
    for name, window_id, changed_at in windows:
        try:
            day = read_window(window_id, UTC_ZONE).last_day
        except (ValueError, OverflowError):
            # Not the id of a window: the row is damaged, and no milestone has such a window.
            continue
        if day is None or day > last or day + catch_up < changed_at.date():
            continue
        series = get_series_id(name)
        if series != name and day < today:
            # Keep only the last past instance of a series, since it has replaced the earlier ones.
            before = latest.get(series)
            if before is not None and before[0] > day:
                continue
            if before is not None:
                near.pop(before[1], None)
            latest[series] = (day, name)
        near[name] = min(abs((day - today).days), near.get(name, 10**6))
    return tuple(sorted(near, key=lambda name: (near[name], name)))


def make_overview(
    records: Iterable[Record], scope: OverviewScope, now: datetime, until: datetime
) -> tuple[tuple[str, ...], int]:
    """Choose the milestones to show.

    Args:
        now, until: aware UTC instants.

    Returns:
        Ids of the milestones to show, and how many more there are.
    """
    found = [record.id for record in records if find_overview_reminder(record, scope, now, until) is not None]
    return tuple(found[:MAX_SHOWN]), len(found[MAX_SHOWN:])


def find_overview_reminder(
    record: Record, scope: OverviewScope, now: datetime, until: datetime
) -> ScheduledReminder | None:
    """Find the reminder that represents a milestone in an overview; None if the overview leaves it out.

    The reminder is the last due one of an overdue window, or else of a window that ends before ``until``. It
    has no key, since it is not in the ledger.

    Args:
        now, until: aware UTC instants.
    """
    status, milestone = record.status, record.milestone
    if record.withdrawn or status.closed or is_acknowledged(status, record.window_ids, now):
        return None
    if status.snooze_until is not None and now < status.snooze_until:
        return None
    last = max(now, until) + _MARGIN
    every = (*list_steps(milestone, last), *list_repeats(milestone, now, last))
    ladder = [
        planned for occurrence in every if (planned := _find_planned(occurrence, record, scope)) is not None
    ]
    passed, coming = [], []
    for stated in list_operative_windows(milestone):
        window = stated.window
        if window.ends is None or window.last_day is None:
            continue
        of_it = [planned for planned in ladder if planned.occurrence.stated.window.id == window.id]
        if window.ends <= now:
            passed += [planned for planned in of_it if planned.occurrence.cause is Cause.OVERDUE]
        elif window.last_day < to_local_date(until, window.zone):
            coming += [planned for planned in of_it if planned.occurrence.cause is not Cause.OVERDUE]
    main = _find_latest(passed, now) or _find_latest(coming, now)
    return None if main is None else _make_reminder(main, milestone)


def _find_planned(occurrence: Occurrence, record: Record, scope: OverviewScope) -> Planned | None:
    """Plan the occurrence for the digest's receiver; None if the digest's route does not take it."""
    for planned in plan_occurrence(record.milestone, occurrence, scope.root):
        digest = planned.match.digest
        if planned.receiver == scope.receiver and digest is not None and digest.name == scope.name:
            return planned
    return None


def _find_latest(found: Sequence[Planned], now: datetime) -> Planned | None:
    """Find the last reminder that was due, or else the first to come."""
    past = [planned for planned in found if planned.at <= now]
    return (
        max(past, key=lambda planned: planned.at)
        if past
        else min(found, key=lambda planned: planned.at, default=None)
    )


def _make_reminder(planned: Planned, milestone: Milestone) -> ScheduledReminder:
    occurrence = planned.occurrence
    return ScheduledReminder(
        key="",
        milestone=occurrence.milestone,
        receiver=planned.receiver,
        cause=occurrence.cause,
        offset=occurrence.offset,
        window_id=occurrence.stated.window.id,
        at=occurrence.at,
        wake_at=occurrence.at,
        grounds=make_grounds(planned.match, milestone),
    )
