"""The memory ledger as many machines share it: leases and the lead end by its own clock, not the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alertd.core.ledger.unreadable import Unreadable
from alertd.testing.memory_ledger import MemoryLedger


class SimLedger(MemoryLedger):
    """See the module.

    Attributes:
        off: how far the clock of whoever calls is ahead of the ledger's; set before each call.
        lacks: the zone that the machine of whoever calls does not know, so that it cannot read the records that
            have it; "" if it knows all.
        clock: its own, where many machines share it.
        renews: whether a node is there to say every few seconds that it still leads. Simulating each of
            those calls would take most of the time, and they change nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.off = timedelta()
        self.clock: Callable[[], datetime] | None = None
        self.lacks = ""
        self.renews: Callable[[str], bool] = lambda _node: False

    async def find_due(self, *args: Any, **kwargs: Any) -> Any:
        with self._hiding_unreadable():
            return await super().find_due(*args, **kwargs)

    async def read_held(self, *args: Any, **kwargs: Any) -> Any:
        with self._hiding_unreadable():
            return await super().read_held(*args, **kwargs)

    async def read_timeline(self, *args: Any, **kwargs: Any) -> Any:
        with self._hiding_unreadable():
            return await super().read_timeline(*args, **kwargs)

    async def read_upcoming(self, *args: Any, **kwargs: Any) -> Any:
        with self._hiding_unreadable():
            return await super().read_upcoming(*args, **kwargs)

    async def find_unreadable(self, limit: int) -> Sequence[Unreadable]:
        found = [*await super().find_unreadable(limit)]
        for name, record in sorted(self._records.items()):
            zone = record.milestone.zone.key
            if zone == self.lacks:
                why = f"no time zone {zone}"
                found.append(Unreadable(table="milestone", key=name, why=why, zone=zone))
        return found

    async def find_waiting(self, *args: Any, **kwargs: Any) -> Any:
        with self._hiding_unreadable():
            return await super().find_waiting(*args, **kwargs)

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        with self._by_the_callers_clock(), self._hiding_unreadable():
            return await super().lease(*args, **kwargs)

    async def begin(self, *args: Any, **kwargs: Any) -> Any:
        with self._by_the_callers_clock(), self._hiding_unreadable():
            return await super().begin(*args, **kwargs)

    async def find_next_wake(self, *args: Any, **kwargs: Any) -> datetime | None:
        with self._by_the_callers_clock(), self._hiding_unreadable():
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

    @contextmanager
    def _hiding_unreadable(self) -> Iterator[None]:
        """Leave out what cannot be read without the zone: the records in it, and all that is about them."""
        if not self.lacks:
            yield
            return
        gone = {name for name, record in self._records.items() if record.milestone.zone.key == self.lacks}
        keys = {key for key, owed in self._owed.items() if owed.milestone in gone}
        carrying = {name for name, made in self._deliveries.items() if not keys.isdisjoint(made.members)}
        records = {name: self._records.pop(name) for name in sorted(gone)}
        owed = {key: self._owed.pop(key) for key in sorted(keys)}
        deliveries = {name: self._deliveries.pop(name) for name in sorted(carrying)}
        try:
            yield
        finally:
            self._records.update(records)
            self._owed.update(owed)
            self._deliveries.update(deliveries)

    def _shift(self, by: timedelta) -> None:
        if by:
            for name, hold in self._holds.items():
                if hold.until is not None:
                    self._holds[name] = replace(hold, until=hold.until + by)
