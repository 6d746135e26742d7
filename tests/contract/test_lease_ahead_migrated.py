"""A lease of the schema before has begun: it counts as lost when it has run out."""

from __future__ import annotations

from dataclasses import replace

from alembic import command
from sqlalchemy import Connection, column, insert, table

from alertd.ports import LostLeases
from alertd.store import migrate, open_ledger, rows, schema
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import HEAD, make_alembic_config
from tests.contract.samples import MINUTE, NOW, a_notice, a_record, take

BEFORE = "0007"


async def test_leases_of_the_schema_before_have_begun(url: str) -> None:
    """Of two deliveries, the one whose lease had run out is leased as lost, and the other is fresh."""
    database = await open_database(url, 10)
    await database.write(_write_before)
    await database.close()

    assert (await migrate(url))[1:3] == (BEFORE, HEAD)

    ledger = await open_ledger(url)
    fresh = await take(ledger, now=NOW, lost=LostLeases.LEFT_OUT)
    lost = await take(ledger, now=NOW, lost=LostLeases.FEW)
    await ledger.close()
    assert {one.delivery.id: one.delivery.lost_leases for one in fresh} == {"msg_fresh": 0}
    assert {one.delivery.id: one.delivery.lost_leases for one in lost} == {"msg_lost": 1}


def _write_before(connection: Connection) -> None:
    command.upgrade(make_alembic_config(connection), BEFORE)
    connection.execute(insert(schema.milestone).values(rows.encode_record(a_record())))
    deliveries = []
    for name, until in (("msg_fresh", None), ("msg_lost", rows.to_micros(NOW - MINUTE))):
        deliveries.append(rows.encode_delivery(replace(a_notice(), id=name)) | {"lease_until": until})
    connection.execute(insert(table("delivery", *map(column, deliveries[0]))), deliveries)
