"""How a ledger that cannot be used is waited for: after 1 s, 2 s, 4 s and so on it is tried again."""

from __future__ import annotations

from alertd.ports import Clock
from alertd.system.telemetry import Event, Log

LONGEST_PAUSE_S = 30.0


class Backoff:
    """Counted on the monotonic clock."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._failure = ""
        self._pause_s = 0.0
        self._until_s = 0.0

    @property
    def left_s(self) -> float:
        """How much longer to leave it alone."""
        return max(0.0, self._until_s - self._clock.monotonic())

    @property
    def is_tried(self) -> bool:
        """Whether it could not be used when it was last asked for something."""
        return self._pause_s > 0

    def failed(self, failure: str) -> None:
        """It could not be used; the same failure again is not said so loudly."""
        self._pause_s = min(max(1.0, self._pause_s * 2), LONGEST_PAUSE_S)
        self._until_s = self._clock.monotonic() + self._pause_s
        say = self._log.debug if failure == self._failure else self._log.error
        say(Event.LEDGER_FAILED, reason=failure, again_in_s=self._pause_s)
        self._failure = failure

    def worked(self) -> None:
        """It could be used."""
        if self._pause_s:
            self._pause_s, self._failure = 0.0, ""
            self._log.info(Event.LEDGER_RECOVERED)
