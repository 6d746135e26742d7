"""Time intervals: the instants that they contain, and the instants at which that changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.time.interval import (
    NamedInterval,
    Range,
    TimeInterval,
    TimeRange,
    contains,
    find_next_change,
    parse_days_of_month,
    parse_months,
    parse_time_range,
    parse_weekdays,
    parse_years,
)

MINUTE = timedelta(minutes=1)


def interval(
    *,
    times: tuple[tuple[str, str], ...] = (),
    weekdays: tuple[str, ...] = (),
    days: tuple[str, ...] = (),
    months: tuple[str, ...] = (),
    years: tuple[str, ...] = (),
    zone: str = "UTC",
) -> TimeInterval:
    return TimeInterval(
        times=tuple(parse_time_range(start, end) for start, end in times),
        weekdays=tuple(parse_weekdays(text) for text in weekdays),
        days_of_month=tuple(parse_days_of_month(text) for text in days),
        months=tuple(parse_months(text) for text in months),
        years=tuple(parse_years(text) for text in years),
        location=ZoneInfo(zone),
    )


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


EVERYTHING = interval()
OFFICE = interval(times=(("09:00", "17:00"),), weekdays=("monday:friday",))
WEEKEND_BAGHDAD = interval(weekdays=("friday:saturday",), zone="Asia/Baghdad")
SMALL_HOURS_NEW_YORK = interval(times=(("01:30", "02:30"),), zone="America/New_York")
SMALL_HOURS_LORD_HOWE = interval(times=(("01:30", "02:00"),), zone="Australia/Lord_Howe")
OFFICE_SYDNEY = interval(times=(("09:00", "17:00"),), zone="Australia/Sydney")
LAST_DAYS = interval(days=("-3:-1",))
LAST_DAY_NEW_YORK = interval(days=("-1",), zone="America/New_York")
END_OF_JANUARY_TO_MARCH = interval(days=("30:31",), months=("1:3",))

HOLDS = [
    # no field restricts anything
    (EVERYTHING, "2026-01-01T00:00Z", True),
    # times are half-open, to the second
    (OFFICE, "2026-09-23T08:59:59Z", False),
    (OFFICE, "2026-09-23T09:00:00Z", True),
    (OFFICE, "2026-09-23T16:59:59Z", True),
    (OFFICE, "2026-09-23T17:00:00Z", False),
    # every field has to hold: a Saturday at noon
    (OFFICE, "2026-09-26T12:00Z", False),
    # one range of a field is enough
    (interval(weekdays=("sunday", "saturday")), "2026-09-26T12:00Z", True),
    (interval(weekdays=("sunday", "saturday")), "2026-09-27T12:00Z", True),
    (interval(weekdays=("sunday", "saturday")), "2026-09-28T12:00Z", False),
    # the week begins on Sunday
    (interval(weekdays=("sunday:tuesday",)), "2026-09-27T00:00Z", True),
    (interval(weekdays=("sunday:tuesday",)), "2026-09-30T00:00Z", False),
    # the day's end can be written
    (interval(times=(("22:00", "24:00"),)), "2026-09-23T23:59:59Z", True),
    (interval(times=(("22:00", "24:00"),)), "2026-09-24T00:00Z", False),
    # the day is the location's: Thursday evening in UTC is Friday in Baghdad
    (WEEKEND_BAGHDAD, "2026-09-24T20:59Z", False),
    (WEEKEND_BAGHDAD, "2026-09-24T21:00Z", True),
    (WEEKEND_BAGHDAD, "2026-09-26T20:59Z", True),
    (WEEKEND_BAGHDAD, "2026-09-26T21:00Z", False),
    # Baghdad had summer time in 2007, when the day began an hour earlier
    (WEEKEND_BAGHDAD, "2007-08-02T19:59Z", False),
    (WEEKEND_BAGHDAD, "2007-08-02T20:00Z", True),
    # an instant in another offset is the same instant
    (WEEKEND_BAGHDAD, "2026-09-24T17:00-04:00", True),
    # New York, gap: there is no half past two; at 01:59 EST follows 03:00 EDT
    (SMALL_HOURS_NEW_YORK, "2026-03-08T06:59Z", True),
    (SMALL_HOURS_NEW_YORK, "2026-03-08T07:00Z", False),
    # New York, fold: half past one comes twice
    (SMALL_HOURS_NEW_YORK, "2026-11-01T05:30Z", True),
    (SMALL_HOURS_NEW_YORK, "2026-11-01T06:00Z", False),
    (SMALL_HOURS_NEW_YORK, "2026-11-01T06:30Z", True),
    (SMALL_HOURS_NEW_YORK, "2026-11-01T07:30Z", False),
    # Sydney's office opens an hour earlier in UTC in summer
    (OFFICE_SYDNEY, "2026-07-01T22:59Z", False),
    (OFFICE_SYDNEY, "2026-07-01T23:00Z", True),
    (OFFICE_SYDNEY, "2026-12-01T21:59Z", False),
    (OFFICE_SYDNEY, "2026-12-01T22:00Z", True),
    # Lord Howe sets back half an hour: 01:30 to 02:00 comes twice
    (SMALL_HOURS_LORD_HOWE, "2026-04-04T14:29Z", False),
    (SMALL_HOURS_LORD_HOWE, "2026-04-04T14:30Z", True),
    (SMALL_HOURS_LORD_HOWE, "2026-04-04T15:00Z", True),
    (SMALL_HOURS_LORD_HOWE, "2026-04-04T15:30Z", False),
    # negative days count back from the month's end, whatever its length
    (LAST_DAYS, "2026-02-25T12:00Z", False),
    (LAST_DAYS, "2026-02-26T12:00Z", True),
    (LAST_DAYS, "2024-02-26T12:00Z", False),
    (LAST_DAYS, "2024-02-27T12:00Z", True),
    (LAST_DAYS, "2026-04-27T12:00Z", False),
    (LAST_DAYS, "2026-04-30T23:59Z", True),
    # the last day of a month in which the clock changes is still the last day
    (LAST_DAY_NEW_YORK, "2026-03-30T16:00Z", False),
    (LAST_DAY_NEW_YORK, "2026-03-31T16:00Z", True),
    (LAST_DAY_NEW_YORK, "2026-04-01T03:59Z", True),
    (LAST_DAY_NEW_YORK, "2026-11-30T16:00Z", True),
    # a range that begins after the month's end isn't moved into it
    (END_OF_JANUARY_TO_MARCH, "2026-02-28T12:00Z", False),
    (END_OF_JANUARY_TO_MARCH, "2026-01-31T12:00Z", True),
    (END_OF_JANUARY_TO_MARCH, "2026-03-30T12:00Z", True),
    (END_OF_JANUARY_TO_MARCH, "2026-04-30T12:00Z", False),
    # a range that ends after the month's end is cut there
    (interval(days=("25:31",)), "2026-02-28T12:00Z", True),
    (interval(days=("25:31",)), "2026-03-01T12:00Z", False),
    # one that begins before the month's beginning too
    (interval(days=("-31:-27",)), "2026-02-01T12:00Z", True),
    (interval(days=("-31:-27",)), "2026-02-03T12:00Z", False),
    # one that ends before the month's beginning holds nothing of it
    (interval(days=("-31:-30",)), "2026-02-01T12:00Z", False),
    # from a day to the last
    (interval(days=("29:-1",)), "2026-02-28T12:00Z", False),
    (interval(days=("29:-1",)), "2026-04-30T12:00Z", True),
    # months and years include their ends
    (interval(months=("5:8",)), "2026-04-30T23:59Z", False),
    (interval(months=("5:8",)), "2026-08-31T23:59Z", True),
    (interval(years=("2025:2026",)), "2026-12-31T23:59Z", True),
    (interval(years=("2025:2026",)), "2027-01-01T00:00Z", False),
    # the year is the location's
    (interval(years=("2027",), zone="Asia/Baghdad"), "2026-12-31T21:00Z", True),
]

FLIPS = [
    # the edges of an office day
    (OFFICE, "2026-09-23T08:00Z", "2026-09-23T09:00Z"),
    (OFFICE, "2026-09-23T09:00Z", "2026-09-23T17:00Z"),
    # over the weekend
    (OFFICE, "2026-09-25T17:00Z", "2026-09-28T09:00Z"),
    # from within a minute
    (OFFICE, "2026-09-23T16:59:59.999Z", "2026-09-23T17:00Z"),
    # midnight of the location
    (WEEKEND_BAGHDAD, "2026-09-25T12:00Z", "2026-09-26T21:00Z"),
    # the gap swallows the edge: the change is at the transition
    (SMALL_HOURS_NEW_YORK, "2026-03-08T06:45Z", "2026-03-08T07:00Z"),
    # a range that begins within the gap begins at the transition
    (
        interval(times=(("02:30", "04:00"),), zone="America/New_York"),
        "2026-03-08T05:00Z",
        "2026-03-08T07:00Z",
    ),
    # set back in the middle of the range: out, in again, out
    (SMALL_HOURS_NEW_YORK, "2026-11-01T05:30Z", "2026-11-01T06:00Z"),
    (SMALL_HOURS_NEW_YORK, "2026-11-01T06:00Z", "2026-11-01T06:30Z"),
    (SMALL_HOURS_NEW_YORK, "2026-11-01T06:30Z", "2026-11-01T07:30Z"),
    # the half hour of Lord Howe that comes twice is one stretch
    (SMALL_HOURS_LORD_HOWE, "2026-04-04T14:30Z", "2026-04-04T15:30Z"),
    # Cairo has no midnight on 2026-04-24: the day begins at one
    (interval(days=("24",), zone="Africa/Cairo"), "2026-04-23T12:00Z", "2026-04-23T22:00Z"),
    # St John's of 2010 set back at 00:01 to 23:01 of the day before
    (interval(days=("7",), zone="America/St_Johns"), "2010-11-07T02:30Z", "2010-11-07T02:31Z"),
    (interval(days=("7",), zone="America/St_Johns"), "2010-11-07T02:31Z", "2010-11-07T03:30Z"),
    # the next year
    (interval(months=("january",), days=("1",)), "2026-01-02T00:00Z", "2027-01-01T00:00Z"),
    # nothing ever changes
    (EVERYTHING, "2026-01-01T00:00Z", None),
    # not within the bound
    (interval(years=("2030",)), "2026-01-01T00:00Z", None),
    # close to the end of time
    (EVERYTHING, "9999-12-29T12:00Z", None),
]


@pytest.mark.parametrize(("held", "at", "expected"), HOLDS)
def test_holds(held: TimeInterval, at: str, expected: bool) -> None:
    """An interval contains an instant if each of its fields contains the local time."""
    moment = instant(at)

    found = contains(held, moment)

    assert found is expected


def test_refuses_an_instant_without_a_zone() -> None:
    """A naive date-time is refused: no zone is guessed, not even the zone of the machine."""
    naive = datetime(2026, 9, 23, 9)

    with pytest.raises(ValueError, match="without a zone"):
        contains(OFFICE, naive)


def test_one_interval_of_a_name_is_enough() -> None:
    """A night is written as two ranges, and each of them contains its part of the night."""
    night = NamedInterval(
        name="night",
        intervals=(interval(times=(("22:00", "24:00"),)), interval(times=(("00:00", "06:00"),))),
    )
    hours = ("21:59", "22:00", "23:59", "00:00", "05:59", "06:00")

    found = [night.contains(instant(f"2026-09-23T{hour}Z")) for hour in hours]

    assert found == [False, True, True, True, True, False]


@pytest.mark.parametrize(("held", "after", "expected"), FLIPS)
def test_finds_the_next_flip(held: TimeInterval, after: str, expected: str | None) -> None:
    """The next change is the first instant at which an interval begins or ends."""
    moment = instant(after)

    found = find_next_change(lambda at: contains(held, at), [held], moment)

    assert found == (None if expected is None else instant(expected))


def test_a_flip_at_the_bound_is_found_and_one_after_it_is_not() -> None:
    """The search includes the bound."""
    before = instant("2026-09-23T08:00Z")

    found = [
        find_next_change(lambda at: contains(OFFICE, at), [OFFICE], before, MINUTE * n) for n in (59, 60)
    ]

    assert found == [None, instant("2026-09-23T09:00Z")]


ZONES = ("UTC", "America/New_York", "Asia/Baghdad", "Australia/Lord_Howe", "Asia/Beirut", "America/St_Johns")
CLOCK = st.integers(0, 48).map(lambda half: half * 30)
TIME_RANGES = st.tuples(CLOCK, CLOCK).filter(lambda pair: pair[0] < pair[1])
INTERVALS = st.builds(
    TimeInterval,
    times=st.lists(TIME_RANGES.map(lambda pair: TimeRange(start=pair[0], end=pair[1])), max_size=2).map(
        tuple
    ),
    weekdays=st.sampled_from([(), (Range(first=1, last=5),), (Range(first=0, last=0),)]),
    days_of_month=st.sampled_from([(), (Range(first=-2, last=-1),), (Range(first=1, last=7),)]),
    location=st.sampled_from(ZONES).map(ZoneInfo),
)
# Days on either side of which one of the zones changes its offset, and a plain one.
DAYS = st.sampled_from(
    ["2026-03-07", "2026-11-01", "2026-04-04", "2026-10-03", "2010-11-06", "2026-10-24", "2026-07-01"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(INTERVALS, min_size=1, max_size=2), DAYS, st.integers(0, 2 * 24 * 60))
def test_agrees_with_asking_every_minute(intervals: list[TimeInterval], day: str, minute: int) -> None:
    """The next change is the change that a walk minute by minute finds."""
    after, bound = instant(f"{day}T00:00Z") + minute * MINUTE, timedelta(days=2)

    def state(at: datetime) -> bool:
        return any(contains(interval, at) for interval in intervals)

    steps = (after + n * MINUTE for n in range(1, bound // MINUTE + 1))
    walked = next((at for at in steps if state(at) != state(after)), None)

    found = find_next_change(state, intervals, after, bound)

    assert found == walked
