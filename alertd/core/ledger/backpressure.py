"""Backpressure for a channel: a rate limit, and a breaker that pauses, probes and resumes.

The module holds values only. All times are seconds of a monotonic clock, which the caller reads, so that a
step of the wall clock neither ends a pause early nor prolongs it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from math import floor, inf

from alertd.core.ledger.outcome import FIRST_STEP, GROWTH, Outcome, Rejected, Retry, Sent
from alertd.errors import RateError

TRIPS_AT = 5
"""The number of consecutive failures after which alertd pauses a channel."""

REFUSED_FOR_S = sum(FIRST_STEP.total_seconds() * GROWTH**retry for retry in range(TRIPS_AT - 1))
"""The time for which a receiver may refuse everything with ``Retry-After`` before it counts as not answering.

In this time a single delivery that is refused without ``Retry-After`` fails :data:`TRIPS_AT` times.
"""

FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 600.0
LONGEST_HOLD_S = 3600.0
"""The longest time for which a single ``Retry-After`` pauses a whole channel."""

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_RATE = re.compile(r"([1-9]\d{0,4})/(s|min|h)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A number of messages in a number of seconds. All of them may be sent in one burst."""

    messages: int
    per_s: float

    def __str__(self) -> str:
        unit = next(name for name, seconds in _UNITS.items() if seconds == self.per_s)
        return f"{self.messages}/{unit}"


def parse_rate(text: str) -> Rate:
    """Parse a rate such as ``1/s``, ``20/min`` or ``100/h``.

    Raises:
        RateError: the text has another form.
    """
    read = _RATE.fullmatch(text)
    if not read:
        raise RateError(text, "is not a rate", "write 1/s, 20/min or 100/h")
    return Rate(messages=int(read[1]), per_s=_UNITS[read[2]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """The state of a rate limit by the generic cell rate algorithm (ITU-T I.371, Annex A).

    Attributes:
        tat: the theoretical arrival time of the next message, in seconds.
    """

    rate: Rate
    tat: float = -inf

    @property
    def _step(self) -> float:
        return self.rate.per_s / self.rate.messages

    def count_free(self, now: float) -> int:
        """Return how many messages may be sent now."""
        ahead = max(self.tat, now) - now
        return max(0, floor((self.rate.per_s - ahead) / self._step + 1e-9))

    def record_sends(self, count: int, now: float) -> Throttle:
        """Return the limit after ``count`` messages were sent at ``now``."""
        return replace(self, tat=max(self.tat, now) + count * self._step)

    def find_next_slot(self, now: float) -> float:
        """Return the time from which the next message may be sent: ``now`` if the limit allows it already."""
        return max(now, self.tat + self._step - self.rate.per_s)


class BreakerChange(StrEnum):
    """The effect of an outcome on a breaker."""

    NONE = ""
    OPENED = "opened"
    """Too many sends in a row failed."""

    REFUSED = "refused"
    """The breaker opened because the receiver has asked alertd to wait for too long."""

    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A circuit breaker for a channel.

    While the breaker is closed, all messages may be sent. It opens after :data:`TRIPS_AT` consecutive
    failures: nothing is sent during a pause, and then one message is sent as a probe. If the probe fails, the
    next pause is twice as long. If the receiver accepts it, the breaker closes, and the number of concurrent
    sends grows in steps (1, 2, 4, ...), so that the receiver does not get the whole backlog at once. If a
    receiver names a time to wait (``Retry-After``), the channel pauses until then, and that does not count as
    a failure. If the receiver accepts nothing for :data:`REFUSED_FOR_S` after such a refusal, the breaker
    opens all the same. The receiver then still decides when alertd sends the probe.

    Attributes:
        failures: the number of consecutive failures.
        pause_s: the length of the current pause; 0 while the breaker is closed.
        until: the time at which the current pause ends, in seconds.
        held_until: the time until which the receiver has asked alertd to wait, in seconds.
        refused_since: the time of the first refusal with ``Retry-After`` since the last answer, in seconds.
        ramp: the limit of concurrent sends after the breaker has closed; None when the usual limit applies.
    """

    failures: int = 0
    pause_s: float = 0.0
    until: float = -inf
    held_until: float = -inf
    refused_since: float = inf
    ramp: int | None = None

    @property
    def is_open(self) -> bool:
        return self.pause_s > 0

    @property
    def shut_until(self) -> float:
        """The time until which nothing is sent."""
        return max(self.until, self.held_until)

    def count_free(self, now: float, busy: int, most: int) -> int:
        """Return how many more messages may be sent now.

        Args:
            busy: the number of sends in flight.
            most: the usual limit of concurrent sends.
        """
        if now < self.shut_until:
            return 0
        if self.is_open:
            return max(0, 1 - busy)
        return max(0, (most if self.ramp is None else min(self.ramp, most)) - busy)

    def record_outcome(self, outcome: Outcome, now: float, most: int) -> tuple[Breaker, BreakerChange]:
        """Return the breaker after an outcome, and whether the outcome opened or closed it."""
        match outcome:
            case Sent():
                return self._record_answer(most)
            case Rejected():
                # The receiver answered, so the channel works.
                return self._record_answer(most)
            case Retry(partly=True):
                # The receiver accepted the message for some of the recipients.
                return self._record_answer(most)
            case Retry(after=asked) if asked is not None:
                return self._record_refusal(asked.total_seconds(), now)
            case Retry():
                return self._record_failure(now)

    def check_hold(self, now: float) -> tuple[Breaker, BreakerChange]:
        """Return the breaker at ``now``, and whether it opens because the receiver has refused for too long.

        Without this check, the breaker would open only after the hold, at the outcome of the next message.
        """
        if now >= self.held_until:
            return self, BreakerChange.NONE
        return self._open_if_refused(now)

    def _record_refusal(self, asked_s: float, now: float) -> tuple[Breaker, BreakerChange]:
        held_until = max(self.held_until, now + min(asked_s, LONGEST_HOLD_S))
        refused = replace(self, held_until=held_until, refused_since=min(self.refused_since, now))
        return refused._open_if_refused(now)

    def _open_if_refused(self, now: float) -> tuple[Breaker, BreakerChange]:
        if self.is_open or now - self.refused_since < REFUSED_FOR_S:
            return self, BreakerChange.NONE
        opened = replace(self, pause_s=FIRST_PAUSE_S, until=self.held_until, ramp=None)
        return opened, BreakerChange.REFUSED

    def _record_answer(self, most: int) -> tuple[Breaker, BreakerChange]:
        if self.is_open:
            # This also applies to a send that began before the breaker opened: the receiver answers again,
            # so waiting for the end of the pause would only delay messages.
            return Breaker(ramp=1, held_until=self.held_until), BreakerChange.CLOSED
        if self.ramp is None and not self.failures and self.refused_since == inf:
            return self, BreakerChange.NONE  # nearly always
        ramp = None if self.ramp is None or self.ramp * 2 >= most else self.ramp * 2
        return replace(self, failures=0, refused_since=inf, ramp=ramp), BreakerChange.NONE

    def _record_failure(self, now: float) -> tuple[Breaker, BreakerChange]:
        failures = self.failures + 1
        if self.is_open:
            if now < self.shut_until:
                # This send began before the breaker opened, so its failure does not prolong the pause.
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
    """The breaker and the rate limit of one channel."""

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
        """Return the time from which a message may be sent: ``now`` if that is possible already."""
        free = now if self.throttle is None else self.throttle.find_next_slot(now)
        return max(now, self.breaker.shut_until, free)
