"""The memory ledger as many machines share it: leases and the lead end by its own clock, not the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alertd.store.memory import MemoryLedger


class SimLedger(MemoryLedger):
    """See the module.

    Attributes:
        off: how far the clock of whoever calls is ahead of the ledger's; set before each call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.off = timedelta()

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        with self._by_the_callers_clock():
            return await super().lease(*args, **kwargs)

    async def next_wake(self, *args: Any, **kwargs: Any) -> datetime | None:
        with self._by_the_callers_clock():
            return await super().next_wake(*args, **kwargs)

    async def lead(self, node: str, now: datetime, **kwargs: Any) -> Any:
        return await super().lead(node, now - self.off, **kwargs)

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


