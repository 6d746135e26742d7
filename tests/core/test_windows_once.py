"""A milestone's windows are computed once, however often a message, a plan or a page asks for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from alertd.core.config import Definitions
from alertd.core.deadline import compute_window
from alertd.core.explain.explanation import explain
from alertd.core.explain.facts import make_record_facts
from alertd.core.message.compose import ItemContext, compose
from alertd.core.milestones.milestone import Milestone, Rank, list_operative_windows, list_stated_windows
from alertd.core.milestones.policy import Contested
from alertd.core.planning.plan import plan
from alertd.core.routing.route import match_routes
from alertd.core.time.instant import to_local_date
from tests.calls import counting
from tests.core.builders import (
    MINISTER,
    REUTERS,
    ROOT,
    at,
    bound,
    claim,
    contested,
    lease,
    owed,
    record,
)
from tests.core.test_compose import made_of
from tests.scene import a_config


def several(number: int) -> list[Milestone]:
    """Milestones of three claims each: two that contradict each other and one that is deprecated."""
    made = contested()
    deprecated = claim("2025-06", MINISTER, rank=Rank.DEPRECATED)
    return [replace(made, id=f"iraq/m{one}", claims=(*made.claims, deprecated)) for one in range(number)]


def claims_of(milestones: list[Milestone]) -> int:
    return sum(len(one.claims) for one in milestones)


def test_one_message_about_many_milestones() -> None:
    """Composing a message computes each claim's window once."""
    made = several(20)
    members = [owed(one, "-7d", of="2026-09") for one in several(20)]
    records = [replace(record(several(1)[0]), milestone=one) for one in made]

    with counting(compute_window) as calls:
        message = made_of(members, records, members[0].at)

    assert len(message.items) == 20
    assert calls.count == claims_of(made) == 60


def test_one_plan_of_many_milestones() -> None:
    """So does a plan, however many reminders and receivers it has."""
    made = several(20)

    with counting(compute_window) as calls:
        found = plan(made, ROOT, at("2026-01-01T00:00"), at("2028-01-01T00:00"))

    assert len(found) > 100
    assert calls.count == claims_of(made)


def test_one_milestone_explained_and_told_to_programs() -> None:
    """Explain and the API ask for the same windows many times."""
    (made,) = several(1)
    now = at("2026-09-15T09:00")
    kept = replace(record(several(1)[0]), milestone=made)

    with counting(compute_window) as calls:
        found = explain(made, Definitions(config=a_config(), timelines=()), a_config(), now, None)
        facts = make_record_facts(kept, now)

    assert found.reminders
    assert facts["contested"] is True
    assert calls.count == claims_of([made])


def test_a_changed_milestone_has_windows_of_its_own() -> None:
    """A copy with other claims, or another policy, does not keep the windows of the original."""
    made = contested()
    assert len(list_stated_windows(made)) == len(list_operative_windows(made)) == 2

    other = replace(made, claims=(claim("2027-01", REUTERS),))
    chosen = replace(made, policy=replace(made.policy, contested=Contested.LATEST))

    assert [one.window.id for one in list_stated_windows(other)] == ["2027-01-01/2027-02-01"]
    assert [one.window.id for one in list_operative_windows(chosen)] == ["2026-01-01/2027-01-01"]
    assert made == contested()


def test_a_message_asks_once_which_day_it_is() -> None:
    """Every distance of a message counts from one day, in each zone."""
    made = several(20)
    members = [owed(one, "-7d", of="2026-09") for one in made]
    records = [replace(record(several(1)[0]), milestone=one) for one in made]

    with counting(to_local_date) as calls:
        made_of(members, records, members[0].at + timedelta(seconds=17))

    assert calls.count == 1


def test_a_message_matches_no_routes() -> None:
    """Why a receiver gets a reminder was decided when the reminder was bound, and is kept with it."""
    (made,) = several(1)
    members = bound([owed(made, "-7d", of="2026-09")], [record(made)])
    now = members[0].at
    held, context = lease(members, [record(made)], now=now), ItemContext(route=ROOT)

    with counting(match_routes) as calls:
        message = compose(held, members, now, context)

    assert "by the root route, which takes everything" in message.items[0].why
    assert calls.count == 0
