"""Computes the axis of the timeline page: its range and its ticks. All values are pure data.

A place on the axis is a percentage of its length, so that a browser can draw the axis at any width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from alertd.core.time.instant import to_instant, to_local_date
from alertd.core.words import MONTHS

DAY = timedelta(days=1)
MOST_TICKS = 14
NEAR_END = 95
"""A tick beyond this percentage has no label, because the label would be cut off."""
ALL_WITHIN = timedelta(days=5 * 366)
"""The page first shows the whole range if that is not longer than this."""

_FIRST, _LAST = date(2, 1, 1), date(9998, 12, 31)


class Zoom(StrEnum):
    """How much of the axis is shown."""

    DAYS = "30d"
    QUARTER = "quarter"
    YEAR = "year"
    ALL = "all"

    @property
    def words(self) -> str:
        return {"30d": "30 days", "quarter": "A quarter", "year": "A year", "all": "All"}[self.value]


SPANS = {Zoom.DAYS: (30, 5), Zoom.QUARTER: (92, 15), Zoom.YEAR: (366, 61)}
"""The number of days that a zoom shows, and how many of them are before today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A tick of the axis.

    Attributes:
        x: the place in percent.
        year: the year above the label, where a year begins and the label does not contain it; otherwise "".
        spare: true for every second tick, whose label is hidden on narrow screens.
    """

    x: float
    label: str
    year: str
    spare: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A range [first, last] of whole days in one zone.

    Attributes:
        now: the instant of the page, in UTC.
    """

    first: date
    last: date
    zone: ZoneInfo
    now: datetime

    @property
    def begins(self) -> datetime:
        return _find_midnight(self.first, self.zone)

    @property
    def ends(self) -> datetime:
        return _find_midnight(self.last + DAY, self.zone)

    def place(self, at: datetime) -> float:
        """Return the place of an instant: 0 to 100 on the axis, less or more beyond its ends."""
        return (at - self.begins) / (self.ends - self.begins) * 100

    def touches(self, begins: datetime | None, ends: datetime | None) -> bool:
        """Whether any part of a range of time is on the axis. None means that the range has no such bound."""
        return (begins is None or begins < self.ends) and (ends is None or ends >= self.begins)

    @property
    def today(self) -> float | None:
        """The place of the present instant; None if it is not on the axis."""
        return self.place(self.now) if self.begins <= self.now < self.ends else None

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Weeks, months, quarters or years: the finest unit that does not make too many ticks."""
        days, label = next(rung for rung in _list_scales(self.first, self.last) if len(rung[0]) <= MOST_TICKS)
        return tuple(
            Tick(
                x=self.place(_find_midnight(day, self.zone)),
                label=label(day) if self.place(_find_midnight(day, self.zone)) < NEAR_END else "",
                year=str(day.year) if label is _format_month and _has_year(days, number) else "",
                spare=number % 2 == 1,
            )
            for number, day in enumerate(days)
        )

    def shifted(self, by: float) -> date:
        """Return the first day of an axis that is moved by a fraction of its length."""
        moved = self.first.toordinal() + round((self.last - self.first).days * by)
        return date.fromordinal(min(max(moved, _FIRST.toordinal()), _LAST.toordinal() - 400))


def make_axis(
    zoom: Zoom,
    start: date | None,
    bounds: Iterable[tuple[datetime | None, datetime | None]],
    zone: ZoneInfo,
    now: datetime,
) -> Axis:
    """Make the axis for a zoom.

    Args:
        start: the first day; None for an axis on which today is near the beginning.
        bounds: the ranges [begins, ends) that the axis must include with the zoom ``all``.
    """
    today = to_local_date(now, zone)
    if zoom is Zoom.ALL:
        first, last = _find_range(bounds, zone, today)
        return Axis(first=first, last=last, zone=zone, now=now)
    length, before = SPANS[zoom]
    first = start or today - before * DAY
    return Axis(first=first, last=first + (length - 1) * DAY, zone=zone, now=now)


def choose_zoom(
    bounds: Iterable[tuple[datetime | None, datetime | None]], zone: ZoneInfo, now: datetime
) -> Zoom:
    """Choose the zoom if the address does not name one."""
    first, last = _find_range(bounds, zone, to_local_date(now, zone))
    return Zoom.ALL if last - first <= ALL_WITHIN else Zoom.YEAR


def _find_range(
    bounds: Iterable[tuple[datetime | None, datetime | None]], zone: ZoneInfo, today: date
) -> tuple[date, date]:
    known = [at for both in bounds for at in both if at is not None]
    first = min([today, *((to_local_date(min(known), zone),) if known else ())])
    last = max([today, *((to_local_date(max(known), zone),) if known else ())])
    # Leave some room at both ends, and show at least a quarter of a year.
    room = max((last - first).days // 25, (92 - (last - first).days) // 2, 3)
    return (
        date.fromordinal(max(first.toordinal() - room, _FIRST.toordinal())),
        date.fromordinal(min(last.toordinal() + room, _LAST.toordinal())),
    )


def _list_scales(first: date, last: date) -> Iterator[tuple[list[date], Callable[[date], str]]]:
    """Yield the possible sets of ticks, from the finest to the coarsest, each with its formatter."""
    monday = first.toordinal() + -first.weekday() % 7
    yield [date.fromordinal(day) for day in range(monday, last.toordinal() + 1, 7)], _format_week
    for months in (1, 3):
        yield _list_months(first, last, months), _format_month
    years = 1
    for step in (2, 2.5, 2) * 4:
        yield _list_months(first, last, years * 12), _format_year
        years = round(years * step)


def _list_months(first: date, last: date, step: int) -> list[date]:
    """List the first days of every ``step`` months in a range, counted from the year 1."""
    begin, end = first.year * 12 + first.month - 1, last.year * 12 + last.month - 1
    months = range(begin - begin % step, end + 1, step)
    days = [date(month // 12, month % 12 + 1, 1) for month in months if month >= 12]
    return [day for day in days if first <= day <= last]


def _has_year(days: Sequence[date], number: int) -> bool:
    """Whether a tick shows its year: each January and the first tick, unless January follows too closely."""
    if number == 0 and len(days) > 1:
        return days[0].month == 1 or days[1].month != 1
    return days[number].month == 1


def _format_week(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1][:3]}"


def _format_month(day: date) -> str:
    return MONTHS[day.month - 1][:3]


def _format_year(day: date) -> str:
    return str(day.year)


def _find_midnight(day: date, zone: ZoneInfo) -> datetime:
    return to_instant(datetime(day.year, day.month, day.day), zone)  # noqa: DTZ001  a wall time
