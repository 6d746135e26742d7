"""The clocks of a node: held back to the ledger's clock, and watched for steps, sleep and stalls.

If many machines share a ledger with a clock of its own, a reminder is due once *both* the node's clock and
the ledger's say so. The monotonic clock carries the ledger's time on between two comparisons, so a wall clock
that is set forward sends nothing early.
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
"""Seconds. A slower answer of the ledger is too imprecise, and is ignored unless it is the first."""


class LedgerClock:
    """A :class:`alertd.ports.Clock` that is never ahead of the ledger's clock.

    Args:
        clock: the node's own clock.
        asleep: returns the seconds that the machine has slept since it was booted.

    Attributes:
        ahead: how far the node's clock was ahead of the ledger's at the last comparison; zero if the ledger
            has no clock.
    """

    def __init__(self, clock: Clock, log: Log, asleep: Callable[[], float] = lambda: 0.0) -> None:
        self.ahead = timedelta()
        self._clock = clock
        self._log = log
        self._asleep = asleep
        self._ledger_time: tuple[datetime, float] | None = None
        self._reported = False

    @property
    def differs(self) -> bool:
        """Whether the two clocks differ by more than :data:`DIFFERS_BY`."""
        return abs(self.ahead) > DIFFERS_BY

    def now(self) -> datetime:
        """Return the earlier of the node's time and the ledger's."""
        node_time = self._clock.now()
        if self._ledger_time is None:
            return node_time
        there, then_s = self._ledger_time
        return min(node_time, there + timedelta(seconds=self._elapsed_s() - then_s))

    def monotonic(self) -> float:
        """Return the node's monotonic time."""
        return self._clock.monotonic()

    async def compare(self, ledger: TimeSource) -> None:
        """Compare with the ledger's clock, and log when they begin or cease to differ. Raises LedgerError."""
        asked, asked_s = self._clock.now(), self._elapsed_s()
        there = await ledger.read_time()
        took_s = self._elapsed_s() - asked_s
        if there is None or (took_s > ANSWERED_WITHIN_S and self._ledger_time is not None):
            return
        # The ledger read its clock between the question and the answer. By assuming the answer's moment, this
        # clock is never ahead.
        self._ledger_time = (there, asked_s + took_s)
        self.ahead = asked + timedelta(seconds=took_s / 2) - there
        if self.differs != self._reported:
            self._reported = self.differs
            by_s = round(self.ahead.total_seconds(), 3)
            if self._reported:
                self._log.warning(Event.CLOCK_DIFFERED, ahead_s=by_s)
            else:
                self._log.info(Event.CLOCK_AGREED, ahead_s=by_s)

    def _elapsed_s(self) -> float:
        return self._clock.monotonic() + self._asleep()


COMPARE_EVERY_S = 1.0

STEP = timedelta(seconds=2)
"""If the wall clock and the monotonic clock advance by amounts that differ by more, the clock was set."""

STALLED_AFTER_S = 2.0
"""If a comparison comes later than this, or the machine has slept for longer, the node has stalled."""


class ClockMonitor:
    """Compares the machine's clocks each second, and finds steps of the wall clock, sleep and stalls.

    A node stalls while its process is stopped, its machine sleeps or its event loop is blocked.

    Args:
        clock: the machine's own clock.
        asleep: returns the seconds that the machine has slept since it was booted.
        on_step: called when the wall clock was set or the machine has slept, so that waits begin again.
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
        self._stalled_at_s = -inf
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Compare each second from now on, in the running loop."""
        self._last = self._read()
        self._set_timer()

    def stop(self) -> None:
        """Stop comparing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def compare(self) -> None:
        """Compare the clocks with the previous comparison."""
        wall, monotonic_s, asleep_s = self._read()
        took_s, slept_s = monotonic_s - self._last[1], max(0.0, asleep_s - self._last[2])
        moved = (wall - self._last[0]) - timedelta(seconds=took_s)
        self._last = (wall, monotonic_s, asleep_s)
        # A caller that compares by hand, as the demo does, is never late.
        late_s = took_s - COMPARE_EVERY_S if self._timer is not None else 0.0
        if max(late_s, slept_s) > STALLED_AFTER_S:
            self._stalled_at_s = monotonic_s
            stalled_s = max(late_s, 0.0) + slept_s
            self._log.warning(Event.NODE_STALLED, for_s=round(stalled_s, 1), asleep_s=round(slept_s, 1))
        set_by = moved - timedelta(seconds=slept_s)
        if abs(set_by) > STEP:
            self._log.warning(Event.CLOCK_STEPPED, by_s=round(set_by.total_seconds(), 1))
        if abs(moved) > STEP or abs(set_by) > STEP:
            self._on_step()

    def has_stalled_since(self, since_s: float) -> bool:
        """Return whether the node has stalled since ``since_s`` by the monotonic clock."""
        # The node may have stalled until just now. Timeouts then expire before the next comparison.
        self.compare()
        return self._stalled_at_s >= since_s

    def _read(self) -> tuple[datetime, float, float]:
        return self._clock.now(), self._clock.monotonic(), self._asleep()

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(COMPARE_EVERY_S, self._compare_again)

    def _compare_again(self) -> None:
        self.compare()
        self._set_timer()
