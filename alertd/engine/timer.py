"""What wakes the loop: the next due instant, the chores, and whoever calls.

APScheduler rings for the chores. The next instant is waited for on the monotonic clock, from one look to the
next; when the wall clock is set, the pulse rings, and everything is timed anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from alertd.ports import Clock

LOOK_AGAIN_S = 30.0
"""The longest wait."""

LEAST_S = 0.001
"""The shortest wait: what is left of one can be less than the clock's microseconds."""

SOON = timedelta(milliseconds=200)
"""When to look again at what is ready and could not be taken: another node is binding it, or all places
of its channel are taken."""


class Timer:
    """Rings for the loop.

    Args:
        chores: how many seconds lie between two of each.

    Attributes:
        wanted: the chores that are to be done.
    """

    def __init__(self, clock: Clock, chores: Mapping[str, float]) -> None:
        self.wanted: set[str] = set()
        self._clock = clock
        self._chores = chores
        self._rung = asyncio.Event()
        self._scheduler: AsyncIOScheduler | None = None

    def start(self) -> None:
        """Ring for the chores from now on."""
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True}
        )
        self._time()
        self._scheduler.start()

    def stop(self) -> None:
        """Ring for no chore any more."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def ring(self) -> None:
        """Have the loop look now."""
        self._rung.set()

    def want(self, *chores: str) -> None:
        """Have the loop see to ``chores`` now."""
        self.wanted.update(chores)
        self._rung.set()

    def stepped(self) -> None:
        """The wall clock was set: look now, and time the chores anew."""
        if self._scheduler is not None:
            self._time()
        self._rung.set()

    async def wait(self, next_at: datetime | None, looked_at: datetime, longest_s: float) -> None:
        """Return when it has rung, at ``next_at``, or after ``longest_s``.

        Args:
            looked_at: the instant of the last look. What had fallen due by then and is due still could not be
                taken: it is looked at again soon, and not at once.
        """
        now, wait_s = self._clock.now(), longest_s
        if next_at is not None:
            soonest = now + SOON if next_at <= looked_at else now
            wait_s = min(wait_s, (max(next_at, soonest) - now).total_seconds())
        try:
            async with asyncio.timeout(max(LEAST_S, wait_s)):
                await self._rung.wait()
        except TimeoutError:
            pass
        self._rung.clear()

    def _time(self) -> None:
        assert self._scheduler is not None  # noqa: S101  for mypy
        for name, seconds in self._chores.items():
            self._scheduler.add_job(
                self._ring, "interval", args=[name], seconds=seconds, id=name, replace_existing=True
            )

    async def _ring(self, chore: str) -> None:
        # A coroutine: APScheduler runs everything else in a thread, and none of this is made for threads.
        self.want(chore)
