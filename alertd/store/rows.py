"""Values as rows of the tables, and back: a dict by column on the way in, a SQLAlchemy Row on the way out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Row

from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.ledger.snapshot import (
    pack,
    pack_edition,
    pack_move,
    pack_notice,
    pack_standing,
    pack_values,
    unpack,
    unpack_edition,
    unpack_move,
    unpack_notice,
    unpack_standing,
    unpack_values,
)
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import NOTHING_SAID, MilestoneStatus
from alertd.core.routing.digest import NextDigest
from alertd.errors import LedgerError, ParseError
from alertd.ports import NodeReport
from alertd.store.rules import entry_key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CACHED_MILESTONES = 1_024
"""The milestones of this many snapshots are kept: those that are leased again and again. Some 10 MB."""

Fields = dict[str, Any]


def micros(at: datetime) -> int:
    """Microseconds of UTC since 1970, exactly. ``at`` is aware."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """The aware UTC instant that :func:`micros` was given."""
    return _EPOCH + timedelta(microseconds=at)


def span(of: timedelta) -> int:
    """A duration in microseconds."""
    return of // _MICROSECOND


def dump(value: Any) -> str:
    """Compact JSON with sorted keys: equal values give equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def fields_of_record(record: Record) -> Fields:
    milestone = record.milestone
    return {
        "id": record.id,
        "timeline": milestone.timeline,
        "file": record.file,
        "revision": record.revision,
        "loaded_at": micros(record.loaded_at),
        "changed_at": micros(record.changed_at),
        "withdrawn": record.withdrawn,
        **fields_of_standing(record.standing),
        "stated": dump(pack_values(record.values)),
        "snapshot": dump(pack(milestone)),
    }


def fields_of_standing(standing: MilestoneStatus) -> Fields:
    return {
        "standing": dump(pack_standing(standing)),
        "done_on": standing.done_on.isoformat() if standing.done_on else None,
    }


def record_of(row: Row[Any]) -> Record:
    """The record of a row.

    Raises:
        LedgerError: this alertd cannot read the snapshot that is in it.
    """
    try:
        milestone = _milestone(row.snapshot)
    except (ValueError, KeyError, ParseError) as error:
        raise LedgerError(f"the ledger's snapshot of {row.id!r} cannot be read: {error}") from error
    return Record(
        milestone=milestone,
        file=row.file,
        revision=row.revision,
        values=unpack_values(json.loads(row.stated)),
        loaded_at=instant(row.loaded_at),
        changed_at=instant(row.changed_at),
        withdrawn=row.withdrawn,
        standing=NOTHING_SAID if row.standing == "{}" else unpack_standing(json.loads(row.standing)),
    )


@lru_cache(maxsize=_CACHED_MILESTONES)
def _milestone(snapshot: str) -> Milestone:
    return unpack(json.loads(snapshot))


def day_of(text: str) -> date:
    return date.fromisoformat(text)


def fields_of_owed(owed: ScheduledReminder) -> Fields:
    return {
        "key": owed.key,
        "milestone": owed.milestone,
        "receiver": owed.receiver,
        "cause": owed.cause.value,
        "slot": owed.offset,
        "window_id": owed.window_id,
        "at": micros(owed.at),
        "wake_at": micros(owed.wake_at),
        "grouping": _grouping_text(owed.group),
        "state": owed.state.value,
        "move": dump(pack_move(owed.move)) if owed.move else None,
        "reason": owed.reason,
        "told_at": micros(owed.told_at) if owed.told_at else None,
    }


def owed_of(row: Row[Any]) -> ScheduledReminder:
    return ScheduledReminder(
        key=row.key,
        milestone=row.milestone,
        receiver=row.receiver,
        cause=Cause(row.cause),
        offset=row.slot,
        window_id=row.window_id,
        at=instant(row.at),
        wake_at=instant(row.wake_at),
        group=_grouping(row.grouping),
        state=ReminderState(row.state),
        move=unpack_move(json.loads(row.move)) if row.move else None,
        reason=row.reason,
        told_at=instant(row.told_at) if row.told_at is not None else None,
    )


@lru_cache(maxsize=_CACHED_MILESTONES)
def _grouping_text(group: tuple[tuple[str, str], ...]) -> str:
    return dump(group)


@lru_cache(maxsize=_CACHED_MILESTONES)
def _grouping(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))


def fields_of_delivery(delivery: Delivery) -> Fields:
    return {
        "id": delivery.id,
        "receiver": delivery.receiver,
        "notifier": delivery.notifier,
        "channel": delivery.channel,
        "bound_at": micros(delivery.bound_at),
        "next_at": micros(delivery.next_at),
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "reason": delivery.reason,
        "notice": dump(pack_notice(delivery.notice)) if delivery.notice else None,
        "fallback_for": delivery.fallback_for,
        "settled_at": micros(delivery.settled_at) if delivery.settled_at else None,
        "edition": dump(pack_edition(delivery.edition)) if delivery.edition else None,
    }


def delivery_of(row: Row[Any], members: Sequence[str]) -> Delivery:
    return Delivery(
        id=row.id,
        receiver=row.receiver,
        notifier=row.notifier,
        members=tuple(members),
        bound_at=instant(row.bound_at),
        next_at=instant(row.next_at),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        reason=row.reason,
        notice=unpack_notice(json.loads(row.notice)) if row.notice else None,
        fallback_for=row.fallback_for,
        settled_at=instant(row.settled_at) if row.settled_at is not None else None,
        edition=unpack_edition(json.loads(row.edition)) if row.edition else None,
    )


def fields_of_digest(one: NextDigest) -> Fields:
    return {
        "key": one.key,
        "receiver": one.receiver,
        "name": one.name,
        "at": micros(one.at),
        "since": micros(one.since),
    }


def digest_of(row: Row[Any]) -> NextDigest:
    return NextDigest(
        key=row.key, receiver=row.receiver, name=row.name, at=instant(row.at), since=instant(row.since)
    )


def fields_of_attempt(attempt: Attempt) -> Fields:
    return {
        "delivery": attempt.delivery,
        "number": attempt.number,
        "at": micros(attempt.at),
        "took_ms": attempt.took_ms,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
    }


def attempt_of(row: Row[Any]) -> Attempt:
    return Attempt(
        delivery=row.delivery,
        number=row.number,
        at=instant(row.at),
        took_ms=row.took_ms,
        outcome=row.outcome,
        reason=row.reason,
    )


def fields_of_entry(entry: HistoryEntry) -> Fields:
    return {
        "entry": entry_key(entry),
        "milestone": entry.milestone,
        "at": micros(entry.at),
        "kind": entry.kind,
        "by": entry.by,
        "why": entry.why,
        "facts": dump(dict(entry.facts)),
    }


def entry_of(row: Row[Any]) -> HistoryEntry:
    return HistoryEntry(
        milestone=row.milestone,
        at=instant(row.at),
        kind=row.kind,
        by=row.by,
        why=row.why,
        facts=json.loads(row.facts),
    )


def fields_of_state(milestone: str, channel: str, state: Mapping[str, str]) -> Fields:
    return {"milestone": milestone, "channel": channel, "state": dump(dict(state))}


def state_of(row: Row[Any]) -> Mapping[str, str]:
    state: dict[str, str] = json.loads(row.state)
    return state


def fields_of_node(node: NodeReport) -> Fields:
    return {
        "node": node.node,
        "version": node.version,
        "started_at": micros(node.started_at),
        "seen_at": micros(node.seen_at),
        "config_id": node.config_id,
        "problems": dump(node.problems),
        "receivers": dump(node.receivers),
        "stopped": node.stopped,
        "findings": dump(node.findings),
        "paused": dump(node.paused),
    }


def node_of(row: Row[Any]) -> NodeReport:
    return NodeReport(
        node=row.node,
        version=row.version,
        started_at=instant(row.started_at),
        seen_at=instant(row.seen_at),
        config_id=row.config_id,
        problems=tuple(json.loads(row.problems)),
        receivers=tuple(json.loads(row.receivers)),
        stopped=row.stopped,
        findings=tuple(json.loads(row.findings)),
        paused=tuple(json.loads(row.paused)),
    )
