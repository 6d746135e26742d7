"""Spreads the virtual months over the real seconds: quiet times pass quickly, messages leave time to read."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from alertd.demo.clock import VirtualClock

LONGEST_QUIET = timedelta(days=12)
"""A longer time without messages takes no longer than this does."""

A_STOP = timedelta(days=9)
"""What happens at an instant takes as long as so many quiet days."""

FRAME_S = 0.05


class Pace:
    """How much of the whole has passed at a virtual instant, and how long that takes.

    Args:
        instants: those at which something is expected to happen, the first and the last included.
        seconds: for the whole; 0 is as fast as possible.
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
        """From 0 at the first instant to 1 at the last."""
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
        """Wait for as long as it takes from ``now`` to ``then``, showing the dates that pass."""
        start, end = (self._began + self._seconds * self.fraction(at) for at in (now, then))
        while (left := end - self._clock.machine_s()) > 0:
            passed = 1.0 - min(1.0, left / max(end - start, FRAME_S))
            show(now + passed * (then - now))
            await _wait(min(left, FRAME_S))
        show(then)


async def _wait(seconds: float) -> None:
    """Until then nothing can wake it but a cancellation, which is how Ctrl-C comes."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        pass
