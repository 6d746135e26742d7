"""Find milestones, repeats and notices that are no longer needed, and delete them, a few at a time.

What is old is found by reading, which may take long and holds up nothing. Before a row is deleted, the same
conditions are checked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, select, text

from alertd.core.milestones.occurrence import Cause
from alertd.ports import KEPT_REPEATS
from alertd.store import schema
from alertd.store.database.dialect import lock_rows

_milestone, _owed, _delivery = schema.milestone, schema.owed, schema.delivery
_member, _attempt, _history = schema.member, schema.attempt, schema.history


NOTHING: Mapping[str, int] = MappingProxyType({"milestones": 0, "reminders": 0, "deliveries": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """What can probably be deleted: ids of milestones, keys of reminders, and ids of notices."""

    milestones: Sequence[str] = ()
    repeats: Sequence[str] = ()
    notices: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.milestones or self.repeats or self.notices)

    def split(self, limit: int) -> tuple[Old, Old]:
        """Return at most ``limit`` of each kind, and the rest."""
        first = Old(
            milestones=self.milestones[:limit], repeats=self.repeats[:limit], notices=self.notices[:limit]
        )
        rest = Old(
            milestones=self.milestones[limit:], repeats=self.repeats[limit:], notices=self.notices[limit:]
        )
        return first, rest


def find_old(connection: Connection, at: int, limit: int) -> Old:
    """Find at most ``limit`` milestones, repeats and notices that can be deleted. This may read every row."""
    over = select(_milestone.c.id).where(_is_over(at)).order_by(_milestone.c.id).limit(limit)
    return Old(
        milestones=[*connection.scalars(over)],
        repeats=_find_old_repeats(connection, at, limit),
        notices=[*connection.scalars(_select_old_notices(at).order_by(_delivery.c.id).limit(limit))],
    )


def delete_old(connection: Connection, old: Old, at: int) -> Mapping[str, int]:
    """Delete what was found, if it can still be deleted; see :meth:`alertd.ports.Prunable.prune`.

    Returns:
        The number of deleted rows: ``milestones``, ``reminders`` and ``deliveries``.
    """
    gone, emptied = _delete_milestones(connection, old.milestones, at) if old.milestones else (0, [])
    repeats: list[str] = []
    if old.repeats:
        lock_rows(connection, _owed.c.key, old.repeats)
        # A repeat may be pending again by now, since an old date has returned.
        still = select(_owed.c.key).where(_owed.c.key.in_(old.repeats), *_is_old_repeat(at))
        repeats = [*connection.scalars(still)]
    if repeats:
        of_them = select(_member.c.delivery).where(_member.c.key.in_(repeats)).distinct()
        emptied += connection.scalars(of_them)
        connection.execute(delete(_member).where(_member.c.key.in_(repeats)))
        connection.execute(delete(_owed).where(_owed.c.key.in_(repeats)))
    notices: list[str] = []
    if old.notices:
        notices = [*connection.scalars(_select_old_notices(at).where(_delivery.c.id.in_(old.notices)))]
    ended = [*_filter_empty(connection, emptied), *notices]
    if ended:
        connection.execute(delete(_attempt).where(_attempt.c.delivery.in_(ended)))
        connection.execute(delete(_delivery).where(_delivery.c.id.in_(ended)))
    return {"milestones": gone, "reminders": len(repeats), "deliveries": len(ended)}


def _delete_milestones(connection: Connection, names: Sequence[str], at: int) -> tuple[int, list[str]]:
    """Delete milestones that are still over. Returns how many, and the deliveries that carried them."""
    lock_rows(connection, _milestone.c.id, names)
    gone = [*connection.scalars(select(_milestone.c.id).where(_milestone.c.id.in_(names), _is_over(at)))]
    if not gone:
        return 0, []
    keys = select(_owed.c.key).where(_owed.c.milestone.in_(gone))
    emptied = connection.scalars(select(_member.c.delivery).where(_member.c.key.in_(keys)).distinct())
    carried = [*emptied]
    connection.execute(delete(_member).where(_member.c.key.in_(keys)))
    connection.execute(delete(_owed).where(_owed.c.milestone.in_(gone)))
    connection.execute(delete(_history).where(_history.c.milestone.in_(gone)))
    connection.execute(delete(schema.remembered).where(schema.remembered.c.milestone.in_(gone)))
    connection.execute(delete(_milestone).where(_milestone.c.id.in_(gone)))
    return len(gone), carried


def _is_old_repeat(at: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a repeat was due before ``at``, and nothing of it waits or is being sent."""
    on_its_way = (
        select(_member.c.key).join(_delivery, _delivery.c.id == _member.c.delivery).where(schema.IS_READY)
    )
    return (
        _owed.c.cause == Cause.OVERDUE.value,
        _owed.c.at < at,
        _owed.c.state != text("'pending'"),
        _owed.c.key.not_in(on_its_way),
    )


def _find_old_repeats(connection: Connection, at: int, limit: int) -> list[str]:
    """Find repeats of `then_every` that can be deleted, at most ``limit``.

    The first overdue reminders of a window may be steps of its policy, which would be planned again. Of the
    others, the latest is kept.
    """
    name = _owed.c.milestone, _owed.c.receiver, _owed.c.window_id
    is_old = _is_old_repeat(at)
    # The index answers this part alone, so that the rows which are not old are not read.
    with_many = (
        select(_owed.c.milestone, _owed.c.receiver)
        .where(_owed.c.at < at, _owed.c.state != text("'pending'"))
        .group_by(_owed.c.milestone, _owed.c.receiver)
        .having(func.count() > KEPT_REPEATS)
        .subquery("with_many")
    )
    is_one = (with_many.c.milestone == _owed.c.milestone) & (with_many.c.receiver == _owed.c.receiver)
    many = (
        select(*name)
        .join(with_many, is_one)
        .where(*is_old)
        .group_by(*name)
        .having(func.count() > KEPT_REPEATS)
        .order_by(*name)
        .limit(limit)
    )
    found: list[str] = []
    for window in connection.execute(many).all():
        same = [column == value for column, value in zip(name, window, strict=True)]
        ladder = select(_owed.c.key).where(*same, *is_old).order_by(_owed.c.at, _owed.c.key)
        # The latest of them is kept too.
        found += [*connection.scalars(ladder.offset(KEPT_REPEATS - 1).limit(limit + 1))][:-1]
        if len(found) >= limit:
            break
    return found[:limit]


def _is_over(at: int) -> ColumnElement[bool]:
    """Return the condition that a milestone can be deleted.

    The milestone is withdrawn, has no history since ``at``, and has no pending reminder and no ready
    delivery.
    """
    of_it = _owed.c.milestone == _milestone.c.id
    on_its_way = (
        select(_member.c.key)
        .join(_owed, _owed.c.key == _member.c.key)
        .join(_delivery, _delivery.c.id == _member.c.delivery)
        .where(of_it, schema.IS_READY)
    )
    return and_(
        _milestone.c.withdrawn.is_(True),
        _milestone.c.changed_at < at,
        ~exists(select(_history.c.seq).where(_history.c.milestone == _milestone.c.id, _history.c.at >= at)),
        ~exists(select(_owed.c.key).where(of_it, schema.IS_PENDING)),
        ~exists(on_its_way),
    )


def _filter_empty(connection: Connection, deliveries: list[str]) -> list[str]:
    """Return the deliveries that have no members left.

    A digest or a grouped delivery that has other members stays.
    """
    left = set(
        connection.scalars(select(_member.c.delivery).where(_member.c.delivery.in_(deliveries)).distinct())
    )
    return [name for name in deliveries if name not in left]


def _select_old_notices(at: int) -> Select[tuple[str]]:
    return select(_delivery.c.id).where(
        _delivery.c.notice.is_not(None), _delivery.c.settled_at < at, _delivery.c.state != text("'ready'")
    )
