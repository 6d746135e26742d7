"""Wakes the loop: at the next due instant, for the periodic chores, and when another part asks.

A timer of the event loop wakes the loop for the chores that come at least once a minute. They are due at
whole multiples of their periods, so several are done at one wake-up. APScheduler wakes the loop for the
other chores. The wait for the next instant goes by the monotonic clock. When the wall clock is set, the
clock monitor calls :meth:`Timer.restart`, and all waits begin again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import floor

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from alertd.ports import Clock

LOOK_AGAIN_S = 30.0
"""The longest wait."""

LEAST_S = 0.001
"""The shortest wait: a shorter one can be less than the clock's resolution of a microsecond."""

FREQUENT_S = 60.0
"""Chores with at most this period go by the timer of the event loop, which costs least."""

TOGETHER_S = 0.02
"""Chores that are due within this time are done together."""

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
        is_called: whether somebody has called :meth:`wake`, :meth:`want` or :meth:`restart`. The loop sets it
            back. A periodic chore that comes at least once a minute does not set it.
    """

    def __init__(self, clock: Clock, chores: Mapping[Chore, float]) -> None:
        self.wanted: set[Chore] = set()
        self.is_called = False
        self._clock = clock
        self._rare = {chore: every_s for chore, every_s in chores.items() if every_s > FREQUENT_S}
        self._frequent = {chore: every_s for chore, every_s in chores.items() if every_s <= FREQUENT_S}
        self._due_s: dict[Chore, float] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._woken = asyncio.Event()
        self._scheduler: AsyncIOScheduler | None = None

    def start(self) -> None:
        """Begin to wake the loop for the periodic chores."""
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True}
        )
        self._schedule_rare()
        self._scheduler.start()
        now_s = asyncio.get_running_loop().time()
        self._due_s = {chore: now_s + every_s for chore, every_s in self._frequent.items()}
        self._set_handle()

    def stop(self) -> None:
        """Stop waking the loop for the periodic chores."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def wake(self) -> None:
        """Wake the loop now."""
        self.is_called = True
        self._woken.set()

    def end_wait(self) -> None:
        """End the wait that is under way, although nobody has called."""
        self._woken.set()

    def want(self, *chores: Chore) -> None:
        """Wake the loop now, and have it do these chores."""
        self.wanted.update(chores)
        self.wake()

    def restart(self) -> None:
        """Wake the loop now and begin all waits again, since the wall clock was set."""
        if self._scheduler is not None:
            self._schedule_rare()
        self.wake()

    async def wait(self, next_at: datetime | None, looked_at: datetime, longest_s: float) -> None:
        """Return when the timer is woken, or after the time that :meth:`measure_wait` returns.

        The arguments are those of :meth:`measure_wait`.
        """
        try:
            async with asyncio.timeout(max(LEAST_S, self.measure_wait(next_at, looked_at, longest_s))):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def measure_wait(self, next_at: datetime | None, looked_at: datetime, longest_s: float) -> float:
        """Return how many seconds are left until ``next_at``, at most ``longest_s``.

        Args:
            next_at: when something is due next (UTC); None: nothing is.
            looked_at: when the loop last looked. Something that was due by then and still is could not be
                leased, so the loop looks at it again soon, and not at once.
            longest_s: the longest wait in seconds.
        """
        if next_at is None:
            return longest_s
        now = self._clock.now()
        soonest = now + SOON if next_at <= looked_at else now
        return min(longest_s, (max(next_at, soonest) - now).total_seconds())

    def _set_handle(self) -> None:
        if self._due_s:
            self._handle = asyncio.get_running_loop().call_at(min(self._due_s.values()), self._want_frequent)

    def _want_frequent(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for chore, due_s in self._due_s.items():
            if due_s <= now_s + TOGETHER_S:
                self.wanted.add(chore)
                self._woken.set()
                every_s = self._frequent[chore]
                # A chore that comes late keeps its place among the others, and is not made up for.
                self._due_s[chore] = due_s + every_s * max(1, floor((now_s - due_s) / every_s) + 1)
        self._set_handle()

    def _schedule_rare(self) -> None:
        assert self._scheduler is not None  # noqa: S101  for mypy
        for name, seconds in self._rare.items():
            self._scheduler.add_job(
                self._want_chore, Every(seconds), args=[name], id=name, replace_existing=True
            )

    async def _want_chore(self, chore: Chore) -> None:
        # A coroutine, since APScheduler runs plain functions in a thread, and this class is not thread-safe.
        self.want(chore)
