"""Delete milestones, repeats and notices that are no longer needed, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, select, text

from alertd.core.milestones.occurrence import Cause
from alertd.ports import KEPT_REPEATS
from alertd.store import rows, schema
from alertd.store.database.dialect import lock_rows

_milestone, _owed, _delivery = schema.milestone, schema.owed, schema.delivery
_member, _attempt, _history = schema.member, schema.attempt, schema.history


def prune(connection: Connection, before: datetime, limit: int) -> Mapping[str, int]:
    """Delete at most ``limit`` milestones, repeats and notices; see :meth:`alertd.ports.Prunable.prune`.

    Returns:
        The number of deleted rows: ``milestones``, ``reminders`` and ``deliveries``.
    """
    at = rows.to_micros(before)
    names = connection.scalars(
        select(_milestone.c.id).where(_is_over(at)).order_by(_milestone.c.id).limit(limit)
    )
    gone = list(names)
    emptied: list[str] = []
    if gone:
        lock_rows(connection, _milestone.c.id, gone)
        keys = select(_owed.c.key).where(_owed.c.milestone.in_(gone))
        emptied = list(
            connection.scalars(select(_member.c.delivery).where(_member.c.key.in_(keys)).distinct())
        )
        connection.execute(delete(_member).where(_member.c.key.in_(keys)))
        connection.execute(delete(_owed).where(_owed.c.milestone.in_(gone)))
        connection.execute(delete(_history).where(_history.c.milestone.in_(gone)))
        connection.execute(delete(schema.remembered).where(schema.remembered.c.milestone.in_(gone)))
        connection.execute(delete(_milestone).where(_milestone.c.id.in_(gone)))
    repeats = _find_old_repeats(connection, at, limit)
    if repeats:
        of_them = select(_member.c.delivery).where(_member.c.key.in_(repeats)).distinct()
        emptied += connection.scalars(of_them)
        connection.execute(delete(_member).where(_member.c.key.in_(repeats)))
        connection.execute(delete(_owed).where(_owed.c.key.in_(repeats)))
    notices = _select_old_notices(at).order_by(_delivery.c.id).limit(limit)
    old = [*_filter_empty(connection, emptied), *connection.scalars(notices)]
    if old:
        connection.execute(delete(_attempt).where(_attempt.c.delivery.in_(old)))
        connection.execute(delete(_delivery).where(_delivery.c.id.in_(old)))
    return {"milestones": len(gone), "reminders": len(repeats), "deliveries": len(old)}


def _find_old_repeats(connection: Connection, at: int, limit: int) -> list[str]:
    """Find repeats of `then_every` that can be deleted, at most ``limit``, and lock them.

    The first overdue reminders of a window may be steps of its policy, which would be planned again. Of the
    others, the latest is kept.
    """
    name = _owed.c.milestone, _owed.c.receiver, _owed.c.window_id
    is_old = (
        _owed.c.cause == Cause.OVERDUE.value,
        _owed.c.at < at,
        _owed.c.state != text("'pending'"),
        _owed.c.key.not_in(
            select(_member.c.key).join(_delivery, _delivery.c.id == _member.c.delivery).where(schema.IS_READY)
        ),
    )
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
    found = found[:limit]
    if found:
        lock_rows(connection, _owed.c.key, found)
    return found


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
