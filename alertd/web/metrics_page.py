"""Serves ``/metrics``: gathers the state of the daemon and writes it in Prometheus' format."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import MetricsFor, Scope
from alertd.core.config import Config
from alertd.core.ledger.records import Record
from alertd.core.milestones.milestone import list_stated_windows
from alertd.errors import LedgerError
from alertd.system.worker_threads import run_aside
from alertd.web.metrics import MAX_DEADLINES, Facts
from alertd.web.server.access import refuse_less_than, require_scope
from alertd.web.server.computing import compute
from alertd.web.server.context import Site, find_site
from alertd.web.timeline.cache import AT_ONCE

ANSWER_WITHIN_S = 8.0
"""How long the ledger may take to answer. Prometheus waits for ten seconds by default."""


@require_scope(Scope.PUBLIC)
async def metrics(request: Request) -> Response:
    """Serve the metrics (``/metrics``). They are public only if the configuration says ``metrics: all``."""
    site = find_site(request)
    if site.web.metrics is not MetricsFor.ALL:
        refuse_less_than(request, Scope.READ)
    facts, accept = await _gather_facts(site), request.headers.get("accept", "")
    # In a thread, since the library reads /proc. It is one of its own, so that no page delays the metrics.
    content, kind = await run_aside(lambda: site.metrics.exposition(facts, accept))
    return Response(content, headers={"content-type": kind})


async def _gather_facts(site: Site) -> Facts:
    now, daemon_status, config = site.clock.now(), site.daemon_status(), site.config
    counts = waiting = None
    deadlines: Sequence[tuple[str, str, datetime]] = ()
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            counts = await site.ledger.count_rows()
            waiting = await site.ledger.find_waiting(now, frozenset(daemon_status.paused))
            if site.web.metrics_per_milestone:
                deadlines = await _list_deadlines(site)
    except (LedgerError, TimeoutError):
        # The metric alertd_ledger_up reports this failure.
        counts = waiting = None
    return Facts(
        now=now,
        daemon_status=daemon_status,
        definitions=site.definitions(),
        channels=_list_channels(config) if config else (),
        counts=counts,
        waiting=waiting,
        deadlines=deadlines[:MAX_DEADLINES],
        deadlines_left_out=max(0, len(deadlines) - MAX_DEADLINES),
    )


def _list_channels(config: Config) -> Sequence[str]:
    return [
        f"{receiver.name}/{spec.name}"
        for receiver in config.receivers.values()
        for spec in receiver.notifiers
    ]


async def _list_deadlines(site: Site) -> Sequence[tuple[str, str, datetime]]:
    """List each distinct deadline of each milestone, with the instant at which it ends.

    The records are read in batches, and looked at in a thread, so that no reminder is late.
    """
    found: dict[tuple[str, str], datetime] = {}
    records = await site.ledger.read_records(limit=AT_ONCE)
    while records:
        found |= await compute(_find_ends, records)
        records = await site.ledger.read_records(after=records[-1].id, limit=AT_ONCE)
    return [(milestone, claim, ends) for (milestone, claim), ends in found.items()]


def _find_ends(records: Sequence[Record]) -> dict[tuple[str, str], datetime]:
    return {
        (record.id, stated.claims[0].deadline.edtf): stated.window.ends
        for record in records
        for stated in list_stated_windows(record.milestone)
        if stated.window.ends is not None
    }
