"""Snapshots: unpacking returns a value equal to the packed one, through JSON."""

import json
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Reading, parse_deadline
from alertd.core.ledger.records import Move, Notice, Value
from alertd.core.ledger.snapshot import (
    pack,
    pack_move,
    pack_notice,
    pack_status,
    unpack,
    unpack_move,
    unpack_notice,
    unpack_status,
)
from alertd.core.milestones.milestone import Claim, Milestone, Rank, Recurrence, RelativeClaim, Source
from alertd.core.milestones.policy import Contested, Policy, Roll, WorkCalendar
from alertd.core.milestones.status import MilestoneStatus
from alertd.core.time.duration import Duration

TEXTS = st.text(max_size=12)
NAMES = st.text("abcdefgh-", min_size=1, max_size=8)
EDTF = st.sampled_from((
    "2026-09", "2026-09-30", "2026", "2026-Q3", "2026-35", "2026-09~", "202X", "2026-XX",
    "2025-09/2026-09", "../2026-12", "2026-09/", "[2026-Q3,2026-12]", "[2026-01..2026-03,2026-09?]",
    "[..2026-03]", "2026-09-30T17:00", "2026-09-30T17:00+03", "2026-09-30T17:00:05Z",
))  # fmt: skip
INSTANTS = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC)
)
NEAR_DAYS = st.dates(min_value=date(2025, 1, 1), max_value=date(2027, 12, 31))
LENGTHS = st.integers(min_value=0, max_value=1000)
DURATIONS = st.builds(Duration, months=LENGTHS, days=LENGTHS, seconds=LENGTHS)
SOURCES = st.builds(Source, id=NAMES, who=TEXTS, short=TEXTS, publisher=TEXTS, published=TEXTS, url=TEXTS)
CLAIMS = st.builds(
    Claim,
    deadline=EDTF.map(parse_deadline),
    reading=st.sampled_from(Reading),
    sources=st.lists(SOURCES, max_size=3).map(tuple),
    rank=st.sampled_from(Rank),
    note=TEXTS,
    derived=TEXTS,
)
CALENDARS = st.builds(
    WorkCalendar,
    name=TEXTS,
    weekend=st.frozensets(st.integers(min_value=0, max_value=6)),
    holidays=st.frozensets(NEAR_DAYS, max_size=5),
)
POLICIES = st.builds(
    Policy,
    name=TEXTS,
    before=st.lists(DURATIONS, max_size=3).map(tuple),
    on_day=st.booleans(),
    after=st.lists(DURATIONS, max_size=3).map(tuple),
    then_every=st.none() | DURATIONS,
    opens=st.booleans(),
    at=st.times(),
    contested=st.sampled_from(Contested),
    roll=st.sampled_from(Roll),
    calendar=CALENDARS,
)
MILESTONES = st.builds(
    Milestone,
    id=NAMES,
    timeline=NAMES,
    timeline_title=TEXTS,
    title=TEXTS,
    zone=st.sampled_from(("Asia/Baghdad", "UTC", "America/New_York")).map(ZoneInfo),
    policy=POLICIES,
    claims=st.lists(CLAIMS, max_size=4).map(tuple),
    relative=st.just(()),
    repeat=st.none() | st.just(Recurrence(rule="FREQ=MONTHLY;BYMONTHDAY=-1")),
    labels=st.dictionaries(NAMES, TEXTS, max_size=3),
    description=TEXTS,
    url=TEXTS,
    owner=TEXTS,
    tentative=st.booleans(),
)
STANDINGS = st.builds(
    MilestoneStatus,
    ack_until=st.none() | INSTANTS,
    ack_windows=st.lists(TEXTS, max_size=2).map(tuple),
    ack_by=TEXTS,
    ack_why=TEXTS,
    snooze_until=st.none() | INSTANTS,
    snooze_by=TEXTS,
    done_on=st.none() | st.dates(),
    done_by=TEXTS,
    evidence=TEXTS,
    cancelled=st.booleans(),
    cancelled_by=TEXTS,
    cancelled_why=TEXTS,
)
WORDS = st.lists(TEXTS, max_size=2).map(tuple)
VALUES = st.builds(Value, window_id=TEXTS, edtf=TEXTS, phrase=TEXTS, accounts=WORDS, source_ids=WORDS)
MOVES = st.builds(
    Move, before=st.lists(VALUES, max_size=2).map(tuple), after=st.lists(VALUES, max_size=2).map(tuple)
)


@given(MILESTONES)
def test_milestone_comes_back_equal(milestone: Milestone) -> None:
    """Any milestone without relative claims comes back equal, with the original texts of its deadlines."""
    assert unpack(json.loads(json.dumps(pack(milestone)))) == milestone


@given(STANDINGS)
def test_status_comes_back_equal(status: MilestoneStatus) -> None:
    """The status of a milestone comes back equal."""
    assert unpack_status(json.loads(json.dumps(pack_status(status)))) == status


@given(MOVES)
def test_move_comes_back_equal(move: Move) -> None:
    """A move comes back equal."""
    assert unpack_move(json.loads(json.dumps(pack_move(move)))) == move


@given(st.builds(Notice, slot=TEXTS, headline=TEXTS, lines=WORDS))
def test_notice_comes_back_equal(notice: Notice) -> None:
    """A notice comes back equal."""
    assert unpack_notice(json.loads(json.dumps(pack_notice(notice)))) == notice


def _milestone(edtf: str, holidays: frozenset[date], **more: object) -> Milestone:
    return Milestone(
        id="t/m",
        timeline="t",
        timeline_title="",
        title="",
        zone=ZoneInfo("UTC"),
        policy=Policy(at=time(9), calendar=WorkCalendar(name="c", holidays=holidays)),
        claims=(Claim(deadline=parse_deadline(edtf)),),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("edtf", ["2026-09", "1000", "9998"])
def test_holidays_far_from_the_deadline_are_left_out(edtf: str) -> None:
    """About seven years of a calendar of two centuries are packed, also at the limits of dates."""
    first = parse_deadline(edtf).earliest
    assert isinstance(first, date)
    near = {first, first + timedelta(days=300)}

    back = unpack(pack(_milestone(edtf, frozenset({date(1400, 1, 1), date(2600, 1, 1), *near}))))

    assert back.policy.calendar.holidays == near


def test_recurring_milestone_keeps_all_its_holidays() -> None:
    """A recurring milestone has no last deadline, so all of its holidays are packed."""
    days = frozenset({date(2026, 1, 1), date(2100, 1, 1)})
    milestone = _milestone("2026-09-30", days, repeat=Recurrence(rule="FREQ=YEARLY"))

    assert unpack(pack(milestone)) == milestone


def test_relative_claims_must_be_resolved_first() -> None:
    """Packing a milestone with unresolved relative claims raises an error."""
    milestone = _milestone(
        "2026-09-30", frozenset(), relative=(RelativeClaim(base="t/a", by=Duration(days=1)),)
    )

    with pytest.raises(ValueError, match="not resolved"):
        pack(milestone)


def test_newer_snapshot_is_refused() -> None:
    """Unpacking a snapshot of a newer version raises an error."""
    with pytest.raises(ValueError, match="version 2"):
        unpack({**pack(_milestone("2026-09-30", frozenset())), "v": 2})
