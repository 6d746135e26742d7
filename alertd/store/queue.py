"""The dispatcher's statements: due, bind, lease, settle, next wake; in groups, never a row at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)

from alertd.core.ledger.records import CHANNEL, DeliveryState, Lease, Record, ScheduledReminder
from alertd.core.planning.audit import Waiting
from alertd.core.planning.decide import Decisions
from alertd.core.routing.digest import NextDigest
from alertd.ports import Settlement
from alertd.store import reading, rows, rules, schema, writing
from alertd.store.database.dialect import chunks, is_shared, lock_rows

_owed, _delivery, _remembered = schema.owed, schema.delivery, schema.remembered
_READY = text("'ready'")
_MAX_AWAKE = 1_000_000


def due(connection: Connection, now: datetime, limit: int) -> list[tuple[ScheduledReminder, Record]]:
    at = rows.micros(now)
    # Ordered and bounded for the sake of SQLite, which would else take the grouping below for a reason to go
    # through everything that is owed, a million idle rows as well.
    awake = (
        select(_owed.c.milestone, _owed.c.receiver)
        .where(schema.IS_PENDING, _owed.c.wake_at <= at)
        .order_by(_owed.c.wake_at)
        .limit(_MAX_AWAKE)
        .subquery("awake")
    )
    sets = (
        select(_owed.c.milestone, _owed.c.receiver, func.min(_owed.c.at).label("earliest"))
        .join(awake, (awake.c.milestone == _owed.c.milestone) & (awake.c.receiver == _owed.c.receiver))
        .where(schema.IS_PENDING, _owed.c.at <= at)
        .group_by(_owed.c.milestone, _owed.c.receiver)
        .order_by(text("earliest"), _owed.c.milestone, _owed.c.receiver)
        .limit(limit)
        .subquery("sets")
    )
    statement = (
        select(_owed)
        .join(sets, (sets.c.milestone == _owed.c.milestone) & (sets.c.receiver == _owed.c.receiver))
        .where(schema.IS_PENDING, _owed.c.at <= at)
        .order_by(sets.c.earliest, _owed.c.milestone, _owed.c.receiver, _owed.c.at, _owed.c.key)
    )
    found = [rows.owed_of(row) for row in connection.execute(statement)]
    records = reading.records_by_id(connection, (owed.milestone for owed in found))
    return [(owed, records[owed.milestone]) for owed in found]


def bind(connection: Connection, decisions: Decisions) -> bool:
    verdicts = decisions.verdicts
    for some in chunks(sorted({verdict.key for verdict in verdicts})):
        pending = select(_owed.c.key).where(_owed.c.key.in_(some), schema.IS_PENDING)
        pending = pending.order_by(_owed.c.key).with_for_update(key_share=True)
        if len(connection.execute(pending).all()) < len(some):
            return False
    if decisions.turn is not None and not _turned(connection, *decisions.turn):
        return False
    if verdicts:
        statement = (
            update(_owed)
            .where(_owed.c.key == bindparam("of"))
            .values(
                state=bindparam("becomes"),
                reason=bindparam("because"),
                wake_at=func.coalesce(bindparam("wakes"), _owed.c.wake_at),
            )
        )
        connection.execute(
            statement,
            [
                {
                    "of": verdict.key,
                    "becomes": verdict.state.value,
                    "because": verdict.reason,
                    "wakes": rows.micros(verdict.wake_at) if verdict.wake_at else None,
                }
                for verdict in verdicts
            ],
        )
    writing.write_deliveries(connection, decisions.deliveries)
    return True


def _turned(connection: Connection, made: NextDigest, following: NextDigest) -> bool:
    """Whether the digest had not been made; from now on the following one is owed."""
    table = schema.next_digest
    as_read = [table.c[name] == value for name, value in rows.fields_of_digest(made).items()]
    statement = update(table).where(*as_read).values(**rows.fields_of_digest(following))
    return connection.execute(statement).rowcount == 1


def settle(connection: Connection, settlements: Sequence[Settlement]) -> frozenset[str]:
    there: dict[str, tuple[int, bool, str]] = {}
    for some in chunks(sorted({one.lease.delivery.id for one in settlements})):
        held = select(_delivery.c.id, _delivery.c.fence, _delivery.c.state, _delivery.c.channel)
        held = held.where(_delivery.c.id.in_(some)).order_by(_delivery.c.id)
        for row in connection.execute(held.with_for_update(key_share=True)):
            there[row.id] = (row.fence, row.state == DeliveryState.READY.value, row.channel)
    taken: list[tuple[Settlement, str]] = []
    refused: set[str] = set()
    for one in settlements:
        fence, ready, channel = there.get(one.lease.delivery.id, (-1, False, ""))
        if ready and fence == one.lease.fence:
            taken.append((one, channel))
            there[one.lease.delivery.id] = (fence, one.state is DeliveryState.READY, channel)
        else:
            refused.add(one.lease.delivery.id)
    _write_settlements(connection, taken)
    return frozenset(refused)


def next_wake(connection: Connection, after: datetime, at: int, shut: frozenset[str]) -> datetime | None:
    """The earliest instant at which something may be to do.

    Args:
        at: ``after`` by the ledger's time, by which leases end.
    """
    is_open = _delivery.c.channel.not_in(sorted(shut)) if shut else true()
    of_owed = select(func.min(_owed.c.wake_at)).where(schema.IS_PENDING)
    of_digests = select(func.min(schema.next_digest.c.at))
    of_ready = (
        select(_delivery.c.next_at)
        .where(schema.IS_READY, is_open, is_free(_delivery, at))
        .order_by(_delivery.c.next_at)
        .limit(1)
    )
    of_leased = select(func.min(_delivery.c.lease_until)).where(
        schema.IS_READY, is_open, _delivery.c.lease_until.is_not(None), _delivery.c.lease_until > at
    )
    parts = of_owed, of_digests, of_ready, of_leased
    found = connection.execute(select(*(part.scalar_subquery() for part in parts))).one()
    wake_at, digest_at, next_at, until = found
    # The end of a lease, by the clock of whoever asks.
    ends = None if until is None else until - at + rows.micros(after)
    waiting = [found for found in (wake_at, digest_at, next_at, ends) if found is not None]
    return rows.instant(min(waiting)) if waiting else None


def waiting(connection: Connection, now: datetime, at: int, shut: frozenset[str]) -> Waiting:
    """``at``: the ledger's own time, by which leases end."""
    is_open = _delivery.c.channel.not_in(sorted(shut)) if shut else true()
    undecided = select(func.min(_owed.c.wake_at)).where(schema.IS_PENDING)
    untaken = (
        select(_delivery.c.next_at)
        .where(schema.IS_READY, is_open, is_free(_delivery, at))
        .order_by(_delivery.c.next_at)
        .limit(1)
    )
    held = schema.IS_READY, _delivery.c.lease_until.is_not(None)
    digests = select(func.min(schema.next_digest.c.at))
    parts = undecided, digests, untaken, select(func.max(_delivery.c.lease_until)).where(*held)
    found = connection.execute(select(*(part.scalar_subquery() for part in parts))).one()
    # The lease's end by the caller's clock, as next_wake gives it.
    ends = None if found[3] is None else found[3] - at + rows.micros(now)
    undecided_at = min((micros for micros in found[:2] if micros is not None), default=None)
    instants = [None if micros is None else rows.instant(micros) for micros in (undecided_at, found[2], ends)]
    return Waiting(undecided=instants[0], untaken=instants[1], lease=instants[2])


def _write_settlements(connection: Connection, taken: Sequence[tuple[Settlement, str]]) -> None:
    if not taken:
        return
    statement = (
        update(_delivery)
        .where(_delivery.c.id == bindparam("of"))
        .values(
            state=bindparam("becomes"),
            reason=bindparam("because"),
            next_at=func.coalesce(bindparam("later"), _delivery.c.next_at),
            attempts=bindparam("tries"),
            settled_at=bindparam("ended"),
            lease_owner="",
            lease_until=None,
        )
    )
    connection.execute(statement, [_ended(one) for one, _ in taken])
    writing.write_attempts(connection, [one.attempt for one, _ in taken if one.attempt])
    told = [{"of": key, "when": rows.micros(one.at)} for one, _ in taken for key in one.told]
    if told:
        lock_rows(connection, _owed.c.key, (key for one, _ in taken for key in one.told))
        first = update(_owed).where(_owed.c.key == bindparam("of"), _owed.c.told_at.is_(None))
        connection.execute(first.values(told_at=bindparam("when")), told)
    states = [
        rows.fields_of_state(milestone, channel, state)
        for one, channel in taken
        for milestone, state in one.remember.items()
    ]
    writing.write_states(connection, states)
    writing.write_deliveries(connection, [made for one, _ in taken for made in one.follow_up])


def _ended(one: Settlement) -> dict[str, Any]:
    final = one.state is not DeliveryState.READY
    return {
        "of": one.lease.delivery.id,
        "becomes": one.state.value,
        "because": one.reason,
        "later": rows.micros(one.next_at) if one.next_at else None,
        # Counted from what was leased, so that the same settlement twice counts once.
        "tries": one.lease.delivery.attempts + (one.attempt is not None),
        "ended": rows.micros(one.at) if final else None,
    }


_owed, _delivery, _remembered = schema.owed, schema.delivery, schema.remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What may be leased.

    Attributes:
        now: the instant at which it must be to be sent.
        at: the same by the ledger's time, by which leases end.
        among_others: others lease at the same time: what they have locked is passed over, and what is found
            is locked.
    """

    now: int
    at: int
    among_others: bool


def lease(
    connection: Connection,
    *,
    owner: str,
    now: datetime,
    at: int,
    for_: timedelta,
    limit: int,
    per_channel: int,
    most: Mapping[str, int],
) -> list[Lease]:
    """Take ready deliveries.

    Args:
        at: ``now`` by the ledger's time, by which leases end.
    """
    until = rows.instant(at) + for_
    search = Search(now=rows.micros(now), at=at, among_others=is_shared(connection))
    candidates = _candidates(search, limit, per_channel, most)
    free = (
        select(_delivery)
        .where(_delivery.c.id.in_(candidates), schema.IS_READY, is_free(_delivery, at))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    taken = connection.execute(free).all()
    ids = [row.id for row in taken]
    for some in chunks(ids):
        connection.execute(
            update(_delivery)
            .where(_delivery.c.id.in_(some))
            .values(lease_owner=owner, lease_until=rows.micros(until), fence=_delivery.c.fence + 1)
        )
    members = reading.members_of(connection, ids)
    made = {row.id: reading.delivery_with(row, members[row.id]) for row in taken}
    shown = {name: one.edition.overview if one.edition else () for name, one in made.items()}
    carried_in = {owed.milestone for carried in members.values() for owed in carried}
    milestones = sorted(carried_in.union(*shown.values()))
    records = reading.records_by_id(connection, milestones)
    latest = _latest_bound(connection, milestones)
    prior = _prior(connection, [*milestones, CHANNEL])
    first = reading.first_after(connection, milestones, now)
    leases = []
    for row in taken:
        carried = tuple(members[row.id])
        of = dict.fromkeys((*(owed.milestone for owed in carried), *shown[row.id]))
        leases.append(
            Lease(
                delivery=made[row.id],
                owner=owner,
                fence=row.fence + 1,
                until=until,
                owed=carried,
                records={name: records[name] for name in of},
                overtaken=rules.overtaken(carried, latest),
                prior={
                    name: prior[name, row.channel] for name in (*of, CHANNEL) if (name, row.channel) in prior
                },
                upcoming=rules.upcoming(carried, shown[row.id], row.receiver, first),
            )
        )
    return leases


def is_free(delivery: FromClause, at: int) -> ColumnElement[bool]:
    """Nobody holds a live lease: one is live while ``at`` is before its end."""
    return or_(delivery.c.lease_until.is_(None), delivery.c.lease_until <= at)


def _channels() -> CTE:
    """Every channel of which something is ready, read off the index."""
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


def _candidates(search: Search, limit: int, per_channel: int, most: Mapping[str, int]) -> Select[str]:
    """Ids of what may be leased. Each channel's oldest are read off the index, so that the work does not grow
    with what is waiting: a long backlog of one channel is never walked for another's sake."""
    channels, named = _channels(), sorted(most)
    # No more than are taken in all: what is found may be locked.
    per_channel = min(per_channel, limit)
    others = channels.c.channel.not_in(named) if named else true()
    parts = [_oldest_of(search, channels, per_channel, others)]
    by_number: dict[int, list[str]] = {}
    for channel in named:
        by_number.setdefault(min(most[channel], per_channel), []).append(channel)
    parts += [
        _oldest_of(search, channels, number, channels.c.channel.in_(alike))
        for number, alike in sorted(by_number.items())
        if number > 0
    ]
    found = _delivery.alias("found")
    of_any = union_all(*parts).subquery()
    statement = select(found.c.id).join(of_any, of_any.c.id == found.c.id)
    return statement.order_by(found.c.next_at, found.c.id).limit(limit)


def _oldest_of(search: Search, channels: CTE, number: int, which: ColumnElement[bool]) -> Select[str]:
    """Ids of the ``number`` oldest of each channel that ``which`` holds for."""
    oldest = _delivery.alias("oldest")
    of_channel = (
        select(oldest.c.id)
        .where(oldest.c.state == _READY, oldest.c.channel == channels.c.channel)
        .where(oldest.c.next_at <= search.now, is_free(oldest, search.at))
        .order_by(oldest.c.next_at, oldest.c.id)
        .limit(number)
    )
    if search.among_others:
        locked = of_channel.with_for_update(skip_locked=True, key_share=True).lateral("of_channel")
        return select(locked.c.id).select_from(channels.join(locked, true())).where(which)
    # SQLite has no lateral joins; it goes through this one as if it had.
    found = _delivery.alias("of_channel")
    return select(found.c.id).select_from(channels.join(found, found.c.id.in_(of_channel))).where(which)


def _latest_bound(connection: Connection, milestones: Sequence[str]) -> dict[tuple[str, str, str], datetime]:
    """The greatest ``at`` of what is bound, by ``rules.line_of``."""
    reminders = [cause.value for cause in rules.REMINDERS]
    kind = case((_owed.c.cause.in_(sorted(reminders)), "reminder"), else_=_owed.c.cause).label("kind")
    latest = func.max(_owed.c.at).label("latest")
    found: dict[tuple[str, str, str], datetime] = {}
    for some in chunks(milestones):
        statement = (
            select(_owed.c.milestone, _owed.c.receiver, kind, latest)
            .where(_owed.c.milestone.in_(some), _owed.c.state == "bound")
            .group_by(_owed.c.milestone, _owed.c.receiver, text("kind"))
        )
        for row in connection.execute(statement):
            found[row.milestone, row.receiver, row.kind] = rows.instant(row.latest)
    return found


def _prior(connection: Connection, milestones: Sequence[str]) -> dict[tuple[str, str], Mapping[str, str]]:
    """What notifiers returned last, by milestone and channel."""
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for some in chunks(milestones):
        for row in connection.execute(select(_remembered).where(_remembered.c.milestone.in_(some))):
            found[row.milestone, row.channel] = rows.state_of(row)
    return found
