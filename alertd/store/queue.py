"""Run the dispatcher's statements: find what is due, and bind and settle deliveries.

Each statement handles many rows at once. A row that cannot be read is set apart and left out; see
:mod:`alertd.store.quarantine`. :mod:`alertd.store.leasing` leases what is bound, and
:mod:`alertd.store.waiting` tells what waits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Update, bindparam, func, null, or_, select, text, true, update

from alertd.core.ledger.records import DeliveryState, Known, Record, ReminderState, ScheduledReminder
from alertd.core.planning.decide import Decisions, Verdict
from alertd.core.routing.digest import NextDigest
from alertd.ports import Settlement
from alertd.store import other_rows, reading, rows, schema, writing
from alertd.store.database.dialect import is_shared
from alertd.store.quarantine import decode_readable, find_quarantine, is_readable, pack_apart
from alertd.store.statements import fetch, is_among, is_not_among, pack_texts, run_many

_owed, _delivery = schema.owed, schema.delivery
_MAX_AWAKE = 1_000_000
_AWAKE_OF_SET = 4
"""How many reminders of a set are awake at most, as a rule. If a set has more, everything awake is read."""
_MAX_ROUNDS = 20
"""How often one call looks for due reminders again, because none of those found can be read."""


def find_due(
    connection: Connection, now: datetime, limit: int, besides: Collection[str] = (), skip: int = 0
) -> list[tuple[ScheduledReminder, Record]]:
    """Return the due reminders in whole sets; see :meth:`alertd.ports.ReminderQueue.find_due`.

    Only the reminders that have been awake the longest are read, so that the cost does not grow with the
    backlog.
    """
    awake = (limit + skip) * _AWAKE_OF_SET
    for _ in range(_MAX_ROUNDS):
        apart = pack_apart(connection)
        values = {
            "now": rows.to_micros(now),
            "besides": pack_texts(connection, besides),
            "awake": awake,
            "limit": limit,
            "skip": skip,
            **apart,
        }
        found = fetch(connection, _select_due, values, bool(apart), bool(besides))
        if awake < _MAX_AWAKE and _is_cut_off(found, awake, limit, skip):
            awake = _MAX_AWAKE
            continue
        paired = reading.pair_with_records(connection, decode_readable(connection, rows.decode_owed, found))
        if paired or not found:
            return paired
        # Nothing of it can be read. It is set apart by now, so that the next sets come.
    return []


def _is_cut_off(found: Sequence[Row[Any]], awake: int, limit: int, skip: int) -> bool:
    """Tell whether there may be more sets than were found, because only so many reminders were read."""
    is_full = found[0].awake >= awake if found else skip > 0
    return is_full and len({(row.milestone, row.receiver) for row in found}) < limit


def _select_due(shared: bool, apart: bool, besides: bool) -> Select[Any]:
    at, limit, skip = (bindparam(name, type_=_owed.c.at.type) for name in ("now", "limit", "skip"))
    readable = is_readable(shared, apart)
    # What is due at an instant that is none is read as well, so that it is set apart.
    is_due = or_(_owed.c.at <= at, _owed.c.at > rows.MAX_INSTANT)
    # Because of the order and the limit, SQLite reads these from the index. Without them, it chooses an index
    # for the grouping below and reads every pending row, even a million rows that are not due.
    awake = (
        select(_owed.c.milestone, _owed.c.receiver)
        .where(schema.IS_PENDING, _owed.c.wake_at <= at, is_due, readable)
        .where(is_not_among(shared, _owed.c.receiver, "besides") if besides else true())
        .order_by(_owed.c.wake_at, _owed.c.milestone, _owed.c.receiver)
        .limit(bindparam("awake", type_=_owed.c.at.type))
        .cte("awake")
    )
    sets = (
        select(_owed.c.milestone, _owed.c.receiver, func.min(_owed.c.at).label("earliest"))
        .join(awake, (awake.c.milestone == _owed.c.milestone) & (awake.c.receiver == _owed.c.receiver))
        .where(schema.IS_PENDING, is_due, readable)
        .group_by(_owed.c.milestone, _owed.c.receiver)
        .order_by(text("earliest"), _owed.c.milestone, _owed.c.receiver)
        .limit(limit)
        .offset(skip)
        .subquery("sets")
    )
    number = select(func.count()).select_from(awake).scalar_subquery()
    return (
        select(_owed, number.label("awake"))
        .join(sets, (sets.c.milestone == _owed.c.milestone) & (sets.c.receiver == _owed.c.receiver))
        .where(schema.IS_PENDING, is_due, readable)
        .order_by(sets.c.earliest, _owed.c.milestone, _owed.c.receiver, _owed.c.at, _owed.c.key)
    )


def find_strays(connection: Connection, known: Known, limit: int) -> list[tuple[ScheduledReminder, Record]]:
    """Return the reminders that are strays; see :meth:`alertd.ports.ReminderQueue.find_strays`."""
    if known.strays_before is None:
        return []
    return find_due(connection, known.strays_before, limit, known.receivers | known.elsewhere)


def bind(connection: Connection, decisions: Decisions) -> bool:
    """Write verdicts and deliveries, all or nothing; see :meth:`alertd.ports.ReminderQueue.bind`."""
    verdicts = decisions.verdicts
    decided = {verdict.key for verdict in verdicts}
    # All rows are locked in one order, so that two writers cannot deadlock.
    keys = decided.union(owed.key for owed in decisions.following)
    found = fetch(connection, _select_states, {"keys": pack_texts(connection, keys)})
    if not decided.issubset(row.key for row in found if row.state == ReminderState.PENDING.value):
        return False
    if decisions.turn is not None and not _advance_digest(connection, *decisions.turn):
        return False
    run_many(connection, _update_decided, [_encode_verdict(verdict) for verdict in verdicts])
    writing.write_owed(connection, decisions.following)
    writing.write_deliveries(connection, decisions.deliveries)
    return True


def _select_states(shared: bool) -> Select[Any]:
    found = select(_owed.c.key, _owed.c.state).where(is_among(shared, _owed.c.key, "keys"))
    return found.order_by(_owed.c.key).with_for_update(key_share=True)


def _update_decided(shared: bool) -> Update:  # noqa: ARG001  the same for both databases
    return (
        update(_owed)
        .where(_owed.c.key == bindparam("of"))
        .values(
            state=bindparam("becomes"),
            **rows.REASON_PARAMETERS,
            wake_at=func.coalesce(bindparam("wakes", type_=_owed.c.wake_at.type), _owed.c.wake_at),
            grounds=func.coalesce(bindparam("why", type_=_owed.c.grounds.type), _owed.c.grounds),
        )
    )


def _encode_verdict(verdict: Verdict) -> rows.Fields:
    return {
        "of": verdict.key,
        "becomes": verdict.state.value,
        **rows.encode_new_reason(verdict.reason),
        "why": rows.encode_grounds(verdict.grounds),
        "wakes": rows.to_micros(verdict.wake_at) if verdict.wake_at else None,
    }


def _advance_digest(connection: Connection, made: NextDigest, following: NextDigest) -> bool:
    """Replace the digest ``made`` with the ``following`` one.

    Returns:
        False if another node has built the digest already.
    """
    table = schema.next_digest
    as_read = [table.c[name] == value for name, value in other_rows.encode_digest(made).items()]
    statement = update(table).where(*as_read).values(**other_rows.encode_digest(following))
    return connection.execute(statement).rowcount == 1


def settle(connection: Connection, settlements: Sequence[Settlement]) -> frozenset[str]:
    """Write how deliveries ended; see :meth:`alertd.ports.DeliveryQueue.settle`."""
    names = {settlement.lease.delivery.id for settlement in settlements}
    held = fetch(connection, _select_held, {"ids": pack_texts(connection, names)})
    there = {row.id: (row.fence, row.state == DeliveryState.READY.value, row.channel) for row in held}
    taken: list[tuple[Settlement, str]] = []
    refused: set[str] = set()
    for settlement in settlements:
        fence, ready, channel = there.get(settlement.lease.delivery.id, (-1, False, ""))
        if ready and fence == settlement.lease.fence:
            taken.append((settlement, channel))
            there[settlement.lease.delivery.id] = (fence, settlement.state is DeliveryState.READY, channel)
        else:
            refused.add(settlement.lease.delivery.id)
    _write_settlements(connection, taken)
    return frozenset(refused)


def _select_held(shared: bool) -> Select[Any]:
    held = select(_delivery.c.id, _delivery.c.fence, _delivery.c.state, _delivery.c.channel)
    held = held.where(is_among(shared, _delivery.c.id, "ids")).order_by(_delivery.c.id)
    return held.with_for_update(key_share=True)


def _write_settlements(connection: Connection, taken: Sequence[tuple[Settlement, str]]) -> None:
    if not taken:
        return
    run_many(connection, _update_settled, [_encode_settlement(settlement) for settlement, _ in taken])
    find_quarantine(connection).forget_apart(settlement.lease.delivery.id for settlement, _ in taken)
    writing.write_attempts(connection, [settlement.attempt for settlement, _ in taken if settlement.attempt])
    told = [
        {"of": key, "when": rows.to_micros(settlement.at)}
        for settlement, _ in taken
        for key in settlement.told
    ]
    if told and is_shared(connection):
        # All rows are locked in one order, so that two writers cannot deadlock. SQLite has one writer.
        keys = {key for settlement, _ in taken for key in settlement.told}
        fetch(connection, _select_states, {"keys": pack_texts(connection, keys)})
    run_many(connection, _update_told, told)
    states = [
        other_rows.encode_state(milestone, channel, state)
        for settlement, channel in taken
        for milestone, state in settlement.remember.items()
    ]
    writing.write_states(connection, states)
    writing.write_deliveries(connection, [made for settlement, _ in taken for made in settlement.follow_up])


def _update_settled(shared: bool) -> Update:  # noqa: ARG001  the same for both databases
    delivery = _delivery.c
    kept = {
        name: func.coalesce(bindparam(f"new_{name}", type_=delivery[name].type), delivery[name])
        for name in ("next_at", "tried_from", "lost_leases")
    }
    return (
        update(_delivery)
        .where(delivery.id == bindparam("of"))
        .values(
            state=bindparam("becomes"),
            **rows.REASON_PARAMETERS,
            **kept,
            attempts=bindparam("tries"),
            settled_at=bindparam("ended"),
            lease_owner=text("''"),
            lease_until=null(),
        )
    )


def _update_told(shared: bool) -> Update:  # noqa: ARG001  the same for both databases
    first = update(_owed).where(_owed.c.key == bindparam("of"), _owed.c.told_at.is_(None))
    return first.values(told_at=bindparam("when"))


def _encode_settlement(settlement: Settlement) -> dict[str, Any]:
    final = settlement.state is not DeliveryState.READY
    return {
        "of": settlement.lease.delivery.id,
        "becomes": settlement.state.value,
        **rows.encode_new_reason(settlement.reason),
        "new_next_at": rows.to_micros(settlement.next_at) if settlement.next_at else None,
        # The count starts from the leased delivery, so that a repeated settlement counts once.
        "tries": settlement.lease.delivery.attempts + (settlement.attempt is not None),
        "ended": rows.to_micros(settlement.at) if final else None,
        "new_tried_from": rows.to_micros(settlement.tried_from) if settlement.tried_from else None,
        # An attempt that was settled has not ended the process.
        "new_lost_leases": 0 if settlement.attempt else None,
    }
