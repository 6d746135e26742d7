"""``/milestones/{timeline}/{name}``: everything that is known of one milestone, and why it is as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.config import Config, Definitions
from alertd.core.deadline import window_of
from alertd.core.explain.explanation import Done, Explanation, explained, policy_words
from alertd.core.explain.words import (
    KINDS,
    claim_span,
    entry_lines,
    fate_of,
    held_back,
    labels_told,
    local_text,
    next_words,
    not_counted,
    owed_fate,
    routes_told,
    standing_lines,
    state_lines,
    stated_words,
    when_words,
)
from alertd.core.ledger.records import HistoryEntry, Record, ScheduledReminder
from alertd.core.message.claims import claim_lines
from alertd.core.message.message import ClaimLine
from alertd.core.planning.plan import Planned
from alertd.core.words import capital
from alertd.web.pages.sendings import sendings_of
from alertd.web.pages.status import standing_of
from alertd.web.server.access import RequestRefused, needs
from alertd.web.server.context import Site, site_of
from alertd.web.server.render import page
from alertd.web.timeline.axis import Axis, Zoom, axis_of
from alertd.web.timeline.entries import entry_of
from alertd.web.timeline.rows import ClaimRow, row_of

MOST_DELIVERIES = 50
MOST_ENTRIES = 200
MOST_REMINDERS = 60
"""Of one window; of those that are past only the last ones are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One claim as it is read, and as it is drawn."""

    told: ClaimLine
    line: ClaimRow
    status: str
    span: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderReminder:
    """One reminder to one receiver.

    Attributes:
        course: ``sent``, ``waiting`` or ``dropped``.
        fate: what became of it, "" for one that is simply to come.
    """

    at: datetime
    when: str
    which: str
    held: str
    receiver: str
    course: str
    fate: str
    is_past: bool
    is_next: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The reminders of one window."""

    title: str
    reminders: Sequence[LadderReminder]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """An entry of the history."""

    at: datetime
    when: str
    kind: str
    what: str
    lines: Sequence[str]


@needs(Scope.READ)
async def milestone(request: Request) -> Response:
    """``/milestones/{timeline}/{name}``."""
    site = site_of(request)
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    record = await site.ledger.record(name)
    if record is None:
        raise RequestRefused(404, f"no milestone {name[:200]!r} is known")
    now = site.clock.now()
    done = await _done(site, record)
    moves = await site.ledger.moves([name])
    standing = await standing_of(site, now)
    return await asyncio.to_thread(_page, request, record, done, moves.get(name), standing, now)


def _page(  # noqa: PLR0917  all that was read
    request: Request, record: Record, done: Done, move: HistoryEntry | None, standing: object, now: datetime
) -> Response:
    site, one = site_of(request), record.milestone
    found = _explained(site.definitions(), record, done, now)
    axis = _axis(record, move, now)
    row = row_of(record, move, axis)
    told = claim_lines(one, now, "", record.standing.done_on)
    return page(
        request,
        "milestone.html",
        record=record,
        milestone=one,
        row=row,
        axis=axis,
        claims=[_claimed(line, drawn, one.zone) for line, drawn in zip(told, row.lines, strict=True)],
        stands=list(state_lines(found)) if found else list(standing_lines(record.standing, one.zone, now)),
        next=next_words(found) if found else "",
        policy=f"{capital(one.policy.words)}: {policy_words(one.policy)}.",
        ladders=list(_ladders(found)) if found else [],
        others=list(_others(found, done, one.zone, now)),
        routes=list(routes_told(found, site.config)) if found and site.config else [],
        labels=labels_told(found) if found else "",
        sendings=sendings_of(done.deliveries, {record.id: record}, one.zone),
        most_deliveries=MOST_DELIVERIES,
        history=[_happening(entry, one.zone) for entry in done.history],
        standing=standing,
        is_closed=row.group in ("done", "cancelled"),
    )


async def _done(site: Site, record: Record) -> Done:
    ledger, name = site.ledger, record.id
    return Done(
        standing=record.standing,
        owed={one.key: one for one in await ledger.owed(name)},
        deliveries=tuple(await ledger.deliveries(milestone=name, limit=MOST_DELIVERIES)),
        history=tuple(await ledger.history(name, MOST_ENTRIES)),
    )


def _explained(
    definitions: Definitions | None, record: Record, done: Done, now: datetime
) -> Explanation | None:
    """None: nothing reminds of it any more, or no configuration is in force."""
    config: Config | None = definitions.config if definitions else None
    if definitions is None or config is None or record.withdrawn:
        return None
    return explained(record.milestone, definitions, config, now, done)


def _axis(record: Record, move: HistoryEntry | None, now: datetime) -> Axis:
    """All of it and today."""
    entry = entry_of(record, move.facts.get("from_windows", "") if move else "")
    zone = record.milestone.zone
    claimed = [window_of(one.deadline, zone, one.reading) for one in record.milestone.claims]
    bounds = [*entry.spans(now), *((one.begins, one.ends) for one in claimed)]
    return axis_of(Zoom.ALL, None, bounds, zone, now)


def _claimed(told: ClaimLine, line: ClaimRow, zone: ZoneInfo) -> Claimed:
    status = told.status if told.live else not_counted(told)
    return Claimed(told=told, line=line, status=status, span=claim_span(told, zone))


def _ladders(found: Explanation) -> Iterator[Ladder]:
    """By window, the one that ends first first."""
    coming = found.next
    ordered = sorted(found.reminders, key=lambda one: (_end(one), one.occurrence.at, one.receiver))
    for _, of_window in groupby(ordered, key=lambda one: one.occurrence.stated.window.id):
        members = list(of_window)
        past = sum(one.at <= found.at for one in members)
        left_out = min(max(0, len(members) - MOST_REMINDERS), past)
        yield Ladder(
            title=stated_words(members[0].occurrence.stated),
            reminders=[
                _reminder(one, found, coming) for one in members[left_out : left_out + MOST_REMINDERS]
            ],
            left_out=left_out,
        )


def _reminder(one: Planned, found: Explanation, coming: Planned | None) -> LadderReminder:
    fate = fate_of(one, found)
    return LadderReminder(
        at=one.at,
        when=local_text(one.at, found.milestone.zone),
        which=when_words(one.occurrence.offset),
        held=held_back(one) if one.muted_by else "",
        receiver=one.receiver,
        course=fate.course.value,
        fate=fate.text,
        is_past=one.at <= found.at,
        is_next=coming is not None and (one.at, one.occurrence) == (coming.at, coming.occurrence),
    )


def _others(found: Explanation | None, done: Done, zone: ZoneInfo, now: datetime) -> Iterator[LadderReminder]:
    """What the ledger has that is of no ladder now: news, and reminders of dates that no longer stand."""
    planned = {one.key for one in found.reminders} if found else set()
    phrases = _phrases(done.history)
    for owed in done.owed.values():
        if owed.key not in planned:
            yield _other(owed, done, zone, now, phrases.get(owed.window_id, owed.window_id))


def _other(owed: ScheduledReminder, done: Done, zone: ZoneInfo, now: datetime, phrase: str) -> LadderReminder:
    fate = owed_fate(owed, done)
    return LadderReminder(
        at=owed.at,
        when=local_text(owed.at, zone),
        which=capital(when_words(owed.offset)),
        held=phrase,
        receiver=owed.receiver,
        course=fate.course.value,
        fate=fate.text,
        is_past=owed.at <= now,
        is_next=False,
    )


def _phrases(history: Sequence[HistoryEntry]) -> dict[str, str]:
    """How the windows that it has moved from were given, by their ids."""
    found: dict[str, str] = {}
    for entry in history:
        ids, given = entry.facts.get("from_windows", ""), entry.facts.get("from", "")
        if entry.kind == "moved" and ids:
            found |= dict(zip(ids.split("; "), given.split("; "), strict=False))
    return found


def _happening(entry: HistoryEntry, zone: ZoneInfo) -> HistoryLine:
    return HistoryLine(
        at=entry.at,
        when=local_text(entry.at, zone),
        kind=entry.kind,
        what=KINDS.get(entry.kind, entry.kind),
        lines=list(entry_lines(entry, zone)),
    )


def _end(planned: Planned) -> tuple[bool, float, str]:
    window = planned.occurrence.stated.window
    return (window.ends is None, window.ends.timestamp() if window.ends else 0.0, window.id)
