"""Durations: the texts that are accepted and refused, and how durations move days and wall times."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.time.duration import Duration, format_offset, parse_duration, shift_date, shift_wall
from alertd.errors import DurationError

READ = [
    # each unit of the shorthand
    ("2y", Duration(months=24), "2y"),
    ("1mo", Duration(months=1), "1mo"),
    ("2w", Duration(days=14), "14d"),
    ("30d", Duration(days=30), "30d"),
    ("12h", Duration(seconds=43_200), "12h"),
    ("45min", Duration(seconds=2_700), "45min"),
    ("30s", Duration(seconds=30), "30s"),
    # several, from the largest to the smallest
    ("1y6mo", Duration(months=18), "1y6mo"),
    ("1d12h", Duration(days=1, seconds=43_200), "1d12h"),
    ("1y1mo1w1d1h1min1s", Duration(months=13, days=8, seconds=3_661), "1y1mo8d1h1min1s"),
    # twelve months are a year, seven days stay days; 36 hours are no day and a half
    ("18mo", Duration(months=18), "1y6mo"),
    ("36h", Duration(seconds=129_600), "36h"),
    ("90min", Duration(seconds=5_400), "1h30min"),
    # ISO 8601, where M before the T is months and after it minutes
    ("P1M", Duration(months=1), "1mo"),
    ("PT1M", Duration(seconds=60), "1min"),
    ("PT12H", Duration(seconds=43_200), "12h"),
    ("P1DT12H", Duration(days=1, seconds=43_200), "1d12h"),
    ("P1W", Duration(days=7), "7d"),
    ("P1Y2M3W4DT5H6M7S", Duration(months=14, days=25, seconds=18_367), "1y2mo25d5h6min7s"),
    # a sign in front
    ("-7d", Duration(days=-7), "-7d"),
    ("+7d", Duration(days=7), "7d"),
    ("-P1M", Duration(months=-1), "-1mo"),
    ("+PT1S", Duration(seconds=1), "1s"),
    # the zero duration has a single canonical text
    ("0h", Duration(), "0d"),
    ("-0d", Duration(), "0d"),
    # leading zeros, and the longest there may be
    ("007d", Duration(days=7), "7d"),
    ("100y", Duration(months=1200), "100y"),
    ("36525d", Duration(days=36_525), "36525d"),
]

REFUSED = [
    # month or minute? both are offered
    ("1m", "m could be months or minutes", "write 1mo for months or 1min for minutes", 1),
    ("1d5m", "m could be months or minutes", "write 5mo for months or 5min for minutes", 3),
    ("1M", "m could be months or minutes", "write 1mo for months or 1min for minutes", 1),
    # a number alone
    ("30", "a number without a unit", "write 30d, 30h or 30min", 0),
    ("-30", "a number without a unit", "write -30d, -30h or -30min", 0),
    # nothing where something should be
    ("", "empty", "write a duration such as 7d, 1mo or 12h", 0),
    ("P", "a duration of no parts", "write 0d if none is meant", 0),
    ("PT", "a duration of no parts", "write 0d if none is meant", 0),
    ("P1DT", "not an ISO 8601 duration", "its units come once each in the order P1Y1M1W1DT1H1M1S", 0),
    # fractions, with a full stop or a comma
    ("1.5h", "a fraction", "write whole numbers of a smaller unit, such as 1h30min", 1),
    ("P0,5D", "a fraction", "write whole numbers of a smaller unit, such as 1h30min", 2),
    # order and repetition
    ("1h1d", "units go from the largest to the smallest", "write 1d1h", 0),
    ("1d2d", "a unit twice", "write each unit once", 0),
    ("P1D2M", "not an ISO 8601 duration", "its units come once each in the order P1Y1M1W1DT1H1M1S", 0),
    ("P1H", "hours, minutes and seconds come after a T", "write PT1H", 0),
    # capitals matter
    ("p1d", "its letters must be capitals", "write P1D", 0),
    ("30D", "not a duration as alertd writes it", "write 30d", 0),
    # words and spaces
    ("30 days", "not a duration as alertd writes it", "write 30d", 0),
    ("1 month", "not a duration as alertd writes it", "write 1mo", 0),
    ("1d 12h", "not a duration as alertd writes it", "write 1d12h", 0),
    (" 7d", "space before or after it", "write 7d", 0),
    ("7d\n", "space before or after it", "write 7d", 2),
    # a sign inside, or alone
    ("1d-2h", "not a duration", "write one such as 7d, 1mo, 1d12h or P1M", 2),
    ("-", "not a duration", "write one such as 7d, 1mo, 1d12h or P1M", 0),
    # units that are not ours
    ("1q", "no unit 'q'", "the units are y, mo, w, d, h, min and s", 1),
    # digits of another script
    ("\u0667d", "a character outside ASCII", "write digits and units such as 7d", 0),
    # too much
    ("101y", "more than 100 years", "", 0),
    ("-36526d", "more than 100 years", "", 0),
    ("P99999999Y", "more than 100 years", "", 0),
    ("1" * 65 + "d", "longer than 64 characters", "", 64),
]

# Re-authored from the rule: months and years first, one cut to the month's last day, then weeks and days.
DAYS_MOVED = [
    # the day exists in the next month
    ("2023-01-28", "1mo", "2023-02-28"),
    ("2023-04-30", "1mo", "2023-05-30"),
    ("2023-02-28", "1mo", "2023-03-28"),
    # it does not: the month's last day, once
    ("2023-01-29", "1mo", "2023-02-28"),
    ("2023-01-31", "1mo", "2023-02-28"),
    ("2024-01-31", "1mo", "2024-02-29"),
    ("2023-05-31", "1mo", "2023-06-30"),
    # backwards
    ("2023-03-28", "-1mo", "2023-02-28"),
    ("2023-03-31", "-1mo", "2023-02-28"),
    ("2024-03-31", "-1mo", "2024-02-29"),
    ("2023-07-31", "-1mo", "2023-06-30"),
    # over the year's end, both ways
    ("2026-12-31", "-3mo", "2026-09-30"),
    ("2023-02-28", "-2mo", "2022-12-28"),
    ("2023-11-30", "3mo", "2024-02-29"),
    ("2021-01-31", "3y1mo", "2024-02-29"),
    # leap days
    ("2020-02-29", "1y", "2021-02-28"),
    ("2020-02-29", "4y", "2024-02-29"),
    ("2024-02-29", "-1y", "2023-02-28"),
    ("1999-02-28", "1y1d", "2000-02-29"),
    # the cut comes after years and months together, not between them
    ("2020-02-29", "1y1mo", "2021-03-29"),
    # and days come after the cut
    ("2020-02-29", "1y1d", "2021-03-01"),
    ("2020-02-29", "1y2w", "2021-03-14"),
    ("2020-01-30", "1y1mo1d", "2021-03-01"),
    ("2020-01-30", "1y1mo1w", "2021-03-07"),
    ("2024-03-31", "-1mo1d", "2024-02-28"),
    # days alone, through a leap day and a year's end
    ("2024-02-28", "2d", "2024-03-01"),
    ("2026-09-30", "-90d", "2026-07-02"),
    ("2026-12-31", "1d", "2027-01-01"),
    # nothing
    ("2026-09-30", "0d", "2026-09-30"),
]

parts = st.integers(min_value=0, max_value=400)


@pytest.mark.parametrize(("text", "expected", "canonical"), READ, ids=[row[0] for row in READ])
def test_reads(text: str, expected: Duration, canonical: str) -> None:
    """Both notations give the same value, which has a single canonical text."""
    duration = parse_duration(text)

    assert duration == expected
    assert str(duration) == canonical


@pytest.mark.parametrize(
    ("text", "reason", "advice", "offset"), REFUSED, ids=[repr(row[0][:12]) for row in REFUSED]
)
def test_refuses(text: str, reason: str, advice: str, offset: int) -> None:
    """A text that is not a duration is refused with a reason, an advice and the offset of the mistake."""
    with pytest.raises(DurationError) as caught:
        parse_duration(text)

    error = caught.value
    assert (error.text, error.reason, error.advice, error.offset) == (text, reason, advice, offset)


@given(st.text(max_size=80) | st.text(alphabet="0123456789ymowdhinsPTYMWDHS+-., ", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Every text is parsed, or raises a DurationError with an offset inside the text."""
    found = read_or_refused(text)

    if isinstance(found, DurationError):
        assert found.reason
        assert 0 <= found.offset <= len(text)
    else:
        assert parse_duration(str(found)) == found


@given(
    months=parts, days=parts, seconds=st.integers(min_value=0, max_value=10**6), sign=st.sampled_from((1, -1))
)
def test_canonical_text_reads_back(months: int, days: int, seconds: int, sign: int) -> None:
    """A duration does not change when it is written and parsed again."""
    duration = Duration(months=months, days=days, seconds=seconds) * sign

    assert parse_duration(str(duration)) == duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # before, on and after the day
        ("-7d", "-7d"),
        ("0d", "0d"),
        ("1d", "+1d"),
        # several units have one sign
        ("-P1Y1D", "-1y1d"),
        ("PT36H", "+36h"),
    ],
)
def test_offset_text(text: str, expected: str) -> None:
    """An offset always shows on which side of the deadline it is."""
    assert format_offset(parse_duration(text)) == expected


def test_arithmetic() -> None:
    """Durations can be added part by part, negated and multiplied."""
    day, month, hours = parse_duration("1d"), parse_duration("1mo"), parse_duration("12h")

    assert day + month + hours == Duration(months=1, days=1, seconds=43_200)
    assert -(day + hours) == Duration(days=-1, seconds=-43_200)
    assert month * 14 == parse_duration("1y2mo")
    assert not day * 0
    assert bool(hours)


def test_parts_have_one_sign() -> None:
    """A month minus five days has no definite length, and is refused."""
    with pytest.raises(ValueError, match="one sign"):
        Duration(months=1, days=-5)

    with pytest.raises(ValueError, match="one sign"):
        parse_duration("1mo") + parse_duration("-5d")


@pytest.mark.parametrize(
    ("text", "has_exact", "is_exact"),
    [
        # nominal
        ("1d", False, False),
        # exact
        ("24h", True, True),
        # both
        ("1d12h", True, False),
        # the zero duration is not exact
        ("0h", False, False),
    ],
)
def test_nominal_and_exact(text: str, has_exact: bool, is_exact: bool) -> None:
    """A day is not 24 hours: nominal and exact parts are kept apart."""
    duration = parse_duration(text)

    assert (duration.has_exact, duration.is_exact) == (has_exact, is_exact)


@pytest.mark.parametrize(("day", "by", "expected"), DAYS_MOVED)
def test_shift_date(day: str, by: str, expected: str) -> None:
    """A day moves by the months first, is cut to the month's last day once, and then moves by the days."""
    moved = shift_date(date.fromisoformat(day), parse_duration(by))

    assert moved.isoformat() == expected


@pytest.mark.parametrize(
    ("day", "by", "message"),
    [
        # an hour is no part of a calendar day
        (date(2026, 9, 30), "1h", "hours, minutes or seconds"),
        (date(2026, 9, 30), "1d1s", "hours, minutes or seconds"),
        # off either end, by months and by days
        (date(9999, 12, 1), "1mo", "leaves the calendar"),
        (date(9999, 12, 31), "1d", "leaves the calendar"),
        (date(1, 1, 1), "-1d", "leaves the calendar"),
        (date(1, 1, 1), "-1mo", "leaves the calendar"),
    ],
)
def test_shift_date_refuses(day: date, by: str, message: str) -> None:
    """A day can move neither by an exact part nor outside the calendar."""
    with pytest.raises(ValueError, match=message):
        shift_date(day, parse_duration(by))


@given(st.dates(min_value=date(1000, 1, 1), max_value=date(9000, 1, 1)), st.integers(-1200, 1200))
def test_months_keep_the_day_or_cut_it(day: date, months: int) -> None:
    """A move by months reaches the right month, and keeps the day or takes the last day of the month."""
    moved = shift_date(day, Duration(months=months))

    assert (moved.year - day.year) * 12 + moved.month - day.month == months
    assert moved.day == day.day or (moved.day < day.day and shift_date(moved, Duration(days=1)).day == 1)


def test_shift_wall_keeps_the_clock() -> None:
    """A wall time moves to another day and keeps its clock time. The exact part is ignored."""
    wall = datetime(2026, 1, 31, 17, 45, 30)

    assert shift_wall(wall, parse_duration("1mo1d")) == datetime(2026, 3, 1, 17, 45, 30)
    assert shift_wall(wall, parse_duration("-1d12h")) == datetime(2026, 1, 30, 17, 45, 30)


def read_or_refused(text: str) -> Duration | DurationError:
    try:
        return parse_duration(text)
    except DurationError as error:
        return error
