"""Run the dispatcher's statements: find what is due, bind and settle deliveries, and find the next wake-up.

Each statement handles many rows at once. A row that cannot be read is set apart and left out; see
:mod:`alertd.store.quarantine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    bindparam,
    case,
    delete,
    func,
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
    Lease,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.planning.audit import Waiting
from alertd.core.planning.decide import Decisions, make_delivery_id
from alertd.core.routing.digest import NextDigest
from alertd.ports import LEASE_FOR, Settlement
from alertd.store import reading, rows, rules, schema, writing
from alertd.store.database.dialect import is_shared, lock_rows, split_chunks
from alertd.store.quarantine import (
    decode_readable,
    find_quarantine,
    is_not_apart,
    is_readable_reminder,
    is_sound,
    make_held,
    pair_readable,
)

_owed, _delivery, _remembered = schema.owed, schema.delivery, schema.remembered
_READY = text("'ready'")
_MAX_AWAKE = 1_000_000
_MAX_ROUNDS = 20
"""How often one call looks for due reminders again, because none of those found can be read."""


def find_due(connection: Connection, now: datetime, limit: int) -> list[tuple[ScheduledReminder, Record]]:
    """Return the due reminders in whole sets; see :meth:`alertd.ports.ReminderQueue.find_due`."""
    for _ in range(_MAX_ROUNDS):
        rows_found = connection.execute(_select_due(connection, now, limit)).all()
        found = decode_readable(connection, rows.decode_owed, rows_found)
        paired = reading.pair_with_records(connection, found)
        if paired or not rows_found:
            return paired
        # Nothing of it can be read. It is set apart by now, so that the next sets come.
    return []


def _select_due(connection: Connection, now: datetime, limit: int) -> Select[Any]:
    at = rows.to_micros(now)
    readable = is_readable_reminder(connection)
    # Because of the order and the limit, SQLite reads this subquery from the index. Without them, it chooses
    # an index for the grouping below and reads every pending row, even a million rows that are not due.
    awake = (
        select(_owed.c.milestone, _owed.c.receiver)
        .where(schema.IS_PENDING, _owed.c.wake_at <= at, readable)
        .order_by(_owed.c.wake_at)
        .limit(_MAX_AWAKE)
        .subquery("awake")
    )
    # What is due at an instant that is none is read as well, so that it is set apart.
    is_due = or_(_owed.c.at <= at, _owed.c.at > rows.MAX_INSTANT)
    sets = (
        select(_owed.c.milestone, _owed.c.receiver, func.min(_owed.c.at).label("earliest"))
        .join(awake, (awake.c.milestone == _owed.c.milestone) & (awake.c.receiver == _owed.c.receiver))
        .where(schema.IS_PENDING, is_due, readable)
        .group_by(_owed.c.milestone, _owed.c.receiver)
        .order_by(text("earliest"), _owed.c.milestone, _owed.c.receiver)
        .limit(limit)
        .subquery("sets")
    )
    return (
        select(_owed)
        .join(sets, (sets.c.milestone == _owed.c.milestone) & (sets.c.receiver == _owed.c.receiver))
        .where(schema.IS_PENDING, is_due, readable)
        .order_by(sets.c.earliest, _owed.c.milestone, _owed.c.receiver, _owed.c.at, _owed.c.key)
    )


def bind(connection: Connection, decisions: Decisions) -> bool:
    """Write verdicts and deliveries, all or nothing; see :meth:`alertd.ports.ReminderQueue.bind`."""
    verdicts = decisions.verdicts
    decided = {verdict.key for verdict in verdicts}
    # All rows are locked in one order, so that two writers cannot deadlock.
    for chunk in split_chunks(sorted(decided.union(owed.key for owed in decisions.following))):
        found = select(_owed.c.key, _owed.c.state).where(_owed.c.key.in_(chunk))
        found = found.order_by(_owed.c.key).with_for_update(key_share=True)
        pending = {row.key for row in connection.execute(found) if row.state == ReminderState.PENDING.value}
        if not pending.issuperset(decided.intersection(chunk)):
            return False
    if decisions.turn is not None and not _advance_digest(connection, *decisions.turn):
        return False
    if verdicts:
        statement = (
            update(_owed)
            .where(_owed.c.key == bindparam("of"))
            .values(
                state=bindparam("becomes"),
                **rows.REASON_PARAMETERS,
                wake_at=func.coalesce(bindparam("wakes"), _owed.c.wake_at),
                grounds=func.coalesce(bindparam("why"), _owed.c.grounds),
            )
        )
        connection.execute(
            statement,
            [
                {
                    "of": verdict.key,
                    "becomes": verdict.state.value,
                    **rows.encode_new_reason(verdict.reason),
                    "why": rows.encode_grounds(verdict.grounds),
                    "wakes": rows.to_micros(verdict.wake_at) if verdict.wake_at else None,
                }
                for verdict in verdicts
            ],
        )
    writing.write_owed(connection, decisions.following)
    writing.write_deliveries(connection, decisions.deliveries)
    return True


def _advance_digest(connection: Connection, made: NextDigest, following: NextDigest) -> bool:
    """Replace the digest ``made`` with the ``following`` one.

    Returns:
        False if another node has built the digest already.
    """
    table = schema.next_digest
    as_read = [table.c[name] == value for name, value in rows.encode_digest(made).items()]
    statement = update(table).where(*as_read).values(**rows.encode_digest(following))
    return connection.execute(statement).rowcount == 1


def settle(connection: Connection, settlements: Sequence[Settlement]) -> frozenset[str]:
    """Write how deliveries ended; see :meth:`alertd.ports.DeliveryQueue.settle`."""
    there: dict[str, tuple[int, bool, str]] = {}
    for chunk in split_chunks(sorted({settlement.lease.delivery.id for settlement in settlements})):
        held = select(_delivery.c.id, _delivery.c.fence, _delivery.c.state, _delivery.c.channel)
        held = held.where(_delivery.c.id.in_(chunk)).order_by(_delivery.c.id)
        for row in connection.execute(held.with_for_update(key_share=True)):
            there[row.id] = (row.fence, row.state == DeliveryState.READY.value, row.channel)
    taken: list[tuple[Settlement, str]] = []
    refused: set[str] = set()
    for settlement in settlements:
        fence, ready, channel = there.get(settlement.lease.delivery.id, (-1, False, ""))
        if ready and fence == settlement.lease.fence:
            taken.append((settlement, channel))
            there[settlement.lease.delivery.id] = (fence, settlement.state is DeliveryState.READY, channel)
        else:
            refused.add(settlement.lease.delivery.id)
    _write_settlements(connection, taken)
    return frozenset(refused)


def find_next_wake(connection: Connection, after: datetime, at: int, shut: frozenset[str]) -> datetime | None:
    """Return the earliest instant at which there may be work, by the caller's clock.

    Args:
        at: ``after`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
        shut: channels that let nothing through.
    """
    is_open = _delivery.c.channel.not_in(sorted(shut)) if shut else true()
    of_owed = _select_first_wake(connection, rows.to_micros(after))
    of_digests = select(func.min(schema.next_digest.c.at)).where(is_sound(schema.next_digest.c.at))
    readable = is_sound(_delivery.c.next_at), is_not_apart(connection, "delivery", _delivery.c.id)
    of_ready = (
        select(_delivery.c.next_at)
        .where(schema.IS_READY, is_open, is_free(_delivery, at), *readable)
        .order_by(_delivery.c.next_at)
        .limit(1)
    )
    of_leased = select(func.min(_delivery.c.lease_until)).where(
        schema.IS_READY, is_open, _delivery.c.lease_until > at, is_sound(_delivery.c.lease_until)
    )
    parts = of_owed, of_digests, of_ready, of_leased
    found = connection.execute(select(*(part.scalar_subquery() for part in parts))).one()
    wake_at, digest_at, next_at, until = found
    # Convert the end of the lease from the ledger's clock to the caller's clock.
    ends = None if until is None else until - at + rows.to_micros(after)
    waiting = [found for found in (wake_at, digest_at, next_at, ends) if found is not None]
    return rows.from_micros(min(waiting)) if waiting else None


def _select_first_wake(connection: Connection, now: int) -> Select[Any]:
    """Select the earliest ``wake_at`` of the pending reminders that are not set apart.

    A row that wakes before it is due is damaged. It wakes nobody until it is due, because nothing could be
    done about it.
    """
    can_be_due = or_(_owed.c.at <= now, _owed.c.wake_at >= _owed.c.at)
    waiting = schema.IS_PENDING, is_sound(_owed.c.wake_at), can_be_due, is_readable_reminder(connection)
    return select(_owed.c.wake_at).where(*waiting).order_by(_owed.c.wake_at).limit(1)


def find_waiting(connection: Connection, now: datetime, at: int, shut: frozenset[str]) -> Waiting:
    """Return since when work has been waiting and when the last lease ends, by the caller's clock.

    Args:
        at: ``now`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
        shut: channels that let nothing through.
    """
    is_open = _delivery.c.channel.not_in(sorted(shut)) if shut else true()
    undecided = _select_first_wake(connection, rows.to_micros(now))
    readable = is_sound(_delivery.c.next_at), is_not_apart(connection, "delivery", _delivery.c.id)
    untaken = (
        select(_delivery.c.next_at)
        .where(schema.IS_READY, is_open, is_free(_delivery, at), *readable)
        .order_by(_delivery.c.next_at)
        .limit(1)
    )
    held = schema.IS_READY, is_sound(_delivery.c.lease_until)
    digests = select(func.min(schema.next_digest.c.at)).where(is_sound(schema.next_digest.c.at))
    parts = undecided, digests, untaken, select(func.max(_delivery.c.lease_until)).where(*held)
    found = connection.execute(select(*(part.scalar_subquery() for part in parts))).one()
    # Convert the end of the lease from the ledger's clock to the caller's clock.
    ends = None if found[3] is None else found[3] - at + rows.to_micros(now)
    undecided_at = min((micros for micros in found[:2] if micros is not None), default=None)
    instants = [
        None if micros is None else rows.from_micros(micros) for micros in (undecided_at, found[2], ends)
    ]
    return Waiting(undecided=instants[0], untaken=instants[1], lease=instants[2])


def _write_settlements(connection: Connection, taken: Sequence[tuple[Settlement, str]]) -> None:
    if not taken:
        return
    statement = (
        update(_delivery)
        .where(_delivery.c.id == bindparam("of"))
        .values(
            state=bindparam("becomes"),
            **rows.REASON_PARAMETERS,
            next_at=func.coalesce(bindparam("later"), _delivery.c.next_at),
            tried_from=func.coalesce(bindparam("horizon"), _delivery.c.tried_from),
            attempts=bindparam("tries"),
            settled_at=bindparam("ended"),
            lease_owner="",
            lease_until=None,
        )
    )
    connection.execute(statement, [_encode_settlement(settlement) for settlement, _ in taken])
    writing.write_attempts(connection, [settlement.attempt for settlement, _ in taken if settlement.attempt])
    told = [
        {"of": key, "when": rows.to_micros(settlement.at)}
        for settlement, _ in taken
        for key in settlement.told
    ]
    if told:
        lock_rows(connection, _owed.c.key, (key for settlement, _ in taken for key in settlement.told))
        first = update(_owed).where(_owed.c.key == bindparam("of"), _owed.c.told_at.is_(None))
        connection.execute(first.values(told_at=bindparam("when")), told)
    states = [
        rows.encode_state(milestone, channel, state)
        for settlement, channel in taken
        for milestone, state in settlement.remember.items()
    ]
    writing.write_states(connection, states)
    writing.write_deliveries(connection, [made for settlement, _ in taken for made in settlement.follow_up])


def _encode_settlement(settlement: Settlement) -> dict[str, Any]:
    final = settlement.state is not DeliveryState.READY
    return {
        "of": settlement.lease.delivery.id,
        "becomes": settlement.state.value,
        **rows.encode_new_reason(settlement.reason),
        "later": rows.to_micros(settlement.next_at) if settlement.next_at else None,
        # The count starts from the leased delivery, so that a repeated settlement counts once.
        "tries": settlement.lease.delivery.attempts + (settlement.attempt is not None),
        "ended": rows.to_micros(settlement.at) if final else None,
        "horizon": rows.to_micros(settlement.tried_from) if settlement.tried_from else None,
    }


_owed, _delivery, _remembered = schema.owed, schema.delivery, schema.remembered


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
    """

    now: int
    at: int
    latest: int
    among_others: bool
    is_not_apart: Callable[[ColumnElement[str]], ColumnElement[bool]]


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
) -> list[Lease]:
    """Lease ready deliveries, as :meth:`alertd.ports.DeliveryQueue.lease` describes.

    Args:
        at: ``now`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
    """
    until = rows.from_micros(at) + duration
    search = Search(
        now=rows.to_micros(now),
        at=at,
        latest=rows.to_micros(until + LEASE_FOR),
        among_others=is_shared(connection),
        is_not_apart=partial(is_not_apart, connection, "delivery"),
    )
    candidates = _select_candidates(search, limit, per_channel, most)
    free = (
        select(_delivery)
        .where(_delivery.c.id.in_(candidates), schema.IS_READY, _can_be_leased(_delivery, search))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    found = connection.execute(free).all()
    carried, records = _read_carried(connection, found)
    taken = [row for row in found if row.id in carried]
    for chunk in split_chunks(list(carried)):
        connection.execute(
            update(_delivery)
            .where(_delivery.c.id.in_(chunk))
            .values(lease_owner=owner, lease_until=rows.to_micros(until), fence=_delivery.c.fence + 1)
        )
    shown = {name: made.edition.overview if made.edition else () for name, (made, _) in carried.items()}
    bound = {owed.milestone for _, members in carried.values() for owed in members}
    milestones = sorted(bound.union(*shown.values()))
    records |= reading.read_records_by_id(connection, (name for name in milestones if name not in records))
    latest = _read_latest_bound(connection, milestones)
    prior = _read_prior(connection, [*milestones, CHANNEL])
    first = reading.read_first_after(connection, milestones, now)
    leases = []
    for row in taken:
        delivery, members = carried[row.id]
        names = dict.fromkeys((*(owed.milestone for owed in members), *shown[row.id]))
        leases.append(
            Lease(
                delivery=delivery,
                owner=owner,
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
            )
        )
    return leases


def _read_carried(
    connection: Connection, found: Sequence[Row[Any]]
) -> tuple[dict[str, tuple[Delivery, list[ScheduledReminder]]], dict[str, Record]]:
    """Return the deliveries that can be sent with their members, by id, and the records of the members.

    A delivery that can be read in part is split: what cannot be read goes on in a delivery of its own.
    """
    readable = list(pair_readable(connection, lambda row: rows.decode_delivery(row, ()), found))
    apart: dict[str, list[str]] = {}
    members = reading.read_members(connection, [row.id for row, _ in readable], apart)
    everything = [owed for its in members.values() for owed in its]
    paired = reading.pair_with_records(connection, everything)
    with_record = {owed.key for owed, _ in paired}
    carried: dict[str, tuple[Delivery, list[ScheduledReminder]]] = {}
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


def is_free(delivery: FromClause, at: int) -> ColumnElement[bool]:
    """Return the condition that a delivery has no lease, or only a lease that ended at or before ``at``.

    A lease until an instant that is none is no lease.
    """
    until = delivery.c.lease_until
    return or_(until.is_(None), until <= at, until > rows.MAX_INSTANT)


def _can_be_leased(delivery: FromClause, search: Search) -> ColumnElement[bool]:
    return or_(is_free(delivery, search.at), delivery.c.lease_until > search.latest)


def _select_channels() -> CTE:
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
    the
    backlog: a long backlog of one channel is not read to find the deliveries of another.
    """
    channels, named = _select_channels(), sorted(most)
    # More than ``limit`` cannot be leased, and each row that is found may get locked.
    per_channel = min(per_channel, limit)
    others = channels.c.channel.not_in(named) if named else true()
    parts = [_select_oldest(search, channels, per_channel, others)]
    by_number: dict[int, list[str]] = {}
    for channel in named:
        by_number.setdefault(min(most[channel], per_channel), []).append(channel)
    parts += [
        _select_oldest(search, channels, number, channels.c.channel.in_(alike))
        for number, alike in sorted(by_number.items())
        if number > 0
    ]
    found = _delivery.alias("found")
    of_any = union_all(*parts).subquery()
    statement = select(found.c.id).join(of_any, of_any.c.id == found.c.id)
    return statement.order_by(found.c.next_at, found.c.id).limit(limit)


def _select_oldest(search: Search, channels: CTE, number: int, condition: ColumnElement[bool]) -> Select[str]:
    """Select the ids of the ``number`` oldest deliveries of each channel that matches ``condition``."""
    oldest = _delivery.alias("oldest")
    of_channel = (
        select(oldest.c.id)
        .where(oldest.c.state == _READY, oldest.c.channel == channels.c.channel)
        .where(
            oldest.c.next_at <= search.now, _can_be_leased(oldest, search), search.is_not_apart(oldest.c.id)
        )
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
