"""The types of deadlines and windows, and the computation of a window from a deadline.

A deadline is a window with a precision and a qualifier, and never an instant alone. An end of an interval
that has no date is either open (``..``: the interval does not end there) or unknown (``""``: no source gives
the date).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum, StrEnum
from functools import lru_cache
from typing import NoReturn
from zoneinfo import ZoneInfo

from alertd.core.time.instant import to_instant, to_wall

MONTH_NAMES = (  # the names in the calendar module depend on the locale
    "", "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class Qualifier(StrEnum):
    """How certain the source is about a date. A qualifier never moves an instant.

    Source: EDTF level 1, "Qualification of a date (complete)".
    """

    NONE = ""
    UNCERTAIN = "?"
    APPROXIMATE = "~"
    BOTH = "%"

    def combine(self, other: Qualifier) -> Qualifier:
        """Return the qualifier of an interval or a set with parts that have these two qualifiers."""
        if self is other or other is Qualifier.NONE:
            return self
        return other if self is Qualifier.NONE else Qualifier.BOTH


class Precision(StrEnum):
    """The smallest unit that is known. For a deadline with ``X``, it is the unit before the first ``X``."""

    CENTURY = "century"
    DECADE = "decade"
    YEAR = "year"
    SEMESTER = "semester"  # six months
    QUADRIMESTER = "quadrimester"  # four months
    QUARTER = "quarter"  # three months
    MONTH = "month"
    DAY = "day"
    MINUTE = "minute"
    SECOND = "second"

    @property
    def rank(self) -> int:
        """The position in the order from the coarsest precision, which has 0, to the finest."""
        return _RANK[self]


_RANK = {precision: rank for rank, precision in enumerate(Precision)}


class Reading(StrEnum):
    """The edge of a deadline that counts: "by September" means its end, and "before September" its start."""

    END = "end"
    START = "start"


class Unbounded(Enum):
    """An end of an interval without a date.

    Source: EDTF level 1, "Extended Interval".
    """

    OPEN = ".."
    UNKNOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A deadline as one source gives it.

    Attributes:
        edtf: the canonical text. `parse_deadline` reads it as an equal deadline, apart from ``text``.
        text: the text as written in the file.
        earliest: the first day, or the date-time. A naive date-time is local to the milestone, and an aware
            date-time has its own UTC offset.
        latest: the last day, inclusive, or the same date-time.
        precision: for an interval or a set, the precision of its coarsest part.
        qualifier: for an interval or a set, the joined qualifiers of its parts.
        choices: the parts of a one-of set, in the order of the text. Empty for any other deadline.
    """

    edtf: str
    text: str
    earliest: date | datetime | Unbounded
    latest: date | datetime | Unbounded
    precision: Precision
    qualifier: Qualifier
    choices: tuple[Deadline, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The half-open span ``[begins, ends)`` of a deadline in one time zone and one reading.

    Attributes:
        begins: the first instant, in UTC; None when the window has no beginning.
        ends: the exclusive end, in UTC. The deadline is overdue from this instant. None when the deadline is
            never due. For a date-time, ``ends`` equals ``begins``.
        first_day: the first calendar day in ``zone``; None when ``begins`` is None.
        last_day: the last calendar day in ``zone``, inclusive; None when ``ends`` is None.
        clock: the naive local wall time of a deadline with a time of day; None for any other deadline.
        zone: the time zone of all local values.
        id: the local half-open bounds, such as ``2026-09-01/2026-10-01``, ``../2026-09-01``,
            ``2026-09-30T17:00`` or, with a UTC offset, ``2026-09-30T14:00Z``. An open or unknown end is
            ``..``. The id depends neither on the qualifier, nor on the form of the text, nor on the time zone
            database.
    """

    begins: datetime | None
    ends: datetime | None
    first_day: date | None
    last_day: date | None
    clock: datetime | None
    zone: ZoneInfo
    id: str

    @property
    def wall_clock(self) -> datetime | None:
        """``clock`` for a deadline that is written as a local time; None when the text has a UTC offset."""
        return None if self.id.endswith("Z") else self.clock

    @property
    def spans_days(self) -> bool:
        """Whether the window has a first day and continues after that day. Only such a window opens."""
        return self.first_day is not None and self.clock is None and self.first_day != self.last_day


FIRST_YEAR, LAST_YEAR = 1000, 9998  # the exclusive end of the last year has to be a date
MAX_OFFSET_H = 14  # Pacific/Kiritimati; no zone is further from UTC
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class DeadlineRefused(Exception):
    """Parsing failed. A refusal without a reason means that the form of the text is unknown."""

    def __init__(self, reason: str = "", advice: str = "", offset: int = 0) -> None:
        self.reason = reason
        self.advice = advice
        self.offset = offset
        super().__init__(reason)


def count_days_in_month(year: int, month: int) -> int:
    """Return the number of days in a month; 1 is January."""
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        return 29
    return _LENGTHS[month]


def refuse_year(at: int) -> NoReturn:
    """Refuse a year outside ``FIRST_YEAR`` to ``LAST_YEAR``.

    Args:
        at: the offset of the year in the text.

    Raises:
        DeadlineRefused: always.
    """
    raise DeadlineRefused(f"years go from {FIRST_YEAR} to {LAST_YEAR}", offset=at)


def refuse_month(month: int, at: int, year: int = 0, day: int = 0) -> NoReturn:
    """Refuse a month that does not exist, and suggest what to write instead.

    Args:
        month: the number that is written for the month.
        at: the offset of the month in the text.
        year: the year; 0 when the text has no day.
        day: the day of the month; 0 when the text has no day, as for a season.

    Raises:
        DeadlineRefused: always.
    """
    if 1 <= day <= 12 and 1 <= month <= count_days_in_month(year, day):
        advice = f"the month comes first: {year}-{day:02}-{month:02}"
        raise DeadlineRefused(f"there is no month {month:02}", advice, at)
    if 21 <= month <= 32 and not day:
        reason = f"{month} is a season, and seasons have no agreed months"
        raise DeadlineRefused(
            reason, "write a quarter such as 2026-Q3, or months such as 2026-06/2026-08", at
        )
    raise DeadlineRefused(f"there is no month {month:02}", offset=at)


def refuse_day(year: int, month: int, day: int, at: int) -> NoReturn:
    """Refuse a day that the month does not have.

    Args:
        year, month, day: the numbers that are written.
        at: the offset of the date in the text.

    Raises:
        DeadlineRefused: always.
    """
    length = count_days_in_month(year, month)
    if day == 0:
        raise DeadlineRefused("there is no day 00", offset=at + 8)
    advice = f"its last day is {year}-{month:02}-{length}"
    raise DeadlineRefused(f"{MONTH_NAMES[month]} {year} has {length} days", advice, at + 8)


def refuse_clock(match: re.Match[str], hour: int, minute: int, second: int) -> NoReturn:
    """Refuse a time of day that does not exist, and suggest what to write instead.

    Args:
        match: the groups of the date-time: year, month, day, hour, minute and second come first.
        hour, minute, second: the numbers that are written.

    Raises:
        DeadlineRefused: always.
    """
    if (hour, minute, second) == (24, 0, 0):
        next_day = (date(*(int(digits) for digits in match.group(1, 2, 3))) + timedelta(days=1)).isoformat()
        rest = match[0][match.end(5) :]
        raise DeadlineRefused(
            "24:00 is not taken", f"the same instant is {next_day}T00:00{rest}", match.start(4)
        )
    if hour > 23:
        raise DeadlineRefused(f"there is no hour {hour}", offset=match.start(4))
    if minute > 59:
        raise DeadlineRefused(f"there is no minute {minute}", offset=match.start(5))
    if second == 60:
        advice = f"write {match[0][: match.start(6)]}59{match[0][match.end(6) :]}"
        raise DeadlineRefused("a leap second", advice, match.start(6))
    raise DeadlineRefused(f"there is no second {second}", offset=match.start(6))


_DAY = timedelta(days=1)


def compute_window(deadline: Deadline, zone: ZoneInfo, reading: Reading = Reading.END) -> Window:
    """Compute the window of ``deadline`` in ``zone``.

    With ``Reading.END``, the window goes from the first day to the last day. With ``Reading.START``, the
    window has no beginning and ends where the deadline begins. A date-time is the same instant in both
    readings.

    A side without a date has no bound. ``2026-09/..`` with ``Reading.END`` and ``../2026-12`` with
    ``Reading.START`` have no end, so they are never due.
    """
    return _compute_window(deadline.earliest, deadline.latest, zone, reading is Reading.START)


@lru_cache(maxsize=10_000)  # many milestones have the same deadline
def _compute_window(
    earliest: date | Unbounded, latest: date | Unbounded, zone: ZoneInfo, is_start: bool
) -> Window:
    if isinstance(latest, datetime):
        return _make_instant_window(latest, zone)
    if is_start:
        earliest, latest = Unbounded.OPEN, _subtract_day(earliest)
    return _make_days_window(
        None if isinstance(earliest, Unbounded) else earliest,
        None if isinstance(latest, Unbounded) else latest,
        zone,
    )


def read_window(window_id: str, zone: ZoneInfo) -> Window:
    """Return the window that has the id ``window_id``.

    This function is the inverse of :func:`compute_window`. The ledger stores some windows only by their id,
    and only this function reads an id. Code that has the milestone takes the windows from the milestone.

    Args:
        zone: the time zone of the milestone. The days and the wall clock are the same in every zone, except
            for a date-time with a UTC offset, whose day is a day in ``zone``.

    Raises:
        ValueError: the text is not the id of a window.
    """
    first, slash, end = window_id.partition("/")
    if not slash:
        return _make_instant_window(datetime.fromisoformat(first), zone)
    return _make_days_window(
        None if first == ".." else date.fromisoformat(first),
        None if end == ".." else date.fromisoformat(end) - _DAY,
        zone,
    )


def _make_days_window(first_day: date | None, last_day: date | None, zone: ZoneInfo) -> Window:
    """Make the window from one day to another day, inclusive. None is a missing bound."""
    end_day = None if last_day is None else last_day + _DAY
    return Window(
        begins=None if first_day is None else _find_midnight(first_day, zone),
        ends=None if end_day is None else _find_midnight(end_day, zone),
        first_day=first_day,
        last_day=last_day,
        clock=None,
        zone=zone,
        id=f"{first_day or '..'}/{end_day or '..'}",
    )


def _make_instant_window(at: datetime, zone: ZoneInfo) -> Window:
    """Make the window of a date-time, which begins and ends at the same instant."""
    if at.tzinfo is None:
        wall, instant, suffix, shown = at, to_instant(at, zone), "", at
    else:
        instant = at.astimezone(UTC)
        wall, suffix, shown = to_wall(instant, zone), "Z", instant.replace(tzinfo=None)
    return Window(
        begins=instant,
        ends=instant,
        first_day=wall.date(),
        last_day=wall.date(),
        clock=wall,
        zone=zone,
        id=shown.isoformat(timespec="seconds" if shown.second else "minutes") + suffix,
    )


@lru_cache(maxsize=1024)
def _find_midnight(day: date, zone: ZoneInfo) -> datetime:
    return to_instant(datetime(day.year, day.month, day.day), zone)


def _subtract_day(day: date | Unbounded) -> date | Unbounded:
    return day if isinstance(day, Unbounded) else day - _DAY
