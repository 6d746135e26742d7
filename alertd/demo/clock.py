"""A wall clock that stands still until it is set. The monotonic one is the machine's: costs are real."""

from __future__ import annotations

from datetime import datetime

from alertd.clock import SystemClock


class VirtualClock:
    """See :class:`alertd.ports.Clock`."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._machine = SystemClock()

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._machine.monotonic()

    def set(self, at: datetime) -> None:
        """Jump forward. Raises ValueError for a jump back: the demo's clock never steps."""
        if at < self._at:
            raise ValueError(f"{at} is before {self._at}")
        self._at = at
