"""Run transactions on a database in threads of their own, so that the event loop never blocks.

Rules for every call:

- A call is one transaction: all of it is committed, or nothing.
- A call has a time limit. When the database does not answer in time, alertd shuts its connections down.
- A transaction that fails because of another transaction (a deadlock, for example) is retried here. Callers
  do not see such failures.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, StaticPool
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from alertd.errors import LedgerBusy, LedgerDamaged, LedgerError, LedgerRefused, LedgerUnavailable
from alertd.store.database.checkpoints import Checkpoints
from alertd.store.database.file import OpenFile
from alertd.system.worker_threads import WorkerThreads

T = TypeVar("T")

CALL_LIMIT_S = 40.0
"""The time limit of a call. The limits in PostgreSQL are shorter because the server's errors say more."""

CLOSE_LIMIT_S = 5.0
"""How long closing waits for the running calls, in seconds."""

CHANNEL = "alertd"
"""The PostgreSQL notification channel on which writers tell other processes that they have committed."""

TRIES = 4
"""How often a transaction that collides with others is tried in all."""


class Listener(Protocol):
    """Reports that another process has committed.

    Attributes:
        name: identifies this process in notifications, so that it can ignore its own.
    """

    name: str

    def listen(self, heard: Callable[[], object]) -> None:
        """Start to call ``heard``, in a thread of the listener, when another process has committed."""

    def close(self) -> None:
        """Stop listening and close the connection."""


@dataclass(kw_only=True, eq=False)
class Database:
    """Runs transactions in threads. Use :func:`alertd.store.database.opening.open_database` to create one.

    Attributes:
        reader: the engine for transactions that read one snapshot.
        writer: the engine for transactions that write.
        where: the database's name in errors: a path, or a URL without user and password.
        threads: how many calls can run at the same time. Each engine has as many connections.
        is_shared: whether several machines use the database. They then share its clock.
        listener: reports commits of other processes; None where the database sends no notifications.
        limit_s: the time limit of each call, in seconds.
        close_limit_s: the time limit of :meth:`close`, in seconds.
        file: the file of a SQLite database; None where alertd has no file.
        aside: the engine for long reads, if a long read would hold up everything else: with SQLite, all other
            calls share one connection and one thread. None where several calls run at the same time.
        checkpoints: writes the log of a SQLite database into its file; None for a database without a file.
    """

    reader: Engine
    writer: Engine
    where: str
    threads: int = 1
    is_shared: bool = False
    listener: Listener | None = None
    limit_s: float = CALL_LIMIT_S
    close_limit_s: float = CLOSE_LIMIT_S
    file: OpenFile | None = None
    aside: Engine | None = None
    checkpoints: Checkpoints | None = None

    def __post_init__(self) -> None:
        self._pool = WorkerThreads("alertd-ledger", self.threads)
        self._pool_aside = WorkerThreads("alertd-reads") if self.aside is not None else self._pool
        self._kept: dict[Engine, Connection] = {}
        self._busy: dict[int, int] = {}
        self._lock = threading.Lock()
        self._closed = False

    def add_options(self, **options: object) -> None:
        """Give each connection these execution options, for the work that runs on it."""
        self.reader = self.reader.execution_options(**options)
        self.writer = self.writer.execution_options(**options)
        if self.aside is not None:
            self.aside = self.aside.execution_options(**options)

    async def read(self, work: Callable[[Connection], T], *, limit_s: float | None = None) -> T:
        """Run ``work`` in a transaction that reads one snapshot, and return its result.

        Args:
            limit_s: the time limit of this call, in seconds; by default that of the database.

        Raises:
            LedgerError: the database reported an error, or did not answer within the limit.
        """
        return await self.run_in_thread(lambda: self._run_in_transaction(self.reader, work), limit_s=limit_s)

    async def read_aside(self, work: Callable[[Connection], T]) -> T:
        """Do the same as :meth:`read`, beside other calls if it is long. It sees what they have committed.

        Raises:
            LedgerError: the database reported an error, or did not answer within the limit.
        """
        engine = self.reader if self.aside is None else self.aside
        return await self._run(self._pool_aside, lambda: self._run_in_transaction(engine, work), self.limit_s)

    async def write(self, work: Callable[[Connection], T], *, limit_s: float | None = None) -> T:
        """Run ``work`` in a transaction that writes, and return its result once the commit is on disk.

        Args:
            limit_s: the time limit of this call, in seconds; by default that of the database.

        Raises:
            LedgerError: the database reported an error, or did not answer within the limit.
        """
        return await self.run_in_thread(lambda: self._write(work), limit_s=limit_s)

    async def run_in_thread(self, work: Callable[[], T], *, limit_s: float | None = None) -> T:
        """Call ``work`` in a thread of the pool and return its result.

        Args:
            limit_s: the time limit of this call, in seconds; by default that of the database.

        Raises:
            LedgerUnavailable: the database is closed, or ``work`` took longer than the limit.
        """
        return await self._run(self._pool, work, self.limit_s if limit_s is None else limit_s)

    async def _run(self, pool: WorkerThreads, work: Callable[[], T], limit_s: float) -> T:
        if self._closed:
            raise LedgerUnavailable(f"{self.where} is closed")
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.wrap_future(pool.submit(work))
        except TimeoutError as error:
            self._break_off_all()
            raise LedgerUnavailable(f"{self.where} has not answered for {limit_s:g} s") from error

    async def close(self) -> None:
        """Close the connections after the running calls have ended.

        Raises:
            LedgerUnavailable: the running calls do not end. Their threads do not hold up the process's exit.
        """
        if self._closed:
            return
        self._closed = True
        if self.listener is not None:
            self.listener.close()
        disposed = [self._pool.submit(self._dispose)]
        self._pool.end()
        if self.aside is not None:
            disposed.append(self._pool_aside.submit(self._dispose_aside))
            self._pool_aside.end()
        try:
            async with asyncio.timeout(self.close_limit_s):
                await asyncio.gather(*map(asyncio.wrap_future, disposed))
        except TimeoutError as error:
            self._break_off_all()
            raise LedgerUnavailable(f"{self.where} cannot be closed: it does not answer") from error

    def _dispose(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.close()
        self._close_kept(self.reader)
        self._close_kept(self.writer)
        self.reader.dispose()
        if self.file is not None:
            self.file.close()

    def _dispose_aside(self) -> None:
        if self.aside is not None:
            self._close_kept(self.aside)
            self.aside.dispose()

    def _close_kept(self, engine: Engine) -> None:
        """Close the connection that is kept of an engine. Only the engine's own thread may do so."""
        connection = self._kept.pop(engine, None)
        if connection is not None:
            connection.close()

    def _write(self, work: Callable[[Connection], T]) -> T:
        result = self._run_in_transaction(self.writer, work)
        if self.checkpoints is not None:
            self.checkpoints.follow()
        return result

    def _run_in_transaction(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        for left in reversed(range(TRIES)):
            try:
                with self._track_connection() as note, self._begin(engine) as connection:
                    note(connection)
                    return work(connection)
            except SQLAlchemyError as error:
                if left and _read_odd_texts(error, engine):
                    continue
                if not left or not is_collision(error):
                    raise translate_error(error, self.where) from error
            except OSError as error:
                raise LedgerUnavailable(f"{self.where} cannot be opened: {error.strerror}") from error
        raise AssertionError("unreachable")

    @contextmanager
    def _begin(self, engine: Engine) -> Iterator[Connection]:
        """Begin a transaction, and commit it at the end of the block.

        An engine that has only one connection is asked for it once. After an error it is asked again.
        """
        if not isinstance(engine.pool, StaticPool):
            with engine.begin() as connection:
                yield connection
            return
        connection = self._kept.pop(engine) if engine in self._kept else engine.connect()
        try:
            with connection.begin():
                yield connection
        except BaseException:
            connection.close()
            raise
        self._kept[engine] = connection

    @contextmanager
    def _track_connection(self) -> Iterator[Callable[[Connection], None]]:
        """Record which connection this thread uses, until its transaction has ended."""
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

    def _break_off_all(self) -> None:
        """Shut down the connections in use.

        A blocked thread cannot be stopped, but its call fails when its connection is shut down.
        """
        with self._lock:
            for number in self._busy.values():
                break_off(number)


def break_off(fileno: int) -> None:
    """Shut down a connection that another thread uses. That thread then gets an error.

    Args:
        fileno: the file descriptor of the connection's socket.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(fileno)) as there:
        there.shutdown(socket.SHUT_RDWR)


_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SQLITE_ADVICE = {
    sqlite3.SQLITE_READONLY: "let the user that alertd runs as write to the file and to its folder",
    sqlite3.SQLITE_PERM: "let the user that alertd runs as write to the file and to its folder",
    sqlite3.SQLITE_CANTOPEN: "it must be a file, in a folder that the user alertd runs as may write to",
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or failing",
    sqlite3.SQLITE_CORRUPT: "it is damaged: put a backup in its place with `alertd restore`, or save what "
    "can be read with sqlite3's .recover",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: name another file, or put a backup in its place",
}

# SQLSTATEs of PostgreSQL (appendix A, "PostgreSQL Error Codes"). 40001 and 40P01 mean that two transactions
# collided. 55P03 and 57014 mean that a statement waited too long.
_COLLISIONS = frozenset({"40001", "40P01"})
_REFUSED_CLASSES = frozenset({"22", "23", "54"})  # data, constraints, and limits such as that of an index
_WAITED = frozenset({"55P03", "57014", *_COLLISIONS})
_SQLSTATE_ADVICE = {
    "25006": "it is a standby: name all servers, with target_session_attrs=read-write",
    "42501": "let its user use the schema and write to the tables",
    "42P01": "run `alertd migrate`",
    "53100": "free some space on its disk",
}


def _read_odd_texts(error: SQLAlchemyError, engine: Engine) -> bool:
    """Have SQLite return texts that are not in UTF-8 as bytes, if such a text was the error.

    Otherwise the driver refuses all rows of a query because of one. This is not the default, since it makes
    each text slower to read.

    Returns:
        whether the transaction may succeed now.
    """
    if not isinstance(error, DBAPIError) or not isinstance(error.orig, sqlite3.OperationalError):
        return False
    # Only an error of SQLite has a code. The driver's own error without one is a text that it cannot decode.
    if getattr(error.orig, "sqlite_errorcode", None) is not None:
        return False
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection) or driver.text_factory is _decode_text:
            return False
        driver.text_factory = _decode_text
    return True


def _decode_text(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def translate_error(error: SQLAlchemyError, where: str) -> LedgerError:
    """Return alertd's error for an error of SQLAlchemy.

    Args:
        where: the database's name, without a password.
    """
    if not isinstance(error, DBAPIError) or error.orig is None:
        # Without an error of the driver, a statement fails only because of the values in it.
        kind = LedgerRefused if isinstance(error, StatementError) else LedgerError
        return kind(f"{where}: {_format_on_one_line(error)}")
    cause = error.orig
    code, state = getattr(cause, "sqlite_errorcode", 0) & 0xFF, _get_sqlstate(cause)
    if isinstance(error, IntegrityError | DataError) or state[:2] in _REFUSED_CLASSES:
        return LedgerRefused(f"{where} refuses a row: {_format_on_one_line(cause)}")
    if code in _BUSY or state in _WAITED:
        return LedgerBusy(f"{where} is locked: another process has been writing to it for long; try again")
    if isinstance(cause, sqlite3.Error):
        return translate_sqlite_error(cause, where)
    advice = _SQLSTATE_ADVICE.get(state, "")
    return LedgerUnavailable(f"{where}: {_format_on_one_line(cause)}" + (f"; {advice}" if advice else ""))


def translate_sqlite_error(error: sqlite3.Error, where: str) -> LedgerUnavailable:
    """Return alertd's error for an error of SQLite that is neither a lock nor a constraint."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind = LedgerDamaged if code in _DAMAGED else LedgerUnavailable
    advice = _SQLITE_ADVICE.get(code, "")
    return kind(f"{where}: {_format_on_one_line(error)}" + (f"; {advice}" if advice else ""))


def is_collision(error: SQLAlchemyError) -> bool:
    """Return whether the transaction failed because of another one.

    That transaction has ended by now, so the caller can retry at once.
    """
    return isinstance(error, DBAPIError) and _get_sqlstate(error.orig) in _COLLISIONS


def _get_sqlstate(cause: BaseException | None) -> str:
    return getattr(cause, "sqlstate", None) or ""


def _format_on_one_line(error: BaseException) -> str:
    # Only the primary message is used, because PostgreSQL quotes the row in the details.
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return " ".join(str(primary or error).split())
