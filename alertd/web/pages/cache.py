"""Every milestone in brief, as the ledger had it when it was last read; for the pages that show all of them.

Rules that hold here:
- while the ledger has not changed it is not read again, however many look;
- reading takes at most a tenth of the time: with a hundred thousand milestones the page is some minutes old,
  and says so, and reminders are not late for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from alertd.core.ledger.records import Record
from alertd.web.server.context import Site
from alertd.web.timeline.entries import TimelineEntry, entry_of

AT_ONCE = 200
REST = 9
"""How many times as long as reading took it is left unread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedMilestone:
    """All milestones that are not withdrawn, and when that was so."""

    entries: Sequence[TimelineEntry]
    as_of: datetime


class MilestoneCache:
    """See the module."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = asyncio.Lock()
        self._shelved: CachedMilestone | None = None
        self._mark = ""
        self._rests_until_s = 0.0

    async def look(self) -> CachedMilestone:
        """What is on it, brought up to date as far as that may be.

        Raises:
            LedgerError: it cannot be read.
        """
        async with self._turn:
            clock = self._site.clock
            now, mark = clock.now(), await mark_of(self._site)
            if self._shelved is not None and mark == self._mark:
                self._shelved = CachedMilestone(entries=self._shelved.entries, as_of=now)
            elif self._shelved is None or clock.monotonic() >= self._rests_until_s:
                began_s = clock.monotonic()
                self._shelved = CachedMilestone(entries=await self._read(), as_of=now)
                self._mark = mark
                ended_s = clock.monotonic()
                self._rests_until_s = ended_s + REST * (ended_s - began_s)
            return self._shelved

    def forget(self) -> None:
        """Have the next look read anew: somebody has just changed something here."""
        self._shelved = None

    async def _read(self) -> Sequence[TimelineEntry]:
        """A few at a time, so that never many records are held at once."""
        ledger = self._site.ledger
        entries: list[TimelineEntry] = []
        records = await ledger.records(limit=AT_ONCE)
        while records:
            moves = await ledger.moves([one.id for one in records if one.revision > 1])
            windows = {name: entry.facts.get("from_windows", "") for name, entry in moves.items()}
            entries += await asyncio.to_thread(_entries, records, windows)
            records = await ledger.records(after=records[-1].id, limit=AT_ONCE)
        return entries


async def mark_of(site: Site) -> str:
    """Changes whenever something has been written to the ledger, be it by this very connection.

    The last entry of the history tells of that: whatever a person does leaves one.
    """
    last = await site.ledger.history(limit=1)
    return f"{await site.ledger.version()} {last[0] if last else ''}"


def shelf_of(request: Request) -> MilestoneCache:
    """The application's one."""
    shelf: MilestoneCache = request.app.state.shelf
    return shelf


def _entries(records: Sequence[Record], windows: dict[str, str]) -> Sequence[TimelineEntry]:
    return [entry_of(one, windows.get(one.id, "")) for one in records]
