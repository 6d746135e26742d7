"""Measures the time that each delivery takes from its lease to its settlement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from alertd.core.ledger.records import DeliveryState, Lease
from alertd.demo.pace import VirtualClock
from alertd.ports import DeliveryQueue, Settlement

AnyLedger = TypeVar("AnyLedger", bound=DeliveryQueue)


class Stopwatch:
    """Collects the times of all attempts.

    Attributes:
        lease_to_settle_ms: for each settled attempt, the time from the request for the lease until the
            settlement is on disk.
        send_ms: for each settled attempt, the part of that time that sending took.
    """

    def __init__(self) -> None:
        self.lease_to_settle_ms: list[float] = []
        self.send_ms: list[float] = []
        self._began: dict[str, float] = {}

    def start(self, leases: Sequence[Lease], at_s: float) -> None:
        """Record the machine's time ``at_s``, in seconds, at which the leases were requested."""
        for lease in leases:
            self._began[lease.delivery.id] = at_s

    def finish(self, settlements: Sequence[Settlement], at_s: float) -> None:
        """Record the times of the settled attempts, which ended at the machine's time ``at_s`` in seconds."""
        for settlement in settlements:
            began = self._began.pop(settlement.lease.delivery.id, None)
            if began is not None and settlement.state in (DeliveryState.SENT, DeliveryState.READY):
                self.lease_to_settle_ms.append(1_000 * (at_s - began))
                if settlement.attempt is not None:
                    self.send_ms.append(settlement.attempt.took_ms)


def time_ledger(ledger: AnyLedger, clock: VirtualClock, watch: Stopwatch) -> AnyLedger:
    """Return a ledger that passes all calls to ``ledger`` and reports leases and settlements to ``watch``."""
    return cast(AnyLedger, _Timed(ledger, clock, watch))


class _Timed:
    """Passes all calls to the ledger, and times the calls of ``lease`` and ``settle``."""

    def __init__(self, ledger: DeliveryQueue, clock: VirtualClock, watch: Stopwatch) -> None:
        self._ledger = ledger
        self._clock = clock
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def lease(self, *args: Any, **named: Any) -> Sequence[Lease]:
        began = self._clock.machine_s()
        leases = await self._ledger.lease(*args, **named)
        self._watch.start(leases, began)
        return leases

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        stale = await self._ledger.settle(settlements)
        self._watch.finish(settlements, self._clock.machine_s())
        return stale


def summarize(numbers: Sequence[float]) -> Mapping[str, float]:
    """Return the median and the 95th percentile by nearest rank; both are 0 if there are no numbers."""
    ordered = sorted(numbers) or [0.0]
    last = len(ordered) - 1
    return {"median": ordered[round(last * 0.5)], "p95": ordered[round(last * 0.95)]}
