"""Says when the loop tries a failing ledger again."""

from __future__ import annotations

from alertd.ports import Clock
from alertd.system.telemetry import Event, Log

LONGEST_BACKOFF_S = 30.0


class Backoff:
    """Says when to try a failing ledger again: after 1 s, 2 s, 4 s and so on, on the monotonic clock."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._failure = ""
        self._pause_s = 0.0
        self._until_s = 0.0

    @property
    def left_s(self) -> float:
        """Seconds until the next try; 0 when it may be now."""
        return max(0.0, self._until_s - self._clock.monotonic())

    @property
    def failure(self) -> str:
        """Why the last try failed; "" if it did not."""
        return self._failure

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return self._pause_s > 0

    def fail(self, failure: str) -> None:
        """Record a try that failed. The same failure again is logged as debug."""
        self._pause_s = min(max(1.0, self._pause_s * 2), LONGEST_BACKOFF_S)
        self._until_s = self._clock.monotonic() + self._pause_s
        log = self._log.debug if failure == self._failure else self._log.error
        log(Event.LEDGER_FAILED, reason=failure, again_in_s=self._pause_s)
        self._failure = failure

    def succeed(self) -> None:
        """Record a try that worked."""
        if self._pause_s:
            self._pause_s, self._failure = 0.0, ""
            self._log.info(Event.LEDGER_RECOVERED)
