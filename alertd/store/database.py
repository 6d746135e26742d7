"""A database behind one thread: opened, asked and closed there, so that the event loop never waits.

Rules that hold here:
- one connection, which one thread owns;
- what writes begins with ``begin immediate``: it has the database to itself or has not begun: no transaction
  is half done when another writer appears;
- a commit is on the disk when it returns (``synchronous=full``).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from alertd.errors import LedgerUnavailable, SettingsError
from alertd.store.refusal import refusal

T = TypeVar("T")


class Database:
    """See the module. ``where`` names it in errors: a path, or a URL without its password."""

    def __init__(self, engine: Engine, where: str) -> None:
        self.where = where
        self._reader = engine
        self._writer = engine.execution_options(alertd_writes=True)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alertd-ledger")
        self._closed = False

    @classmethod
    async def open(cls, url: str, busy_timeout_s: float) -> Database:
        """The database at ``url``; a file that is missing is made. Its connection is opened at the first use.

        Raises:
            SettingsError: ``url`` is none, or of a kind that alertd cannot use.
            LedgerUnavailable: the file cannot be made.
        """
        parsed = _parsed(url)
        in_memory = parsed.database in (None, "", ":memory:")
        where = ":memory:" if in_memory else str(parsed.database)
        folder = "" if in_memory else os.path.dirname(where) or os.curdir
        database = cls(_engine(parsed, folder, busy_timeout_s), where)
        if not in_memory:
            try:
                await asyncio.wrap_future(database._thread.submit(_make_file, Path(database.where)))
            except BaseException:
                await database.close()
                raise
        return database

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, from one snapshot of the database."""
        return await self._away(self._reader, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, once what it wrote is on the disk."""
        return await self._away(self._writer, work)

    async def close(self) -> None:
        """Give back the connection, when what was asked before is done."""
        if not self._closed:
            self._closed = True
            await asyncio.wrap_future(self._thread.submit(self._reader.dispose))
            self._thread.shutdown()

    async def _away(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        if self._closed:
            raise LedgerUnavailable(f"{self.where} is closed")
        return await asyncio.wrap_future(self._thread.submit(self._in_transaction, engine, work))

    def _in_transaction(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        try:
            with engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise refusal(error, self.where) from error
        except OSError as error:
            raise LedgerUnavailable(f"{self.where} cannot be opened: {error.strerror}") from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The text is left out: it may hold a password.
        raise SettingsError("the database is no URL such as sqlite:///path/to/alertd.db") from error
    if parsed.get_backend_name() != "sqlite":
        kind = parsed.get_backend_name()
        raise SettingsError(f"a database of the kind {kind!r} is not supported; use sqlite:///path")
    return parsed


def _make_file(path: Path) -> None:
    """The file and the folders that are missing, for their owner alone: it holds who is told what."""
    try:
        for folder in reversed(path.absolute().parents):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        mend = "name a folder that the user alertd runs as may write to"
        raise LedgerUnavailable(f"{path} cannot be made: {error.strerror}; {mend}") from error


@contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """Nobody else sets up a connection to a file in ``folder`` meanwhile, in this process or in another."""
    if not folder:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _engine(url: URL, folder: str, busy_timeout_s: float) -> Engine:
    # Without parameters, errors hold nothing of what was written.
    engine = create_engine(url, poolclass=StaticPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        # The driver begins no transactions of its own: _begin does.
        connection.isolation_level = None
        connection.execute(f"pragma busy_timeout = {round(busy_timeout_s * 1000)}")
        # SQLite does not wait when two turn to the write-ahead log at once: it fails one of them.
        with _alone_in(folder):
            connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("alertd_writes")
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    return engine
