"""Find the deliveries that can be leased: the oldest of each channel, or few whose last lease was lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    false,
    func,
    not_,
    or_,
    select,
    text,
    true,
    union_all,
)

from alertd.core.ledger.records import Known
from alertd.store import rows, schema
from alertd.store.quarantine import is_not_apart, is_sound

_delivery = schema.delivery
_READY = text("'ready'")
_NONE = text("0")
_MAX_LOST = 1_000
"""The most deliveries with lost leases that are looked at to lease some of them."""


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
        free = can_be_leased(delivery, self.at, self.latest)
        if self.lost:
            return free
        held = [delivery.c.id.in_(sorted(self.held)) & free] if self.held else []
        return or_(is_fresh(delivery), *held)


def select_candidates(search: Search, limit: int, per_channel: int, most: Mapping[str, int]) -> Select[str]:
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


def find_lost(
    connection: Connection, search: Search, per_channel: int, most: Mapping[str, int]
) -> list[tuple[str, str, int]]:
    """Find the free deliveries whose last lease was lost, the oldest first.

    Returns:
        the id, the channel and the number of lost leases of each.
    """
    known = search.known
    lost = (
        select(
            _delivery.c.id,
            _delivery.c.receiver,
            _delivery.c.channel,
            _delivery.c.next_at,
            (_delivery.c.lost_leases + case((_delivery.c.lease_until.is_not(None), 1), else_=0)).label(
                "lost"
            ),
        )
        .where(schema.IS_READY, schema.HAS_LEASED, can_be_leased(_delivery, search.at, search.latest))
        .where(_delivery.c.next_at <= search.now)
        .where(is_sound(_delivery.c.next_at), is_not_apart(connection, "delivery", _delivery.c.id))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .limit(_MAX_LOST)
    )
    return [
        (row.id, row.channel, row.lost)
        for row in connection.execute(lost)
        if row.id not in search.held
        and most.get(row.channel, per_channel) > 0
        and (
            known is None
            or known.has_channel(row.receiver, row.channel)
            or known.is_stray(row.receiver, rows.from_micros(row.next_at))
        )
    ]


def can_be_leased(delivery: FromClause, at: int, latest: int) -> ColumnElement[bool]:
    """Return the condition that a delivery is free, or has a lease that ends too far ahead to be right."""
    return or_(is_free(delivery, at), delivery.c.lease_until > latest)


def is_free(delivery: FromClause, at: int) -> ColumnElement[bool]:
    """Return the condition that a delivery has no lease, or only a lease that ended at or before ``at``.

    A lease until an instant that is none is no lease.
    """
    until = delivery.c.lease_until
    return or_(until.is_(None), until <= at, until > rows.MAX_INSTANT)


def is_fresh(delivery: FromClause) -> ColumnElement[bool]:
    """Return the condition that a delivery has no lease, and that its last lease was not lost."""
    return and_(delivery.c.lease_until.is_(None), delivery.c.lost_leases == _NONE)
