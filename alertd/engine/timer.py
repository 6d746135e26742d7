"""Wakes the loop: at the next due instant, for the periodic chores, and when another part asks.

APScheduler wakes the loop for the chores. The wait for the next instant goes by the monotonic clock. When the
wall clock is set, the clock monitor calls :meth:`Timer.restart`, and all waits begin again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from alertd.ports import Clock

LOOK_AGAIN_S = 30.0
"""The longest wait."""

LEAST_S = 0.001
"""The shortest wait: a shorter one can be less than the clock's resolution of a microsecond."""

SOON = timedelta(milliseconds=200)
"""When to look again at a delivery that is ready and could not be leased: another node is binding it, or as
many as allowed are in flight on its channel."""


class Chore(StrEnum):
    """The work that the loop does beside sending."""

    FILES = "files"
    """See whether the definition files have changed."""
    RELOAD = "reload"
    """Read the definition files again."""
    LEDGER = "ledger"
    """See whether another process has written to the ledger."""
    FILE = "file"
    """See whether the ledger's file is in its place."""
    FILE_NOTICE = "file notice"
    """Tell the operator that the ledger's file was taken away."""
    PAGES = "pages"
    """Check some pages of the ledger."""
    REPORT = "report"
    """Write this node's report into the ledger, and compare the nodes."""
    LEAD = "lead"
    """Ask for the lead, or keep it."""
    TAKEOVER = "takeover"
    """Reconcile everything, because this node leads from now on."""
    CLOCK = "clock"
    """Reconcile everything, because a step of the wall clock was confirmed."""
    RECONCILE = "reconcile"
    """Bring the ledger into line with the files."""
    AUDIT = "audit"
    """Audit the ledger."""
    PRUNE = "prune"
    """Delete old rows."""


class Every(BaseTrigger):  # type: ignore[misc]  # APScheduler carries no types
    """Fires so many seconds after the time at which it is asked.

    APScheduler's own interval trigger counts from the previous time and lists each time that was missed, so a
    clock that shows another year would keep the loop busy for minutes.
    """

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + self._interval


class Timer:
    """Wakes the loop.

    Args:
        chores: seconds between two runs of each periodic chore.

    Attributes:
        wanted: the chores to do at the next look.
    """

    def __init__(self, clock: Clock, chores: Mapping[Chore, float]) -> None:
        self.wanted: set[Chore] = set()
        self._clock = clock
        self._chores = chores
        self._woken = asyncio.Event()
        self._scheduler: AsyncIOScheduler | None = None

    def start(self) -> None:
        """Begin to wake the loop for the periodic chores."""
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True}
        )
        self._schedule_chores()
        self._scheduler.start()

    def stop(self) -> None:
        """Stop waking the loop for the periodic chores."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def wake(self) -> None:
        """Wake the loop now."""
        self._woken.set()

    def want(self, *chores: Chore) -> None:
        """Wake the loop now, and have it do these chores."""
        self.wanted.update(chores)
        self._woken.set()

    def restart(self) -> None:
        """Wake the loop now and begin all waits again, since the wall clock was set."""
        if self._scheduler is not None:
            self._schedule_chores()
        self._woken.set()

    async def wait(self, next_at: datetime | None, looked_at: datetime, longest_s: float) -> None:
        """Return when the timer is woken, at ``next_at``, or after ``longest_s``, whichever comes first.

        Args:
            next_at: when something is due next (UTC); None: nothing is.
            looked_at: when the loop last looked. Something that was due by then and still is could not be
                leased, so the loop looks at it again soon, and not at once.
            longest_s: the longest wait in seconds.
        """
        now, wait_s = self._clock.now(), longest_s
        if next_at is not None:
            soonest = now + SOON if next_at <= looked_at else now
            wait_s = min(wait_s, (max(next_at, soonest) - now).total_seconds())
        try:
            async with asyncio.timeout(max(LEAST_S, wait_s)):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def _schedule_chores(self) -> None:
        assert self._scheduler is not None  # noqa: S101  for mypy
        for name, seconds in self._chores.items():
            self._scheduler.add_job(
                self._want_chore, Every(seconds), args=[name], id=name, replace_existing=True
            )

    async def _want_chore(self, chore: Chore) -> None:
        # A coroutine, since APScheduler runs plain functions in a thread, and this class is not thread-safe.
        self.want(chore)
