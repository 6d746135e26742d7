"""Set rows apart that this process cannot read, so that they harm nothing else.

Rules that hold here:

- A row that is set apart stays in the database as it is. What hangs on it waits.
- Each process judges for itself: another node may have a newer time zone database, and sends what this one
  cannot read. So the quarantine is in memory, and a process that starts begins with an empty one.
- The queries for due work leave out what is set apart. It would come first for ever, because it is due and
  stays due.
- :func:`inspect` looks again at what is set apart, and releases what can be read again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    Row,
    Select,
    Table,
    cast,
    func,
    select,
    true,
    tuple_,
)

from alertd.core.ledger.unreadable import TABLES, Unreadable
from alertd.errors import UnreadableRow
from alertd.store import other_rows, rows, schema
from alertd.store.database.dialect import is_shared
from alertd.store.statements import Values, is_not_among, pack_texts

T = TypeVar("T")

OPTION = "alertd_quarantine"
"""The execution option of a connection that holds the quarantine."""

MAX_ROWS = 100_000
"""How many rows are remembered as set apart. Any others are found again each time that they are read."""

MAX_CHECKED = 20
"""How many of the rows that are set apart one inspection reads again, beside its limit."""

MAX_REPORTED = 1_000
"""How many rows an inspection returns, and how many that wait for an instant that is none it reads."""

Decode = Callable[[Row[Any]], object]


class Quarantine:
    """The rows that one process has set apart. Its methods may be called in any thread."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, object], UnreadableRow] = {}
        self._released: set[object] = set()
        self._places: dict[str, str] = {}
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, error: UnreadableRow) -> None:
        """Set a row apart. A row without a reason waits for another row, and is not listed."""
        with self._lock:
            if len(self._rows) < MAX_ROWS:
                self._rows[error.table, error.key] = error

    def discard(self, table: str, keys: Iterable[object]) -> None:
        """Release rows, if they are set apart."""
        with self._lock:
            for key in keys:
                released = self._rows.pop((table, key), None)
                if released and table == "delivery" and len(self._released) < MAX_ROWS:
                    self._released.add(key)

    def was_apart(self, delivery: str) -> bool:
        """Return whether a delivery was set apart, and has not been settled since it was released."""
        return delivery in self._released

    def forget_apart(self, deliveries: Iterable[str]) -> None:
        """Forget that deliveries were set apart, because they have been settled."""
        with self._lock:
            self._released.difference_update(deliveries)

    def list_keys(self, table: str) -> list[object]:
        """List the keys of the rows of a table that are set apart."""
        with self._lock:
            return [key for name, key in self._rows if name == table]

    def list_rows(self, limit: int) -> list[Unreadable]:
        """List the rows that are set apart, those of one table together."""
        with self._lock:
            listed = [error for error in self._rows.values() if error.reason]
        listed.sort(key=lambda error: (TABLES.index(error.table), str(error.key)))
        return [
            Unreadable(table=error.table, key=_name_key(error.key), why=error.reason, zone=error.zone)
            for error in listed[:limit]
        ]

    def take_batch(self, limit: int) -> list[tuple[str, object]]:
        """Return rows to look at again. Repeated calls go through all of them, the oldest first."""
        with self._lock:
            batch = list(self._rows)[:limit]
            for name in batch:
                self._rows[name] = self._rows.pop(name)
        return batch

    def find_place(self, table: str) -> str:
        """Return the key after which the next inspection of a table begins, as JSON; "" for its beginning."""
        return self._places.get(table, "")

    def move_on(self, table: str, place: str) -> None:
        """Have the next inspection of a table begin after the key ``place``."""
        self._places[table] = place


def _name_key(key: object) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    return " ".join(part if isinstance(part, str) else repr(part) for part in parts)[:300]


def find_quarantine(connection: Connection) -> Quarantine:
    """Return the quarantine of the database of this connection."""
    found: Quarantine = connection.get_execution_options()[OPTION]
    return found


def decode_readable(
    connection: Connection, decode: Callable[[Row[Any]], T], found: Iterable[Row[Any]]
) -> list[T]:
    """Decode rows, and set those apart that cannot be read."""
    return [value for _, value in pair_readable(connection, decode, found)]


def pair_readable(
    connection: Connection, decode: Callable[[Row[Any]], T], found: Iterable[Row[Any]]
) -> Iterator[tuple[Row[Any], T]]:
    """Decode rows, each beside its value, and set those apart that cannot be read."""
    for row in found:
        try:
            value = decode(row)
        except UnreadableRow as error:
            find_quarantine(connection).add(error)
            continue
        yield row, value


def read_limited(
    connection: Connection, statement: Select[Any], decode: Callable[[Row[Any]], T], limit: int
) -> list[tuple[Row[Any], T]]:
    """Read at most ``limit`` rows. Rows that cannot be read are left out and do not count."""
    asked = limit
    while True:
        found = connection.execute(statement.limit(asked)).all()
        readable = list(pair_readable(connection, decode, found))
        if len(readable) >= limit or len(found) < asked:
            return readable[:limit]
        asked *= 4


def is_sound(column: ColumnElement[int] | Column[int]) -> ColumnElement[bool]:
    """Return the condition that a column holds an instant. SQLite keeps texts there, too."""
    return column.between(rows.MIN_INSTANT, rows.MAX_INSTANT)


def is_outside(
    shared: bool, table: str, column: ColumnElement[str], values: Values = MappingProxyType({})
) -> ColumnElement[bool]:
    """Return the condition that a column holds no key of a row of ``table`` that is set apart.

    Args:
        values: the values of the parameters, as :func:`pack_apart` returns them, for a statement that is
            built anew. A statement that is built once gets them when it runs.
    """
    texts = is_not_among(shared, column, f"apart_{table}", values)
    # A key that is no text in UTF-8 is in no list of texts. PostgreSQL has no such keys.
    return texts if shared else texts & is_not_among(shared, func.hex(column), f"odd_{table}", values)


def pack_apart(connection: Connection) -> dict[str, object]:
    """Return the values of the parameters of :func:`is_outside` for all tables; none if nothing is apart."""
    quarantine = find_quarantine(connection)
    values: dict[str, object] = {}
    for table in ("milestone", "owed", "delivery") if quarantine else ():
        keys = quarantine.list_keys(table)
        values[f"apart_{table}"] = pack_texts(connection, (key for key in keys if isinstance(key, str)))
        odd = (key.hex().upper() for key in keys if isinstance(key, bytes))
        values[f"odd_{table}"] = pack_texts(connection, odd)
    return values


def is_not_apart(connection: Connection, table: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition of :func:`is_outside` for a statement that is built anew."""
    values = pack_apart(connection)
    return is_outside(is_shared(connection), table, column, values) if values else true()


def is_readable(
    shared: bool,
    apart: bool,
    owed: FromClause = schema.owed,
    values: Values = MappingProxyType({}),
) -> ColumnElement[bool]:
    """Return the condition that neither a reminder nor its milestone is set apart.

    Args:
        apart: whether any rows are set apart.
        values: as for :func:`is_outside`.
    """
    if not apart:
        return true()
    of_milestone = is_outside(shared, "milestone", owed.c.milestone, values)
    return is_outside(shared, "owed", owed.c.key, values) & of_milestone


def is_readable_reminder(connection: Connection) -> ColumnElement[bool]:
    """Return the condition of :func:`is_readable` for a statement that is built anew."""
    values = pack_apart(connection)
    return is_readable(is_shared(connection), bool(values), values=values)


def _decode_member(row: Row[Any]) -> None:
    for lacks, what in ((row.carried is None, "reminder"), (row.carrying is None, "delivery")):
        if lacks:
            raise UnreadableRow("member", (row.delivery, row.position), f"there is no {what} for it")


def _select_rows(table: Table) -> Select[Any]:
    if table is not schema.member:
        return select(table)
    carried, carrying = schema.owed.c.key.label("carried"), schema.delivery.c.id.label("carrying")
    joined = table.outerjoin(schema.owed, schema.owed.c.key == table.c.key)
    joined = joined.outerjoin(schema.delivery, schema.delivery.c.id == table.c.delivery)
    return select(table, carried, carrying).select_from(joined)


_INSPECTED: tuple[tuple[Table, Decode], ...] = (
    (schema.milestone, rows.decode_record),
    (schema.owed, rows.decode_owed),
    (schema.delivery, lambda row: rows.decode_delivery(row, ())),
    (schema.member, _decode_member),
    (schema.attempt, other_rows.decode_attempt),
    (schema.history, other_rows.decode_entry),
    (schema.next_digest, other_rows.decode_digest),
    (schema.remembered, other_rows.decode_state),
    (schema.node, other_rows.decode_node),
)
"""The tables that are inspected. The others hold nothing that is decoded."""


def inspect(connection: Connection, limit: int) -> list[Unreadable]:
    """Look for rows that cannot be read; see :meth:`alertd.ports.LedgerReader.find_unreadable`."""
    quarantine = find_quarantine(connection)
    check_again(connection, limit + MAX_CHECKED)
    for table, decode in _INSPECTED if limit else ():
        _inspect_next(connection, quarantine, table, decode, limit)
    _inspect_waiting(connection)
    return quarantine.list_rows(MAX_REPORTED)


def check_again(connection: Connection, limit: int = MAX_CHECKED) -> None:
    """Release the rows that can be read by now, and those that are gone.

    Args:
        limit: the maximum number of rows to read.
    """
    quarantine = find_quarantine(connection)
    if not quarantine:
        return
    by_table: dict[str, list[object]] = {}
    for table, key in quarantine.take_batch(limit):
        by_table.setdefault(table, []).append(key)
    for its_table, decode in _INSPECTED:
        columns = list(its_table.primary_key)
        for key in by_table.get(its_table.name, ()):
            parts = key if isinstance(key, tuple) else (key,)
            same = [_equals(column, part) for column, part in zip(columns, parts, strict=True)]
            row = connection.execute(_select_rows(its_table).where(*same)).first()
            try:
                if row is not None:
                    decode(row)
                    _check_references(connection, its_table, row)
            except UnreadableRow as error:
                quarantine.add(error)
                continue
            quarantine.discard(its_table.name, [key])


def _equals(column: Column[Any], value: object) -> ColumnElement[bool]:
    return cast(column, LargeBinary) == value if isinstance(value, bytes) else column == value


def _check_references(connection: Connection, table: Table, row: Row[Any]) -> None:
    """Raise UnreadableRow if a reminder has no milestone, or no reminder of a delivery can be read."""
    if table is schema.owed:
        its = select(schema.milestone.c.id).where(schema.milestone.c.id == row.milestone)
        if connection.execute(its).first() is None:
            raise make_orphan(row.key, row.milestone)
    elif table is schema.delivery and row.notice is None and row.edition is None:
        carried = (
            select(schema.owed)
            .select_from(schema.member)
            .join(schema.owed, schema.owed.c.key == schema.member.c.key)
            .where(schema.member.c.delivery == row.id)
        )
        found = connection.execute(carried).all()
        readable = decode_readable(connection, rows.decode_owed, found)
        names = sorted({owed.milestone for owed in readable})
        records = connection.execute(select(schema.milestone).where(schema.milestone.c.id.in_(names))).all()
        if not decode_readable(connection, rows.decode_record, records):
            raise make_held(row.id, is_empty=not found)


def make_orphan(key: object, milestone: object) -> UnreadableRow:
    """Return the error for a reminder whose milestone has no row."""
    return UnreadableRow("owed", key, f"there is no milestone {milestone!r}")


def make_held(delivery: object, *, is_empty: bool) -> UnreadableRow:
    """Return the error for a delivery none of whose reminders can be read.

    The error has no reason, because the rows of the reminders have theirs, unless the delivery carries none.
    """
    return UnreadableRow("delivery", delivery, "it carries no reminder" if is_empty else "")


def _inspect_next(
    connection: Connection, quarantine: Quarantine, table: Table, decode: Decode, limit: int
) -> None:
    """Read the next rows of a table in the order of its primary key, and begin again at its end."""
    columns = list(table.primary_key)
    statement = _select_rows(table).order_by(*columns).limit(limit)
    place = quarantine.find_place(table.name)
    if place:
        statement = statement.where(tuple_(*columns) > tuple_(*json.loads(place)))
    found = connection.execute(statement).all()
    decode_readable(connection, decode, found)
    last = [getattr(found[-1], column.name) for column in columns] if len(found) == limit else []
    # A key that is no text and no number ends the round early, which begins again then.
    is_plain = all(isinstance(part, (str, int)) for part in last)
    quarantine.move_on(table.name, json.dumps(last) if last and is_plain else "")


def _inspect_waiting(connection: Connection) -> None:
    """Find what waits for an instant that is none, because no query for due work finds it."""
    for column, is_waiting, decode in (
        (schema.owed.c.wake_at, schema.IS_PENDING, rows.decode_owed),
        (schema.delivery.c.next_at, schema.IS_READY, lambda row: rows.decode_delivery(row, ())),
    ):
        # Two queries, because each reads a range of an index.
        for unsound in (column < rows.MIN_INSTANT, column > rows.MAX_INSTANT):
            statement = select(column.table).where(is_waiting, unsound).limit(MAX_REPORTED)
            decode_readable(connection, decode, connection.execute(statement))
