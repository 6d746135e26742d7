"""Repair what a clock that was ahead has written, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, or_, select, text, update

from alertd.core.ledger.outcome import LONGEST_WAIT
from alertd.errors import LedgerError
from alertd.store import reading, rows, rules, schema
from alertd.store.database.dialect import lock_rows

_owed, _delivery = schema.owed, schema.delivery


def repair(connection: Connection, now: datetime, catch_up: timedelta, limit: int) -> Mapping[str, int]:
    """Repair reminders and ready deliveries with instants from the future.

    See :meth:`alertd.ports.Repairable.repair`.
    """
    return {
        "reminders": _repair_reminders(connection, now, catch_up, limit),
        "deliveries": _repair_deliveries(connection, now, limit),
    }


def _repair_reminders(connection: Connection, now: datetime, catch_up: timedelta, limit: int) -> int:
    since = rows.to_micros(now - catch_up)
    young = or_(_owed.c.at > since, _owed.c.wake_at > since)
    expired = select(_owed).where(_owed.c.state == text("'expired'"), young).order_by(_owed.c.key)
    misjudged: list[str] = []
    for row in connection.execute(expired):
        try:
            owed = rows.decode_owed(row)
        except LedgerError:
            continue  # A row that cannot be read is set apart elsewhere.
        if rules.is_misjudged(owed, now, catch_up):
            misjudged.append(owed.key)
        if len(misjudged) == limit:
            break
    if misjudged:
        lock_rows(connection, _owed.c.key, misjudged)
        again = update(_owed).where(_owed.c.key.in_(misjudged), _owed.c.state == text("'expired'"))
        connection.execute(again.values(state="pending", **rows.encode_reason(None)))
    return len(misjudged)


def _repair_deliveries(connection: Connection, now: datetime, limit: int) -> int:
    starts = func.coalesce(_delivery.c.tried_from, _delivery.c.bound_at)
    late = or_(
        _delivery.c.next_at > rows.to_micros(now + LONGEST_WAIT),
        starts > rows.to_micros(now + rules.TOLERANCE),
    )
    statement = select(_delivery).where(schema.IS_READY, late).order_by(_delivery.c.id).limit(limit)
    found = connection.execute(statement.with_for_update(skip_locked=True, key_share=True)).all()
    members = reading.read_members(connection, [row.id for row in found])
    for row in found:
        repaired = rules.repair_delivery(reading.decode_delivery(row, members[row.id]), now)
        fields = {name: rows.encode_delivery(repaired)[name] for name in ("next_at", "tried_from")}
        connection.execute(update(_delivery).where(_delivery.c.id == row.id).values(**fields))
    return len(found)
