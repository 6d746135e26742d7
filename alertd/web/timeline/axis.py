"""The axis of the timeline page: from when to when it goes, and where its marks are. Values only.

Places are percentages of its length, so that a browser can draw them at any width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from alertd.core.time.instant import local_date, to_instant
from alertd.core.words import MONTHS

DAY = timedelta(days=1)
MOST_TICKS = 14
NEAR_END = 95
"""Percent; a label that begins after it would be cut off."""
ALL_WITHIN = timedelta(days=5 * 366)
"""All is what is shown at first, as long as it is not longer than this."""

_FIRST, _LAST = date(2, 1, 1), date(9998, 12, 31)


class Zoom(StrEnum):
    """How much of the axis is seen."""

    DAYS = "30d"
    QUARTER = "quarter"
    YEAR = "year"
    ALL = "all"

    @property
    def words(self) -> str:
        return {"30d": "30 days", "quarter": "A quarter", "year": "A year", "all": "All"}[self.value]


SPANS = {Zoom.DAYS: (30, 5), Zoom.QUARTER: (92, 15), Zoom.YEAR: (366, 61)}
"""Days that each shows, and how many of them lie before today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark of the axis.

    Attributes:
        year: to be written above the label, where a year begins and the label does not say so.
        spare: every second label: where there is no room for all, it is left out.
    """

    x: float
    label: str
    year: str
    spare: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A range of time [first, last] of whole days in one zone.

    Attributes:
        today: where today begins to be past: the instant of the page.
    """

    first: date
    last: date
    zone: ZoneInfo
    now: datetime

    @property
    def begins(self) -> datetime:
        return _midnight(self.first, self.zone)

    @property
    def ends(self) -> datetime:
        return _midnight(self.last + DAY, self.zone)

    def place(self, at: datetime) -> float:
        """Where an instant is: 0 to 100 within the axis, less or more beyond its ends."""
        return (at - self.begins) / (self.ends - self.begins) * 100

    def touches(self, begins: datetime | None, ends: datetime | None) -> bool:
        """Whether any of a range of time is on it; None: it has no such bound."""
        return (begins is None or begins < self.ends) and (ends is None or ends >= self.begins)

    @property
    def today(self) -> float | None:
        """Where now is; None when that is not on it."""
        return self.place(self.now) if self.begins <= self.now < self.ends else None

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Weeks, months, quarters or years: the finest of which there are not too many."""
        days, label = next(rung for rung in _ladder(self.first, self.last) if len(rung[0]) <= MOST_TICKS)
        return tuple(
            Tick(
                x=self.place(_midnight(day, self.zone)),
                label=label(day) if self.place(_midnight(day, self.zone)) < NEAR_END else "",
                year=str(day.year) if label is _month and _has_year(days, number) else "",
                spare=number % 2 == 1,
            )
            for number, day in enumerate(days)
        )

    def shifted(self, by: float) -> date:
        """The first day when it is moved by a part of its length."""
        moved = self.first.toordinal() + round((self.last - self.first).days * by)
        return date.fromordinal(min(max(moved, _FIRST.toordinal()), _LAST.toordinal() - 400))


def axis_of(
    zoom: Zoom,
    start: date | None,
    bounds: Iterable[tuple[datetime | None, datetime | None]],
    zone: ZoneInfo,
    now: datetime,
) -> Axis:
    """The axis for what is asked.

    Args:
        start: its first day; None: so that today is near its beginning.
        bounds: what ``all`` must hold, [begins, ends) each.
    """
    today = local_date(now, zone)
    if zoom is Zoom.ALL:
        first, last = _all(bounds, zone, today)
        return Axis(first=first, last=last, zone=zone, now=now)
    length, before = SPANS[zoom]
    first = start or today - before * DAY
    return Axis(first=first, last=first + (length - 1) * DAY, zone=zone, now=now)


def usual_zoom(
    bounds: Iterable[tuple[datetime | None, datetime | None]], zone: ZoneInfo, now: datetime
) -> Zoom:
    """What is shown to whoever asks for nothing."""
    first, last = _all(bounds, zone, local_date(now, zone))
    return Zoom.ALL if last - first <= ALL_WITHIN else Zoom.YEAR


def _all(
    bounds: Iterable[tuple[datetime | None, datetime | None]], zone: ZoneInfo, today: date
) -> tuple[date, date]:
    known = [at for both in bounds for at in both if at is not None]
    first = min([today, *((local_date(min(known), zone),) if known else ())])
    last = max([today, *((local_date(max(known), zone),) if known else ())])
    # A little room at both ends, and no less than a quarter in all.
    room = max((last - first).days // 25, (92 - (last - first).days) // 2, 3)
    return (
        date.fromordinal(max(first.toordinal() - room, _FIRST.toordinal())),
        date.fromordinal(min(last.toordinal() + room, _LAST.toordinal())),
    )


def _ladder(first: date, last: date) -> Iterator[tuple[list[date], Callable[[date], str]]]:
    """What could be marked, from the finest to the coarsest, with how it is called."""
    monday = first.toordinal() + -first.weekday() % 7
    yield [date.fromordinal(day) for day in range(monday, last.toordinal() + 1, 7)], _week
    for months in (1, 3):
        yield _months(first, last, months), _month
    years = 1
    for step in (2, 2.5, 2) * 4:
        yield _months(first, last, years * 12), _year
        years = round(years * step)


def _months(first: date, last: date, step: int) -> list[date]:
    """The first days of every so many months, counted from the year 1."""
    begin, end = first.year * 12 + first.month - 1, last.year * 12 + last.month - 1
    months = range(begin - begin % step, end + 1, step)
    days = [date(month // 12, month % 12 + 1, 1) for month in months if month >= 12]
    return [day for day in days if first <= day <= last]


def _has_year(days: Sequence[date], number: int) -> bool:
    """Each January has, and the first, unless there would be no room for it beside the next one's."""
    if number == 0 and len(days) > 1:
        return days[0].month == 1 or days[1].month != 1
    return days[number].month == 1


def _week(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1][:3]}"


def _month(day: date) -> str:
    return MONTHS[day.month - 1][:3]


def _year(day: date) -> str:
    return str(day.year)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return to_instant(datetime(day.year, day.month, day.day), zone)  # noqa: DTZ001  a wall time
