"""A ledger of the schema before has its deliveries, and a lease that had run out counts as lost."""

from __future__ import annotations

from dataclasses import replace

from alembic import command
from sqlalchemy import Connection, column, insert, table

from alertd.store import migrate, open_ledger, rows, schema
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import HEAD, make_alembic_config
from tests.contract.samples import MINUTE, NOW, a_notice, a_record, take

BEFORE = "0004"


async def test_rows_of_the_schema_before_are_kept(url: str) -> None:
    """Of two deliveries, the one whose lease had run out is leased as lost, and the other is fresh."""
    database = await open_database(url, 10)
    await database.write(_write_before)
    await database.close()

    assert (await migrate(url))[1:3] == (BEFORE, HEAD)

    ledger = await open_ledger(url)
    leases = await take(ledger, now=NOW)
    found = {one.id: one for one, _, _ in await ledger.find_deliveries()}
    await ledger.close()
    assert {one.delivery.id: one.delivery.lost_leases for one in leases} == {"msg_fresh": 0, "msg_lost": 1}
    assert {name: one.attempts for name, one in found.items()} == {"msg_fresh": 0, "msg_lost": 1}


def _write_before(connection: Connection) -> None:
    command.upgrade(make_alembic_config(connection), BEFORE)
    connection.execute(insert(schema.milestone).values(rows.encode_record(a_record())))
    deliveries = []
    for name, until in (("msg_fresh", None), ("msg_lost", rows.to_micros(NOW - MINUTE))):
        fields = rows.encode_delivery(replace(a_notice(), id=name)) | {"lease_until": until}
        for newer in ("tried_from", "lost_leases"):
            del fields[newer]
        deliveries.append(fields)
    connection.execute(insert(table("delivery", *map(column, deliveries[0]))), deliveries)
