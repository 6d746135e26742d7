"""Properties of messages that golden files cannot show, such as order, limits and plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.ledger.records import Record, ScheduledReminder
from alertd.core.message.compose import ItemContext, compose
from alertd.core.message.headlines import MAX_SUBJECT
from alertd.core.message.message import Kind, Message, Tone
from alertd.core.message.reasons import LATE_FROM, name_route
from alertd.core.milestones.milestone import Milestone, State
from alertd.core.milestones.occurrence import Cause, list_occurrences
from alertd.core.reason import MuteInterval, OtherReason, OutsideIntervals, Reason, SnoozedBy
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route
from tests.core.builders import (
    EVER,
    MINISTER,
    NEVER,
    REUTERS,
    ROOT,
    at,
    bound,
    claim,
    contested,
    done_on,
    due_at,
    lease,
    milestone,
    move,
    owed,
    record,
    utc,
)


def made_of(
    members: Sequence[ScheduledReminder], records: Sequence[Record], now: datetime, route: Route = ROOT
) -> Message:
    members = bound(members, records, route)
    return compose(lease(members, records, now=now), members, now, ItemContext(route=route))


def about(made: Milestone, offset: str, now: datetime | None = None, *, of: str = "") -> Message:
    member = owed(made, offset, of=of)
    return made_of([member], [record(made)], now or member.at)


# offset, the tone
TONES = [
    ("-90d", Tone.CALM),
    ("-7d", Tone.SOON),
    ("0d", Tone.SOON),
    ("+1d", Tone.LATE),
]


@pytest.mark.parametrize(("offset", "expected"), TONES)
def test_the_tone(offset: str, expected: Tone) -> None:
    """The tone gets more urgent as the deadline nears, and is late from the exclusive end on."""
    assert about(milestone("2026-09"), offset).items[0].tone is expected


def test_an_item_holds_what_a_program_wants() -> None:
    """An item also has the id, cause, offset, state, revision, zone, labels and keys."""
    made = contested(url="https://news.example/x", description="The second phase.")
    member = owed(made, "+1d", of="2026-09")

    (item,) = made_of([member], [record(made, revision=3)], member.at).items

    assert (item.milestone, item.timeline, item.cause, item.offset) == (
        "iraq/phase-2", "iraq", Cause.OVERDUE, "+1d",
    )  # fmt: skip
    assert (item.state, item.revision, item.zone) == (State.PASSED_BY_SOME, 3, "Asia/Baghdad")
    assert (item.contested, item.tentative, item.fields["labels"]) == (True, False, {"country": "iraq"})
    assert (item.fields["url"], item.fields["description"], item.keys) == (
        "https://news.example/x", "The second phase.", (member.key,),
    )  # fmt: skip
    assert [line.headline for line in item.claims] == [True, False]


def test_the_numbers_are_those_of_the_sending() -> None:
    """A retry a day later counts the days anew, with the same members and the same id."""
    made = milestone("2026-09")
    first = about(made, "-7d")

    second = about(made, "-7d", at("2026-09-24T09:00"))

    assert (first.items[0].headline, second.items[0].headline) == ("Due in 7 days", "Due in 6 days")
    assert (first.id, first.items[0].keys) == (second.id, second.items[0].keys)


# the delay, whether the message states it
LATENESS = [(timedelta(), False), (LATE_FROM - timedelta(seconds=1), False), (LATE_FROM, True)]


@pytest.mark.parametrize(("late", "says_so"), LATENESS)
def test_late(late: timedelta, says_so: bool) -> None:
    """A message that is late by an hour or more states its delay."""
    made = milestone("2026-09")

    message = about(made, "-7d", due_at(made, "-7d") + late)

    assert bool(message.items[0].late) is says_so


# the reason in the ledger, the end of the sentence
REASONS = [
    (MuteInterval(interval="weekend"), "3 days late: muted during weekend."),
    (OutsideIntervals(intervals=("office", "night")), "3 days late: sent only during office, night."),
    (SnoozedBy(by="Amal"), "3 days late: snoozed by Amal."),
    # the cause of a delay is not always known, and then the message gives none
    (None, "3 days late."),
    (OtherReason(text="muted by anything else"), "3 days late."),
]


@pytest.mark.parametrize(("reason", "expected"), REASONS)
def test_why_it_is_late(reason: Reason | None, expected: str) -> None:
    """A late message gives the rule that deferred the reminder."""
    made = milestone("2026-09")
    member = owed(made, "-7d", reason=reason)

    message = made_of([member], [record(made)], member.at + timedelta(days=3))

    assert message.items[0].late.endswith(expected)


def test_why_by_a_route() -> None:
    """The message names the route and the matchers by which it goes to the receiver."""
    made = milestone("2026-09")
    leads = Route(path="route.routes[0]", receiver="leads", matchers=(parse_matcher('country="iraq"'),))
    member = owed(made, "+1d", receiver="leads")

    message = made_of([member], [record(made)], member.at, replace(ROOT, routes=(leads,)))

    assert message.items[0].why == (
        'Sent to leads by route 1, which takes country="iraq":'
        " policy default reminds 1 day after the deadline."
    )


# the path of a route in the configuration, its name
ROUTES = [
    ("route", "the root route"),
    ("route.routes[0]", "route 1"),
    ("route.routes[2].routes[0]", "route 3.1"),
]


@pytest.mark.parametrize(("path", "expected"), ROUTES)
def test_the_name_of_a_route(path: str, expected: str) -> None:
    """The name of a route counts from 1."""
    assert name_route(path) == expected


# a cause, the reason if no route leads to the receiver any more
GONE = [
    (
        "+1d",
        "Sent to press by a route that has changed since: policy default reminds 1 day after the deadline.",
    ),
    ("moved", "Sent to press, which was told of it before: the deadline moved."),
    ("done", "Sent to press, which was told of it before: it is done."),
]


@pytest.mark.parametrize(("offset", "expected"), GONE)
def test_why_without_a_route(offset: str, expected: str) -> None:
    """News goes to the receivers that got a message before, and says so."""
    made = milestone(claim("2026-09", MINISTER))
    other = replace(made, claims=(claim("2026-10", MINISTER),))
    member = owed(made, offset, at("2026-10-01T09:00"), receiver="press", move=move(other, made))

    message = made_of([member], [record(made)], member.at)

    assert message.items[0].why == expected


def test_why_is_what_held_when_it_was_bound() -> None:
    """The message names the route that matched at binding, even if the routes have changed since."""
    made = milestone("2026-09")
    leads = Route(path="route.routes[0]", receiver="leads", matchers=(parse_matcher('country="iraq"'),))
    then = replace(ROOT, routes=(leads,))
    members = bound([owed(made, "+1d", receiver="leads")], [record(made)], then)

    message = compose(
        lease(members, [record(made)]), members, members[0].at, ItemContext(route=replace(ROOT, routes=()))
    )

    assert message.items[0].why.startswith(
        'Sent to leads by route 1, which takes country="iraq": policy default'
    )


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ("+1d", "Sent to desk: its policy reminds 1 day after the deadline."),
        ("done", "Sent to desk: it is done."),
    ],
)
def test_why_of_what_an_earlier_alertd_bound(offset: str, expected: str) -> None:
    """An older version kept no route, so the message names none."""
    made = milestone("2026-09")
    member = owed(made, offset, at("2026-10-01T09:00"))

    message = compose(lease([member], [record(made)]), [member], member.at, ItemContext(route=ROOT))

    assert message.items[0].why == expected


def test_of_several_reminders_of_one_milestone_the_weightiest_speaks() -> None:
    """An overdue reminder decides the headline over an approaching one, and the item has both keys."""
    made = milestone(claim("2026-09-29", MINISTER), claim("2026-10-07", REUTERS))
    members = [owed(made, "-7d", of="2026-10-07"), owed(made, "+1d", of="2026-09-29")]

    (item,) = made_of(members, [record(made)], members[0].at).items

    assert (item.cause, item.offset, item.phrase) == (Cause.OVERDUE, "+1d", "by 29 September 2026")
    assert set(item.keys) == {one.key for one in members}


def test_what_opens_beside_another_is_not_lost() -> None:
    """If a window opens at the instant of another's reminder, the details say so."""
    made = milestone(claim("2026-08-31", MINISTER), claim("2026-09", REUTERS))
    members = [owed(made, "opens", of="2026-09"), owed(made, "+1d", of="2026-08-31")]

    (item,) = made_of(members, [record(made)], members[0].at).items

    assert item.details[0] == "September 2026, the month in which this is due by Reuters' account, has begun."


def test_the_most_urgent_comes_first() -> None:
    """Late items come first, the latest on top. Then come soon, moved, distant and done ones."""
    now = utc("2026-11-24T06:00")
    late, later = milestone("2026-10", id="a/late"), milestone("2026-08", id="a/later")
    soon, far, done = (milestone(day, id=f"a/{day}") for day in ("2026-11-30", "2027-02-22", "2026-11-23"))
    moved = milestone("2027-05", id="a/moved")
    members = [
        owed(done, "done", now),
        owed(far, "-90d"),
        owed(moved, "moved", now, move=move(far, moved)),
        owed(soon, "-7d"),
        owed(late, "+14d"),
        owed(later, "+28d"),
    ]
    records = [record(one) for one in (late, later, soon, far, moved)] + [record(done, done_on("2026-11-23"))]

    message = made_of(members, records, now)

    assert [item.milestone for item in message.items] == [
        "a/later", "a/late", "a/2026-11-30", "a/moved", "a/2027-02-22", "a/2026-11-23",
    ]  # fmt: skip
    assert (message.kind, message.subject) == (
        Kind.MANY, "6 deadlines: 2 passed, 1 due soon, 1 coming, 1 moved, 1 done",
    )  # fmt: skip


def test_a_long_title_is_cut_in_the_subject_alone() -> None:
    """A long title is cut in the subject, and the item has the whole title."""
    made = milestone("2026-09", title="x" * 500)

    message = about(made, "-7d")

    assert len(message.subject) == MAX_SUBJECT
    assert message.subject.endswith("…")
    assert message.items[0].title == "x" * 500


EDTF = st.sampled_from((
    "2026-09", "2026-09~", "2026?", "2026-Q3%", "2026-40", "2026-37", "202X", "2026-XX", "2026-09-XX",
    "2026-09-30", "2026-09-30?", "2026-09-30T17:00", "2026-09-30T17:00Z", "../2026-12", "/2026-12",
    "2026-09/2026-11", "2026-09/..", "2026-09/", "[2026-09,2026-12]", "[..2026-03]", "[2026-09-30,2026-10?]",
))  # fmt: skip


@given(st.lists(EDTF, min_size=1, max_size=3), st.integers(0, 400), st.booleans())
def test_every_reminder_can_be_composed(deadlines: list[str], late: int, tentative: bool) -> None:
    """Every reminder of any milestone has a complete message, and none says "missed"."""
    made = milestone(*(claim(one, MINISTER) for one in deadlines), tentative=tentative)

    for one in list_occurrences(made, EVER, NEVER):
        member = replace(
            owed(made, "moved", one.at), cause=one.cause, offset=one.offset, window_id=one.stated.window.id
        )
        message = made_of([member], [record(made)], one.at + timedelta(days=late))
        (item,) = message.items
        said = " ".join((message.subject, item.headline, item.phrase, item.badge, *item.sentences, item.late))
        assert all((message.subject, item.headline, item.phrase, item.badge, item.next, item.why))
        assert "missed" not in said
        assert "  " not in said
        assert item.headline[-1] not in ".,;"


@given(EDTF, EDTF)
def test_every_move_can_be_composed(before: str, after: str) -> None:
    """The message about any move gives the dates before and after."""
    old, new = (milestone(claim(one, MINISTER)) for one in (before, after))
    now = utc("2026-11-24T06:00")
    member = owed(new, "moved", now, move=move(old, new))

    (item,) = made_of([member], [record(new, revision=2)], now).items

    assert item.headline
    assert "from by " not in item.headline
    assert "to by " not in item.headline
