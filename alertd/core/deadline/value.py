"""The values that a deadline is made of, and nothing that reads, moves or names them.

A deadline is a window with a precision and a qualifier, never a bare instant. An end that is no date is one
of two values that are kept apart: open (``..``: there is none) and unknown (nothing: nobody said which).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, StrEnum
from zoneinfo import ZoneInfo

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

    def joined(self, other: Qualifier) -> Qualifier:
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
    def spans_days(self) -> bool:
        """True when it has a first day and goes on after it: then it opens."""
        return self.first_day is not None and self.clock is None and self.first_day != self.last_day
