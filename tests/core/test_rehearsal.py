"""A rehearsed reminder has the same message as the reminder in the ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alertd.core.deadline import parse_deadline
from alertd.core.explain.rehearsal import rehearse
from alertd.core.message.message import Kind
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.policy import Policy
from alertd.core.planning.decide import NEWS, make_deliveries
from alertd.core.planning.plan import plan
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route
from alertd.testing.items import contested

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
ROUTE = Route(receiver="desk", path="route")
(RECORD,) = contested().records.values()
MILESTONE = RECORD.milestone


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_a_message(cause: Cause) -> None:
    found = rehearse(MILESTONE, "desk", cause, ROUTE, at=None, now=NOW)

    assert found is not None
    message = found.compose_message("slack")
    assert (message.kind, message.channel, message.items[0].cause) == (Kind.SINGLE, "desk/slack", cause)
    assert message.at == found.at
    assert bool(found.supposed) is (cause in NEWS)


def test_it_is_what_the_plan_has_under_the_id_that_it_will_have() -> None:
    """The rehearsal of the next approaching reminder has its instant and key, and its delivery's id."""
    planned = next(
        one
        for one in plan([MILESTONE], ROUTE, NOW, NOW + timedelta(days=400))
        if one.occurrence.cause is Cause.APPROACHING
    )

    found = rehearse(MILESTONE, "desk", Cause.APPROACHING, ROUTE, at=None, now=NOW)

    assert found is not None
    assert (found.at, [one.key for one in found.owed]) == (planned.at, [planned.key])
    (delivery,) = make_deliveries("desk", ["slack"], found.owed, found.at)
    assert found.compose_message("slack").id == delivery.id
    assert found.compose_message("slack").items[0].late == ""


def test_read_later_it_says_how_late_it_is() -> None:
    at = datetime(2026, 10, 3, 6, tzinfo=UTC)

    found = rehearse(MILESTONE, "desk", Cause.OVERDUE, ROUTE, at=at, now=NOW)

    assert found is not None
    assert (found.at, found.owed[0].at) == (at, datetime(2026, 10, 1, 6, tzinfo=UTC))
    assert "comes 2 days late" in found.compose_message("slack").items[0].late


def test_read_before_there_was_any_it_is_the_first_on_time() -> None:
    early = datetime(2020, 1, 1, tzinfo=UTC)

    found = rehearse(MILESTONE, "desk", Cause.DUE, ROUTE, at=early, now=NOW)

    assert found is not None
    assert found.at == found.owed[0].at > early


def test_after_the_last_it_is_the_last() -> None:
    found = rehearse(MILESTONE, "desk", Cause.DUE, ROUTE, at=None, now=datetime(2031, 1, 1, tzinfo=UTC))

    assert found is not None
    assert found.at == datetime(2026, 12, 31, 6, tzinfo=UTC)


def test_what_never_comes_is_none() -> None:
    silent = replace(MILESTONE, policy=replace(Policy(), on_day=False))

    assert rehearse(silent, "desk", Cause.DUE, ROUTE, at=None, now=NOW) is None


def test_a_receiver_that_no_route_leads_to_is_told_so() -> None:
    route = Route(
        receiver="desk",
        path="route",
        routes=(Route(receiver="leads", path="route.routes[0]", matchers=(parse_matcher('cause="moved"'),)),),
    )

    def is_routed(receiver: str, cause: Cause) -> bool:
        found = rehearse(MILESTONE, receiver, cause, route, at=None, now=NOW)
        assert found is not None
        return found.is_routed

    assert is_routed("leads", Cause.MOVED)
    assert not is_routed("leads", Cause.DUE)
    assert not is_routed("desk", Cause.MOVED)


@pytest.mark.parametrize(
    ("deadline", "before"),
    [
        ("2026-09", "2026-08"),
        ("2026", "2025"),
        ("2026-09-30", "2026-08-30"),
        ("2026-01", "2025-12"),
        ("2026-09-30T12:00+03:00", "2026-08-30T12:00+03:00"),
    ],
)
def test_the_date_from_which_it_moved_is_a_month_or_a_year_earlier(deadline: str, before: str) -> None:
    claim = replace(MILESTONE.claims[0], deadline=parse_deadline(deadline))

    found = rehearse(replace(MILESTONE, claims=(claim,)), "desk", Cause.MOVED, ROUTE, at=None, now=NOW)

    assert found is not None
    (owed,) = found.owed
    assert owed.move is not None
    assert [value.edtf for value in owed.move.before] == [before]
