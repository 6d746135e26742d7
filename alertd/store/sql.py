"""Keep the ledger in a SQL database.

Each method runs one transaction. The statements are in other modules of this package.
"""

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
from alertd.store.database.dialect import notify_others, read_clock, read_size
from alertd.store.database.upgrade import hold_schema

T = TypeVar("T")


class SqlLedger:
    """Implements :class:`alertd.ports.Ledger`. Use :func:`alertd.store.open_ledger` to create one."""

    def __init__(self, database: Database, *, keeps_time: bool | None = None) -> None:
        """
        Args:
            keeps_time: the database's clock decides when a lease and the leadership end, not the ``now`` of
                the caller. The default is true for a database that several machines share.
        """
        self._database = database
        self._keeps_time = database.is_shared if keeps_time is None else keeps_time

    # -- reconcile
    async def timelines(self) -> Mapping[str, str]:
        return await self._read(reading.read_timelines)

    async def timeline(self, timeline: str) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        return await self._read(partial(reading.read_timeline, name=timeline))

    async def done_dates(self) -> Mapping[str, date]:
        return await self._read(reading.read_done_dates)

    async def apply(self, changes: Changes, *, term: int | None = None) -> None:
        def work(connection: Connection) -> None:
            if term is not None:
                leading.hold_term(connection, term)
            writing.write_changes(connection, changes)
            self._notify_others(connection)

        await self._write(work)

    async def lead(self, node: str, now: datetime, *, for_: timedelta, instead_of: str = "") -> int | None:
        def work(connection: Connection) -> int | None:
            at = self._read_time(connection, now)
            until = at + rows.count_micros(for_)
            return leading.take_lead(connection, node=node, at=at, until=until, instead_of=instead_of)

        return await self._write(work)

    async def leader(self) -> str:
        return await self._read(leading.read_leader)

    async def digests(self) -> Sequence[NextDigest]:
        return await self._read(reading.read_digests)

    # -- dispatch
    async def due(self, now: datetime, limit: int) -> Sequence[tuple[ScheduledReminder, Record]]:
        return await self._read(partial(queue.find_due, now=now, limit=limit))

    async def held(self, receiver: str, now: datetime) -> Sequence[tuple[ScheduledReminder, Record]]:
        return await self._read(partial(reading.read_held, receiver=receiver, now=now))

    async def windows(self, receiver: str, before: datetime) -> Sequence[tuple[str, str, datetime]]:
        return await self._read(partial(reading.read_windows, receiver=receiver, before=before))

    async def records_of(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        return await self._read(partial(reading.read_records_by_id, ids=milestones))

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
                at=self._read_time(connection, now),
                lease_for=for_,
                limit=limit,
                per_channel=per_channel,
                most=most,
            )

        return await self._write(work)

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        return await self._write(partial(queue.settle, settlements=settlements))

    async def next_wake(self, after: datetime, shut: frozenset[str] = frozenset()) -> datetime | None:
        def work(connection: Connection) -> datetime | None:
            return queue.find_next_wake(connection, after, self._read_time(connection, after), shut)

        return await self._read(work)

    # -- people
    async def act(self, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
        def work(connection: Connection) -> Record:
            record = acting.act(connection, action, owed)
            self._notify_others(connection)
            return record

        return await self._write(work)

    async def retry(self, delivery: str, now: datetime, by: str) -> Delivery:
        def work(connection: Connection) -> Delivery:
            again = acting.retry(connection, delivery, now, by)
            self._notify_others(connection)
            return again

        return await self._write(work)

    # -- readers
    async def record(self, milestone: str) -> Record | None:
        return await self._read(partial(reading.read_record, milestone=milestone))

    async def records(self, *, after: str = "", limit: int | None = None) -> Sequence[Record]:
        return await self._read(partial(reading.read_records, after=after, limit=limit))

    async def owed(self, milestone: str) -> Sequence[ScheduledReminder]:
        return await self._read(partial(reading.read_owed, milestone=milestone))

    async def coming(self, limit: int) -> Sequence[ScheduledReminder]:
        return await self._read(partial(reading.read_coming, limit=limit))

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
        wanted = reading.build_conditions(
            delivery=delivery, milestone=milestone, state=state, receiver=receiver, text=text, before=before
        )
        return await self._read(partial(reading.read_deliveries, wanted=wanted, limit=limit))

    async def touched(self, timeline: str = "") -> Sequence[tuple[Record, datetime]]:
        return await self._read(partial(reading.read_touched, timeline=timeline))

    async def history(
        self, milestone: str = "", limit: int = 100, *, timeline: str = "", kind: str = ""
    ) -> Sequence[HistoryEntry]:
        asked = partial(reading.read_history, milestone=milestone, limit=limit, timeline=timeline, kind=kind)
        return await self._read(asked)

    async def moves(self, milestones: Sequence[str]) -> Mapping[str, HistoryEntry]:
        return await self._read(partial(reading.read_moves, milestones=milestones))

    async def counts(self) -> Mapping[str, int]:
        return await self._read(reading.count_rows)

    async def waiting(self, now: datetime, shut: frozenset[str] = frozenset()) -> Waiting:
        def work(connection: Connection) -> Waiting:
            return queue.find_waiting(connection, now, self._read_time(connection, now), shut)

        return await self._read(work)

    async def known(self, owed: Sequence[str] = (), deliveries: Sequence[str] = ()) -> frozenset[str]:
        return await self._read(partial(reading.find_known, owed=owed, deliveries=deliveries))

    # -- nodes and upkeep
    async def report(self, node: NodeReport) -> None:
        await self._write(partial(writing.write_node, node=node))

    async def retire(self, node: str) -> None:
        def work(connection: Connection) -> None:
            leading.retire(connection, node)
            self._notify_others(connection)

        await self._write(work)

    async def prune(self, before: datetime, limit: int) -> Mapping[str, int]:
        return await self._write(partial(pruning.prune, before=before, limit=limit))

    async def nodes(self) -> Sequence[NodeReport]:
        return await self._read(reading.read_nodes)

    async def size(self) -> int:
        return await self._read(read_size)

    async def shared_secret(self, made: str) -> str:
        return await self._write(partial(acting.ensure_shared_secret, made=made))

    async def time(self) -> datetime | None:
        if not self._keeps_time:
            return None
        return rows.from_micros(await self._read(read_clock))

    async def version(self) -> str:
        return await self._read(reading.read_version)

    def listen(self, heard: Callable[[], None]) -> None:
        if self._database.listener is not None:
            loop = asyncio.get_running_loop()
            self._database.listener.listen(lambda: loop.call_soon_threadsafe(heard))

    async def close(self) -> None:
        await self._database.close()

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._database.read(work)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        def guarded(connection: Connection) -> T:
            hold_schema(connection, self._database.where)
            return work(connection)

        return await self._database.write(guarded)

    def _read_time(self, connection: Connection, now: datetime) -> int:
        return read_clock(connection) if self._keeps_time else rows.to_micros(now)

    def _notify_others(self, connection: Connection) -> None:
        if self._database.listener is not None:
            notify_others(connection, CHANNEL, self._database.listener.name)
