"""Stands in for a notifier that cannot be made, so that the other notifiers are used."""

from __future__ import annotations

from collections.abc import Mapping

from alertd.core.ledger.outcome import Outcome, Retry
from alertd.core.message.message import Message


class Unmade:
    """Refuses each message for now.

    So its channel is paused and reported like any other that fails, and its messages wait until the notifier
    can be made: after an upgrade of its package, or after a change of its options.

    Args:
        error: what was raised when the notifier was made.
    """

    def __init__(self, error: Exception) -> None:
        # Only the type: the text of a third-party error may hold a secret of the options.
        self._failure = type(error).__name__

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        return Retry(reason=f"the notifier cannot be made: {self._failure}")

    async def aclose(self) -> None:
        return None
