"""Begin what was leased ahead, or give it back; see :meth:`alertd.ports.DeliveryQueue.begin`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from alertd.core.ledger.records import Lease, Record
from alertd.core.milestones.status import NO_ACTIONS
from alertd.store import rows, schema
from alertd.store.database.dialect import split_chunks

_delivery, _milestone = schema.delivery, schema.milestone


def begin(connection: Connection, leases: Sequence[Lease], until: int) -> frozenset[str]:
    """Record that leases have begun, and renew them until ``until``. Returns the deliveries not to send.

    Args:
        until: microseconds since 1970 by the ledger's clock.
    """
    held = _find_held(connection, leases)
    current = _read_milestones(connection, leases)
    begun = [
        lease.delivery.id for lease in leases if lease.delivery.id in held and _is_current(lease, current)
    ]
    for chunk in split_chunks(begun):
        renewed = update(_delivery).where(_delivery.c.id.in_(chunk))
        connection.execute(renewed.values(lease_until=until, ahead=False))
    return frozenset(lease.delivery.id for lease in leases) - frozenset(begun)


def release(connection: Connection, leases: Sequence[Lease]) -> None:
    """Give leases back; see :meth:`alertd.ports.DeliveryQueue.release`."""
    for chunk in split_chunks(sorted(_find_held(connection, leases))):
        given_back = update(_delivery).where(_delivery.c.id.in_(chunk))
        connection.execute(given_back.values(lease_owner="", lease_until=None, ahead=False))


def _find_held(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Find the deliveries that are not final and have these leases, and lock their rows."""
    fences = {lease.delivery.id: lease.fence for lease in leases}
    held = set()
    for chunk in split_chunks(sorted(fences)):
        there = select(_delivery.c.id, _delivery.c.fence).where(_delivery.c.id.in_(chunk), _is_leased())
        for row in connection.execute(there.order_by(_delivery.c.id).with_for_update(key_share=True)):
            if row.fence == fences[row.id]:
                held.add(row.id)
    return held


def _is_leased() -> ColumnElement[bool]:
    return schema.IS_READY & _delivery.c.lease_until.is_not(None)


def _read_milestones(connection: Connection, leases: Sequence[Lease]) -> dict[str, Row[Any]]:
    """Read by id what decides whether a reminder of a milestone is sent."""
    names = {owed.milestone for lease in leases for owed in lease.owed}
    columns: list[ColumnElement[Any]] = [
        _milestone.c.id,
        _milestone.c.standing,
        _milestone.c.changed_at,
        _milestone.c.withdrawn,
    ]
    return {
        row.id: row
        for chunk in split_chunks(sorted(names))
        for row in connection.execute(select(*columns).where(_milestone.c.id.in_(chunk)))
    }


def _is_current(lease: Lease, current: Mapping[str, Row[Any]]) -> bool:
    return all(
        owed.milestone in current and not _has_changed(lease.records[owed.milestone], current[owed.milestone])
        for owed in lease.owed
    )


def _has_changed(record: Record, row: Row[Any]) -> bool:
    """Compare as :func:`alertd.store.rules.has_changed` does, without decoding the row."""
    if row.changed_at != rows.to_micros(record.changed_at) or bool(row.withdrawn) != record.withdrawn:
        return True
    return not _has_status(row, record)


def _has_status(row: Row[Any], record: Record) -> bool:
    if row.standing == "{}":
        return record.status is NO_ACTIONS or record.status == NO_ACTIONS
    encoded: Mapping[str, Any] = rows.encode_status(record.status)
    if row.standing == encoded["standing"]:
        return True
    try:
        # An older version may have written the same in other words.
        return bool(json.loads(row.standing) == json.loads(encoded["standing"]))
    except ValueError:
        return False
