"""The plan, which leaves out what cannot be in its range, against one that computes every reminder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Reading
from alertd.core.milestones.milestone import Milestone, Rank
from alertd.core.milestones.occurrence import list_occurrences
from alertd.core.milestones.policy import Contested, Roll
from alertd.core.planning.plan import expand, plan, plan_next, plan_occurrence
from alertd.core.planning.relative import resolve_each
from alertd.core.routing.digest import Digest
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Quiet, Route, find_deferral
from alertd.core.time.interval import SEARCH_BOUND, NamedInterval, TimeInterval, TimeRange
from tests.core.builders import BAGHDAD, NEW_YORK, claim, milestone, policy, relative
from tests.core.test_plan import EVENING, OVERDUE, SUMMER, WEEKEND, root

NIGHT = NamedInterval(
    name="night",
    intervals=(
        TimeInterval(times=(TimeRange(start=22 * 60, end=24 * 60),), location=BAGHDAD),
        TimeInterval(times=(TimeRange(start=0, end=7 * 60),), location=BAGHDAD),
    ),
)
QUIET = {"desk": Quiet(hours=NIGHT, exempt=(parse_matcher("cause=due"),)), "leads": Quiet(hours=NIGHT)}
WEEKLY = Digest(weekdays=(0,), at=time(6), zone=NEW_YORK)
MONTHLY = Digest(weekdays=(), at=time(6), zone=BAGHDAD)


def to_leads(*, digest: Digest | None = None, mute: tuple[NamedInterval, ...] = ()) -> Route:
    return Route(path="route.routes[0]", receiver="leads", matchers=OVERDUE, digest=digest, mute=mute)


ROUTES = st.sampled_from((
    root(),
    root(mute=(WEEKEND,)),
    root(active=(EVENING,)),
    root(to_leads(mute=(SUMMER, WEEKEND))),
    root(to_leads(digest=WEEKLY)),
    replace(root(to_leads(digest=WEEKLY)), quiet=QUIET),
    Route(path="route", receiver="desk", group_by=("...",), quiet=QUIET, digest=MONTHLY),
))  # fmt: skip

DAYS = st.dates(date(2025, 1, 1), date(2027, 12, 31))
DEADLINES = st.one_of(
    DAYS.map(lambda day: day.isoformat()),
    DAYS.map(lambda day: f"{day:%Y-%m}"),
    DAYS.map(lambda day: f"{day:%Y}-Q{day.month % 4 + 1}"),
    DAYS.map(lambda day: f"{day}T23:30"),
    DAYS.map(lambda day: f"{day}T04:00Z"),
    DAYS.map(lambda day: f"../{day}"),
    DAYS.map(lambda day: f"{day}/.."),
)
CLAIMS = st.builds(
    lambda text, reading, rank: claim(text, reading=reading, rank=rank),
    DEADLINES,
    st.sampled_from((Reading.END, Reading.END, Reading.START)),
    st.sampled_from((Rank.NORMAL, Rank.NORMAL, Rank.PREFERRED, Rank.DEPRECATED)),
)
POLICIES = st.builds(
    lambda before, after, nag, opens, contested, roll: policy(
        before=before, after=after, then_every=nag, opens=opens, contested=contested, roll=roll
    ),
    st.sampled_from((("90d", "7d", "1d"), ("1y", "12h"), ())),
    st.sampled_from((("1d", "28d"), ("3h",), ())),
    st.sampled_from(("", "", "9d", "1mo")),
    st.booleans(),
    st.sampled_from(Contested),
    st.sampled_from(Roll),
)
SINGLE = st.builds(
    lambda claims, of_policy, zone: milestone(*claims, with_policy=of_policy, zone=zone),
    st.lists(CLAIMS, min_size=1, max_size=3),
    POLICIES,
    st.sampled_from((BAGHDAD, NEW_YORK)),
)
SERIES = st.builds(
    lambda day, rule, of_policy: milestone(day.isoformat(), repeat=rule, with_policy=of_policy),
    st.dates(date(2025, 1, 1), date(2026, 6, 30)),
    st.sampled_from(("FREQ=MONTHLY", "FREQ=YEARLY;COUNT=3")),
    POLICIES,
)


@st.composite
def several(draw: st.DrawFn) -> list[Milestone]:
    """Milestones of all kinds, some with deadlines that count from the first, with shared policies."""
    made = draw(st.lists(st.one_of(SINGLE, SINGLE, SERIES), min_size=1, max_size=4))
    by_id = {f"a/m{number}": replace(one, id=f"a/m{number}") for number, one in enumerate(made)}
    if made[0].repeat is None:
        by_id["a/after"] = milestone(
            id="a/after",
            counted=[relative("a/m0", draw(st.sampled_from(("1d", "3mo"))))],
            with_policy=made[0].policy,
        )
    resolved, _ = resolve_each(by_id, {})  # a deadline without a start cannot be counted from
    return list(resolved.values())


def plan_plainly(
    milestones: list[Milestone], route: Route, since: datetime, until: datetime
) -> Iterator[tuple[object, ...]]:
    """Every reminder of 400 days before the range and of the range, each decided by itself."""
    for made in milestones:
        for instance in expand(made, since - SEARCH_BOUND, until):
            planned = [
                reminder
                for occurrence in list_occurrences(instance, since - SEARCH_BOUND, until)
                for reminder in plan_occurrence(instance, occurrence, route)
            ]
            for reminder in planned:
                deferral = find_deferral(reminder.match, reminder.at)
                at = deferral.until if deferral else reminder.at
                overtaken = any(
                    reminder.at < later.at <= at and later.receiver == reminder.receiver for later in planned
                )
                if since <= at < until and not overtaken:
                    yield (
                        *(at, instance.id, reminder.receiver, reminder.key),
                        *(reminder.occurrence, reminder.group, deferral and deferral.by),
                    )


STARTS = st.datetimes(datetime(2025, 1, 1), datetime(2028, 6, 1)).map(lambda at: at.replace(tzinfo=UTC))
SPANS = st.timedeltas(timedelta(hours=1), timedelta(days=120))


@given(several(), ROUTES, STARTS, SPANS)
def test_a_plan_is_what_every_reminder_by_itself_gives(
    milestones: list[Milestone], route: Route, since: datetime, span: timedelta
) -> None:
    """Nothing is missing from a plan because of what it does not compute."""
    until = since + span

    found = plan(milestones, route, since, until)

    plainly = sorted(plan_plainly(milestones, route, since, until), key=lambda one: one[:4])
    assert [
        (
            *(one.at, one.occurrence.milestone, one.receiver, one.key),
            *(one.occurrence, one.group, one.muted_by),
        )
        for one in found
    ] == plainly


@given(several(), ROUTES, STARTS, SPANS)
def test_the_next_reminders_are_the_first_of_the_plan(
    milestones: list[Milestone], route: Route, since: datetime, span: timedelta
) -> None:
    """The reminders that come next are all those of the plan's first instant."""
    planned = plan(milestones, route, since, since + span)

    found = plan_next(milestones, route, since, since + span)

    assert found == tuple(one for one in planned if one.at == planned[0].at)
