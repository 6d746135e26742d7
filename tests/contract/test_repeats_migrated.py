"""The migration thins 400 days of repeats that an older version has scheduled, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from alertd.core.ledger.records import ReminderState, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.ports import Changes
from alertd.store import migrate, open_ledger, writing
from alertd.store.database.opening import open_database
from alertd.store.migrations.versions import r0006_planning
from tests.contract.samples import HOUR, NOW, a_record, an_owed
from tests.postgres import Server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    server: Server = request.getfixturevalue("postgres")
    with server.database() as made:
        yield made


def make_repeat(number: int, receiver: str = "desk", **changes: Any) -> ScheduledReminder:
    return an_owed(
        f"{receiver}{number:04}",
        receiver=receiver,
        cause=Cause.OVERDUE,
        offset=f"+{number}h",
        at=NOW + number * HOUR,
        **changes,
    )


async def test_surplus_repeats_are_deleted_and_all_else_stays(url: str) -> None:
    """Of the pending repeats of each receiver the earliest stay, with everything that was sent or is news."""
    pending = [make_repeat(number) for number in range(500)]
    few = [make_repeat(number, "leads") for number in range(9)]
    sent = [make_repeat(number, "sent", state=ReminderState.BOUND) for number in range(300)]
    far = an_owed("far", at=NOW + timedelta(days=300))
    await migrate(url)
    database = await open_database(url, 10)

    def fill_older(connection: Connection) -> None:
        writing.write_changes(connection, Changes(records=(a_record(),), owed=(*pending, *few, *sent, far)))
        # The migration changes no table, so that the tables of its predecessor are those of today.
        older = text("update alembic_version set version_num = :older")
        connection.execute(older.bindparams(older=r0006_planning.down_revision))

    await database.write(fill_older)
    await database.close()

    await migrate(url)

    ledger = await open_ledger(url)
    found = {one.key for one in await ledger.read_owed("iraq/phase-2")}
    await ledger.close()
    assert found == {one.key for one in (*pending[: r0006_planning.KEPT], *few, *sent, far)}
