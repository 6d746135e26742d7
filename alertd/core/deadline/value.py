"""The values that a deadline is made of, and nothing that reads, moves or names them.

A deadline is a window with a precision and a qualifier, never a bare instant. An end that is no date is one
of two values that are kept apart: open (``..``: there is none) and unknown (nothing: nobody said which).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum, StrEnum
from typing import NoReturn
from zoneinfo import ZoneInfo

from alertd.core.time.instant import to_instant, to_wall

MONTH_NAMES = (  # the calendar module's own depend on the locale
    "", "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class Qualifier(StrEnum):
    """How sure the source is of a date. It never moves an instant.

    Source: EDTF level 1, "Qualification of a date (complete)".
    """

    NONE = ""
    UNCERTAIN = "?"
    APPROXIMATE = "~"
    BOTH = "%"

    def join(self, other: Qualifier) -> Qualifier:
        """What is to be said of a whole whose parts are qualified so."""
        if self is other or other is Qualifier.NONE:
            return self
        return other if self is Qualifier.NONE else Qualifier.BOTH


class Precision(StrEnum):
    """The unit that a deadline is known to; for one with an ``X``, the unit before the first ``X``."""

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
        """0 for the coarsest, rising as it gets finer."""
        return _RANK[self]


_RANK = {precision: rank for rank, precision in enumerate(Precision)}


class Reading(StrEnum):
    """Which edge of a deadline is meant: "by September" is its end, "before September" its start."""

    END = "end"
    START = "start"


class Unbounded(Enum):
    """An end of an interval that is not a date. Source: EDTF level 1, "Extended Interval"."""

    OPEN = ".."
    UNKNOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A deadline as one source gives it.

    Attributes:
        edtf: canonical; `parse_deadline` reads it back to an equal deadline, but for ``text``.
        text: as it was written.
        earliest: the first day, or the date-time (naive: local to the milestone; aware: with its own offset).
        latest: the last day, inclusive, or the same date-time.
        precision: of an interval or a set, that of its coarsest part.
        qualifier: of an interval or a set, those of its parts joined.
        choices: the parts of a one-of set, in the order written; else empty.
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
    """When a deadline is, in one zone and reading: half-open, ``[begins, ends)``.

    Attributes:
        begins: UTC; None when there is no such bound.
        ends: UTC, exclusive: it is overdue from this very instant. None when it is never due.
            A date-time deadline has ``begins == ends``.
        first_day: a calendar day in ``zone``; None with ``begins``.
        last_day: the last calendar day in ``zone``, inclusive; None with ``ends``.
        clock: the naive local wall time of a deadline with a time of day, as written; else None.
        zone: the zone all local values are in.
        id: the local half-open bounds, such as ``2026-09-01/2026-10-01``, ``../2026-09-01``,
            ``2026-09-30T17:00`` or, with an offset, ``2026-09-30T14:00Z``. An end that is open or unknown is
            ``..``. It does not depend on the qualifier, on how the deadline was written, or on tzdata.
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
        """``clock`` of a deadline that was written as a local time; None when it has an offset of its own."""
        return None if self.id.endswith("Z") else self.clock

    @property
    def spans_days(self) -> bool:
        """True when it has a first day and goes on after it: then it opens."""
        return self.first_day is not None and self.clock is None and self.first_day != self.last_day


FIRST_YEAR, LAST_YEAR = 1000, 9998  # the exclusive end of the last year must be a date too
MAX_OFFSET_H = 14  # Pacific/Kiritimati; none is further from UTC
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class DeadlineRefused(Exception):
    """The reading failed; without a reason, the shape of the text is not known at all."""

    def __init__(self, reason: str = "", advice: str = "", offset: int = 0) -> None:
        self.reason = reason
        self.advice = advice
        self.offset = offset
        super().__init__(reason)


def count_days_in_month(year: int, month: int) -> int:
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        return 29
    return _LENGTHS[month]


def refuse_year(at: int) -> NoReturn:
    raise DeadlineRefused(f"years go from {FIRST_YEAR} to {LAST_YEAR}", offset=at)


def refuse_month(month: int, at: int, year: int = 0, day: int = 0) -> NoReturn:
    """``day`` is 0 when none is written; a season has none."""
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
    length = count_days_in_month(year, month)
    if day == 0:
        raise DeadlineRefused("there is no day 00", offset=at + 8)
    advice = f"its last day is {year}-{month:02}-{length}"
    raise DeadlineRefused(f"{MONTH_NAMES[month]} {year} has {length} days", advice, at + 8)


def refuse_clock(match: re.Match[str], hour: int, minute: int, second: int) -> NoReturn:
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
    """The window of ``deadline`` in ``zone``.

    Read to its end, the window is from the first day to the last. Read to its start, it has no beginning and
    ends where the deadline begins. A date-time is the same instant in both readings. A side that has no date
    has no bound: ``2026-09/..`` read to its end, and ``../2026-12`` read to its start, have ``ends`` None:
    they are never due.
    """
    earliest, latest = deadline.earliest, deadline.latest
    if isinstance(latest, datetime):
        return _make_instant_window(latest, zone)
    if reading is Reading.START:
        earliest, latest = Unbounded.OPEN, _subtract_day(earliest)
    return _make_days_window(
        None if isinstance(earliest, Unbounded) else earliest,
        None if isinstance(latest, Unbounded) else latest,
        zone,
    )


def read_window(window_id: str, zone: ZoneInfo) -> Window:
    """The window whose id is ``window_id``: the inverse of :func:`compute_window`.

    The ledger keeps some windows by their id alone, and only this function reads an id. Whoever has the
    milestone has its windows.

    Args:
        zone: the milestone's. The days and the wall clock are the same in any zone, except for a date-time
            with an offset of its own: its day is a day of ``zone``.

    Raises:
        ValueError: no window has such an id.
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
    """The window from one day to another, inclusive; None where it has no bound."""
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
    """The window of a date-time: no longer than an instant."""
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


def _find_midnight(day: date, zone: ZoneInfo) -> datetime:
    return to_instant(datetime(day.year, day.month, day.day), zone)


def _subtract_day(day: date | Unbounded) -> date | Unbounded:
    return day if isinstance(day, Unbounded) else day - _DAY
