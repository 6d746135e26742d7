"""Handles the operations of ``/api/v1`` that read: timelines, milestones, deliveries and the status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from starlette.requests import Request
from typing_extensions import TypedDict

from alertd.core.access import Scope
from alertd.core.explain.explanation import Done, explain
from alertd.core.explain.facts import (
    CauseText,
    DeliveryFacts,
    EntryFacts,
    MilestoneFacts,
    PlannedFacts,
    PolicyFacts,
    ReminderFacts,
    format_utc,
    format_utc_or_none,
    make_delivery_facts,
    make_entry_facts,
    make_explanation_facts,
    make_record_facts,
)
from alertd.core.explain.words import describe_next, describe_routes, make_state_lines
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    Record,
    ReminderState,
    ScheduledReminder,
    Value,
)
from alertd.core.message.reasons import describe_reason
from alertd.core.routing.matcher import Matcher, MatchOp, parse_matcher
from alertd.core.shape import Count, Doc, Instant
from alertd.engine.health import HealthFacts, health_facts, read_health
from alertd.engine.status import make_live_report
from alertd.errors import FieldProblem, MatcherError
from alertd.web.api.request import ApiRequest, Limit, Param, declare_operation
from alertd.web.server.access import RequestRefused
from alertd.web.server.computing import compute
from alertd.web.server.context import Site, find_site
from alertd.web.timeline.cache import find_cache
from alertd.web.timeline.entries import FILTERS, Group, TimelineEntry

MOST_DELIVERIES = 50
MOST_ENTRIES = 200
MOST_LABELS = 10


class TimelineFacts(TypedDict):
    """Milestones that belong together."""

    timeline: str
    title: str
    description: str
    url: str
    milestones: Annotated[Count, Doc("How many milestones it has.")]
    overdue: Annotated[Count, Doc("How many of them are overdue.")]


class TimelinesFacts(TypedDict):
    """All timelines."""

    as_of: Annotated[Instant, Doc("When the list of milestones was read.")]
    timelines: list[TimelineFacts]


class MilestonesFacts(TypedDict):
    """A page of milestones."""

    as_of: Annotated[Instant, Doc("When the list of milestones was read.")]
    total: Annotated[Count, Doc("How many milestones match, on all pages.")]
    milestones: list[MilestoneFacts]
    next: Annotated[str | None, Doc("Give it as `after` for the next page; null on the last one.")]


class ValueFacts(TypedDict):
    """A window that reminds."""

    deadline: str
    phrase: str
    window: str
    sources: list[str]


class OccurrenceFacts(TypedDict):
    """A reminder that one receiver is or was owed."""

    key: str
    cause: CauseText
    offset: str
    window: str
    receiver: str
    at: Instant
    wake_at: Annotated[Instant, Doc("When the daemon decides about it; later than `at` if it is deferred.")]
    state: ReminderState
    reason: str
    told_at: Instant | None


class RouteWhyFacts(TypedDict):
    """The route by which a receiver gets reminders."""

    receiver: str
    text: str
    more: list[str]


class WhyFacts(TypedDict):
    """Why the milestone has these reminders and receivers, as `alertd explain` says."""

    policy: PolicyFacts
    stands: list[str]
    next: str
    routes: list[RouteWhyFacts]


class MilestoneInFullFacts(MilestoneFacts):
    """Everything that alertd knows about a milestone."""

    withdrawn: Annotated[bool, Doc("Its definition is no longer in the files.")]
    values: list[ValueFacts]
    occurrences: list[OccurrenceFacts]
    deliveries: Annotated[list[DeliveryFacts], Doc(f"The newest {MOST_DELIVERIES}.")]
    history: Annotated[
        list[EntryFacts], Doc(f"The newest {MOST_ENTRIES}, every change of its dates among them.")
    ]
    reminders: list[ReminderFacts]
    next: PlannedFacts | None
    why: WhyFacts | None


class DeliveriesFacts(TypedDict):
    """A page of deliveries."""

    deliveries: list[DeliveryFacts]
    next: Annotated[str | None, Doc("Give it as `before` for the next page; null on the last one.")]


@declare_operation("GET", "/timelines", Scope.READ)
async def list_timelines(request: Request, _asked: ApiRequest) -> TimelinesFacts:
    """List all timelines."""
    site = find_site(request)
    cached = await find_cache(request).get()
    now, found = site.clock.now(), site.definitions()
    files = {timeline.id: timeline for timeline in found.timelines} if found else {}

    def count() -> list[TimelineFacts]:
        titles = {entry.timeline: entry.timeline_title for entry in cached.entries}
        every = Counter(entry.timeline for entry in cached.entries)
        late = Counter(entry.timeline for entry in cached.entries if entry.group(now) is Group.OVERDUE)
        return [
            {
                "timeline": name,
                "title": titles[name],
                "description": files[name].description if name in files else "",
                "url": files[name].url if name in files else "",
                "milestones": every[name],
                "overdue": late[name],
            }
            for name in sorted(titles)
        ]

    return {"as_of": format_utc(cached.as_of), "timelines": await compute(count)}


@declare_operation(
    "GET",
    "/milestones",
    Scope.READ,
    Param("timeline"),
    Param("state", choices=tuple(FILTERS)),
    Param("label", "Labels that it must have or not have: country=iraq, country!=iraq.", most=MOST_LABELS),
    Param("text", "Words that its title, id, labels or sources must contain."),
    Param("after", "An id: the milestones that come after it."),
    Limit(),
)
async def list_milestones(request: Request, asked: ApiRequest) -> MilestonesFacts:
    """List milestones by id, filtered, a page at a time."""
    site = find_site(request)
    timeline, text, after = (asked.text(name) for name in ("timeline", "text", "after"))
    state, limit = asked.text("state"), asked.limit()
    matchers = [_parse_matcher(text) for text in asked.texts("label")]
    cached = await find_cache(request).get()
    now = site.clock.now()

    def is_wanted(entry: TimelineEntry) -> bool:
        return (
            (not timeline or entry.timeline == timeline)
            and entry.is_in(state, now)
            and entry.has(text, None)
            and all(matcher.matches(entry.labels) for matcher in matchers)
        )

    def choose() -> tuple[int, list[str]]:
        wanted = sorted(entry.id for entry in cached.entries if is_wanted(entry))
        return len(wanted), [name for name in wanted if name > after][: limit + 1]

    total, names = await compute(choose)
    records = await site.ledger.read_records_by_id(names[:limit])

    def list_facts() -> list[MilestoneFacts]:
        return [make_record_facts(records[name], now) for name in names[:limit] if name in records]

    return {
        "as_of": format_utc(cached.as_of),
        "total": total,
        "milestones": await compute(list_facts),
        "next": names[limit - 1] if len(names) > limit else None,
    }


@declare_operation("GET", "/milestones/{timeline}/{name}", Scope.READ)
async def get_milestone(request: Request, _asked: ApiRequest) -> MilestoneInFullFacts:
    """Show everything about one milestone: claims, state, reminders, deliveries, history, and why."""
    site = find_site(request)
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    record = await site.ledger.read_record(name) if name.isprintable() and len(name) <= 300 else None
    if record is None:
        raise RequestRefused(404, "no such milestone is known")
    done = Done(
        status=record.status,
        owed={reminder.key: reminder for reminder in await site.ledger.read_owed(name)},
        deliveries=tuple(await site.ledger.find_deliveries(milestone=name, limit=MOST_DELIVERIES)),
        history=tuple(await site.ledger.read_history(name, MOST_ENTRIES)),
    )
    return await compute(_make_full_facts, site, record, done, site.clock.now())


def _make_full_facts(site: Site, record: Record, done: Done, now: datetime) -> MilestoneInFullFacts:
    facts: MilestoneInFullFacts = {
        **make_record_facts(record, now),
        "withdrawn": record.withdrawn,
        "values": [_value_facts(value) for value in record.values],
        "occurrences": [_occurrence_facts(reminder) for reminder in done.owed.values()],
        "deliveries": [make_delivery_facts(*row) for row in done.deliveries],
        "history": [make_entry_facts(entry) for entry in done.history],
        "reminders": [],
        "next": None,
        "why": None,
    }
    definitions, config = site.definitions(), site.config
    if definitions is None or config is None or record.withdrawn:
        return facts
    found = explain(record.milestone, definitions, config, now, done)
    explanation = make_explanation_facts(found, ())
    facts["reminders"], facts["next"] = explanation["reminders"], explanation["next"]
    facts["why"] = {
        "policy": explanation["policy"],
        "stands": list(make_state_lines(found)),
        "next": describe_next(found),
        "routes": [
            {"receiver": route.receiver, "text": route.text, "more": list(route.more)}
            for route in describe_routes(found, config)
        ],
    }
    return facts


@declare_operation(
    "GET",
    "/deliveries",
    Scope.READ,
    Param("state", choices=tuple(DeliveryState)),
    Param("receiver"),
    Param("milestone", "The full id of a milestone that it carries."),
    Param("text", "What its id, channel, reason or milestones must contain."),
    Param("before", "The id of a delivery: those that are older."),
    Limit(),
)
async def list_deliveries(request: Request, asked: ApiRequest) -> DeliveriesFacts:
    """List deliveries, the newest first, a page at a time."""
    site = find_site(request)
    state, before, limit = asked.text("state"), asked.text("before"), asked.limit()
    place = None
    if before:
        last = await site.ledger.find_deliveries(delivery=before, limit=1)
        if not last:
            raise FieldProblem("before", "no such delivery is known")
        place = (last[0][0].bound_at, before)
    found = await site.ledger.find_deliveries(
        state=DeliveryState(state) if state else None,
        receiver=asked.text("receiver"),
        milestone=asked.text("milestone"),
        text=asked.text("text"),
        before=place,
        limit=limit + 1,
    )
    return {
        "deliveries": [make_delivery_facts(*row) for row in found[:limit]],
        "next": found[limit - 1][0].id if len(found) > limit else None,
    }


@declare_operation("GET", "/deliveries/{name}", Scope.READ)
async def get_delivery(request: Request, _asked: ApiRequest) -> DeliveryFacts:
    """Show one delivery."""
    return await find_delivery_facts(find_site(request), request.path_params["name"])


async def find_delivery_facts(site: Site, name: str) -> DeliveryFacts:
    """Return the facts of a delivery.

    Raises:
        RequestRefused: no delivery has that id (404).
    """
    found: Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]] = ()
    if name.isalnum() or name.replace("_", "").isalnum():
        found = await site.ledger.find_deliveries(delivery=name, limit=1)
    if not found:
        raise RequestRefused(404, "no such delivery is known")
    return make_delivery_facts(*found[0])


@declare_operation("GET", "/status", Scope.READ)
async def get_status(request: Request, _asked: ApiRequest) -> HealthFacts:
    """Report whether alertd is healthy, and what waits."""
    site = find_site(request)
    live = (make_live_report(site.node, site.daemon_status()),)
    return health_facts(await read_health(site.ledger, site.clock.now(), live=live))


ENDPOINTS = (
    list_timelines,
    list_milestones,
    get_milestone,
    list_deliveries,
    get_delivery,
    get_status,
)


def _parse_matcher(text: str) -> Matcher:
    try:
        found = parse_matcher(text)
    except MatcherError as error:
        raise FieldProblem("label", str(error)) from None
    if found.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        # The author of the configuration is trusted with regular expressions. The sender of a request is not.
        raise FieldProblem("label", "a label is asked for by = or !=, as in country=iraq")
    return found


def _value_facts(value: Value) -> ValueFacts:
    return {
        "deadline": value.edtf,
        "phrase": value.phrase,
        "window": value.window_id,
        "sources": list(value.source_ids),
    }


def _occurrence_facts(reminder: ScheduledReminder) -> OccurrenceFacts:
    return {
        "key": reminder.key,
        "cause": reminder.cause.value,
        "offset": reminder.offset,
        "window": reminder.window_id,
        "receiver": reminder.receiver,
        "at": format_utc(reminder.at),
        "wake_at": format_utc(reminder.wake_at),
        "state": reminder.state,
        "reason": describe_reason(reminder.reason),
        "told_at": format_utc_or_none(reminder.told_at),
    }
