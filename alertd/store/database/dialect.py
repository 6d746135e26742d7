"""Where SQLite and PostgreSQL differ: the only module that knows which of the two it speaks to.

``for update skip locked`` needs no entry here: SQLAlchemy leaves it out for SQLite, where who writes has
the whole database to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Column, Connection, Table, select, text
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

Insert = sqlite.Insert | postgresql.Insert

CHUNK = 500
"""How many values one ``in (...)`` lists: well under what either database takes."""


WRITERS = 7_215_001
"""Of PostgreSQL's advisory locks the one that every writer holds with others, and a migration alone."""


def is_shared(connection: Connection) -> bool:
    """Whether it is PostgreSQL: others may be in the midst of writing while we write."""
    return connection.dialect.name == "postgresql"


def insert_into(connection: Connection, table: Table) -> Insert:
    """An ``insert`` that can be given an ``on conflict``."""
    if is_shared(connection):
        return postgresql.insert(table)
    return sqlite.insert(table)


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """``values`` in pieces that one ``in (...)`` takes; none when there are none."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def lock_rows(connection: Connection, column: Column[str], keys: Iterable[str]) -> None:
    """Lock those of the rows that are there in one order, so that two writers never wait for each other.

    SQLite needs none: who writes has the whole database.
    """
    if is_shared(connection):
        for some in chunks(sorted(set(keys))):
            locked = select(column).where(column.in_(some)).order_by(column)
            connection.execute(locked.with_for_update(key_share=True)).all()


def data_version(connection: Connection) -> str:
    """A value that changes when somebody else has written, without a look at any table."""
    if is_shared(connection):
        # Every transaction that has written has taken a number, and this is the next one.
        return str(connection.exec_driver_sql("select pg_snapshot_xmax(pg_current_snapshot())").scalar_one())
    return str(connection.exec_driver_sql("pragma data_version").scalar_one())


def size_of(connection: Connection) -> int:
    """Bytes of the database on the disk, without the log of what was written last."""
    if is_shared(connection):
        asked = text("select pg_database_size(current_database())")
        return int(connection.execute(asked).scalar_one())
    pages = connection.exec_driver_sql("pragma page_count").scalar_one()
    return int(pages) * int(connection.exec_driver_sql("pragma page_size").scalar_one())


def time_of(connection: Connection) -> int:
    """The database's own clock, in microseconds since 1970."""
    now = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
    return int(connection.exec_driver_sql(now).scalar_one())


def writers_revision(connection: Connection) -> str:
    """The schema's revision, which does not change before this transaction ends."""
    revision = "select version_num from alembic_version"
    if not is_shared(connection):
        return str(connection.exec_driver_sql(revision).scalar() or "")
    # Two statements in one message: the second must see what was committed while the first waited.
    both = f"select pg_advisory_xact_lock_shared({WRITERS}); {revision}"
    cursor = connection.execution_options(no_parameters=True).exec_driver_sql(both).cursor
    cursor.nextset()
    row = cursor.fetchone()
    return str(row[0]) if row else ""


def tell_others(connection: Connection, channel: str, who: str) -> None:
    """A hint to whoever listens, when this transaction has been committed."""
    connection.execute(text("select pg_notify(:channel, :who)"), {"channel": channel, "who": who})
