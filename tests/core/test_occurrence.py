"""Occurrences: the instants of a milestone's reminders, to the minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from alertd.core.deadline import Reading
from alertd.core.milestones.occurrence import Cause, find_first_instant, list_occurrences
from alertd.core.routing.labels import list_labels
from tests.core.builders import (
    EVER,
    MINISTER,
    NEVER,
    REUTERS,
    at,
    claim,
    contested,
    due_at,
    milestone,
    offsets,
    policy,
    utc,
)

# The table of design section 3, column by column:
# deadline, zone, window begins, window ends, -90d, -30d, -7d, -1d, on the day, +1d
DESIGN = [
    (
        "2026-09", "Asia/Baghdad", "2026-08-31T21:00", "2026-09-30T21:00", "2026-07-02T06:00",
        "2026-08-31T06:00", "2026-09-23T06:00", "2026-09-29T06:00", "2026-09-30T06:00", "2026-10-01T06:00",
    ),
    (
        "2026", "America/New_York", "2026-01-01T05:00", "2027-01-01T05:00", "2026-10-02T13:00",
        "2026-12-01T14:00", "2026-12-24T14:00", "2026-12-30T14:00", "2026-12-31T14:00", "2027-01-01T14:00",
    ),
    (
        "2026-03", "Europe/Berlin", "2026-02-28T23:00", "2026-03-31T22:00", "2025-12-31T08:00",
        "2026-03-01T08:00", "2026-03-24T08:00", "2026-03-30T07:00", "2026-03-31T07:00", "2026-04-01T07:00",
    ),
    (
        "2026-04-23", "Africa/Cairo", "2026-04-22T22:00", "2026-04-23T22:00", "2026-01-23T07:00",
        "2026-03-24T07:00", "2026-04-16T07:00", "2026-04-22T07:00", "2026-04-23T07:00", "2026-04-24T06:00",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", DESIGN, ids=lambda row: row[0])
def test_the_table_of_the_design(row: tuple[str, ...]) -> None:
    """Every instant of the design's table is computed to the minute."""
    deadline, zone, begins, ends, *reminders = row
    made = milestone(deadline, zone=ZoneInfo(zone))
    wanted = dict(zip(("-90d", "-30d", "-7d", "-1d", "0d", "+1d"), map(utc, reminders), strict=True))

    found = {due.offset: due for due in list_occurrences(made, EVER, NEVER)}

    assert {offset: found[offset].at for offset in wanted} == wanted
    assert {(due.stated.window.begins, due.stated.window.ends) for due in found.values()} == {
        (utc(begins), utc(ends))
    }


def test_the_default_policy() -> None:
    """September 2026 has ten reminders in local time, and no pair of offset and cause occurs twice."""
    made = milestone("2026-09")

    found = [(due.cause, due.offset, f"{due.at:%m-%dT%H:%M}") for due in list_occurrences(made, EVER, NEVER)]

    assert found == [
        (Cause.APPROACHING, "-90d", "07-02T06:00"),
        (Cause.APPROACHING, "-30d", "08-31T06:00"),
        (Cause.OPENS, "opens", "09-01T06:00"),
        (Cause.APPROACHING, "-7d", "09-23T06:00"),
        (Cause.APPROACHING, "-1d", "09-29T06:00"),
        (Cause.DUE, "0d", "09-30T06:00"),
        (Cause.OVERDUE, "+1d", "10-01T06:00"),
        (Cause.OVERDUE, "+7d", "10-07T06:00"),
        (Cause.OVERDUE, "+14d", "10-14T06:00"),
        (Cause.OVERDUE, "+28d", "10-28T06:00"),
    ]


# deadline, lead time, local time of the reminder in Baghdad
MONTHS = [
    # a month before the 31st is the last day of February, cut once (dateutil, test_relativedelta)
    ("2026-03-31", "1mo", "2026-02-28 09:00"),
    ("2024-03-31", "1mo", "2024-02-29 09:00"),
    ("2026-12-31", "3mo", "2026-09-30 09:00"),
    # a year before a leap day; a year and a month together, cut once
    ("2024-02-29", "1y", "2023-02-28 09:00"),
    ("2021-03-29", "1y1mo", "2020-02-29 09:00"),
    # a month deadline counts from its last day
    ("2026-02", "1mo", "2026-01-28 09:00"),
    ("2026-03", "1mo", "2026-02-28 09:00"),
    # weeks are days; months first, then days
    ("2026-09-30", "2w", "2026-09-16 09:00"),
    ("2021-03-31", "1mo1d", "2021-02-27 09:00"),
]


@pytest.mark.parametrize(("deadline", "lead", "expected"), MONTHS)
def test_month_ends(deadline: str, lead: str, expected: str) -> None:
    """A lead time in months is cut to the last day of a shorter month, and cut only once."""
    made = milestone(deadline, with_policy=policy(before=[lead], after=(), on_day=False, opens=False))

    found = offsets(made)

    assert [when for _, when in found] == [expected]


# zone, deadline, lead or delay, at, UTC instant
CLOCK_CHANGES = [
    # RFC 5545 3.3.5: 02:30 does not occur on 2007-03-11, and is 03:30 EDT
    ("America/New_York", "2007-03-12", "-1d", "02:30", "2007-03-11T07:30"),
    # RFC 5545 3.3.5: 01:30 occurs twice on 2007-11-04, and is the first, EDT
    ("America/New_York", "2007-11-05", "-1d", "01:30", "2007-11-04T05:30"),
    # midnight falls in a gap: the day begins at 01:00
    ("Africa/Cairo", "2026-04-25", "-1d", "00:00", "2026-04-23T22:00"),
    # a gap of half an hour
    ("Australia/Lord_Howe", "2026-10-05", "-1d", "02:15", "2026-10-03T15:45"),
    # the first overdue reminder at midnight is the exclusive end itself
    ("Asia/Baghdad", "2026-09", "+1d", "00:00", "2026-09-30T21:00"),
    # a day that never was: the reminder on it comes a day later
    ("Pacific/Apia", "2011-12-31", "-1d", "12:00", "2011-12-30T22:00"),
]


@pytest.mark.parametrize(("zone", "deadline", "offset", "clock", "expected"), CLOCK_CHANGES)
def test_gaps_and_folds(zone: str, deadline: str, offset: str, clock: str, expected: str) -> None:
    """In a fold, a local time is its first occurrence, and in a gap, it has the offset before the gap."""
    made = milestone(deadline, zone=ZoneInfo(zone), with_policy=policy(clock=clock))

    found = due_at(made, offset)

    assert found == utc(expected)


# deadline, `at`, what it reminds of, local time in New York
DATE_TIMES = [
    # days keep the clock time of the deadline, over a change of the clocks too
    ("2026-11-02T17:00", "09:00", "-1d", "2026-11-01 17:00"),
    ("2026-11-02T17:00", "09:00", "-7d", "2026-10-26 17:00"),
    ("2026-03-31T17:00", "09:00", "-1mo", "2026-02-28 17:00"),
    ("2026-10-31T17:00", "09:00", "+1d", "2026-11-01 17:00"),
    # hours and minutes are exact: 24 h before the end of a day of 25 hours
    ("2026-11-02T00:30", "09:00", "-24h", "2026-11-01 01:30"),
    ("2026-11-02T00:30", "09:00", "-25h", "2026-11-01 00:30"),
    ("2026-11-02T17:00", "09:00", "-90min", "2026-11-02 15:30"),
    ("2026-11-02T17:00", "09:00", "+2h", "2026-11-02 19:00"),
    # the calendar part first, then the exact part
    ("2026-11-02T17:00", "09:00", "-1d2h", "2026-11-01 15:00"),
    # on the day: at `at` when that is before the deadline, else at the deadline
    ("2026-11-02T17:00", "09:00", "0d", "2026-11-02 09:00"),
    ("2026-11-02T08:00", "09:00", "0d", "2026-11-02 08:00"),
    ("2026-11-02T09:00", "09:00", "0d", "2026-11-02 09:00"),
    # with an offset of its own it is in the milestone's zone all the same
    ("2026-11-02T22:00Z", "09:00", "-1d", "2026-11-01 17:00"),
]


@pytest.mark.parametrize(("deadline", "clock", "offset", "expected"), DATE_TIMES)
def test_deadlines_with_a_time_of_day(deadline: str, clock: str, offset: str, expected: str) -> None:
    """Days and longer units move the local date and keep the clock time. Hours and minutes are exact."""
    made = milestone(
        deadline,
        zone=ZoneInfo("America/New_York"),
        with_policy=policy(
            clock=clock,
            before=[offset[1:]] if offset[0] == "-" else (),
            after=[offset[1:]] if offset[0] == "+" else (),
        ),
    )
    wanted = {"-90min": "-1h30min"}.get(offset, offset)

    found = dict(offsets(made))

    assert found[wanted] == expected


# 01:30 occurs twice on 2026-11-01: the deadline by its offset, an hour before it, an hour after it
FOLD = [
    ("2026-11-01T01:30-04:00", "2026-11-01T04:30", "2026-11-01T06:30"),
    ("2026-11-01T01:30-05:00", "2026-11-01T05:30", "2026-11-01T07:30"),
]


@pytest.mark.parametrize(("deadline", "before", "after"), FOLD)
def test_hours_around_a_fold(deadline: str, before: str, after: str) -> None:
    """Hours count from the exact instant, even from the second of two equal wall times."""
    made = milestone(
        deadline, zone=ZoneInfo("America/New_York"), with_policy=policy(before=["1h"], after=["1h"])
    )

    found = (due_at(made, "-1h"), due_at(made, "+1h"))

    assert found == (utc(before), utc(after))


# deadline, offset, local time in Baghdad
HOURS = [
    # the last hour of the last day is the hour before the exclusive end
    ("2026-09", "-1h", "2026-09-30 23:00"),
    ("2026-09-30", "-12h", "2026-09-30 12:00"),
    ("2026-09-30", "-24h", "2026-09-30 00:00"),
    ("2026-09-30", "+2h", "2026-10-01 02:00"),
    # days with hours count from the exclusive end as well
    ("2026-09-30", "-1d12h", "2026-09-29 12:00"),
]


@pytest.mark.parametrize(("deadline", "offset", "expected"), HOURS)
def test_hours_of_a_deadline_without_a_time_of_day(deadline: str, offset: str, expected: str) -> None:
    """Hours count from the exclusive end, and do not depend on `at`."""
    rung = [offset[1:]]
    made = milestone(deadline, with_policy=policy(before=rung, after=rung))

    found = dict(offsets(made))

    assert found[offset] == expected


# deadline, reading, the local day on which it opens or None
OPENS = [
    # longer than a day: at `at` on the first day
    ("2026-09", Reading.END, "2026-09-01 09:00"),
    ("2026", Reading.END, "2026-01-01 09:00"),
    ("2026-35", Reading.END, "2026-07-01 09:00"),
    ("2026-09-10/2026-09-12", Reading.END, "2026-09-10 09:00"),
    # without an end it still begins
    ("2026-09/..", Reading.END, "2026-09-01 09:00"),
    # a day, a time of day, an interval of one day: nothing to open
    ("2026-09-30", Reading.END, None),
    ("2026-09-30T17:00", Reading.END, None),
    ("2026-09-30/2026-09-30", Reading.END, None),
    # no beginning: nothing to open
    ("../2026-12", Reading.END, None),
    ("/2026-12", Reading.END, None),
    ("2026-09", Reading.START, None),
]


@pytest.mark.parametrize(("deadline", "reading", "expected"), OPENS)
def test_opens(deadline: str, reading: Reading, expected: str | None) -> None:
    """A window opens only if it has a first day and continues after that day."""
    made = milestone(claim(deadline, reading=reading))

    found = dict(offsets(made)).get("opens")

    assert found == expected


def test_an_open_end_is_never_due() -> None:
    """A window without an end has only the opens reminder, even if the policy repeats without an end."""
    made = milestone("2026-09/..", with_policy=policy(then_every="28d"))

    found = [due.cause for due in list_occurrences(made, EVER, NEVER)]

    assert found == [Cause.OPENS]


def test_the_reading_start_counts_from_the_day_before() -> None:
    """ "Before September" is due on 31 August and overdue in September."""
    made = milestone(claim("2026-09", reading=Reading.START))

    found = dict(offsets(made))

    assert (found["-1d"], found["0d"], found["+1d"]) == (
        "2026-08-30 09:00", "2026-08-31 09:00", "2026-09-01 09:00",
    )  # fmt: skip


def test_the_policy_can_leave_out_each_kind() -> None:
    """A policy can switch off each kind of reminder."""
    made = milestone("2026-09", with_policy=policy(before=(), after=(), on_day=False, opens=False))

    found = list_occurrences(made, EVER, NEVER)

    assert found == ()


def test_a_lead_time_twice_reminds_once() -> None:
    """Two equal steps are a single reminder, even when written differently, because their keys are equal."""
    made = milestone("2026-09", with_policy=policy(before=["7d", "1w"], after=["24h", "1d", "24h"]))

    found = [offset for offset, _ in offsets(made)]

    assert sorted(found) == sorted(set(found))


def test_contested_windows_remind_each() -> None:
    """Every distinct window has its own reminders, and each reminder has the claims of its window."""
    made = contested()

    found = {(due.stated.window.id, due.stated.source_ids) for due in list_occurrences(made, EVER, NEVER)}

    assert found == {
        ("2026-09-01/2026-10-01", ("al-abassi",)),
        ("2026-01-01/2027-01-01", ("reuters",)),
    }


def test_the_range_is_half_open() -> None:
    """The range includes a reminder at its beginning and excludes a reminder at its end."""
    made = milestone("2026-09")
    since, until = at("2026-09-23T09:00"), at("2026-09-29T09:00")

    found = offsets(made, since, until)

    assert found == [("-7d", "2026-09-23 09:00")]


# a reminder outside the calendar is never due, and does not affect other reminders
@pytest.mark.parametrize(("deadline", "rung"), [("9998-12-31", "5y"), ("9998", "100y")])
def test_beyond_the_calendar(deadline: str, rung: str) -> None:
    """A reminder after the year 9999 is left out."""
    made = milestone(deadline, with_policy=policy(before=["1d"], after=["1d", rung], then_every="50y"))

    found = [due.offset for due in list_occurrences(made, EVER, datetime.max.replace(tzinfo=UTC))]

    assert found[-3:] == ["-1d", "0d", "+1d"]


def test_the_first_instant() -> None:
    """The horizon of the policy begins with the first reminder of any window."""
    made = contested()

    found = find_first_instant(made)

    assert found == at("2026-01-01T09:00")


def test_no_first_instant_without_a_reminder() -> None:
    """A milestone without a claim has no horizon."""
    assert find_first_instant(milestone()) is None


def test_the_first_instant_of_a_ladder_alone() -> None:
    """Without reminders before the deadline, the horizon begins with the first overdue reminder."""
    made = milestone("2026-09", with_policy=policy(before=(), on_day=False, opens=False))

    found = find_first_instant(made)

    assert found == at("2026-10-01T09:00")


def test_labels() -> None:
    """Routes match the labels of the milestone and the labels that alertd adds, which take precedence."""
    made = contested(labels={"country": "iraq", "cause": "mine"})

    found = list_labels(made, Cause.OVERDUE, "+1d")

    assert found == {
        "country": "iraq",
        "timeline": "iraq",
        "milestone": "iraq/phase-2",
        "cause": "overdue",
        "offset": "+1d",
        "contested": "true",
    }


def test_a_corrected_title_changes_nothing() -> None:
    """A corrected title, description, note or label changes no occurrence, so nothing is sent again."""
    made = milestone(claim("2026-09", MINISTER))
    corrected = replace(made, title="Another title", labels={"a": "b"}, tentative=True)

    before, after = (list_occurrences(version, EVER, NEVER) for version in (made, corrected))

    assert before == after


def test_the_same_window_by_two_sources_reminds_once() -> None:
    """Two sources of the same window are a single deadline, even if they give it in different precisions."""
    made = milestone(claim("2026-09", MINISTER), claim("2026-09-01/2026-09-30", REUTERS))

    found = [due for due in list_occurrences(made, EVER, NEVER) if due.offset == "-7d"]

    assert [due.stated.source_ids for due in found] == [("al-abassi", "reuters")]
