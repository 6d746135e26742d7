"""Routes say who is told: a tree of matchers whose leaves name receivers.

The meaning is Alertmanager's (source: Alertmanager, configuration, "route" and "Routing-related settings"):
the root takes everything; a label set goes down into the first child that takes it, and on to the next
ones only past a child with ``continue``; where no child takes it the node itself does. A child inherits
the receiver and ``group_by``, never the time intervals, and never the digest.

Two things differ, because a reminder is sent once and nobody fires it again: a receiver is told at most
once, by the first route that names it; and muted means deferred, so that ``muted`` says until when.
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
"""In ``group_by``, alone: every label, so that no two different label sets share a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """The quiet hours of a receiver.

    Attributes:
        hours: named by what they are, such as ``22:00 to 07:00 (Europe/Berlin)``.
        exempt: what all of these match is sent all the same; () exempts nothing.
    """

    hours: NamedInterval
    exempt: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One node of the tree.

    Attributes:
        receiver: the receiver's name; "" to inherit. The root's is not "".
        matchers: all must match. The root's are not looked at: it takes everything.
        group_by: label names, or ``...`` alone; None to inherit, () for a single group.
        continue_: when this route takes a label set, its later siblings are asked too.
        mute: while one of these holds the instant, nothing is sent.
        active: if there are any, nothing is sent unless one of these holds the instant.
        digest: what it takes waits for this digest.
        quiet: of the root alone: the quiet hours of receivers that have some, by name.
        path: where it stands in the configuration: ``route``, ``route.routes[0]``.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A route that took a label set, with what it inherits filled in.

    Attributes:
        quiet: the receiver's quiet hours, unless they exempt these labels.
        path: the route's place in the configuration.
        matchers: those on the way from the root to the route: why it took the labels.
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
    """Nothing is sent now.

    Attributes:
        until: the first later instant, in UTC, at which it is no longer muted; if there is none within
            ``SEARCH_BOUND``, the end of that: ask again then.
        by: the rule of the configuration that holds it back.
    """

    until: datetime
    by: Hold


def match_routes(root: Route, labels: Mapping[str, str]) -> tuple[Match, ...]:
    """Who is told about something with these labels: at least one match, each receiver once."""
    first: dict[str, Match] = {}
    for match in _walk(root, labels, receiver="", group_by=(), matchers=()):
        first.setdefault(match.receiver, match)
    if not root.quiet:
        return tuple(first.values())
    return tuple(replace(match, quiet=_find_quiet(root, match, labels)) for match in first.values())


def find_quiet_hours(root: Route, receiver: str, labels: Mapping[str, str]) -> NamedInterval | None:
    """The receiver's quiet hours, as far as they hold for these labels."""
    quiet = root.quiet.get(receiver)
    if quiet is None or (quiet.exempt and all(matcher.matches(labels) for matcher in quiet.exempt)):
        return None
    return quiet.hours


def list_digests(root: Route) -> Mapping[tuple[str, str], Digest]:
    """The digests of all routes, by receiver and the digest's name.

    Routes of one receiver whose digests come at the same times share one, which shows the most of what
    they ask for.
    """
    found: dict[tuple[str, str], Digest] = {}
    for receiver, one in _generate_digests(root, ""):
        there = found.get((receiver, one.name), one)
        found[receiver, one.name] = replace(
            one,
            ahead=max(one.ahead, there.ahead),
            even_if_empty=one.even_if_empty or there.even_if_empty,
        )
    return found


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
    # What falls due at the very instant of a digest is in it.
    until = find_digest_instant(match.digest, at - _INSTANT, match.quiet)
    return Muted(until=until, by=AwaitedDigest(digest=match.digest.name))


def make_group_key(match: Match, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The labels that make up the group, as (name, value) by name; missing and empty ones are left out."""
    names = labels.keys() if match.group_by == (BY_ALL_LABELS,) else set(match.group_by)
    return tuple((name, labels[name]) for name in sorted(names) if labels.get(name))


def find_mute(match: Match, at: datetime) -> Muted | None:
    """Why and until when the match may not send at the aware instant ``at``; None when it may."""
    by = _find_hold(match, at)
    if by is None:
        return None
    quiet = (match.quiet,) if match.quiet else ()
    intervals = (interval for named in (*match.mute, *match.active, *quiet) for interval in named.intervals)
    until = find_next_change(lambda instant: _find_hold(match, instant) is not None, intervals, at)
    return Muted(until=until or at.astimezone(UTC) + SEARCH_BOUND, by=by)


def find_quiet_mute(hours: NamedInterval, at: datetime) -> Muted | None:
    """Why and until when quiet hours alone hold something back at ``at``."""
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
    """The matches below a route that takes the labels, or its own; the rest is what it inherits."""
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
        yield Match(
            receiver=receiver,
            group_by=group_by,
            mute=route.mute,
            active=route.active,
            path=route.path,
            matchers=matchers,
            digest=route.digest,
        )


def _find_quiet(root: Route, match: Match, labels: Mapping[str, str]) -> NamedInterval | None:
    """A digest keeps the quiet hours whatever it is about."""
    if match.digest is None:
        return find_quiet_hours(root, match.receiver, labels)
    return root.quiet[match.receiver].hours if match.receiver in root.quiet else None


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
