"""Sends a test message to each notifier of a receiver: for ``alertd send-test``, the page and the API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from alertd.core.config import Receiver
from alertd.core.ledger.outcome import Outcome, Rejected
from alertd.core.ledger.records import Delivery
from alertd.core.message.compose import make_test_message
from alertd.core.message.message import Message
from alertd.core.planning.decide import make_delivery_id
from alertd.ports import Notifier


async def try_notifiers(
    notifiers: Mapping[str, Notifier], receiver: Receiver, at: datetime
) -> AsyncIterator[tuple[str, Outcome]]:
    """Send a test message to each notifier in turn, and yield each channel with its outcome. Records nothing.

    Args:
        notifiers: by channel, ``receiver/notifier``.
        at: an aware UTC instant. Tests at different instants have different ids.
    """
    for spec in receiver.notifiers:
        test = Delivery(
            id=make_delivery_id(receiver.name, spec.name, ("test", at.isoformat())),
            receiver=receiver.name,
            notifier=spec.name,
            members=(),
            bound_at=at,
            next_at=at,
        )
        yield test.channel, await _send(notifiers[test.channel], make_test_message(test, at))


async def _send(notifier: Notifier, message: Message) -> Outcome:
    """Send the message. If the notifier raises an error, the other notifiers still get their tests."""
    try:
        return await notifier.send(message, {})
    except Exception as error:
        return Rejected(reason=f"the notifier failed, which is a fault of its own: {type(error).__name__}")
