"""Where SQLite and PostgreSQL differ: the only module that knows which of the two it speaks to.

``for update skip locked`` needs no entry here: SQLAlchemy leaves it out for SQLite, where who writes has
the whole database to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

Insert = sqlite.Insert | postgresql.Insert

CHUNK = 500
"""How many values one ``in (...)`` lists: well under what either database takes."""


def insert_into(connection: Connection, table: Table) -> Insert:
    """An ``insert`` that can be given an ``on conflict``."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """``values`` in pieces that one ``in (...)`` takes; none when there are none."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def data_version(connection: Connection) -> str:
    """A value that changes when somebody else has written, without a look at any table."""
    if connection.dialect.name == "postgresql":
        # Every transaction that has written has taken a number, and this is the next one.
        return str(connection.exec_driver_sql("select pg_snapshot_xmax(pg_current_snapshot())").scalar_one())
    return str(connection.exec_driver_sql("pragma data_version").scalar_one())
