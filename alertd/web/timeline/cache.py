"""Caches a summary of every milestone, for the pages that show all milestones.

Rules that hold here:
- The ledger is not read again while it and the definitions are unchanged, however many clients ask.
- Reading takes at most a tenth of the time, so that reminders are not late. With 100,000 milestones, a page
  may therefore be some minutes old. The page shows its age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from alertd.core.config import Definitions
from alertd.core.ledger.records import HistoryEntry, Record
from alertd.web.server.computing import compute
from alertd.web.server.context import Site
from alertd.web.timeline.entries import TimelineEntry, make_entry

AT_ONCE = 200
REST = 9
"""After a read, the ledger is not read again for this many times as long as the read took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedMilestone:
    """All milestones that are not withdrawn, as of an instant."""

    entries: Sequence[TimelineEntry]
    as_of: datetime


class MilestoneCache:
    """The cache of the summaries. One for the application."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = asyncio.Lock()
        self._cached: CachedMilestone | None = None
        self._mark: tuple[str, Definitions | None] = ("", None)
        self._rests_until_s = 0.0

    async def get(self) -> CachedMilestone:
        """Return the summaries, and read them again if something has changed and the cache may read it.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        async with self._turn:
            clock = self._site.clock
            # A reload may have brought new rules of a time zone, which move windows without a write.
            now, mark = clock.now(), (await read_mark(self._site), self._site.definitions())
            if self._cached is not None and mark == self._mark:
                self._cached = CachedMilestone(entries=self._cached.entries, as_of=now)
                self._mark = mark
            elif self._cached is None or clock.monotonic() >= self._rests_until_s:
                began_s = clock.monotonic()
                self._cached = CachedMilestone(entries=await self._read(), as_of=now)
                self._mark = mark
                ended_s = clock.monotonic()
                self._rests_until_s = ended_s + REST * (ended_s - began_s)
            return self._cached

    def forget(self) -> None:
        """Clear the cache, so that the page shows a person's own change at once."""
        self._cached = None

    async def _read(self) -> Sequence[TimelineEntry]:
        """Read all records in batches, so that few records are in memory at a time."""
        ledger = self._site.ledger
        entries: list[TimelineEntry] = []
        records = await ledger.read_records(limit=AT_ONCE)
        while records:
            moves = await ledger.read_last_moves([record.id for record in records if record.revision > 1])
            entries += await compute(_make_entries, records, moves)
            records = await ledger.read_records(after=records[-1].id, limit=AT_ONCE)
        return entries


async def read_mark(site: Site) -> str:
    """Return a text that changes with every write to the ledger, even by this connection.

    SQLite's version does not change with the writes of this connection. Because each action adds an entry to
    the history, the text also contains the last entry.
    """
    last = await site.ledger.read_history(limit=1)
    return f"{await site.ledger.read_version()} {last[0] if last else ''}"


def find_cache(request: Request) -> MilestoneCache:
    """Return the cache of the application."""
    cache: MilestoneCache = request.app.state.cache
    return cache


def _make_entries(records: Sequence[Record], moves: Mapping[str, HistoryEntry]) -> Sequence[TimelineEntry]:
    return [make_entry(record, moves.get(record.id)) for record in records]
