"""Rows into the tables, in bulk, for whichever method they belong to. Nothing here is written twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, and_, bindparam, delete, or_, text, update

from alertd.core.ledger.records import Attempt, Delivery, HistoryEntry, Record, ScheduledReminder
from alertd.core.routing.digest import NextDigest
from alertd.ports import KEEP_REPORTS, Changes, NodeReport
from alertd.store import rows, schema
from alertd.store.database.dialect import insert_into, lock_rows


def write_changes(connection: Connection, changes: Changes) -> None:
    """What is owed comes after what is cancelled: a key that is in both is as it is owed afterwards."""
    write_records(connection, changes.records)
    touched = (*(key for key, _ in changes.cancelled), *(one.key for one in changes.owed))
    lock_rows(connection, schema.owed.c.key, touched)
    if changes.cancelled:
        statement = update(schema.owed).where(schema.owed.c.key == bindparam("of"), schema.IS_PENDING)
        connection.execute(
            statement.values(state="cancelled", reason=bindparam("because")),
            [{"of": key, "because": reason} for key, reason in changes.cancelled],
        )
    write_owed(connection, changes.owed)
    write_digests(connection, changes.digests, changes.no_digests)
    write_history(connection, changes.history)
    write_deliveries(connection, changes.deliveries)


def write_records(connection: Connection, records: Sequence[Record]) -> None:
    """New ones as they are; of those that are there, all but the standing and when they were first loaded."""
    if not records:
        return
    insert = insert_into(connection, schema.milestone)
    kept = {"id", "standing", "done_on", "loaded_at"}
    changed = {column.name: column for column in insert.excluded if column.name not in kept}
    statement = insert.on_conflict_do_update(index_elements=["id"], set_=changed)
    # In one order, so that two writers never wait for each other.
    in_order = sorted(records, key=lambda record: record.id)
    connection.execute(statement, [rows.fields_of_record(record) for record in in_order])


def write_owed(connection: Connection, owed: Sequence[ScheduledReminder]) -> None:
    """By ``rules.brought_up_to_date``, in one statement: what did not change is not written."""
    if not owed:
        return
    insert = insert_into(connection, schema.owed)
    old, new = schema.owed.c, insert.excluded
    given = ("state", "at", "wake_at", "grouping", "move", "reason")
    differs = or_(*(old[name].is_distinct_from(new[name]) for name in given))
    statement = insert.on_conflict_do_update(
        index_elements=["key"],
        set_={name: new[name] for name in given},
        where=and_(or_(schema.IS_PENDING, old.state == text("'cancelled'")), differs),
    )
    connection.execute(statement, [rows.fields_of_owed(one) for one in owed])


def write_digests(connection: Connection, digests: Sequence[NextDigest], gone: Sequence[str]) -> None:
    """One that is there is owed at another instant, unless it has been made since it was read."""
    table = schema.next_digest
    if gone:
        connection.execute(delete(table).where(table.c.key.in_(gone)))
    if digests:
        insert = insert_into(connection, table)
        statement = insert.on_conflict_do_update(
            index_elements=["key"],
            set_={"at": insert.excluded.at},
            where=table.c.since == insert.excluded.since,
        )
        connection.execute(statement, [rows.fields_of_digest(one) for one in digests])


def write_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Those that are new, with their members; one that is there has the same, as its id is their digest."""
    if not deliveries:
        return
    statement = insert_into(connection, schema.delivery).on_conflict_do_nothing()
    connection.execute(statement, [rows.fields_of_delivery(one) for one in deliveries])
    members = [
        {"delivery": one.id, "position": position, "key": key}
        for one in deliveries
        for position, key in enumerate(one.members)
    ]
    if members:
        connection.execute(insert_into(connection, schema.member).on_conflict_do_nothing(), members)


def write_attempts(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """Those whose number is new."""
    if attempts:
        statement = insert_into(connection, schema.attempt).on_conflict_do_nothing()
        connection.execute(statement, [rows.fields_of_attempt(one) for one in attempts])


def write_history(connection: Connection, entries: Iterable[HistoryEntry]) -> None:
    """Append those that do not say what is there already."""
    fields = [rows.fields_of_entry(entry) for entry in entries]
    if fields:
        statement = insert_into(connection, schema.history).on_conflict_do_nothing(index_elements=["entry"])
        connection.execute(statement, fields)


def write_states(connection: Connection, states: Sequence[rows.Fields]) -> None:
    """What notifiers returned, over what they returned before."""
    if states:
        insert = insert_into(connection, schema.remembered)
        statement = insert.on_conflict_do_update(
            index_elements=["milestone", "channel"], set_={"state": insert.excluded.state}
        )
        connection.execute(statement, states)


def write_node(connection: Connection, node: NodeReport) -> None:
    """Over what the daemon of that name said before."""
    insert = insert_into(connection, schema.node)
    said = {column.name: column for column in insert.excluded if column.name != "node"}
    statement = insert.on_conflict_do_update(index_elements=["node"], set_=said)
    connection.execute(statement, rows.fields_of_node(node))
    old = schema.node.c.seen_at < rows.micros(node.seen_at - KEEP_REPORTS)
    connection.execute(delete(schema.node).where(old))
