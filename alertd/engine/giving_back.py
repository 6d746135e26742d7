"""Gives leases back on deliveries that have not been sent, so that any node leases them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alertd.core.ledger.records import CHANNEL, Lease
from alertd.engine.ahead import LeasedAhead
from alertd.engine.leasing import Leaser
from alertd.engine.settling import SETTLE_LIMIT
from alertd.ports import DeliveryQueue


class LeasesToRelease:
    """Keeps what is let go until the ledger has released it.

    Args:
        ahead: what is leased ahead.
        leaser: is told for which channels the ledger has something ready again.
    """

    def __init__(self, ledger: DeliveryQueue, ahead: LeasedAhead, leaser: Leaser) -> None:
        self._ledger = ledger
        self._ahead = ahead
        self._leaser = leaser
        self._leases: list[Lease] = []

    def add(self, leases: Sequence[Lease]) -> None:
        """Let go of leases. They are in no queue any more."""
        self._leases += leases
        self._leaser.expect_more(lease.delivery.channel for lease in leases)

    def add_outdated(self, channel: str, milestones: Iterable[str]) -> None:
        """Let go of what was leased before the notifier returned a state for its milestone or channel."""
        names = set(milestones)
        taken = (
            self._ahead.take_channel(channel)
            if CHANNEL in names
            else self._ahead.take_milestones(channel, names)
        )
        self.add(taken)

    async def release(self) -> None:
        """Give back the leases that are let go. If the ledger fails, they are kept for the next time."""
        while self._leases:
            batch = self._leases[:SETTLE_LIMIT]
            await self._ledger.release(batch)
            del self._leases[: len(batch)]
