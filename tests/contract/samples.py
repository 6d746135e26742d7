"""Create sample milestones, occurrences and deliveries for tests of ledgers, in one line each."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alertd.core.deadline import parse_deadline
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Lease,
    Notice,
    Record,
    ReminderState,
    ScheduledReminder,
    Value,
)
from alertd.core.milestones.milestone import Claim, Milestone, Source
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.planning.decide import Decisions, Verdict, make_delivery_id
from alertd.core.reason import Answered
from alertd.ports import Changes, Ledger, Settlement

NOW = datetime(2026, 9, 1, 6, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WINDOW = "2026-09-01/2026-10-01"
MINISTER = Source(id="minister", who="A. Minister, of something", published="2024-09-08")


def a_value(**changes: Any) -> Value:
    base = Value(
        window_id=WINDOW,
        edtf="2026-09",
        phrase="by September 2026",
        accounts=("the minister",),
        source_ids=("minister",),
    )
    return replace(base, **changes)


def a_record(id: str = "iraq/phase-2", *, title: str = "They leave", **changes: Any) -> Record:  # noqa: A002
    milestone = Milestone(
        id=id,
        timeline=id.partition("/")[0],
        timeline_title="Withdrawal",
        title=title,
        zone=ZoneInfo("Asia/Baghdad"),
        policy=Policy(),
        claims=(Claim(deadline=parse_deadline("2026-09"), sources=(MINISTER,)),),
        labels={"country": "iraq"},
    )
    base = Record(
        milestone=milestone,
        file=f"milestones/{milestone.timeline}.yaml",
        revision=1,
        values=(a_value(),),
        loaded_at=NOW,
        changed_at=NOW,
    )
    return replace(base, **changes)


def an_owed(key: str = "k1", *, at: datetime = NOW, **changes: Any) -> ScheduledReminder:
    """Return a pending occurrence of the sample milestone for ``desk`` that wakes when it is due."""
    base = ScheduledReminder(
        key=key,
        milestone="iraq/phase-2",
        receiver="desk",
        cause=Cause.APPROACHING,
        offset="-7d",
        window_id=WINDOW,
        at=at,
        wake_at=at,
        group=(("timeline", "iraq"),),
    )
    return replace(base, **changes)


def a_delivery(*members: str, receiver: str = "desk", notifier: str = "hook", **changes: Any) -> Delivery:
    base = Delivery(
        id=make_delivery_id(receiver, notifier, members),
        receiver=receiver,
        notifier=notifier,
        members=members,
        bound_at=NOW,
        next_at=NOW,
    )
    return replace(base, **changes)


def a_notice(slot: str = "broken file", **changes: Any) -> Delivery:
    """Return a notice to the operator, which is a delivery without members."""
    notice = Notice(slot=slot, headline="a file cannot be read", lines=("iraq.yaml:3:5: no",))
    return a_delivery(id=make_delivery_id("ops", "hook", (slot,)), receiver="ops", notice=notice, **changes)


def an_action(kind: ActionKind, **changes: Any) -> Action:
    base = Action(kind=kind, milestone="iraq/phase-2", at=NOW, by="ada", why="she said so")
    match kind:
        case ActionKind.ACK | ActionKind.SNOOZE:
            base = replace(base, until=NOW + DAY)
        case ActionKind.DONE:
            base = replace(base, done_on=NOW.date(), evidence="https://example.org/photo")
        case ActionKind.CANCEL | ActionKind.REOPEN:
            pass
    return replace(base, **changes)


def an_entry(**changes: Any) -> HistoryEntry:
    base = HistoryEntry(milestone="iraq/phase-2", at=NOW, kind="loaded", facts={"file": "iraq.yaml"})
    return replace(base, **changes)


def bound(key: str) -> Verdict:
    return Verdict(key=key, state=ReminderState.BOUND, reason=None)


async def bind(ledger: Ledger, *deliveries: Delivery) -> None:
    """Bind every member of the deliveries. All members must be pending."""
    keys = dict.fromkeys(key for delivery in deliveries for key in delivery.members)
    verdicts = tuple(bound(key) for key in keys)
    assert await ledger.bind(Decisions(deliveries=deliveries, verdicts=verdicts))


async def fill(ledger: Ledger, *owed: ScheduledReminder, deliveries: Sequence[Delivery] = ()) -> None:
    """Write the occurrences and their sample milestones, and bind the deliveries."""
    ids = dict.fromkeys(("iraq/phase-2", *(one.milestone for one in owed)))
    await ledger.apply(Changes(records=tuple(a_record(one) for one in ids), owed=owed))
    if deliveries:
        await bind(ledger, *deliveries)


async def take(ledger: Ledger, **changes: Any) -> Sequence[Lease]:
    """Lease with limits that no test reaches."""
    wanted: dict[str, Any] = {
        "owner": "node-1",
        "now": NOW,
        "duration": 5 * MINUTE,
        "limit": 200,
        "per_channel": 200,
    }
    return await ledger.lease(**(wanted | changes))


def sent(lease: Lease, **changes: Any) -> Settlement:
    """Return a settlement of a delivery that was accepted at the first try."""
    base = Settlement(
        lease=lease,
        state=DeliveryState.SENT,
        at=NOW + MINUTE,
        attempt=an_attempt(lease),
        told=lease.delivery.members,
    )
    return replace(base, **changes)


def again(lease: Lease, **changes: Any) -> Settlement:
    """Return a settlement of a failed try that is repeated after an hour."""
    base = Settlement(
        lease=lease,
        state=DeliveryState.READY,
        at=NOW + MINUTE,
        reason=Answered(text="status 503"),
        next_at=NOW + HOUR,
        attempt=an_attempt(lease, outcome="retry"),
    )
    return replace(base, **changes)


def dead(lease: Lease, **changes: Any) -> Settlement:
    """Return a settlement of a delivery that failed for good."""
    base = Settlement(
        lease=lease,
        state=DeliveryState.DEAD,
        at=NOW + MINUTE,
        reason=Answered(text="status 410"),
        attempt=an_attempt(lease, outcome="rejected"),
    )
    return replace(base, **changes)


def an_attempt(lease: Lease, *, outcome: str = "sent") -> Attempt:
    return Attempt(
        delivery=lease.delivery.id,
        number=lease.delivery.attempts + 1,
        at=NOW,
        took_ms=12,
        outcome=outcome,
    )
