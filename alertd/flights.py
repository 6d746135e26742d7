"""Sends in flight: one task each, bounded over all and for each channel, settled in groups.

What has ended is written down with whatever else ended while the last commit ran. What cannot be
written down now is kept, and is written down later: an outcome is never thrown away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from alertd.core.ledger import Lease
from alertd.core.outcome import Retry
from alertd.dispatch import PER_CHANNEL, Dispatcher
from alertd.errors import LedgerError
from alertd.journal import log_settlement
from alertd.ports import Clock, Ledger, Notifier, Settlement
from alertd.telemetry import Event, Log

MAX_IN_FLIGHT = 64
SETTLE_LIMIT = 200
SEND_LIMIT_S = 120.0
"""No send takes longer, whatever its notifier does; shorter than a lease."""


class Flights:
    """Takes leases, sends, and settles.

    Args:
        on_landed: called when a send has ended and there is something to settle.
    """

    def __init__(self, ledger: Ledger, clock: Clock, log: Log, on_landed: Callable[[], None]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._on_landed = on_landed
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._landed: list[Settlement] = []
        self._active: Mapping[str, Notifier] = {}
        self._retired: list[Mapping[str, Notifier]] = []

    @property
    def count(self) -> int:
        """How many are in flight."""
        return len(self._tasks)

    async def take_off(self, dispatcher: Dispatcher, now: datetime) -> None:
        """Lease what is ready and start to send it, as far as there is room."""
        self._active = dispatcher.notifiers
        while True:
            busy = Counter(self._tasks.values())
            full = frozenset(channel for channel, number in busy.items() if number >= PER_CHANNEL)
            leases = await dispatcher.lease(now, MAX_IN_FLIGHT - len(self._tasks), full)
            if not leases:
                return
            for lease in leases:
                task = asyncio.create_task(self._fly(dispatcher, lease))
                self._tasks[task] = lease.delivery.channel
                task.add_done_callback(self._forget)

    async def settle(self) -> None:
        """Write down all that has ended, and close notifiers that nothing uses any more.

        Raises:
            LedgerError: it cannot be written now; nothing is forgotten.
        """
        while self._landed:
            batch = self._landed[:SETTLE_LIMIT]
            stale = await self._ledger.settle(batch)
            del self._landed[: len(batch)]
            for settlement in batch:
                fenced = settlement.lease.delivery.id in stale
                log_settlement(self._log, settlement, fenced=fenced)
        if self._retired and not self._tasks:
            retired, self._retired = self._retired, []
            for notifiers in retired:
                await _close(notifiers)

    async def all_landed(self) -> None:
        """Wait until nothing is in flight, and settle it."""
        while self._tasks or self._landed:
            if self._tasks:
                await asyncio.wait(list(self._tasks))
            await self.settle()

    def retire(self, notifiers: Mapping[str, Notifier]) -> None:
        """Close these when nothing is in flight any more: a reload cancels no send."""
        self._retired.append(notifiers)

    async def drain(self, limit_s: float) -> int:
        """Wait for what is in flight, ``limit_s`` seconds at most, settle it, close all notifiers.

        Returns how many could not be settled: their leases run out, and they are sent again under
        the same id.
        """
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=limit_s)
        cut = list(self._tasks)
        for task in cut:
            task.cancel()
        if cut:
            await asyncio.wait(cut)
        try:
            await self.settle()
        except LedgerError as error:
            self._log.error(Event.LEDGER_FAILED, reason=str(error))
        await _close(self._active)
        return len(self._landed) + len(cut)

    async def _fly(self, dispatcher: Dispatcher, lease: Lease) -> None:
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                settlement = await dispatcher.deliver(lease)
        except TimeoutError:
            outcome = Retry(reason=f"no answer within {SEND_LIMIT_S:.0f} s", unknown=True)
            settlement = dispatcher.settlement(lease, lease.owed, outcome, self._clock.now())
        except LedgerError as error:
            # Nothing was sent; the lease runs out and another look takes it up again.
            self._log.error(Event.LEDGER_FAILED, delivery=lease.delivery.id, reason=str(error))
            return
        self._landed.append(settlement)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._on_landed()


async def _close(notifiers: Mapping[str, Notifier]) -> None:
    for notifier in notifiers.values():
        await notifier.aclose()
