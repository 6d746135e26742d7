"""Deliveries: their ids and chunks, and which of their members may still be sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.ledger.records import ScheduledReminder
from alertd.core.planning.decide import (
    MAX_MEMBERS,
    Rules,
    decide,
    find_live_members,
    make_deliveries,
    make_delivery_id,
)
from alertd.core.reason import DoneOn, MemberUnwanted, PlainReason
from tests.core.builders import CATCH_UP, MINISTER, at, claim, done_on, lease, milestone, owed, record

MADE = milestone(claim("2026-09", MINISTER))
OTHER = milestone(claim("2026-09", MINISTER), id="iraq/phase-1")
NOW = at("2026-10-08T09:00")
RULES = Rules(catch_up=CATCH_UP, notifiers={"desk": ("console",)}, muted=lambda *_: None)


def several(number: int) -> list[ScheduledReminder]:
    one = owed(MADE, "+7d")
    return [replace(one, key=f"key{n:04}", milestone=f"iraq/{n:04}") for n in range(number)]


def bound(members: Sequence[ScheduledReminder]) -> list[tuple[str, tuple[str, ...]]]:
    about = {one.milestone: record(replace(MADE, id=one.milestone)) for one in members}
    found = decide([(one, about[one.milestone]) for one in members], NOW, RULES)
    return [(one.id, one.members) for one in found.deliveries]


# the number of due reminders, the sizes of the deliveries
CHUNKS = [
    (1, [1]),
    (MAX_MEMBERS, [MAX_MEMBERS]),
    (MAX_MEMBERS + 1, [MAX_MEMBERS, 1]),
    (2 * MAX_MEMBERS + 50, [MAX_MEMBERS, MAX_MEMBERS, 50]),
]


@pytest.mark.parametrize(("number", "expected"), CHUNKS)
def test_what_is_due_together_goes_out_together(number: int, expected: list[int]) -> None:
    """A receiver's group makes a delivery up to the limit, and each reminder is in exactly one."""
    members = several(number)

    found = bound(members)

    assert [len(keys) for _, keys in found] == expected
    assert sorted(key for _, keys in found for key in keys) == [one.key for one in members]
    assert len({name for name, _ in found}) == len(expected)


@given(st.permutations(several(7)))
def test_ids_do_not_depend_on_the_order(members: list[ScheduledReminder]) -> None:
    """The ids are the same in whatever order the ledger returns the reminders."""
    assert bound(members) == bound(several(7))


def test_ids_do_not_depend_on_titles() -> None:
    """A corrected title or note does not change the id of the delivery."""
    member = owed(MADE, "+7d")
    corrected = replace(MADE, title="Corrected", claims=(claim("2026-09", MINISTER, note="new"),))

    before, after = (
        decide([(member, record(one))], NOW, RULES).deliveries[0].id for one in (MADE, corrected)
    )

    assert before == after


def test_groups_are_apart() -> None:
    """Reminders whose labels of `group_by` differ are in different deliveries."""
    members = several(2)
    members[1] = replace(members[1], group=(("timeline", "other"),))

    assert [len(keys) for _, keys in bound(members)] == [1, 1]


NAMES = st.text(max_size=12)


@given(NAMES, NAMES, st.lists(NAMES, max_size=4))
def test_an_id_holds_no_dot_and_nothing_a_user_wrote(receiver: str, notifier: str, keys: list[str]) -> None:
    """For any receiver name, the id is msg_ and 22 letters and digits."""
    found = make_delivery_id(receiver, notifier, keys)

    assert re.fullmatch(r"msg_[0-9A-Za-z]{22}", found)


def test_an_id_is_the_same_for_ever() -> None:
    """The id is the same in all versions of alertd, so receivers can drop repeats by it."""
    assert make_delivery_id("desk", "console", ("a", "b")) == "msg_0KMpB0lUaGxX2ofrWo9wNh"


# variants of ("desk", "console", ("a", "b")) with a single difference
APART = [
    ("leads", "console", ("a", "b")),
    ("desk", "slack", ("a", "b")),
    ("desk", "console", ("a",)),
    ("desk", "console", ("ab",)),
    ("desk", "console", ("b", "a")),
    ("deskc", "onsole", ("a", "b")),
]


@pytest.mark.parametrize("parts", APART)
def test_an_id_depends_on_each_part(parts: tuple[str, str, tuple[str, ...]]) -> None:
    """A different receiver, notifier or member gives a different id."""
    assert make_delivery_id(*parts) != make_delivery_id("desk", "console", ("a", "b"))


def test_what_stands_in_for_another_is_a_delivery_of_its_own() -> None:
    """A fallback's delivery has another id than a delivery of the same reminders to that receiver."""
    members = [owed(MADE, "+7d")]

    (own,) = make_deliveries("desk", ["console"], members, NOW)
    (instead,) = make_deliveries("desk", ["console"], members, NOW, fallback_for="leads/webhook")

    assert own.id != instead.id
    assert (own.fallback_for, instead.fallback_for) == ("", "leads/webhook")


def test_all_members_that_are_still_true_are_kept() -> None:
    """Before each attempt, every member is kept or dropped with a reason."""
    members = [owed(MADE, "+7d"), owed(OTHER, "+7d")]

    kept, why_not = find_live_members(lease(members, [record(MADE), record(OTHER)]), NOW)

    assert (list(kept), why_not) == (members, ())


def test_what_was_said_since_counts() -> None:
    """A member is not sent if a person marks its milestone as done between two attempts."""
    members = [owed(MADE, "+7d"), owed(OTHER, "+7d")]
    held = lease(members, [record(MADE, done_on("2026-10-07")), record(OTHER)])

    kept, why_not = find_live_members(held, NOW)

    done = DoneOn(on=date(2026, 10, 7))
    assert [one.milestone for one in kept] == ["iraq/phase-1"]
    assert why_not == (MemberUnwanted(milestone="iraq/phase-2", offset="+7d", why=done),)


def test_what_a_newer_one_has_overtaken_is_left_out() -> None:
    """Retries of a reminder stop when a newer one replaces it, and all reasons are kept."""
    members = [owed(MADE, "+1d"), owed(OTHER, "+1d")]
    held = lease(
        members,
        [record(MADE), record(OTHER, withdrawn=True)],
        overtaken=frozenset({members[0].key}),
    )

    kept, why_not = find_live_members(held, NOW + timedelta(days=1))

    assert kept == ()
    assert why_not == (
        MemberUnwanted(milestone="iraq/phase-2", offset="+1d", why=PlainReason.OVERTAKEN),
        MemberUnwanted(milestone="iraq/phase-1", offset="+1d", why=PlainReason.WITHDRAWN),
    )
