"""Checks the promise at the end: the ledger's book against what really arrived on the other side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from alertd.core.ledger.records import Delivery, DeliveryState, Record, ReminderState, ScheduledReminder
from alertd.demo.inbox import MailReceived, WebhookPost
from alertd.demo.play import Played
from alertd.demo.show import channel_of
from alertd.ports import Ledger

MAX_DELIVERIES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAudit:
    """What was found.

    Attributes:
        sent: accepted messages by channel.
        lost: ids that the ledger calls sent and that never arrived, and those it has not brought to an end.
        repeated: ids that were accepted more than once.
        retried: ids that were tried more than once, with the number of attempts.
        forged: webhooks whose signature does not fit.
        halved: mails that lack their text or their HTML.
        unsent: reminders that were not sent on purpose, counted by reason.
        errors: what the daemon logged as errors.
    """

    sent: Mapping[str, int]
    lost: tuple[str, ...]
    repeated: tuple[str, ...]
    retried: Mapping[str, int]
    forged: tuple[str, ...]
    halved: tuple[str, ...]
    unsent: Mapping[str, int]
    errors: str

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    @property
    def is_kept(self) -> bool:
        """Whether all that was promised was kept."""
        return not (self.lost or self.repeated or self.forged or self.halved or self.errors)


async def audit(ledger: Ledger, played: Played) -> DemoAudit:
    """Compare ledger and receipts."""
    accepted = [receipt for receipt in played.receipts if receipt.accepted]
    times = Counter(receipt.id for receipt in accepted)
    booked = [delivery for delivery, _, _ in await ledger.deliveries(limit=MAX_DELIVERIES)]
    return DemoAudit(
        sent=Counter(channel_of(receipt) for receipt in accepted),
        lost=tuple(one.id for one in booked if _is_lost(one, times)),
        repeated=tuple(number for number, count in times.items() if count > 1),
        retried={one.id: one.attempts for one in booked if one.attempts > 1},
        forged=tuple(one.id for one in accepted if isinstance(one, WebhookPost) and not one.is_genuine),
        halved=tuple(
            one.id
            for one in accepted
            if isinstance(one, MailReceived) and not (one.part("plain") and one.part("html"))
        ),
        unsent=await _unsent(ledger),
        errors=played.errors,
    )


def _is_lost(delivery: Delivery, times: Mapping[str, int]) -> bool:
    match delivery.state:
        case DeliveryState.SENT:
            return delivery.id not in times
        case DeliveryState.READY | DeliveryState.DEAD:
            return True
        case DeliveryState.SUPERSEDED | DeliveryState.SUPPRESSED:
            return False


async def _unsent(ledger: Ledger) -> Mapping[str, int]:
    reasons: Counter[str] = Counter()
    for record in await ledger.records():
        for owed in await ledger.owed(record.id):
            if owed.state not in (ReminderState.PENDING, ReminderState.BOUND):
                reasons[f"{owed.state.value}: {_why(owed, record)}"] += 1
    return dict(reasons.most_common())


def _why(owed: ScheduledReminder, record: Record) -> str:
    """The reason without what differs from one to the next, so that like comes to like."""
    match owed.state:
        case ReminderState.EXPIRED:
            return "too late when it was loaded"
        case ReminderState.CANCELLED if owed.window_id not in record.window_ids:
            return "its date moved"
        case _:
            return owed.reason
