"""The plan: the reminders of a range of time, their receivers, their mutes and their keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import make_occurrence_key
from alertd.core.planning.plan import Planned, expand, plan
from alertd.core.reason import MuteInterval, OutsideIntervals
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route
from alertd.core.time.interval import NamedInterval, Range, TimeInterval, TimeRange
from tests.core.builders import BAGHDAD, at, claim, contested, milestone, offsets, policy

WEEKEND = NamedInterval(
    name="weekend",
    intervals=(TimeInterval(weekdays=(Range(first=5, last=6),), location=BAGHDAD),),  # Friday, Saturday
)
SUMMER = NamedInterval(
    name="summer", intervals=(TimeInterval(months=(Range(first=6, last=8),), location=BAGHDAD),)
)
EVENING = NamedInterval(
    name="evening",
    intervals=(TimeInterval(times=(TimeRange(start=18 * 60, end=20 * 60),), location=BAGHDAD),),
)
OVERDUE = (parse_matcher("cause=overdue"),)
SINCE, UNTIL = at("2026-01-01T00:00"), at("2028-01-01T00:00")


def root(
    *routes: Route, mute: tuple[NamedInterval, ...] = (), active: tuple[NamedInterval, ...] = ()
) -> Route:
    return Route(
        path="route", receiver="desk", group_by=("timeline",), mute=mute, active=active, routes=routes
    )


def shown(found: tuple[Planned, ...]) -> list[tuple[str, str, str]]:
    return [
        (one.receiver, one.occurrence.offset, f"{one.at.astimezone(BAGHDAD):%Y-%m-%d %H:%M}") for one in found
    ]


def test_everything_of_the_range_in_order() -> None:
    """The plan has the reminders of the range, sorted by instant, milestone and receiver."""
    made = [
        milestone("2026-09-30", id="a/b"),
        milestone("2026-09-30", id="a/a"),
        milestone("2026-12", id="a/c"),
    ]

    found = plan(made, root(), at("2026-09-23T09:00"), at("2026-09-29T09:00"))

    assert [(one.occurrence.milestone, one.occurrence.offset) for one in found] == [
        ("a/a", "-7d"),
        ("a/b", "-7d"),
    ]


def test_the_range_is_half_open() -> None:
    """The range contains its first instant and not its last."""
    made = [milestone("2026-09")]

    found = plan(made, root(), at("2026-09-30T09:00"), at("2026-10-01T09:00"))

    assert shown(found) == [("desk", "0d", "2026-09-30 09:00")]


def test_each_receiver_has_its_own_key() -> None:
    """A key is made from the milestone, window, offset and receiver, as in the ledger."""
    also = Route(path="route.routes[0]", receiver="leads", continue_=True, matchers=OVERDUE)
    rest = Route(path="route.routes[1]", receiver="desk")
    made = [milestone("2026-09")]

    found = plan(made, root(also, rest), at("2026-10-01T00:00"), at("2026-10-02T00:00"))

    assert [(one.receiver, one.key) for one in found] == [
        (name, make_occurrence_key("iraq/phase-2", "2026-09-01/2026-10-01", "+1d", name))
        for name in ("desk", "leads")
    ]


def test_the_group_is_of_the_labels() -> None:
    """Reminders that agree in the labels of `group_by` are in the same group."""
    made = [contested()]

    found = plan(made, root(), SINCE, UNTIL)

    assert {one.group for one in found} == {(("timeline", "iraq"),)}


def test_muted_is_shown_when_it_is_sent() -> None:
    """A reminder that falls into a muted weekend is planned for its end, with the reason."""
    made = [milestone("2026-09-25", with_policy=policy(before=(), after=()))]  # a Friday

    (found,) = plan(made, root(mute=(WEEKEND,)), SINCE, UNTIL)

    assert found.at == at("2026-09-27T00:00")
    assert found.muted_by == MuteInterval(interval="weekend")
    assert found.occurrence.at == at("2026-09-25T09:00")


def test_the_range_is_of_the_sending() -> None:
    """A reminder deferred into a range belongs to this range and not to the earlier one."""
    made = [milestone("2026-09-25", with_policy=policy(before=(), after=()))]
    border = at("2026-09-26T00:00")

    before, after = (
        plan(made, root(mute=(WEEKEND,)), since, until) for since, until in ((SINCE, border), (border, UNTIL))
    )

    assert (shown(before), shown(after)) == ([], [("desk", "0d", "2026-09-27 00:00")])


def test_of_several_held_back_the_last_is_sent() -> None:
    """If a later reminder falls due during a mute, only the later one is sent."""
    made = [milestone("2026-09-26", with_policy=policy(before=["1d"], after=["7d"]))]  # a Saturday

    found = plan(made, root(mute=(WEEKEND,)), SINCE, UNTIL)

    assert shown(found) == [("desk", "0d", "2026-09-27 00:00"), ("desk", "+7d", "2026-10-04 00:00")]


def test_a_later_one_takes_the_place_of_what_still_waits() -> None:
    """A later reminder replaces a deferred one, even if the later one has to wait longer."""
    quiet = Route(path="route.routes[0]", receiver="desk", matchers=OVERDUE, mute=(SUMMER,))
    made = [milestone("2026-06-05", with_policy=policy(before=(), after=["1d"]))]  # a Friday

    found = plan(made, root(quiet, Route(path="route.routes[1]", mute=(WEEKEND,))), SINCE, UNTIL)

    assert shown(found) == [("desk", "+1d", "2026-09-01 00:00")]


def test_a_mute_of_one_receiver_holds_back_no_other() -> None:
    """A mute of a receiver does not defer reminders to others."""
    also = Route(path="route.routes[0]", receiver="leads", continue_=True, mute=(WEEKEND,))
    rest = Route(path="route.routes[1]", receiver="desk")
    made = [milestone("2026-09-26", with_policy=policy(before=["1d"], after=()))]

    found = plan(made, root(also, rest), SINCE, UNTIL)

    assert shown(found) == [
        ("desk", "-1d", "2026-09-25 09:00"),
        ("desk", "0d", "2026-09-26 09:00"),
        ("leads", "0d", "2026-09-27 00:00"),
    ]


def test_what_is_active_only_in_the_evening_waits_for_it() -> None:
    """A reminder is muted outside all active intervals."""
    made = [milestone("2026-09-30", with_policy=policy(before=(), after=()))]

    (found,) = plan(made, root(active=(EVENING,)), SINCE, UNTIL)

    assert (found.at, found.muted_by) == (at("2026-09-30T18:00"), OutsideIntervals(intervals=("evening",)))


def test_a_series_is_expanded() -> None:
    """Each instance of a recurring milestone is planned under its own id and key."""
    made = [
        milestone(
            "2026-01-31",
            repeat="RRULE:FREQ=MONTHLY;BYMONTHDAY=-1",
            with_policy=policy(before=["1d"], after=()),
        )
    ]

    found = plan(made, root(), at("2026-02-01T00:00"), at("2026-04-01T00:00"))

    assert [(one.occurrence.milestone, one.occurrence.offset) for one in found] == [
        ("iraq/phase-2@2026-02-28", "-1d"),
        ("iraq/phase-2@2026-02-28", "0d"),
        ("iraq/phase-2@2026-03-31", "-1d"),
        ("iraq/phase-2@2026-03-31", "0d"),
    ]
    assert len({one.key for one in found}) == 4


def test_a_claim_far_from_the_first_is_not_forgotten() -> None:
    """An instance is planned as long as any of its claims can remind."""
    made = milestone(
        claim("2026-01-15"),
        claim("2026-11-15"),
        repeat="FREQ=YEARLY",
        with_policy=policy(before=(), after=()),
    )

    found = plan([made], root(), at("2027-11-01T00:00"), at("2027-12-01T00:00"))

    assert [one.occurrence.milestone for one in found] == ["iraq/phase-2@2027-01-15"]


def test_what_does_not_recur_is_its_own_expansion() -> None:
    """Expanding a milestone that does not recur returns it."""
    made = milestone("2026-09")

    assert expand(made, SINCE, UNTIL) == (made,)


def test_a_corrected_title_keeps_the_keys() -> None:
    """A corrected title changes no key, so no reminder is sent again."""
    made = contested()

    before, after = (plan([one], root(), SINCE, UNTIL) for one in (made, replace(made, title="Corrected")))

    assert [one.key for one in before] == [one.key for one in after]


def test_ten_thousand_reminders_that_are_muted() -> None:
    """Ten thousand hourly reminders under a mute are planned fast, and only the last is sent."""
    made = milestone(
        "2026-01-01", with_policy=policy(before=(), on_day=False, opens=False, after=(), then_every="1h")
    )

    found = plan([made], root(mute=(SUMMER,)), SINCE, at("2027-01-02T00:00"))

    assert len(found) == len({one.at for one in found})
    assert not [one for one in found if at("2026-06-01T00:00") <= one.at < at("2026-09-01T00:00")]
    assert len(found) == (365 - 92) * 24 - 1


ROUTES = st.sampled_from((
    root(),
    root(mute=(WEEKEND,)),
    root(mute=(SUMMER, WEEKEND)),
    root(active=(EVENING,)),
    root(
        Route(path="route.routes[0]", receiver="leads", continue_=True, mute=(SUMMER,)),
        Route(path="route.routes[1]"),
    ),
    root(Route(path="route.routes[0]", matchers=OVERDUE, mute=(SUMMER,)), mute=(WEEKEND,)),
))  # fmt: skip
DAYS = st.dates(date(2025, 1, 1), date(2027, 12, 31))
MADE = st.one_of(
    st.builds(
        lambda day, nag: milestone(day.isoformat(), with_policy=policy(then_every=nag)),
        DAYS,
        st.sampled_from(("", "5d", "1mo")),
    ),
    st.builds(lambda day: milestone(claim(f"{day:%Y-%m}"), claim(f"{day:%Y}")), DAYS),
    st.builds(
        lambda day, rule, nag: milestone(day.isoformat(), repeat=rule, with_policy=policy(then_every=nag)),
        st.dates(date(2025, 1, 1), date(2026, 6, 30)),
        st.sampled_from(("FREQ=MONTHLY", "FREQ=YEARLY;COUNT=3", "FREQ=MONTHLY;INTERVAL=5;UNTIL=20270301")),
        st.sampled_from(("", "30d")),
    ),
)


@given(
    MADE, ROUTES, st.lists(st.datetimes(datetime(2025, 1, 1), datetime(2028, 6, 1)), min_size=2, max_size=4)
)
def test_a_plan_is_the_union_of_the_plans_of_its_parts(
    made: Milestone, route: Route, cuts: list[datetime]
) -> None:
    """Splitting a range does not change its plan."""
    borders = sorted(cut.replace(tzinfo=UTC) for cut in cuts)

    parts = [one for since, until in pairwise(borders) for one in plan([made], route, since, until)]

    assert tuple(parts) == plan([made], route, borders[0], borders[-1])


@given(MADE, ROUTES)
def test_nothing_is_planned_before_it_is_due(made: Milestone, route: Route) -> None:
    """No reminder is planned before it is due, and each key is planned at most once."""
    found = plan([made], route, SINCE, SINCE + timedelta(days=900))

    assert all(one.at >= one.occurrence.at for one in found)
    assert all((one.at > one.occurrence.at) == bool(one.muted_by) for one in found)
    assert len({one.key for one in found}) == len(found)


@pytest.mark.parametrize("repeat", ["", "FREQ=MONTHLY"])
def test_an_empty_range_has_no_plan(repeat: str) -> None:
    """An empty range has an empty plan."""
    made = milestone("2026-09-30", repeat=repeat)

    assert plan([made], root(), at("2026-09-30T09:00"), at("2026-09-30T09:00")) == ()
    assert offsets(milestone("2026-09-30"), SINCE, SINCE) == []
