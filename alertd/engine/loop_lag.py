"""Measures the lag of the event loop: how much later than asked for it wakes.

A call that does not give way delays everything else on the loop, and so do threads that keep the interpreter
busy. A reminder that falls due at that moment waits as long before alertd looks at it.

An idle daemon is not woken for this: the clock monitor wakes once a second anyway. After a wake-up that was
late, the lag is measured more often for a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime

from alertd.core.planning.audit import AuditFault, AuditFinding
from alertd.engine.observer import Observer
from alertd.ports import Clock

CLOSER_FROM_S = 0.01
"""After a lag of this, the lag is measured more often."""

CLOSER_EVERY_S = 0.05
CLOSER_TIMES = 20

SLOW_S = 0.25
"""A wake-up that is later than this is slow: no reminder should wait for that long."""

SLOW_SHARE = 0.1
"""The share of slow wake-ups in a minute that makes the minute slow."""

MINUTE_S = 60.0
SLOW_MINUTES = 5
"""After this many slow minutes in a row, the lag is a finding."""


class LoopLag:
    """Collects lags, tells the observer of each, and finds out whether the loop is slow for minutes."""

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._began_s = clock.monotonic()
        self._count = self._slow = 0
        self._slow_minutes = 0
        self._slow_since: datetime | None = None
        self._closer_left = 0
        self._timer: asyncio.TimerHandle | None = None

    def note(self, lag_s: float) -> None:
        """Record how late a wake-up was, and measure more often if it was late."""
        self._record(lag_s)
        if lag_s >= CLOSER_FROM_S:
            self._closer_left = CLOSER_TIMES
            if self._timer is None:
                self._set_timer()

    def stop(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def findings(self) -> Iterator[AuditFinding]:
        """Yield the finding that the loop is slow, if it has been for some minutes. Cheap to call."""
        if self._slow_minutes >= SLOW_MINUTES and self._slow_since is not None:
            detail = (
                f"the loop has woken late since {self._slow_since:%Y-%m-%d %H:%M}Z: "
                f"a tenth of the time or more by over {SLOW_S:g} s"
            )
            yield AuditFinding(fault=AuditFault.LAGGING, detail=detail)

    def _record(self, lag_s: float) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._began_s >= MINUTE_S:
            self._end_minute()
            self._began_s = now_s
        self._count += 1
        self._slow += lag_s > SLOW_S
        self._observer.lagged(lag_s)

    def _end_minute(self) -> None:
        is_slow = bool(self._count) and self._slow >= SLOW_SHARE * self._count
        if is_slow and not self._slow_minutes:
            self._slow_since = self._clock.now()
        self._slow_minutes = self._slow_minutes + 1 if is_slow else 0
        self._count = self._slow = 0

    def _set_timer(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + CLOSER_EVERY_S
        self._timer = loop.call_at(due_s, self._measure, due_s)

    def _measure(self, due_s: float) -> None:
        lag_s = max(0.0, asyncio.get_running_loop().time() - due_s)
        self._timer = None
        self._closer_left -= 1
        if self._closer_left > 0:
            self._set_timer()
        self.note(lag_s)
