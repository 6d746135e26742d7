"""Test the migration of a ledger whose deliveries do not say where their retry horizon starts."""

from alembic import command
from sqlalchemy import Connection, column, insert, table

from alertd.core.ledger.records import DeliveryState
from alertd.store import migrate, open_ledger, rows
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import HEAD, make_alembic_config
from tests.contract.samples import MINUTE, NOW, a_notice, take

BEFORE = "0004"


async def test_horizon_of_an_older_delivery_starts_when_it_was_bound(url: str) -> None:
    """The delivery of the version before is leased and settled as any other, and going back loses nothing."""
    database = await open_database(url, 10)
    await database.write(_write_as_before)
    await database.close()

    await migrate(url)

    ledger = await open_ledger(url)
    (lease,) = await take(ledger, now=NOW + MINUTE)
    repaired = await ledger.repair(NOW + MINUTE, MINUTE, 10)
    await ledger.close()
    assert (lease.delivery.tried_from, lease.delivery.horizon_start) == (None, NOW)
    assert dict(repaired) == {"reminders": 0, "deliveries": 0}
    database = await open_database(url, 10)
    await database.write(lambda connection: command.downgrade(make_alembic_config(connection), BEFORE))
    await database.close()
    assert (await migrate(url))[1:3] == (BEFORE, HEAD)
    ledger = await open_ledger(url)
    ((delivery, _, _),) = await ledger.find_deliveries()
    await ledger.close()
    assert delivery.state is DeliveryState.READY


def _write_as_before(connection: Connection) -> None:
    command.upgrade(make_alembic_config(connection), BEFORE)
    fields = rows.encode_delivery(a_notice())
    for newer in ("tried_from", "lost_leases"):
        del fields[newer]
    connection.execute(insert(table("delivery", *map(column, fields))), fields)
