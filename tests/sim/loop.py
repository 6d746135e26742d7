"""An event loop whose clock jumps: nothing waits, and what happens next depends on the seed alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class NothingLeft(RuntimeError):
    """Everybody waits for somebody else: no timer is set and nothing is ready."""


class _Jump:
    """Stands where the selector stands: instead of waiting, it moves the clock to the next timer."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise NothingLeft("every task waits and no timer is set")
        if timeout > 0:
            self._loop.jump(timeout)
        return []

    def close(self) -> None:
        """There is nothing to give back."""


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, ready queue and timers, over a clock that starts at 0 and jumps.

    Attributes:
        jumps: how often a loop over a real clock would have been woken by a timer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jumps = 0
        self._now = 0.0
        self._selector = _Jump(self)
        # Finer than this a float of some months in seconds is not: a timer would never be due.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._now

    def jump(self, by: float) -> None:
        timers: list[asyncio.TimerHandle] = getattr(self, "_scheduled")  # noqa: B009  not in typeshed
        # To the timer itself: a sum of floats can end up short of it, and would be tried again for ever.
        self.jumps += 1
        aim = self._now + by
        self._now = max(self._now, min(aim, timers[0].when()) if timers else aim)

    def work(self, for_s: float) -> None:
        """Let time pass in which the loop is busy: what falls due meanwhile waits."""
        self._now += for_s

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""


def run_virtually(main: Coroutine[Any, Any, None], loop: VirtualLoop) -> None:
    """Run ``main`` to its end, then end whatever is left, and close the loop."""
    try:
        loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
