"""Routes, which select the receivers of a reminder. They form a tree with matchers at its nodes.

Routes work as in Alertmanager (source: Alertmanager, configuration, "route" and "Routing-related settings"):

- The root accepts every label set.
- A label set goes to the first child whose matchers accept it. It goes to later children only if that child
  has ``continue``.
- If no child accepts a label set, the node itself accepts it.
- A child inherits the receiver and ``group_by``. It inherits neither the time intervals nor the digest.

Two rules differ from Alertmanager, because alertd sends a reminder only once:

- A receiver gets a reminder at most once, through the first route that names the receiver.
- A muted reminder is deferred and not dropped. Therefore :func:`find_mute` returns when the mute ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from alertd.core.reason import AwaitedDigest, Hold, MuteInterval, OutsideIntervals, QuietHours
from alertd.core.routing.digest import Digest, find_digest_instant
from alertd.core.routing.matcher import Matcher
from alertd.core.time.interval import SEARCH_BOUND, NamedInterval, find_next_change

_INSTANT = timedelta(microseconds=1)

BY_ALL_LABELS = "..."
"""The item of ``group_by`` that means every label. It has to be the only item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """The quiet hours of a receiver.

    Attributes:
        hours: the quiet hours. Their name is their text, such as ``22:00 to 07:00 (Europe/Berlin)``.
        exempt: reminders that match all of these are sent during quiet hours. An empty tuple exempts no
            reminder.
    """

    hours: NamedInterval
    exempt: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One node of the tree.

    Attributes:
        receiver: the name of the receiver; "" to inherit it. The root has a receiver.
        matchers: the matchers that all have to match. The matchers of the root are ignored, because the root
            accepts every label set.
        group_by: label names, or only ``...``; None to inherit it, and () for a single group.
        continue_: whether a label set that this route accepts also goes to the later siblings.
        mute: alertd sends nothing while one of these intervals contains the current instant.
        active: if there are any, alertd sends only while one of these intervals contains the current instant.
        digest: the digest for which the reminders of this route wait; None to send them at once.
        quiet: for the root only, the quiet hours of receivers by the name of the receiver.
        routes: the children, in the order of the configuration.
        path: the place in the configuration, such as ``route`` or ``route.routes[0]``.
        line, column: the position in the file, counted from 1; 0 if it is unknown. Two routes that differ
            only in their position are equal.
    """

    receiver: str = ""
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] | None = None
    continue_: bool = False
    mute: tuple[NamedInterval, ...] = ()
    active: tuple[NamedInterval, ...] = ()
    digest: Digest | None = None
    quiet: Mapping[str, Quiet] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    path: str
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A route that accepted a label set, with the values that it inherits.

    Attributes:
        receiver: the name of the receiver.
        group_by: the label names of the route, or only ``...``.
        mute: the intervals in which alertd sends nothing.
        active: if there are any, the intervals outside which alertd sends nothing.
        path: the place of the route in the configuration.
        matchers: the matchers from the root to the route, which explain why the route accepted the labels.
        digest: the digest for which the reminder waits; None to send it at once.
        quiet: the receiver's quiet hours; None when there are none or when they exempt the labels.
    """

    receiver: str
    group_by: tuple[str, ...]
    mute: tuple[NamedInterval, ...]
    active: tuple[NamedInterval, ...]
    path: str
    matchers: tuple[Matcher, ...]
    digest: Digest | None = None
    quiet: NamedInterval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Muted:
    """A reminder that has to wait.

    Attributes:
        until: the first later instant, in UTC, at which the reminder can be sent. If there is none within
            ``SEARCH_BOUND``, the end of this span: the caller checks again then.
        by: the rule of the configuration that defers the reminder.
    """

    until: datetime
    by: Hold


def match_routes(root: Route, labels: Mapping[str, str]) -> tuple[Match, ...]:
    """Return the routes that accept these labels. There is at least one, and each receiver occurs once."""
    first: dict[str, Match] = {}
    for match in _walk(root, labels, receiver="", group_by=(), matchers=()):
        first.setdefault(match.receiver, match)
    if not root.quiet:
        return tuple(first.values())
    return tuple(replace(match, quiet=_find_quiet(root, match, labels)) for match in first.values())


def find_quiet_hours(root: Route, receiver: str, labels: Mapping[str, str]) -> NamedInterval | None:
    """Return the quiet hours of a receiver; None when it has none or when they exempt these labels."""
    quiet = root.quiet.get(receiver)
    if quiet is None or (quiet.exempt and all(matcher.matches(labels) for matcher in quiet.exempt)):
        return None
    return quiet.hours


def list_digests(root: Route) -> Mapping[tuple[str, str], Digest]:
    """Return the digests of all routes, by receiver and name of the digest.

    Routes of one receiver that have the same schedule share one digest. The shared digest looks ahead as far
    as the longest ``ahead`` of these routes, and is sent when empty if one of these routes requires it.
    """
    found: dict[tuple[str, str], Digest] = {}
    for receiver, digest in _generate_digests(root, ""):
        known = found.get((receiver, digest.name), digest)
        found[receiver, digest.name] = replace(
            digest,
            ahead=max(digest.ahead, known.ahead),
            even_if_empty=digest.even_if_empty or known.even_if_empty,
        )
    return found


def list_deferring_matches(root: Route) -> tuple[Match, ...]:
    """Return a match of each route that can defer a reminder, with and without the receiver's quiet hours."""
    return tuple(
        match
        for plain in _walk_all(root, "")
        for match in (plain, replace(plain, quiet=_get_hours(root, plain.receiver)))
        if match.mute or match.active or match.digest or match.quiet
    )


def find_deferral(match: Match, at: datetime) -> Muted | None:
    """Find out whether a reminder that falls due at ``at`` has to wait.

    A route with a digest holds every reminder until the next digest. Other routes hold a reminder only
    while they are muted.

    Args:
        match: the route that takes the reminder.
        at: the aware instant at which the reminder falls due. A digest at the same instant includes it.

    Returns:
        The reason and the end of the wait; None when the reminder can be sent at once.
    """
    if match.digest is None:
        return find_mute(match, at)
    # A reminder that falls due at the instant of a digest is included in that digest.
    until = find_digest_instant(match.digest, at - _INSTANT, match.quiet)
    return Muted(until=until, by=AwaitedDigest(digest=match.digest.name))


def make_group_key(match: Match, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the labels that identify the group, as pairs of name and value, sorted by name.

    Missing and empty labels are left out.
    """
    names = labels.keys() if match.group_by == (BY_ALL_LABELS,) else set(match.group_by)
    return tuple((name, labels[name]) for name in sorted(names) if labels.get(name))


def find_mute(match: Match, at: datetime) -> Muted | None:
    """Return why and until when the match is muted at the aware instant ``at``; None if it is not muted."""
    by = _find_hold(match, at)
    if by is None:
        return None
    quiet = (match.quiet,) if match.quiet else ()
    intervals = (interval for named in (*match.mute, *match.active, *quiet) for interval in named.intervals)
    until = find_next_change(lambda instant: _find_hold(match, instant) is not None, intervals, at)
    return Muted(until=until or at.astimezone(UTC) + SEARCH_BOUND, by=by)


def find_quiet_mute(hours: NamedInterval, at: datetime) -> Muted | None:
    """Return until when quiet hours defer a reminder at the aware instant ``at``; None at other times."""
    if not hours.contains(at):
        return None
    until = find_next_change(hours.contains, hours.intervals, at) or at.astimezone(UTC) + SEARCH_BOUND
    return Muted(until=until, by=QuietHours(hours=hours.name))


def _walk(
    route: Route,
    labels: Mapping[str, str],
    *,
    receiver: str,
    group_by: tuple[str, ...],
    matchers: tuple[Matcher, ...],
) -> Iterator[Match]:
    """Yield the matches below ``route``, which accepts the labels, or else the match of ``route`` itself.

    The keyword arguments are the values that ``route`` inherits.
    """
    receiver = route.receiver or receiver
    group_by = group_by if route.group_by is None else route.group_by
    is_leaf = True
    for child in route.routes:
        if not all(matcher.matches(labels) for matcher in child.matchers):
            continue
        is_leaf = False
        on_the_way = matchers + child.matchers
        yield from _walk(child, labels, receiver=receiver, group_by=group_by, matchers=on_the_way)
        if not child.continue_:
            break
    if is_leaf:
        yield _make_match(route, receiver=receiver, group_by=group_by, matchers=matchers)


def _walk_all(route: Route, receiver: str) -> Iterator[Match]:
    """Yield a match of every route, whatever labels the route accepts."""
    receiver = route.receiver or receiver
    yield _make_match(route, receiver=receiver, group_by=(), matchers=())
    for child in route.routes:
        yield from _walk_all(child, receiver)


def _make_match(
    route: Route, *, receiver: str, group_by: tuple[str, ...], matchers: tuple[Matcher, ...]
) -> Match:
    return Match(
        receiver=receiver,
        group_by=group_by,
        mute=route.mute,
        active=route.active,
        path=route.path,
        matchers=matchers,
        digest=route.digest,
    )


def _get_hours(root: Route, receiver: str) -> NamedInterval | None:
    return root.quiet[receiver].hours if receiver in root.quiet else None


def _find_quiet(root: Route, match: Match, labels: Mapping[str, str]) -> NamedInterval | None:
    """Return the quiet hours that apply to a match. No label exempts a digest from quiet hours."""
    if match.digest is None:
        return find_quiet_hours(root, match.receiver, labels)
    return _get_hours(root, match.receiver)


def _generate_digests(route: Route, receiver: str) -> Iterator[tuple[str, Digest]]:
    receiver = route.receiver or receiver
    if route.digest is not None:
        yield receiver, route.digest
    for child in route.routes:
        yield from _generate_digests(child, receiver)


def _find_hold(match: Match, at: datetime) -> Hold | None:
    for named in match.mute:
        if named.contains(at):
            return MuteInterval(interval=named.name)
    if match.active and not any(named.contains(at) for named in match.active):
        return OutsideIntervals(intervals=tuple(named.name for named in match.active))
    if match.quiet is not None and match.quiet.contains(at):
        return QuietHours(hours=match.quiet.name)
    return None
