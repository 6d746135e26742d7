"""What only reads: records, what is owed for them, deliveries, history, counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, func, or_, select

from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.routing.digest import NextDigest
from alertd.ports import NodeReport
from alertd.store import rows, rules, schema
from alertd.store.database.dialect import chunks, data_version

_milestone, _owed, _delivery = schema.milestone, schema.owed, schema.delivery
_member, _attempt, _history = schema.member, schema.attempt, schema.history


def timelines(connection: Connection) -> dict[str, str]:
    statement = (
        select(_milestone.c.timeline, func.max(_milestone.c.file).label("file"))
        .where(_milestone.c.withdrawn.is_(False))
        .group_by(_milestone.c.timeline)
    )
    return {row.timeline: row.file for row in connection.execute(statement)}


def timeline(connection: Connection, name: str) -> tuple[list[Record], list[ScheduledReminder]]:
    of = select(_milestone).where(_milestone.c.timeline == name).order_by(_milestone.c.id)
    records = [rows.record_of(row) for row in connection.execute(of)]
    owed = (
        select(_owed)
        .join(_milestone, _milestone.c.id == _owed.c.milestone)
        .where(_milestone.c.timeline == name)
        .order_by(_owed.c.at, _owed.c.key)
    )
    return records, [rows.owed_of(row) for row in connection.execute(owed)]


def done_dates(connection: Connection) -> dict[str, date]:
    statement = select(_milestone.c.id, _milestone.c.done_on).where(_milestone.c.done_on.is_not(None))
    return {row.id: rows.day_of(row.done_on) for row in connection.execute(statement)}


def record(connection: Connection, milestone: str) -> Record | None:
    return records_by_id(connection, (milestone,)).get(milestone)


def records(connection: Connection, after: str, limit: int | None) -> list[Record]:
    statement = select(_milestone).where(_milestone.c.withdrawn.is_(False)).order_by(_milestone.c.id)
    if after:
        statement = statement.where(_milestone.c.id > after)
    if limit is not None:
        statement = statement.limit(limit)
    return [rows.record_of(row) for row in connection.execute(statement)]


def records_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Record]:
    """Each of the records once, however often its id is in ``ids``."""
    found: dict[str, Record] = {}
    for some in chunks(sorted(set(ids))):
        for row in connection.execute(select(_milestone).where(_milestone.c.id.in_(some))):
            found[row.id] = rows.record_of(row)
    return found


def owed(connection: Connection, milestone: str) -> list[ScheduledReminder]:
    statement = select(_owed).where(_owed.c.milestone == milestone).order_by(_owed.c.at, _owed.c.key)
    return [rows.owed_of(row) for row in connection.execute(statement)]


def coming(connection: Connection, limit: int) -> list[ScheduledReminder]:
    statement = select(_owed).where(schema.IS_PENDING).order_by(_owed.c.wake_at, _owed.c.key).limit(limit)
    return [rows.owed_of(row) for row in connection.execute(statement)]


def first_after(
    connection: Connection, milestones: Sequence[str], after: datetime
) -> dict[tuple[str, str], ScheduledReminder]:
    """The first reminder with ``at > after`` that is pending, by milestone and receiver."""
    reminders = sorted(cause.value for cause in rules.REMINDERS)
    number = func.row_number().over(
        partition_by=(_owed.c.milestone, _owed.c.receiver), order_by=(_owed.c.at, _owed.c.key)
    )
    found: dict[tuple[str, str], ScheduledReminder] = {}
    for some in chunks(milestones):
        coming = (
            select(_owed, number.label("number"))
            .where(_owed.c.milestone.in_(some), schema.IS_PENDING, _owed.c.at > rows.micros(after))
            .where(_owed.c.cause.in_(reminders))
            .subquery()
        )
        for row in connection.execute(select(coming).where(coming.c.number == 1)):
            found[row.milestone, row.receiver] = rows.owed_of(row)
    return found


def digests(connection: Connection) -> list[NextDigest]:
    statement = select(schema.next_digest).order_by(schema.next_digest.c.at, schema.next_digest.c.key)
    return [rows.digest_of(row) for row in connection.execute(statement)]


def held(connection: Connection, receiver: str, now: datetime) -> list[tuple[ScheduledReminder, Record]]:
    statement = select(_owed).where(
        schema.IS_PENDING, _owed.c.receiver == receiver, _owed.c.at <= rows.micros(now)
    )
    # Sorted here: a database's order of texts is its own.
    found = [rows.owed_of(row) for row in connection.execute(statement)]
    found.sort(key=lambda one: (one.milestone, one.at, one.key))
    records = records_by_id(connection, (owed.milestone for owed in found))
    return [(owed, records[owed.milestone]) for owed in found]


def windows(connection: Connection, receiver: str, before: datetime) -> list[tuple[str, str, datetime]]:
    reminders = sorted(cause.value for cause in rules.REMINDERS)
    statement = (
        select(_owed.c.milestone, _owed.c.window_id, _milestone.c.changed_at)
        .join(_milestone, _milestone.c.id == _owed.c.milestone)
        .where(_owed.c.receiver == receiver, _owed.c.at < rows.micros(before))
        .where(_owed.c.cause.in_(reminders), _owed.c.state != ReminderState.CANCELLED.value)
        .where(_milestone.c.withdrawn.is_(False), _milestone.c.done_on.is_(None))
        .distinct()
    )
    return sorted(
        (row.milestone, row.window_id, rows.instant(row.changed_at)) for row in connection.execute(statement)
    )


def wanted(
    *,
    delivery: str,
    milestone: str,
    state: DeliveryState | None,
    receiver: str,
    text: str,
    before: tuple[datetime, str] | None,
) -> list[ColumnElement[bool]]:
    """What :meth:`alertd.ports.Ledger.deliveries` is asked for, as conditions that must all hold."""
    carrying = select(_member.c.delivery).join(_owed, _owed.c.key == _member.c.key)
    found: list[ColumnElement[bool]] = []
    if delivery:
        found.append(_delivery.c.id == delivery)
    if state is not None:
        found.append(_delivery.c.state == state.value)
    if milestone:
        found.append(_delivery.c.id.in_(carrying.where(_owed.c.milestone == milestone)))
    if receiver:
        found.append(_delivery.c.receiver == receiver)
    if text:
        # One by one from the newest on, so that a page is full long before all that was ever sent is read.
        about = carrying.where(_member.c.delivery == _delivery.c.id, _has(_owed.c.milestone, text))
        own = (_delivery.c.id, _delivery.c.channel, _delivery.c.reason)
        found.append(or_(*(_has(column, text) for column in own), about.exists()))
    if before is not None:
        at, name = rows.micros(before[0]), before[1]
        found.append(or_(_delivery.c.bound_at < at, and_(_delivery.c.bound_at == at, _delivery.c.id < name)))
    return found


def _has(column: Column[str], text: str) -> ColumnElement[bool]:
    return func.lower(column).contains(text.lower(), autoescape=True)


def deliveries(
    connection: Connection, wanted: Sequence[ColumnElement[bool]], limit: int
) -> list[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]]:
    newest = (
        select(_delivery)
        .where(*wanted)
        .order_by(_delivery.c.bound_at.desc(), _delivery.c.id.desc())
        .limit(limit)
    )
    found = connection.execute(newest).all()
    ids = [row.id for row in found]
    members = members_of(connection, ids)
    attempts: dict[str, list[Attempt]] = {name: [] for name in ids}
    for some in chunks(ids):
        tries = select(_attempt).where(_attempt.c.delivery.in_(some))
        for row in connection.execute(tries.order_by(_attempt.c.delivery, _attempt.c.number)):
            attempts[row.delivery].append(rows.attempt_of(row))
    return [(delivery_with(row, members[row.id]), attempts[row.id], members[row.id]) for row in found]


def delivery_with(row: Any, members: Sequence[ScheduledReminder]) -> Delivery:
    """The delivery of a row, its members being known."""
    return rows.delivery_of(row, [owed.key for owed in members])


def members_of(connection: Connection, deliveries: Sequence[str]) -> dict[str, list[ScheduledReminder]]:
    """What each delivery carries, in the order in which it was bound."""
    members: dict[str, list[ScheduledReminder]] = {name: [] for name in deliveries}
    for some in chunks(deliveries):
        statement = (
            select(_member.c.delivery, _owed)
            .join(_owed, _owed.c.key == _member.c.key)
            .where(_member.c.delivery.in_(some))
            .order_by(_member.c.delivery, _member.c.position)
        )
        for row in connection.execute(statement):
            members[row.delivery].append(rows.owed_of(row))
    return members


def touched(connection: Connection, timeline: str) -> list[tuple[Record, datetime]]:
    last = select(_history.c.milestone, func.max(_history.c.at).label("at")).group_by(_history.c.milestone)
    statement = select(_milestone).order_by(_milestone.c.id)
    if timeline:
        last = last.where(_is_of(timeline))
        statement = statement.where(_milestone.c.timeline == timeline)
    at = {row.milestone: rows.instant(row.at) for row in connection.execute(last)}
    records = map(rows.record_of, connection.execute(statement))
    return [(one, at.get(one.id, one.changed_at)) for one in records]


def history(
    connection: Connection, milestone: str, limit: int, timeline: str, kind: str
) -> list[HistoryEntry]:
    statement = select(_history).order_by(_history.c.at.desc(), _history.c.seq.desc()).limit(limit)
    if milestone:
        statement = statement.where(_history.c.milestone == milestone)
    if timeline:
        statement = statement.where(_is_of(timeline))
    if kind:
        statement = statement.where(_history.c.kind == kind)
    return [rows.entry_of(row) for row in connection.execute(statement)]


def _is_of(timeline: str) -> ColumnElement[bool]:
    """Whether an entry of the history is about a milestone of a timeline: its id begins with that one's."""
    return _history.c.milestone.startswith(f"{timeline}/", autoescape=True)


def moves(connection: Connection, milestones: Sequence[str]) -> dict[str, HistoryEntry]:
    number = func.row_number().over(
        partition_by=_history.c.milestone, order_by=(_history.c.at.desc(), _history.c.seq.desc())
    )
    found: dict[str, HistoryEntry] = {}
    for some in chunks(sorted(set(milestones))):
        of = select(_history, number.label("number")).where(
            _history.c.milestone.in_(some), _history.c.kind == "moved"
        )
        last = of.subquery()
        for row in connection.execute(select(last).where(last.c.number == 1)):
            found[row.milestone] = rows.entry_of(row)
    return found


def counts(connection: Connection) -> Mapping[str, int]:
    found = {
        "milestones": connection.execute(select(func.count()).select_from(_milestone)).scalar_one(),
        **{f"owed.{state}": 0 for state in ReminderState},
        **{f"deliveries.{state}": 0 for state in DeliveryState},
    }
    for name, table in (("owed", _owed), ("deliveries", _delivery)):
        by_state = select(table.c.state, func.count().label("many")).group_by(table.c.state)
        found |= {f"{name}.{row.state}": row.many for row in connection.execute(by_state)}
    return found


def known(connection: Connection, owed: Sequence[str], deliveries: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for column, names in ((_owed.c.key, owed), (_delivery.c.id, deliveries)):
        for some in chunks(sorted(set(names))):
            found.update(connection.execute(select(column).where(column.in_(some))).scalars())
    return frozenset(found)


def nodes(connection: Connection) -> list[NodeReport]:
    latest = select(schema.node).order_by(schema.node.c.seen_at.desc(), schema.node.c.node)
    return [rows.node_of(row) for row in connection.execute(latest)]


def version(connection: Connection) -> str:
    """Changes whenever another connection has committed; the connection's own commits do not count."""
    return data_version(connection)
