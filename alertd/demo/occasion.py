"""Joins the messages that arrived with the ledger's reminders, so that each reminder is shown once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alertd.core.ledger.records import Delivery, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.core.reason import MuteInterval, OutsideIntervals, QuietHours
from alertd.core.words import format_span
from alertd.demo.inbox import Receipt
from alertd.ports import LedgerReader

LATE_FROM = timedelta(hours=1)
"""A reminder that arrives at least this late is shown as late."""

READ_AT_ONCE = 100
"""How many of the newest deliveries are read. Far fewer are made between two reads."""


@dataclass(slots=True, kw_only=True)
class ReminderOccasion:
    """A reminder that arrived at an instant.

    Attributes:
        at: the aware virtual instant of the arrival.
        late: how late the reminder was and why; "" if it was on time.
        receipts: the messages that carried the reminder, one for each channel.
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


async def group_receipts(ledger: LedgerReader, receipts: Iterable[Receipt]) -> list[ReminderOccasion]:
    """Group the messages that have just arrived by reminder, in the order of their arrival."""
    deliveries = await ledger.find_deliveries(limit=READ_AT_ONCE)
    known: Mapping[str, tuple[Delivery, ScheduledReminder]] = {
        delivery.id: (delivery, max(members, key=lambda member: member.at))
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
                late=_lateness_text(owed, receipt.at),
            ),
        )
        occasion.receipts.append(receipt)
    return list(found.values())


def _lateness_text(owed: ScheduledReminder, at: datetime) -> str:
    late = at - owed.at
    if late < LATE_FROM:
        return ""
    match owed.reason:
        case MuteInterval(interval=name) | QuietHours(hours=name):
            return f"held back for {format_span(late)}: {name}"
        case OutsideIntervals(intervals=names):
            return f"held back for {format_span(late)}: not in {', '.join(names)}"
        case _:
            return f"{format_span(late)} late: alertd was not there yet"
