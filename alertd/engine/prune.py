"""Prune the ledger in small transactions, so that no other writer waits long."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from alertd.ports import Prunable

LIMIT = 200
"""The most milestones, the most repeats and the most notices that one transaction deletes."""

MAX_ROWS = 100_000
"""The most rows that one call deletes. The rest waits for the next call."""


LEAST = 5
FIRST = 20
SHORT_S = 0.02
"""How long one transaction should last at most, since a lease may wait for it."""


class PrunePace:
    """Finds how many milestones, repeats and notices one transaction can delete in a short time.

    Attributes:
        limit: how many the next transaction should delete of each.
    """

    def __init__(self) -> None:
        self.limit = FIRST

    def adapt(self, took_s: float) -> None:
        """Learn how long a transaction with the limit took."""
        if took_s > SHORT_S:
            self.limit = max(LEAST, self.limit // 2)
        elif took_s < SHORT_S / 2:
            self.limit = min(LIMIT, 2 * self.limit)


async def prune(ledger: Prunable, before: datetime) -> dict[str, int]:
    """Delete what :meth:`alertd.ports.Prunable.prune` may delete. Returns how many rows, by kind."""
    total: Counter[str] = Counter(milestones=0, reminders=0, deliveries=0)
    while total.total() < MAX_ROWS:
        deleted = await ledger.prune(before, LIMIT)
        total.update(deleted)
        if not any(deleted.values()):
            break
    return dict(total)
