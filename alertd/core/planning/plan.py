"""The plan: all reminders that will be sent in a range of time, with their receivers and keys.

The plan assumes that no milestone is acknowledged and that the daemon runs all the time. It shows a reminder
that is muted or waits for a digest at the instant at which it will be sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from alertd.core.ledger.records import Grounds, Record, ScheduledReminder
from alertd.core.milestones.milestone import Milestone, list_stated_windows
from alertd.core.milestones.occurrence import (
    SERIES_REPEAT_SPAN,
    Ladders,
    Occurrence,
    compute_longest_span,
    list_occurrences,
    make_occurrence_key,
)
from alertd.core.milestones.recurrence import expand_instances
from alertd.core.reason import Hold
from alertd.core.routing.labels import list_labels
from alertd.core.routing.route import (
    Match,
    Muted,
    Route,
    find_deferral,
    find_quiet_hours,
    find_quiet_mute,
    list_deferring_matches,
    make_group_key,
    match_routes,
)
from alertd.core.time.instant import to_local_date
from alertd.core.time.interval import SEARCH_BOUND

_FIRST_SPAN = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An occurrence for a receiver.

    Attributes:
        at: when it is sent, an aware UTC instant: when it is due, or later if it is muted or waits for a
            digest.
        group: the labels that it is grouped by, as pairs.
        key: the key of the reminder in the ledger.
        muted_by: the rule that defers it; None if it is sent when it is due.
    """

    at: datetime
    occurrence: Occurrence
    match: Match
    group: tuple[tuple[str, str], ...]
    key: str
    muted_by: Hold | None = None

    @property
    def receiver(self) -> str:
        return self.match.receiver


def plan(
    milestones: Iterable[Milestone], route: Route, since: datetime, until: datetime
) -> tuple[Planned, ...]:
    """Plan the reminders that are sent in [since, until), sorted by instant, milestone and receiver.

    Args:
        milestones: relative claims resolved. This function expands recurring ones.
        since, until: aware UTC instants.
    """
    return _plan(milestones, route, since, until, Ladders())


def plan_next(
    milestones: Collection[Milestone], route: Route, since: datetime, until: datetime
) -> tuple[Planned, ...]:
    """Plan all reminders of the first instant in [since, until) that has any; () if there is none.

    The arguments are those of :func:`plan`.
    """
    ladders = Ladders()
    begin, span = since, _FIRST_SPAN
    while begin < until:
        end = min(begin + span, until)
        planned = _plan(milestones, route, begin, end, ladders)
        if planned:
            return tuple(reminder for reminder in planned if reminder.at == planned[0].at)
        begin, span = end, span * 4
    return ()


def _plan(
    milestones: Iterable[Milestone], route: Route, since: datetime, until: datetime, ladders: Ladders
) -> tuple[Planned, ...]:
    start = since - _compute_longest_deferral(route, since)
    found = [
        planned
        for milestone in milestones
        if milestone.repeat is not None or ladders.may_remind(milestone, start, until)
        for instance in expand(milestone, start, until)
        for planned in _plan_milestone(instance, route, start, until, ladders)
        if since <= planned.at < until
    ]
    return tuple(sorted(found, key=lambda p: (p.at, p.occurrence.milestone, p.receiver, p.key)))


def expand(milestone: Milestone, since: datetime, until: datetime) -> tuple[Milestone, ...]:
    """List the instances of a series that can have a reminder in [since, until).

    A milestone that does not recur is its only instance.

    Args:
        since, until: aware UTC instants.
    """
    if milestone.repeat is None:
        return (milestone,)
    before, after = _compute_reach(milestone)
    first = to_local_date(since, milestone.zone) - after
    last = to_local_date(until, milestone.zone) + before
    return expand_instances(milestone, first, last)


def plan_occurrence(milestone: Milestone, occurrence: Occurrence, route: Route) -> Iterator[Planned]:
    """Plan an occurrence for each of its receivers, at the instant at which it is due."""
    labels = list_labels(milestone, occurrence.cause, occurrence.offset)
    for match in match_routes(route, labels):
        yield Planned(
            at=occurrence.at,
            occurrence=occurrence,
            match=match,
            group=make_group_key(match, labels),
            key=make_occurrence_key(
                milestone.id, occurrence.stated.window.id, occurrence.offset, match.receiver
            ),
        )


def find_match(root: Route, owed: ScheduledReminder, record: Record) -> Match | None:
    """Find the route by which a reminder goes to its receiver; None for news that no route leads there."""
    labels = list_labels(record.milestone, owed.cause, owed.offset)
    return next((match for match in match_routes(root, labels) if match.receiver == owed.receiver), None)


def make_grounds(match: Match | None, milestone: Milestone) -> Grounds:
    """Make the grounds on which a reminder goes to its receiver.

    Args:
        match: the route that leads to the receiver; None if no route does.
    """
    return Grounds(
        route=match.path if match else "",
        matchers=tuple(str(matcher) for matcher in match.matchers) if match else (),
        policy=milestone.policy.name,
    )


def find_quiet_hold(root: Route, owed: ScheduledReminder, record: Record, now: datetime) -> Muted | None:
    """Find the quiet hours that defer news to a receiver that no route leads to; None outside quiet hours.

    Args:
        now: an aware UTC instant.
    """
    hours = find_quiet_hours(root, owed.receiver, list_labels(record.milestone, owed.cause, owed.offset))
    return None if hours is None else find_quiet_mute(hours, now)


def _plan_milestone(
    milestone: Milestone, route: Route, since: datetime, until: datetime, ladders: Ladders
) -> list[Planned]:
    by_receiver: dict[str, list[Planned]] = {}
    for occurrence in list_occurrences(milestone, since, until, ladders):
        for planned in plan_occurrence(milestone, occurrence, route):
            by_receiver.setdefault(planned.receiver, []).append(_defer(planned))
    return [planned for reminders in by_receiver.values() for planned in _drop_overtaken(reminders)]


def _defer(planned: Planned) -> Planned:
    found = find_deferral(planned.match, planned.at)
    if found is None:
        return planned
    return Planned(
        at=found.until,
        occurrence=planned.occurrence,
        match=planned.match,
        group=planned.group,
        key=planned.key,
        muted_by=found.by,
    )


def _drop_overtaken(reminders: list[Planned]) -> Iterator[Planned]:
    """Leave out the reminders that are still deferred when a later one falls due and replaces them.

    Args:
        reminders: those of a milestone and receiver, sorted by the instant at which they are due.
    """
    due = sorted({planned.occurrence.at for planned in reminders})
    following = dict(pairwise(due))
    for planned in reminders:
        later = following.get(planned.occurrence.at)
        if later is None or later > planned.at:
            yield planned


def _compute_longest_deferral(route: Route, since: datetime) -> timedelta:
    """Compute how long before ``since`` a reminder can fall due that is sent at ``since`` or later.

    The result is an upper bound of at most SEARCH_BOUND. Of two reminders on one route, the one that falls
    due first is never sent after the other. So a reminder that is sent before ``since`` shows that all
    earlier ones are sent before ``since``, too.
    """
    longest = timedelta()
    for match in list_deferring_matches(route):
        back = _FIRST_SPAN
        while back < SEARCH_BOUND:
            found = find_deferral(match, since - back)
            if found is None or found.until < since:
                break
            back *= 2
        longest = max(longest, min(back, SEARCH_BOUND))
    return longest


def _compute_reach(milestone: Milestone) -> tuple[timedelta, timedelta]:
    """Compute upper bounds of the time between an instance's date and its first and last reminder."""
    policy = milestone.policy
    before = max((compute_longest_span(lead) for lead in policy.before), default=timedelta())
    after = max((compute_longest_span(delay) for delay in policy.after), default=timedelta())
    repeats = SERIES_REPEAT_SPAN if policy.then_every else timedelta()
    days = [stated.window.last_day for stated in list_stated_windows(milestone) if stated.window.last_day]
    spread = max(days) - min(days) if days else timedelta()
    margin = (
        timedelta(days=40) + spread
    )  # for rolls, zones, and claims whose dates differ from the first claim's
    return before + margin, after + repeats + margin
