"""``/``: every milestone on one axis of time; what is overdue, and what is next."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.web.pages.cache import shelf_of
from alertd.web.pages.status import standing_of, zone_of
from alertd.web.server.access import needs
from alertd.web.server.context import site_of
from alertd.web.server.render import page
from alertd.web.timeline.axis import Zoom
from alertd.web.timeline.choice import Choice, choose
from alertd.web.timeline.entries import FILTERS
from alertd.web.timeline.query import Query, read_query
from alertd.web.timeline.rows import TimelineRow, row_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoomLink:
    """A way to see more or less of the axis, or the one that is seen."""

    words: str
    href: str
    is_here: bool


@needs(Scope.READ)
async def timeline(request: Request) -> Response:
    """``/``."""
    site = site_of(request)
    query = read_query(request.query_params)
    shelved = await shelf_of(request).look()
    now = site.clock.now()
    # In a thread, since the loop is the daemon's: no reminder waits while somebody looks.
    choice = await asyncio.to_thread(choose, query, shelved.entries, zone_of(site), now)
    wanted = [one.id for one in (*choice.shown, *choice.overdue, *choice.coming)]
    records = await site.ledger.records_of(list(dict.fromkeys(wanted)))
    moves = await site.ledger.moves([one.id for one in records.values() if one.revision > 1])
    standing = await standing_of(site, shelved.as_of)

    def rendered() -> Response:
        rows = {name: row_of(record, moves.get(name), choice.axis) for name, record in records.items()}
        shown = [rows[one.id] for one in choice.shown if one.id in rows]
        return page(
            request,
            "timeline.html",
            query=query,
            choice=choice,
            standing=standing,
            total=len(shelved.entries),
            groups=_groups(shown, query),
            overdue=[rows[one.id] for one in choice.overdue if one.id in rows],
            coming=[rows[one.id] for one in choice.coming if one.id in rows],
            filters=FILTERS,
            zooms=_zooms(query, choice),
            earlier=query.href(zoom=choice.zoom, start=choice.axis.shifted(-0.6)),
            later=query.href(zoom=choice.zoom, start=choice.axis.shifted(0.6)),
            today=query.href(zoom=choice.zoom, start=None),
        )

    return await asyncio.to_thread(rendered)


def _groups(rows: list[TimelineRow], query: Query) -> list[tuple[str, str, list[TimelineRow]]]:
    """The rows of each timeline under its title; by date all of them under none."""
    if query.order == "date":
        return [("", "", rows)] if rows else []
    return [
        (name, members[0].timeline_title, members)
        for name, found in groupby(rows, key=attrgetter("timeline"))
        if (members := list(found))
    ]


def _zooms(query: Query, choice: Choice) -> list[ZoomLink]:
    return [
        ZoomLink(words=zoom.words, href=query.href(zoom=zoom, start=None), is_here=zoom is choice.zoom)
        for zoom in Zoom
    ]
