"""Forget, a bounded number of rows at a time, so that nobody waits long for the ledger meanwhile."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from alertd.ports import Prunable

LIMIT = 200
"""Milestones, and notices, that are forgotten in one transaction."""

MOST = 100_000
"""Of both in one go. The rest is for the next day."""


async def prune(ledger: Prunable, before: datetime) -> dict[str, int]:
    """Forget all that :meth:`alertd.ports.Prunable.prune` may. Returns how many, by kind of row."""
    all_of_it: Counter[str] = Counter(milestones=0, deliveries=0)
    while all_of_it.total() < MOST:
        forgotten = await ledger.prune(before, LIMIT)
        all_of_it.update(forgotten)
        if not any(forgotten.values()):
            break
    return dict(all_of_it)
