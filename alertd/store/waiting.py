"""Tell what waits: when there may be work next, since when work has been waiting, and for whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    false,
    func,
    or_,
    select,
    true,
)

from alertd.core.ledger.records import (
    Known,
)
from alertd.core.planning.audit import MAX_LOST_SHOWN, Stray, Waiting, join_strays
from alertd.store import rows, schema
from alertd.store.leasing import is_free, is_fresh, select_channels
from alertd.store.quarantine import (
    is_not_apart,
    is_readable_reminder,
    is_sound,
)

_owed, _delivery = schema.owed, schema.delivery


def find_next_wake(
    connection: Connection,
    after: datetime,
    at: int,
    shut: frozenset[str],
    *,
    lost: bool = True,
    known: Known | None = None,
) -> datetime | None:
    """Return the earliest instant at which there may be work, by the caller's clock.

    Args:
        at: ``after`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
        shut: channels that let nothing through.
        lost: whether deliveries whose last lease was lost count.
        known: only what the node knows counts; None: everything does.
    """
    is_open = _has_known_channel(known)
    if shut:
        is_open &= _delivery.c.channel.not_in(sorted(shut))
    of_owed = _select_first_wake(connection, rows.to_micros(after), known)
    of_digests = select(func.min(schema.next_digest.c.at)).where(
        is_sound(schema.next_digest.c.at), _is_known_digest(known)
    )
    readable = is_sound(_delivery.c.next_at), is_not_apart(connection, "delivery", _delivery.c.id)
    of_ready = (
        select(_delivery.c.next_at)
        .where(
            schema.IS_READY, is_open, is_free(_delivery, at) if lost else is_fresh(_delivery, at), *readable
        )
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


def _select_first_wake(connection: Connection, now: int, known: Known | None) -> Select[Any]:
    """Select the earliest ``wake_at`` of the pending reminders that are not set apart.

    A row that wakes before it is due is damaged. It wakes nobody until it is due, because nothing could be
    done about it.
    """
    can_be_due = or_(_owed.c.at <= now, _owed.c.wake_at >= _owed.c.at)
    waiting = schema.IS_PENDING, is_sound(_owed.c.wake_at), can_be_due, is_readable_reminder(connection)
    known_to = _has_known_receiver(known)
    return select(_owed.c.wake_at).where(*waiting, known_to).order_by(_owed.c.wake_at).limit(1)


def _has_known_receiver(known: Known | None) -> ColumnElement[bool]:
    return true() if known is None else _owed.c.receiver.in_(sorted(known.receivers))


def _has_known_channel(known: Known | None) -> ColumnElement[bool]:
    if known is None:
        return true()
    if known.channels is None:
        return _delivery.c.receiver.in_(sorted(known.receivers))
    return _delivery.c.channel.in_(sorted(known.channels))


def _is_known_digest(known: Known | None) -> ColumnElement[bool]:
    if known is None or known.digests is None:
        return true()
    return schema.next_digest.c.key.in_(sorted(known.digests))


def find_waiting(
    connection: Connection, now: datetime, at: int, shut: frozenset[str], known: Known | None = None
) -> Waiting:
    """Return since when work has been waiting and when the last lease ends, by the caller's clock.

    Args:
        at: ``now`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
        shut: channels that let nothing through.
        known: what the node knows; None: there are no strays.
    """
    is_open = _has_known_channel(known)
    if shut:
        is_open &= _delivery.c.channel.not_in(sorted(shut))
    undecided = _select_first_wake(connection, rows.to_micros(now), known)
    readable = is_sound(_delivery.c.next_at), is_not_apart(connection, "delivery", _delivery.c.id)
    untaken = (
        select(_delivery.c.next_at)
        .where(schema.IS_READY, is_open, is_free(_delivery, at), *readable)
        .order_by(_delivery.c.next_at)
        .limit(1)
    )
    held = schema.IS_READY, is_sound(_delivery.c.lease_until)
    digests = select(func.min(schema.next_digest.c.at)).where(
        is_sound(schema.next_digest.c.at), _is_known_digest(known)
    )
    parts = undecided, digests, untaken, select(func.max(_delivery.c.lease_until)).where(*held)
    found = connection.execute(select(*(part.scalar_subquery() for part in parts))).one()
    # Convert the end of the lease from the ledger's clock to the caller's clock.
    ends = None if found[3] is None else found[3] - at + rows.to_micros(now)
    undecided_at = min((micros for micros in found[:2] if micros is not None), default=None)
    instants = [
        None if micros is None else rows.from_micros(micros) for micros in (undecided_at, found[2], ends)
    ]
    return Waiting(
        undecided=instants[0],
        untaken=instants[1],
        lease=instants[2],
        lost=_count_lost(connection, at),
        strays=_find_stray_work(connection, now, known) if known is not None else (),
    )


def _find_stray_work(connection: Connection, now: datetime, known: Known) -> tuple[Stray, ...]:
    """Return what is due for receivers and channels that no live node knows, by receiver."""
    at, elsewhere = rows.to_micros(now), sorted(known.elsewhere)
    reminders = (
        select(_owed.c.receiver, func.count().label("many"), func.min(_owed.c.wake_at).label("since"))
        .where(schema.IS_PENDING, _owed.c.wake_at <= at, is_sound(_owed.c.wake_at))
        .where(_owed.c.receiver.not_in([*sorted(known.receivers), *elsewhere]))
        .where(is_readable_reminder(connection))
        .group_by(_owed.c.receiver)
    )
    channels = connection.execute(select(select_channels().c.channel)).scalars()
    unknown = [
        channel
        for channel in channels
        if isinstance(channel, str) and not known.has_channel(channel.partition("/")[0], channel)
    ]
    deliveries = (
        select(_delivery.c.receiver, func.count().label("many"), func.min(_delivery.c.next_at).label("since"))
        .where(schema.IS_READY, _delivery.c.next_at <= at, is_sound(_delivery.c.next_at))
        .where(is_not_apart(connection, "delivery", _delivery.c.id))
        .where(_delivery.c.channel.in_(unknown), _delivery.c.receiver.not_in(elsewhere))
        .group_by(_delivery.c.receiver)
    )
    found = [
        Stray(receiver=row.receiver, reminders=row.many, deliveries=0, since=rows.from_micros(row.since))
        for row in connection.execute(reminders)
    ]
    if unknown:
        found += [
            Stray(receiver=row.receiver, reminders=0, deliveries=row.many, since=rows.from_micros(row.since))
            for row in connection.execute(deliveries)
        ]
    return join_strays(found)


def _count_lost(connection: Connection, at: int) -> dict[str, int]:
    """Return the ready deliveries whose last lease was lost, each with the number of leases that it lost."""
    ended = case(((_delivery.c.lease_until <= at) & _delivery.c.ahead.is_(false()), 1), else_=0)
    lost = (_delivery.c.lost_leases + ended).label("lost")
    statement = (
        select(_delivery.c.id, lost)
        .where(schema.IS_READY, schema.HAS_LEASED, lost > 0)
        .order_by(lost.desc(), _delivery.c.id)
        .limit(MAX_LOST_SHOWN)
    )
    return {row.id: row.lost for row in connection.execute(statement)}
