"""Open a SQLite database with one connection to its file, one for long reads and one for checkpoints.

With the write-ahead log, a read on the second connection and the transactions on the first do not wait for
each other. Nor does a checkpoint on the third. Rules for the connections:

- A transaction that writes starts with ``begin immediate``. It takes the write lock at once, so it cannot
  fail halfway because of another writer (SQLite, "Transactions").
- A commit is on disk when it returns (``synchronous = full``).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine import URL

from alertd.errors import LedgerUnavailable
from alertd.store.database.base import Database
from alertd.store.database.checkpoints import Checkpoints
from alertd.store.database.file import LOGS, OpenFile


async def open_sqlite(url: URL, busy_timeout_s: float, *, create: bool) -> Database:
    """Return the database at ``url``.

    The connection is opened when it is first used.

    Args:
        busy_timeout_s: how long a statement waits for a lock, in seconds.
        create: whether to create the file if it is missing.

    Raises:
        LedgerUnavailable: the file is missing, or cannot be created.
    """
    in_memory = url.database in (None, "", ":memory:")
    where = ":memory:" if in_memory else str(url.database)
    folder = "" if in_memory else os.path.dirname(where) or os.curdir
    database = create_sqlite_database(url, where, folder, busy_timeout_s)
    if not in_memory:
        try:
            await database.run_in_thread(lambda: _find_file(Path(where), create=create))
        except BaseException:
            await database.close()
            raise
    return database


def create_sqlite_database(url: URL, where: str, folder: str, busy_timeout_s: float) -> Database:
    """Return a database with one connection, which belongs to one thread, and two that are beside it.

    A database in memory belongs to its connection, so it has no other.
    """
    file = OpenFile(Path(where)) if folder else None
    engine = _create_engine(url, where, folder, busy_timeout_s, file)
    writer = engine.execution_options(alertd_writes=True)
    aside = checkpoints = None
    if file is not None:
        aside = _create_engine(url, where, folder, busy_timeout_s, None)
        checkpoints = Checkpoints(lambda: _connect_to_file(where))

        @event.listens_for(engine, "connect")
        def _connect_others(connection: Any, _record: Any) -> None:
            # At once, so that all connections have the same file, also if it is replaced later.
            aside.connect().close()
            checkpoints.begin(connection)

    return Database(
        reader=engine, writer=writer, where=where, file=file, aside=aside, checkpoints=checkpoints
    )


def _connect_to_file(where: str) -> sqlite3.Connection:
    """Open a connection to a file that exists. Any thread may use it, one at a time."""
    # SQLite creates a missing file by default. An empty file in the ledger's place would look like a new
    # ledger, so only _find_file creates it.
    address = f"{Path(where).absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, check_same_thread=False)


def _create_engine(url: URL, where: str, folder: str, busy_timeout_s: float, file: OpenFile | None) -> Engine:
    """Return an engine with one connection.

    Args:
        folder: the folder of the file; "" for a database in memory.
        file: is told which file was opened; None: nothing is.
    """
    # hide_parameters keeps the written values out of error messages.
    engine = create_engine(url, poolclass=StaticPool, hide_parameters=True)

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, _args: Any, _options: Any) -> Any:
        if not folder:
            return None
        if file is not None:
            file.pin(("",))
        return _connect_to_file(where)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        # The driver starts no transactions by itself, because _begin does.
        connection.isolation_level = None
        connection.execute(f"pragma busy_timeout = {round(busy_timeout_s * 1000)}")
        # When two connections switch to the write-ahead log at the same time, SQLite does not wait: one of
        # them fails. The lock on the folder lets only one connection switch at a time.
        with _lock_folder(folder):
            connection.execute("pragma journal_mode = wal")
            # The log is created when it is first read.
            connection.execute("select count(*) from sqlite_schema").fetchone()
        if file is not None:
            file.pin(LOGS)
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("alertd_writes")
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    return engine


def _find_file(path: Path, *, create: bool) -> None:
    """Find the file, or create it and its missing folders.

    Only their owner can read them, because the ledger says who is told what.
    """
    if not create:
        if not path.exists():
            raise LedgerUnavailable(f"there is no ledger at {path}")
        return
    try:
        for folder in reversed(path.absolute().parents):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        advice = "name a folder that the user alertd runs as may write to"
        raise LedgerUnavailable(f"{path} cannot be made: {error.strerror}; {advice}") from error


@contextmanager
def _lock_folder(folder: str) -> Iterator[None]:
    """Hold an exclusive lock on ``folder``, against other threads and other processes; "" means no lock."""
    if not folder:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
