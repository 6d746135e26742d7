"""Watch over the file of a SQLite ledger: compare it, save it, and check its pages."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection

from alertd.core.ledger.file import FileLoss
from alertd.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from alertd.store.database.backup import copy_connection, open_part, open_read_only, settle
from alertd.store.database.base import Database, translate_sqlite_error
from alertd.store.database.file import OpenFile
from alertd.store.database.upgrade import hold_schema
from alertd.system.worker_threads import WorkerThreads

SAVE_LIMIT_S = 100.0
"""The time limit for saving the ledger, in seconds. The unit's watchdog allows two minutes."""

CHECK_LIMIT_S = 600.0
"""The time limit for checking the pages of a table, in seconds."""


class SqliteLedgerFile:
    """Implements :class:`alertd.ports.LedgerFile`."""

    def __init__(self, database: Database, file: OpenFile) -> None:
        self._database = database
        self._file = file
        self._thread = WorkerThreads("alertd-pages")
        self._connection: sqlite3.Connection | None = None

    async def find_loss(self) -> FileLoss | None:
        try:
            loss = await self._database.run_in_thread(self._file.find_loss)
        except OSError as error:
            raise LedgerUnavailable(f"{self._file.path} cannot be examined: {error.strerror}") from error
        if loss is None:
            # A ledger that cannot be written has no checkpoints either.
            with suppress(LedgerError):
                await self._count()
        return loss

    async def _count(self) -> None:
        """Raise the counter if the last checkpoint has written it to the file."""
        if await self._database.read(_read_counter) == self._file.counter:
            await self._database.write(self._raise_counter)

    def _raise_counter(self, connection: Connection) -> None:
        hold_schema(connection, self._database.where)
        connection.exec_driver_sql(f"pragma user_version = {_read_counter(connection) + 1}")

    async def save(self, label: str) -> str:
        target = self._file.find(f".{label}")

        def work(connection: Connection) -> str:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)  # noqa: S101  for mypy
            with open_part(target, f"the ledger cannot be saved to {target}") as part:
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                copy_connection(driver, part)
                settle(part, target)
            return str(target)

        return await self._database.read(work, limit_s=SAVE_LIMIT_S)

    async def put_back(self, saved: str) -> bool:
        try:
            return await self._database.run_in_thread(lambda: self._file.put_back(Path(saved)))
        except OSError as error:
            raise LedgerUnavailable(f"{saved} cannot be put back: {error.strerror}") from error

    async def list_tables(self) -> Sequence[str]:
        rows = await self._run("select name from sqlite_schema where type = 'table' order by name")
        return "sqlite_schema", *(str(name) for (name,) in rows)

    async def check(self, table: str) -> str:
        try:
            rows = await self._run(f'pragma quick_check("{table}")')
        except LedgerDamaged as error:
            return str(error)
        found = str(rows[0][0])
        return "" if found == "ok" else " ".join(found.split())

    async def close(self) -> None:
        self._interrupt()
        self._thread.end()

    async def _run(self, statement: str) -> list[tuple[object, ...]]:
        """Read all rows in a separate thread and on a separate connection, so that nothing else waits."""
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                return await asyncio.wrap_future(self._thread.submit(lambda: self._read(statement)))
        except TimeoutError as error:
            raise LedgerUnavailable(f"a check of {self._file.path} takes too long") from error
        except sqlite3.Error as error:
            raise translate_sqlite_error(error, str(self._file.path)) from error
        finally:
            # If the caller was cancelled, the thread must stop reading too.
            self._interrupt()

    def _read(self, statement: str) -> list[tuple[object, ...]]:
        with closing(open_read_only(self._file.path)) as connection:
            self._connection = connection
            try:
                return connection.execute(statement).fetchall()
            finally:
                self._connection = None

    def _interrupt(self) -> None:
        connection = self._connection
        if connection is not None:
            # It may be closed at this moment.
            with suppress(sqlite3.ProgrammingError):
                connection.interrupt()


def _read_counter(connection: Connection) -> int:
    return int(connection.exec_driver_sql("pragma user_version").scalar_one())
