"""Begin what was leased ahead, or give it back; see :meth:`alertd.ports.DeliveryQueue.begin`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Update, bindparam, false, null, select, text, update

from alertd.core.ledger.records import Lease, Record
from alertd.core.milestones.status import NO_ACTIONS
from alertd.store import rows, schema
from alertd.store.statements import fetch, is_among, pack_texts, run

_delivery, _milestone = schema.delivery, schema.milestone


def begin(connection: Connection, leases: Sequence[Lease], until: int) -> frozenset[str]:
    """Record that leases have begun, and renew them until ``until``. Returns the deliveries not to send.

    Args:
        until: microseconds since 1970 by the ledger's clock.
    """
    held = _find_held(connection, leases)
    current = _read_milestones(connection, leases)
    names = [lease.delivery.id for lease in leases]
    begun = [
        lease.delivery.id for lease in leases if lease.delivery.id in held and _is_current(lease, current)
    ]
    if begun:
        run(connection, _update_begun, {"ids": pack_texts(connection, begun), "until": until})
    return frozenset(names).difference(begun)


def release(connection: Connection, leases: Sequence[Lease]) -> None:
    """Give leases back; see :meth:`alertd.ports.DeliveryQueue.release`."""
    if held := _find_held(connection, leases):
        run(connection, _update_released, {"ids": pack_texts(connection, sorted(held))})


def _update_begun(shared: bool) -> Update:
    renewed = update(_delivery).where(is_among(shared, _delivery.c.id, "ids"))
    return renewed.values(lease_until=bindparam("until"), ahead=false())


def _update_released(shared: bool) -> Update:
    given_back = update(_delivery).where(is_among(shared, _delivery.c.id, "ids"))
    return given_back.values(lease_owner=text("''"), lease_until=null(), ahead=false())


def _find_held(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Find the deliveries that are not final and have these leases, and lock their rows."""
    fences = {lease.delivery.id: lease.fence for lease in leases}
    there = fetch(connection, _select_leased, {"ids": pack_texts(connection, fences)})
    return {row.id for row in there if row.fence == fences[row.id]}


def _select_leased(shared: bool) -> Select[Any]:
    there = select(_delivery.c.id, _delivery.c.fence).where(is_among(shared, _delivery.c.id, "ids"))
    there = there.where(schema.IS_READY, _delivery.c.lease_until.is_not(None))
    # All rows are locked in one order, so that two writers cannot deadlock.
    return there.order_by(_delivery.c.id).with_for_update(key_share=True)


def _read_milestones(connection: Connection, leases: Sequence[Lease]) -> dict[str, Row[Any]]:
    """Read by id what decides whether a reminder of a milestone is sent."""
    names = {owed.milestone for lease in leases for owed in lease.owed}
    found = fetch(connection, _select_milestones, {"ids": pack_texts(connection, names)})
    return {row.id: row for row in found}


def _select_milestones(shared: bool) -> Select[Any]:
    columns = _milestone.c.id, _milestone.c.standing, _milestone.c.changed_at, _milestone.c.withdrawn
    return select(*columns).where(is_among(shared, _milestone.c.id, "ids"))


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
