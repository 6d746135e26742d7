"""What 1,000 deliveries cost in the ledger, in numbers that do not depend on the machine.

Each statement more on this path, and each row that is read in vain, makes every delivery cost more. These
tests find such a change, which then needs a reason.
"""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from alertd.core.ledger.records import Known
from alertd.core.planning.decide import Decisions
from alertd.ports import Changes, LostLeases
from alertd.store import open_ledger
from alertd.store.sql import SqlLedger
from tests.contract.samples import DAY, NOW, a_delivery, a_record, an_owed, bound, sent, take
from tests.postgres import Server, make_template, server, virtual_ledger

T = TypeVar("T")

DELIVERIES = 1_000
BIND = 500
GROUP = 200
KNOWN = Known(receivers=frozenset({"desk"}), channels=frozenset({"desk/hook"}), digests=frozenset())
STEPS = 100
"""After how many instructions of its virtual machine SQLite reports a step."""


@dataclass
class Counts:
    """Counts statements, rows that they write, rows that they return, and SQLite's steps, by method."""

    statements: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    method: str = ""

    async def count(self, method: str, call: Awaitable[T]) -> T:
        self.method = method
        try:
            return await call
        finally:
            self.method = ""

    def see_statement(self, _connection: Any, cursor: Any, sql: str, values: Any, *rest: Any) -> None:
        if not self.method:
            return
        self.statements[self.method] += 1
        if sql.lower().startswith(("insert", "update", "delete")):
            self.written[self.method] += len(values) if isinstance(values, list) else cursor.rowcount
        elif cursor.rowcount > 0:
            # PostgreSQL tells how many rows a query returns. SQLite gives each row to ``see_row``.
            self.returned[self.method] += cursor.rowcount

    def see_row(self, _cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        self.returned[self.method] += 1
        return row

    def see_step(self) -> None:
        self.steps[self.method] += 1

    def watch(self, connection: Connection) -> None:
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.row_factory = self.see_row
            driver.set_progress_handler(self.see_step, STEPS)


@contextmanager
def counting() -> Iterator[Counts]:
    counts = Counts()
    event.listen(Engine, "after_cursor_execute", counts.see_statement)
    yield counts
    event.remove(Engine, "after_cursor_execute", counts.see_statement)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with server() as made:
        make_template(made)
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlLedger]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            made = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
        else:
            postgres: Server = request.getfixturevalue("postgres")
            made = await virtual_ledger(stack.enter_context(postgres.database()))
        yield made
        await made.close()


async def schedule(ledger: SqlLedger, number: int, name: str, *, days: int = 0) -> None:
    """Schedule reminders of distinct milestones that are due in ``days``, each with one that follows."""
    ids = [f"{name}/m{place}" for place in range(number)]
    at = NOW + days * DAY
    due = [an_owed(f"{it} due", milestone=it, at=at) for it in ids]
    following = [an_owed(f"{it} following", milestone=it, offset="-1d", at=at + DAY) for it in ids]
    await ledger.apply(Changes(records=tuple(map(a_record, ids)), owed=(*due, *following)))


async def deliver(ledger: SqlLedger, counts: Counts) -> int:
    """Bind, lease and settle all that is due. Return how many deliveries there were."""
    await ledger.read(counts.watch)
    while due := await counts.count("find_due", ledger.find_due(NOW, BIND)):
        keys = [owed.key for owed, _ in due]
        decisions = Decisions(deliveries=tuple(map(a_delivery, keys)), verdicts=tuple(map(bound, keys)))
        assert await counts.count("bind", ledger.bind(decisions))
    settled = 0
    asked = {"most": {"desk/hook": GROUP}, "lost": LostLeases.LEFT_OUT, "known": KNOWN}
    while leases := await counts.count("lease", take(ledger, limit=GROUP, **asked)):
        settlements = [sent(lease) for lease in leases]
        assert not await counts.count("settle", ledger.settle(settlements))
        await counts.count("find_next_wake", ledger.find_next_wake(NOW, lost=False, known=KNOWN))
        settled += len(leases)
    return settled


async def test_deliveries_take_few_statements(ledger: SqlLedger) -> None:
    """A group of deliveries takes the same few statements whatever its size, and each writes what it must."""
    await schedule(ledger, DELIVERIES, "t")
    is_sqlite = ledger.watch_file() is not None

    with counting() as counts:
        assert await deliver(ledger, counts) == DELIVERIES

    groups, batches = DELIVERIES // GROUP, DELIVERIES // BIND
    # Each transaction begins with a statement on SQLite. One that writes reads the revision of the schema.
    begin = 1 if is_sqlite else 0
    assert counts.statements == {
        # The due reminders, and their records. The last call finds nothing.
        "find_due": batches * (begin + 2) + begin + 1,
        # The states, the verdicts, the deliveries, and their members.
        "bind": batches * (begin + 1 + 4),
        # The candidates, members, records, leases, reminders that follow, and states of the notifiers.
        "lease": groups * (begin + 1 + 6) + begin + 1 + 1,
        # The fences, the settlements, the attempts, and what was told, whose rows PostgreSQL locks first.
        "settle": groups * (1 + 5),
        "find_next_wake": groups * (begin + 1),
    }
    assert counts.written == {
        "bind": 3 * DELIVERIES,
        "lease": DELIVERIES,
        "settle": 3 * DELIVERIES,
    }
    # A revision for each transaction that writes, and a row with the next wake-up.
    assert counts.returned == {
        "find_due": 2 * DELIVERIES,
        "bind": DELIVERIES + batches,
        "lease": 4 * DELIVERIES + groups + 1,
        "settle": (1 if is_sqlite else 2) * DELIVERIES + groups,
        "find_next_wake": groups,
    }


async def test_idle_milestones_and_old_deliveries_cost_nothing(tmp_path: Path) -> None:
    """What is not due and what was sent long ago is not read, so it adds almost nothing to SQLite's work."""
    steps = []
    for idle in (0, 2_000):
        ledger = await open_ledger(f"sqlite:///{tmp_path}/{idle}.db")
        if idle:
            await schedule(ledger, idle, "sent")
            await deliver(ledger, Counts())
            await schedule(ledger, idle, "idle", days=30)
        await schedule(ledger, GROUP, "t")
        with counting() as counts:
            assert await deliver(ledger, counts) == GROUP
        await ledger.close()
        steps.append(counts.steps)

    before, after = steps
    for method in before:
        assert after[method] <= before[method] * 1.1 + 5, method


async def test_backlog_of_a_channel_that_is_shut_costs_nothing(tmp_path: Path) -> None:
    """The next wake-up does not read the backlog of a channel that lets nothing through."""
    ledger = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    await schedule(ledger, DELIVERIES, "t")
    due = [owed.key for owed, _ in await ledger.find_due(NOW, DELIVERIES)]
    made = tuple(map(a_delivery, due))
    assert await ledger.bind(Decisions(deliveries=made, verdicts=tuple(map(bound, due))))

    with counting() as counts:
        await ledger.read(counts.watch)
        shut = frozenset({"desk/hook"})
        await counts.count("find_next_wake", ledger.find_next_wake(NOW, shut, lost=False, known=KNOWN))
        taken = await counts.count("lease", take(ledger, most={"desk/hook": 0}, known=KNOWN))
    await ledger.close()

    assert not taken
    assert counts.steps["find_next_wake"] <= 10
    assert counts.steps["lease"] <= 10
