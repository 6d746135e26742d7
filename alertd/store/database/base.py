"""A database behind threads of its own: opened, asked and closed there, so that the event loop never waits.

Rules that hold here:
- what is asked is one transaction, which is done whole or not at all;
- no call takes for ever: what the database does not answer is given up, and its connection broken off;
- what two transactions do to each other (a deadlock) is tried again here, and seen by nobody.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from alertd.errors import LedgerBusy, LedgerError, LedgerUnavailable, SettingsError

if TYPE_CHECKING:
    from alertd.store.database.postgres import ListenConnection


T = TypeVar("T")

CALL_LIMIT_S = 40.0
"""A call that takes longer is given up; longer than the server's own limits, which say more."""

CHANNEL = "alertd"
"""Of what writers tell each other, where the database can."""

TRIES = 4
"""Of a transaction that collides with others."""


@dataclass(kw_only=True, eq=False)
class Database:
    """See the module; made by :func:`open_database`.

    Attributes:
        reader, writer: engines whose transactions read one snapshot, and write.
        where: its name in errors: a path, or a URL without its password.
        threads: as many calls go on at once; the engines have as many connections.
        is_shared: by many machines, which have its clock in common.
        ear: hears what other processes have written, where the database tells.
        limit_s: no call takes longer.
    """

    reader: Engine
    writer: Engine
    where: str
    threads: int = 1
    is_shared: bool = False
    ear: ListenConnection | None = None
    limit_s: float = CALL_LIMIT_S

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=self.threads, thread_name_prefix="alertd-ledger")
        self._busy: dict[int, int] = {}
        self._lock = threading.Lock()
        self._closed = False

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, from one snapshot of the database."""
        return await self.aside(lambda: self._in_transaction(self.reader, work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, once what it wrote is on the disk."""
        return await self.aside(lambda: self._in_transaction(self.writer, work))

    async def aside(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, called in one of the threads."""
        if self._closed:
            raise LedgerUnavailable(f"{self.where} is closed")
        try:
            async with asyncio.timeout(self.limit_s):
                return await asyncio.wrap_future(self._pool.submit(work))
        except TimeoutError as error:
            self._break_off()
            raise LedgerUnavailable(f"{self.where} has not answered for {self.limit_s:g} s") from error

    async def close(self) -> None:
        """Give back the connections, when what was asked before is done."""
        if not self._closed:
            self._closed = True
            if self.ear is not None:
                self.ear.close()
            await asyncio.wrap_future(self._pool.submit(self.reader.dispose))
            self._pool.shutdown()

    def _in_transaction(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        for left in reversed(range(TRIES)):
            try:
                with self._noting() as note, engine.begin() as connection:
                    note(connection)
                    return work(connection)
            except SQLAlchemyError as error:
                if not left or not is_collision(error):
                    raise refusal(error, self.where) from error
            except OSError as error:
                raise LedgerUnavailable(f"{self.where} cannot be opened: {error.strerror}") from error
        raise AssertionError("unreachable")

    @contextmanager
    def _noting(self) -> Iterator[Callable[[Connection], None]]:
        """Takes note of the connection that this thread uses, until its transaction has ended."""
        thread = threading.get_ident()

        def note(connection: Connection) -> None:
            fileno = getattr(connection.connection.driver_connection, "fileno", None)
            if fileno is not None:
                with self._lock:
                    self._busy[thread] = fileno()

        try:
            yield note
        finally:
            with self._lock:
                self._busy.pop(thread, None)

    def _break_off(self) -> None:
        """Have what waits for an answer fail: its thread cannot be stopped, its connection can."""
        with self._lock:
            for number in self._busy.values():
                break_off(number)


def break_off(fileno: int) -> None:
    """Shut a connection down from another thread than its own, which then sees it end."""
    with suppress(OSError), socket.socket(fileno=os.dup(fileno)) as there:
        there.shutdown(socket.SHUT_RDWR)


async def open_database(url: str, busy_timeout_s: float) -> Database:
    """The database at ``url``. Its connections are opened when they are needed.

    Raises:
        SettingsError: ``url`` is none, or of a kind that alertd cannot use.
        LedgerUnavailable: the file cannot be made.
    """
    if url.startswith(("postgresql://", "postgres://")):
        from alertd.store.database.postgres import open_postgres

        return open_postgres(url, busy_timeout_s)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The text is left out: it may hold a password.
        raise SettingsError(f"the database is no URL: {FORMS}") from error
    if parsed.get_backend_name() != "sqlite":
        kind = parsed.get_backend_name()
        raise SettingsError(f"a database of the kind {kind!r} is not supported: {FORMS}")
    from alertd.store.database.sqlite import open_sqlite

    return await open_sqlite(parsed, busy_timeout_s)


FORMS = "it is sqlite:///path/to/alertd.db or postgresql://user@host/database"


_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_MENDS = {
    sqlite3.SQLITE_READONLY: "let the user that alertd runs as write to the file and to its folder",
    sqlite3.SQLITE_PERM: "let the user that alertd runs as write to the file and to its folder",
    sqlite3.SQLITE_CANTOPEN: "it must be a file, in a folder that the user alertd runs as may write to",
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or failing",
    sqlite3.SQLITE_CORRUPT: "it is damaged: put a backup in its place",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: name another file, or put a backup in its place",
}

# PostgreSQL's SQLSTATEs: those of two transactions in each other's way, and of a wait that was too long.
_COLLISIONS = frozenset({"40001", "40P01"})
_WAITED = frozenset({"55P03", "57014", *_COLLISIONS})
_STATE_MENDS = {
    "25006": "it is a standby: name all servers, with target_session_attrs=read-write",
    "42501": "let its user use the schema and write to the tables",
    "42P01": "run `alertd migrate`",
    "53100": "free some space on its disk",
}


def refusal(error: SQLAlchemyError, where: str) -> LedgerError:
    """The error of ours for one of SQLAlchemy's.

    Args:
        where: the database, without a password.
    """
    if not isinstance(error, DBAPIError) or error.orig is None:
        return LedgerError(f"{where}: {_one_line(error)}")
    cause = error.orig
    if isinstance(error, IntegrityError):
        return LedgerError(f"{where} refuses a row: {_one_line(cause)}")
    code, state = getattr(cause, "sqlite_errorcode", 0) & 0xFF, _state(cause)
    if code in _BUSY or state in _WAITED:
        return LedgerBusy(f"{where} is locked: another process has been writing to it for long; try again")
    mend = _MENDS.get(code, "") or _STATE_MENDS.get(state, "")
    return LedgerUnavailable(f"{where}: {_one_line(cause)}" + (f"; {mend}" if mend else ""))


def is_collision(error: SQLAlchemyError) -> bool:
    """Whether another transaction was in the way, which is over by now: the same may be tried at once."""
    return isinstance(error, DBAPIError) and _state(error.orig) in _COLLISIONS


def _state(cause: BaseException | None) -> str:
    return getattr(cause, "sqlstate", None) or ""


def _one_line(error: BaseException) -> str:
    # PostgreSQL's details quote the row.
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return " ".join(str(primary or error).split())
