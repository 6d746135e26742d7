"""Read records, scheduled reminders, deliveries, history and counts. Nothing here writes.

A row that cannot be read is set apart and left out; see :mod:`alertd.store.quarantine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, func, or_, select

from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.milestones.occurrence import Cause
from alertd.core.reason import PlainReason
from alertd.core.routing.digest import NextDigest
from alertd.errors import UnreadableRow
from alertd.ports import MOVES_READ, NodeReport
from alertd.store import other_rows, rows, rules, schema
from alertd.store.database.dialect import read_data_version, split_chunks
from alertd.store.quarantine import (
    check_again,
    decode_readable,
    find_quarantine,
    is_readable_reminder,
    is_sound,
    make_orphan,
    pair_readable,
    read_limited,
)
from alertd.store.statements import fetch, is_among, pack_texts

_milestone, _owed, _delivery = schema.milestone, schema.owed, schema.delivery
_member, _attempt, _history = schema.member, schema.attempt, schema.history


def read_timelines(connection: Connection) -> dict[str, str]:
    """Return the file of each timeline that has a record that is not withdrawn, by timeline id."""
    statement = (
        select(_milestone.c.timeline, _milestone.c.file).where(_milestone.c.withdrawn.is_(False)).distinct()
    )
    found = connection.execute(statement).all()
    # SQLite may hold something else than texts, which has no order among texts.
    return dict(sorted((row.timeline, row.file) for row in found if all(isinstance(it, str) for it in row)))


def read_timeline(connection: Connection, timeline: str) -> tuple[list[Record], list[ScheduledReminder]]:
    """Return the records of a timeline; see :meth:`alertd.ports.TimelineReader.read_timeline`."""
    in_timeline = select(_milestone).where(_milestone.c.timeline == timeline).order_by(_milestone.c.id)
    records = decode_readable(connection, rows.decode_record, connection.execute(in_timeline))
    its = _owed.c.milestone.in_(select(_milestone.c.id).where(_milestone.c.timeline == timeline))
    return records, _sort_by_at(_read_sendable(connection, its))


def read_milestones(
    connection: Connection, milestones: Sequence[str]
) -> tuple[list[Record], list[ScheduledReminder]]:
    """Return records by id; see :meth:`alertd.ports.TimelineReader.read_milestones`."""
    records = read_records_by_id(connection, milestones)
    found: list[ScheduledReminder] = []
    for chunk in split_chunks(sorted(records)):
        found += _read_sendable(connection, _owed.c.milestone.in_(chunk))
    return sorted(records.values(), key=lambda record: record.id), _sort_by_at(found)


def _read_sendable(connection: Connection, its: ColumnElement[bool]) -> list[ScheduledReminder]:
    """Return the pending reminders, and the moves that are held back, that match ``its``."""
    held_back = and_(
        _owed.c.state == ReminderState.CANCELLED.value,
        _owed.c.cause == Cause.MOVED.value,
        _owed.c.reason_code == PlainReason.MOVED_WHILE_CLOSED.value,
    )
    # Two statements, so that the index finds the few rows in each state.
    return [
        owed
        for wanted in (schema.IS_PENDING, held_back)
        for owed in decode_readable(
            connection, rows.decode_owed, connection.execute(select(_owed).where(its, wanted))
        )
    ]


def read_reminders(connection: Connection, keys: Sequence[str]) -> list[ScheduledReminder]:
    """Return the reminders with these keys."""
    found: list[ScheduledReminder] = []
    for chunk in split_chunks(sorted(set(keys))):
        wanted = connection.execute(select(_owed).where(_owed.c.key.in_(chunk)))
        found += decode_readable(connection, rows.decode_owed, wanted)
    return _sort_by_at(found)


def read_latest(connection: Connection, milestones: Sequence[str]) -> list[ScheduledReminder]:
    """Return who knows what; see :meth:`alertd.ports.TimelineReader.read_latest`."""
    told = func.coalesce(_owed.c.told_at, _owed.c.at).desc()
    line = _owed.c.milestone, _owed.c.receiver, _owed.c.cause
    last = func.row_number().over(
        partition_by=(*line, _owed.c.window_id, _owed.c.state), order_by=(told, _owed.c.key)
    )
    move = func.row_number().over(partition_by=line, order_by=(_owed.c.at.desc(), _owed.c.key))
    moves = _owed.c.cause == Cause.MOVED.value
    found: dict[str, ScheduledReminder] = {}
    for chunk in split_chunks(sorted(set(milestones))):
        for number, wanted, most in ((last, ~moves, 1), (move, moves, MOVES_READ)):
            numbered = (
                select(_owed, number.label("number")).where(_owed.c.milestone.in_(chunk), wanted).subquery()
            )
            newest = connection.execute(select(numbered).where(numbered.c.number <= most))
            found |= {owed.key: owed for owed in decode_readable(connection, rows.decode_owed, newest)}
    return _sort_by_at(found.values())


def _sort_by_at(owed: Iterable[ScheduledReminder]) -> list[ScheduledReminder]:
    # Sorted in Python, because the order of texts in a database depends on its collation.
    return sorted(owed, key=lambda reminder: (reminder.at, reminder.key))


def read_done_dates(connection: Connection) -> dict[str, date]:
    """Return the local done date of each milestone that is done, by full id."""
    statement = select(_milestone.c.id, _milestone.c.done_on).where(_milestone.c.done_on.is_not(None))
    found = pair_readable(connection, rows.decode_done_date, connection.execute(statement))
    return {row.id: day for row, day in found}


def read_record(connection: Connection, milestone: str) -> Record | None:
    """Return a record, or None; see :meth:`alertd.ports.MilestoneLookup.read_record`."""
    row = connection.execute(select(_milestone).where(_milestone.c.id == milestone)).first()
    if row is None:
        return None
    try:
        return rows.decode_record(row)
    except UnreadableRow as error:
        find_quarantine(connection).add(error)
        raise


def read_records(connection: Connection, *, after: str = "", limit: int | None = None) -> list[Record]:
    """Return at most ``limit`` records that are not withdrawn, sorted by id and after the id ``after``."""
    statement = select(_milestone).where(_milestone.c.withdrawn.is_(False)).order_by(_milestone.c.id)
    if after:
        statement = statement.where(_milestone.c.id > after)
    if limit is not None:
        return [record for _, record in read_limited(connection, statement, rows.decode_record, limit)]
    return decode_readable(connection, rows.decode_record, connection.execute(statement))


def read_records_by_id(connection: Connection, milestones: Iterable[str]) -> dict[str, Record]:
    """Return the records by id. An id that occurs twice is read once."""
    found: dict[str, Record] = {}
    for chunk in split_chunks(sorted(set(milestones))):
        its = fetch(connection, _select_records, {"ids": pack_texts(connection, chunk)})
        found |= {record.id: record for record in decode_readable(connection, rows.decode_record, its)}
    return found


def _select_records(shared: bool) -> Select[Any]:
    return select(_milestone).where(is_among(shared, _milestone.c.id, "ids"))


def pair_with_records(
    connection: Connection, found: Sequence[ScheduledReminder]
) -> list[tuple[ScheduledReminder, Record]]:
    """Return each reminder with its record. A reminder whose record cannot be read is left out."""
    names = {owed.milestone for owed in found}
    records = read_records_by_id(connection, names)
    if len(records) < len(names):
        _set_orphans_apart(connection, [owed for owed in found if owed.milestone not in records])
    return [(owed, records[owed.milestone]) for owed in found if owed.milestone in records]


def _set_orphans_apart(connection: Connection, owed: Sequence[ScheduledReminder]) -> None:
    """Set reminders apart whose milestone has no row. A milestone that cannot be read is apart already."""
    there: set[str] = set()
    for chunk in split_chunks(sorted({reminder.milestone for reminder in owed})):
        there.update(connection.execute(select(_milestone.c.id).where(_milestone.c.id.in_(chunk))).scalars())
    for reminder in owed:
        if reminder.milestone not in there:
            find_quarantine(connection).add(make_orphan(reminder.key, reminder.milestone))


def read_owed(connection: Connection, milestone: str) -> list[ScheduledReminder]:
    """Return all reminders for a milestone in any state, sorted by instant."""
    statement = select(_owed).where(_owed.c.milestone == milestone).order_by(_owed.c.at, _owed.c.key)
    return decode_readable(connection, rows.decode_owed, connection.execute(statement))


def read_upcoming(connection: Connection, limit: int) -> list[ScheduledReminder]:
    """Return pending reminders, sorted by the instant at which they wake."""
    # What is set apart is due and stays due, so that it would always come first. The page has no other call
    # that would look at it again.
    check_again(connection)
    waiting = schema.IS_PENDING, is_sound(_owed.c.wake_at), is_readable_reminder(connection)
    statement = select(_owed).where(*waiting).order_by(_owed.c.wake_at, _owed.c.key)
    return [reminder for _, reminder in read_limited(connection, statement, rows.decode_owed, limit)]


def read_digests(connection: Connection) -> list[NextDigest]:
    """Return the next digests, the earliest first."""
    statement = select(schema.next_digest).order_by(schema.next_digest.c.at, schema.next_digest.c.key)
    return decode_readable(connection, other_rows.decode_digest, connection.execute(statement))


def read_fingerprints(connection: Connection) -> list[TimelineFingerprint]:
    """Return the fingerprints; see :meth:`alertd.ports.TimelineReader.read_fingerprints`."""
    table = schema.fingerprint
    present = (
        select(func.count())
        .select_from(_milestone)
        .where(_milestone.c.timeline == table.c.timeline, _milestone.c.withdrawn.is_(False))
        .scalar_subquery()
    )
    found = []
    for row in connection.execute(select(table).where(table.c.records == present)):
        # A row that cannot be read tells nothing, so that its timeline is reconciled and it is written again.
        with suppress(UnreadableRow):
            found.append(other_rows.decode_fingerprint(row))
    return sorted(found, key=lambda fingerprint: fingerprint.timeline)


def read_snapshots(connection: Connection, timeline: str) -> dict[str, str]:
    """Return the packed milestones of a timeline by id, without those that are withdrawn."""
    statement = select(_milestone.c.id, _milestone.c.snapshot).where(
        _milestone.c.timeline == timeline, _milestone.c.withdrawn.is_(False)
    )
    return {row.id: row.snapshot for row in connection.execute(statement)}


def read_deferred(
    connection: Connection, now: datetime, limit: int, after: str = ""
) -> list[ScheduledReminder]:
    """Return deferred reminders; see :meth:`alertd.ports.TimelineReader.read_deferred`."""
    statement = (
        select(_owed)
        .where(schema.IS_PENDING, _owed.c.wake_at > _owed.c.at, _owed.c.wake_at > rows.to_micros(now))
        .order_by(_owed.c.key)
    )
    if after:
        statement = statement.where(_owed.c.key > after)
    return [reminder for _, reminder in read_limited(connection, statement, rows.decode_owed, limit)]


def read_held(connection: Connection, receiver: str, now: datetime) -> list[tuple[ScheduledReminder, Record]]:
    """Return the pending reminders of a receiver that are due at ``now``, with their records."""
    statement = select(_owed).where(
        schema.IS_PENDING, _owed.c.receiver == receiver, _owed.c.at <= rows.to_micros(now)
    )
    # Sorted in Python, because the order of texts in a database depends on its collation.
    found = decode_readable(connection, rows.decode_owed, connection.execute(statement))
    found.sort(key=lambda reminder: (reminder.milestone, reminder.at, reminder.key))
    return pair_with_records(connection, found)


def read_windows(connection: Connection, receiver: str, before: datetime) -> list[tuple[str, str, datetime]]:
    """Return the windows of a receiver; see :meth:`alertd.ports.ReminderQueue.read_windows`."""
    reminders = sorted(cause.value for cause in rules.REMINDERS)
    statement = (
        select(_owed.c.milestone, _owed.c.window_id, _milestone.c.changed_at)
        .join(_milestone, _milestone.c.id == _owed.c.milestone)
        .where(_owed.c.receiver == receiver, _owed.c.at < rows.to_micros(before))
        .where(is_sound(_milestone.c.changed_at), is_readable_reminder(connection))
        .where(_owed.c.cause.in_(reminders), _owed.c.state != ReminderState.CANCELLED.value)
        .where(_milestone.c.withdrawn.is_(False), _milestone.c.done_on.is_(None))
        .distinct()
    )
    return sorted(
        (row.milestone, row.window_id, rows.from_micros(row.changed_at))
        for row in connection.execute(statement)
        if isinstance(row.milestone, str) and isinstance(row.window_id, str)
    )


def find_deliveries(
    connection: Connection,
    *,
    delivery: str = "",
    milestone: str = "",
    state: DeliveryState | None = None,
    receiver: str = "",
    text: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 100,
) -> list[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]]:
    """Return deliveries; see :meth:`alertd.ports.LedgerReader.find_deliveries`."""
    carrying = select(_member.c.delivery).join(_owed, _owed.c.key == _member.c.key)
    wanted: list[ColumnElement[bool]] = []
    if delivery:
        wanted.append(_delivery.c.id == delivery)
    if state is not None:
        wanted.append(_delivery.c.state == state.value)
    if milestone:
        wanted.append(_delivery.c.id.in_(carrying.where(_owed.c.milestone == milestone)))
    if receiver:
        wanted.append(_delivery.c.receiver == receiver)
    if text:
        # The correlated subquery is evaluated for each delivery, the newest first. A page is therefore
        # complete before the whole table has been read.
        about = carrying.where(_member.c.delivery == _delivery.c.id, _has(_owed.c.milestone, text))
        own = (_delivery.c.id, _delivery.c.channel, _delivery.c.reason)
        wanted.append(or_(*(_has(column, text) for column in own), about.exists()))
    if before is not None:
        at, name = rows.to_micros(before[0]), before[1]
        wanted.append(or_(_delivery.c.bound_at < at, and_(_delivery.c.bound_at == at, _delivery.c.id < name)))
    wanted.append(is_sound(_delivery.c.bound_at))
    newest = select(_delivery).where(*wanted).order_by(_delivery.c.bound_at.desc(), _delivery.c.id.desc())
    found = read_limited(connection, newest, lambda row: rows.decode_delivery(row, ()), limit)
    ids = [row.id for row, _ in found]
    members = read_members(connection, ids)
    attempts: dict[str, list[Attempt]] = {name: [] for name in ids}
    for chunk in split_chunks(ids):
        tries = select(_attempt).where(_attempt.c.delivery.in_(chunk))
        in_order = connection.execute(tries.order_by(_attempt.c.delivery, _attempt.c.number))
        for attempt in decode_readable(connection, other_rows.decode_attempt, in_order):
            attempts[attempt.delivery].append(attempt)
    return [(carry(made, members[made.id]), attempts[made.id], members[made.id]) for _, made in found]


def _has(column: Column[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column contains ``text``, ignoring case."""
    return func.lower(column).contains(text.lower(), autoescape=True)


def carry(delivery: Delivery, members: Sequence[ScheduledReminder]) -> Delivery:
    """Return a delivery that carries these members."""
    return replace(delivery, members=tuple(owed.key for owed in members))


def read_members(connection: Connection, deliveries: Sequence[str]) -> dict[str, list[ScheduledReminder]]:
    """Return the members of each delivery, in the order in which they were bound."""
    members: dict[str, list[ScheduledReminder]] = {name: [] for name in deliveries}
    for chunk in split_chunks(deliveries):
        statement = (
            select(_owed, _member.c.delivery)
            .join(_owed, _owed.c.key == _member.c.key)
            .where(_member.c.delivery.in_(chunk))
            .order_by(_member.c.delivery, _member.c.position)
        )
        found = connection.execute(statement)
        for row, owed in pair_readable(connection, rows.decode_owed, found):
            members[row.delivery].append(owed)
    return members


def read_activity(connection: Connection, timeline: str = "") -> list[tuple[Record, datetime]]:
    """Return all records, each with the time of its last history entry or else of its last change."""
    last = select(_history.c.milestone, func.max(_history.c.at).label("at")).where(is_sound(_history.c.at))
    last = last.group_by(_history.c.milestone)
    statement = select(_milestone).order_by(_milestone.c.id)
    if timeline:
        last = last.where(_match_timeline(timeline))
        statement = statement.where(_milestone.c.timeline == timeline)
    at = {row.milestone: rows.from_micros(row.at) for row in connection.execute(last)}
    records = decode_readable(connection, rows.decode_record, connection.execute(statement))
    return [(record, at.get(record.id, record.changed_at)) for record in records]


def read_history(
    connection: Connection, milestone: str = "", limit: int = 100, *, timeline: str = "", kind: str = ""
) -> list[HistoryEntry]:
    """Return history entries, the newest first. An empty filter matches every entry."""
    statement = select(_history).order_by(_history.c.at.desc(), _history.c.seq.desc())
    if milestone:
        statement = statement.where(_history.c.milestone == milestone)
    if timeline:
        statement = statement.where(_match_timeline(timeline))
    if kind:
        statement = statement.where(_history.c.kind == kind)
    return [entry for _, entry in read_limited(connection, statement, other_rows.decode_entry, limit)]


def _match_timeline(timeline: str) -> ColumnElement[bool]:
    """Return the condition that a history entry is about ``timeline``, whose id starts the milestone's id."""
    return _history.c.milestone.startswith(f"{timeline}/", autoescape=True)


def read_last_moves(connection: Connection, milestones: Sequence[str]) -> dict[str, HistoryEntry]:
    """Return the last ``moved`` entry of each milestone that has one, by full id."""
    number = func.row_number().over(
        partition_by=_history.c.milestone, order_by=(_history.c.at.desc(), _history.c.seq.desc())
    )
    found: dict[str, HistoryEntry] = {}
    for chunk in split_chunks(sorted(set(milestones))):
        numbered = select(_history, number.label("number")).where(
            _history.c.milestone.in_(chunk), _history.c.kind == "moved"
        )
        last = numbered.subquery()
        its = connection.execute(select(last).where(last.c.number == 1))
        found |= {
            entry.milestone: entry for entry in decode_readable(connection, other_rows.decode_entry, its)
        }
    return found


def count_rows(connection: Connection) -> Mapping[str, int]:
    """Return the number of milestones, and of reminders and deliveries by state."""
    found = {
        "milestones": connection.execute(select(func.count()).select_from(_milestone)).scalar_one(),
        **{f"owed.{state}": 0 for state in ReminderState},
        **{f"deliveries.{state}": 0 for state in DeliveryState},
    }
    for name, table in (("owed", _owed), ("deliveries", _delivery)):
        by_state = select(table.c.state, func.count().label("many")).group_by(table.c.state)
        found |= {f"{name}.{row.state}": row.many for row in connection.execute(by_state)}
    return found


def find_known(
    connection: Connection, owed: Sequence[str] = (), deliveries: Sequence[str] = ()
) -> frozenset[str]:
    """Return the keys of reminders and the ids of deliveries that are in the ledger."""
    found: set[str] = set()
    for column, names in ((_owed.c.key, owed), (_delivery.c.id, deliveries)):
        for chunk in split_chunks(sorted(set(names))):
            found.update(connection.execute(select(column).where(column.in_(chunk))).scalars())
    return frozenset(found)


def read_nodes(connection: Connection) -> list[NodeReport]:
    """Return the last report of every node, the latest first."""
    latest = select(schema.node).order_by(schema.node.c.seen_at.desc(), schema.node.c.node)
    return decode_readable(connection, other_rows.decode_node, connection.execute(latest))


def read_version(connection: Connection) -> str:
    """Return a value that changes when another connection has committed. Own commits do not change it."""
    return read_data_version(connection)
