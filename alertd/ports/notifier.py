"""The clock, and the contract of a notifier."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from alertd.core.ledger.outcome import Outcome
from alertd.core.message.message import Message


class Clock(Protocol):
    """Two clocks: the wall for deadlines, the monotonic one for how long things took."""

    def now(self) -> datetime:
        """The wall clock, an aware UTC instant. It may step in either direction."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back, and stands still in suspend."""


class Notifier(Protocol):
    """Sends one message, once.

    A send is tried again only if the notifier returns :class:`Retry`, and only by ``engine/delivery.py``.
    The notifier never raises for a remote failure, never sleeps, never retries, and puts no secret into a
    reason. ``send`` may be called twice with the same ``message.id``. The receiver must see the id, so that
    it can drop the repeat.
    """

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        """Send ``message``.

        Args:
            prior: by full milestone id, what the last accepted send of this notifier returned
                as ``Sent.state``.
        """

    async def aclose(self) -> None:
        """Give back connections. Called once, after the last ``send`` has returned."""
