"""SQLite: one connection to a file, set up so that a commit is on the disk when it returns.

Rules that hold here:
- what writes begins with ``begin immediate``: it has the database to itself or has not begun: no transaction
  is half done when another writer appears;
- a commit is on the disk when it returns (``synchronous=full``).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, StaticPool, create_engine, event
from sqlalchemy.engine import URL

from alertd.errors import LedgerUnavailable
from alertd.store.database.base import Database


async def open_sqlite(url: URL, busy_timeout_s: float) -> Database:
    """The database at ``url``; a file that is missing is made. Its connection is opened at the first use.

    Raises:
        LedgerUnavailable: the file cannot be made.
    """
    in_memory = url.database in (None, "", ":memory:")
    where = ":memory:" if in_memory else str(url.database)
    folder = "" if in_memory else os.path.dirname(where) or os.curdir
    database = sqlite_database(url, where, folder, busy_timeout_s)
    if not in_memory:
        try:
            await database.aside(lambda: _make_file(Path(where)))
        except BaseException:
            await database.close()
            raise
    return database


def sqlite_database(url: URL, where: str, folder: str, busy_timeout_s: float) -> Database:
    """A database of one connection, which one thread owns."""
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

    return Database(reader=engine, writer=engine.execution_options(alertd_writes=True), where=where)


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
