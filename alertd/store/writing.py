"""Write rows to the tables in bulk. A repeated call with the same arguments changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    not_,
    or_,
    select,
    text,
    update,
)

from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import Attempt, Delivery, HistoryEntry, Record, ScheduledReminder
from alertd.core.routing.digest import NextDigest
from alertd.ports import KEEP_REPORTS, Changes, NodeReport
from alertd.store import other_rows, rows, schema
from alertd.store.database.dialect import insert_for, insert_into, lock_rows, split_chunks
from alertd.store.quarantine import find_quarantine, is_sound
from alertd.store.statements import run_many

if TYPE_CHECKING:
    from alertd.store.database.dialect import Insert


def write_changes(connection: Connection, changes: Changes) -> None:
    """Write what reconciling changed.

    Cancellations are written first, so a key that is both cancelled and scheduled ends up scheduled.
    """
    delete_fingerprints(connection, changes.no_fingerprints)
    write_records(connection, changes.records)
    touched = (*(key for key, _ in changes.cancelled), *(reminder.key for reminder in changes.owed))
    lock_rows(connection, schema.owed.c.key, touched)
    if changes.cancelled:
        statement = update(schema.owed).where(schema.owed.c.key == bindparam("of"), schema.IS_PENDING)
        connection.execute(
            statement.values(state="cancelled", **rows.REASON_PARAMETERS),
            [{"of": key, **rows.encode_new_reason(reason)} for key, reason in changes.cancelled],
        )
    write_owed(connection, changes.owed)
    write_digests(connection, changes.digests, changes.no_digests)
    write_history(connection, changes.history)
    write_deliveries(connection, changes.deliveries)
    write_fingerprints(connection, changes.fingerprints)


def write_records(connection: Connection, records: Sequence[Record]) -> None:
    """Insert new records and update existing ones.

    An update keeps the status and the time of the first load: a person may be changing the status right now.
    A revision never goes back, since a row that could not be read is written as if it were new.
    """
    if not records:
        return
    insert = insert_into(connection, schema.milestone)
    old, new = schema.milestone.c, insert.excluded
    kept = {"id", "standing", "done_on"}
    changed: dict[str, ColumnElement[Any]] = {
        column.name: column for column in new if column.name not in kept
    }
    changed["loaded_at"] = case((is_sound(old.loaded_at), old.loaded_at), else_=new.loaded_at)
    is_later = old.revision.between(new.revision, rows.MAX_COUNT)
    changed["revision"] = case((is_later, old.revision), else_=new.revision)
    statement = insert.on_conflict_do_update(index_elements=["id"], set_=changed)
    # Every writer uses the same order, so that two writers cannot deadlock.
    in_order = sorted(records, key=lambda record: record.id)
    connection.execute(statement, [rows.encode_record(record) for record in in_order])
    find_quarantine(connection).discard("milestone", [record.id for record in in_order])


def write_owed(connection: Connection, owed: Sequence[ScheduledReminder]) -> None:
    """Insert new reminders and update existing ones, as :func:`alertd.store.rules.update_owed` does.

    One statement does both and leaves unchanged rows alone.
    """
    if not owed:
        return
    insert = insert_into(connection, schema.owed)
    old, new = schema.owed.c, insert.excluded
    # The key determines the first five of these columns, so they differ only in a row that is damaged.
    determined = ("milestone", "receiver", "cause", "slot", "window_id")
    compared = (*determined, "state", "at", "wake_at", "grouping", "move", "reason_code", "reason_details")
    given = (*compared, "reason")
    differs = or_(*(old[name].is_distinct_from(new[name]) for name in compared))
    statement = insert.on_conflict_do_update(
        index_elements=["key"],
        set_={name: new[name] for name in given},
        where=and_(or_(schema.IS_PENDING, old.state == text("'cancelled'")), differs),
    )
    connection.execute(statement, [rows.encode_owed(reminder) for reminder in owed])
    find_quarantine(connection).discard("owed", [reminder.key for reminder in owed])


def write_digests(connection: Connection, digests: Sequence[NextDigest], gone: Sequence[str]) -> None:
    """Insert, reschedule and delete the next digests.

    A digest that was built after the caller read it is not rescheduled: its ``since`` has changed by then.
    """
    table = schema.next_digest
    if gone:
        connection.execute(delete(table).where(table.c.key.in_(gone)))
    if digests:
        insert = insert_into(connection, table)
        statement = insert.on_conflict_do_update(
            index_elements=["key"],
            set_={name: insert.excluded[name] for name in ("at", "since", "receiver", "name")},
            where=or_(
                table.c.since == insert.excluded.since,
                # A row that is damaged is written again.
                not_(is_sound(table.c.at) & is_sound(table.c.since)),
                table.c.receiver != insert.excluded.receiver,
                table.c.name != insert.excluded.name,
            ),
        )
        connection.execute(statement, [other_rows.encode_digest(digest) for digest in digests])
        find_quarantine(connection).discard("next_digest", [digest.key for digest in digests])


def write_fingerprints(connection: Connection, fingerprints: Sequence[TimelineFingerprint]) -> None:
    """Write the fingerprints of timelines, each with the number of records that the timeline has now."""
    if not fingerprints:
        return
    insert = insert_into(connection, schema.fingerprint)
    changed = {column.name: column for column in insert.excluded if column.name != "timeline"}
    statement = insert.on_conflict_do_update(index_elements=["timeline"], set_=changed)
    fields = []
    for fingerprint in fingerprints:
        records = (
            select(func.count())
            .select_from(schema.milestone)
            .where(
                schema.milestone.c.timeline == fingerprint.timeline, schema.milestone.c.withdrawn.is_(False)
            )
        )
        counted = connection.execute(records).scalar_one()
        fields.append(other_rows.encode_fingerprint(fingerprint) | {"records": counted})
    connection.execute(statement, fields)


def delete_fingerprints(connection: Connection, timelines: Sequence[str]) -> None:
    """Delete the fingerprints of timelines."""
    for chunk in split_chunks(timelines):
        connection.execute(delete(schema.fingerprint).where(schema.fingerprint.c.timeline.in_(chunk)))


def write_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Insert new deliveries and their members.

    A delivery's id is a fingerprint of its members, so an existing delivery has the same members already.
    """
    if not deliveries:
        return
    encoded = [rows.encode_delivery(delivery) for delivery in deliveries]
    run_many(connection, _insert_new, encoded, schema.delivery, tuple(encoded[0]))
    members = [
        {"delivery": delivery.id, "position": position, "key": key}
        for delivery in deliveries
        for position, key in enumerate(delivery.members)
    ]
    run_many(connection, _insert_new, members, schema.member, ("delivery", "position", "key"))


def _insert_new(shared: bool, table: Table, names: Sequence[str]) -> Insert:
    """Insert rows with values in the columns ``names``. A row that is there already stays as it is."""
    insert = insert_for(shared, table).values({name: bindparam(name) for name in names})
    return insert.on_conflict_do_nothing()


def write_attempts(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """Insert the attempts that are not in the table yet."""
    if attempts:
        encoded = [other_rows.encode_attempt(attempt) for attempt in attempts]
        run_many(connection, _insert_new, encoded, schema.attempt, tuple(encoded[0]))


def write_history(connection: Connection, entries: Iterable[HistoryEntry]) -> None:
    """Append the entries that are not in the history yet."""
    fields = [other_rows.encode_entry(entry) for entry in entries]
    if fields:
        statement = insert_into(connection, schema.history).on_conflict_do_nothing(index_elements=["entry"])
        connection.execute(statement, fields)


def write_states(connection: Connection, states: Sequence[rows.Fields]) -> None:
    """Store the states that notifiers returned, in place of the states that they returned before."""
    run_many(connection, _upsert_states, states)


def _upsert_states(shared: bool) -> Insert:
    names = ("milestone", "channel", "state")
    insert = insert_for(shared, schema.remembered).values({name: bindparam(name) for name in names})
    return insert.on_conflict_do_update(
        index_elements=["milestone", "channel"], set_={"state": insert.excluded.state}
    )


def write_node(connection: Connection, node: NodeReport) -> None:
    """Replace the report of a node and delete reports that are too old (``KEEP_REPORTS``)."""
    insert = insert_into(connection, schema.node)
    said = {column.name: column for column in insert.excluded if column.name != "node"}
    statement = insert.on_conflict_do_update(index_elements=["node"], set_=said)
    connection.execute(statement, other_rows.encode_node(node))
    old = schema.node.c.seen_at < rows.to_micros(node.seen_at - KEEP_REPORTS)
    connection.execute(delete(schema.node).where(old))
