"""Find the deliveries that can be leased: the oldest of each channel, or few whose last lease was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    String,
    and_,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    text,
    true,
    union_all,
)

from alertd.core.ledger.records import Known
from alertd.store import rows, schema
from alertd.store.quarantine import is_outside, is_sound, pack_apart
from alertd.store.statements import fetch, is_among, is_not_among, pack_texts

_delivery, _member = schema.delivery, schema.member
_READY = text("'ready'")
_NONE = text("0")
_NOW, _AT, _LATEST = (bindparam(name, type_=_delivery.c.next_at.type) for name in ("now", "at", "latest"))
MEMBERS_AT_ONCE = 200
"""How many members the deliveries of one lease have in all, where the first counts as one."""

_MAX_LOST = 1_000
"""The most deliveries with lost leases that are looked at to lease some of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a delivery that can be leased fulfils. Instants are microseconds since 1970.

    Attributes:
        now: the delivery is due at this instant.
        at: ``now`` by the ledger's clock. Leases end by that clock.
        latest: no lease ends later by that clock, unless it was taken while the clock was ahead.
        lost: whether to find deliveries whose last lease was lost.
        held: ids of deliveries whose last lease was not lost.
        known: what the node knows; None: everything.
    """

    now: int
    at: int
    latest: int
    lost: bool
    held: Collection[str]
    known: Known | None


class _Channels(Enum):
    """Which channels a part of the search is about. The lists are parameters of the statement."""

    LISTED = "those of a list"
    OTHERS = "all but those of a list"
    KNOWN = "all but those of a list, of the receivers of a list"
    STRAYS = "all but those of a list, of other receivers than those of a list"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of the search: the ``number`` oldest deliveries of each of some channels, due at ``now``."""

    about: _Channels
    number: int
    now: int
    channels: Collection[str]
    receivers: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """What the SQL of a search depends on.

    Attributes:
        apart: whether any rows are set apart.
        lost: whether to find deliveries whose last lease was lost.
        held: whether the caller holds any deliveries.
        parts: the parts of the search.
    """

    apart: bool
    lost: bool
    held: bool
    parts: tuple[_Channels, ...]


def find_candidates(
    connection: Connection, search: Search, limit: int, per_channel: int, most: Mapping[str, int]
) -> Sequence[Row[Any]]:
    """Find the oldest deliveries that can be leased, and lock their rows against other nodes.

    The oldest deliveries of each channel come straight from the index. The cost therefore does not grow with
    the backlog: a long backlog of one channel is not read to find the deliveries of another.
    """
    # More than ``limit`` cannot be leased, and each row that is found may get locked.
    parts = _part(search, min(per_channel, limit), most)
    if not parts:
        return []
    apart = pack_apart(connection)
    values: dict[str, object] = {
        "at": search.at,
        "latest": search.latest,
        "limit": limit,
        "held": pack_texts(connection, search.held),
        **apart,
    }
    for place, part in enumerate(parts):
        values |= {
            f"number_{place}": part.number,
            f"now_{place}": part.now,
            f"channels_{place}": pack_texts(connection, part.channels),
            f"receivers_{place}": pack_texts(connection, part.receivers),
        }
    shape = _Shape(
        apart=bool(apart),
        lost=search.lost,
        held=bool(search.held),
        parts=tuple(part.about for part in parts),
    )
    return limit_members(fetch(connection, _select_candidates, values, shape))


def _part(search: Search, number: int, most: Mapping[str, int]) -> list[_Part]:
    """Return the parts of a search. The channels that ``most`` names have numbers of their own."""
    by_number: dict[int, list[str]] = {}
    for channel, its_most in most.items():
        by_number.setdefault(min(its_most, number), []).append(channel)
    now, known, others = search.now, search.known, []
    if known is None:
        others = [_Part(about=_Channels.OTHERS, number=number, now=now, channels=most)]
    elif known.channels is None:
        of_known = _Part(
            about=_Channels.KNOWN, number=number, now=now, channels=most, receivers=known.receivers
        )
        others = [of_known]
    else:
        by_number.setdefault(number, []).extend(known.channels - most.keys())
    parts = [
        _Part(about=_Channels.LISTED, number=its_number, now=now, channels=channels)
        for its_number, channels in sorted(by_number.items())
        if its_number > 0 and channels
    ]
    if known is not None and known.strays_before is not None:
        strays = _Part(
            about=_Channels.STRAYS,
            number=number,
            now=rows.to_micros(known.strays_before),
            channels=most.keys() | (known.channels or ()),
            receivers=known.elsewhere | (known.receivers if known.channels is None else frozenset()),
        )
        others.append(strays)
    return parts + others


def _select_candidates(shared: bool, shape: _Shape) -> Select[Any]:
    channels = select_channels()
    parts = union_all(
        *(_select_oldest(shared, shape, channels, place) for place in range(len(shape.parts)))
    ).subquery("parts")
    limit = bindparam("limit", type_=_delivery.c.next_at.type)
    if not shared:
        # A writer locks the whole database, so no other node leases what the parts find.
        return select(parts, _count_members(parts)).order_by(parts.c.next_at, parts.c.id).limit(limit)
    among = _delivery.alias("among")
    ids = select(among.c.id).join(parts, parts.c.id == among.c.id)
    return (
        select(_delivery, _count_members(_delivery))
        .where(_delivery.c.id.in_(ids.order_by(among.c.next_at, among.c.id).limit(limit)), schema.IS_READY)
        .where(_can_be_leased(_delivery))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )


def _count_members(delivery: FromClause) -> ColumnElement[int]:
    its = select(func.count()).select_from(_member).where(_member.c.delivery == delivery.c.id)
    return its.correlate(delivery).scalar_subquery().label("size")


def limit_members(found: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Keep the first delivery, and others that have few members in all. The next lease takes the rest.

    A lease reads all members and their records, and other statements wait for it. Of the others, the first of
    each channel comes first, then the second, and so on, and a small one before a large one. So a channel
    with large deliveries holds up no other.
    """
    if sum(row.size for row in found) <= MEMBERS_AT_ONCE:
        return found
    numbers: Counter[str] = Counter()
    others: list[tuple[int, int, int]] = []
    for place, row in enumerate(found):
        numbers[row.channel] += 1
        others.append((numbers[row.channel], row.size, place))
    kept, left = [0], MEMBERS_AT_ONCE - 1
    for _, size, place in sorted(others[1:]):
        left -= size
        if left < 0:
            break
        kept.append(place)
    return [found[place] for place in sorted(kept)]


def _select_oldest(shared: bool, shape: _Shape, channels: CTE, place: int) -> Select[Any]:
    """Select the oldest deliveries of each channel that a part of the search is about."""
    oldest = _delivery.alias("oldest")
    number, now = (bindparam(f"{name}_{place}", type_=oldest.c.next_at.type) for name in ("number", "now"))
    of_channel = (
        select(oldest.c.id)
        .where(oldest.c.state == _READY, oldest.c.channel == channels.c.channel, oldest.c.next_at <= now)
        .where(_is_wanted(shared, shape, oldest))
        .where(is_outside(shared, "delivery", oldest.c.id) if shape.apart else true())
        .order_by(oldest.c.next_at, oldest.c.id)
        .limit(number)
    )
    its = _is_about(shared, shape.parts[place], channels.c.channel, place)
    if shared:
        locked = of_channel.with_for_update(skip_locked=True, key_share=True).lateral("of_channel")
        return select(locked.c.id).select_from(channels.join(locked, true())).where(its)
    # SQLite has no lateral joins, but it evaluates this correlated subquery for each channel in the same way.
    found = _delivery.alias("of_channel")
    return select(found).select_from(channels.join(found, found.c.id.in_(of_channel))).where(its)


def _is_about(shared: bool, about: _Channels, channel: ColumnElement[str], place: int) -> ColumnElement[bool]:
    """Return the condition that a part of the search is about a channel."""
    listed, receivers = f"channels_{place}", f"receivers_{place}"
    receiver = get_receiver(shared, channel)
    match about:
        case _Channels.LISTED:
            return is_among(shared, channel, listed)
        case _Channels.OTHERS:
            return is_not_among(shared, channel, listed)
        case _Channels.KNOWN:
            return is_not_among(shared, channel, listed) & is_among(shared, receiver, receivers)
        case _Channels.STRAYS:
            return is_not_among(shared, channel, listed) & is_not_among(shared, receiver, receivers)


def get_receiver(shared: bool, channel: ColumnElement[str]) -> ColumnElement[str]:
    """Return the receiver of a channel: its name up to the slash."""
    if shared:
        return func.split_part(channel, text("'/'"), text("1"), type_=String)
    return func.substr(channel, text("1"), func.instr(channel, text("'/'")) - text("1"), type_=String)


def _is_wanted(shared: bool, shape: _Shape, delivery: FromClause) -> ColumnElement[bool]:
    """Return the condition that a delivery may be leased, as far as its earlier leases say."""
    if shape.lost:
        return _can_be_leased(delivery)
    is_held = [is_among(shared, delivery.c.id, "held") & _can_be_leased(delivery)] if shape.held else []
    return or_(is_fresh(delivery), *is_held)


def find_lost(
    connection: Connection, search: Search, per_channel: int, most: Mapping[str, int]
) -> list[tuple[str, str, int]]:
    """Find the free deliveries whose last lease was lost, the oldest first.

    Returns:
        the id, the channel and the number of lost leases of each.
    """
    known, apart = search.known, pack_apart(connection)
    values = {"now": search.now, "at": search.at, "latest": search.latest, **apart}
    return [
        (row.id, row.channel, row.lost)
        for row in fetch(connection, _select_lost, values, bool(apart))
        if row.id not in search.held
        and most.get(row.channel, per_channel) > 0
        and (
            known is None
            or known.has_channel(row.receiver, row.channel)
            or known.is_stray(row.receiver, rows.from_micros(row.next_at))
        )
    ]


def _select_lost(shared: bool, apart: bool) -> Select[Any]:
    has_begun = _delivery.c.lease_until.is_not(None) & _delivery.c.ahead.is_(false())
    lost = _delivery.c.lost_leases + case((has_begun, 1), else_=0)
    its = _delivery.c.id, _delivery.c.receiver, _delivery.c.channel, _delivery.c.next_at, lost.label("lost")
    return (
        select(*its)
        .where(schema.IS_READY, schema.HAS_LEASED, or_(_delivery.c.lost_leases > _NONE, has_begun))
        .where(_can_be_leased(_delivery))
        .where(_delivery.c.next_at <= _NOW, is_sound(_delivery.c.next_at))
        .where(is_outside(shared, "delivery", _delivery.c.id) if apart else true())
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .limit(_MAX_LOST)
    )


def find_free(connection: Connection, search: Search, deliveries: Sequence[str]) -> Sequence[Row[Any]]:
    """Find those of the deliveries that are still ready and free, and lock their rows."""
    if not deliveries:
        return []
    values = {"ids": pack_texts(connection, deliveries), "at": search.at, "latest": search.latest}
    return fetch(connection, _select_free, values)


def _select_free(shared: bool) -> Select[Any]:
    return (
        select(_delivery)
        .where(is_among(shared, _delivery.c.id, "ids"), schema.IS_READY, _can_be_leased(_delivery))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )


def _can_be_leased(delivery: FromClause) -> ColumnElement[bool]:
    """Return the condition that a delivery is free, or has a lease that ends too far ahead to be right."""
    return or_(is_free(delivery), delivery.c.lease_until > _LATEST)


def is_free(delivery: FromClause) -> ColumnElement[bool]:
    """Return the condition that a delivery has no lease, or only one that ended at or before ``:at``.

    A lease until an instant that is none is no lease.
    """
    until = delivery.c.lease_until
    return or_(until.is_(None), until <= _AT, until > rows.MAX_INSTANT)


def is_fresh(delivery: FromClause) -> ColumnElement[bool]:
    """Return the condition that a delivery has no lease at ``:at``, and that its last lease was not lost."""
    has_ended = delivery.c.ahead.is_(true()) & is_free(delivery)
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
