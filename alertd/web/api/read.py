"""``/api/v1``, what is read: timelines, milestones, deliveries, and how all is; openapi.py describes it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alertd.core.access import Scope
from alertd.core.explain.explanation import Done, explained
from alertd.core.explain.facts import (
    delivery_facts,
    entry_facts,
    explanation_facts,
    record_facts,
    utc_or_none,
    utc_text,
)
from alertd.core.explain.words import next_words, routes_told, state_lines
from alertd.core.ledger.records import DeliveryState, Record, ScheduledReminder, Value
from alertd.core.routing.matcher import Matcher, MatchOp, parse_matcher
from alertd.engine.health import health_facts, health_of
from alertd.errors import FieldProblem, MatcherError
from alertd.web.api.openapi import document
from alertd.web.api.request import Facts, Params, answered
from alertd.web.pages.cache import shelf_of
from alertd.web.server.access import RequestRefused, needs
from alertd.web.server.context import Site, site_of
from alertd.web.timeline.entries import FILTERS, Group, TimelineEntry

MOST_DELIVERIES = 50
MOST_ENTRIES = 200
MOST_LABELS = 10


@needs(Scope.PUBLIC)
async def openapi(request: Request) -> Response:
    """``/api/v1/openapi.json``."""
    return JSONResponse(document(site_of(request).web.root or "/"))


@needs(Scope.READ)
@answered
async def timelines(request: Request) -> Facts:
    """``/api/v1/timelines``."""
    site = site_of(request)
    Params(request, ())
    shelved = await shelf_of(request).look()
    now, found = site.clock.now(), site.definitions()
    files = {one.id: one for one in found.timelines} if found else {}

    def counted() -> list[Facts]:
        titles = {one.timeline: one.timeline_title for one in shelved.entries}
        every = Counter(one.timeline for one in shelved.entries)
        late = Counter(one.timeline for one in shelved.entries if one.group(now) is Group.OVERDUE)
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

    return {"as_of": utc_text(shelved.as_of), "timelines": await asyncio.to_thread(counted)}


@needs(Scope.READ)
@answered
async def milestones(request: Request) -> Facts:
    """``/api/v1/milestones``."""
    site = site_of(request)
    params = Params(request, ("timeline", "state", "label", "text", "after", "limit"), several=("label",))
    timeline, text, after = (params.text(name) for name in ("timeline", "text", "after"))
    state, limit = params.choice("state", FILTERS), params.limit()
    matchers = [_matcher(one) for one in params.texts("label", MOST_LABELS)]
    shelved = await shelf_of(request).look()
    now = site.clock.now()

    def is_wanted(one: TimelineEntry) -> bool:
        return (
            (not timeline or one.timeline == timeline)
            and one.is_in(state, now)
            and one.has(text, None)
            and all(matcher.matches(one.labels) for matcher in matchers)
        )

    def chosen() -> tuple[int, list[str]]:
        wanted = sorted(one.id for one in shelved.entries if is_wanted(one))
        return len(wanted), [name for name in wanted if name > after][: limit + 1]

    total, names = await asyncio.to_thread(chosen)
    records = await site.ledger.records_of(names[:limit])

    def listed() -> list[Facts]:
        return [record_facts(records[name], now) for name in names[:limit] if name in records]

    return {
        "as_of": utc_text(shelved.as_of),
        "total": total,
        "milestones": await asyncio.to_thread(listed),
        "next": names[limit - 1] if len(names) > limit else None,
    }


@needs(Scope.READ)
@answered
async def milestone(request: Request) -> Facts:
    """``/api/v1/milestones/{timeline}/{name}``."""
    site = site_of(request)
    Params(request, ())
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    record = await site.ledger.record(name) if name.isprintable() and len(name) <= 300 else None
    if record is None:
        raise RequestRefused(404, "no such milestone is known")
    done = Done(
        standing=record.standing,
        owed={one.key: one for one in await site.ledger.owed(name)},
        deliveries=tuple(await site.ledger.deliveries(milestone=name, limit=MOST_DELIVERIES)),
        history=tuple(await site.ledger.history(name, MOST_ENTRIES)),
    )
    return await asyncio.to_thread(_whole, site, record, done, site.clock.now())


def _whole(site: Site, record: Record, done: Done, now: datetime) -> Facts:
    facts = record_facts(record, now) | {
        "withdrawn": record.withdrawn,
        "values": [_value(one) for one in record.values],
        "occurrences": [_occurrence(one) for one in done.owed.values()],
        "deliveries": [delivery_facts(*one) for one in done.deliveries],
        "history": [entry_facts(one) for one in done.history],
    }
    definitions, config = site.definitions(), site.config
    if definitions is None or config is None or record.withdrawn:
        return facts | {"reminders": [], "next": None, "why": None}
    found = explained(record.milestone, definitions, config, now, done)
    explanation = explanation_facts(found, ())
    why = {
        "policy": explanation["policy"],
        "stands": list(state_lines(found)),
        "next": next_words(found),
        "routes": [
            {"receiver": one.receiver, "text": one.text, "more": list(one.more)}
            for one in routes_told(found, config)
        ],
    }
    return facts | {"reminders": explanation["reminders"], "next": explanation["next"], "why": why}


@needs(Scope.READ)
@answered
async def deliveries(request: Request) -> Facts:
    """``/api/v1/deliveries``."""
    site = site_of(request)
    params = Params(request, ("state", "receiver", "milestone", "text", "before", "limit"))
    state = params.choice("state", [one.value for one in DeliveryState])
    before, limit = params.text("before"), params.limit()
    place = None
    if before:
        last = await site.ledger.deliveries(delivery=before, limit=1)
        if not last:
            raise FieldProblem("before", "no such delivery is known")
        place = (last[0][0].bound_at, before)
    found = await site.ledger.deliveries(
        state=DeliveryState(state) if state else None,
        receiver=params.text("receiver"),
        milestone=params.text("milestone"),
        text=params.text("text"),
        before=place,
        limit=limit + 1,
    )
    return {
        "deliveries": [delivery_facts(*one) for one in found[:limit]],
        "next": found[limit - 1][0].id if len(found) > limit else None,
    }


@needs(Scope.READ)
@answered
async def delivery(request: Request) -> Facts:
    """``/api/v1/deliveries/{name}``."""
    Params(request, ())
    return await facts_of_delivery(site_of(request), request.path_params["name"])


async def facts_of_delivery(site: Site, name: str) -> Facts:
    """One delivery. Raises Refusal: there is none of that id (404)."""
    found: Sequence[object] = ()
    if name.isalnum() or name.replace("_", "").isalnum():
        found = await site.ledger.deliveries(delivery=name, limit=1)
    if not found:
        raise RequestRefused(404, "no such delivery is known")
    return delivery_facts(*found[0])  # type: ignore[misc]


@needs(Scope.READ)
@answered
async def status(request: Request) -> Facts:
    """``/api/v1/status``."""
    site = site_of(request)
    Params(request, ())
    return health_facts(await health_of(site.ledger, site.clock.now()))


def _matcher(text: str) -> Matcher:
    try:
        found = parse_matcher(text)
    except MatcherError as error:
        raise FieldProblem("label", str(error)) from None
    if found.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        # Whoever writes the configuration is trusted with expressions; whoever asks is not.
        raise FieldProblem("label", "a label is asked for by = or !=, as in country=iraq")
    return found


def _value(one: Value) -> Facts:
    return {
        "deadline": one.edtf,
        "phrase": one.phrase,
        "window": one.window_id,
        "sources": list(one.source_ids),
    }


def _occurrence(one: ScheduledReminder) -> Facts:
    return {
        "key": one.key,
        "cause": one.cause.value,
        "offset": one.offset,
        "window": one.window_id,
        "receiver": one.receiver,
        "at": utc_text(one.at),
        "wake_at": utc_text(one.wake_at),
        "state": one.state.value,
        "reason": one.reason,
        "told_at": utc_or_none(one.told_at),
    }
