"""Recurring milestones: rules of RFC 5545 in local wall time, one instance for each date."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Deadline, parse_deadline
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.recurrence import MAX_INSTANCES, expand_instances, get_series_id, parse_recurrence
from alertd.errors import RecurrenceError
from tests.core.builders import MINISTER, NEW_YORK, REUTERS, claim, due_at, milestone, policy, utc

SINCE, UNTIL = date(2026, 1, 1), date(2027, 1, 1)


def days(made: Milestone, since: date = SINCE, until: date = UNTIL) -> list[str]:
    return [claim.id.partition("@")[2] for claim in expand_instances(made, since, until)]


# first deadline, rule, the dates in 2026
RULES = [
    # the last day of every month
    (
        "2026-01-31", "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=4",
        ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"],
    ),
    # RFC 5545: a date that does not exist is left out, not moved
    ("2026-01-31", "FREQ=MONTHLY;COUNT=4", ["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"]),
    ("2024-02-29", "FREQ=YEARLY", []),
    # UNTIL is inclusive, as a date, as a local time, and in UTC by its date
    ("2026-10-30", "FREQ=DAILY;UNTIL=20261101", ["2026-10-30", "2026-10-31", "2026-11-01"]),
    ("2026-10-31", "FREQ=DAILY;UNTIL=20261101T000000", ["2026-10-31", "2026-11-01"]),
    ("2026-10-31", "FREQ=DAILY;UNTIL=20261101T000000Z", ["2026-10-31", "2026-11-01"]),
    ("2026-10-31T17:00", "FREQ=DAILY;UNTIL=20261101T165959", ["2026-10-31"]),
    # COUNT counts from the first, not from the range
    ("2025-12-30", "FREQ=DAILY;COUNT=4", ["2026-01-01", "2026-01-02"]),
    # the last working day of a quarter (RFC 5545's BYSETPOS)
    (
        "2026-03-31", "FREQ=MONTHLY;INTERVAL=3;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        ["2026-03-31", "2026-06-30", "2026-09-30", "2026-12-31"],
    ),
    # the second-to-last Friday; every other week
    ("2026-11-20", "FREQ=MONTHLY;BYDAY=-2FR;UNTIL=20261231", ["2026-11-20", "2026-12-18"]),
    ("2026-12-01", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", ["2026-12-01", "2026-12-15", "2026-12-29"]),
    # a first deadline beyond the range
    ("2027-01-01", "FREQ=DAILY", []),
]  # fmt: skip


@pytest.mark.parametrize(("first", "rule", "expected"), RULES)
def test_rules(first: str, rule: str, expected: list[str]) -> None:
    """The instances of a range are those of RFC 5545, by their local dates."""
    made = milestone(first, repeat=rule)

    assert days(made) == expected


def test_the_range_is_half_open() -> None:
    """A range includes an instance on its first day and excludes an instance on the day after it."""
    made = milestone("2026-09-01", repeat="FREQ=DAILY")

    assert days(made, date(2026, 9, 3), date(2026, 9, 5)) == ["2026-09-03", "2026-09-04"]


def test_an_instance_is_a_milestone_of_its_own() -> None:
    """An instance has its own id and date, keeps all other values, and does not recur."""
    made = milestone(claim("2026-01-31", MINISTER, note="monthly"), repeat="FREQ=MONTHLY;BYMONTHDAY=-1")

    (found,) = expand_instances(made, date(2026, 2, 1), date(2026, 3, 1))

    assert found.id == "iraq/phase-2@2026-02-28"
    assert found.claims == (claim("2026-02-28", MINISTER, note="monthly"),)
    assert (found.repeat, found.title, found.labels) == (None, made.title, made.labels)


def test_claims_move_together() -> None:
    """A contested series stays contested: every claim moves by as many days as the first claim."""
    made = milestone(
        claim("2026-01-10~", MINISTER), claim("2026-01-20T17:00", REUTERS), repeat="FREQ=MONTHLY"
    )

    (found,) = expand_instances(made, date(2026, 3, 1), date(2026, 4, 1))

    assert [claim.deadline.edtf for claim in found.claims] == ["2026-03-10~", "2026-03-20T17:00"]


def test_wall_time_stays_over_a_change_of_the_clocks() -> None:
    """Nine in the morning stays nine in the morning in summer and in winter."""
    made = milestone("2026-10-31T09:00", zone=NEW_YORK, repeat="FREQ=DAILY;COUNT=2")

    before, after = expand_instances(made, SINCE, UNTIL)

    assert (due_at(before, "0d"), due_at(after, "0d")) == (utc("2026-10-31T13:00"), utc("2026-11-01T14:00"))


def test_an_instance_in_a_gap_is_as_far_after_it() -> None:
    """RFC 5545 section 3.3.5 applies to instances as to all wall times."""
    made = milestone(
        "2026-03-07T02:30", zone=NEW_YORK, repeat="FREQ=DAILY;COUNT=2", with_policy=policy(clock="12:00")
    )

    _, gap = expand_instances(made, SINCE, UNTIL)

    assert due_at(gap, "0d") == utc("2026-03-08T07:30")


def test_midnight_in_a_gap_loses_no_day() -> None:
    """A day that begins at one o'clock has its instance (APScheduler's cron trigger skips the day)."""
    made = milestone("2026-04-23", zone=ZoneInfo("Africa/Cairo"), repeat="FREQ=DAILY;COUNT=3")

    assert days(made) == ["2026-04-23", "2026-04-24", "2026-04-25"]


def test_what_does_not_recur_is_its_own_instance() -> None:
    """Without a rule, the milestone itself is the only instance in any range."""
    made = milestone("2026-09")

    assert expand_instances(made, SINCE, SINCE) == (made,)


def test_an_unresolved_milestone_is_left_alone() -> None:
    """A rule without a claim has no date to count from."""
    made = milestone("2026-09-30", repeat="FREQ=DAILY")
    bare = replace(made, claims=())

    assert expand_instances(bare, SINCE, UNTIL) == (bare,)


def test_the_number_of_instances_is_bounded() -> None:
    """Even a range of thousands of years has no more instances than the limit."""
    made = milestone("2026-01-01", repeat="FREQ=DAILY")

    found = expand_instances(made, SINCE, date(9000, 1, 1))

    assert len(found) == MAX_INSTANCES


# id, id of its series
SERIES = [("a/b@2026-09-30", "a/b"), ("a/b", "a/b")]


@pytest.mark.parametrize(("name", "expected"), SERIES)
def test_the_series_of_an_id(name: str, expected: str) -> None:
    """The id of an instance consists of the id of its series and its date."""
    assert get_series_id(name) == expected


# rule, first deadline, a part of the reason
REFUSED = [
    # not a rule
    ("every month", "2026-09-30", "no part of a rule"),
    ("", "2026-09-30", "no part of a rule"),
    ("FREQ=MONTHLY;", "2026-09-30", "no part of a rule"),
    ("freq=monthly", "2026-09-30", "no part of a rule"),
    ("FREQ=MONTHLY\nRRULE:FREQ=DAILY", "2026-09-30", "no part of a rule"),
    ("FREQ=MONTHLY;" + "BYDAY=MO," * 99, "2026-09-30", "longer than 500"),
    ("BYMONTHDAY=1", "2026-09-30", "FREQ must be one of"),
    ("FREQ=MONTHLY;FREQ=DAILY", "2026-09-30", "given twice"),
    # several instances on one date, or other calendars
    ("FREQ=HOURLY", "2026-09-30", "FREQ must be one of"),
    ("FREQ=DAILY;BYHOUR=9,17", "2026-09-30", "an instance is named by its date"),
    ("FREQ=YEARLY;RSCALE=CHINESE", "2026-09-30", "RSCALE is not supported"),
    ("FREQ=YEARLY;DTSTART=20260930", "2026-09-30", "DTSTART is not supported"),
    ("FREQ=YEARLY;BYEASTER=0", "2026-09-30", "BYEASTER is not supported"),
    ("FREQ=DAILY;FOO=1", "2026-09-30", "FOO is not supported"),
    # numbers that loop for ever, or mean nothing
    ("FREQ=DAILY;INTERVAL=0", "2026-09-30", "INTERVAL must be a whole number"),
    ("FREQ=DAILY;INTERVAL=-1", "2026-09-30", "INTERVAL must be a whole number"),
    ("FREQ=DAILY;COUNT=0", "2026-09-30", "COUNT must be a whole number"),
    ("FREQ=DAILY;COUNT=X", "2026-09-30", "COUNT must be a whole number"),
    # RFC 5545 3.3.10: UNTIL and COUNT exclude each other
    ("FREQ=DAILY;COUNT=3;UNTIL=20261231", "2026-09-30", "exclude each other"),
    # dateutil would read these with today's month and day
    ("FREQ=DAILY;UNTIL=2026", "2026-09-30", "is no date"),
    ("FREQ=DAILY;UNTIL=2026-12-31", "2026-09-30", "is no date"),
    ("FREQ=DAILY;UNTIL=20261331", "2026-09-30", "invalid 'UNTIL'"),
    # rules without an instance, or that end before they begin
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "2026-09-30", "no instance at all"),
    ("FREQ=DAILY;UNTIL=20260929", "2026-09-30", "no instance at all"),
    # a first deadline that is not a single local day
    ("FREQ=DAILY", "2026-09", "must be a day or a local date-time"),
    ("FREQ=DAILY", "2026", "must be a day or a local date-time"),
    ("FREQ=DAILY", "2026-09-30T17:00Z", "must be a day or a local date-time"),
    ("FREQ=DAILY", "2026-09-01/2026-09-30", "must be a day or a local date-time"),
    ("FREQ=DAILY", "2026-09-30/2026-09-30", "must be a day or a local date-time"),
    ("FREQ=DAILY", "[2026-09-30]", "must be a day or a local date-time"),
    ("FREQ=DAILY", "2026-09-XX", "must be a day or a local date-time"),
]


@pytest.mark.parametrize(("rule", "first", "reason"), REFUSED)
def test_refused(rule: str, first: str, reason: str) -> None:
    """A rule that could only be expanded by guessing is refused with a reason."""
    deadline = parse_deadline(first)

    with pytest.raises(RecurrenceError, match=reason):
        parse_recurrence(rule, deadline)


FIRST = parse_deadline("2026-01-15")
VALUES = st.sampled_from(
    ("0", "-1", "1", "2", "31", "MO", "-1FR", "20261231", "20261231T000000Z", "99999", "DAILY")
)
PARTS = st.lists(
    st.tuples(
        st.sampled_from(("INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYWEEKNO", "WKST")),
        VALUES,
    ),
    max_size=4,
).map(lambda parts: "".join(f";{name}={value}" for name, value in parts))
TEXTS = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda freq, rest: f"RRULE:FREQ={freq}{rest}", st.sampled_from(("MONTHLY", "YEARLY", "WEEKLY")), PARTS
    ),
)


@given(TEXTS)
def test_no_text_raises_anything_else(text: str) -> None:
    """Every text is refused with a RecurrenceError, or is a rule whose instances are days in order."""
    first: Deadline = FIRST
    try:
        parse_recurrence(text, first)
    except RecurrenceError:
        return
    made = milestone("2026-01-15", repeat=text)

    found = [datetime.fromisoformat(day) for day in days(made, SINCE, date(2028, 1, 1))]

    assert found == sorted(set(found))
