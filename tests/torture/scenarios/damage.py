"""Rows of the ledger damaged with SQL while the node runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.torture import promised
from tests.torture.arena import OPERATOR, Arena, Size

STARTS_S = 14.0
"""How long after it is promised the first of it falls due: the node has read it by then."""

TAKES_S = 90.0
"""How long whatever is not damaged may take, and what the node writes again by itself."""

HEARD_S = 90.0
"""How long the operator may wait for the notice; the node looks every second, and audits every minute."""

STANDING = "update milestone set standing = ? where id = ?"
"""What people did is in no file, so the node cannot write it again."""

ZONE = 'update milestone set snapshot = replace(snapshot, \'"zone":"\', \'"zone":"Nowhere/\') where id = ?'
WAKES = "update owed set wake_at = 'soon' where milestone = ?"
SLOT = "update owed set slot = x'00ff' where milestone = ?"
"""The node writes these again from the definition files."""


async def unreadable_rows(arena: Arena, size: Size) -> None:
    """A third of the milestones damaged before they fall due; some of them mended with SQL in the end."""
    arena.configure()
    for number in range(size.rounds):
        before = set(arena.owed())
        begin = promised.soon(STARTS_S)
        arena.promise(size.milestones // size.rounds, span_s=6.0, begin=begin, name=f"t{number}x")
        await _damage_some(arena, sorted({name for _, name in arena.owed().keys() - before}))
        await arena.finish()
    arena.demand(bool(arena.events("row.refused")), "no event names a row")
    arena.demand(bool(arena.events("row.recovered")), "no event says that a row can be read again")


async def _damage_some(arena: Arena, names: list[str]) -> None:
    node = arena.nodes[0] if arena.nodes else arena.node("a")
    await node.ready()
    loaded = await arena.bell.happens(STARTS_S, lambda: _count(arena, names) == len(names))
    arena.demand(loaded, "the node has not read its files before they fall due")
    arena.rng.shuffle(names)
    third = max(4, len(names) // 3)
    lost, mended = names[: third // 2], names[third // 2 : third]
    _write(arena, [(STANDING, ("{", name)) for name in lost])
    _write(arena, [(arena.rng.choice((ZONE, WAKES, SLOT)), (name,)) for name in mended])
    arena.count("rows damaged", third)
    others = {key for key in arena.owed() if key[1] not in lost}
    arrived = await arena.bell.happens(TAKES_S, lambda: others <= arena.receipts.accepted)
    arena.demand(arrived, f"held up by others: {sorted(others - arena.receipts.accepted)[:5]}")
    early = [key for key in arena.receipts.accepted if key[1] in lost]
    arena.demand(not early, f"sent, although it cannot be read: {early[:3]}")
    heard = await arena.bell.happens(HEARD_S, lambda: _is_told(arena, lost))
    arena.demand(heard, f"the operator was told of none of {lost[:5]}")
    _write(arena, [(STANDING, ("{}", name)) for name in lost])
    arena.count("rows mended with SQL", len(lost))


def _is_told(arena: Arena, names: Sequence[str]) -> bool:
    notices = [one for one in arena.receipts.read() if one.receiver == OPERATOR and one.accepted]
    return any(name in one.text for one in notices for name in names)


def _count(arena: Arena, names: Sequence[str]) -> int:
    marks = ", ".join("?" * len(names))
    with closing(sqlite3.connect(_path(arena))) as connection:
        query = f"select count(distinct milestone) from owed where milestone in ({marks})"
        return int(connection.execute(query, tuple(names)).fetchone()[0])


def _write(arena: Arena, statements: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    with closing(sqlite3.connect(_path(arena), timeout=10)) as connection, connection:
        for statement, values in statements:
            connection.execute(statement, values)


def _path(arena: Arena) -> Path:
    return Path(arena.database.removeprefix("sqlite:///"))
