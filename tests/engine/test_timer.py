"""The timer under virtual clocks: however the wall clock is set, the next look comes in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.policy import Policy
from alertd.core.time.duration import Duration
from alertd.engine.clocks import COMPARE_EVERY_S, CONFIRMED_AFTER_S
from alertd.engine.timer import LOOK_AGAIN_S, Chore, Timer
from alertd.system.clock import SystemClock
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_daemon import Stage
from tests.scene import Watched, a_milestone
from tests.sim.loop import VirtualLoop, run_virtually

BEGINS = datetime(2026, 9, 24, 12, 0, tzinfo=UTC)
ROUND_S = COMPARE_EVERY_S + 0.5
"""How late the loop may be: until the next comparison of the clocks, and rounding."""


class Loop(VirtualLoop):
    """Nobody sends it signals."""

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """It is stopped by hand."""

    def remove_signal_handler(self, sig: int) -> bool:
        return True


@dataclass
class Clocks:
    """The loop's time as a machine shows it, with a wall clock that may be off."""

    loop: VirtualLoop
    off: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return BEGINS + timedelta(seconds=self.loop.time()) + self.off

    def monotonic(self) -> float:
        return 1_000.0 + self.loop.time()


class Night:
    """A running daemon under virtual clocks. Its chores go by the machine's clock and are hardly ever due.

    Attributes:
        looked_s: when the loop looked what is due, in seconds from the beginning.
        told_s: when a reminder was sent.
    """

    def __init__(self) -> None:
        self.loop = Loop()
        self.clocks = Clocks(self.loop)
        self.ledger = Watched(MemoryLedger())
        self.stage = Stage(self.ledger, self.clocks)
        self.looked_s: list[float] = []
        self.told_s: list[float] = []

    def due_in(self, seconds: float) -> Milestone:
        at = BEGINS + timedelta(hours=1, seconds=seconds)
        policy = Policy(before=(Duration(seconds=3600),), on_day=False, after=(), opens=False)
        return a_milestone("t/m", f"{at:%Y-%m-%dT%H:%M:%S}", policy=policy)

    def play(self, lasts_s: float, *steps: tuple[float, timedelta]) -> None:
        """Run the daemon for ``lasts_s`` seconds, and set its wall clock at the times in ``steps``."""
        run_virtually(self._play(lasts_s, steps), self.loop)

    async def _play(self, lasts_s: float, steps: tuple[tuple[float, timedelta], ...]) -> None:
        daemon = self.stage.daemon()
        await daemon.start()
        for at_s, by in steps:
            self.loop.call_at(at_s, self._step, by)
        running = asyncio.create_task(daemon.run())
        self.loop.call_at(lasts_s, daemon.stop)
        watching = asyncio.create_task(self._watch())
        await running
        watching.cancel()

    async def _watch(self) -> None:
        """Record when the loop looked and when a reminder was sent."""
        while True:
            self.ledger.called.clear()
            await self.ledger.called.wait()
            if self.ledger.calls.count("find_due") > len(self.looked_s):
                self.looked_s.append(self.loop.time())
            if len(self.stage.told) > len(self.told_s):
                self.told_s.append(self.loop.time())

    def _step(self, by: timedelta) -> None:
        self.clocks.off += by

    def looks_between(self, from_s: float, to_s: float) -> list[float]:
        return [looked_s for looked_s in self.looked_s if from_s <= looked_s <= to_s]


def test_reminder_goes_out_when_it_is_due() -> None:
    """Without a step it is sent at its instant, and the loop looks only now and then meanwhile."""
    night = Night()
    night.stage.define(night.due_in(600))

    night.play(900)

    assert night.told_s == [pytest.approx(600, abs=0.5)]
    # On a slow machine, the looks of the chores come on top.
    assert 590 / LOOK_AGAIN_S - 1 <= len(night.looks_between(10, 590)) <= 100


@pytest.mark.parametrize("back", [timedelta(seconds=20), timedelta(hours=1), timedelta(days=400)])
def test_step_back_is_followed_by_a_look_at_once(back: timedelta) -> None:
    """The wait for the old clock begins again: the loop looks by the new clock within a second or so."""
    night = Night()
    night.stage.define(night.due_in(60))

    night.play(40, (10.2, -back))

    assert night.looks_between(10.2, 10.2 + ROUND_S)
    assert night.stage.names("clock.stepped") == ["clock.stepped"]
    assert night.told_s == []


def test_reminder_after_a_step_back_comes_by_the_new_clock() -> None:
    """A reminder that was due in 60 s is due in 360 s after the clock goes back by 5 minutes."""
    night = Night()
    night.stage.define(night.due_in(60))

    night.play(600, (10.2, -timedelta(minutes=5)))

    assert night.told_s == [pytest.approx(360, abs=0.5)]


def test_step_forward_sends_what_is_due_by_it_once_it_is_confirmed() -> None:
    """A reminder that was due in an hour is due after a step of two hours that has held for five minutes."""
    night = Night()
    night.stage.define(night.due_in(3600))

    night.play(600, (10.2, timedelta(hours=2)))

    assert night.told_s == [pytest.approx(10.2 + CONFIRMED_AFTER_S, abs=2 * ROUND_S)]


@pytest.mark.parametrize("by", [timedelta(seconds=50), timedelta(hours=2), timedelta(days=400)])
def test_step_forward_that_is_taken_back_changes_nothing(by: timedelta) -> None:
    """A clock that is ahead for six seconds, again and again, makes no reminder early and none late."""
    night = Night()
    night.stage.define(night.due_in(100))

    night.play(200, (10.2, by), (16.2, -by), (30.2, by), (36.2, -by))

    assert night.told_s == [pytest.approx(100, abs=0.5)]


def test_machine_that_synchronises_its_time_follows_a_step_at_once() -> None:
    """NTP has set the clock, and says that it is right."""
    night = Night()
    night.stage.world = replace(night.stage.world, is_synchronised=lambda: True)
    night.stage.define(night.due_in(3600))

    night.play(60, (10.2, timedelta(hours=2)))

    assert night.told_s == [pytest.approx(10.2, abs=ROUND_S)]


async def test_clock_that_shows_another_year_makes_no_backlog_of_chores() -> None:
    """A chore that is due each hour was missed 9,600 times, and is done once."""
    year = timedelta(days=400)
    timer = Timer(SystemClock(), {Chore.PRUNE: 3600.0, Chore.RECONCILE: 6 * 3600.0})

    timer.start()
    assert timer._scheduler is not None
    missed = [job._get_run_times(job.next_run_time + year) for job in timer._scheduler.get_jobs()]
    timer.stop()

    assert [len(times) for times in missed] == [1, 1]


def test_steps_there_and_back_send_once() -> None:
    """A reminder that was sent by a wrong clock is not sent again when the clock is right."""
    night = Night()
    night.stage.define(night.due_in(100))

    night.play(900, (10.2, timedelta(hours=2)), (500.2, -timedelta(hours=2)))

    assert len(night.told_s) == 1
    assert night.stage.names("clock.stepped") == ["clock.stepped"] * 2
