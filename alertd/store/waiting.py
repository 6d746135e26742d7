"""Tell what waits: when there may be work next, since when work has been waiting, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    text,
    true,
)

from alertd.core.ledger.records import Known
from alertd.core.planning.audit import MAX_LOST_SHOWN, Stray, Waiting, join_strays
from alertd.store import rows, schema
from alertd.store.candidates import get_receiver, is_free, is_fresh, select_channels
from alertd.store.quarantine import (
    is_not_apart,
    is_outside,
    is_readable,
    is_readable_reminder,
    is_sound,
    pack_apart,
)
from alertd.store.statements import fetch, is_among, is_not_among, pack_texts

_owed, _delivery = schema.owed, schema.delivery
_NOW, _AT = (bindparam(name, type_=_delivery.c.next_at.type) for name in ("now", "at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """What the SQL of a question depends on.

    Attributes:
        apart: whether any rows are set apart.
        lost: whether deliveries whose last lease was lost count.
        is_everything: everything counts, not only what the node knows.
        has_channels: whether the node knows its channels, and not only its receivers.
        has_digests: whether the node knows its digests.
    """

    apart: bool
    lost: bool
    is_everything: bool
    has_channels: bool
    has_digests: bool


def _make_values(
    connection: Connection, now: datetime, at: int, shut: frozenset[str], known: Known | None, *, lost: bool
) -> tuple[dict[str, object], _Shape]:
    """Return the values of the parameters of a question, and the shape of its SQL."""
    apart = pack_apart(connection)
    values: dict[str, object] = {"now": rows.to_micros(now), "at": at, **apart}
    channels, digests = (known.channels, known.digests) if known else (None, None)
    lists = {
        "shut": shut,
        "receivers": known.receivers if known else (),
        "channels": channels or (),
        "digests": digests or (),
    }
    values |= {name: pack_texts(connection, texts) for name, texts in lists.items()}
    return values, _Shape(
        apart=bool(apart),
        lost=lost,
        is_everything=known is None,
        has_channels=channels is not None,
        has_digests=digests is not None,
    )


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
    values, shape = _make_values(connection, after, at, shut, known, lost=lost)
    found: Sequence[int | None] = fetch(connection, _select_next_wake, values, shape)[0]
    wake_at, digest_at, next_at, until = found
    # Convert the end of the lease from the ledger's clock to the caller's clock.
    ends = None if until is None else until - at + rows.to_micros(after)
    waiting = [micros for micros in (wake_at, digest_at, next_at, ends) if micros is not None]
    return rows.from_micros(min(waiting)) if waiting else None


def _select_next_wake(shared: bool, shape: _Shape) -> Select[Any]:
    until = _delivery.c.lease_until
    leased = (
        select(until)
        .where(schema.IS_READY, until.is_not(None), until > _AT, is_sound(until))
        .where(_is_open(shared, shape, _skip_index(shared, _delivery.c.channel)))
        .order_by(until)
        .limit(1)
    )
    parts = (
        _select_first_wake(shared, shape),
        _select_first_digest(shared, shape),
        _select_first_ready(shared, shape),
        leased,
    )
    return select(*(part.scalar_subquery() for part in parts))


def _select_first_wake(shared: bool, shape: _Shape) -> Select[Any]:
    """Select the earliest ``wake_at`` of the pending reminders that are not set apart.

    A row that wakes before it is due is damaged. It wakes nobody until it is due, because nothing could be
    done about it.
    """
    can_be_due = or_(_owed.c.at <= _NOW, _owed.c.wake_at >= _owed.c.at)
    waiting = schema.IS_PENDING, is_sound(_owed.c.wake_at), can_be_due, is_readable(shared, shape.apart)
    is_known = true() if shape.is_everything else is_among(shared, _owed.c.receiver, "receivers")
    return select(_owed.c.wake_at).where(*waiting, is_known).order_by(_owed.c.wake_at).limit(1)


def _select_first_digest(shared: bool, shape: _Shape) -> Select[Any]:
    digest = schema.next_digest.c
    is_known = is_among(shared, digest.key, "digests") if shape.has_digests else true()
    return select(func.min(digest.at)).where(is_sound(digest.at), is_known)


def _select_first_ready(shared: bool, shape: _Shape) -> Select[Any]:
    """Select the earliest ``next_at`` of the ready deliveries without a lease.

    The first of each channel comes straight from the index, so that a long backlog of a channel that is shut
    is not read.
    """
    channels, ready = select_channels(), _delivery.alias("first")
    first = (
        select(ready.c.next_at)
        .where(ready.c.state == text("'ready'"), ready.c.channel == channels.c.channel)
        .where(is_free(ready) if shape.lost else is_fresh(ready), is_sound(ready.c.next_at))
        .where(is_outside(shared, "delivery", ready.c.id) if shape.apart else true())
        .order_by(ready.c.next_at)
        .limit(1)
        .correlate(channels)
        .scalar_subquery()
    )
    return select(func.min(first)).select_from(channels).where(_is_open(shared, shape, channels.c.channel))


def _is_open(shared: bool, shape: _Shape, channel: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a channel is known and not shut."""
    is_open = is_not_among(shared, channel, "shut")
    if shape.is_everything:
        return is_open
    if shape.has_channels:
        return is_open & is_among(shared, channel, "channels")
    return is_open & is_among(shared, get_receiver(shared, channel), "receivers")


def _skip_index(shared: bool, column: ColumnElement[str]) -> ColumnElement[str]:
    """Return a column that SQLite looks up in no index, because another column has the better index."""
    return column if shared else column.concat(text("''"))


def find_waiting(
    connection: Connection, now: datetime, at: int, shut: frozenset[str], known: Known | None = None
) -> Waiting:
    """Return since when work has been waiting and when the last lease ends, by the caller's clock.

    Args:
        at: ``now`` by the ledger's clock, in microseconds since 1970. Leases end by that clock.
        shut: channels that let nothing through.
        known: what the node knows; None: there are no strays.
    """
    values, shape = _make_values(connection, now, at, shut, known, lost=True)
    found: Sequence[int | None] = fetch(connection, _select_waiting, values, shape)[0]
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


def _select_waiting(shared: bool, shape: _Shape) -> Select[Any]:
    last = select(func.max(_delivery.c.lease_until)).where(schema.IS_READY, is_sound(_delivery.c.lease_until))
    parts = (
        _select_first_wake(shared, shape),
        _select_first_digest(shared, shape),
        _select_first_ready(shared, shape),
        last,
    )
    return select(*(part.scalar_subquery() for part in parts))


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
