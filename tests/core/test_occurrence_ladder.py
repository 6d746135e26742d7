"""Reminders after the deadline, reminders that move to working days, and rules that always hold."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Reading, parse_deadline
from alertd.core.milestones.milestone import Claim, Milestone
from alertd.core.milestones.occurrence import (
    REPEAT_SPAN,
    REPEATS_AHEAD,
    SERIES_REPEAT_SPAN,
    Cause,
    Occurrence,
    list_occurrences,
    list_repeats,
    list_steps,
)
from alertd.core.milestones.policy import Policy, Roll, WorkCalendar
from alertd.core.milestones.recurrence import expand_instances
from alertd.core.time.duration import Duration
from tests.core.builders import EVER, at, milestone, offsets, policy, utc

ALWAYS = datetime.min.replace(tzinfo=UTC)


def test_then_every_goes_on_after_the_ladder() -> None:
    """After the last step of `after`, another reminder follows at every interval of `then_every`."""
    made = milestone("2026-09", with_policy=policy(after=["1d", "28d"], then_every="28d"))

    found = offsets(made, at("2026-10-01T00:00"), at("2027-01-21T00:00"))

    assert found == [
        ("+1d", "2026-10-01 09:00"),
        ("+28d", "2026-10-28 09:00"),
        ("+56d", "2026-11-25 09:00"),
        ("+84d", "2026-12-23 09:00"),
        ("+112d", "2027-01-20 09:00"),
    ]


# step, the first two reminders after 90 years, in local time
FAR = [
    ("28d", ["2116-10-28 09:00", "2116-11-25 09:00"]),
    ("1mo", ["2116-10-30 09:00", "2116-11-30 09:00"]),
    ("1y", ["2117-09-30 09:00", "2118-09-30 09:00"]),
    ("36h", ["2116-10-21 00:00", "2116-10-22 12:00"]),
]


@pytest.mark.parametrize(("step", "expected"), FAR)
def test_then_every_has_no_end(step: str, expected: list[str]) -> None:
    """A milestone that has been overdue for decades still has reminders, at the same steps."""
    made = milestone("2026-09-30", with_policy=policy(after=(), then_every=step))

    found = offsets(made, at("2116-10-20T00:00"), at("2119-01-01T00:00"))

    assert [when for _, when in found[:2]] == expected


def test_then_every_without_a_ladder_counts_from_the_deadline() -> None:
    """The first repeat comes one interval after the last day."""
    made = milestone("2026-09-30", with_policy=policy(after=(), then_every="28d"))

    found = offsets(made, at("2026-10-01T00:00"), at("2026-11-01T00:00"))

    assert found == [("+28d", "2026-10-28 09:00")]


def test_from_the_beginning_on_decades_are_not_brought_along() -> None:
    """A range without a beginning has the steps of `after` and only the last repeats."""
    made = milestone("1926-09-30", with_policy=policy(then_every="1d"))
    until = utc("2026-11-24T06:00")

    found = [due for due in list_occurrences(made, ALWAYS, until) if due.cause is Cause.OVERDUE]

    assert [due.offset for due in found[:4]] == ["+1d", "+7d", "+14d", "+28d"]
    assert until - timedelta(days=1) <= found[-1].at < until
    assert len(found) <= REPEAT_SPAN.days + 100


def test_an_instance_of_a_series_nags_for_a_while() -> None:
    """An old instance of a series stops long after the next instances have begun to remind."""
    series = milestone("2026-09-30", repeat="FREQ=YEARLY", with_policy=policy(then_every="28d"))
    (made,) = expand_instances(series, date(2026, 9, 1), date(2026, 10, 1))

    found = list_occurrences(made, EVER, utc("2099-01-01T00:00"))

    assert found[-1].at < utc("2026-09-30T21:00") + SERIES_REPEAT_SPAN
    assert found[-1].at > utc("2026-09-30T21:00") + SERIES_REPEAT_SPAN - timedelta(days=29)


FRIDAY_SATURDAY = WorkCalendar(
    name="iraq", weekend=frozenset({4, 5}), holidays=frozenset({date(2026, 9, 30), date(2026, 10, 1)})
)

# offset, deadline, local time in Baghdad; 2026-10-02 is a Friday
ROLLED = [
    # before and on the day: to the last working day up to it
    ("-1d", "2026-10-03", "2026-09-29 09:00"),  # a Friday, and two holidays before it
    ("0d", "2026-10-03", "2026-09-29 09:00"),
    ("-7d", "2026-10-10", "2026-09-29 09:00"),  # 3 October is a Saturday
    # after: to the first working day on or after it, because the statement is false before it
    ("+1d", "2026-09-30", "2026-10-04 09:00"),
    ("+7d", "2026-09-25", "2026-10-04 09:00"),  # 2 October is a Friday
    # a working day stays
    ("-1d", "2026-09-30", "2026-09-29 09:00"),
    ("0d", "2026-09-29", "2026-09-29 09:00"),
    ("+7d", "2026-09-28", "2026-10-05 09:00"),
    # an opens reminder on a holiday moves to a later day
    ("opens", "2026-10", "2026-10-04 09:00"),
    # hours are exact and do not roll
    ("-12h", "2026-10-02", "2026-10-02 12:00"),
    # with a time of day the day rolls and the clock time stays
    ("-1d", "2026-10-03T17:00", "2026-09-29 17:00"),
    ("+1d", "2026-10-01T17:00", "2026-10-04 17:00"),
    ("0d", "2026-10-03T17:00", "2026-09-29 09:00"),
]


@pytest.mark.parametrize(("offset", "deadline", "expected"), ROLLED)
def test_rolls(offset: str, deadline: str, expected: str) -> None:
    """A warning moves to an earlier day, and a statement of fact moves to a later day."""
    made = milestone(
        deadline,
        with_policy=policy(before=["7d", "1d", "12h"], roll=Roll.EARLIER, calendar=FRIDAY_SATURDAY),
    )

    found = dict(offsets(made))

    assert found[offset] == expected


ZONES = st.sampled_from((
    "UTC", "Asia/Baghdad", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia",
    "America/Sao_Paulo", "Asia/Kathmandu", "Europe/Dublin", "America/Toronto",
)).map(ZoneInfo)  # fmt: skip
EDTF = st.one_of(
    st.dates(date(1900, 1, 1), date(2200, 1, 1)).map(date.isoformat),
    st.dates(date(1900, 1, 1), date(2200, 1, 1)).map(lambda day: f"{day:%Y-%m}"),
    st.dates(date(1900, 1, 1), date(2200, 1, 1)).map(lambda day: f"{day:%Y}~"),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda wall: f"{wall:%Y-%m-%dT%H:%M}"),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda wall: f"{wall:%Y-%m-%dT%H:%M}Z"),
    st.sampled_from(("2011-12-30", "2026-04-24", "2026-XX", "../2026-09", "2026-09/..", "[2026-09,2026-12]")),
)
RUNGS = st.lists(
    st.one_of(
        st.builds(Duration, days=st.integers(1, 400)),
        st.builds(Duration, months=st.integers(1, 14), days=st.integers(0, 9)),
        st.builds(Duration, seconds=st.integers(60, 900_000)),
    ),
    max_size=4,
).map(tuple)
POLICIES = st.builds(
    Policy,
    before=RUNGS,
    after=RUNGS,
    on_day=st.booleans(),
    opens=st.booleans(),
    at=st.times(),
    roll=st.sampled_from(Roll),
    then_every=st.none()
    | st.builds(Duration, days=st.integers(1, 60))
    | st.builds(Duration, months=st.just(1)),
    calendar=st.builds(
        WorkCalendar,
        name=st.just("c"),
        weekend=st.frozensets(st.integers(0, 6), max_size=7),
        holidays=st.frozensets(st.dates(date(2025, 12, 1), date(2027, 1, 31)), max_size=9),
    ),
)
MILESTONES = st.builds(
    lambda edtf, reading, zone, made: milestone(
        Claim(deadline=parse_deadline(edtf), reading=reading), zone=zone, with_policy=made
    ),
    EDTF,
    st.sampled_from(Reading),
    ZONES,
    POLICIES,
)


@given(MILESTONES)
def test_nothing_is_overdue_before_its_end(made: Milestone) -> None:
    """In any zone and with any policy, neither overdue nor opens comes before it is true."""
    found = list_occurrences(made, ALWAYS, utc("2201-01-01T00:00"))

    for due in found:
        if due.cause is Cause.OVERDUE:
            assert due.stated.window.ends is not None
            assert due.at >= due.stated.window.ends
        if due.cause is Cause.OPENS:
            assert due.stated.window.begins is not None
            assert due.at >= due.stated.window.begins


@given(MILESTONES)
def test_offsets_are_distinct_and_instants_sorted(made: Milestone) -> None:
    """Every reminder of a window has its own offset, from which its key is made."""
    found = list_occurrences(made, ALWAYS, utc("2201-01-01T00:00"))

    assert len({due.offset for due in found}) == len(found)
    assert [due.at for due in found] == sorted(due.at for due in found)
    assert all(due.at.tzinfo is UTC for due in found)


@given(MILESTONES, st.lists(st.datetimes(datetime(1890, 1, 1), datetime(2210, 1, 1)), min_size=3, max_size=5))
def test_a_range_is_the_union_of_its_parts(made: Milestone, cuts: list[datetime]) -> None:
    """The reminders of a range do not depend on where the range is cut."""
    # The range is shorter than a century: a longer range counts as a range without a beginning.
    inside = sorted(cut.replace(tzinfo=UTC) for cut in cuts)
    inside = [cut for cut in inside if cut - inside[0] < timedelta(days=36_000)]

    parts = [due for since, until in pairwise(inside) for due in list_occurrences(made, since, until)]

    assert tuple(parts) == list_occurrences(made, inside[0], inside[-1])


@given(MILESTONES, st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))
def test_held_repeats_are_those_around_now(made: Milestone, moment: datetime) -> None:
    """The repeats that the ledger holds are the last due one and the next few of each window."""
    now = moment.replace(tzinfo=UTC)
    until = now + timedelta(days=400)
    steps = {(due.stated.window.id, due.offset) for due in list_steps(made, until)}
    every: dict[str, list[Occurrence]] = {}
    for due in list_occurrences(made, now - timedelta(days=36_000), until):
        if (due.stated.window.id, due.offset) not in steps:
            every.setdefault(due.stated.window.id, []).append(due)

    found = list_repeats(made, now, until)

    for window, repeats in every.items():
        past = [due.offset for due in repeats if due.at <= now][-1:]
        coming = [due.offset for due in repeats if due.at > now][:REPEATS_AHEAD]
        assert [due.offset for due in found if due.stated.window.id == window] == past + coming
    assert {due.stated.window.id for due in found} <= set(every)


def test_held_repeats_do_not_grow_with_the_age_of_a_deadline() -> None:
    """An hourly repeat since 1990 has as many as one of last month, and the same next one."""
    hourly = Policy(before=(), after=(Duration(days=1),), then_every=Duration(seconds=3_600))
    now = utc("2026-11-30T12:30")

    old, young = (
        list_repeats(milestone(deadline, with_policy=hourly), now, now + timedelta(days=400))
        for deadline in ("1990-10-31", "2026-10-31")
    )

    assert len(old) == len(young) == REPEATS_AHEAD + 1
    assert [due.at for due in old] == [due.at for due in young]
