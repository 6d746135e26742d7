"""A node's clock, held back to the ledger's: where many machines share one ledger, none of them is early.

Where the ledger has a clock of its own, a reminder is due once *both* clocks say so. Between two questions
the ledger's time is carried on by the monotonic clock: a wall clock that is set forward moves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from math import inf

from alertd.core.planning.audit import DIFFERS_BY
from alertd.ports import Clock, TimeSource
from alertd.system.telemetry import Event, Log

ANSWERED_WITHIN_S = 1.0
"""An answer that took longer says too little about what time it is, once there is one that did not."""


class LedgerClock:
    """See :class:`alertd.ports.Clock`, and the module.

    Args:
        clock: the node's own.
        asleep: seconds that the machine has slept since it was booted.

    Attributes:
        ahead: how far the node's clock was ahead of the ledger's when it was last asked; zero where the
            ledger has none of its own.
    """

    def __init__(self, clock: Clock, log: Log, asleep: Callable[[], float] = lambda: 0.0) -> None:
        self.ahead = timedelta()
        self._clock = clock
        self._log = log
        self._asleep = asleep
        self._ledgers: tuple[datetime, float] | None = None
        self._said = False

    @property
    def differs(self) -> bool:
        """Whether the two clocks differ by more than may be."""
        return abs(self.ahead) > DIFFERS_BY

    def now(self) -> datetime:
        mine = self._clock.now()
        if self._ledgers is None:
            return mine
        there, then_s = self._ledgers
        return min(mine, there + timedelta(seconds=self._elapsed_s() - then_s))

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def compare(self, ledger: TimeSource) -> None:
        """Ask the ledger what time it is. Raises LedgerError."""
        asked, asked_s = self._clock.now(), self._elapsed_s()
        there = await ledger.read_time()
        took_s = self._elapsed_s() - asked_s
        if there is None or (took_s > ANSWERED_WITHIN_S and self._ledgers is not None):
            return
        # It was so at some time between the question and the answer. It is held to the answer: never ahead.
        self._ledgers = (there, asked_s + took_s)
        self.ahead = asked + timedelta(seconds=took_s / 2) - there
        if self.differs != self._said:
            self._said = self.differs
            by_s = round(self.ahead.total_seconds(), 3)
            if self._said:
                self._log.warning(Event.CLOCK_DIFFERED, ahead_s=by_s)
            else:
                self._log.info(Event.CLOCK_AGREED, ahead_s=by_s)

    def _elapsed_s(self) -> float:
        return self._clock.monotonic() + self._asleep()


BEAT_S = 1.0

STEP = timedelta(seconds=2)
"""Wall and monotonic clock that differ by more than this from one beat to the next: the clock was set."""

STILL_AFTER_S = 2.0
"""A beat that comes later than this, or a sleep that is longer: the node stood still."""


class ClockMonitor:
    """Compares the clocks at each beat.

    Args:
        clock: the machine's own, as it is.
        asleep: seconds that the machine has slept since it was booted.
        on_step: called when the wall clock was set, or the machine has slept: what is timed is timed anew.
    """

    def __init__(
        self,
        clock: Clock,
        log: Log,
        asleep: Callable[[], float] = lambda: 0.0,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._log = log
        self._asleep = asleep
        self._on_step = on_step
        self._last = self._read()
        self._still_at_s = -inf
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Beat by itself from now on, in the running loop."""
        self._last = self._read()
        self._set_timer()

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def beat(self) -> None:
        """Compare the clocks with what they were at the beat before."""
        wall, monotonic_s, asleep_s = self._read()
        took_s, slept_s = monotonic_s - self._last[1], max(0.0, asleep_s - self._last[2])
        moved = (wall - self._last[0]) - timedelta(seconds=took_s)
        self._last = (wall, monotonic_s, asleep_s)
        # Who beats by hand, as the demo does, may take its time.
        late_s = took_s - BEAT_S if self._timer is not None else 0.0
        if max(late_s, slept_s) > STILL_AFTER_S:
            self._still_at_s = monotonic_s
            still_s = max(late_s, 0.0) + slept_s
            self._log.warning(Event.NODE_STOOD_STILL, for_s=round(still_s, 1), asleep_s=round(slept_s, 1))
        set_by = moved - timedelta(seconds=slept_s)
        if abs(set_by) > STEP:
            self._log.warning(Event.CLOCK_STEPPED, by_s=round(set_by.total_seconds(), 1))
        if abs(moved) > STEP or abs(set_by) > STEP:
            self._on_step()

    def stood_still_since(self, since_s: float) -> bool:
        """Whether the node stood still at some time after ``since_s``, by the monotonic clock."""
        # It may have, and have come back just now: time-outs go off before the next beat then.
        self.beat()
        return self._still_at_s >= since_s

    def _read(self) -> tuple[datetime, float, float]:
        return self._clock.now(), self._clock.monotonic(), self._asleep()

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(BEAT_S, self._beat_again)

    def _beat_again(self) -> None:
        self.beat()
        self._set_timer()
