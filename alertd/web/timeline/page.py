"""Serves ``/``: every milestone on one axis of time, with lists of what is overdue and what is next."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.web.server.access import require_scope
from alertd.web.server.computing import compute
from alertd.web.server.context import find_site
from alertd.web.server.render import render_page
from alertd.web.server.status import describe_status, find_zone
from alertd.web.timeline.axis import Zoom
from alertd.web.timeline.cache import find_cache
from alertd.web.timeline.choice import Choice, choose
from alertd.web.timeline.entries import FILTERS
from alertd.web.timeline.query import Query, read_query
from alertd.web.timeline.rows import TimelineRow, make_row


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoomLink:
    """A link to another zoom of the axis, or the present zoom."""

    words: str
    href: str
    is_here: bool


@require_scope(Scope.READ)
async def timeline(request: Request) -> Response:
    """Show the timeline page (``/``)."""
    site = find_site(request)
    query = read_query(request.query_params)
    cached = await find_cache(request).get()
    now = site.clock.now()
    # In a thread, so that the event loop stays free for the daemon and no reminder is late.
    choice = await compute(choose, query, cached.entries, find_zone(site), now)
    wanted = [entry.id for entry in (*choice.shown, *choice.overdue, *choice.coming)]
    records = await site.ledger.read_records_by_id(list(dict.fromkeys(wanted)))
    moves = await site.ledger.read_last_moves(
        [record.id for record in records.values() if record.revision > 1]
    )
    page_status = await describe_status(site, cached.as_of)

    def render() -> Response:
        rows = {name: make_row(record, moves.get(name), choice.axis) for name, record in records.items()}
        shown = [rows[entry.id] for entry in choice.shown if entry.id in rows]
        return render_page(
            request,
            "timeline.html",
            query=query,
            choice=choice,
            page_status=page_status,
            total=len(cached.entries),
            groups=_group_rows(shown, query),
            overdue=[rows[entry.id] for entry in choice.overdue if entry.id in rows],
            coming=[rows[entry.id] for entry in choice.coming if entry.id in rows],
            filters=FILTERS,
            zooms=_make_zooms(query, choice),
            earlier=query.href(zoom=choice.zoom, start=choice.axis.shifted(-0.6)),
            later=query.href(zoom=choice.zoom, start=choice.axis.shifted(0.6)),
            today=query.href(zoom=choice.zoom, start=None),
        )

    return await compute(render)


def _group_rows(rows: list[TimelineRow], query: Query) -> list[tuple[str, str, list[TimelineRow]]]:
    """Group the rows by timeline, with its title. Rows that are sorted by date form one untitled group."""
    if query.order == "date":
        return [("", "", rows)] if rows else []
    return [
        (name, members[0].timeline_title, members)
        for name, found in groupby(rows, key=attrgetter("timeline"))
        if (members := list(found))
    ]


def _make_zooms(query: Query, choice: Choice) -> list[ZoomLink]:
    return [
        ZoomLink(words=zoom.words, href=query.href(zoom=zoom, start=None), is_here=zoom is choice.zoom)
        for zoom in Zoom
    ]
