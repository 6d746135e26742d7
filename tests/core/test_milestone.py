"""Milestones: which claims are live, which windows have reminders, and the state of a milestone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alertd.core.milestones.milestone import (
    Claim,
    Rank,
    Source,
    State,
    compute_state,
    is_contested,
    list_live_claims,
    list_operative_windows,
    list_stated_windows,
)
from alertd.core.milestones.policy import Contested
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from tests.core.builders import (
    MINISTER,
    PENTAGON,
    REUTERS,
    at,
    claim,
    contested,
    done_on,
    milestone,
    policy,
    utc,
)


def ranked(*ranks: Rank) -> list[Claim]:
    return [claim(f"{2026 + number}", rank=rank) for number, rank in enumerate(ranks)]


P, N, D = Rank.PREFERRED, Rank.NORMAL, Rank.DEPRECATED
# ranks in the order of the file; the years of those that live
RANKS = [
    ([N], [2026]),
    ([N, N], [2026, 2027]),
    # a preferred one outranks all normal ones
    ([N, P, N], [2027]),
    ([P, N, P], [2026, 2028]),
    # deprecated ones never live, not even alone
    ([N, D], [2026]),
    ([D, P, N, D], [2027]),
    ([D, D], []),
    ([], []),
]


@pytest.mark.parametrize(("ranks", "expected"), RANKS)
def test_live_claims(ranks: list[Rank], expected: list[int]) -> None:
    """The claims of the best rank present are live, in the order of the file."""
    made = milestone(*ranked(*ranks))

    found = [int(claim.deadline.edtf) for claim in list_live_claims(made)]

    assert found == expected


# claims, the window ids in order, contested or not
WINDOWS: list[tuple[list[Claim], list[str], bool]] = [
    ([claim("2026-09", MINISTER)], ["2026-09-01/2026-10-01"], False),
    # one window, however it is written and qualified, is one deadline
    ([claim("2026-09", MINISTER), claim("2026-09~", REUTERS)], ["2026-09-01/2026-10-01"], False),
    ([claim("2026-Q3"), claim("2026-07/2026-09")], ["2026-07-01/2026-10-01"], False),
    # different windows are contested, and are sorted by their end
    (
        [claim("2026", REUTERS), claim("2026-09", MINISTER)],
        ["2026-09-01/2026-10-01", "2026-01-01/2027-01-01"],
        True,
    ),
    # the same end and another beginning is another window
    ([claim("2026-09"), claim("2026-09-30")], ["2026-09-01/2026-10-01", "2026-09-30/2026-10-01"], True),
    # without an end it comes last
    ([claim("2026-01/.."), claim("2090")], ["2090-01-01/2091-01-01", "2026-01-01/.."], True),
    # a deprecated claim contests nothing
    ([claim("2026-09"), claim("2027-09", rank=D)], ["2026-09-01/2026-10-01"], False),
    ([], [], False),
]


@pytest.mark.parametrize(("claims", "expected", "is_so"), WINDOWS)
def test_stated_windows(claims: list[Claim], expected: list[str], is_so: bool) -> None:
    """Claims with the same window are a single deadline. Different windows make a milestone contested."""
    made = milestone(*claims)

    found = [stated.window.id for stated in list_stated_windows(made)]

    assert (found, is_contested(made)) == (expected, is_so)


def test_a_window_knows_all_its_sources() -> None:
    """All sources of a window are listed, each source once."""
    made = milestone(claim("2026-09", MINISTER, REUTERS), claim("2026-09", REUTERS, PENTAGON))

    (found,) = list_stated_windows(made)

    assert found.source_ids == ("al-abassi", "reuters", "pentagon")


# the policy, the deadlines that remind
CHOICES = [
    (Contested.EACH, ["2026-09", "2026"]),
    (Contested.EARLIEST, ["2026-09"]),
    (Contested.LATEST, ["2026"]),
    # the live claim that the file names first
    (Contested.PREFERRED, ["2026"]),
]


@pytest.mark.parametrize(("which", "expected"), CHOICES)
def test_which_windows_remind(which: Contested, expected: list[str]) -> None:
    """The policy selects which of the contested windows have reminders."""
    made = milestone(claim("2026", REUTERS), claim("2026-09", MINISTER), with_policy=policy(contested=which))

    found = [stated.claims[0].deadline.edtf for stated in list_operative_windows(made)]

    assert found == expected


@pytest.mark.parametrize("which", Contested)
def test_what_is_not_contested_always_reminds(which: Contested) -> None:
    """With a single window, the policy has nothing to select."""
    made = milestone("2026-09", with_policy=policy(contested=which))

    assert len(list_operative_windows(made)) == 1


# now in Baghdad, the state of a milestone due by September 2026 or by the end of 2026
CONTESTED = [
    ("2025-12-31T23:59", State.UPCOMING),
    ("2026-01-01T00:00", State.OPEN),
    ("2026-09-30T23:59", State.OPEN),
    # passed is from the exclusive end on
    ("2026-10-01T00:00", State.PASSED_BY_SOME),
    ("2026-12-31T23:59", State.PASSED_BY_SOME),
    ("2027-01-01T00:00", State.PASSED_BY_ALL),
]


@pytest.mark.parametrize(("now", "expected"), CONTESTED)
def test_the_state_of_a_contested_milestone(now: str, expected: State) -> None:
    """A milestone has passed by some accounts before it has passed by all accounts."""
    assert compute_state(contested(), NO_ACTIONS, at(now)) is expected


# a deadline, now, the state
STATES = [
    ("2026-09-30T17:00", "2026-09-30T16:59", State.UPCOMING),
    ("2026-09-30T17:00", "2026-09-30T17:00", State.PASSED_BY_ALL),
    ("2026-09/..", "2026-09-01T00:00", State.OPEN),
    ("2026-09/..", "2099-09-01T00:00", State.OPEN),
    ("../2026-09", "1999-01-01T00:00", State.UPCOMING),
    ("../2026-09", "2026-10-01T00:00", State.PASSED_BY_ALL),
]


@pytest.mark.parametrize(("deadline", "now", "expected"), STATES)
def test_the_state(deadline: str, now: str, expected: State) -> None:
    """The state depends only on the window, also when the window has an open or missing end."""
    assert compute_state(milestone(deadline), NO_ACTIONS, at(now)) is expected


def test_without_a_claim_it_is_upcoming() -> None:
    """A window without an end has never passed."""
    assert compute_state(milestone(), NO_ACTIONS, at("2026-09-01T00:00")) is State.UPCOMING


# what people have said, the state
SAID = [
    (done_on("2026-09-18"), State.DONE),
    (MilestoneStatus(cancelled=True, cancelled_by="Amal"), State.CANCELLED),
    # an acknowledgement or a snooze changes no state
    (MilestoneStatus(ack_until=utc("2099-01-01T00:00"), ack_by="Amal"), State.PASSED_BY_ALL),
    (MilestoneStatus(snooze_until=utc("2099-01-01T00:00"), snooze_by="Amal"), State.PASSED_BY_ALL),
]


@pytest.mark.parametrize(("status", "expected"), SAID)
def test_what_people_say_comes_first(status: MilestoneStatus, expected: State) -> None:
    """Done and cancelled apply whatever the dates are."""
    made = milestone("2026-09")

    assert compute_state(made, status, at("2026-10-01T00:00") + timedelta(days=1)) is expected


# a source; how it is called in "by ...'s account"
BRIEF = [
    (Source(id="x", who="Sabit al-Abassi, Iraqi Minister of Defence", short="the minister"), "the minister"),
    (Source(id="x", who="Sabit al-Abassi, Iraqi Minister of Defence"), "Sabit al-Abassi"),
    (Source(id="x", who="Reuters"), "Reuters"),
    (Source(id="x", who="", publisher="Al-Hadath"), "Al-Hadath"),
    (Source(id="x", who=""), "x"),
]


@pytest.mark.parametrize(("source", "expected"), BRIEF)
def test_the_brief_name_of_a_source(source: Source, expected: str) -> None:
    """The brief name is the short name, else the person without the office, else the publisher or the id."""
    assert source.brief == expected
