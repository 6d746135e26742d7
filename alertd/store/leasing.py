"""Leasing: what is ready and free is found by its channel, the oldest first, and taken with all it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    case,
    func,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)

from alertd.core.ledger.records import CHANNEL, Lease
from alertd.store import reading, rows, rules, schema
from alertd.store.database.dialect import chunks, is_shared

_owed, _delivery, _remembered = schema.owed, schema.delivery, schema.remembered
_READY = text("'ready'")


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
