"""What people do to the ledger: act on a milestone, send a delivery again; and what signs their links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from alertd.core.ledger.records import CHANNEL, Delivery, DeliveryState, Record, ScheduledReminder
from alertd.core.milestones import status as standings
from alertd.core.milestones.status import Action
from alertd.errors import RefusedAction, UnknownDelivery, UnknownMilestone
from alertd.store import reading, rows, rules, schema, writing
from alertd.store.database.dialect import insert_into, lock_rows

_milestone, _delivery, _history = schema.milestone, schema.delivery, schema.history
_remembered = schema.remembered


def act(connection: Connection, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
    milestone = select(_milestone).where(_milestone.c.id == action.milestone)
    row = connection.execute(milestone.with_for_update(key_share=True)).first()
    if row is None:
        raise UnknownMilestone(f"no milestone {action.milestone!r} in the ledger")
    record = rows.record_of(row)
    entry = rules.entry_of_action(action)
    said = select(_history.c.seq).where(_history.c.entry == rules.entry_key(entry))
    if connection.execute(said).first():
        return record
    after = replace(record, standing=standings.apply(record.standing, action, record.window_ids))
    fields = rows.fields_of_standing(after.standing)
    connection.execute(update(_milestone).where(_milestone.c.id == record.id).values(**fields))
    lock_rows(connection, schema.owed.c.key, (one.key for one in owed))
    writing.write_owed(connection, owed)
    writing.write_history(connection, (entry,))
    return after


def retry(connection: Connection, name: str, now: datetime, by: str) -> Delivery:
    locked = select(_delivery).where(_delivery.c.id == name).with_for_update(key_share=True)
    row = connection.execute(locked).first()
    if row is None:
        raise UnknownDelivery(f"no delivery {name!r} in the ledger")
    members = reading.members_of(connection, [name])[name]
    there = reading.delivery_with(row, members)
    again = rules.sent_again(there, now, by)
    if there == again:
        return there
    if there.state is not DeliveryState.DEAD:
        raise RefusedAction(f"{name} is {there.state}; only a dead delivery can be sent again")
    # What was leased before is not the same try: whoever still holds it may not settle it.
    ended = {"lease_owner": "", "lease_until": None, "fence": _delivery.c.fence + 1}
    fields = rows.fields_of_delivery(again) | ended
    connection.execute(update(_delivery).where(_delivery.c.id == name).values(**fields))
    # Who sends again wants to know whether the channel works: what stopped it holds no longer.
    stopped = (_remembered.c.milestone == CHANNEL) & (_remembered.c.channel == there.channel)
    connection.execute(delete(_remembered).where(stopped))
    of = dict.fromkeys(owed.milestone for owed in members)
    writing.write_history(connection, [rules.entry_of_retry(one, name, now, by) for one in of])
    return again


def shared_secret(connection: Connection, made: str) -> str:
    fields = rows.fields_of_state(CHANNEL, rules.SHARED_SECRET, {"secret": made})
    insert = insert_into(connection, _remembered).values(**fields)
    connection.execute(insert.on_conflict_do_nothing(index_elements=["milestone", "channel"]))
    there = (_remembered.c.milestone == CHANNEL) & (_remembered.c.channel == rules.SHARED_SECRET)
    return rows.state_of(connection.execute(select(_remembered).where(there)).one())["secret"]
