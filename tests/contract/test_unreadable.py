"""Rows that cannot be read, in SQLite and in PostgreSQL: each is set apart, named, and harms nothing else."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from alertd.core.ledger.records import DeliveryState
from alertd.core.ledger.unreadable import Unreadable, advise, summarize_unreadable
from alertd.errors import UnreadableRow
from alertd.ports import Changes
from alertd.store import open_ledger
from alertd.store.quarantine import find_quarantine
from alertd.store.sql import SqlLedger
from tests.contract.samples import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    a_delivery,
    a_notice,
    a_record,
    again,
    an_entry,
    an_owed,
    bind,
    fill,
    sent,
    take,
)
from tests.postgres import Server, virtual_ledger

GONE = "t/gone"
GOOD = "t/good"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlLedger]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            made = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
        else:
            server: Server = request.getfixturevalue("postgres")
            made = await virtual_ledger(stack.enter_context(server.database()))
        yield made
        await made.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    made = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield made
    await made.close()


async def run(ledger: SqlLedger, statement: str, **values: Any) -> None:
    """Change a row with SQL, as nobody should."""
    await ledger.write(lambda connection: connection.execute(text(statement), values))


async def lose_zone(ledger: SqlLedger, milestone: str = GONE) -> None:
    """Store a zone that no machine has."""
    await run(
        ledger,
        "update milestone set snapshot = replace(snapshot, 'Asia/Baghdad', 'Nowhere/Gone') where id = :id",
        id=milestone,
    )


async def find_zone_again(ledger: SqlLedger) -> None:
    """Stand for newer tzdata."""
    await run(ledger, "update milestone set snapshot = replace(snapshot, 'Nowhere/Gone', 'Asia/Baghdad')")


def names(found: Any) -> list[str]:
    return [owed.key for owed, _ in found]


async def test_due_reminders_of_others_are_found_and_nothing_spins(ledger: SqlLedger) -> None:
    """A milestone whose zone this machine lacks holds up and wakes nobody, and is found when it is back."""
    coming = an_owed("later", milestone=GOOD, at=NOW + DAY)
    await fill(ledger, an_owed("k1", milestone=GONE), an_owed("k2", milestone=GOOD), coming)
    await lose_zone(ledger)

    assert names(await ledger.find_due(NOW, 10)) == ["k2"]
    await bind(ledger, a_delivery("k2"))
    await ledger.settle([sent(lease) for lease in await take(ledger)])
    assert await ledger.find_due(NOW, 10) == []
    assert await ledger.find_next_wake(NOW) == NOW + DAY
    assert (await ledger.find_waiting(NOW)).undecided == NOW + DAY
    assert [owed.key for owed in await ledger.read_upcoming(5)] == ["later"]

    await find_zone_again(ledger)
    assert await ledger.find_unreadable(0) == []
    assert names(await ledger.find_due(NOW, 10)) == ["k1"]


async def test_limit_is_not_filled_with_what_cannot_be_read(ledger: SqlLedger) -> None:
    """Any number of older sets that cannot be read leave the whole limit to the others."""
    lost = [an_owed(f"k{number}", milestone=f"t/m{number}", at=NOW - DAY) for number in range(7)]
    await fill(ledger, *lost, an_owed("good", milestone=GOOD))
    for owed in lost:
        await lose_zone(ledger, owed.milestone)

    assert names(await ledger.find_due(NOW, 2)) == ["good"]
    assert [record.id for record in await ledger.read_records(limit=2)] == ["iraq/phase-2", GOOD]


async def test_row_is_named_with_the_way_out(ledger: SqlLedger) -> None:
    """Who operates alertd learns the table, the key, the reason and what to do."""
    await fill(ledger, an_owed("k1", milestone=GONE))
    await lose_zone(ledger)

    (row,) = await ledger.find_unreadable(100)

    assert (row.table, row.key, row.zone) == ("milestone", GONE, "Nowhere/Gone")
    assert "Nowhere/Gone" in advise(row)
    assert "reload" in advise(row)
    assert summarize_unreadable([row]).startswith(f"1 row is set apart: milestone {GONE}: ")


async def test_lists_leave_it_out(ledger: SqlLedger) -> None:
    """Every reader answers for the rest."""
    await fill(ledger, an_owed("k1", milestone=GONE), an_owed("k2", milestone=GOOD))
    await ledger.apply(Changes(history=(an_entry(milestone=GONE), an_entry(milestone=GOOD))))
    await lose_zone(ledger)

    assert [record.id for record in await ledger.read_records()] == ["iraq/phase-2", GOOD]
    assert [record.id for record, _ in await ledger.read_activity("t")] == [GOOD]
    records, owed = await ledger.read_timeline("t")
    assert ([record.id for record in records], len(owed)) == ([GOOD], 2)
    assert names(await ledger.read_held("desk", NOW)) == ["k2"]
    assert [name for name, _, _ in await ledger.read_windows("desk", NOW + DAY)] == [GOOD]
    assert len(await ledger.read_history()) == 2


async def test_record_that_cannot_be_read_is_not_taken_for_missing(ledger: SqlLedger) -> None:
    """Who asks for one milestone hears why it cannot be read, and not that there is no such milestone."""
    await fill(ledger, an_owed("k1", milestone=GONE))
    await lose_zone(ledger)

    with pytest.raises(UnreadableRow, match=r"the row 't/gone' .* the time zone 'Nowhere/Gone'"):
        await ledger.read_record(GONE)

    assert await ledger.read_record("t/other") is None
    assert [row.key for row in await ledger.find_unreadable(0)] == [GONE]


async def test_message_goes_without_the_member_that_cannot_be_read(ledger: SqlLedger) -> None:
    """The rest of a message is sent at once, the member that cannot be read later, and nothing twice."""
    await fill(ledger, an_owed("k1", milestone=GONE), an_owed("k2", milestone=GOOD))
    whole = a_delivery("k1", "k2")
    await bind(ledger, whole)
    await lose_zone(ledger)

    (lease,) = await take(ledger)

    assert (lease.delivery.id, lease.delivery.members) == (whole.id, ("k2",))
    assert not await ledger.settle([sent(lease)])
    assert await take(ledger, now=NOW + HOUR) == []
    assert await ledger.find_next_wake(NOW + HOUR) is None
    await find_zone_again(ledger)
    await ledger.find_unreadable(0)
    (late,) = await take(ledger, now=NOW + HOUR)
    assert (late.delivery.members, late.delivery.channel) == (("k1",), whole.channel)
    assert late.delivery.id != whole.id
    assert not await ledger.settle([sent(late)])
    assert await take(ledger, now=NOW + DAY) == []


async def test_delivery_that_cannot_be_read_is_not_taken(ledger: SqlLedger) -> None:
    """A node that can read nothing of a delivery takes no lease on it, so that another node can send it."""
    await fill(ledger, an_owed("k1", milestone=GONE), an_owed("k2", milestone=GOOD))
    await bind(ledger, a_delivery("k1"), a_delivery("k2"))
    await lose_zone(ledger)

    taken = await take(ledger, limit=1)
    taken = [*taken, *await take(ledger, limit=1)]

    assert [lease.delivery.members for lease in taken] == [("k2",)]
    held = "select count(*) from delivery where lease_until is not null"
    assert await ledger.read(lambda connection: connection.execute(text(held)).scalar()) == 1
    assert (await ledger.find_waiting(NOW)).untaken is None


async def test_node_that_can_read_a_row_sends_it(ledger: SqlLedger) -> None:
    """What one node has set apart it neither leases nor changes, so another node leases and sends it."""
    await fill(ledger, an_owed("k1", milestone=GONE), an_owed("k2", milestone=GONE, receiver="leads"))
    bound = a_delivery("k1")
    await bind(ledger, bound)
    other = SqlLedger(replace(ledger._database), keeps_time=False)
    missing = UnreadableRow("milestone", GONE, "its zone is missing", "Nowhere/Gone")
    held = UnreadableRow("delivery", bound.id, "")
    await ledger.read(lambda connection: find_quarantine(connection).add(missing))
    await ledger.read(lambda connection: find_quarantine(connection).add(held))

    assert await ledger.find_due(NOW, 10) == []
    assert await take(ledger) == []
    assert names(await other.find_due(NOW, 10)) == ["k2"]
    assert [lease.delivery.id for lease in await take(other)] == [bound.id]


async def test_list_of_what_comes_shows_a_mended_row(ledger: SqlLedger) -> None:
    """A process that only shows the ledger, as the page does, needs no inspection to find a mended row."""
    await fill(ledger, an_owed("k1", milestone=GONE))
    await lose_zone(ledger)
    assert await ledger.find_due(NOW, 10) == []
    assert await ledger.read_upcoming(5) == []

    await find_zone_again(ledger)

    assert [owed.key for owed in await ledger.read_upcoming(5)] == ["k1"]


async def test_reconciling_writes_a_damaged_row_again(ledger: SqlLedger) -> None:
    """A record or a reminder that the definition files define becomes what they say."""
    record = a_record(GONE, revision=3)
    await ledger.apply(Changes(records=(record,), owed=(an_owed("k1", milestone=GONE),)))
    await lose_zone(ledger)
    await run(ledger, "update owed set cause = 'gone'")
    assert len(await ledger.find_unreadable(100)) == 2

    anew = replace(record, revision=1)
    await ledger.apply(Changes(records=(anew,), owed=(an_owed("k1", milestone=GONE),)))

    assert await ledger.find_unreadable(100) == []
    assert await ledger.read_record(GONE) == record
    assert names(await ledger.find_due(NOW, 10)) == ["k1"]


async def test_status_that_cannot_be_read_is_no_decision(ledger: SqlLedger) -> None:
    """Whether a milestone is done is not known, so it is neither sent nor ended, and no file decides it."""
    await fill(ledger, an_owed("k1", milestone=GONE))
    await run(ledger, "update milestone set standing = '{' where id = :id", id=GONE)

    await ledger.apply(Changes(records=(a_record(GONE),)))

    assert await ledger.find_due(NOW, 10) == []
    assert [row.key for row in await ledger.find_unreadable(100)] == [GONE]
    assert [owed.state.value for owed in await ledger.read_owed(GONE)] == ["pending"]


async def test_notice_and_attempts_are_read_beside_damaged_ones(ledger: SqlLedger) -> None:
    """Damaged deliveries, attempts and history entries are left out of lists that show the others."""
    await fill(ledger, an_owed("k1"), an_owed("k2", milestone=GOOD))
    good, bad = a_delivery("k1"), a_delivery("k2")
    await bind(ledger, good, bad)
    await ledger.apply(Changes(deliveries=(a_notice(),), history=(an_entry(), an_entry(why="x"))))
    await ledger.settle([again(lease) for lease in await take(ledger)])
    await run(
        ledger, "update delivery set reason_code = 'given_up', reason_details = '[' where id = :i", i=bad.id
    )
    await run(ledger, "update attempt set reason_details = '[' where delivery = :id", id=good.id)
    await run(ledger, "update history set facts = 'x' where why = 'x'")

    found = await ledger.find_deliveries(limit=2)

    assert {delivery.id for delivery, _, _ in found} == {good.id, a_notice().id}
    assert [tries for delivery, tries, _ in found if delivery.id == good.id] == [[]]
    assert await ledger.read_history(limit=1) == [an_entry()]
    assert len(await ledger.find_unreadable(100)) == 3
    taken = await take(ledger, now=NOW + DAY)
    assert {lease.delivery.id for lease in taken} == {good.id, a_notice().id}


@pytest.mark.parametrize(
    "statement",
    [
        "update owed set wake_at = 'soon' where key = 'k1'",
        "update owed set at = 'soon' where key = 'k1'",
        "update owed set wake_at = 4611686018427387904, at = 4611686018427387904 where key = 'k1'",
        "update owed set wake_at = -4611686018427387904 where key = 'k1'",
        "update owed set wake_at = x'00' where key = 'k1'",
        "update owed set state = 'gone' where key = 'k1'",
        "update owed set receiver = x'ff' where key = 'k1'",
        "update owed set slot = cast(x'ff' as text) where key = 'k1'",
        "update owed set key = x'ff' where key = 'k1'",
        "update owed set milestone = 'no/such' where key = 'k1'",
        "update owed set grouping = '[[1, 2]]' where key = 'k1'",
        "update milestone set withdrawn = 'maybe' where id = 't/gone'",
        "update milestone set revision = 'first' where id = 't/gone'",
        "update milestone set done_on = 'yesterday' where id = 't/gone'",
        "update milestone set file = x'00' where id = 't/gone'",
        "update milestone set id = 't/other' where id = 't/gone'",
    ],
)
async def test_any_value_in_any_column_of_sqlite(sqlite: SqlLedger, statement: str) -> None:
    """SQLite keeps any value in any column: that row is named, and the others are found and wake the loop."""
    await fill(
        sqlite, an_owed("k1", milestone=GONE), an_owed("k2", milestone=GOOD), an_owed("k3", at=NOW + HOUR)
    )
    await run(sqlite, "pragma defer_foreign_keys = on")
    await sqlite.write(lambda connection: _unchecked(connection, statement))

    due = [*await sqlite.find_due(NOW, 10), *await sqlite.find_due(NOW, 10)]

    assert set(names(due)) == {"k2"}
    await bind(sqlite, a_delivery("k2"))
    await sqlite.settle([sent(lease) for lease in await take(sqlite)])
    assert await sqlite.find_next_wake(NOW) == NOW + HOUR
    assert (await sqlite.find_waiting(NOW)).undecided == NOW + HOUR
    assert len(await sqlite.find_unreadable(100)) >= 1


def _unchecked(connection: Any, statement: str) -> None:
    """Run a statement without foreign keys, which can be switched off only outside a transaction."""
    connection.exec_driver_sql("rollback")
    connection.exec_driver_sql("pragma foreign_keys = off")
    connection.exec_driver_sql("begin immediate")
    connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "is_sent"),
    [
        ("update delivery set lease_until = 'soon', lease_owner = 'x' where id = :id", True),
        ("update delivery set lease_until = 4611686018427387904, lease_owner = 'x' where id = :id", True),
        ("update delivery set next_at = 'soon' where id = :id", False),
        ("update delivery set fence = 'high' where id = :id", False),
        ("update delivery set fence = 9223372036854775807 where id = :id", False),
        ("update delivery set attempts = 'many' where id = :id", False),
        ("update delivery set state = 'gone' where id = :id", False),
        ("update delivery set channel = 'x' where id = :id", False),
        ("update delivery set bound_at = 'soon' where id = :id", False),
    ],
)
async def test_any_value_in_a_delivery_of_sqlite(sqlite: SqlLedger, statement: str, is_sent: bool) -> None:
    """A lease until an instant that is none has ended; what cannot be read is not taken."""
    await fill(sqlite, an_owed("k1"), an_owed("k2", milestone=GOOD))
    damaged, good = a_delivery("k1"), a_delivery("k2")
    await bind(sqlite, damaged, good)
    await run(sqlite, statement, id=damaged.id)

    taken = await take(sqlite)

    assert {lease.delivery.id for lease in taken} == {good.id, *([damaged.id] if is_sent else [])}
    await sqlite.settle([sent(lease) for lease in taken])
    await sqlite.find_unreadable(100)
    assert await sqlite.find_next_wake(NOW) is None
    assert (await sqlite.find_waiting(NOW)).untaken is None
    assert len(await sqlite.find_deliveries(state=DeliveryState.SENT)) == len(taken)


@pytest.mark.parametrize("column", ["until", "term"])
@pytest.mark.parametrize("value", ["'soon'", "9223372036854775807", "x'00'"])
async def test_lead_that_cannot_be_read_ends(sqlite: SqlLedger, column: str, value: str) -> None:
    """A damaged row of the lead keeps nobody from leading."""
    await sqlite.take_lead("node-1", NOW, duration=MINUTE)
    await run(sqlite, f"update lead set {column} = {value}")

    term = await sqlite.take_lead("node-2", NOW + HOUR, duration=MINUTE)

    assert term is not None
    await sqlite.apply(Changes(records=(a_record(),)), term=term)


async def test_shared_secret_that_cannot_be_read_is_replaced(ledger: SqlLedger) -> None:
    """A node starts although the secret that signs links is damaged: no node could use it."""
    await ledger.ensure_shared_secret("first")
    await run(ledger, "update remembered set state = '{'")

    assert await ledger.ensure_shared_secret("second") == "second"
    assert await ledger.ensure_shared_secret("third") == "second"


@pytest.mark.parametrize(
    "statement",
    [
        "update milestone set timeline = x'00' where id = 't/gone'",
        "update milestone set file = x'00' where id = 't/gone'",
        "update owed set window_id = x'00' where key = 'k1'",
        "update lead set node = x'00'",
    ],
)
async def test_what_is_no_text_is_sorted_with_no_text(sqlite: SqlLedger, statement: str) -> None:
    """Bytes in place of a text reach no list of names."""
    await fill(sqlite, an_owed("k1", milestone=GONE), an_owed("k2", milestone=GOOD))
    await sqlite.take_lead("node-1", NOW, duration=MINUTE)
    await run(sqlite, statement)

    assert (await sqlite.read_timelines())["t"] == "milestones/t.yaml"
    assert GOOD in [name for name, _, _ in await sqlite.read_windows("desk", NOW + DAY)]
    assert isinstance(await sqlite.read_leader(), str)


async def test_inspection_goes_through_the_whole_ledger(ledger: SqlLedger) -> None:
    """A damaged row that nobody asks for is found, some rows at a time."""
    owed = [an_owed(f"k{number}", milestone=f"t/m{number}", at=NOW + DAY) for number in range(9)]
    await fill(ledger, *owed)
    await run(ledger, "update owed set cause = 'gone' where key = 'k8'")

    rounds = [await ledger.find_unreadable(2) for _ in range(6)]

    assert rounds[0] == []
    assert [row.key for row in rounds[-1]] == ["k8"]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("update owed set at = 'soon'", "'soon' is no instant"),
        ("update owed set wake_at = x'20'", "b' ' is no instant"),
        ("update owed set receiver = x'ff'", r"b'\xff' is no text"),
    ],
)
async def test_reason_names_the_value(sqlite: SqlLedger, statement: str, why: str) -> None:
    """Python's own words for a wrong type say nothing about the row."""
    await fill(sqlite, an_owed("k1", milestone=GOOD))
    await run(sqlite, statement)

    assert [row.why for row in await sqlite.find_unreadable(100)] == [why]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("milestone", "standing and done_on"),  # the files say nothing about what people did
        ("owed", "column state"),  # nor about what was sent
        ("delivery", "backup"),
        ("node", "Delete the row"),  # each daemon writes its own again
    ],
)
def test_advice_says_what_alertd_cannot_write_again(table: str, said: str) -> None:
    assert said in advise(Unreadable(table=table, key="k", why="x"))


def test_a_summary_names_a_few_rows() -> None:
    """However many rows cannot be read, one sentence says so."""
    rows = [Unreadable(table="owed", key=f"k{number}", why="its cause is 'x'") for number in range(5)]

    assert summarize_unreadable(rows).startswith("5 rows are set apart: owed k0: its cause is 'x'; owed k1")
    assert "; and 2 more. alertd writes the row again" in summarize_unreadable(rows)
