"""A node's clock, held back to the ledger's: where many machines share one ledger, none of them is early.

Where the ledger has a clock of its own, a reminder is due once *both* clocks say so. Between two questions
the ledger's time is carried on by the monotonic clock: a wall clock that is set forward moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from alertd.core.planning.audit import DIFFERS_BY
from alertd.ports import Clock, Ledger
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

    async def compare(self, ledger: Ledger) -> None:
        """Ask the ledger what time it is. Raises LedgerError."""
        asked, asked_s = self._clock.now(), self._elapsed_s()
        there = await ledger.time()
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
