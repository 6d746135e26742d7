"""What a digest shows beside the reminders that waited for it: what is overdue, and what comes soon.

Rules that hold here:
- it shows a milestone only when its route takes a reminder of that milestone for that receiver: what goes to
  somebody else, or by another route, is not in it;
- what is acknowledged or snoozed is left out, as what is done or cancelled is;
- what was over for longer than the catch-up time when it was loaded is history, and not overdue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from alertd.core.deadline import read_window
from alertd.core.ledger.records import Record, ScheduledReminder
from alertd.core.milestones.milestone import Milestone, operative_windows
from alertd.core.milestones.occurrence import Cause, Occurrence, occurrences
from alertd.core.milestones.recurrence import series_of
from alertd.core.planning.decide import is_acknowledged
from alertd.core.planning.plan import Planned, make_grounds, plan_occurrence
from alertd.core.routing.route import Route
from alertd.core.time.instant import UTC_ZONE, local_date

MAX_SHOWN = 200
"""The most milestones that one digest shows without a reminder of their own."""

MAX_LOOKED_AT = 1_000
"""The most whose records are read for that; the nearest come first."""

_BEGINNING = datetime(3, 1, 1, tzinfo=UTC)
_MARGIN = timedelta(days=40)
"""The first overdue reminder of what has just ended lies ahead, by a roll too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewScope:
    """Of which digest: whose it is, what it is called, by which routes."""

    receiver: str
    name: str
    root: Route


def list_candidates(
    windows: Iterable[tuple[str, str, datetime]], now: datetime, until: datetime, catch_up: timedelta
) -> tuple[str, ...]:
    """Ids of the milestones that may be overdue or come before ``until``, the nearest first.

    Args:
        windows: the milestone's id, the window's id, and when its date was last changed.
    """
    today, last = now.date(), until.date() + timedelta(days=1)  # a day more: zones
    near: dict[str, int] = {}
    latest: dict[str, tuple[date, str]] = {}
    for name, window_id, changed_at in windows:
        day = read_window(window_id, UTC_ZONE).last_day
        if day is None or day > last or day + catch_up < changed_at.date():
            continue
        series = series_of(name)
        if series != name and day < today:
            # Of a series only the last one that has passed counts: the next one has come since.
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
    """Ids of what is shown, and how many more there would be."""
    found = [record.id for record in records if find_overview_reminder(record, scope, now, until) is not None]
    return tuple(found[:MAX_SHOWN]), len(found[MAX_SHOWN:])


def find_overview_reminder(
    record: Record, scope: OverviewScope, now: datetime, until: datetime
) -> ScheduledReminder | None:
    """What the digest says of a milestone, as if it were a reminder; None when it says nothing of it.

    It is the last reminder of an overdue window that has been due, else of one that ends before ``until``;
    it has no key, since nobody is owed it.
    """
    status, milestone = record.status, record.milestone
    if record.withdrawn or status.closed or is_acknowledged(status, record.window_ids, now):
        return None
    if status.snooze_until is not None and now < status.snooze_until:
        return None
    every = occurrences(milestone, _BEGINNING, max(now, until) + _MARGIN)
    ladder = [
        planned for occurrence in every if (planned := _find_planned(occurrence, record, scope)) is not None
    ]
    passed, coming = [], []
    for stated in operative_windows(milestone):
        window = stated.window
        if window.ends is None or window.last_day is None:
            continue
        of_it = [planned for planned in ladder if planned.occurrence.stated.window.id == window.id]
        if window.ends <= now:
            passed += [planned for planned in of_it if planned.occurrence.cause is Cause.OVERDUE]
        elif window.last_day < local_date(until, window.zone):
            coming += [planned for planned in of_it if planned.occurrence.cause is not Cause.OVERDUE]
    main = _find_latest(passed, now) or _find_latest(coming, now)
    return None if main is None else _make_reminder(main, milestone)


def _find_planned(occurrence: Occurrence, record: Record, scope: OverviewScope) -> Planned | None:
    """The occurrence for the receiver of the digest, when the digest's route takes it."""
    for planned in plan_occurrence(record.milestone, occurrence, scope.root):
        digest = planned.match.digest
        if planned.receiver == scope.receiver and digest is not None and digest.name == scope.name:
            return planned
    return None


def _find_latest(found: Sequence[Planned], now: datetime) -> Planned | None:
    """The last that has been due, else the first to come."""
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
