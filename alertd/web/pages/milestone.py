"""Serves ``/milestones/{timeline}/{name}``: everything that is known about one milestone, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.config import Config, Definitions
from alertd.core.explain.explanation import Done, Explanation, describe_policy, explain
from alertd.core.explain.words import (
    KINDS,
    describe_delay,
    describe_labels,
    describe_next,
    describe_offset,
    describe_routes,
    describe_span,
    describe_stated,
    explain_not_counted,
    find_fate,
    find_owed_fate,
    format_local,
    make_entry_lines,
    make_state_lines,
    make_status_lines,
)
from alertd.core.ledger.moves import MoveSide, read_windows
from alertd.core.ledger.records import HistoryEntry, Record, ScheduledReminder
from alertd.core.message.claims import make_claim_lines
from alertd.core.message.message import ClaimLine
from alertd.core.milestones.fields import FieldReach, collect_field_values, select_shown_fields
from alertd.core.milestones.milestone import list_stated_windows, list_windows_not_live
from alertd.core.planning.plan import Planned
from alertd.core.words import capitalize, format_policy_name
from alertd.web.pages.sendings import make_sendings
from alertd.web.server.access import RequestRefused, require_scope
from alertd.web.server.computing import compute
from alertd.web.server.context import Site, find_site
from alertd.web.server.render import render_page
from alertd.web.server.status import describe_status
from alertd.web.timeline.axis import Axis, Zoom, make_axis
from alertd.web.timeline.entries import make_entry
from alertd.web.timeline.rows import ClaimRow, make_row

MOST_DELIVERIES = 50
MOST_ENTRIES = 200
MOST_REMINDERS = 60
"""How many reminders of one window are shown. If there are more, the oldest of the past ones are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One claim, as text and as a drawing."""

    told: ClaimLine
    line: ClaimRow
    status: str
    span: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderReminder:
    """One reminder to one receiver.

    Attributes:
        course: ``sent``, ``waiting`` or ``dropped``.
        fate: the result in words; "" for a reminder that is still to come.
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
    """The reminders of one window, in the order of their times."""

    title: str
    reminders: Sequence[LadderReminder]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One entry of the milestone's history."""

    at: datetime
    when: str
    kind: str
    what: str
    lines: Sequence[str]


@require_scope(Scope.READ)
async def milestone(request: Request) -> Response:
    """Show the page of a milestone (``/milestones/{timeline}/{name}``)."""
    site = find_site(request)
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    record = await site.ledger.read_record(name)
    if record is None:
        raise RequestRefused(404, f"no milestone {name[:200]!r} is known")
    now = site.clock.now()
    done = await _read_done(site, record)
    moves = await site.ledger.read_last_moves([name])
    page_status = await describe_status(site, now)
    return await compute(_render, request, record, done, moves.get(name), page_status, now)


def _render(  # noqa: PLR0917  takes everything that was read from the ledger
    request: Request,
    record: Record,
    done: Done,
    move: HistoryEntry | None,
    page_status: object,
    now: datetime,
) -> Response:
    site, milestone = find_site(request), record.milestone
    found = _explain(site.definitions(), record, done, now)
    axis = _make_axis(record, move, now)
    row = make_row(record, move, axis)
    told = make_claim_lines(milestone, now, "", record.status.done_on)
    policy = milestone.policy
    return render_page(
        request,
        "milestone.html",
        record=record,
        milestone=milestone,
        row=row,
        fields=list(select_shown_fields(collect_field_values(milestone), FieldReach.ALONE)),
        axis=axis,
        claims=[
            _make_claimed(line, drawn, milestone.zone) for line, drawn in zip(told, row.lines, strict=True)
        ],
        stands=list(make_state_lines(found))
        if found
        else list(make_status_lines(record.status, milestone.zone, now)),
        next=describe_next(found) if found else "",
        policy=f"{capitalize(format_policy_name(policy.name))}: {describe_policy(policy)}.",
        ladders=list(_make_ladders(found)) if found else [],
        others=list(_list_others(found, done, milestone.zone, now)),
        routes=list(describe_routes(found, site.config)) if found and site.config else [],
        labels=describe_labels(found) if found else "",
        sendings=make_sendings(done.deliveries, {record.id: record}, milestone.zone),
        most_deliveries=MOST_DELIVERIES,
        history=[_make_happening(entry, milestone.zone) for entry in done.history],
        page_status=page_status,
        is_closed=record.status.closed,
    )


async def _read_done(site: Site, record: Record) -> Done:
    ledger, name = site.ledger, record.id
    return Done(
        status=record.status,
        owed={owed.key: owed for owed in await ledger.read_owed(name)},
        deliveries=tuple(await ledger.find_deliveries(milestone=name, limit=MOST_DELIVERIES)),
        history=tuple(await ledger.read_history(name, MOST_ENTRIES)),
    )


def _explain(
    definitions: Definitions | None, record: Record, done: Done, now: datetime
) -> Explanation | None:
    """Explain the reminders of a milestone; None if it is withdrawn or no configuration is in force."""
    config: Config | None = definitions.config if definitions else None
    if definitions is None or config is None or record.withdrawn:
        return None
    return explain(record.milestone, definitions, config, now, done)


def _make_axis(record: Record, move: HistoryEntry | None, now: datetime) -> Axis:
    """Make an axis that shows all windows of the milestone, and today."""
    entry = make_entry(record, move)
    zone = record.milestone.zone
    claimed = (*list_stated_windows(record.milestone), *list_windows_not_live(record.milestone))
    bounds = [*entry.spans(now), *((stated.window.begins, stated.window.ends) for stated in claimed)]
    return make_axis(Zoom.ALL, None, bounds, zone, now)


def _make_claimed(told: ClaimLine, line: ClaimRow, zone: ZoneInfo) -> Claimed:
    status = told.status if told.live else explain_not_counted(told)
    return Claimed(told=told, line=line, status=status, span=describe_span(told, zone))


def _make_ladders(found: Explanation) -> Iterator[Ladder]:
    """Group the reminders by window, in the order in which the windows end."""
    coming = found.next
    ordered = sorted(
        found.reminders, key=lambda planned: (_rank_end(planned), planned.occurrence.at, planned.receiver)
    )
    for _, same_window in groupby(ordered, key=lambda planned: planned.occurrence.stated.window.id):
        members = list(same_window)
        past = sum(planned.at <= found.at for planned in members)
        left_out = min(max(0, len(members) - MOST_REMINDERS), past)
        yield Ladder(
            title=describe_stated(members[0].occurrence.stated),
            reminders=[
                _make_reminder(planned, found, coming)
                for planned in members[left_out : left_out + MOST_REMINDERS]
            ],
            left_out=left_out,
        )


def _make_reminder(planned: Planned, found: Explanation, coming: Planned | None) -> LadderReminder:
    fate = find_fate(planned, found)
    return LadderReminder(
        at=planned.at,
        when=format_local(planned.at, found.milestone.zone),
        which=describe_offset(planned.occurrence.offset),
        held=describe_delay(planned) if planned.muted_by else "",
        receiver=planned.receiver,
        course=fate.course.value,
        fate=fate.text,
        is_past=planned.at <= found.at,
        is_next=coming is not None and (planned.at, planned.occurrence) == (coming.at, coming.occurrence),
    )


def _list_others(
    found: Explanation | None, done: Done, zone: ZoneInfo, now: datetime
) -> Iterator[LadderReminder]:
    """List the reminders in the ledger that are not planned now: news, and reminders of earlier dates."""
    planned = {reminder.key for reminder in found.reminders} if found else set()
    phrases = _collect_phrases(done.history)
    for owed in done.owed.values():
        if owed.key not in planned:
            yield _make_other(owed, done, zone, now, phrases.get(owed.window_id, owed.window_id))


def _make_other(
    owed: ScheduledReminder, done: Done, zone: ZoneInfo, now: datetime, phrase: str
) -> LadderReminder:
    fate = find_owed_fate(owed, done)
    return LadderReminder(
        at=owed.at,
        when=format_local(owed.at, zone),
        which=capitalize(describe_offset(owed.offset)),
        held=phrase,
        receiver=owed.receiver,
        course=fate.course.value,
        fate=fate.text,
        is_past=owed.at <= now,
        is_next=False,
    )


def _collect_phrases(history: Sequence[HistoryEntry]) -> dict[str, str]:
    """Map the ids of the windows that the milestone has left to their phrases, as the history has them."""
    found: dict[str, str] = {}
    for entry in history:
        found |= read_windows(entry, MoveSide.BEFORE)
    return found


def _make_happening(entry: HistoryEntry, zone: ZoneInfo) -> HistoryLine:
    return HistoryLine(
        at=entry.at,
        when=format_local(entry.at, zone),
        kind=entry.kind,
        what=KINDS.get(entry.kind, entry.kind),
        lines=list(make_entry_lines(entry, zone)),
    )


def _rank_end(planned: Planned) -> tuple[bool, float, str]:
    window = planned.occurrence.stated.window
    return (window.ends is None, window.ends.timestamp() if window.ends else 0.0, window.id)
