"""A wall clock that stands still until it is set; the monotonic one jumps along, and runs in between."""

from __future__ import annotations

from datetime import datetime

from alertd.system.clock import SystemClock


class VirtualClock:
    """See :class:`alertd.ports.Clock`."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._machine = SystemClock()
        self._jumped_s = 0.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._machine.monotonic() + self._jumped_s

    def machine_s(self) -> float:
        """Seconds of the machine's own monotonic clock, in which the demo is paced and its costs are told."""
        return self._machine.monotonic()

    def set(self, at: datetime) -> None:
        """Jump forward. Raises ValueError for a jump back: the demo's clock never steps."""
        if at < self._at:
            raise ValueError(f"{at} is before {self._at}")
        self._jumped_s += (at - self._at).total_seconds()
        self._at = at
