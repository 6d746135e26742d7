"""Read what the message of a leased delivery needs besides its reminders and their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    text,
)

from alertd.core.ledger.records import CHANNEL, Delivery, DeliveryState, Known, Record, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.errors import UnreadableRow
from alertd.store import other_rows, reading, rows, rules, schema
from alertd.store.quarantine import (
    decode_readable,
    find_quarantine,
    is_readable,
    is_sound,
    pack_apart,
    pair_readable,
)
from alertd.store.statements import fetch, is_among, pack_pairs, pack_texts, unpack_pairs

_owed, _member, _delivery, _remembered = schema.owed, schema.member, schema.delivery, schema.remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the ledger knows about the milestones of messages.

    Attributes:
        records: the records by full id.
        first: the first pending reminder after the instant of the lease, by milestone and receiver.
        prior: the states that notifiers returned last, by milestone and channel.
    """

    records: Mapping[str, Record]
    first: Mapping[tuple[str, str], ScheduledReminder]
    prior: Mapping[tuple[str, str], Mapping[str, str]]

    def select_prior(self, milestones: Iterable[str], channel: str) -> dict[str, Mapping[str, str]]:
        """Return the states of milestones, and of a channel as a whole, for a message on that channel."""
        if not self.prior:
            return {}
        return {
            name: self.prior[name, channel]
            for name in (*milestones, CHANNEL)
            if (name, channel) in self.prior
        }


def read(
    connection: Connection,
    taken: Sequence[Row[Any]],
    about: Mapping[str, Sequence[str]],
    now: datetime,
    records: Mapping[str, Record],
) -> Content:
    """Read what messages need.

    Args:
        taken: the rows of the deliveries.
        about: the milestones of each message, by the id of its delivery.
        records: the records that have been read already.
    """
    receivers = {(name, row.receiver) for row in taken for name in about[row.id]}
    channels = {(name, row.channel) for row in taken for name in about[row.id]}
    channels.update((CHANNEL, row.channel) for row in taken)
    missing = {name for name, _ in receivers if name not in records}
    return Content(
        records={**records, **reading.read_records_by_id(connection, missing)},
        first=read_first_after(connection, sorted(receivers), now),
        prior=_read_prior(connection, sorted(channels)),
    )


def read_members(
    connection: Connection, deliveries: Sequence[str], unreadable: dict[str, list[str]]
) -> tuple[dict[str, list[ScheduledReminder]], set[str]]:
    """Return the members of each delivery, and the keys of those that a later reminder has overtaken.

    :func:`alertd.store.rules.find_overtaken` says what overtakes a member.

    Args:
        unreadable: gets the keys of the members that cannot be read, by delivery.
    """
    members: dict[str, list[ScheduledReminder]] = {}
    overtaken: set[str] = set()
    for row in fetch(connection, _select_members, {"ids": pack_texts(connection, deliveries)}):
        try:
            owed = rows.decode_owed(row)
        except UnreadableRow as error:
            find_quarantine(connection).add(error)
            unreadable.setdefault(row.delivery, []).append(row.key)
            continue
        members.setdefault(row.delivery, []).append(owed)
        if row.overtaken:
            overtaken.add(owed.key)
    return members, overtaken


def _select_members(shared: bool) -> Select[Any]:
    later = _owed.alias("later")
    are_reminders = _is_reminder(_owed) & _is_reminder(later)
    overtakes = (
        select(later.c.key)
        .where(later.c.milestone == _owed.c.milestone, later.c.receiver == _owed.c.receiver)
        .where(later.c.state == text("'bound'"), later.c.at > _owed.c.at, is_sound(later.c.at))
        .where(or_(later.c.cause == _owed.c.cause, are_reminders))
        .exists()
    )
    is_overtaken = (_owed.c.cause != Cause.DONE.value) & overtakes
    return (
        select(_owed, _member.c.delivery, is_overtaken.label("overtaken"))
        .join(_owed, _owed.c.key == _member.c.key)
        .where(is_among(shared, _member.c.delivery, "ids"))
        .order_by(_member.c.delivery, _member.c.position)
    )


def _is_reminder(owed: FromClause) -> ColumnElement[bool]:
    """Return the condition that a row's cause is one of ``rules.REMINDERS``."""
    return owed.c.cause.in_([literal_column(f"'{cause.value}'") for cause in sorted(rules.REMINDERS)])


def read_first_after(
    connection: Connection, pairs: Sequence[tuple[str, str]], after: datetime
) -> dict[tuple[str, str], ScheduledReminder]:
    """Return the first pending reminder with ``at > after`` of each pair of a milestone and a receiver."""
    if not pairs:
        return {}
    apart = pack_apart(connection)
    values = {"after": rows.to_micros(after), **pack_pairs(connection, "pairs", pairs), **apart}
    found = fetch(connection, _select_first_after, values, bool(apart))
    return {
        (reminder.milestone, reminder.receiver): reminder
        for reminder in decode_readable(connection, rows.decode_owed, found)
    }


def _select_first_after(shared: bool, apart: bool) -> Select[Any]:
    pairs, milestone, receiver = unpack_pairs(shared, "pairs")
    coming = _owed.alias("coming")
    after = bindparam("after", type_=coming.c.at.type)
    first = (
        select(coming.c.key)
        .where(coming.c.milestone == milestone, coming.c.receiver == receiver)
        .where(coming.c.state == text("'pending'"), coming.c.at > after, is_sound(coming.c.at))
        .where(_is_reminder(coming), is_readable(shared, apart, coming))
        .order_by(coming.c.at, coming.c.key)
        .limit(1)
        .scalar_subquery()
    )
    return select(_owed).select_from(pairs.join(_owed, _owed.c.key == first))


def _read_prior(
    connection: Connection, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Mapping[str, str]]:
    """Return the states that notifiers returned last, by milestone and channel."""
    if not pairs:
        return {}
    found = fetch(connection, _select_prior, pack_pairs(connection, "pairs", pairs))
    return {
        (row.milestone, row.channel): state
        for row, state in pair_readable(connection, other_rows.decode_state, found)
    }


def _select_prior(shared: bool) -> Select[Any]:
    pairs, milestone, channel = unpack_pairs(shared, "pairs")
    its = (_remembered.c.milestone == milestone) & (_remembered.c.channel == channel)
    return select(_remembered).select_from(pairs.join(_remembered, its))


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
