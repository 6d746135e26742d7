"""Time intervals: the texts that are accepted and refused for their fields."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.time.interval import (
    Range,
    TimeRange,
    parse_days_of_month,
    parse_months,
    parse_time_range,
    parse_weekdays,
    parse_years,
)
from alertd.errors import IntervalError

READ: list[tuple[Callable[[str], Range], str, tuple[int, int]]] = [
    # one weekday, and a range
    (parse_weekdays, "sunday", (0, 0)),
    (parse_weekdays, "monday:friday", (1, 5)),
    # the whole week
    (parse_weekdays, "sunday:saturday", (0, 6)),
    # names in any case
    (parse_weekdays, "Monday:FRIDAY", (1, 5)),
    # days of the month, from the front, from the back and across
    (parse_days_of_month, "15", (15, 15)),
    (parse_days_of_month, "1:31", (1, 31)),
    (parse_days_of_month, "-3:-1", (-3, -1)),
    (parse_days_of_month, "10:-1", (10, -1)),
    # never empty: in a month of 31 days -1 is the 31st
    (parse_days_of_month, "30:-1", (30, -1)),
    # months by number, by name and by both
    (parse_months, "1:3", (1, 3)),
    (parse_months, "may:august", (5, 8)),
    (parse_months, "December", (12, 12)),
    (parse_months, "1:march", (1, 3)),
    # years
    (parse_years, "2026", (2026, 2026)),
    (parse_years, "2025:2026", (2025, 2026)),
]

UNREAD: list[tuple[Callable[[str], Range], str, str, str, int]] = [
    # the nearest name is offered
    (parse_weekdays, "mon:friday", "not a weekday", "monday", 0),
    (parse_weekdays, "monday:fryday", "not a weekday", "friday", 7),
    (parse_months, "sept", "not a month", "september", 0),
    (parse_months, "may:augusst", "not a month", "august", 4),
    # numbers are no weekdays
    (parse_weekdays, "1:5", "not a weekday", "English name", 0),
    # nothing, and half of a range
    (parse_weekdays, "", "not a weekday", "English name", 0),
    (parse_weekdays, "monday:", "not a weekday", "English name", 7),
    (parse_days_of_month, "", "not a day of the month", "first:last", 0),
    (parse_years, ":2026", "not a year", "first:last", 0),
    # a list in one item
    (parse_weekdays, "monday:tuesday:friday", "more than one colon", "more items", 14),
    (parse_days_of_month, "1,15", "not a day of the month", "first:last", 0),
    # over the end of the week or year: two ranges
    (parse_weekdays, "friday:monday", "runs over saturday", "friday:saturday and sunday:monday", 0),
    (parse_weekdays, "saturday:sunday", "runs over saturday", "saturday and sunday", 0),
    (parse_months, "november:2", "runs over december", "november:december and january:february", 0),
    # out of range
    (parse_days_of_month, "0", "no such day", "1 to 31", 0),
    (parse_days_of_month, "32", "no such day", "1 to 31", 0),
    (parse_days_of_month, "-32:-1", "no such day", "1 to 31", 0),
    (parse_months, "0:3", "no such month", "1 to 12", 0),
    (parse_months, "1:13", "no such month", "1 to 12", 2),
    (parse_years, "26", "not a year", "four digits", 0),
    (parse_years, "-2026", "not a year", "four digits", 0),
    # backwards
    (parse_days_of_month, "15:1", "always before", "1:5", 0),
    (parse_days_of_month, "-1:-3", "always before", "-3:-1", 0),
    (parse_days_of_month, "20:-20", "always before", "-3:-1", 0),
    (parse_days_of_month, "-3:5", "negative last day", "-3:-1", 0),
    (parse_years, "2026:2025", "before the first", "2025:2026", 0),
    # digits of other scripts, signs, fractions
    (parse_years, "٢٠٢٦", "not a year", "number", 0),
    (parse_days_of_month, "+1", "not a day of the month", "number", 0),
    (parse_days_of_month, "1.5", "not a day of the month", "number", 0),
]

TIMES = [
    # an hour, the whole day, the last minute
    ("09:00", "10:00", 540, 600),
    ("00:00", "24:00", 0, 1440),
    ("23:59", "24:00", 1439, 1440),
]

NO_TIMES = [
    # over midnight: two ranges
    ("22:00", "06:00", "over midnight", "two ranges, 22:00 to 24:00 and 00:00 to 06:00", 0),
    # to midnight is a single one
    ("22:00", "00:00", "over midnight", "write 22:00 to 24:00", 0),
    # nothing or the whole day? not guessed
    ("09:00", "09:00", "the same", "00:00 to 24:00", 0),
    # 24:00 begins nothing
    ("24:00", "06:00", "only be an end", "00:00", 0),
    ("24:00", "24:00", "only be an end", "00:00", 0),
    # no clock times
    ("9:00", "17:00", "not a time of day", "09:00", 0),
    ("09:00", "24:01", "not a time of day", "09:00", 9),
    ("09:00", "5pm", "not a time of day", "09:00", 9),
    ("09:60", "17:00", "not a time of day", "09:00", 0),
    ("", "17:00", "not a time of day", "09:00", 0),
    ("09:00", "", "not a time of day", "09:00", 9),
    ("09:00", "17:00\n", "not a time of day", "09:00", 9),
]


@pytest.mark.parametrize(("parse", "text", "expected"), READ)
def test_reads_a_range(parse: Callable[[str], Range], text: str, expected: tuple[int, int]) -> None:
    """A range is parsed into its first and last number."""
    first, last = expected

    found = parse(text)

    assert found == Range(first=first, last=last)


@pytest.mark.parametrize(("parse", "text", "reason", "advice", "offset"), UNREAD)
def test_refuses_a_range(
    parse: Callable[[str], Range], text: str, reason: str, advice: str, offset: int
) -> None:
    """A text that is not a range is refused with the text, a reason, an advice and the offset."""
    with pytest.raises(IntervalError) as caught:
        parse(text)

    assert caught.value.text == text
    assert reason in caught.value.reason
    assert advice in caught.value.advice
    assert caught.value.offset == offset


@pytest.mark.parametrize(("start", "end", "first", "last"), TIMES)
def test_reads_times(start: str, end: str, first: int, last: int) -> None:
    """Two clock times are parsed into minutes of the day."""
    expected = TimeRange(start=first, end=last)

    found = parse_time_range(start, end)

    assert found == expected


@pytest.mark.parametrize(("start", "end", "reason", "advice", "offset"), NO_TIMES)
def test_refuses_times(start: str, end: str, reason: str, advice: str, offset: int) -> None:
    """Clock times that are not a range within a day are refused with advice on what to write."""
    with pytest.raises(IntervalError) as caught:
        parse_time_range(start, end)

    assert caught.value.text == f"{start} to {end}"
    assert reason in caught.value.reason
    assert advice in caught.value.advice
    assert caught.value.offset == offset


RANGE_TEXT = st.text(max_size=20) | st.text(alphabet="0123456789:-monday", max_size=12)


@given(st.sampled_from([parse_weekdays, parse_days_of_month, parse_months, parse_years]), RANGE_TEXT)
def test_never_fails_otherwise(parse: Callable[[str], Range], text: str) -> None:
    """Every text of a range is parsed or refused with an IntervalError."""
    offset = 0

    try:
        parse(text)
    except IntervalError as error:
        offset = error.offset

    assert 0 <= offset <= len(text)


@given(RANGE_TEXT, RANGE_TEXT)
def test_never_fails_otherwise_for_times(start: str, end: str) -> None:
    """Every pair of texts of a time range is parsed or refused with an IntervalError."""
    advice, found = "", TimeRange(start=0, end=1)

    try:
        found = parse_time_range(start, end)
    except IntervalError as error:
        advice = error.advice

    assert advice or 0 <= found.start < found.end <= 24 * 60
