"""The memory ledger as many machines share it: leases and the lead end by its own clock, not the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alertd.testing.memory_ledger import MemoryLedger


class SimLedger(MemoryLedger):
    """See the module.

    Attributes:
        off: how far the clock of whoever calls is ahead of the ledger's; set before each call.
        clock: its own, where many machines share it.
        renews: whether a node is there to say every few seconds that it still leads. Simulating each of
            those calls would take most of the time, and they change nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.off = timedelta()
        self.clock: Callable[[], datetime] | None = None
        self.renews: Callable[[str], bool] = lambda _node: False

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        with self._by_the_callers_clock():
            return await super().lease(*args, **kwargs)

    async def find_next_wake(self, *args: Any, **kwargs: Any) -> datetime | None:
        with self._by_the_callers_clock():
            return await super().find_next_wake(*args, **kwargs)

    async def take_lead(self, node: str, now: datetime, **kwargs: Any) -> Any:
        has = self._lead
        if has is not None and has.node != node and self.renews(has.node):
            self._lead = replace(has, until=now - self.off + kwargs["duration"])
        return await super().take_lead(node, now - self.off, **kwargs)

    async def read_time(self) -> datetime | None:
        return self.clock() if self.clock else None

    @contextmanager
    def _by_the_callers_clock(self) -> Iterator[None]:
        self._shift(self.off)
        try:
            yield
        finally:
            self._shift(-self.off)

    def _shift(self, by: timedelta) -> None:
        if by:
            for name, hold in self._holds.items():
                if hold.until is not None:
                    self._holds[name] = replace(hold, until=hold.until + by)
