"""The ledger in SQL: each method is one transaction, the statements stand in the modules beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from alertd.core.delivery import Decisions
from alertd.core.ledger import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Lease,
    Owed,
    Record,
)
from alertd.core.standing import Action
from alertd.ports import Changes, NodeReport, Settlement
from alertd.store import acting, dispatching, reading, writing
from alertd.store.database import Database

T = TypeVar("T")


class SqlLedger:
    """See :class:`alertd.ports.Ledger`; made by :func:`alertd.store.open_ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- reconcile
    async def timelines(self) -> Mapping[str, str]:
        return await self._read(reading.timelines)

    async def timeline(self, timeline: str) -> tuple[Sequence[Record], Sequence[Owed]]:
        return await self._read(partial(reading.timeline, name=timeline))

    async def done_dates(self) -> Mapping[str, date]:
        return await self._read(reading.done_dates)

    async def apply(self, changes: Changes) -> None:
        await self._write(partial(writing.write_changes, changes=changes))

    # -- dispatch
    async def due(self, now: datetime, limit: int) -> Sequence[tuple[Owed, Record]]:
        return await self._read(partial(dispatching.due, now=now, limit=limit))

    async def bind(self, decisions: Decisions) -> bool:
        return await self._write(partial(dispatching.bind, decisions=decisions))

    async def lease(
        self,
        owner: str,
        now: datetime,
        *,
        until: datetime,
        limit: int,
        per_channel: int,
        skip: frozenset[str] = frozenset(),
    ) -> Sequence[Lease]:
        return await self._write(
            partial(
                dispatching.lease,
                owner=owner,
                now=now,
                until=until,
                limit=limit,
                per_channel=per_channel,
                skip=skip,
            )
        )

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        return await self._write(partial(dispatching.settle, settlements=settlements))

    async def next_wake(self, after: datetime) -> datetime | None:
        return await self._read(partial(dispatching.next_wake, after=after))

    # -- people
    async def act(self, action: Action, owed: Sequence[Owed]) -> Record:
        return await self._write(partial(acting.act, action=action, owed=owed))

    async def retry(self, delivery: str, now: datetime, by: str) -> Delivery:
        return await self._write(partial(acting.retry, name=delivery, now=now, by=by))

    # -- readers
    async def record(self, milestone: str) -> Record | None:
        return await self._read(partial(reading.record, milestone=milestone))

    async def records(self) -> Sequence[Record]:
        return await self._read(reading.records)

    async def owed(self, milestone: str) -> Sequence[Owed]:
        return await self._read(partial(reading.owed, milestone=milestone))

    async def coming(self, limit: int) -> Sequence[Owed]:
        return await self._read(partial(reading.coming, limit=limit))

    async def deliveries(
        self, *, milestone: str = "", state: DeliveryState | None = None, limit: int = 100
    ) -> Sequence[tuple[Delivery, Sequence[Attempt], Sequence[Owed]]]:
        return await self._read(partial(reading.deliveries, milestone=milestone, state=state, limit=limit))

    async def history(self, milestone: str = "", limit: int = 100) -> Sequence[HistoryEntry]:
        return await self._read(partial(reading.history, milestone=milestone, limit=limit))

    async def counts(self) -> Mapping[str, int]:
        return await self._read(reading.counts)

    # -- nodes and upkeep
    async def report(self, node: NodeReport) -> None:
        await self._write(partial(writing.write_node, node=node))

    async def nodes(self) -> Sequence[NodeReport]:
        return await self._read(reading.nodes)

    async def version(self) -> str:
        return await self._read(reading.version)

    async def close(self) -> None:
        await self._database.close()

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._database.read(work)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._database.write(work)
