"""Run statements whose SQL is made once, for what the daemon does at every turn.

SQLAlchemy makes the SQL of a statement, or the key under which its cache has that SQL, from all parts of the
statement each time that it runs. For a turn of the daemon this costs more than the database's own work. So a
function that builds such a statement runs once for each dialect and each shape, and :func:`run` passes the
SQL and the values to the driver through SQLAlchemy, which still translates errors and reports each statement.

- A statement holds no values but constants. Values are parameters, by name.
- A list of texts is one parameter, so that the SQL is the same for lists of all lengths: an array on
  PostgreSQL, and JSON on SQLite. See :func:`is_among` and :func:`pack_texts`.
- What a statement has only sometimes is its shape: arguments of the function that builds it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    URL,
    ClauseElement,
    ColumnElement,
    Connection,
    CursorResult,
    FromClause,
    Row,
    Text,
    all_,
    any_,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.sql.compiler import SQLCompiler

from alertd.store.database.dialect import is_shared

if TYPE_CHECKING:
    from sqlalchemy import Dialect

Build = Callable[..., ClauseElement]
"""Builds a statement. The first argument is whether the database is PostgreSQL, and the rest is the shape."""

Values = Mapping[str, Any]

_POSTGRES = URL.create("postgresql+psycopg")

_STATEMENTS = 256
"""How many statements stay in memory: about 20 builders, with a few shapes each."""


def fetch(connection: Connection, build: Build, values: Values, *shape: Any) -> Sequence[Row[Any]]:
    """Run the statement that ``build`` builds, with these values of its parameters, and return all rows."""
    return _run(connection, build, values, *shape).all()


def run(connection: Connection, build: Build, values: Values, *shape: Any) -> None:
    """Run a statement that writes, with these values of its parameters."""
    _run(connection, build, values, *shape)


def _run(connection: Connection, build: Build, values: Values, *shape: Any) -> CursorResult[Any]:
    sql, constants = _make_sql(build, is_shared(connection), *shape)
    return connection.exec_driver_sql(sql, {**constants, **values})


def run_many(connection: Connection, build: Build, values: Sequence[Values], *shape: Any) -> None:
    """Run a statement that writes, once for each of ``values``. Without any, nothing is run."""
    if not values:
        return
    sql, constants = _make_sql(build, is_shared(connection), *shape)
    if constants:
        values = [{**constants, **its} for its in values]
    connection.exec_driver_sql(sql, list(values))


@lru_cache(maxsize=_STATEMENTS)
def _make_sql(build: Build, shared: bool, *shape: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the SQL of a statement, and the values of the parameters that are constants."""
    compiled = build(shared, *shape).compile(dialect=_make_dialect(shared))
    assert isinstance(compiled, SQLCompiler)  # noqa: S101  for mypy: it compiles all statements
    constants = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
    return compiled.string, constants


def _make_dialect(shared: bool) -> Dialect:
    """Return the dialect of the database in use. Only that one is imported, since each takes megabytes."""
    if shared:
        return _POSTGRES.get_dialect()()
    from sqlalchemy.dialects import sqlite

    return sqlite.pysqlite.dialect(paramstyle="named")


def is_among(shared: bool, column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the condition that a column holds a text of the list in the parameter ``name``."""
    if shared:
        return column == any_(bindparam(name, type_=ARRAY(Text)))
    return column.in_(select(func.json_each(bindparam(name, type_=Text)).table_valued("value").c.value))


def is_not_among(
    shared: bool, column: ColumnElement[str], name: str, values: Values = MappingProxyType({})
) -> ColumnElement[bool]:
    """Return the condition that a column holds no text of the list in the parameter ``name``.

    Args:
        values: has the value of the parameter for a statement that is not run by :func:`run`.
    """
    bind = bindparam(name, values.get(name), type_=ARRAY(Text) if shared else Text, required=not values)
    if shared:
        return column != all_(bind)
    return column.not_in(select(func.json_each(bind).table_valued("value").c.value))


def pack_texts(connection: Connection, texts: Iterable[str]) -> object:
    """Return the value of a parameter of :func:`is_among` or :func:`is_not_among`."""
    return list(texts) if is_shared(connection) else json.dumps(list(texts))


def unpack_pairs(shared: bool, name: str) -> tuple[FromClause, ColumnElement[str], ColumnElement[str]]:
    """Return the rows of the list of pairs in the parameter ``name``, and the two columns of the rows."""
    if shared:
        lists = (bindparam(f"{name}_{number}", type_=ARRAY(Text)) for number in (1, 2))
        pairs = func.unnest(*lists).table_valued("first", "second").render_derived(name=name)
        return pairs, pairs.c.first, pairs.c.second
    packed = func.json_each(bindparam(name, type_=Text)).table_valued("value", name=name)
    first, second = (func.json_extract(packed.c.value, text(f"'$[{place}]'")) for place in (0, 1))
    return packed, first, second


def pack_pairs(connection: Connection, name: str, pairs: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Return the values of the parameters of :func:`unpack_pairs`."""
    if not is_shared(connection):
        return {name: json.dumps(pairs)}
    return {f"{name}_1": [first for first, _ in pairs], f"{name}_2": [second for _, second in pairs]}
