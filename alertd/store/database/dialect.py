"""Hide the differences between SQLite and PostgreSQL from other modules.

``for update skip locked`` is not handled here because SQLAlchemy omits it for SQLite. In SQLite, a writer
locks the whole database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Column, Connection, Table, select, text

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert = sqlite.Insert | postgresql.Insert

T = TypeVar("T")

CHUNK = 500
"""How many values an ``in (...)`` list has at most. Both databases accept many more."""


WRITERS = 7_215_001
"""The key of a PostgreSQL advisory lock. Writers hold the lock shared, a migration holds it exclusively."""


def is_shared(connection: Connection) -> bool:
    """Return whether the database is PostgreSQL, where several transactions can write at the same time."""
    return connection.dialect.name == "postgresql"


def insert_into(connection: Connection, table: Table) -> Insert:
    """Return an ``insert`` that accepts an ``on conflict`` clause."""
    return insert_for(is_shared(connection), table)


def insert_for(shared: bool, table: Table) -> Insert:
    """Return an ``insert`` as :func:`insert_into` does; ``shared`` is whether the database is PostgreSQL.

    Only the dialect in use is imported, because each takes megabytes of memory.
    """
    if shared:
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def split_chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split ``values`` into chunks that fit into an ``in (...)`` list. No values give no chunks."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def lock_rows(connection: Connection, column: Column[str], keys: Iterable[str]) -> None:
    """Lock the existing rows among ``keys``, always in the same order, so that two writers cannot deadlock.

    SQLite needs no such locks, because a writer locks the whole database.
    """
    if is_shared(connection):
        for chunk in split_chunks(sorted(set(keys))):
            locked = select(column).where(column.in_(chunk)).order_by(column)
            connection.execute(locked.with_for_update(key_share=True)).all()


def read_data_version(connection: Connection) -> str:
    """Return a value that changes when another connection has committed. No table is read."""
    if is_shared(connection):
        # Each transaction that writes gets the next transaction id; this is the next id to be assigned.
        return str(connection.exec_driver_sql("select pg_snapshot_xmax(pg_current_snapshot())").scalar_one())
    return str(connection.exec_driver_sql("pragma data_version").scalar_one())


def read_size(connection: Connection) -> int:
    """Return the size of the database in bytes, without the write-ahead log."""
    if is_shared(connection):
        asked = text("select pg_database_size(current_database())")
        return int(connection.execute(asked).scalar_one())
    pages = connection.exec_driver_sql("pragma page_count").scalar_one()
    return int(pages) * int(connection.exec_driver_sql("pragma page_size").scalar_one())


def read_clock(connection: Connection) -> int:
    """Return the time of the database server's clock, in microseconds since 1970-01-01 00:00 UTC."""
    now = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
    return int(connection.exec_driver_sql(now).scalar_one())


def lock_revision(connection: Connection) -> str:
    """Return the schema's revision and lock it until this transaction ends."""
    revision = "select version_num from alembic_version"
    if not is_shared(connection):
        return str(connection.exec_driver_sql(revision).scalar() or "")
    # Two statements in one message, which saves a round trip. Each takes its own snapshot, so the second sees
    # a migration that was committed while the first waited for the lock.
    both = f"select pg_advisory_xact_lock_shared({WRITERS}); {revision}"
    cursor = connection.execution_options(no_parameters=True).exec_driver_sql(both).cursor
    cursor.nextset()
    row = cursor.fetchone()
    return str(row[0]) if row else ""


def notify_others(connection: Connection, channel: str, who: str) -> None:
    """Notify the processes that listen on ``channel`` when this transaction commits.

    Args:
        who: the payload, with which a process recognizes its own notifications.
    """
    connection.execute(text("select pg_notify(:channel, :who)"), {"channel": channel, "who": who})
