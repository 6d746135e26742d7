"""A reload and a restart cost what has changed, not what there is: counts of files, statements and rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from alertd.store import migrate, open_ledger
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.files import Site, timeline

OF_EACH = 30


@dataclass(slots=True)
class Count:
    """What a piece of work did.

    Attributes:
        statements: how many SQL statements it ran.
    """

    statements: int = 0


@contextmanager
def counting() -> Iterator[Count]:
    """Count the statements of all databases."""
    count = Count()

    def note(*_args: Any) -> None:
        count.statements += 1

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def a_file(number: int, **changed: str) -> str:
    milestones = {f"m{at:02}": f"2026-{10 + at % 3}-{1 + at % 28:02}" for at in range(OF_EACH)}
    return timeline(f"t{number:02}", **milestones | changed)


async def _measure(path: Path, files: int) -> dict[str, tuple[int, int, int, int]]:
    """Return files parsed, timelines read, records written and statements, for each piece of work."""
    site = Site(path / "config", MemoryLedger())
    url = f"sqlite:///{path}/ledger.db"
    await migrate(url)
    site.ledger = ledger = await open_ledger(url)
    for number in range(files):
        site.write(f"t{number:02}", a_file(number))
    found = {}
    for name in ("first", "restart", "reload", "edit", "restart again"):
        if name == "edit":
            site.write("t01", a_file(1, m03="2026-12-24"))
        parsed = 0 if "restart" in name else site.folder.parsed
        with counting() as count:
            report = await (site.restart if "restart" in name else site.reload)()
        changed = len(report.loaded) + len(report.moved)
        found[name] = (site.folder.parsed - parsed, len(site.read), changed, count.statements)
    await ledger.close()
    return found


async def test_one_changed_file_costs_the_same_among_few_and_many(tmp_path: Path) -> None:
    """Of 4 files or of 24: one is parsed, one is read, one milestone is compared with its record."""
    few = await _measure(tmp_path / "few", 4)
    many = await _measure(tmp_path / "many", 24)

    assert (few["first"][:3], many["first"][:3]) == ((4, 4, 120), (24, 24, 720))
    assert few["edit"] == many["edit"]
    assert few["edit"][:3] == (1, 1, 1)
    assert few["edit"][3] <= MOST_FOR_EDIT


async def test_nothing_changed_costs_the_same_among_few_and_many(tmp_path: Path) -> None:
    """A restart and a reload with unchanged files parse no file and read no milestone."""
    few = await _measure(tmp_path / "few", 4)
    many = await _measure(tmp_path / "many", 24)

    for name in ("restart", "reload", "restart again"):
        assert few[name] == many[name]
        assert few[name][:3] == (0, 0, 0)
        assert few[name][3] <= MOST_FOR_NOTHING


MOST_FOR_EDIT = 40
"""How many statements one changed milestone may cost, those of the transactions included."""

MOST_FOR_NOTHING = 14
"""How many statements a reload may cost in which nothing has changed."""
