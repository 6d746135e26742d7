"""Closes notifiers that are no longer used, once nothing is in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from alertd.ports import Notifier
from alertd.system.telemetry import Event, Log

CLOSE_LIMIT_S = 5.0
"""Seconds that a notifier has to close."""


class RetiredNotifiers:
    """The notifiers that were used before those in use."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._active: Mapping[str, Notifier] = {}
        self._retired: list[Mapping[str, Notifier]] = []

    def __len__(self) -> int:
        return len(self._retired)

    def use(self, notifiers: Mapping[str, Notifier]) -> None:
        """Retire the notifiers in use. These are in use from now on."""
        self._retired.append(self._active)
        self._active = notifiers

    async def close(self) -> None:
        """Close all. One that raises or does not end keeps no other from being closed."""
        while self._retired:
            for channel, notifier in self._retired.pop().items():
                try:
                    async with asyncio.timeout(CLOSE_LIMIT_S):
                        await notifier.aclose()
                except Exception as error:  # a bug in a notifier
                    self._log.error(Event.NOTIFIER_FAILED, channel=channel, exc_info=error)
