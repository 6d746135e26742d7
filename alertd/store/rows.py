"""Convert milestones, reminders and deliveries to table rows and back.

:mod:`alertd.store.other_rows` converts the rows of the other tables in the same way.

An ``encode_*`` function returns a dict that has a value for each column. A ``decode_*`` function takes a
SQLAlchemy row, and raises UnreadableRow and nothing else if it cannot read the row. SQLite keeps any value in
any column, so a ``decode_*`` function checks also what the types of the columns promise.

Milestones, reminders and deliveries are decoded most often. The rows of these begin with the columns of their
table in its order, because taking them all at once is faster than one by one by name. What is the same in
many rows, such as an instant or a reason, is decoded once and stays in a cache of limited size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, bindparam

from alertd.core.ledger.records import (
    Delivery,
    DeliveryState,
    Grounds,
    Record,
    ReminderState,
    ScheduledReminder,
    Value,
)
from alertd.core.ledger.snapshot import (
    check_text,
    check_texts,
    dump_milestone,
    pack_edition,
    pack_grounds,
    pack_move,
    pack_notice,
    pack_status,
    pack_values,
    unpack,
    unpack_edition,
    unpack_grounds,
    unpack_move,
    unpack_notice,
    unpack_status,
    unpack_values,
)
from alertd.core.message.reasons import describe_reason
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.reason import Reason, get_code, pack_details, unpack_reason
from alertd.core.words import phrase_offset
from alertd.errors import UnreadableRow, ZoneMissing

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_REASON = 200
_CACHED_MILESTONES = 4_096
"""How many decoded snapshots stay in memory (about 10 MB), because milestones are leased again and again."""

_CACHED = 1_024
"""How many decoded values of each other kind stay in memory."""

_CACHED_INSTANTS = 4_096
"""How many decoded instants stay in memory (below 1 MB), because many rows have the same instants."""

_CAUSES = {cause.value: cause for cause in Cause}
_REMINDER_STATES = {state.value: state for state in ReminderState}
_DELIVERY_STATES = {state.value: state for state in DeliveryState}

MIN_INSTANT = -62_135_300_000_000_000
"""The first instant that a row can hold (January of year 1), in microseconds since 1970-01-01 00:00 UTC."""

MAX_INSTANT = 253_402_000_000_000_000
"""The last instant that a row can hold (December of year 9999), so that each zone has a date for it."""

MAX_COUNT = 2**31 - 2
"""The largest number in a column of whole numbers: PostgreSQL can add 1 to it."""

Fields = dict[str, Any]


def to_micros(at: datetime) -> int:
    """Return the exact number of microseconds from 1970-01-01 00:00 UTC to ``at``, which must be aware."""
    return (at - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=_CACHED_INSTANTS)
def from_micros(at: int) -> datetime:
    """Return the aware UTC instant for a result of :func:`to_micros`.

    Raises:
        OverflowError, TypeError: the value of the column is no instant.
    """
    if not isinstance(at, (int, float)):
        raise TypeError(f"{at!r} is no instant")
    return _EPOCH + timedelta(microseconds=at)


def make_unreadable(table: str, key: object, error: Exception) -> UnreadableRow:
    """Return the error for a row that cannot be read because of ``error``."""
    zone = error.zone if isinstance(error, ZoneMissing) else ""
    reason = " ".join(str(error).split())[:_MAX_REASON] if str(error) else type(error).__name__
    if isinstance(error, KeyError):
        reason = f"it lacks {reason}"
    return UnreadableRow(table, key, reason, zone)


def count_micros(duration: timedelta) -> int:
    """Return a duration in whole microseconds."""
    return duration // _MICROSECOND


_decode_json = json.JSONDecoder().raw_decode


def load_json(text: str) -> Any:
    """Return the value of a JSON text, as ``json.loads`` does, but faster for texts of :func:`dump_json`."""
    try:
        value, end = _decode_json(text)
    except (ValueError, TypeError):
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def dump_json(value: Any) -> str:
    """Return compact JSON with sorted keys, so that equal values have equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def encode_record(record: Record) -> Fields:
    milestone = record.milestone
    return {
        "id": record.id,
        "timeline": milestone.timeline,
        "file": record.file,
        "revision": record.revision,
        "loaded_at": to_micros(record.loaded_at),
        "changed_at": to_micros(record.changed_at),
        "withdrawn": record.withdrawn,
        **encode_status(record.status),
        "stated": dump_json(pack_values(record.values)),
        "snapshot": dump_milestone(milestone),
    }


def encode_status(status: MilestoneStatus) -> Fields:
    return {
        "standing": dump_json(pack_status(status)),
        "done_on": status.done_on.isoformat() if status.done_on else None,
    }


def decode_record(row: Row[Any]) -> Record:
    """Return the record that a row holds. More columns may follow those of the table."""
    columns: Sequence[Any] = row
    (
        name,
        timeline,
        file,
        revision,
        loaded_at,
        changed_at,
        withdrawn,
        standing,
        done_on,
        stated,
        snapshot,
    ) = columns[:11]
    try:
        milestone = _decode_milestone(snapshot)
        if milestone.zone is not ZoneInfo(milestone.zone.key):
            # The zone database has changed since, and the milestones in the cache have the old rules.
            _decode_milestone.cache_clear()
            milestone = _decode_milestone(snapshot)
        status = NO_ACTIONS if standing == "{}" else unpack_status(load_json(standing))
        is_done_on = status.done_on.isoformat() if status.done_on else None
        if name != milestone.id or timeline != milestone.timeline or done_on != is_done_on:
            raise ValueError("its columns id, timeline and done_on contradict its snapshot or its standing")
        return Record(
            milestone=milestone,
            file=check_text(file),
            revision=check_count(revision),
            values=_decode_values(stated),
            loaded_at=from_micros(loaded_at),
            changed_at=from_micros(changed_at),
            withdrawn=check_flag(withdrawn),
            status=status,
        )
    except Exception as error:
        raise make_unreadable("milestone", name, error) from error


def check_count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise ValueError(f"{value!r} is no count")
    return value


def check_flag(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{value!r} is neither true nor false")
    return bool(value)


@lru_cache(maxsize=_CACHED_MILESTONES)
def _decode_milestone(snapshot: str) -> Milestone:
    return unpack(load_json(snapshot))


@lru_cache(maxsize=_CACHED)
def _decode_values(stated: str) -> tuple[Value, ...]:
    return unpack_values(load_json(stated))


def decode_done_date(row: Row[Any]) -> date:
    """Return the done date of a row with the columns ``id`` and ``done_on``."""
    try:
        return date.fromisoformat(row.done_on)
    except Exception as error:
        raise make_unreadable("milestone", row.id, error) from error


REASON_PARAMETERS: Fields = {
    name: bindparam(f"new_{name}") for name in ("reason", "reason_code", "reason_details")
}
"""The parameters of an update for the columns of a reason; :func:`encode_new_reason` returns their values."""


def encode_new_reason(reason: Reason | None) -> Fields:
    """Return the values of :data:`REASON_PARAMETERS`."""
    return {f"new_{name}": value for name, value in encode_reason(reason).items()}


@lru_cache(maxsize=_CACHED)
def encode_reason(reason: Reason | None) -> Mapping[str, str]:
    """Return a reason as code, details and words. The words are for searches and for people who use SQL."""
    details = pack_details(reason)
    return {
        "reason": describe_reason(reason),
        "reason_code": get_code(reason),
        "reason_details": dump_json(details) if details else "",
    }


def decode_reason(row: Row[Any]) -> Reason | None:
    """Return the reason in a row.

    Raises:
        ValueError: the details do not fit the code.
        TypeError: a value has the wrong type.
    """
    return _decode_reason(row.reason_code, row.reason_details, row.reason)


@lru_cache(maxsize=_CACHED)
def _decode_reason(code: str, details: str, text: str) -> Reason | None:
    reason = unpack_reason(check_text(code), load_json(details or "{}"), check_text(text))
    # The words are made here, so that a detail of a wrong type is found now and not on a page.
    describe_reason(reason)
    return reason


def encode_owed(owed: ScheduledReminder) -> Fields:
    return {
        "key": owed.key,
        "milestone": owed.milestone,
        "receiver": owed.receiver,
        "cause": owed.cause.value,
        "slot": owed.offset,
        "window_id": owed.window_id,
        "at": to_micros(owed.at),
        "wake_at": to_micros(owed.wake_at),
        "grouping": _encode_group(owed.group),
        "state": owed.state.value,
        "move": dump_json(pack_move(owed.move)) if owed.move else None,
        **encode_reason(owed.reason),
        "told_at": to_micros(owed.told_at) if owed.told_at else None,
        "grounds": encode_grounds(owed.grounds),
    }


def decode_owed(row: Row[Any]) -> ScheduledReminder:
    """Return the reminder that a row holds. More columns may follow those of the table."""
    columns: Sequence[Any] = row
    (
        key,
        milestone,
        receiver,
        cause,
        slot,
        window_id,
        at,
        wake_at,
        grouping,
        state,
        move,
        reason,
        told_at,
        reason_code,
        reason_details,
        grounds,
    ) = columns[:16]
    try:
        check_texts(key, milestone, receiver, window_id)
        return ScheduledReminder(
            key=key,
            milestone=milestone,
            receiver=receiver,
            cause=_CAUSES.get(cause) or Cause(cause),
            offset=_check_offset(slot),
            window_id=window_id,
            at=from_micros(at),
            wake_at=from_micros(wake_at),
            group=_decode_group(grouping),
            state=_REMINDER_STATES.get(state) or ReminderState(state),
            move=unpack_move(load_json(move)) if move else None,
            reason=_decode_reason(reason_code, reason_details, reason),
            told_at=from_micros(told_at) if told_at is not None else None,
            grounds=_decode_grounds(grounds) if grounds else None,
        )
    except Exception as error:
        raise make_unreadable("owed", key, error) from error


@lru_cache(maxsize=_CACHED)
def _check_offset(text: str) -> str:
    phrase_offset(text)
    return text


@lru_cache(maxsize=_CACHED)
def encode_grounds(grounds: Grounds | None) -> str | None:
    """Return the reason why a reminder goes to its receiver, as JSON."""
    return None if grounds is None else dump_json(pack_grounds(grounds))


@lru_cache(maxsize=_CACHED)
def _decode_grounds(text: str) -> Grounds:
    return unpack_grounds(load_json(text))


@lru_cache(maxsize=_CACHED)
def _encode_group(group: tuple[tuple[str, str], ...]) -> str:
    return dump_json(group)


@lru_cache(maxsize=_CACHED)
def _decode_group(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((check_text(name), check_text(value)) for name, value in load_json(text))


def encode_delivery(delivery: Delivery) -> Fields:
    return {
        "id": delivery.id,
        "receiver": delivery.receiver,
        "notifier": delivery.notifier,
        "channel": delivery.channel,
        "bound_at": to_micros(delivery.bound_at),
        "next_at": to_micros(delivery.next_at),
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        **encode_reason(delivery.reason),
        "notice": dump_json(pack_notice(delivery.notice)) if delivery.notice else None,
        "fallback_for": delivery.fallback_for,
        "settled_at": to_micros(delivery.settled_at) if delivery.settled_at else None,
        "edition": dump_json(pack_edition(delivery.edition)) if delivery.edition else None,
        "tried_from": to_micros(delivery.tried_from) if delivery.tried_from else None,
        "lost_leases": delivery.lost_leases,
    }


def decode_delivery(row: Row[Any], members: Sequence[str]) -> Delivery:
    """Return the delivery that a row holds. More columns may follow those of the table."""
    columns: Sequence[Any] = row
    (
        name,
        receiver,
        notifier,
        channel,
        bound_at,
        next_at,
        state,
        attempts,
        reason,
        notice,
        fallback_for,
        settled_at,
        _lease_owner,
        _lease_until,
        fence,
        edition,
        reason_code,
        reason_details,
        lost_leases,
        tried_from,
    ) = columns[:20]
    try:
        check_count(fence)
        if channel != f"{receiver}/{notifier}":
            raise ValueError(f"its channel {channel!r} is not the one of its receiver and its notifier")
        check_texts(name, receiver, notifier, fallback_for)
        return Delivery(
            id=name,
            receiver=receiver,
            notifier=notifier,
            members=tuple(members),
            bound_at=from_micros(bound_at),
            next_at=from_micros(next_at),
            state=_DELIVERY_STATES.get(state) or DeliveryState(state),
            attempts=check_count(attempts),
            reason=_decode_reason(reason_code, reason_details, reason),
            notice=unpack_notice(load_json(notice)) if notice else None,
            fallback_for=fallback_for,
            settled_at=from_micros(settled_at) if settled_at is not None else None,
            edition=unpack_edition(load_json(edition)) if edition else None,
            tried_from=from_micros(tried_from) if tried_from is not None else None,
            lost_leases=check_count(lost_leases),
        )
    except Exception as error:
        raise make_unreadable("delivery", name, error) from error
