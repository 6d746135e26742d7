"""The ledger in SQL: each method is one transaction, the statements stand in the modules beside this one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from sqlalchemy import Connection

from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Lease,
    Record,
    ScheduledReminder,
)
from alertd.core.milestones.status import Action
from alertd.core.planning.audit import Waiting
from alertd.core.planning.decide import Decisions
from alertd.core.routing.digest import NextDigest
from alertd.ports import Changes, NodeReport, Settlement
from alertd.store import acting, leading, pruning, queue, reading, rows, writing
from alertd.store.database.base import CHANNEL, Database
from alertd.store.database.dialect import size_of, tell_others, time_of
from alertd.store.database.upgrade import hold_schema

T = TypeVar("T")


class SqlLedger:
    """See :class:`alertd.ports.Ledger`; made by :func:`alertd.store.open_ledger`."""

    def __init__(self, database: Database, *, keeps_time: bool | None = None) -> None:
        """
        Args:
            keeps_time: leases and the lead end by the database's clock, not by the ``now`` that is given; by
                default those of a database that is shared do.
        """
        self._database = database
        self._keeps_time = database.is_shared if keeps_time is None else keeps_time

    # -- reconcile
    async def timelines(self) -> Mapping[str, str]:
        return await self._read(reading.timelines)

    async def timeline(self, timeline: str) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        return await self._read(partial(reading.timeline, name=timeline))

    async def done_dates(self) -> Mapping[str, date]:
        return await self._read(reading.done_dates)

    async def apply(self, changes: Changes, *, term: int | None = None) -> None:
        def work(connection: Connection) -> None:
            if term is not None:
                leading.hold(connection, term)
            writing.write_changes(connection, changes)
            self._tell_others(connection)

        await self._write(work)

    async def lead(self, node: str, now: datetime, *, for_: timedelta, instead_of: str = "") -> int | None:
        def work(connection: Connection) -> int | None:
            at = self._time(connection, now)
            until = at + rows.span(for_)
            return leading.lead(connection, node=node, at=at, until=until, instead_of=instead_of)

        return await self._write(work)

    async def leader(self) -> str:
        return await self._read(leading.leader)

    async def digests(self) -> Sequence[NextDigest]:
        return await self._read(reading.digests)

    # -- dispatch
    async def due(self, now: datetime, limit: int) -> Sequence[tuple[ScheduledReminder, Record]]:
        return await self._read(partial(queue.due, now=now, limit=limit))

    async def held(self, receiver: str, now: datetime) -> Sequence[tuple[ScheduledReminder, Record]]:
        return await self._read(partial(reading.held, receiver=receiver, now=now))

    async def windows(self, receiver: str, before: datetime) -> Sequence[tuple[str, str, datetime]]:
        return await self._read(partial(reading.windows, receiver=receiver, before=before))

    async def records_of(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        return await self._read(partial(reading.records_by_id, ids=milestones))

    async def bind(self, decisions: Decisions) -> bool:
        return await self._write(partial(queue.bind, decisions=decisions))

    async def lease(
        self,
        owner: str,
        now: datetime,
        *,
        for_: timedelta,
        limit: int,
        per_channel: int,
        most: Mapping[str, int] = MappingProxyType({}),
    ) -> Sequence[Lease]:
        def work(connection: Connection) -> Sequence[Lease]:
            return queue.lease(
                connection,
                owner=owner,
                now=now,
                at=self._time(connection, now),
                for_=for_,
                limit=limit,
                per_channel=per_channel,
                most=most,
            )

        return await self._write(work)

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        return await self._write(partial(queue.settle, settlements=settlements))

    async def next_wake(self, after: datetime, shut: frozenset[str] = frozenset()) -> datetime | None:
        def work(connection: Connection) -> datetime | None:
            return queue.next_wake(connection, after, self._time(connection, after), shut)

        return await self._read(work)

    # -- people
    async def act(self, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
        def work(connection: Connection) -> Record:
            record = acting.act(connection, action, owed)
            self._tell_others(connection)
            return record

        return await self._write(work)

    async def retry(self, delivery: str, now: datetime, by: str) -> Delivery:
        def work(connection: Connection) -> Delivery:
            again = acting.retry(connection, delivery, now, by)
            self._tell_others(connection)
            return again

        return await self._write(work)

    # -- readers
    async def record(self, milestone: str) -> Record | None:
        return await self._read(partial(reading.record, milestone=milestone))

    async def records(self, *, after: str = "", limit: int | None = None) -> Sequence[Record]:
        return await self._read(partial(reading.records, after=after, limit=limit))

    async def owed(self, milestone: str) -> Sequence[ScheduledReminder]:
        return await self._read(partial(reading.owed, milestone=milestone))

    async def coming(self, limit: int) -> Sequence[ScheduledReminder]:
        return await self._read(partial(reading.coming, limit=limit))

    async def deliveries(
        self,
        *,
        delivery: str = "",
        milestone: str = "",
        state: DeliveryState | None = None,
        receiver: str = "",
        text: str = "",
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]]:
        wanted = reading.wanted(
            delivery=delivery, milestone=milestone, state=state, receiver=receiver, text=text, before=before
        )
        return await self._read(partial(reading.deliveries, wanted=wanted, limit=limit))

    async def touched(self, timeline: str = "") -> Sequence[tuple[Record, datetime]]:
        return await self._read(partial(reading.touched, timeline=timeline))

    async def history(
        self, milestone: str = "", limit: int = 100, *, timeline: str = "", kind: str = ""
    ) -> Sequence[HistoryEntry]:
        asked = partial(reading.history, milestone=milestone, limit=limit, timeline=timeline, kind=kind)
        return await self._read(asked)

    async def moves(self, milestones: Sequence[str]) -> Mapping[str, HistoryEntry]:
        return await self._read(partial(reading.moves, milestones=milestones))

    async def counts(self) -> Mapping[str, int]:
        return await self._read(reading.counts)

    async def waiting(self, now: datetime, shut: frozenset[str] = frozenset()) -> Waiting:
        def work(connection: Connection) -> Waiting:
            return queue.waiting(connection, now, self._time(connection, now), shut)

        return await self._read(work)

    async def known(self, owed: Sequence[str] = (), deliveries: Sequence[str] = ()) -> frozenset[str]:
        return await self._read(partial(reading.known, owed=owed, deliveries=deliveries))

    # -- nodes and upkeep
    async def report(self, node: NodeReport) -> None:
        await self._write(partial(writing.write_node, node=node))

    async def retire(self, node: str) -> None:
        def work(connection: Connection) -> None:
            leading.retire(connection, node)
            self._tell_others(connection)

        await self._write(work)

    async def prune(self, before: datetime, limit: int) -> Mapping[str, int]:
        return await self._write(partial(pruning.prune, before=before, limit=limit))

    async def nodes(self) -> Sequence[NodeReport]:
        return await self._read(reading.nodes)

    async def size(self) -> int:
        return await self._read(size_of)

    async def shared_secret(self, made: str) -> str:
        return await self._write(partial(acting.shared_secret, made=made))

    async def time(self) -> datetime | None:
        if not self._keeps_time:
            return None
        return rows.instant(await self._read(time_of))

    async def version(self) -> str:
        return await self._read(reading.version)

    def listen(self, heard: Callable[[], None]) -> None:
        if self._database.ear is not None:
            loop = asyncio.get_running_loop()
            self._database.ear.listen(lambda: loop.call_soon_threadsafe(heard))

    async def close(self) -> None:
        await self._database.close()

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._database.read(work)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        def guarded(connection: Connection) -> T:
            hold_schema(connection, self._database.where)
            return work(connection)

        return await self._database.write(guarded)

    def _time(self, connection: Connection, now: datetime) -> int:
        return time_of(connection) if self._keeps_time else rows.micros(now)

    def _tell_others(self, connection: Connection) -> None:
        if self._database.ear is not None:
            tell_others(connection, CHANNEL, self._database.ear.name)
