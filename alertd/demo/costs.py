"""Measures what each delivery costs: the ledger as it is, with a stopwatch on lease and settle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from alertd.core.ledger.records import DeliveryState, Lease
from alertd.demo.clock import VirtualClock
from alertd.ports import Ledger, Settlement


class Stopwatch:
    """Milliseconds from asking for a lease to the settlement on disk, of every attempt.

    Attributes:
        lease_to_settle_ms: one number an attempt that was settled.
        send_ms: the part of it that the other side took.
    """

    def __init__(self) -> None:
        self.lease_to_settle_ms: list[float] = []
        self.send_ms: list[float] = []
        self._began: dict[str, float] = {}

    def leased(self, leases: Sequence[Lease], at_s: float) -> None:
        for lease in leases:
            self._began[lease.delivery.id] = at_s

    def settled(self, settlements: Sequence[Settlement], at_s: float) -> None:
        for settlement in settlements:
            began = self._began.pop(settlement.lease.delivery.id, None)
            if began is not None and settlement.state in (DeliveryState.SENT, DeliveryState.READY):
                self.lease_to_settle_ms.append(1_000 * (at_s - began))
                if settlement.attempt is not None:
                    self.send_ms.append(settlement.attempt.took_ms)


def timed(ledger: Ledger, clock: VirtualClock, watch: Stopwatch) -> Ledger:
    """``ledger`` itself, with ``watch`` told of leases and settlements."""
    return cast(Ledger, _Timed(ledger, clock, watch))


class _Timed:
    """Passes everything on."""

    def __init__(self, ledger: Ledger, clock: VirtualClock, watch: Stopwatch) -> None:
        self._ledger = ledger
        self._clock = clock
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def lease(self, *args: Any, **named: Any) -> Sequence[Lease]:
        began = self._clock.machine_s()
        leases = await self._ledger.lease(*args, **named)
        self._watch.leased(leases, began)
        return leases

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        stale = await self._ledger.settle(settlements)
        self._watch.settled(settlements, self._clock.machine_s())
        return stale


def spread(numbers: Sequence[float]) -> Mapping[str, float]:
    """Median and 95th percentile by nearest rank; zeros for no numbers."""
    ordered = sorted(numbers) or [0.0]
    last = len(ordered) - 1
    return {"median": ordered[round(last * 0.5)], "p95": ordered[round(last * 0.95)]}
