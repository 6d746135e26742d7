"""A time interval says at which local times a route is mute or active.

The fields and their meaning are those of Alertmanager (source: Alertmanager, configuration,
"time_interval"): an interval holds an instant when every field that is given does, a field when one of
its ranges does; a named interval when one of its intervals does. Times are half-open, all other
ranges include both ends.

Every question is asked of the UTC instant turned into local time, never of a local time turned into
an instant. So in a gap nothing is asked of the hours that don't exist, and in a fold an hour counts twice.
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
"""How far ``find_next_change`` looks: more than a year, so that each month and day has come once."""

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
    """Minutes of the local day, from ``start`` up to and without ``end``; 0 <= start < end <= 1440."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Whole numbers from ``first`` to ``last``, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeInterval:
    """Local times, by every field that is given; an empty field restricts nothing.

    Attributes:
        weekdays: 0 is Sunday, as in Alertmanager.
        days_of_month: 1 to 31; -1 is the month's last day. A range that begins after the month's end
            holds none of its days (``30:31`` is not the 28th of February).
        months: 1 is January.
        location: the zone whose local time is meant.
    """

    times: tuple[TimeRange, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: ZoneInfo = UTC_ZONE


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedInterval:
    """Intervals under the name by which routes refer to them; one of them is enough."""

    name: str
    intervals: tuple[TimeInterval, ...]

    def contains(self, instant: datetime) -> bool:
        """Whether one of the intervals holds the aware ``instant``."""
        return any(contains(interval, instant) for interval in self.intervals)


def contains(interval: TimeInterval, instant: datetime) -> bool:
    """Whether the interval holds the aware ``instant``, looked at in the interval's zone."""
    if instant.tzinfo is None:
        raise ValueError(f"an instant without a zone: {instant}")
    local = instant.astimezone(interval.location)
    minute = local.hour * 60 + local.minute
    return (
        (not interval.times or any(one.start <= minute < one.end for one in interval.times))
        and (not interval.weekdays or _holds(interval.weekdays, local.isoweekday() % 7))
        and (not interval.days_of_month or _holds_day(interval.days_of_month, local))
        and (not interval.months or _holds(interval.months, local.month))
        and (not interval.years or _holds(interval.years, local.year))
    )


def find_next_change(
    state: Callable[[datetime], bool],
    intervals: Iterable[TimeInterval],
    after: datetime,
    bound: timedelta = SEARCH_BOUND,
) -> datetime | None:
    """The first instant later than ``after`` at which ``state`` is not what it is at ``after``.

    ``state`` is a predicate of aware instants that depends on nothing but the ``intervals``. The answer
    is in UTC and exact; None when nothing changes up to and with ``after + bound``.
    """
    before = state(after)
    return next(
        (at for at in _generate_boundaries(tuple(intervals), after, bound) if state(at) != before), None
    )


def parse_time_range(start: str, end: str) -> TimeRange:
    """Read ``09:00`` and ``17:30``; the end can be ``24:00``.

    Raises:
        IntervalError: also for a range over midnight, which has to be written as two.
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
    """Read ``monday:friday`` or ``sunday``, in any case; the week begins on Sunday.

    Raises:
        IntervalError: also for a range over the week's end, which has to be written as two.
    """
    return _make_ascending_range(
        text, [_parse_name(text, part, at, WEEKDAYS, 0) for part, at in _split_range(text)], WEEKDAYS, 0
    )


def parse_days_of_month(text: str) -> Range:
    """Read ``1:5``, ``15`` or ``-3:-1``, where -1 is the last day of the month.

    Raises:
        IntervalError: also for a range that holds no day of any month.
    """
    days = [_parse_number(text, part, at, "day of the month") for part, at in _split_range(text)]
    first, last = days[0], days[-1]
    if any(day == 0 or abs(day) > _LONGEST_MONTH for day in days):
        raise IntervalError(text, "no such day of the month", "days are 1 to 31, or -1 (the last) to -31")
    if first < 0 < last:
        raise IntervalError(text, "a negative first day needs a negative last day", "as in -3:-1")
    # In the longest month: what is empty there is empty in every month.
    if _resolve_day(first, _LONGEST_MONTH) > _resolve_day(last, _LONGEST_MONTH):
        raise IntervalError(text, "the last day is always before the first", "as in 1:5 or -3:-1")
    return Range(first=first, last=last)


def parse_months(text: str) -> Range:
    """Read ``1:3``, ``may:august`` or ``december``, in any case.

    Raises:
        IntervalError: also for a range over the year's end, which has to be written as two.
    """
    return _make_ascending_range(
        text, [_parse_name(text, part, at, MONTHS, 1) for part, at in _split_range(text)], MONTHS, 1
    )


def parse_years(text: str) -> Range:
    """Read ``2025:2026`` or ``2026``: years of four digits.

    Raises:
        IntervalError: for anything else.
    """
    years = [_parse_number(text, part, at, "year") for part, at in _split_range(text)]
    if any(not 1000 <= year <= 9999 for year in years):
        raise IntervalError(text, "not a year", "write four digits, as in 2026")
    if years[0] > years[-1]:
        advice = f"did you mean {years[-1]}:{years[0]}?"
        raise IntervalError(text, "the last year is before the first", advice)
    return Range(first=years[0], last=years[-1])


def _holds(ranges: tuple[Range, ...], value: int) -> bool:
    return any(one.first <= value <= one.last for one in ranges)


def _holds_day(ranges: tuple[Range, ...], local: datetime) -> bool:
    length = monthrange(local.year, local.month)[1]
    return any(
        _resolve_day(one.first, length) <= local.day <= _resolve_day(one.last, length) for one in ranges
    )


def _resolve_day(day: int, length: int) -> int:
    return day if day > 0 else length + 1 + day


def _generate_boundaries(
    intervals: tuple[TimeInterval, ...], after: datetime, bound: timedelta
) -> Iterator[datetime]:
    """In order, every instant at which an interval can change: edges, midnights, changes of offset."""
    edges: dict[ZoneInfo, set[int]] = {}
    for interval in intervals:
        of_zone = edges.setdefault(interval.location, {0})
        of_zone.update(minute % _DAY_MINUTES for one in interval.times for minute in (one.start, one.end))
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
    """Those of one zone between two instants at most a day apart, with some outside and in no order."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    changes = first.utcoffset() != last.utcoffset()
    # A clock set back over midnight brings the day before again.
    for days in range(-1 if changes else 0, (last.date() - first.date()).days + 1):
        midnight = datetime.combine(first.date() + days * _DAY, time(), tzinfo=zone)
        for minute in minutes:
            wall = midnight + timedelta(minutes=minute)
            yield wall.astimezone(UTC)
            yield wall.replace(fold=1).astimezone(UTC)
    if changes:
        yield _find_offset_change(zone, start, end)


def _find_offset_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """The second at which the zone's offset changes, later than ``start`` and not later than ``end``."""
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
    """The one or two ends of a range, in lower case, each with its offset."""
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
    """The number of a weekday or month; months can be given as numbers."""
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
