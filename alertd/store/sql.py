"""Keep the ledger in a SQL database.

Each method of the ledger runs one function of this package in one transaction. Most methods are a line in the
tables of :class:`SqlLedger`: the function's parameters, without the connection, are the method's parameters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from alertd.core.ledger.records import Known, Lease
from alertd.core.ledger.unreadable import Unreadable
from alertd.core.planning.audit import Waiting
from alertd.ports import Changes, LostLeases, Settlement
from alertd.store import (
    acting,
    beginning,
    leading,
    leasing,
    pruning,
    quarantine,
    queue,
    reading,
    repairing,
    rows,
    waiting,
    writing,
)
from alertd.store.database.base import CHANNEL, Database
from alertd.store.database.dialect import notify_others, read_clock, read_size
from alertd.store.database.upgrade import hold_schema
from alertd.store.ledger_file import SqliteLedgerFile

FOUND_AT_ONCE = 5_000
"""How many milestones, repeats and notices are found at once, to be deleted in many small transactions."""

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Connection, P], T]
Method = Callable[Concatenate["SqlLedger", P], Coroutine[Any, Any, T]]


def _reads(work: Work[P, T]) -> Method[P, T]:
    """Return a method that runs ``work`` in a transaction that only reads."""

    async def method(ledger: SqlLedger, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await ledger.read(lambda connection: work(connection, *args, **kwargs))

    return method


def _reads_aside(work: Work[P, T]) -> Method[P, T]:
    """Return a method that does the same beside other calls, since it may take long."""

    async def method(ledger: SqlLedger, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await ledger.read_aside(lambda connection: work(connection, *args, **kwargs))

    return method


def _writes(work: Work[P, T], *, announce: bool = False) -> Method[P, T]:
    """Return a method that runs ``work`` in a transaction that writes; for ``announce`` see ``write``."""

    async def method(ledger: SqlLedger, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await ledger.write(lambda connection: work(connection, *args, **kwargs), announce=announce)

    return method


def _apply(connection: Connection, changes: Changes, *, term: int | None = None) -> None:
    if term is not None:
        leading.hold_term(connection, term)
    writing.write_changes(connection, changes)


class SqlLedger:
    """Implements :class:`alertd.ports.Ledger`. Use :func:`alertd.store.open_ledger` to create one."""

    def __init__(self, database: Database, *, keeps_time: bool | None = None) -> None:
        """
        Args:
            keeps_time: the database's clock decides when a lease and the leadership end, not the ``now`` of
                the caller. The default is true for a database that several machines share.
        """
        database.add_options(**{quarantine.OPTION: quarantine.Quarantine()})
        self._database = database
        self._keeps_time = database.is_shared if keeps_time is None else keeps_time
        self._old = pruning.Old()

    # PlanningLedger
    read_timelines = _reads_aside(reading.read_timelines)
    read_timeline = _reads_aside(reading.read_timeline)
    read_milestones = _reads_aside(reading.read_milestones)
    read_reminders = _reads_aside(reading.read_reminders)
    read_latest = _reads_aside(reading.read_latest)
    read_done_dates = _reads_aside(reading.read_done_dates)
    read_digests = _reads(reading.read_digests)
    read_fingerprints = _reads_aside(reading.read_fingerprints)
    read_snapshots = _reads_aside(reading.read_snapshots)
    read_deferred = _reads_aside(reading.read_deferred)
    apply = _writes(_apply, announce=True)

    # LeadershipLedger, NodeRegistry
    read_leader = _reads(leading.read_leader)
    retire = _writes(leading.retire, announce=True)
    report = _writes(writing.write_node)
    read_nodes = _reads(reading.read_nodes)

    # ReminderQueue, DeliveryQueue
    find_due = _reads(queue.find_due)
    find_strays = _reads(queue.find_strays)
    read_held = _reads_aside(reading.read_held)
    read_windows = _reads_aside(reading.read_windows)
    bind = _writes(queue.bind)
    settle = _writes(queue.settle)
    release = _writes(beginning.release)

    # ActionLedger
    act = _writes(acting.act, announce=True)
    retry = _writes(acting.retry, announce=True)

    # LedgerReader
    read_record = _reads(reading.read_record)
    read_records = _reads_aside(reading.read_records)
    read_records_by_id = _reads_aside(reading.read_records_by_id)
    read_owed = _reads_aside(reading.read_owed)
    read_upcoming = _reads(reading.read_upcoming)
    find_deliveries = _reads_aside(reading.find_deliveries)
    read_activity = _reads_aside(reading.read_activity)
    read_history = _reads_aside(reading.read_history)
    read_last_moves = _reads_aside(reading.read_last_moves)
    count_rows = _reads_aside(reading.count_rows)
    find_known = _reads(reading.find_known)
    read_size = _reads(read_size)

    # Upkeep
    repair = _writes(repairing.repair)
    ensure_shared_secret = _writes(acting.ensure_shared_secret)
    keep_config = _writes(acting.keep_config)
    read_kept_config = _reads(acting.read_kept_config)
    read_version = _reads(reading.read_version)

    # The methods below go by the ledger's own time.

    async def take_lead(
        self, node: str, now: datetime, *, duration: timedelta, instead_of: str = ""
    ) -> int | None:
        def work(connection: Connection) -> int | None:
            at = self._read_time(connection, now)
            until = at + rows.count_micros(duration)
            return leading.take_lead(connection, node=node, at=at, until=until, instead_of=instead_of)

        return await self.write(work)

    async def lease(
        self,
        owner: str,
        now: datetime,
        *,
        duration: timedelta,
        limit: int,
        per_channel: int,
        most: Mapping[str, int] = MappingProxyType({}),
        held: Collection[str] = (),
        lost: LostLeases = LostLeases.INCLUDED,
        known: Known | None = None,
        ahead: bool = False,
    ) -> Sequence[Lease]:
        def work(connection: Connection) -> Sequence[Lease]:
            return leasing.lease(
                connection,
                owner=owner,
                now=now,
                at=self._read_time(connection, now),
                duration=duration,
                limit=limit,
                per_channel=per_channel,
                most=most,
                held=held,
                lost=lost,
                known=known,
                ahead=ahead,
            )

        return await self.write(work)

    async def begin(self, leases: Sequence[Lease], now: datetime, *, duration: timedelta) -> frozenset[str]:
        def work(connection: Connection) -> frozenset[str]:
            until = self._read_time(connection, now) + rows.count_micros(duration)
            return beginning.begin(connection, leases, until)

        return await self.write(work)

    async def settle_and_begin(
        self,
        settlements: Sequence[Settlement],
        leases: Sequence[Lease],
        now: datetime,
        *,
        duration: timedelta,
    ) -> tuple[frozenset[str], frozenset[str]]:
        def work(connection: Connection) -> tuple[frozenset[str], frozenset[str]]:
            stale = queue.settle(connection, settlements)
            until = self._read_time(connection, now) + rows.count_micros(duration)
            return stale, beginning.begin(connection, leases, until)

        return await self.write(work)

    async def find_next_wake(
        self,
        after: datetime,
        shut: frozenset[str] = frozenset(),
        *,
        lost: bool = True,
        known: Known | None = None,
    ) -> datetime | None:
        def work(connection: Connection) -> datetime | None:
            return waiting.find_next_wake(
                connection, after, self._read_time(connection, after), shut, lost=lost, known=known
            )

        return await self.read(work)

    async def find_waiting(
        self, now: datetime, shut: frozenset[str] = frozenset(), *, known: Known | None = None
    ) -> Waiting:
        def work(connection: Connection) -> Waiting:
            return waiting.find_waiting(connection, now, self._read_time(connection, now), shut, known)

        return await self.read_aside(work)

    async def find_unreadable(self, limit: int) -> Sequence[Unreadable]:
        read = self.read_aside if limit else self.read
        return await read(lambda connection: quarantine.inspect(connection, limit))

    async def prune(self, before: datetime, limit: int) -> Mapping[str, int]:
        # Finding what is old takes long, and deleting it must not. So nothing waits while it is found.
        at = rows.to_micros(before)
        while old := await self._find_old(at):
            batch, self._old = old.split(limit)
            deleted = await self.write(partial(pruning.delete_old, old=batch, at=at))
            if any(deleted.values()):
                return deleted
        return pruning.NOTHING

    async def _find_old(self, at: int) -> pruning.Old:
        """Return what was found and is left, or what is found now."""
        if self._old:
            return self._old
        return await self.read_aside(partial(pruning.find_old, at=at, limit=FOUND_AT_ONCE))

    async def read_time(self) -> datetime | None:
        return rows.from_micros(await self.read(read_clock)) if self._keeps_time else None

    def _read_time(self, connection: Connection, now: datetime) -> int:
        return read_clock(connection) if self._keeps_time else rows.to_micros(now)

    # The connection.

    def watch_file(self) -> SqliteLedgerFile | None:
        """Return the ledger's file, or None if the ledger has no file that alertd looks after."""
        file = self._database.file
        return None if file is None else SqliteLedgerFile(self._database, file)

    def listen(self, heard: Callable[[], None]) -> None:
        if self._database.listener is not None:
            loop = asyncio.get_running_loop()
            self._database.listener.listen(lambda: loop.call_soon_threadsafe(heard))

    async def close(self) -> None:
        await self._database.close()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction that only reads."""
        return await self._database.read(work)

    async def read_aside(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction that only reads, beside other calls."""
        return await self._database.read_aside(work)

    async def write(self, work: Callable[[Connection], T], *, announce: bool = False) -> T:
        """Run ``work`` in a transaction that writes.

        Args:
            announce: let the processes that listen hear of it.

        Raises:
            SchemaTooNew: a newer alertd has migrated the ledger, so nothing was written.
        """

        def guarded(connection: Connection) -> T:
            hold_schema(connection, self._database.where)
            result = work(connection)
            if announce and self._database.listener is not None:
                notify_others(connection, CHANNEL, self._database.listener.name)
            return result

        return await self._database.write(guarded)
