"""Test what every ledger promises about fingerprints, packed milestones and deferred reminders."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, column, insert, table, text

from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import ReminderState
from alertd.core.ledger.snapshot import dump_milestone
from alertd.errors import LeadLost
from alertd.ports import Changes, Ledger
from alertd.store import migrate, open_ledger, rows
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import HEAD, make_alembic_config
from alertd.store.sql import SqlLedger
from tests.contract.samples import DAY, HOUR, NOW, a_record, an_owed, fill

BEFORE = "0007"


def a_fingerprint(timeline: str = "iraq", **changes: Any) -> TimelineFingerprint:
    base = TimelineFingerprint(
        timeline=timeline,
        file=f"milestones/{timeline}.yaml",
        content="c0ffee",
        environment="e",
        reconciled_at=NOW,
        title="Withdrawal",
        description="In phases",
        url="https://example.org/",
        count=2,
        bases=("iraq/phase-1", "other/x"),
        done={"other/x": date(2026, 8, 31)},
        elsewhere=("leads",),
    )
    return replace(base, **changes)


async def test_fingerprint_comes_back_and_is_replaced(ledger: Ledger) -> None:
    """A timeline has one fingerprint, the last one that was written, with all its values."""
    plain = a_fingerprint("a", title="", description="", url="", count=0, bases=(), done={}, elsewhere=())

    await ledger.apply(Changes(fingerprints=(a_fingerprint(), plain)))
    first = await ledger.read_fingerprints()
    await ledger.apply(Changes(fingerprints=(a_fingerprint(content="beef"),)))
    second = await ledger.read_fingerprints()

    assert first == [plain, a_fingerprint()]
    assert second == [plain, a_fingerprint(content="beef")]


async def test_fingerprint_is_deleted(ledger: Ledger) -> None:
    """A deleted fingerprint is gone; one that is written in the same transaction stays."""
    await ledger.apply(Changes(fingerprints=(a_fingerprint("a"), a_fingerprint("b"))))

    await ledger.apply(Changes(no_fingerprints=("a", "never")))
    left = await ledger.read_fingerprints()
    await ledger.apply(Changes(no_fingerprints=("b",), fingerprints=(a_fingerprint("b", content="d"),)))

    assert left == [a_fingerprint("b")]
    assert await ledger.read_fingerprints() == [a_fingerprint("b", content="d")]


async def test_only_the_leader_writes_fingerprints(ledger: Ledger) -> None:
    """A node that has lost the lead neither writes nor deletes one."""
    term = await ledger.take_lead("a", NOW, duration=HOUR)
    assert term is not None
    await ledger.apply(Changes(fingerprints=(a_fingerprint(),)), term=term)
    await ledger.take_lead("b", NOW, duration=HOUR, instead_of="a")

    with pytest.raises(LeadLost):
        await ledger.apply(Changes(no_fingerprints=("iraq",)), term=term)

    assert await ledger.read_fingerprints() == [a_fingerprint()]


async def test_snapshots_are_the_packed_milestones_in_force(ledger: Ledger) -> None:
    """The texts of a timeline are those that packing makes. What is withdrawn has none."""
    there, gone, other = a_record("iraq/a"), a_record("iraq/b"), a_record("iraq2/a")
    await ledger.apply(Changes(records=(there, replace(gone, withdrawn=True), other)))

    assert await ledger.read_snapshots("iraq") == {"iraq/a": dump_milestone(there.milestone)}


async def test_deferred_reminders_are_those_that_wait_for_longer(ledger: Ledger) -> None:
    """They come by key, a page at a time. What is not due yet or is not pending is not deferred."""
    deferred = [an_owed(f"d{number}", at=NOW - HOUR, wake_at=NOW + DAY) for number in range(3)]
    ahead = an_owed("ahead", at=NOW + DAY, wake_at=NOW + 2 * DAY)
    await fill(
        ledger,
        *deferred,
        ahead,
        an_owed("due", at=NOW - HOUR, wake_at=NOW - HOUR),
        an_owed("over", at=NOW - DAY, wake_at=NOW - HOUR),
        an_owed("coming", at=NOW + DAY, wake_at=NOW + DAY),
        an_owed("ended", at=NOW - HOUR, wake_at=NOW + DAY, state=ReminderState.CANCELLED),
    )

    first = await ledger.read_deferred(NOW, 2)
    rest = await ledger.read_deferred(NOW, 5, first[-1].key)

    assert [*first, *rest] == [ahead, *deferred]


async def test_fingerprint_counts_for_nothing_when_rows_are_lost(url: str) -> None:
    """A repaired database may have lost rows. A timeline with fewer records than before is not trusted."""
    await migrate(url)
    ledger = await open_ledger(url)
    await ledger.apply(
        Changes(records=(a_record("iraq/a"), a_record("iraq/b")), fingerprints=(a_fingerprint(),))
    )
    before = await ledger.read_fingerprints()

    await _execute(ledger, "delete from milestone where id = 'iraq/a'")
    after = await ledger.read_fingerprints()
    await ledger.close()

    assert (before, after) == ([a_fingerprint()], [])


async def test_unreadable_fingerprint_is_left_out_and_written_again(url: str) -> None:
    """A damaged row tells nothing. So its timeline is reconciled, and the row is written again."""
    await migrate(url)
    ledger = await open_ledger(url)
    await ledger.apply(Changes(fingerprints=(a_fingerprint("a"), a_fingerprint("b"))))

    await _execute(ledger, "update fingerprint set details = '[' where timeline = 'a'")
    damaged = await ledger.read_fingerprints()
    await ledger.apply(Changes(fingerprints=(a_fingerprint("a"),)))
    mended = await ledger.read_fingerprints()
    await ledger.close()

    assert damaged == [a_fingerprint("b")]
    assert mended == [a_fingerprint("a"), a_fingerprint("b")]


async def test_older_ledger_gets_the_table_and_loses_nothing(url: str) -> None:
    """After the upgrade nothing is trusted yet, and going back leaves the reminders as they are."""
    database = await open_database(url, 10)
    await database.write(_write_as_before)
    await database.close()

    await migrate(url)
    ledger = await open_ledger(url)
    trusted, deferred = await ledger.read_fingerprints(), await ledger.read_deferred(NOW, 9)
    await ledger.apply(Changes(fingerprints=(a_fingerprint(),)))
    await ledger.close()
    database = await open_database(url, 10)
    await database.write(lambda connection: command.downgrade(make_alembic_config(connection), BEFORE))
    await database.close()

    assert (trusted, [one.key for one in deferred]) == ([], ["late"])
    assert (await migrate(url))[1:3] == (BEFORE, HEAD)
    ledger = await open_ledger(url)
    assert [one.key for one in await ledger.read_owed("iraq/phase-2")] == ["late"]
    assert await ledger.read_fingerprints() == []
    await ledger.close()


def _write_as_before(connection: Connection) -> None:
    command.upgrade(make_alembic_config(connection), BEFORE)
    for name, fields in (
        ("milestone", rows.encode_record(a_record())),
        ("owed", rows.encode_owed(an_owed("late", at=NOW - HOUR, wake_at=NOW + DAY))),
    ):
        connection.execute(insert(table(name, *map(column, fields))), fields)


async def _execute(ledger: SqlLedger, statement: str) -> None:
    await ledger.write(lambda connection: connection.execute(text(statement)))
