"""The migration thins 400 days of repeats that an older version has scheduled, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from alembic import command

from alertd.core.ledger.records import ReminderState, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.ports import Changes
from alertd.store import migrate, open_ledger
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import make_alembic_config
from alertd.store.migrations.versions import r0006_planning
from tests.contract.samples import HOUR, NOW, a_record, an_owed


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
    ledger = await open_ledger(url)
    await ledger.apply(Changes(records=(a_record(),), owed=(*pending, *few, *sent, far)))
    await ledger.close()
    database = await open_database(url, 10)
    before = r0006_planning.down_revision
    await database.write(lambda connection: command.downgrade(make_alembic_config(connection), before))
    await database.close()

    await migrate(url)

    ledger = await open_ledger(url)
    found = {one.key for one in await ledger.read_owed("iraq/phase-2")}
    await ledger.close()
    assert found == {one.key for one in (*pending[: r0006_planning.KEPT], *few, *sent, far)}
