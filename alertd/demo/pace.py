"""Maps virtual time to real time: quiet months pass quickly, and messages stay long enough to be read."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from alertd.system.clock import SystemClock

LONGEST_QUIET = timedelta(days=12)
"""A longer virtual time without messages takes only as much real time as this."""

A_STOP = timedelta(days=9)
"""An instant with messages takes as much real time as this quiet time."""

FRAME_S = 0.05
"""Real seconds between two updates of the date."""


class Pace:
    """Distributes real seconds over virtual time.

    Args:
        instants: the aware virtual instants at which messages are expected, and the first and last instants.
        seconds: the real seconds for the whole demo; 0 means as fast as possible.
    """

    def __init__(self, instants: Iterable[datetime], seconds: float, clock: VirtualClock) -> None:
        self._knots = sorted(set(instants))
        self._weights = [0.0]
        for earlier, later in zip(self._knots, self._knots[1:], strict=False):
            quiet = min(later - earlier, LONGEST_QUIET) + A_STOP
            self._weights.append(self._weights[-1] + quiet.total_seconds())
        self._seconds = seconds
        self._clock = clock
        self._began = clock.machine_s()

    def fraction(self, at: datetime) -> float:
        """Return the part of the real time that has passed at a virtual instant, from 0 to 1."""
        after = bisect_right(self._knots, at)
        if after == 0:
            return 0.0
        if after == len(self._knots):
            return 1.0
        begins, ends = self._knots[after - 1], self._knots[after]
        part = (at - begins) / (ends - begins)
        weight = self._weights[after - 1] + part * (self._weights[after] - self._weights[after - 1])
        return weight / self._weights[-1]

    async def pass_until(self, now: datetime, then: datetime, show: Callable[[datetime], None]) -> None:
        """Wait for the real time between two virtual instants, and call ``show`` with instants in between."""
        start, end = (self._began + self._seconds * self.fraction(at) for at in (now, then))
        while (left := end - self._clock.machine_s()) > 0:
            passed = 1.0 - min(1.0, left / max(end - start, FRAME_S))
            show(now + passed * (then - now))
            await _wait(min(left, FRAME_S))
        show(then)


async def _wait(seconds: float) -> None:
    """Wait for real seconds. Only a cancellation ends the wait earlier, for example after Ctrl-C."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        pass


class VirtualClock:
    """A clock whose wall time stands still until it is set.

    The monotonic clock runs in between, and jumps by the same amount as the wall time. See
    :class:`alertd.ports.Clock`.
    """

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._machine = SystemClock()
        self._jumped_s = 0.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._machine.monotonic() + self._jumped_s

    def machine_s(self) -> float:
        """Return seconds of the machine's monotonic clock, which the pace and the measured costs use."""
        return self._machine.monotonic()

    def set(self, at: datetime) -> None:
        """Set the wall time to ``at``.

        Raises:
            ValueError: ``at`` is in the past. The demo's clock never goes back.
        """
        if at < self._at:
            raise ValueError(f"{at} is before {self._at}")
        self._jumped_s += (at - self._at).total_seconds()
        self._at = at
