"""Deadlines that are moved by a duration, as in "90 days after phase 1"."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Qualifier, Reading, compute_window, parse_deadline, shift_deadline
from alertd.core.time.duration import Duration, parse_duration

BAGHDAD = ZoneInfo("Asia/Baghdad")
NEW_YORK = ZoneInfo("America/New_York")
END, START = Reading.END, Reading.START

MOVED = [
    # a month by months stays a month, however long the months are
    ("2025-09", END, "1mo", "2025-10"),
    ("2026-01", END, "1mo", "2026-02"),
    ("2026-01", END, "-1y", "2025-01"),
    ("2026-09-XX", END, "1mo", "2026-10"),
    # by days it is an interval of days; both bounds move
    ("2025-09", END, "90d", "2025-11-30/2025-12-29"),
    ("2025-09", END, "1mo5d", "2025-10-06/2025-11-05"),
    # years, halves, four months and quarters, while they are still whole
    ("2026", END, "1y", "2027"),
    ("2026", END, "6mo", "2026-07/2027-06"),
    ("2026-40", END, "6mo", "2026-41"),
    ("2026-37", END, "8mo", "2026-39"),
    ("2026-35", END, "6mo", "2027-33"),
    ("2026-35", END, "1mo", "2026-08/2026-10"),
    ("202X", END, "1y", "2021-01/2030-12"),
    # a day stays a day, cut once to its month
    ("2026-01-31", END, "1mo", "2026-02-28"),
    ("2026-09-30", END, "1mo", "2026-10-30"),
    ("2026-09-30", END, "-1w", "2026-09-23"),
    # intervals: of months, of days
    ("2025-09/2026-09", END, "1mo", "2025-10/2026-10"),
    ("2026-09-05/2026-09-30", END, "1mo", "2026-10-05/2026-10-30"),
    # ends that are no dates stay what they are
    ("2026-09/..", END, "1mo", "2026-10/.."),
    ("2026-09/", END, "1d", "2026-09-02/"),
    ("../2026-12", END, "1mo", "../2027-01"),
    ("/2026-12-31", END, "1d", "/2027-01-01"),
    # read to its start, it becomes what ends there
    ("2026-09", START, "1mo", "../2026-09"),
    ("2026-09", START, "5d", "../2026-09-05"),
    ("2027", START, "1y", "../2027-12"),
    ("2026-10-31", START, "1mo", "../2026-11-29"),
    ("2025-09/2026-09", START, "1mo", "../2025-09"),
    # qualifiers stay where they were
    ("2025-09~", END, "1mo", "2025-10~"),
    ("2025-09%", END, "7d", "2025-09-08%/2025-10-07%"),
    ("2025-09~/2026-09", END, "1mo", "2025-10~/2026-10"),
    ("../2026-12?", END, "1mo", "../2027-01?"),
    ("2026-09~", START, "0d", "../2026-08~"),
    # a set is moved from its first to its last choice
    ("[2026-09,2026-12]", END, "1mo", "2026-10/2027-01"),
    ("[2026-09~,2026-12?]", END, "1mo", "2026-10%/2027-01%"),
    # nothing moves nothing
    ("2026-35~", END, "0d", "2026-35~"),
]

POINTS = [
    # on the wall by the nominal part
    ("2026-09-30T17:00", BAGHDAD, "1mo", "2026-10-30T17:00"),
    ("2026-10-31T17:00:30", NEW_YORK, "1d", "2026-11-01T17:00:30"),
    # then by the exact one: a day over the end of summer time has 25 hours
    ("2026-10-31T17:00", NEW_YORK, "24h", "2026-11-01T16:00"),
    ("2026-10-31T17:00", NEW_YORK, "1d2h", "2026-11-01T19:00"),
    # seconds make it precise to the second
    ("2026-09-30T17:00", BAGHDAD, "30s", "2026-09-30T17:00:30"),
    # a wall time that does not exist is kept: tzdata may yet change
    ("2026-03-07T02:30", NEW_YORK, "1d", "2026-03-08T02:30"),
    # the second of two equal wall times can only be told by its offset
    ("2026-11-01T00:30", NEW_YORK, "1h", "2026-11-01T01:30"),
    ("2026-11-01T00:30", NEW_YORK, "2h", "2026-11-01T01:30-05:00"),
    # an offset is kept; the day is counted on the clocks of the zone
    ("2026-10-31T21:00Z", NEW_YORK, "1d", "2026-11-01T22:00Z"),
    ("2026-10-31T17:00-04:00", NEW_YORK, "1d", "2026-11-01T18:00-04:00"),
    ("2026-10-31T17:00-04:00", NEW_YORK, "24h", "2026-11-01T17:00-04:00"),
]


@pytest.mark.parametrize(("text", "reading", "by", "expected"), MOVED)
def test_dates(text: str, reading: Reading, by: str, expected: str) -> None:
    """Both bounds of the window move, and the result keeps the coarsest precision that is still correct."""
    moved = shift_deadline(parse_deadline(text), BAGHDAD, reading, parse_duration(by))

    assert moved.edtf == moved.text == expected


@pytest.mark.parametrize(("text", "zone", "by", "expected"), POINTS)
@pytest.mark.parametrize("reading", Reading)
def test_date_times(text: str, zone: ZoneInfo, by: str, expected: str, reading: Reading) -> None:
    """A date-time moves by the nominal part on the local clock, and then by the exact part."""
    moved = shift_deadline(parse_deadline(text), zone, reading, parse_duration(by))

    assert moved.edtf == expected


@pytest.mark.parametrize(
    ("text", "reading", "by", "message"),
    [
        # hours have nothing to be added to
        ("2026-09-30", END, "1h", "no time of day"),
        ("2026-09", START, "1d12h", "no time of day"),
        # nothing to move
        ("../2026-12", START, "1mo", "no start to move"),
        # out of the range of years, by a little and by a lot
        ("9998-12-31", END, "1d", "years go from 1000 to 9998"),
        ("9998", END, "1y", "9998 moved by 1y leaves the calendar"),
        ("1000-01", END, "-1mo", "years go from 1000 to 9998"),
        ("1000-01-01T00:00", END, "-1d", "years go from 1000 to 9998"),
        ("9998-12-31T12:00", END, "100y", "leaves the calendar"),
    ],
)
def test_refuses(text: str, reading: Reading, by: str, message: str) -> None:
    """A deadline that cannot be moved exactly is refused."""
    with pytest.raises(ValueError, match=message):
        shift_deadline(parse_deadline(text), BAGHDAD, reading, parse_duration(by))


@given(
    st.sampled_from(
        ("2026-09", "2026", "2026-Q3", "2026-02~", "2025-09/2026-09", "2026-01-31", "../2026-12")
    ),
    st.sampled_from((BAGHDAD, NEW_YORK)),
    st.integers(-4000, 4000),
)
def test_days_move_the_last_day(text: str, zone: ZoneInfo, days: int) -> None:
    """A duration in days moves the last day of the window by exactly as many days. The qualifier stays."""
    deadline = parse_deadline(text)
    before = compute_window(deadline, zone)

    moved = shift_deadline(deadline, zone, END, Duration(days=days))

    after = compute_window(moved, zone)
    assert before.last_day is not None
    assert after.last_day is not None
    assert after.last_day - before.last_day == timedelta(days=days)
    assert moved.qualifier is deadline.qualifier


@given(
    st.sampled_from(
        ("2026-09", "2026", "2026-Q3", "2026-02-28", "2025-09/2026-09", "2026-10-31", "2026-09/..")
    ),
    st.integers(-600, 600),
    st.integers(-600, 600),
)
def test_read_to_the_start_moves_the_start(text: str, months: int, days: int) -> None:
    """A deadline that is read to its start and moved ends at the moved start."""
    by = Duration(months=abs(months), days=abs(days)) * (1 if months > 0 else -1)
    deadline = parse_deadline(text)
    start = parse_deadline(str(deadline.earliest))

    moved = compute_window(shift_deadline(deadline, BAGHDAD, START, by), BAGHDAD)

    assert moved.begins is None
    assert moved.ends == compute_window(shift_deadline(start, BAGHDAD, END, by), BAGHDAD).begins


def test_qualifier_of_a_set_is_of_the_whole() -> None:
    """The qualifier of a choice applies to both bounds of the interval that replaces the set."""
    moved = shift_deadline(parse_deadline("[2026-09,2026-12?]"), BAGHDAD, END, parse_duration("1mo"))

    assert moved.qualifier is Qualifier.UNCERTAIN
