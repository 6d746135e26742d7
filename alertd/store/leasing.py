"""Lease ready deliveries: take those that are found, and read what the message of each needs.

:mod:`alertd.store.candidates` finds the deliveries that can be leased, and :mod:`alertd.store.lease_content`
reads what a message needs. A delivery that can be read only in part is split, so that what cannot be read
does not hold up the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, update

from alertd.core.ledger.records import CHANNEL, Delivery, Known, Lease, Record, ScheduledReminder
from alertd.core.planning.decide import make_delivery_id
from alertd.ports import LEASE_FOR, LostLeases
from alertd.store import lease_content, reading, rows, rules, schema, writing
from alertd.store.candidates import Search, can_be_leased, find_lost, select_candidates
from alertd.store.database.dialect import is_shared, split_chunks
from alertd.store.quarantine import find_quarantine, is_not_apart, make_held, pair_readable

_delivery = schema.delivery

Carried = dict[str, tuple[Delivery, list[ScheduledReminder]]]
"""Deliveries with the reminders that they carry, by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """The node that leases, and the instant at which it leases.

    Attributes:
        at: ``now`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
        held: ids of deliveries that the node is sending or has not settled yet.
        known: what the node knows; None: everything.
    """

    owner: str
    now: datetime
    at: int
    duration: timedelta
    held: Collection[str]
    known: Known | None

    @property
    def until(self) -> datetime:
        """When the leases end, by the ledger's clock."""
        return rows.from_micros(self.at) + self.duration

    @property
    def latest(self) -> int:
        """Only a lease that was taken while the clock was ahead ends later, in microseconds since 1970."""
        return rows.to_micros(self.until + LEASE_FOR)


def lease(
    connection: Connection,
    *,
    owner: str,
    now: datetime,
    at: int,
    duration: timedelta,
    limit: int,
    per_channel: int,
    most: Mapping[str, int],
    held: Collection[str] = (),
    lost: LostLeases = LostLeases.INCLUDED,
    known: Known | None = None,
) -> list[Lease]:
    """Lease ready deliveries, as :meth:`alertd.ports.DeliveryQueue.lease` describes.

    Args:
        at: ``now`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
    """
    taker = Taker(owner=owner, now=now, at=at, duration=duration, held=held, known=known)
    search = Search(
        now=rows.to_micros(now),
        at=at,
        latest=taker.latest,
        among_others=is_shared(connection),
        is_not_apart=partial(is_not_apart, connection, "delivery"),
        lost=lost is LostLeases.INCLUDED,
        held=held,
        known=known,
    )
    match lost:
        case LostLeases.FEW | LostLeases.ALONE:
            found = find_lost(connection, search, per_channel, most)
            return _take(connection, taker, rules.choose_lost(found, alone=lost is LostLeases.ALONE))
        case LostLeases.INCLUDED | LostLeases.LEFT_OUT:
            return _take(connection, taker, select_candidates(search, limit, per_channel, most))


def _take(connection: Connection, taker: Taker, candidates: Select[str] | Sequence[str]) -> list[Lease]:
    """Lease those candidates that are still free, and record the leases that were lost."""
    if not isinstance(candidates, Select) and not candidates:
        return []
    now, until = taker.now, taker.until
    free = (
        select(_delivery)
        .where(_delivery.c.id.in_(candidates), schema.IS_READY)
        .where(can_be_leased(_delivery, taker.at, taker.latest))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    found = connection.execute(free).all()
    carried, records = _read_carried(connection, found)
    taken = [row for row in found if row.id in carried]
    carried |= _count_time_apart(connection, carried, now)
    lost = {row.id for row in taken if row.lease_until is not None and row.id not in taker.held}
    for chunk in split_chunks(list(carried)):
        connection.execute(
            update(_delivery)
            .where(_delivery.c.id.in_(chunk))
            .values(lease_owner=taker.owner, lease_until=rows.to_micros(until), fence=_delivery.c.fence + 1)
        )
    for chunk in split_chunks(sorted(lost)):
        counted = {"lost_leases": _delivery.c.lost_leases + 1, "attempts": _delivery.c.attempts + 1}
        connection.execute(update(_delivery).where(_delivery.c.id.in_(chunk)).values(counted))
    carried |= {name: (rules.count_lost_lease(carried[name][0]), carried[name][1]) for name in lost}
    writing.write_attempts(
        connection, [rules.make_lost_attempt(carried[name][0], now) for name in sorted(lost)]
    )
    shown = {name: made.edition.overview if made.edition else () for name, (made, _) in carried.items()}
    bound = {owed.milestone for _, members in carried.values() for owed in members}
    milestones = sorted(bound.union(*shown.values()))
    records |= reading.read_records_by_id(connection, (name for name in milestones if name not in records))
    latest = lease_content.read_latest_bound(connection, milestones)
    prior = lease_content.read_prior(connection, [*milestones, CHANNEL])
    first = reading.read_first_after(connection, milestones, now)
    carried_members = {name: members for name, (_, members) in carried.items()}
    elsewhere = lease_content.read_owed_elsewhere(connection, taker.known, taken, carried_members)
    leases = []
    for row in taken:
        delivery, members = carried[row.id]
        names = dict.fromkeys((*(owed.milestone for owed in members), *shown[row.id]))
        leases.append(
            Lease(
                delivery=delivery,
                owner=taker.owner,
                fence=row.fence + 1,
                until=until,
                owed=tuple(members),
                records={name: records[name] for name in names if name in records},
                overtaken=rules.find_overtaken(members, latest),
                prior={
                    name: prior[name, row.channel]
                    for name in (*names, CHANNEL)
                    if (name, row.channel) in prior
                },
                upcoming=rules.select_upcoming(members, shown[row.id], row.receiver, first),
                owed_elsewhere=elsewhere.get(row.id, {}),
                counted=lease_content.count_dead(connection, delivery),
            )
        )
    return leases


def _read_carried(connection: Connection, found: Sequence[Row[Any]]) -> tuple[Carried, dict[str, Record]]:
    """Return the deliveries that can be sent with their members, by id, and the records of the members.

    A delivery that can be read in part is split: what cannot be read goes on in a delivery of its own.
    """
    readable = list(pair_readable(connection, lambda row: rows.decode_delivery(row, ()), found))
    apart: dict[str, list[str]] = {}
    members = reading.read_members(connection, [row.id for row, _ in readable], apart)
    everything = [owed for its in members.values() for owed in its]
    paired = reading.pair_with_records(connection, everything)
    with_record = {owed.key for owed, _ in paired}
    carried: Carried = {}
    for row, made in readable:
        its = [owed for owed in members[row.id] if owed.key in with_record]
        lost = [owed.key for owed in members[row.id] if owed.key not in with_record] + apart.get(row.id, [])
        if not its and made.notice is None and made.edition is None:
            find_quarantine(connection).add(make_held(row.id, is_empty=not lost))
            continue
        if lost:
            _split(connection, made, lost)
        carried[row.id] = reading.carry(made, its), its
    return carried, {record.id: record for _, record in paired}


def _count_time_apart(connection: Connection, carried: Carried, now: datetime) -> Carried:
    """Let ``retry_for`` count from later for deliveries that were set apart until now, as nobody could try.

    Returns:
        those of ``carried`` that were set apart.
    """
    quarantine, counted = find_quarantine(connection), {}
    for name, (delivery, members) in carried.items():
        if not quarantine.was_apart(name) or delivery.next_at >= now:
            continue
        tried_from = delivery.horizon_start + (now - delivery.next_at)
        counted[name] = replace(delivery, tried_from=tried_from, next_at=now), members
        moved = {"tried_from": rows.to_micros(tried_from), "next_at": rows.to_micros(now)}
        connection.execute(update(_delivery).where(_delivery.c.id == name).values(moved))
    return counted


def _split(connection: Connection, delivery: Delivery, lost: Sequence[str]) -> None:
    """Move members that cannot be read from a delivery to a delivery of their own.

    The rest is not held up, and what is moved is sent when it can be read, or by a node that can read it.
    """
    marks = (delivery.fallback_for,) if delivery.fallback_for else ()
    alone = replace(
        delivery,
        id=make_delivery_id(delivery.receiver, delivery.notifier, (*lost, *marks)),
        members=tuple(lost),
        attempts=0,
        reason=None,
        edition=None,
    )
    moved = (schema.member.c.delivery == delivery.id) & schema.member.c.key.in_(lost)
    connection.execute(delete(schema.member).where(moved))
    writing.write_deliveries(connection, (alone,))
    find_quarantine(connection).add(make_held(alone.id, is_empty=False))
