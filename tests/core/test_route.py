"""Routes: the receivers of a reminder, its group, and the end of a mute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.reason import Hold, MuteInterval, OutsideIntervals
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Match, Muted, Route, find_mute, make_group_key, match_routes
from alertd.core.time.interval import SEARCH_BOUND, NamedInterval, Range, TimeInterval, TimeRange

BAGHDAD = ZoneInfo("Asia/Baghdad")


def route(
    path: str,
    *matchers: str,
    to: str = "",
    by: tuple[str, ...] | None = None,
    goes_on: bool = False,
    mute: tuple[NamedInterval, ...] = (),
    routes: tuple[Route, ...] = (),
) -> Route:
    return Route(
        path=path,
        receiver=to,
        matchers=tuple(parse_matcher(text) for text in matchers),
        group_by=by,
        continue_=goes_on,
        mute=mute,
        routes=routes,
    )


def named(name: str, *intervals: TimeInterval) -> NamedInterval:
    return NamedInterval(name=name, intervals=intervals)


def match(mute: tuple[NamedInterval, ...] = (), active: tuple[NamedInterval, ...] = ()) -> Match:
    return Match(receiver="desk", group_by=(), mute=mute, active=active, path="route", matchers=())


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


WEEKEND = named("weekend", TimeInterval(weekdays=(Range(first=5, last=6),), location=BAGHDAD))
NIGHT = named(
    "night",
    TimeInterval(
        times=(TimeRange(start=22 * 60, end=24 * 60), TimeRange(start=0, end=6 * 60)), location=BAGHDAD
    ),
)
OFFICE = named(
    "office",
    TimeInterval(
        times=(TimeRange(start=9 * 60, end=17 * 60),), weekdays=(Range(first=0, last=4),), location=BAGHDAD
    ),
)
RAMADAN = named(
    "ramadan", TimeInterval(months=(Range(first=2, last=3),), years=(Range(first=2026, last=2026),))
)
NEVER_ENDS = named("always", TimeInterval())

TREE = route(
    "route",
    to="desk",
    by=("timeline",),
    routes=(
        route(
            "route.routes[0]",
            "country=iraq",
            to="baghdad",
            by=("phase",),
            mute=(WEEKEND,),
            routes=(
                route("route.routes[0].routes[0]", "cause=overdue", to="leads"),
                route("route.routes[0].routes[1]", "cause=moved", by=()),
            ),
        ),
        route("route.routes[1]", "cause=~overdue|moved", to="archive", goes_on=True),
        route("route.routes[2]", "topic=court", to="lawyers", by=("...",), goes_on=True),
        route("route.routes[3]", "country!=iraq", "topic!=court", to="archive"),
        route("route.routes[4]", "topic=court", to="press"),
    ),
)

ROUTED: list[tuple[dict[str, str], list[tuple[str, tuple[str, ...], str]]]] = [
    # no child takes Iraq's cause: the node itself
    ({"country": "iraq"}, [("baghdad", ("phase",), "route.routes[0]")]),
    # nested; group_by inherited; nothing after a child without continue
    ({"country": "iraq", "cause": "overdue"}, [("leads", ("phase",), "route.routes[0].routes[0]")]),
    # receiver inherited from the parent; group_by set to a single group, not inherited
    ({"country": "iraq", "cause": "moved"}, [("baghdad", (), "route.routes[0].routes[1]")]),
    # continue goes on to the later siblings
    (
        {"cause": "moved", "topic": "court"},
        [
            ("archive", ("timeline",), "route.routes[1]"),
            ("lawyers", ("...",), "route.routes[2]"),
            ("press", ("timeline",), "route.routes[4]"),
        ],
    ),
    # the same receiver twice: the first route wins
    ({"cause": "overdue"}, [("archive", ("timeline",), "route.routes[1]")]),
    # a missing label satisfies !=
    ({}, [("archive", ("timeline",), "route.routes[3]")]),
]


@pytest.mark.parametrize(("labels", "expected"), ROUTED)
def test_routes(labels: dict[str, str], expected: list[tuple[str, tuple[str, ...], str]]) -> None:
    """Labels go to the first child that accepts them, and to later children only after continue."""
    matches = match_routes(TREE, labels)

    found = [(match.receiver, match.group_by, match.path) for match in matches]

    assert found == expected


def test_the_root_takes_what_no_child_takes() -> None:
    """Every label set has a route: if no child matches, the root does."""
    root = route("route", to="desk", routes=(route("route.routes[0]", "a=b", to="other"),))

    found = match_routes(root, {"a": "c"})

    assert [(match.receiver, match.path, match.group_by) for match in found] == [("desk", "route", ())]


def test_the_root_is_no_match_beside_a_child() -> None:
    """If the last child has continue and matches, the parent does not match as well."""
    root = route("route", to="desk", routes=(route("route.routes[0]", "a=b", to="other", goes_on=True),))

    found = match_routes(root, {"a": "b"})

    assert [match.receiver for match in found] == ["other"]


def test_receiver_and_group_by_come_from_the_nearest_that_has_them() -> None:
    """A route inherits missing values from its parent, over any number of levels."""
    grandchild = route("route.routes[0].routes[0]", "c=d")
    child = route("route.routes[0]", "a=b", by=("phase",), routes=(grandchild,))
    root = route("route", to="desk", by=("timeline",), routes=(child,))

    (found,) = match_routes(root, {"a": "b", "c": "d"})

    assert (found.receiver, found.group_by) == ("desk", ("phase",))


def test_time_intervals_are_not_inherited() -> None:
    """A child of a muted route is muted only if the child has its own time intervals."""
    (parent,) = match_routes(TREE, {"country": "iraq"})

    (child,) = match_routes(TREE, {"country": "iraq", "cause": "overdue"})

    assert parent.mute == (WEEKEND,)
    assert child.mute == ()


def test_a_match_says_why() -> None:
    """A match has the matchers on the path from the root to the route."""
    labels = {"country": "iraq", "cause": "overdue"}

    (found,) = match_routes(TREE, labels)

    assert [str(matcher) for matcher in found.matchers] == ['country="iraq"', 'cause="overdue"']


GROUPS: list[tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = [
    # a single group
    ((), ()),
    # by one, by several in the order of their names
    (("timeline",), (("timeline", "t"),)),
    (("timeline", "country"), (("country", "iraq"), ("timeline", "t"))),
    # named twice counts once
    (("country", "country"), (("country", "iraq"),)),
    # missing and empty labels are the same group
    (("phase", "empty"), ()),
    # every label
    (("...",), (("country", "iraq"), ("timeline", "t"))),
]


@pytest.mark.parametrize(("group_by", "expected"), GROUPS)
def test_groups(group_by: tuple[str, ...], expected: tuple[tuple[str, str], ...]) -> None:
    """The key of a group consists of its labels, in an order that does not depend on the file."""
    (found,) = match_routes(route("route", to="desk", by=group_by), {})

    key = make_group_key(found, {"timeline": "t", "country": "iraq", "empty": ""})

    assert key == expected


MUTE: list[tuple[Match, str, tuple[str, Hold] | None]] = [
    # no intervals: never muted
    (match(), "2026-09-25T06:00Z", None),
    # Friday in Baghdad: until Sunday begins there
    (match(mute=(WEEKEND,)), "2026-09-25T06:00Z", ("2026-09-26T21:00Z", MuteInterval(interval="weekend"))),
    # Thursday: not muted; the weekend's end is not muted any more
    (match(mute=(WEEKEND,)), "2026-09-24T20:59Z", None),
    (match(mute=(WEEKEND,)), "2026-09-26T21:00Z", None),
    # a night written as two ranges is one: midnight doesn't end it
    (match(mute=(NIGHT,)), "2026-09-23T19:00Z", ("2026-09-24T03:00Z", MuteInterval(interval="night"))),
    (match(mute=(NIGHT,)), "2026-09-23T21:00Z", ("2026-09-24T03:00Z", MuteInterval(interval="night"))),
    # the weekend is followed by a night: muted until the morning, and the weekend is the reason
    (
        match(mute=(WEEKEND, NIGHT)),
        "2026-09-25T12:00Z",
        ("2026-09-27T03:00Z", MuteInterval(interval="weekend")),
    ),
    # before the office opens, on a working day and on a Friday
    (
        match(active=(OFFICE,)),
        "2026-09-23T05:59Z",
        ("2026-09-23T06:00Z", OutsideIntervals(intervals=("office",))),
    ),
    (
        match(active=(OFFICE,)),
        "2026-09-25T08:00Z",
        ("2026-09-27T06:00Z", OutsideIntervals(intervals=("office",))),
    ),
    # while it is open
    (match(active=(OFFICE,)), "2026-09-23T06:00Z", None),
    # one active interval is enough
    (match(active=(WEEKEND, OFFICE)), "2026-09-25T08:00Z", None),
    (
        match(active=(WEEKEND, OFFICE)),
        "2026-09-23T04:00Z",
        (
            "2026-09-23T06:00Z",
            OutsideIntervals(
                intervals=(
                    "weekend",
                    "office",
                )
            ),
        ),
    ),
    # a mute within an active interval applies until neither rule defers the reminder
    (
        match(mute=(RAMADAN,), active=(OFFICE,)),
        "2026-02-22T08:00Z",
        ("2026-04-01T06:00Z", MuteInterval(interval="ramadan")),
    ),
]


@pytest.mark.parametrize(("found", "at", "expected"), MUTE)
def test_mutes(found: Match, at: str, expected: tuple[str, Hold] | None) -> None:
    """A match is muted in a mute interval and outside all active intervals, with the end and the reason."""
    wanted = None if expected is None else Muted(until=instant(expected[0]), by=expected[1])

    state = find_mute(found, instant(at))

    assert state == wanted


def test_what_never_ends_is_muted_until_the_bound() -> None:
    """If nothing changes within the bound, the result is the end of the bound."""
    at = instant("2026-09-23T06:00Z")

    state = find_mute(match(mute=(NEVER_ENDS,)), at)

    assert state == Muted(until=at + SEARCH_BOUND, by=MuteInterval(interval="always"))


NAMED = st.lists(st.sampled_from([WEEKEND, NIGHT, OFFICE, RAMADAN]), max_size=2, unique=True).map(tuple)


@settings(deadline=None)
@given(NAMED, NAMED, st.integers(0, 400 * 24 * 60))
def test_until_is_the_first_instant_without_mute(
    mute: tuple[NamedInterval, ...], active: tuple[NamedInterval, ...], minutes: int
) -> None:
    """At ``until`` the match is not muted, and a minute before it the match was muted."""
    found = match(mute=mute, active=active)
    at = instant("2026-01-01T00:00Z") + timedelta(minutes=minutes)

    state = find_mute(found, at)

    if state is not None and state.until < at + SEARCH_BOUND:
        assert find_mute(found, state.until) is None
        assert find_mute(found, state.until - timedelta(minutes=1)) is not None
