"""Lease ready deliveries: find those that can be leased, read what each message needs, and take them.

A delivery that can be read only in part is split, so that what cannot be read does not hold up the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    case,
    delete,
    false,
    func,
    not_,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)

from alertd.core.ledger.records import (
    CHANNEL,
    Delivery,
    DeliveryState,
    Known,
    Lease,
    Record,
    ScheduledReminder,
)
from alertd.core.planning.decide import make_delivery_id
from alertd.ports import LEASE_FOR, LostLeases
from alertd.store import reading, rows, rules, schema, writing
from alertd.store.database.dialect import is_shared, split_chunks
from alertd.store.quarantine import (
    find_quarantine,
    is_not_apart,
    is_sound,
    make_held,
    pair_readable,
)

_owed, _delivery, _remembered = schema.owed, schema.delivery, schema.remembered
_READY = text("'ready'")
_NONE = text("0")
_HAS_BEGUN = _delivery.c.lease_until.is_not(None) & _delivery.c.ahead.is_(false())
_MAX_LOST = 1_000
"""The most deliveries with lost leases that are looked at to lease some of them."""


Carried = dict[str, tuple[Delivery, list[ScheduledReminder]]]
"""Deliveries with the reminders that they carry, by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The conditions for a delivery that can be leased. Instants are microseconds since 1970.

    Attributes:
        now: the delivery is due at this instant.
        at: ``now`` by the ledger's clock. Leases end by that clock.
        latest: no lease ends later by that clock, unless it was taken while the clock was ahead.
        among_others: whether other nodes lease at the same time. If so, the search skips rows that they have
            locked and locks the rows that it finds.
        is_not_apart: returns the condition that the delivery with an id is not set apart.
        lost: whether to find deliveries whose last lease was lost.
        held: ids of deliveries whose last lease was not lost.
        known: what the node knows; None: everything.
    """

    now: int
    at: int
    latest: int
    among_others: bool
    is_not_apart: Callable[[ColumnElement[str]], ColumnElement[bool]]
    lost: bool
    held: Collection[str]
    known: Known | None

    def is_wanted(self, delivery: FromClause) -> ColumnElement[bool]:
        """Return the condition that a delivery may be leased, as far as its earlier leases say."""
        can_be_leased = _can_be_leased(delivery, self.at, self.latest)
        if self.lost:
            return can_be_leased
        held = [delivery.c.id.in_(sorted(self.held)) & can_be_leased] if self.held else []
        return or_(is_fresh(delivery, self.at), *held)


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
    match lost:
        case LostLeases.FEW | LostLeases.ALONE:
            found = _find_lost(connection, taker, per_channel, most)
            return _take(connection, taker, rules.choose_lost(found, alone=lost is LostLeases.ALONE))
        case LostLeases.INCLUDED | LostLeases.LEFT_OUT:
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
            return _take(connection, taker, _select_candidates(search, limit, per_channel, most))


def _find_lost(
    connection: Connection, taker: Taker, per_channel: int, most: Mapping[str, int]
) -> list[tuple[str, str, int]]:
    """Find the free deliveries whose last lease was lost, the oldest first.

    Returns:
        the id, the channel and the number of lost leases of each.
    """
    known = taker.known
    lost = (
        select(
            _delivery.c.id,
            _delivery.c.receiver,
            _delivery.c.channel,
            _delivery.c.next_at,
            (_delivery.c.lost_leases + case((_HAS_BEGUN, 1), else_=0)).label("lost"),
        )
        .where(schema.IS_READY, schema.HAS_LEASED, or_(_delivery.c.lost_leases > _NONE, _HAS_BEGUN))
        .where(_can_be_leased(_delivery, taker.at, taker.latest))
        .where(_delivery.c.next_at <= rows.to_micros(taker.now))
        .where(is_sound(_delivery.c.next_at), is_not_apart(connection, "delivery", _delivery.c.id))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .limit(_MAX_LOST)
    )
    return [
        (row.id, row.channel, row.lost)
        for row in connection.execute(lost)
        if row.id not in taker.held
        and most.get(row.channel, per_channel) > 0
        and (
            known is None
            or known.has_channel(row.receiver, row.channel)
            or known.is_stray(row.receiver, rows.from_micros(row.next_at))
        )
    ]


def _take(connection: Connection, taker: Taker, candidates: Select[str] | Sequence[str]) -> list[Lease]:
    """Lease those candidates that are still free, and record the leases that were lost."""
    if not isinstance(candidates, Select) and not candidates:
        return []
    now, until = taker.now, taker.until
    free = (
        select(_delivery)
        .where(_delivery.c.id.in_(candidates), schema.IS_READY)
        .where(_can_be_leased(_delivery, taker.at, taker.latest))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    found = connection.execute(free).all()
    carried, records = _read_carried(connection, found)
    taken = [row for row in found if row.id in carried]
    carried |= _count_time_apart(connection, carried, now)
    lost = {
        row.id for row in taken if row.lease_until is not None and not row.ahead and row.id not in taker.held
    }
    for chunk in split_chunks(list(carried)):
        connection.execute(
            update(_delivery)
            .where(_delivery.c.id.in_(chunk))
            .values(
                lease_owner=taker.owner,
                lease_until=rows.to_micros(until),
                fence=_delivery.c.fence + 1,
                ahead=taker.ahead,
            )
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
    latest = _read_latest_bound(connection, milestones)
    prior = _read_prior(connection, [*milestones, CHANNEL])
    first = reading.read_first_after(connection, milestones, now)
    carried_members = {name: members for name, (_, members) in carried.items()}
    elsewhere = _read_owed_elsewhere(connection, taker.known, taken, carried_members)
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
                counted=_count_dead(connection, delivery),
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


def _count_dead(connection: Connection, delivery: Delivery) -> int:
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


def _read_owed_elsewhere(
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


def is_free(delivery: FromClause, at: int) -> ColumnElement[bool]:
    """Return the condition that a delivery has no lease, or only a lease that ended at or before ``at``.

    A lease until an instant that is none is no lease.
    """
    until = delivery.c.lease_until
    return or_(until.is_(None), until <= at, until > rows.MAX_INSTANT)


def _can_be_leased(delivery: FromClause, at: int, latest: int) -> ColumnElement[bool]:
    """Return the condition that a delivery is free, or has a lease that ends too far ahead to be right."""
    return or_(is_free(delivery, at), delivery.c.lease_until > latest)


def is_fresh(delivery: FromClause, at: int) -> ColumnElement[bool]:
    """Return the condition that a delivery has no lease at ``at``, and that its last lease was not lost."""
    has_ended = delivery.c.ahead.is_(true()) & is_free(delivery, at)
    return and_(or_(delivery.c.lease_until.is_(None), has_ended), delivery.c.lost_leases == _NONE)


def select_channels() -> CTE:
    """Select the channels that have ready deliveries.

    The recursive query makes one index lookup for each channel (a loose index scan).
    """
    ready, following = _delivery.alias("ready"), _delivery.alias("following")
    channels = (
        select(func.min(ready.c.channel).label("channel"))
        .where(ready.c.state == _READY)
        .cte("channels", recursive=True)
    )
    after = (
        select(func.min(following.c.channel))
        .where(following.c.state == _READY, following.c.channel > channels.c.channel)
        .scalar_subquery()
    )
    return channels.union_all(select(after).where(channels.c.channel.is_not(None)))


def _select_candidates(search: Search, limit: int, per_channel: int, most: Mapping[str, int]) -> Select[str]:
    """Select the ids of deliveries that can be leased.

    The oldest deliveries of each channel come straight from the index. The cost therefore does not grow with
    the backlog: a long backlog of one channel is not read to find the deliveries of another.
    """
    channels, named = select_channels(), sorted(most)
    # More than ``limit`` cannot be leased, and each row that is found may get locked.
    per_channel = min(per_channel, limit)
    parts = _select_others(search, channels, per_channel, most)
    by_number: dict[int, list[str]] = {}
    for channel in named:
        by_number.setdefault(min(most[channel], per_channel), []).append(channel)
    parts += [
        _select_oldest(search, channels, number, channels.c.channel.in_(alike))
        for number, alike in sorted(by_number.items())
        if number > 0
    ]
    if not parts:
        return select(_delivery.c.id).where(false())
    found = _delivery.alias("found")
    of_any = union_all(*parts).subquery()
    statement = select(found.c.id).join(of_any, of_any.c.id == found.c.id)
    return statement.order_by(found.c.next_at, found.c.id).limit(limit)


def _select_others(search: Search, channels: CTE, number: int, most: Mapping[str, int]) -> list[Select[str]]:
    """Select the ids of the ``number`` oldest deliveries of each channel that ``most`` does not name."""
    if number <= 0:
        return []
    known, others = search.known, channels.c.channel.not_in(sorted(most)) if most else true()
    if known is None:
        return [_select_oldest(search, channels, number, others)]
    mine: ColumnElement[bool]
    if known.channels is not None:
        mine = channels.c.channel.in_(sorted(known.channels))
    else:
        mine = or_(*(channels.c.channel.startswith(f"{name}/", autoescape=True) for name in known.receivers))
    selected = []
    if known.channels is None or not known.channels <= most.keys():
        selected.append(_select_oldest(search, channels, number, others & mine))
    if known.strays_before is not None:
        since = replace(search, now=rows.to_micros(known.strays_before))
        elsewhere = (
            channels.c.channel.startswith(f"{name}/", autoescape=True) for name in sorted(known.elsewhere)
        )
        selected.append(
            _select_oldest(since, channels, number, others & not_(or_(false(), mine, *elsewhere)))
        )
    return selected


def _select_oldest(search: Search, channels: CTE, number: int, condition: ColumnElement[bool]) -> Select[str]:
    """Select the ids of the ``number`` oldest deliveries of each channel that matches ``condition``."""
    oldest = _delivery.alias("oldest")
    of_channel = (
        select(oldest.c.id)
        .where(oldest.c.state == _READY, oldest.c.channel == channels.c.channel)
        .where(oldest.c.next_at <= search.now, search.is_wanted(oldest), search.is_not_apart(oldest.c.id))
        .order_by(oldest.c.next_at, oldest.c.id)
        .limit(number)
    )
    if search.among_others:
        locked = of_channel.with_for_update(skip_locked=True, key_share=True).lateral("of_channel")
        return select(locked.c.id).select_from(channels.join(locked, true())).where(condition)
    # SQLite has no lateral joins, but it evaluates this correlated subquery for each channel in the same way.
    found = _delivery.alias("of_channel")
    return select(found.c.id).select_from(channels.join(found, found.c.id.in_(of_channel))).where(condition)


def _read_latest_bound(
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


def _read_prior(
    connection: Connection, milestones: Sequence[str]
) -> dict[tuple[str, str], Mapping[str, str]]:
    """Return the states that notifiers returned last, by milestone and channel."""
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for chunk in split_chunks(milestones):
        its = connection.execute(select(_remembered).where(_remembered.c.milestone.in_(chunk)))
        for row, state in pair_readable(connection, rows.decode_state, its):
            found[row.milestone, row.channel] = state
    return found
