"""Routes that no reminder can reach: what is provably dead is found, and nothing else is."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.milestones.occurrence import Cause
from alertd.core.routing.dead import find_dead_routes
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route, match_routes


def route(*matchers: str, go_on: bool = False, routes: tuple[Route, ...] = ()) -> Route:
    return Route(
        receiver="",
        matchers=tuple(parse_matcher(matcher) for matcher in matchers),
        continue_=go_on,
        routes=routes,
        path="",
    )


def place(found: Route, path: str = "route") -> Route:
    """Give each route its path, and a receiver of this name."""
    children = tuple(place(child, f"{path}.routes[{number}]") for number, child in enumerate(found.routes))
    return Route(
        receiver=path,
        matchers=found.matchers,
        continue_=found.continue_,
        routes=children,
        path=path,
    )


def find(*routes: Route) -> dict[str, str]:
    """Find the dead routes below a root, with the reasons, by their place: ``0`` or ``0.1``."""
    dead = find_dead_routes(place(route(routes=routes)))
    return {
        each.route.path.removeprefix("route.routes[").replace("].routes[", ".").removesuffix("]"): each.why
        for each in dead
    }


# the matchers of a route, the reason why it is dead
CONTRADICTIONS = [
    (('a="x"', 'a="y"'), 'no reminder has a="x" and a="y" at the same time'),
    (('a="x"', 'a!="x"'), 'no reminder has a="x" and a!="x" at the same time'),
    (('a="x"', 'a=~"y.*"'), 'no reminder has a="x" and a=~"y.*" at the same time'),
    (('a="x"', 'a!~"x|y"'), 'no reminder has a="x" and a!~"x|y" at the same time'),
    (('a=~"x|y"', 'a="z"'), 'no reminder has a=~"x|y" and a="z" at the same time'),
    (('a=~"x|y"', 'a=~"z|w"'), 'no reminder has a=~"x|y" and a=~"z|w" at the same time'),
    (('contested="yes"',), 'no reminder has contested="yes"; contested is one of true, false'),
    (('contested!~"t.*|f.*"',), 'no reminder has contested!~"t.*|f.*"; contested is one of true, false'),
    (('cause="overdue"', 'cause="due"'), 'no reminder has cause="overdue" and cause="due" at the same time'),
    (('"my label"="x"',), 'no milestone can have a label with the name of "my label"="x"'),
]  # fmt: skip


@pytest.mark.parametrize(("matchers", "why"), CONTRADICTIONS)
def test_matchers_that_exclude_each_other_are_found(matchers: tuple[str, ...], why: str) -> None:
    """A route is dead if no label set satisfies all its matchers."""
    assert find(route(*matchers)) == {"0": why}


# matchers that some label set satisfies
SATISFIABLE = [
    ('a="x"', 'b="y"'),
    ('a!="x"', 'a!="y"'),
    ('a=~"x.*"', 'a=~".*y"'),
    ('a=~"x|y"', 'a!="x"'),
    ('a=""',),
    ('a!=""', 'a!~"x|y|z"'),
    ('"my label"=""',),
    ('cause=~"over.*"', 'cause!="due"'),
    ('offset="-7d"', 'cause="approaching"'),
    ('timeline="not-there-yet"',),
]


@pytest.mark.parametrize("matchers", SATISFIABLE)
def test_matchers_that_can_be_satisfied_are_not_reported(matchers: tuple[str, ...]) -> None:
    """Nothing is reported that a milestone of tomorrow could match."""
    assert find(route(*matchers)) == {}


def test_a_route_contradicts_its_parent() -> None:
    """A child inherits the matchers of its parents, but not those of the root, which accepts everything."""
    below = route('country="iraq"', routes=(route('country="iran"'), route('phase="2"')))

    assert find(below) == {"0.0": 'no reminder has country="iraq" and country="iran" at the same time'}


# the routes in their order, the dead ones
SHADOWED = [
    ((route(), route('a="x"')), ["1"]),
    ((route('a="x"'), route('a="x"', 'b="y"')), ["1"]),
    ((route('a=~"x|y"'), route('a="x"'), route('a="z"')), ["1"]),
    ((route('a!="x"'), route('a="y"')), ["1"]),
    ((route('a=~".+"'), route('a="y"'), route('a=""')), ["1"]),
    ((route('contested="true"'), route('contested="false"'), route('a="x"')), ["2"]),
    ((route('a="x"'), route('a="y"'), route('a=~"x|y"')), ["2"]),
    ((route('contested="true"', 'a="x"'), route('contested="false"'), route('a="x"')), ["2"]),
    ((route(), route('a="x"', routes=(route('b="y"'),))), ["1"]),
    ((route('a="x"', routes=(route(), route('b="y"'))),), ["0.1"]),
]


@pytest.mark.parametrize(("routes", "dead"), SHADOWED)
def test_a_route_that_those_before_it_shadow_is_found(routes: tuple[Route, ...], dead: list[str]) -> None:
    """Routes without `continue` keep what they accept from later ones, alone or together."""
    assert list(find(*routes)) == dead


REACHED = [
    (route(go_on=True), route('a="x"')),
    (route('a="x"', 'b="y"'), route('a="x"')),
    (route('a="x"'), route('b="y"')),
    (route('a=~"x.*"'), route('a=~"x.*y"')),
    (route('a="x"'), route('a=~"x|y"')),
    (route('a!="x"'), route('a!="y"')),
    (route('contested="true"'), route('contested=~".*"')),
    (route('a="x"', 'a="y"'), route('a="x"')),
    tuple(route(f'cause="{cause}"') for cause in Cause),
]


@pytest.mark.parametrize("routes", REACHED)
def test_a_route_that_something_may_reach_is_not_reported(routes: tuple[Route, ...]) -> None:
    """A route is not reported as shadowed if a reminder may pass those before it."""
    assert "1" not in find(*routes)


def test_the_reason_names_the_routes_that_come_first() -> None:
    """The reader sees which routes to look at."""
    alone = find(route('a="x"'), route('a="x"'))
    together = find(route('contested="true"'), route('contested="false"'), route('a="x"'))

    assert alone == {
        "1": "route.routes[0] comes first, has no `continue` and takes everything that this route matches"
    }
    assert together == {
        "2": "route.routes[0] and route.routes[1] come first, have no `continue` and take everything that "
        "this route matches"
    }


VALUES = ("x", "y", "true", "false", "x|y", "true|false", "x.*", ".*", "")
MATCHERS = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "contested")),
        st.sampled_from(("=", "!=", "=~", "!~")),
        st.sampled_from(VALUES),
    ).map(lambda parts: f'{parts[0]}{parts[1]}"{parts[2]}"'),
    max_size=3,
).map(tuple)


def make_tree(matchers: tuple[str, ...], go_on: bool, below: list[tuple[str, ...]]) -> Route:
    return route(*matchers, go_on=go_on, routes=tuple(route(*each) for each in below))


TREES = st.lists(
    st.builds(make_tree, MATCHERS, st.booleans(), st.lists(MATCHERS, max_size=2)),
    max_size=4,
)


@given(TREES)
def test_no_label_set_reaches_a_dead_route(trees: list[Route]) -> None:
    """Whatever the routes are, no reminder goes to a route that is reported as dead."""
    root = place(route(routes=tuple(trees)))
    dead = {each.route.path for each in find_dead_routes(root)}

    for a, b, contested in product(("", "x", "y", "xx"), ("", "x", "true"), ("true", "false")):
        labels = {"a": a, "b": b, "contested": contested, "cause": "due"}
        for match in match_routes(root, {name: value for name, value in labels.items() if value}):
            assert not any(match.path.startswith(path) for path in dead)
