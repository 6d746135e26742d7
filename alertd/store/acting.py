"""Write what people do: act on a milestone, or retry a dead delivery.

The secret that signs their links and the kept configuration are written here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from alertd.core.ledger.records import CHANNEL, Delivery, DeliveryState, Record, ScheduledReminder
from alertd.core.milestones import status as milestone_status
from alertd.core.milestones.status import Action
from alertd.errors import RefusedAction, UnknownDelivery, UnknownMilestone, UnreadableRow
from alertd.ports import KeptConfig
from alertd.store import leading, other_rows, reading, rows, rules, schema, writing
from alertd.store.database.dialect import insert_into, lock_rows

_milestone, _delivery, _history = schema.milestone, schema.delivery, schema.history
_remembered = schema.remembered


def act(connection: Connection, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
    """Record an action and schedule ``owed``; see :meth:`alertd.ports.ActionLedger.act`."""
    milestone = select(_milestone).where(_milestone.c.id == action.milestone)
    row = connection.execute(milestone.with_for_update(key_share=True)).first()
    if row is None:
        raise UnknownMilestone(f"no milestone {action.milestone!r} in the ledger")
    record = rows.decode_record(row)
    entry = rules.make_action_entry(action)
    repeated = select(_history.c.seq).where(_history.c.entry == rules.make_entry_key(entry))
    if connection.execute(repeated).first():
        return record
    after = replace(record, status=milestone_status.apply_action(record.status, action, record.window_ids))
    fields = rows.encode_status(after.status)
    connection.execute(update(_milestone).where(_milestone.c.id == record.id).values(**fields))
    lock_rows(connection, schema.owed.c.key, (reminder.key for reminder in owed))
    writing.write_owed(connection, owed)
    writing.write_history(connection, (entry,))
    return after


def retry(connection: Connection, delivery: str, now: datetime, by: str) -> Delivery:
    """Make a dead delivery ready again; see :meth:`alertd.ports.ActionLedger.retry`."""
    locked = select(_delivery).where(_delivery.c.id == delivery).with_for_update(key_share=True)
    row = connection.execute(locked).first()
    if row is None:
        raise UnknownDelivery(f"no delivery {delivery!r} in the ledger")
    members = reading.read_members(connection, [delivery])[delivery]
    found = reading.carry(rows.decode_delivery(row, ()), members)
    retried = rules.reset_delivery(found, now, by)
    if found == retried:
        return found
    if found.state is not DeliveryState.DEAD:
        raise RefusedAction(f"{delivery} is {found.state}; only a dead delivery can be sent again")
    # A new fence: a node that still holds an earlier lease can no longer settle this delivery.
    ended = {"lease_owner": "", "lease_until": None, "fence": _delivery.c.fence + 1}
    fields = rows.encode_delivery(retried) | ended
    connection.execute(update(_delivery).where(_delivery.c.id == delivery).values(**fields))
    # The person who retries wants to know whether the channel works, so a stop of the channel is lifted.
    stopped = (_remembered.c.milestone == CHANNEL) & (_remembered.c.channel == found.channel)
    connection.execute(delete(_remembered).where(stopped))
    milestones = dict.fromkeys(owed.milestone for owed in members)
    writing.write_history(
        connection, [rules.make_retry_entry(milestone, delivery, now, by) for milestone in milestones]
    )
    return retried


def keep_config(connection: Connection, kept: KeptConfig, *, term: int) -> None:
    """Replace the kept configuration. Raises LeadLost if ``term`` is not current."""
    leading.hold_term(connection, term)
    fields = other_rows.encode_state(*rules.KEPT_CONFIG, rules.pack_kept_config(kept))
    insert = insert_into(connection, _remembered).values(**fields)
    statement = insert.on_conflict_do_update(
        index_elements=["milestone", "channel"], set_={"state": insert.excluded.state}
    )
    connection.execute(statement)


def read_kept_config(connection: Connection) -> KeptConfig | None:
    """Return the kept configuration; None if none is kept."""
    milestone, channel = rules.KEPT_CONFIG
    there = (_remembered.c.milestone == milestone) & (_remembered.c.channel == channel)
    row = connection.execute(select(_remembered).where(there)).first()
    return rules.unpack_kept_config(other_rows.decode_state(row)) if row is not None else None


def ensure_shared_secret(connection: Connection, made: str) -> str:
    """Store ``made`` as the shared secret unless there is one already, and return the stored secret.

    A secret that cannot be read is replaced, since no node can use it.
    """
    fields = other_rows.encode_state(CHANNEL, rules.SHARED_SECRET, {"secret": made})
    insert = insert_into(connection, _remembered).values(**fields)
    connection.execute(insert.on_conflict_do_nothing(index_elements=["milestone", "channel"]))
    there = (_remembered.c.milestone == CHANNEL) & (_remembered.c.channel == rules.SHARED_SECRET)
    try:
        return other_rows.decode_state(connection.execute(select(_remembered).where(there)).one())["secret"]
    except (UnreadableRow, KeyError):
        connection.execute(update(_remembered).where(there).values(state=fields["state"]))
        return made
