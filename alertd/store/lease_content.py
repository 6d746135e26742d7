"""Read what the message of a leased delivery needs besides its reminders and their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, func, select, text

from alertd.core.ledger.records import Delivery, DeliveryState, Known, ScheduledReminder
from alertd.store import reading, rows, rules, schema
from alertd.store.database.dialect import split_chunks
from alertd.store.quarantine import is_sound, pair_readable

_owed, _delivery, _remembered = schema.owed, schema.delivery, schema.remembered


def read_latest_bound(
    connection: Connection, milestones: Sequence[str]
) -> dict[tuple[str, str, str], datetime]:
    """Return the latest ``at`` of the bound reminders, by their key (see ``rules.make_line_key``)."""
    reminders = [cause.value for cause in rules.REMINDERS]
    kind = case((_owed.c.cause.in_(sorted(reminders)), "reminder"), else_=_owed.c.cause).label("kind")
    latest = func.max(_owed.c.at).label("latest")
    found: dict[tuple[str, str, str], datetime] = {}
    for chunk in split_chunks(milestones):
        statement = (
            select(_owed.c.milestone, _owed.c.receiver, kind, latest)
            .where(_owed.c.milestone.in_(chunk), _owed.c.state == "bound", is_sound(_owed.c.at))
            .group_by(_owed.c.milestone, _owed.c.receiver, text("kind"))
        )
        for row in connection.execute(statement):
            found[row.milestone, row.receiver, row.kind] = rows.from_micros(row.latest)
    return found


def read_prior(connection: Connection, milestones: Sequence[str]) -> dict[tuple[str, str], Mapping[str, str]]:
    """Return the states that notifiers returned last, by milestone and channel."""
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for chunk in split_chunks(milestones):
        its = connection.execute(select(_remembered).where(_remembered.c.milestone.in_(chunk)))
        for row, state in pair_readable(connection, rows.decode_state, its):
            found[row.milestone, row.channel] = state
    return found


def count_dead(connection: Connection, delivery: Delivery) -> int:
    """Count the dead deliveries that a notice counts."""
    hour = delivery.notice.counts if delivery.notice else None
    if hour is None:
        return 0
    dead = select(func.count()).where(
        _delivery.c.state == DeliveryState.DEAD.value,
        _delivery.c.channel == hour.channel,
        _delivery.c.settled_at >= rows.to_micros(hour.begins),
        _delivery.c.settled_at < rows.to_micros(hour.ends),
    )
    return connection.execute(dead).scalar_one()


def read_owed_elsewhere(
    connection: Connection,
    known: Known | None,
    taken: Sequence[Row[Any]],
    members: Mapping[str, Sequence[ScheduledReminder]],
) -> dict[str, dict[str, frozenset[str]]]:
    """Return ``Lease.owed_elsewhere`` of each lease on a channel that the node does not know, by delivery."""
    if known is None:
        return {}
    unknown = [row.id for row in taken if not known.has_channel(row.receiver, row.channel)]
    milestones = {owed.milestone for name in unknown for owed in members[name]}
    owed = [
        reminder for milestone in sorted(milestones) for reminder in reading.read_owed(connection, milestone)
    ]
    return {name: rules.find_owed_elsewhere(members[name], owed) for name in unknown}
