"""Joins what arrived with what the ledger says of it: one line for each reminder, whoever was told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alertd.core.ledger.records import Delivery, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.core.words import span_text
from alertd.demo.inbox import Receipt
from alertd.ports import Ledger

LATE_FROM = timedelta(hours=1)

READ_AT_ONCE = 100
"""Deliveries; far more than ever are made between two looks."""


@dataclass(slots=True, kw_only=True)
class ReminderOccasion:
    """What was told at one instant about one thing.

    Attributes:
        late: by how much it came late and why; "" when it was in time.
        receipts: the same in every channel that it arrived by.
    """

    at: datetime
    milestone: str
    cause: Cause
    offset: str
    late: str = ""
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def short(self) -> str:
        """The milestone's id within its timeline."""
        return self.milestone.partition("/")[2]


async def occasions_of(ledger: Ledger, receipts: Iterable[Receipt]) -> list[ReminderOccasion]:
    """The occasions of what has just arrived, in the order in which it did."""
    deliveries = await ledger.deliveries(limit=READ_AT_ONCE)
    known: Mapping[str, tuple[Delivery, ScheduledReminder]] = {
        delivery.id: (delivery, max(members, key=lambda one: one.at))
        for delivery, _, members in deliveries
        if members
    }
    found: dict[tuple[str, Cause, str], ReminderOccasion] = {}
    for receipt in receipts:
        if receipt.id not in known:
            continue
        _, owed = known[receipt.id]
        occasion = found.setdefault(
            (owed.milestone, owed.cause, owed.offset),
            ReminderOccasion(
                at=receipt.at,
                milestone=owed.milestone,
                cause=owed.cause,
                offset=owed.offset,
                late=_late(owed, receipt.at),
            ),
        )
        occasion.receipts.append(receipt)
    return list(found.values())


def _late(owed: ScheduledReminder, at: datetime) -> str:
    late = at - owed.at
    if late < LATE_FROM:
        return ""
    if owed.reason.startswith("muted"):
        return f"held back for {span_text(late)}: {owed.reason.rpartition(': ')[2]}"
    return f"{span_text(late)} late: alertd was not there yet"
