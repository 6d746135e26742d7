"""The clocks of a node: held back until a step is confirmed, and watched for steps, sleep and stalls.

A wall clock that is set forward is in doubt: it may be right from now on, or wrong for a few seconds. The
node goes on by the time that it trusts until the step has been confirmed, because what a wrong clock would
expire, prune or send cannot be undone. A wall clock that is set back is followed at once, since that is never
early.

If many machines share a ledger with a clock of its own, a reminder is due once *both* the node's clock and
the ledger's say so. The monotonic clock carries the ledger's time on between two comparisons, so a wall clock
that is set forward sends nothing early.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import floor, inf

from alertd.core.planning.audit import DIFFERS_BY
from alertd.ports import Clock, TimeSource
from alertd.system.telemetry import Event, Log

ANSWERED_WITHIN_S = 1.0
"""Seconds. A slower answer of the ledger is too imprecise, and is ignored unless it is the first."""


STEP = timedelta(seconds=2)
"""If the wall clock and the monotonic clock advance by amounts that differ by more, the clock was set."""

DOUBTED_BEYOND = timedelta(minutes=1)
"""A larger step of the wall clock is in doubt until it is confirmed."""

CONFIRMED_AFTER_S = 300.0
"""A step of the wall clock is confirmed when the clock has shown the new time for so many seconds."""

FAR = timedelta(days=1)
"""A clock that differs by more from the daemons' last reports is in doubt at the start. A clock that is in
doubt and further behind than this cancels nothing."""


class TrustedClock:
    """A :class:`alertd.ports.Clock` that follows a large step forward only after the step is confirmed.

    A step is confirmed by time, by the machine's time synchronisation (NTP), or by the ledger's clock. Until
    then the trusted time goes on by the monotonic clock, sleep included.

    Args:
        clock: the machine's own clock.
        asleep: returns the seconds that the machine has slept since it was booted.
        is_synchronised: returns whether the machine's time is synchronised; None: nobody knows.
    """

    def __init__(
        self,
        clock: Clock,
        log: Log,
        asleep: Callable[[], float] = lambda: 0.0,
        is_synchronised: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._log = log
        self._asleep = asleep
        self._is_synchronised = is_synchronised
        # An offset is the instant that the wall clock would have shown when the elapsed time was zero. Only
        # somebody who sets the wall clock changes it.
        self._trusted = self._shown = self._read_offset()
        self._shown_since_s = self.elapsed_s()

    @property
    def step(self) -> timedelta:
        """How far the wall clock is ahead of the time that is trusted; zero if it is not in doubt."""
        step = self._read_offset() - self._trusted
        return step if abs(step) > DOUBTED_BEYOND else timedelta()

    @property
    def is_far_behind(self) -> bool:
        """Whether the wall clock is in doubt, and shows a time that is long over."""
        return self.step < -FAR

    def now(self) -> datetime:
        """Return the wall clock's time, or the trusted time if the wall clock is ahead of it."""
        shown, elapsed = self._clock.now(), timedelta(seconds=self.elapsed_s())
        trusted = self._trusted + elapsed
        return trusted if shown - trusted > DOUBTED_BEYOND else shown

    def monotonic(self) -> float:
        """Return the node's monotonic time."""
        return self._clock.monotonic()

    def elapsed_s(self) -> float:
        """Return seconds from an arbitrary start, which no one can set and which go on during sleep."""
        return self._clock.monotonic() + self._asleep()

    def begin(self, seen_at: datetime | None) -> None:
        """Begin with the latest time that the ledger has seen; None: it has seen none.

        A clock that shows a time long before that is in doubt. So is one that shows a time long after that on
        a machine that says that its time is not synchronised, since such a machine may have started with any
        time.
        """
        if seen_at is None:
            return
        ahead = self._clock.now() - seen_at
        if ahead < -FAR or (ahead > FAR and self._is_synchronised() is False):
            self._trusted = seen_at - timedelta(seconds=self.elapsed_s())
            self._log.warning(Event.CLOCK_DOUBTED, ahead_s=round(ahead.total_seconds(), 1))

    def review(self) -> bool:
        """Trust the wall clock again if it is confirmed. Returns whether that has changed the time.

        Call it often: a step that nobody has looked at is as old as the first call after it.
        """
        shown, elapsed_s = self._read_offset(), self.elapsed_s()
        if abs(shown - self._shown) > STEP:
            self._shown, self._shown_since_s = shown, elapsed_s
        if elapsed_s - self._shown_since_s < CONFIRMED_AFTER_S and not (
            self.step and self._is_synchronised()
        ):
            return False
        return self.confirm()

    def confirm(self) -> bool:
        """Trust the wall clock from now on. Returns whether that has changed the time."""
        step = self.step
        self._trusted = self._shown = self._read_offset()
        self._shown_since_s = self.elapsed_s()
        if step:
            self._log.warning(Event.CLOCK_CONFIRMED, by_s=round(step.total_seconds(), 1))
        return bool(step)

    def _read_offset(self) -> datetime:
        return self._clock.now() - timedelta(seconds=self.elapsed_s())


class LedgerClock:
    """A :class:`alertd.ports.Clock` that is never ahead of the trusted time and of the ledger's clock.

    Args:
        clock: the node's own clock.
        asleep, is_synchronised: as for :class:`TrustedClock`.

    Attributes:
        trusted: the node's time, without a step that is not confirmed.
        ahead: how far the node's clock was ahead of the ledger's at the last comparison; zero if the ledger
            has no clock.
    """

    def __init__(
        self,
        clock: Clock,
        log: Log,
        asleep: Callable[[], float] = lambda: 0.0,
        is_synchronised: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self.trusted = TrustedClock(clock, log, asleep, is_synchronised)
        self.ahead = timedelta()
        self._clock = clock
        self._log = log
        self._ledger_time: tuple[datetime, float] | None = None
        self._reported = False

    @property
    def differs(self) -> bool:
        """Whether the two clocks differ by more than :data:`DIFFERS_BY`."""
        return abs(self.ahead) > DIFFERS_BY

    def now(self) -> datetime:
        """Return the earlier of the node's time and the ledger's."""
        node_time = self.trusted.now()
        if self._ledger_time is None:
            return node_time
        there, then_s = self._ledger_time
        return min(node_time, there + timedelta(seconds=self.trusted.elapsed_s() - then_s))

    def monotonic(self) -> float:
        """Return the node's monotonic time."""
        return self._clock.monotonic()

    async def compare(self, ledger: TimeSource) -> bool:
        """Compare with the ledger's clock, and log when they begin or cease to differ.

        Returns:
            whether the ledger's clock has confirmed a step of the node's.

        Raises:
            LedgerError: the ledger cannot be asked.
        """
        asked, asked_s = self._clock.now(), self.trusted.elapsed_s()
        there = await ledger.read_time()
        took_s = self.trusted.elapsed_s() - asked_s
        if there is None or (took_s > ANSWERED_WITHIN_S and self._ledger_time is not None):
            return False
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
        return not self.differs and self.trusted.confirm()


COMPARE_EVERY_S = 1.0

STALLED_AFTER_S = 2.0
"""If a comparison comes later than this, or the machine has slept for longer, the node has stalled."""

MAX_STALLS = 1000
"""How many of the latest stalls a node remembers, to count the time that it was awake."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ClockMonitor:
    """Compares the machine's clocks each second, and finds steps of the wall clock, sleep and stalls.

    A node stalls while its process is stopped, its machine sleeps or its event loop is blocked.

    Args:
        clock: the machine's own clock.
        asleep: returns the seconds that the machine has slept since it was booted.
        on_step: called when the wall clock was set or the machine has slept, so that waits begin again.
        on_compared: called after each comparison.
        on_woken: called each second, with how late (s) the loop made the comparison.
    """

    def __init__(
        self,
        clock: Clock,
        log: Log,
        asleep: Callable[[], float] = lambda: 0.0,
        on_step: Callable[[], None] = lambda: None,
        on_compared: Callable[[], None] = lambda: None,
        *,
        on_woken: Callable[[float], None] = lambda _lag_s: None,
    ) -> None:
        self._clock = clock
        self._log = log
        self._asleep = asleep
        self._on_step = on_step
        self._on_woken = on_woken
        self._on_compared = on_compared
        self._last = self._read()
        self._stalled_at_s = -inf
        # Before its start the node was away.
        self._absences = deque([(_LONG_AGO, self._last[0])], maxlen=MAX_STALLS)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Compare each second from now on, in the running loop."""
        self._last = self._read()
        self._set_timer(asyncio.get_running_loop().time() + COMPARE_EVERY_S)

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
            self._absences.append((wall - timedelta(seconds=stalled_s), wall))
            self._log.warning(Event.NODE_STALLED, for_s=round(stalled_s, 1), asleep_s=round(slept_s, 1))
        set_by = moved - timedelta(seconds=slept_s)
        if abs(set_by) > STEP:
            self._log.warning(Event.CLOCK_STEPPED, by_s=round(set_by.total_seconds(), 1))
        if abs(moved) > STEP or abs(set_by) > STEP:
            self._on_step()
        self._on_compared()

    def has_stalled_since(self, since_s: float) -> bool:
        """Return whether the node has stalled since ``since_s`` by the monotonic clock."""
        # The node may have stalled until just now. Timeouts then expire before the next comparison.
        self.compare()
        return self._stalled_at_s >= since_s

    def measure_absence(self, since: datetime, until: datetime) -> timedelta:
        """Return how much of a span of time the node did not run, or was stalled."""
        self.compare()
        overlaps = (min(end, until) - max(begin, since) for begin, end in self._absences)
        return sum((overlap for overlap in overlaps if overlap > timedelta()), timedelta())

    def _read(self) -> tuple[datetime, float, float]:
        return self._clock.now(), self._clock.monotonic(), self._asleep()

    def _set_timer(self, at_s: float) -> None:
        # uvloop's handle does not tell when it is due if that is less than a millisecond from now.
        self._timer = asyncio.get_running_loop().call_at(at_s, self._compare_again, at_s)

    def _compare_again(self, due_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        self._on_woken(max(0.0, now_s - due_s))
        self.compare()
        # At whole seconds after the start, as the timer of the chores, so that one wake-up serves both.
        self._set_timer(due_s + COMPARE_EVERY_S * (floor((now_s - due_s) / COMPARE_EVERY_S) + 1))
