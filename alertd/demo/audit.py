"""Audits the demo at its end: compares the ledger's deliveries with the messages that arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from alertd.core.ledger.records import Delivery, DeliveryState, Record, ReminderState, ScheduledReminder
from alertd.core.message.reasons import describe_reason
from alertd.demo.inbox import MailReceived, WebhookPost
from alertd.demo.play import Played
from alertd.demo.show import find_channel
from alertd.ports import LedgerReader

MAX_DELIVERIES = 10_000
"""How many deliveries the audit reads; the demo makes far fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAudit:
    """The result of the audit.

    Attributes:
        sent: the number of accepted messages by channel.
        lost: ids of deliveries that the ledger records as sent but that never arrived, and of deliveries that
            are dead or not yet sent.
        repeated: ids of deliveries that were accepted more than once.
        retried: the number of attempts of each delivery that needed more than one, by id.
        forged: ids of webhooks whose signature is invalid.
        halved: ids of mails that lack their text or their HTML.
        unsent: the number of reminders that were withheld on purpose, by reason.
        errors: the errors that the daemon logged.
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
        """The number of accepted messages in all channels."""
        return sum(self.sent.values())

    @property
    def is_kept(self) -> bool:
        """Whether the audit found no violation of alertd's promise."""
        return not (self.lost or self.repeated or self.forged or self.halved or self.errors)


async def audit(ledger: LedgerReader, played: Played) -> DemoAudit:
    """Compare the ledger with the messages that arrived."""
    accepted = [receipt for receipt in played.receipts if receipt.accepted]
    times = Counter(receipt.id for receipt in accepted)
    booked = [delivery for delivery, _, _ in await ledger.find_deliveries(limit=MAX_DELIVERIES)]
    return DemoAudit(
        sent=Counter(find_channel(receipt) for receipt in accepted),
        lost=tuple(delivery.id for delivery in booked if _is_lost(delivery, times)),
        repeated=tuple(number for number, count in times.items() if count > 1),
        retried={delivery.id: delivery.attempts for delivery in booked if delivery.attempts > 1},
        forged=tuple(
            receipt.id for receipt in accepted if isinstance(receipt, WebhookPost) and not receipt.is_genuine
        ),
        halved=tuple(
            receipt.id
            for receipt in accepted
            if isinstance(receipt, MailReceived) and not (receipt.part("plain") and receipt.part("html"))
        ),
        unsent=await _count_unsent(ledger),
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


async def _count_unsent(ledger: LedgerReader) -> Mapping[str, int]:
    reasons: Counter[str] = Counter()
    for record in await ledger.read_records():
        for owed in await ledger.read_owed(record.id):
            if owed.state not in (ReminderState.PENDING, ReminderState.BOUND):
                reasons[f"{owed.state.value}: {_reason_text(owed, record)}"] += 1
    return dict(reasons.most_common())


def _reason_text(owed: ScheduledReminder, record: Record) -> str:
    """Return the reason without the details of the reminder, so that equal reasons are counted together."""
    match owed.state:
        case ReminderState.EXPIRED:
            return "too late when it was loaded"
        case ReminderState.CANCELLED if owed.window_id not in record.window_ids:
            return "its date moved"
        case _:
            return describe_reason(owed.reason)
