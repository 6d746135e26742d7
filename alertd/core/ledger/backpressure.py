"""How fast a channel may be sent to: a rate limit, and a breaker that pauses, probes and resumes.

Values only: the times are seconds of a monotonic clock, which the caller reads, so that a stepped
wall clock neither opens a gate nor keeps it shut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from math import floor, inf

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.errors import RateError

TRIPS_AT = 5
"""Failures in a row after which a channel is paused."""

FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 600.0
LONGEST_HOLD_S = 3600.0
"""The longest that one ``Retry-After`` holds a whole channel."""

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_RATE = re.compile(r"([1-9]\d{0,4})/(s|min|h)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many messages in so many seconds; a whole burst may come at once."""

    messages: int
    per_s: float

    def __str__(self) -> str:
        unit = next(name for name, seconds in _UNITS.items() if seconds == self.per_s)
        return f"{self.messages}/{unit}"


def parse_rate(text: str) -> Rate:
    """Read ``1/s``, ``20/min`` or ``100/h``.

    Raises:
        RateError: not of that form.
    """
    read = _RATE.fullmatch(text)
    if not read:
        raise RateError(text, "is not a rate", "write 1/s, 20/min or 100/h")
    return Rate(messages=int(read[1]), per_s=_UNITS[read[2]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """A rate limit as the generic cell rate algorithm keeps it (ITU-T I.371, Annex A).

    Attributes:
        tat: the theoretical arrival time of the next message, in seconds.
    """

    rate: Rate
    tat: float = -inf

    @property
    def _step(self) -> float:
        return self.rate.per_s / self.rate.messages

    def count_free(self, now: float) -> int:
        """How many may go now."""
        ahead = max(self.tat, now) - now
        return max(0, floor((self.rate.per_s - ahead) / self._step + 1e-9))

    def record_sends(self, count: int, now: float) -> Throttle:
        """The limit after ``count`` messages have gone at ``now``."""
        return replace(self, tat=max(self.tat, now) + count * self._step)

    def find_next_slot(self, now: float) -> float:
        """When there is room for one; ``now`` when there is already."""
        return max(now, self.tat + self._step - self.rate.per_s)


class BreakerChange(StrEnum):
    """What an outcome did to a breaker."""

    NONE = ""
    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Whether a channel answers at all.

    Closed, all may go. After :data:`TRIPS_AT` failures in a row it opens: nothing goes for a
    while, then one message goes as a probe. If that fails the next pause is twice as long; if it
    is accepted the breaker closes, and the backlog comes back in steps (1, 2, 4, ...), not all at
    once. A receiver that says how long to wait (``Retry-After``) holds the channel without that
    counting as a failure.

    Attributes:
        failures: in a row.
        pause_s: the present pause; 0 while closed.
        until: until when the present pause keeps everything back, in seconds.
        held_until: the same, as the receiver has asked for.
        ramp: how many may be in flight after it has closed; None once it is back to normal.
    """

    failures: int = 0
    pause_s: float = 0.0
    until: float = -inf
    held_until: float = -inf
    ramp: int | None = None

    @property
    def is_open(self) -> bool:
        return self.pause_s > 0

    @property
    def shut_until(self) -> float:
        """Until when nothing goes."""
        return max(self.until, self.held_until)

    def count_free(self, now: float, busy: int, most: int) -> int:
        """How many more may go now, when ``busy`` are in flight and ``most`` may be at once."""
        if now < self.shut_until:
            return 0
        if self.is_open:
            return max(0, 1 - busy)
        return max(0, (most if self.ramp is None else min(self.ramp, most)) - busy)

    def record_outcome(self, outcome: Outcome, now: float, most: int) -> tuple[Breaker, BreakerChange]:
        """The breaker after an outcome, and whether that opened or closed it."""
        match outcome:
            case Sent():
                return self._record_answer(most)
            case Rejected():
                # It answered, if not kindly: the channel works.
                return self._record_answer(most)
            case Retry(partly=True):
                # It took the message for others.
                return self._record_answer(most)
            case Retry(after=asked) if asked is not None:
                held = max(self.held_until, now + min(asked.total_seconds(), LONGEST_HOLD_S))
                return replace(self, held_until=held), BreakerChange.NONE
            case Retry():
                return self._record_failure(now)

    def _record_answer(self, most: int) -> tuple[Breaker, BreakerChange]:
        if self.is_open:
            # Also by one that was under way when it opened: what answers is not kept waiting for the pause.
            return Breaker(ramp=1, held_until=self.held_until), BreakerChange.CLOSED
        ramp = None if self.ramp is None or self.ramp * 2 >= most else self.ramp * 2
        return replace(self, failures=0, ramp=ramp), BreakerChange.NONE

    def _record_failure(self, now: float) -> tuple[Breaker, BreakerChange]:
        failures = self.failures + 1
        if self.is_open:
            if now < self.shut_until:
                # One that was under way when it opened: the pause stands as it is.
                return replace(self, failures=failures), BreakerChange.NONE
            pause = min(self.pause_s * 2, LONGEST_PAUSE_S)
            return replace(self, failures=failures, pause_s=pause, until=now + pause), BreakerChange.NONE
        if failures < TRIPS_AT:
            return replace(self, failures=failures), BreakerChange.NONE
        pause = FIRST_PAUSE_S
        opened = replace(self, failures=failures, pause_s=pause, until=now + pause, ramp=None)
        return opened, BreakerChange.OPENED


@dataclass(frozen=True, slots=True, kw_only=True)
class Backpressure:
    """Both together, for one channel."""

    breaker: Breaker = Breaker()
    throttle: Throttle | None = None

    def count_free(self, now: float, busy: int, most: int) -> int:
        room = self.breaker.count_free(now, busy, most)
        return room if self.throttle is None else min(room, self.throttle.count_free(now))

    def record_sends(self, count: int, now: float) -> Backpressure:
        if self.throttle is None:
            return self
        return replace(self, throttle=self.throttle.record_sends(count, now))

    def find_next_opening(self, now: float) -> float:
        """When it lets something through again; ``now`` when it does already."""
        free = now if self.throttle is None else self.throttle.find_next_slot(now)
        return max(now, self.breaker.shut_until, free)
