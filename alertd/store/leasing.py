"""Lease ready deliveries: take those that are found, and read what the message of each needs.

:mod:`alertd.store.candidates` finds the deliveries that can be leased, and :mod:`alertd.store.lease_content`
reads what a message needs. A delivery that can be read only in part is split, so that what cannot be read
does not hold up the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, delete, text, update

from alertd.core.ledger.records import Delivery, Known, Lease, Record, ScheduledReminder
from alertd.core.planning.decide import make_delivery_id
from alertd.ports import LEASE_FOR, LostLeases
from alertd.store import lease_content, reading, rows, rules, schema, writing
from alertd.store.candidates import Search, find_candidates, find_free, find_lost
from alertd.store.quarantine import find_quarantine, make_held, pair_readable
from alertd.store.statements import is_among, pack_texts, run

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
        ahead: whether the node does not begin to send yet.
    """

    owner: str
    now: datetime
    at: int
    duration: timedelta
    held: Collection[str]
    known: Known | None
    ahead: bool

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
    ahead: bool = False,
) -> list[Lease]:
    """Lease ready deliveries, as :meth:`alertd.ports.DeliveryQueue.lease` describes.

    Args:
        at: ``now`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
    """
    taker = Taker(owner=owner, now=now, at=at, duration=duration, held=held, known=known, ahead=ahead)
    search = Search(
        now=rows.to_micros(now),
        at=at,
        latest=taker.latest,
        lost=lost is LostLeases.INCLUDED,
        held=held,
        known=known,
    )
    if lost in (LostLeases.FEW, LostLeases.ALONE):
        lost_ones = find_lost(connection, search, per_channel, most)
        few = rules.choose_lost(lost_ones, alone=lost is LostLeases.ALONE)
        found = find_free(connection, search, few)
    else:
        found = find_candidates(connection, search, limit, per_channel, most)
    return _take(connection, taker, found) if found else []


def _take(connection: Connection, taker: Taker, found: Sequence[Row[Any]]) -> list[Lease]:
    """Lease those of the free deliveries that can be read, and record the leases that were lost."""
    now, until = taker.now, taker.until
    carried, records, overtaken = _read_carried(connection, found)
    taken = [row for row in found if row.id in carried]
    if not taken:
        return []
    carried |= _count_time_apart(connection, carried, now)
    leased = {
        "ids": pack_texts(connection, carried),
        "owner": taker.owner,
        "until": rows.to_micros(until),
        "ahead": taker.ahead,
    }
    run(connection, _update_leased, leased)
    lost = sorted(
        row.id for row in taken if row.lease_until is not None and not row.ahead and row.id not in taker.held
    )
    if lost:
        run(connection, _update_lost, {"ids": pack_texts(connection, lost)})
        carried |= {name: (rules.count_lost_lease(carried[name][0]), carried[name][1]) for name in lost}
        writing.write_attempts(connection, [rules.make_lost_attempt(carried[name][0], now) for name in lost])
    about = {row.id: _list_milestones(*carried[row.id]) for row in taken}
    content = lease_content.read(connection, taken, about, now, records)
    elsewhere = lease_content.read_owed_elsewhere(
        connection, taker.known, taken, {name: members for name, (_, members) in carried.items()}
    )
    leases = []
    for row in taken:
        (delivery, members), names = carried[row.id], about[row.id]
        shown = delivery.edition.overview if delivery.edition else ()
        leases.append(
            Lease(
                delivery=delivery,
                owner=taker.owner,
                fence=row.fence + 1,
                until=until,
                owed=tuple(members),
                records={name: content.records[name] for name in names if name in content.records},
                overtaken=overtaken.intersection(delivery.members),
                prior=content.select_prior(names, row.channel),
                upcoming=rules.select_upcoming(members, shown, row.receiver, content.first),
                owed_elsewhere=elsewhere.get(row.id, {}),
                counted=lease_content.count_dead(connection, delivery) if delivery.notice else 0,
            )
        )
    return leases


def _list_milestones(delivery: Delivery, members: Sequence[ScheduledReminder]) -> list[str]:
    """List the milestones that a message is about, each once."""
    shown = delivery.edition.overview if delivery.edition else ()
    return list(dict.fromkeys([*(owed.milestone for owed in members), *shown]))


def _update_leased(shared: bool) -> Update:
    statement = update(_delivery).where(is_among(shared, _delivery.c.id, "ids"))
    taken = statement.values(lease_owner=bindparam("owner"), lease_until=bindparam("until"))
    return taken.values(fence=_delivery.c.fence + text("1"), ahead=bindparam("ahead"))


def _update_lost(shared: bool) -> Update:
    counted = {name: _delivery.c[name] + text("1") for name in ("lost_leases", "attempts")}
    return update(_delivery).where(is_among(shared, _delivery.c.id, "ids")).values(counted)


def _read_carried(
    connection: Connection, found: Sequence[Row[Any]]
) -> tuple[Carried, dict[str, Record], frozenset[str]]:
    """Return the deliveries that can be sent with their members, and what is known about the members.

    A delivery that can be read in part is split: what cannot be read goes on in a delivery of its own.

    Returns:
        the deliveries by id, the records of the members by full id, and the keys of the members that a later
        bound reminder has overtaken.
    """
    apart: dict[str, list[str]] = {}
    names = [row.id for row in found if isinstance(row.id, str)]
    members, overtaken = lease_content.read_members(connection, names, apart)
    readable = list(
        pair_readable(
            connection,
            lambda row: rows.decode_delivery(row, [owed.key for owed in members.get(row.id, ())]),
            found,
        )
    )
    everything = [owed for row, _ in readable for owed in members.get(row.id, ())]
    paired = reading.pair_with_records(connection, everything)
    records = {record.id: record for _, record in paired}
    carried: Carried = {}
    for row, made in readable:
        all_members = members.get(row.id, [])
        its = [owed for owed in all_members if owed.milestone in records]
        lost = [owed.key for owed in all_members if owed.milestone not in records] + apart.get(row.id, [])
        if not its and made.notice is None and made.edition is None:
            find_quarantine(connection).add(make_held(row.id, is_empty=not lost))
            continue
        if lost:
            _split(connection, made, lost)
        carried[row.id] = (reading.carry(made, its) if lost else made), its
    return carried, records, frozenset(overtaken)


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
