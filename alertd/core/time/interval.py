"""Time intervals, which define the local times at which a route is muted or active.

The fields have the meaning that Alertmanager gives them (source: Alertmanager, configuration,
"time_interval"):

- a named interval contains an instant if at least one of its intervals contains the instant;
- an interval contains an instant if every field that is given contains it;
- a field contains an instant if at least one of its ranges contains it;
- a range of times excludes its end, and every other range includes both ends.

To test an instant, this module converts the UTC instant to local time and never converts a local time to an
instant. Therefore the hour that a gap skips is never tested, and the hour that a fold repeats is tested
twice.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from alertd.core.time.instant import UTC_ZONE
from alertd.errors import IntervalError

SEARCH_BOUND = timedelta(days=400)
"""How far ``find_next_change`` searches: more than a year, so that the search covers every month and day."""

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAY = timedelta(days=1)
_DAY_MINUTES = 24 * 60
_LONGEST_MONTH = 31
_LAST_INSTANT = datetime(9999, 12, 29, tzinfo=UTC)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_NUMBER = re.compile(r"-?[0-9]{1,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """Minutes of the local day from ``start`` to ``end``, without ``end``; 0 <= start < end <= 1440."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Whole numbers from ``first`` to ``last``, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeInterval:
    """Local times that satisfy every field that is given. An empty field restricts nothing.

    Attributes:
        times: times of the local day.
        weekdays: 0 is Sunday, as in Alertmanager.
        days_of_month: 1 to 31, or -1 for the last day of the month, -2 for the day before, and so on. A range
            that begins after the end of a month contains no day of the month: ``30:31`` contains no day of
            February.
        months: 1 is January.
        years: calendar years.
        location: the time zone of the local time.
    """

    times: tuple[TimeRange, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: ZoneInfo = UTC_ZONE


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedInterval:
    """A list of intervals with the name that routes use. At least one interval has to contain the instant."""

    name: str
    intervals: tuple[TimeInterval, ...]

    def contains(self, instant: datetime) -> bool:
        """Whether at least one of the intervals contains the aware ``instant``."""
        return any(contains(interval, instant) for interval in self.intervals)


def contains(interval: TimeInterval, instant: datetime) -> bool:
    """Whether the interval contains ``instant`` when it is converted to the interval's time zone.

    Raises:
        ValueError: ``instant`` is naive.
    """
    if instant.tzinfo is None:
        raise ValueError(f"an instant without a zone: {instant}")
    local = instant.astimezone(interval.location)
    minute = local.hour * 60 + local.minute
    return (
        (not interval.times or any(times.start <= minute < times.end for times in interval.times))
        and (not interval.weekdays or _holds(interval.weekdays, local.isoweekday() % 7))
        and (not interval.days_of_month or _holds_day(interval.days_of_month, local))
        and (not interval.months or _holds(interval.months, local.month))
        and (not interval.years or _holds(interval.years, local.year))
    )


def find_next_change(
    is_on: Callable[[datetime], bool],
    intervals: Iterable[TimeInterval],
    after: datetime,
    bound: timedelta = SEARCH_BOUND,
) -> datetime | None:
    """Find the first instant later than ``after`` at which a condition differs from its value at ``after``.

    Args:
        is_on: the condition. It takes an aware instant and depends only on ``intervals``.
        intervals: the intervals at whose boundaries the condition can change.
        after: an aware instant.
        bound: how far after ``after`` to search, inclusive.

    Returns:
        The exact instant of the change, in UTC; None when the condition does not change within ``bound``.
    """
    before = is_on(after)
    return next(
        (at for at in _generate_boundaries(tuple(intervals), after, bound) if is_on(at) != before), None
    )


def parse_time_range(start: str, end: str) -> TimeRange:
    """Parse a range of local times, such as ``09:00`` and ``17:30``. The end can be ``24:00``.

    Raises:
        IntervalError: a text is not a time of day, or the range is empty or crosses midnight. A range that
            crosses midnight has to be written as two ranges.
    """
    text = f"{start} to {end}"
    for clock, offset in ((start, 0), (end, len(start) + len(" to "))):
        if not _CLOCK.fullmatch(clock):
            raise IntervalError(text, "not a time of day", "write hours and minutes as in 09:00", offset)
    first, last = _parse_clock(start), _parse_clock(end)
    if first == _DAY_MINUTES:
        raise IntervalError(text, "24:00 can only be an end", "a day begins at 00:00")
    if first == last:
        raise IntervalError(text, "start and end are the same", "for the whole day write 00:00 to 24:00")
    if first > last:
        advice = f"write {start} to 24:00"
        if last > 0:
            advice = f"write two ranges, {start} to 24:00 and 00:00 to {end}"
        raise IntervalError(text, "a range over midnight", advice)
    return TimeRange(start=first, end=last)


def parse_weekdays(text: str) -> Range:
    """Parse ``monday:friday`` or ``sunday``, in upper or lower case. The week begins on Sunday.

    Raises:
        IntervalError: the text names no weekday, or the range crosses the end of the week. Such a range has
            to be written as two ranges.
    """
    return _make_ascending_range(
        text, [_parse_name(text, part, at, WEEKDAYS, 0) for part, at in _split_range(text)], WEEKDAYS, 0
    )


def parse_days_of_month(text: str) -> Range:
    """Parse ``1:5``, ``15`` or ``-3:-1``, where -1 is the last day of the month.

    Raises:
        IntervalError: the text is not a day or a range of days, or the range contains no day of any month.
    """
    days = [_parse_number(text, part, at, "day of the month") for part, at in _split_range(text)]
    first, last = days[0], days[-1]
    if any(day == 0 or abs(day) > _LONGEST_MONTH for day in days):
        raise IntervalError(text, "no such day of the month", "days are 1 to 31, or -1 (the last) to -31")
    if first < 0 < last:
        raise IntervalError(text, "a negative first day needs a negative last day", "as in -3:-1")
    # A range that is empty in the longest month is empty in every month.
    if _resolve_day(first, _LONGEST_MONTH) > _resolve_day(last, _LONGEST_MONTH):
        raise IntervalError(text, "the last day is always before the first", "as in 1:5 or -3:-1")
    return Range(first=first, last=last)


def parse_months(text: str) -> Range:
    """Parse ``1:3``, ``may:august`` or ``december``, in upper or lower case.

    Raises:
        IntervalError: the text is not a month or a range of months, or the range crosses the end of the year.
            Such a range has to be written as two ranges.
    """
    return _make_ascending_range(
        text, [_parse_name(text, part, at, MONTHS, 1) for part, at in _split_range(text)], MONTHS, 1
    )


def parse_years(text: str) -> Range:
    """Parse ``2025:2026`` or ``2026``. Every year has four digits.

    Raises:
        IntervalError: the text is neither a year nor an ascending range of years.
    """
    years = [_parse_number(text, part, at, "year") for part, at in _split_range(text)]
    if any(not 1000 <= year <= 9999 for year in years):
        raise IntervalError(text, "not a year", "write four digits, as in 2026")
    if years[0] > years[-1]:
        advice = f"did you mean {years[-1]}:{years[0]}?"
        raise IntervalError(text, "the last year is before the first", advice)
    return Range(first=years[0], last=years[-1])


def _holds(ranges: tuple[Range, ...], value: int) -> bool:
    return any(allowed.first <= value <= allowed.last for allowed in ranges)


def _holds_day(ranges: tuple[Range, ...], local: datetime) -> bool:
    length = monthrange(local.year, local.month)[1]
    return any(
        _resolve_day(days.first, length) <= local.day <= _resolve_day(days.last, length) for days in ranges
    )


def _resolve_day(day: int, length: int) -> int:
    """Return the day of a month of ``length`` days, counting a negative ``day`` from the end of the month."""
    return day if day > 0 else length + 1 + day


def _generate_boundaries(
    intervals: tuple[TimeInterval, ...], after: datetime, bound: timedelta
) -> Iterator[datetime]:
    """Yield, in order, every instant at which an interval can change.

    These are the starts and ends of time ranges, midnights, and changes of the UTC offset.
    """
    edges: dict[ZoneInfo, set[int]] = {}
    for interval in intervals:
        zone_edges = edges.setdefault(interval.location, {0})
        zone_edges.update(
            minute % _DAY_MINUTES for times in interval.times for minute in (times.start, times.end)
        )
    start = after.astimezone(UTC)
    last = start + min(bound, max(_LAST_INSTANT - start, timedelta(0)))
    while start < last:
        end = min(start + _DAY, last)
        found = {
            at
            for zone, minutes in edges.items()
            for at in _generate_zone_boundaries(zone, minutes, start, end)
        }
        yield from sorted(at for at in found if start < at <= end)
        start = end


def _generate_zone_boundaries(
    zone: ZoneInfo, minutes: set[int], start: datetime, end: datetime
) -> Iterator[datetime]:
    """Yield the boundaries of one zone between two instants that are at most a day apart.

    The result is in no order, and can include instants outside the two bounds.
    """
    first, last = start.astimezone(zone), end.astimezone(zone)
    changes = first.utcoffset() != last.utcoffset()
    # A clock that is set back across midnight repeats part of the day before.
    for days in range(-1 if changes else 0, (last.date() - first.date()).days + 1):
        midnight = datetime.combine(first.date() + days * _DAY, time(), tzinfo=zone)
        for minute in minutes:
            wall = midnight + timedelta(minutes=minute)
            yield wall.astimezone(UTC)
            yield wall.replace(fold=1).astimezone(UTC)
    if changes:
        yield _find_offset_change(zone, start, end)


def _find_offset_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """Find the second in ``(start, end]`` at which the UTC offset of the zone changes."""
    origin = start.replace(microsecond=0)
    before = start.astimezone(zone).utcoffset()
    low, high = 0, int((end - origin) / timedelta(seconds=1)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if (origin + timedelta(seconds=middle)).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return origin + timedelta(seconds=high)


def _parse_clock(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _split_range(text: str) -> list[tuple[str, int]]:
    """Split a range into its one or two ends, each in lower case and with its offset in the text."""
    first, colon, last = text.partition(":")
    if ":" in last:
        offset = len(first) + 1 + last.index(":")
        raise IntervalError(text, "more than one colon", "write more ranges as more items", offset)
    return [(first.lower(), 0), (last.lower(), len(first) + 1)] if colon else [(first.lower(), 0)]


def _parse_number(text: str, part: str, offset: int, what: str) -> int:
    if not _NUMBER.fullmatch(part):
        raise IntervalError(text, f"not a {what}", "write a number, or two as first:last", offset)
    return int(part)


def _parse_name(text: str, part: str, offset: int, names: tuple[str, ...], base: int) -> int:
    """Return the number of a weekday or a month. A month can also be written as a number."""
    if part in names:
        return names.index(part) + base
    if names is MONTHS and _NUMBER.fullmatch(part):
        if 1 <= int(part) <= len(MONTHS):
            return int(part)
        raise IntervalError(text, "no such month", "months are 1 to 12", offset)
    near = [name for name in names if part and name.startswith(part)]
    near = near or get_close_matches(part[:20], names, n=1, cutoff=0.5)
    what = "month" if names is MONTHS else "weekday"
    advice = f"did you mean {near[0]}?" if near else f"write a {what}'s English name, such as {names[1]}"
    raise IntervalError(text, f"not a {what}", advice, offset)


def _make_ascending_range(text: str, ends: list[int], names: tuple[str, ...], base: int) -> Range:
    first, last = ends[0], ends[-1]
    if first > last:
        top, bottom = names[first - base : len(names)], names[: last - base + 1]
        halves = " and ".join(f"{part[0]}:{part[-1]}" if len(part) > 1 else part[0] for part in (top, bottom))
        raise IntervalError(text, f"the range runs over {names[-1]}", f"write two, {halves}")
    return Range(first=first, last=last)
