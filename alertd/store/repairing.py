"""Repair what a clock that was ahead has written, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, or_, select, text, update

from alertd.core.ledger.outcome import LONGEST_WAIT
from alertd.errors import LedgerError
from alertd.store import rows, rules, schema
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
    waits = _delivery.c.next_at > rows.to_micros(now + LONGEST_WAIT)
    starts = func.coalesce(_delivery.c.tried_from, _delivery.c.bound_at)
    is_to_start = starts > rows.to_micros(now + rules.TOLERANCE)
    misdated = select(_delivery.c.id).where(schema.IS_READY, or_(waits, is_to_start)).order_by(_delivery.c.id)
    found = list(connection.scalars(misdated.limit(limit).with_for_update(skip_locked=True, key_share=True)))
    for condition, column in ((waits, _delivery.c.next_at), (is_to_start, _delivery.c.tried_from)):
        begun = update(_delivery).where(_delivery.c.id.in_(found), condition)
        connection.execute(begun.values({column.name: rows.to_micros(now)}))
    return len(found)
