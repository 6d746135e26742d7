"""Write the log of a SQLite database into its file, beside the thread that writes.

By default, SQLite does such a checkpoint in the commit after which the log has 1,000 pages. Everything that
waits for the ledger then waits until these pages are written and synced. So here a thread with its own
connection does the checkpoint. Other commits go on meanwhile, and their pages are left in the log. When the
log has become long, the thread that writes does a checkpoint of that rest, which is short. SQLite then begins
the log anew, so the log does not grow without a limit (SQLite, "Write-Ahead Logging").
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from alertd.system.worker_threads import WorkerThreads

CHANGES = 1_000
"""After so many changed rows, the thread does a checkpoint. A change of a row writes about five pages."""

LONG = 4_000
"""From so many pages on, the log is long."""

LONGEST = 16_000
"""From so many pages on, each commit does a checkpoint, as SQLite does by default from 1,000 pages on."""


class Checkpoints:
    """Does the checkpoints of one database. Only the thread that writes calls the methods.

    Args:
        connect: opens a connection to the database.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._thread = WorkerThreads("alertd-checkpoints")
        self._writer: sqlite3.Connection | None = None
        self._connection: sqlite3.Connection | None = None
        self._running: Future[int] | None = None
        self._changes = 0

    def begin(self, writer: sqlite3.Connection) -> None:
        """Follow a connection that writes, from its first statement on."""
        writer.execute(f"pragma wal_autocheckpoint = {LONGEST}")
        if self._connection is not None:
            self._thread.submit(self._connection.close)
        self._writer, self._connection = writer, self._connect()
        # The log is opened now, so that all connections have the same file, also if it is replaced later.
        self._connection.execute("select count(*) from sqlite_schema").fetchone()
        self._running, self._changes = None, writer.total_changes

    def follow(self) -> None:
        """Do what is needed after a commit."""
        if self._writer is None or self._connection is None:
            return
        if self._running is not None:
            if not self._running.done():
                return
            pages, self._running = self._running.result(), None
            if pages >= LONG:
                _checkpoint(self._writer)
        if self._writer.total_changes - self._changes >= CHANGES:
            self._changes = self._writer.total_changes
            self._running = self._thread.submit(partial(_checkpoint, self._connection))

    def close(self) -> None:
        """Close the connection, after the checkpoint that is under way."""
        if self._connection is not None:
            self._thread.submit(self._connection.close).result()
            self._connection = None
        self._thread.end()


def _checkpoint(connection: sqlite3.Connection) -> int:
    """Do a checkpoint without waiting for other connections. Returns how many pages the log had."""
    # If the disk is full or fails, the next commit reports that.
    with suppress(sqlite3.Error):
        _, pages, _ = connection.execute("pragma wal_checkpoint(passive)").fetchone()
        return int(pages)
    return 0
