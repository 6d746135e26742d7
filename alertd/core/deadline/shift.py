"""Moves a deadline by a duration, for a deadline such as "90 days after phase 1"."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.deadline.parse import parse_deadline
from alertd.core.deadline.value import Deadline, Precision, Qualifier, Reading, Unbounded
from alertd.core.time.duration import Duration, shift_date, shift_wall
from alertd.core.time.instant import to_instant, to_wall
from alertd.errors import DeadlineError

_DAY = timedelta(days=1)
_UNITS = {Precision.YEAR: 12, Precision.SEMESTER: 6, Precision.QUADRIMESTER: 4, Precision.QUARTER: 3}
_CODES = {Precision.SEMESTER: 40, Precision.QUADRIMESTER: 37, Precision.QUARTER: 33}


def shift_deadline(deadline: Deadline, zone: ZoneInfo, reading: Reading, by: Duration) -> Deadline:
    """Move both bounds of the window of ``deadline`` by ``by``, and return the moved deadline.

    The form of the result depends on the deadline:

    - Whole months that move by months only stay whole months. Whole years, half years and quarters keep their
      precision if the result is again such a unit.
    - A single day stays a day.
    - A date-time moves by the nominal part on the clocks of ``zone``, and then by the exact part.
    - A one-of set becomes the interval from its first to its last choice.
    - Everything else becomes an interval of days.

    Qualifiers do not change.

    Args:
        deadline: the deadline to move.
        zone: the time zone of a local date-time.
        reading: how ``deadline`` is read. The result always has ``Reading.END``: ``2026-09`` with
            ``Reading.START``, moved by ``1mo``, is ``../2026-09``.
        by: how far to move the deadline.

    Raises:
        ValueError: ``by`` has hours, minutes or seconds and the deadline has no time of day; the deadline has
            no date for the reading; or the result is not in the years 1000 to 9998.
    """
    if isinstance(deadline.latest, datetime):
        return _parse_shifted(_shift_date_time(deadline.latest, deadline.precision, zone, by), deadline, by)
    if by.has_exact:
        raise ValueError(f"{deadline.edtf} has no time of day to add hours, minutes or seconds to: {by}")
    if reading is Reading.START and isinstance(deadline.earliest, Unbounded):
        raise ValueError(f"{deadline.edtf} has no start to move")
    first_mark, last_mark = _read_marks(deadline)
    try:
        first, last = _move_bounds(deadline.earliest, deadline.latest, deadline.precision, by)
        if reading is Reading.START and not isinstance(first, Unbounded):
            last, last_mark = first - _DAY, first_mark
            first = Unbounded.OPEN
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{deadline.edtf} moved by {by} leaves the calendar") from error
    text = _format_bounds(first, last, deadline.precision, by, (first_mark, last_mark))
    return _parse_shifted(text, deadline, by)


def _move_bounds(
    earliest: date | Unbounded, latest: date | Unbounded, precision: Precision, by: Duration
) -> tuple[date | Unbounded, date | Unbounded]:
    """Return both bounds, moved.

    For whole months, the exclusive end moves instead of the last day: every month has a first day, but not
    every month has a day 31.
    """
    first = earliest if isinstance(earliest, Unbounded) else shift_date(earliest, by)
    if isinstance(latest, Unbounded):
        return first, latest
    if _is_coarser_than_day(precision) and _begins_month(earliest) and _ends_month(latest):
        return first, shift_date(latest + _DAY, by) - _DAY
    return first, shift_date(latest, by)


def _format_bounds(
    first: date | Unbounded,
    last: date | Unbounded,
    precision: Precision,
    by: Duration,
    marks: tuple[str, str],
) -> str:
    """Return the EDTF text of two moved bounds: in months if ``by`` has no days and the months are whole."""
    if _is_coarser_than_day(precision) and not by.days and _begins_month(first) and _ends_month(last):
        if (
            isinstance(first, date)
            and isinstance(last, date)
            and (unit := _format_unit(first, last, precision))
        ):
            return unit + marks[1]
        return _join_bounds(_format_month(first), _format_month(last), marks)
    return _join_bounds(_format_day(first), _format_day(last), marks)


def _join_bounds(first: str, last: str, marks: tuple[str, str]) -> str:
    if first == last:
        return last + marks[1]
    return f"{first}{marks[0] if first.strip('.') else ''}/{last}{marks[1] if last.strip('.') else ''}"


def _format_unit(first: date, last: date, precision: Precision) -> str:
    """Return the EDTF text of a whole year, half year, four months or quarter; "" for any other span."""
    size = _UNITS.get(precision)
    if size is None or (last.year - first.year) * 12 + last.month - first.month + 1 != size:
        return ""
    if (first.month - 1) % size:
        return ""
    return str(first.year) if size == 12 else f"{first.year}-{_CODES[precision] + (first.month - 1) // size}"


def _shift_date_time(at: datetime, precision: Precision, zone: ZoneInfo, by: Duration) -> str:
    """Return the EDTF text of a moved date-time. It keeps its UTC offset, or stays a local time."""
    try:
        wall = shift_wall(at if at.tzinfo is None else to_wall(at, zone), by)
        instant = to_instant(wall, zone) + timedelta(seconds=by.seconds)
        moved = to_wall(instant, zone) if by.has_exact else wall
        if at.tzinfo is not None:
            moved = instant.astimezone(at.tzinfo)
        elif to_instant(moved, zone) != instant:
            # Only an offset can express the second of two equal wall times.
            moved = instant.astimezone(zone)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{at.isoformat()} moved by {by} leaves the calendar") from error
    if (moved.utcoffset() or timedelta(0)) % timedelta(minutes=1):
        # EDTF cannot express the offset of a local mean time.
        moved = instant
    seconds = "seconds" if precision is Precision.SECOND or moved.second else "minutes"
    text = moved.isoformat(timespec=seconds)
    return text.removesuffix("+00:00") + "Z" if moved.utcoffset() == UTC.utcoffset(None) else text


def _parse_shifted(text: str, deadline: Deadline, by: Duration) -> Deadline:
    try:
        return parse_deadline(text)
    except DeadlineError as error:
        raise ValueError(f"{deadline.edtf} can't be moved by {by}: {error.reason}") from error


def _read_marks(deadline: Deadline) -> tuple[str, str]:
    """Return the qualifiers of the first and the last bound."""
    first, slash, last = deadline.edtf.partition("/")
    if not slash or deadline.choices:
        return deadline.qualifier.value, deadline.qualifier.value
    return _read_mark(first), _read_mark(last)


def _read_mark(edtf: str) -> str:
    return edtf[-1] if edtf and edtf[-1] in "?~%" else Qualifier.NONE.value


def _is_coarser_than_day(precision: Precision) -> bool:
    return precision.rank < Precision.DAY.rank


def _begins_month(day: date | Unbounded) -> bool:
    return isinstance(day, Unbounded) or day.day == 1


def _ends_month(day: date | Unbounded) -> bool:
    return isinstance(day, Unbounded) or (day + _DAY).day == 1


def _format_month(day: date | Unbounded) -> str:
    return day.value if isinstance(day, Unbounded) else f"{day.year:04}-{day.month:02}"


def _format_day(day: date | Unbounded) -> str:
    return day.value if isinstance(day, Unbounded) else day.isoformat()
