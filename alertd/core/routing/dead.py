"""Finds routes that no reminder can reach.

Only what can be proved is reported: a route is dead if its matchers exclude each other, or if the routes
before it, which do not continue, take everything that it accepts. Nothing is concluded from the milestones of
today.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from alertd.core.routing.labels import BY_NAME, LABEL_NAME
from alertd.core.routing.matcher import Matcher, MatchOp
from alertd.core.routing.route import Route

_SPECIAL = frozenset("\\.^$*+?{}[]()")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadRoute:
    """A route that no reminder can reach.

    Attributes:
        why: the proof, as a sentence without its full stop.
    """

    route: Route
    why: str


def find_dead_routes(root: Route) -> tuple[DeadRoute, ...]:
    """Find the dead routes, in the order of the configuration. Routes below a dead route are left out."""
    return tuple(_find_below(root, ()))


def _find_below(route: Route, inherited: tuple[Matcher, ...]) -> Iterator[DeadRoute]:
    """Find the dead routes below ``route``, which label sets reach that match ``inherited``."""
    takers: list[Route] = []
    for child in route.routes:
        matchers = (*inherited, *child.matchers)
        why = _find_contradiction(matchers) or _find_takers(matchers, takers)
        if why:
            yield DeadRoute(route=child, why=why)
            continue
        if not child.continue_:
            takers.append(child)
        yield from _find_below(child, matchers)


def _find_contradiction(matchers: Sequence[Matcher]) -> str:
    """Say which matchers no label set satisfies together; "" if there may be such a label set."""
    for name, its in _group_by_label(matchers).items():
        values = _list_values(name, its)
        if values is None or any(_accepts(its, value) for value in values):
            continue
        written = " and ".join(dict.fromkeys(str(matcher) for matcher in its))
        known = BY_NAME[name].values if name in BY_NAME else ()
        if not LABEL_NAME.fullmatch(name):
            return f"no milestone can have a label with the name of {written}"
        if known and len(its) == 1:
            return f"no reminder has {written}; {name} is one of {', '.join(known)}"
        return f"no reminder has {written} at the same time" if len(its) > 1 else f"no reminder has {written}"
    return ""


def _find_takers(matchers: Sequence[Matcher], takers: Sequence[Route]) -> str:
    """Say which of ``takers`` take everything that a route accepts; "" if something may be left."""
    by_label = _group_by_label(matchers)
    for taker in takers:
        if _takes(taker, by_label, {}):
            return f"{taker.path} comes first, has no `continue` and takes everything that this route matches"
    for name in {**by_label, **{label: [] for label in BY_NAME}}:
        values = _list_values(name, by_label.get(name, []))
        left = [value for value in values or () if _accepts(by_label.get(name, []), value)]
        needed: dict[str, None] = {}
        for value in left:
            first = next((taker for taker in takers if _takes(taker, by_label, {name: value})), None)
            if first is None:
                break
            needed[first.path] = None
        else:
            if left:
                several = " and ".join(needed)
                return f"{several} come first, have no `continue` and take everything that this route matches"
    return ""


def _takes(taker: Route, by_label: Mapping[str, Sequence[Matcher]], fixed: Mapping[str, str]) -> bool:
    """Return whether a route accepts all label sets that match, and that have the ``fixed`` values."""
    return all(_follows(matcher, by_label.get(matcher.name, ()), fixed) for matcher in taker.matchers)


def _follows(matcher: Matcher, its: Sequence[Matcher], fixed: Mapping[str, str]) -> bool:
    """Return whether every value that satisfies the matchers of a label satisfies ``matcher`` too."""
    if matcher.name in fixed:
        return matcher.matches(fixed)
    if matcher in its:
        return True
    values = _list_values(matcher.name, its)
    return values is not None and all(
        matcher.matches({matcher.name: value}) for value in values if _accepts(its, value)
    )


def _list_values(name: str, its: Sequence[Matcher]) -> tuple[str, ...] | None:
    """List values of a label, among them each that satisfies its matchers; None if there is no such list."""
    if not LABEL_NAME.fullmatch(name):
        return ("",)
    if name in BY_NAME and BY_NAME[name].values:
        return BY_NAME[name].values
    for matcher in its:
        if matcher.op is MatchOp.EQUAL:
            return (matcher.value,)
    for matcher in its:
        if matcher.op is MatchOp.REGEX and not _SPECIAL.intersection(matcher.value):
            return tuple(matcher.value.split("|"))
    return None


def _accepts(its: Sequence[Matcher], value: str) -> bool:
    return all(matcher.matches({matcher.name: value}) for matcher in its)


def _group_by_label(matchers: Sequence[Matcher]) -> dict[str, list[Matcher]]:
    found: dict[str, list[Matcher]] = {}
    for matcher in matchers:
        found.setdefault(matcher.name, []).append(matcher)
    return found
