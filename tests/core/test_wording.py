"""Short English texts: each is correct English, and none claims more than is known."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Reading
from alertd.core.milestones.milestone import Source
from alertd.core.time.duration import parse_duration
from alertd.core.words import (
    count_days_until,
    describe_account,
    describe_distance,
    describe_done,
    describe_duration,
    describe_move,
    describe_status,
    format_count,
    format_day,
    format_instant,
    format_published,
    format_span,
    join_with_and,
    join_with_or,
    make_possessive,
    make_sentence,
    phrase_offset,
)
from tests.core.builders import BAGHDAD, MINISTER, PENTAGON, REUTERS, at, claim, utc, window

# deadline, now in Baghdad, how far away
DISTANCES = [
    # calendar days to the last day, whatever the hour
    ("2026-09", "2026-07-02T09:00", "due in 90 days"),
    ("2026-09", "2026-09-28T23:59", "due in 2 days"),
    ("2026-09", "2026-09-29T00:00", "due tomorrow"),
    ("2026-09", "2026-09-30T00:00", "due today"),
    ("2026-09", "2026-09-30T23:59:59", "due today"),
    # passed is from the exclusive end on
    ("2026-09", "2026-10-01T00:00", "passed yesterday"),
    ("2026-09", "2026-10-02T09:00", "passed 2 days ago"),
    ("2026-09", "2026-11-24T09:00", "passed 55 days ago"),
    ("2026", "2026-11-24T09:00", "due in 37 days"),
    ("1926", "2026-11-24T09:00", "passed 36,488 days ago"),
    # a time of day within a day: hours, minutes, now
    ("2026-09-30T17:00", "2026-09-29T16:00", "due tomorrow"),
    ("2026-09-30T17:00", "2026-09-29T17:30", "due in 23 hours"),
    ("2026-09-30T17:00", "2026-09-30T16:00", "due in 1 hour"),
    ("2026-09-30T17:00", "2026-09-30T16:58", "due in 2 minutes"),
    ("2026-09-30T17:00", "2026-09-30T16:59:30", "due now"),
    ("2026-09-30T17:00", "2026-09-30T17:00", "due now"),
    ("2026-09-30T17:00", "2026-09-30T17:01", "passed 1 minute ago"),
    ("2026-09-30T17:00", "2026-10-01T16:00", "passed 23 hours ago"),
    ("2026-09-30T17:00", "2026-10-01T18:00", "passed yesterday"),
    # without an end there is no distance
    ("2026-09/..", "2026-09-30T09:00", ""),
]


@pytest.mark.parametrize(("deadline", "now", "expected"), DISTANCES)
def test_distance(deadline: str, now: str, expected: str) -> None:
    """Distances are counted in calendar days of the milestone's zone, and within a day in hours."""
    assert describe_distance(window(deadline), at(now)) == expected


def test_the_day_is_that_of_the_zone() -> None:
    """At 21:30 UTC on 30 September, it is already October in Baghdad."""
    late = utc("2026-09-30T21:30")

    assert count_days_until(window("2026-09"), late) == -1


# deadlines with one window, now, the status
STATUSES = [
    (["2026-09"], "2026-10-07T09:00", "passed 7 days ago by the account"),
    # a qualified date is never described as certain
    (["2026-09~"], "2026-10-07T09:00", "passed 7 days ago by the account, not confirmed"),
    (["2026-09?"], "2026-10-07T09:00", "passed 7 days ago by the account, not confirmed"),
    (["2026-09%"], "2026-10-07T09:00", "passed 7 days ago by the account, not confirmed"),
    (["2026-09~"], "2026-09-23T09:00", "due in about 7 days by the account"),
    (["2026-09?"], "2026-09-23T09:00", "due in 7 days by the account, not certain"),
    (["2026-09%"], "2026-09-23T09:00", "due in about 7 days by the account, not certain"),
    (["2026-09~"], "2026-09-29T09:00", "due about now by the account"),
    (["2026-09%"], "2026-09-30T09:00", "due about now by the account, not certain"),
    # a single claim without a qualifier is enough
    (["2026-09~", "2026-09"], "2026-10-07T09:00", "passed 7 days ago by the account"),
    # several qualified claims: all their doubts apply
    (["2026-09~", "2026-09?"], "2026-09-23T09:00", "due in 7 days by the account, not certain"),
    # a window without an end has no distance
    (["2026-09?/.."], "2026-09-23T09:00", "by the account"),
]


@pytest.mark.parametrize(("deadlines", "now", "expected"), STATUSES)
def test_status(deadlines: list[str], now: str, expected: str) -> None:
    """The status has the certainty of the most certain claim for the window."""
    claims = [claim(text) for text in deadlines]

    assert describe_status(claims, window(deadlines[0]), at(now), "by the account") == expected


# deadline, reading, done date, expected text
DONE = [
    ("2026-09", Reading.END, date(2026, 9, 18), "done 12 days before the end"),
    ("2026-09", Reading.END, date(2026, 9, 30), "done on the last day"),
    ("2026-09", Reading.END, date(2026, 10, 1), "done 1 day after"),
    ("2026-09-30", Reading.END, date(2026, 9, 29), "done 1 day before"),
    ("2026-09-30T17:00", Reading.END, date(2026, 9, 30), "done on the day"),
    ("2026-09", Reading.START, date(2026, 8, 30), "done 1 day before"),
    ("2026-09/..", Reading.END, date(2026, 9, 18), ""),
]


@pytest.mark.parametrize(("deadline", "reading", "day", "expected"), DONE)
def test_done(deadline: str, reading: Reading, day: date, expected: str) -> None:
    """A done date is before, on or after the last day of the window."""
    assert describe_done(window(deadline, BAGHDAD, reading), day) == expected


# deadlines before and after, by how much
MOVES = [
    ("2026-09", "2026", "92 days later"),
    ("2026", "2026-09", "92 days earlier"),
    ("2026-09-30", "2026-10-01", "1 day later"),
    # the same last day: nothing to count
    ("2026-09", "2026-09-30", ""),
    ("2026-09-30", "2026-09-30T17:00", ""),
    ("2026-09-30T17:00", "2026-09-30", ""),
    # a day and a time of day are counted in days
    ("2026-09-30", "2026-10-02T17:00", "2 days later"),
    # two times of day within a day in hours
    ("2026-09-30T17:00", "2026-09-30T12:00", "5 hours earlier"),
    ("2026-09-30T17:00", "2026-10-01T08:30", "15 hours later"),
    ("2026-09-30T17:00", "2026-09-30T17:45", "45 minutes later"),
    ("2026-09-30T17:00", "2026-10-02T17:00", "2 days later"),
    # with an offset the zone is not known here: whole days
    ("2026-09-30T17:00Z", "2026-10-01T17:00", "1 day later"),
    # no end to count from
    ("2026-09/..", "2026-09", ""),
    ("2026-09", "2026-09/..", ""),
]


@pytest.mark.parametrize(("before", "after", "expected"), MOVES)
def test_moved_by(before: str, after: str, expected: str) -> None:
    """The distance of a move is counted from last day to last day."""
    assert describe_move(window(before), window(after)) == expected


# an offset, in words
OFFSETS = [
    ("-7d", "7 days before the deadline"),
    ("-1d", "1 day before the deadline"),
    ("+1d", "1 day after the deadline"),
    ("+1y6mo", "1 year 6 months after the deadline"),
    ("-1h30min", "1 hour 30 minutes before the deadline"),
    ("0d", "on the day"),
    ("opens", "when its time begins"),
    ("moved", "because it moved"),
    ("done", "because it is done"),
]


@pytest.mark.parametrize(("offset", "expected"), OFFSETS)
def test_offsets(offset: str, expected: str) -> None:
    """An offset is written in words."""
    assert phrase_offset(offset) == expected


# a duration, in words
DURATIONS = [
    ("90d", "90 days"),
    ("1mo", "1 month"),
    ("1y1mo1d", "1 year 1 month 1 day"),
    ("0d", "0 days"),
    ("45s", "45 seconds"),
]


@pytest.mark.parametrize(("duration", "expected"), DURATIONS)
def test_durations(duration: str, expected: str) -> None:
    """Every non-zero unit is named, in the singular for 1."""
    assert describe_duration(parse_duration(duration)) == expected


NO_SOURCES: tuple[Source, ...] = ()
# sources, on whose account
ACCOUNTS = [
    (NO_SOURCES, ""),
    ((MINISTER,), "by the minister's account"),
    ((REUTERS,), "by Reuters' account"),
    ((MINISTER, REUTERS), "by the accounts of the minister and Reuters"),
    ((MINISTER, REUTERS, PENTAGON), "by the accounts of the minister, Reuters and Lloyd Austin"),
    ((MINISTER, MINISTER), "by the minister's account"),
]


@pytest.mark.parametrize(("sources", "expected"), ACCOUNTS)
def test_accounts(sources: tuple[Source, ...], expected: str) -> None:
    """The account names each source once."""
    assert describe_account(sources) == expected


# when it was published, as EDTF; in words
PUBLISHED = [
    ("2024-09-08", "8 September 2024"),
    ("2024-08", "August 2024"),
    ("2024~", "about 2024"),
    ("", ""),
    ("last week", "last week"),
]


@pytest.mark.parametrize(("edtf", "expected"), PUBLISHED)
def test_published(edtf: str, expected: str) -> None:
    """A date of publication keeps its precision, and a text that is not a date does not change."""
    assert format_published(edtf) == expected


# actual text, expected text
SMALL = [
    (format_day(date(2026, 9, 1)), "1 September 2026"),
    (format_instant(at("2026-09-30T09:05"), BAGHDAD), "30 September 2026, 09:05 (Asia/Baghdad)"),
    (join_with_and(["a"]), "a"),
    (join_with_and(["a", "b"]), "a and b"),
    (join_with_and(["a", "b", "c"]), "a, b and c"),
    (join_with_or(["a", "b", "c"]), "a, b or c"),
    (format_count(1, "day"), "1 day"),
    (format_count(0, "day"), "0 days"),
    (format_count(1100, "day"), "1,100 days"),
    (make_possessive("Reuters"), "Reuters'"),
    (make_possessive("the minister"), "the minister's"),
    (make_sentence("done"), "Done."),
    (make_sentence("Really?"), "Really?"),
    (format_span(timedelta(days=27, hours=21)), "27 days"),
    (format_span(timedelta(hours=1)), "1 hour"),
    (format_span(timedelta(minutes=59, seconds=59)), "59 minutes"),
    (format_span(timedelta(seconds=-3)), "0 seconds"),
]


@pytest.mark.parametrize(("said", "expected"), SMALL)
def test_small_words(said: str, expected: str) -> None:
    """Dates, lists, counts, possessives and spans are correct English."""
    assert said == expected


def test_of_nothing_nothing_is_said() -> None:
    """An empty list and an empty sentence stay empty."""
    assert (join_with_and([]), join_with_or([]), make_sentence("")) == ("", "", "")


@given(st.integers(-40_000, 40_000))
def test_passed_and_due_agree_with_the_end(hours: int) -> None:
    """At every hour, a deadline is described as due exactly when it has not passed."""
    month = window("2026-09")
    now = at("2026-10-01T00:00") + timedelta(hours=hours)

    text = describe_distance(month, now)

    assert month.ends is not None
    assert text.startswith("passed" if now >= month.ends else "due")
