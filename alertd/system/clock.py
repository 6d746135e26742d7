"""Read the clocks of the machine. No other module reads a clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Implements :class:`alertd.ports.Clock` with the machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def read_suspended_s() -> float:
    """Return how long the machine has been suspended since it was booted, in seconds.

    This is the difference between CLOCK_BOOTTIME, which counts suspends, and CLOCK_MONOTONIC, which does not
    (clock_gettime(2)). Systems without CLOCK_BOOTTIME give 0.
    """
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:
        return 0.0
    return time.clock_gettime(boottime) - time.clock_gettime(time.CLOCK_MONOTONIC)
