"""How much each channel takes at the moment: its rate limit, its circuit breaker and its pace, in memory.

They are not in the ledger: a node that starts finds out for itself, with one message as its probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from types import MappingProxyType

from alertd.core.config import Config
from alertd.core.ledger.backpressure import Backpressure, Breaker, BreakerChange, Rate, Throttle
from alertd.core.ledger.outcome import Outcome
from alertd.ports import Notifier

NO_RATES: Mapping[str, Rate | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLimits:
    """How much a node sends and leases at once.

    Attributes:
        in_flight: sends in flight over all channels. A channel with nothing in flight may always start one
            more, so that channels that hang delay no other channel.
        per_channel: sends in flight on one channel, so that a channel that hangs takes up only its own
            places.
        per_fast_channel: the same for a channel whose pace is at least ``per_channel``.
        begun: deliveries of one channel that have begun in the ledger and wait for a place. After a crash
            they are suspected like those in flight.
        begun_fast: the most of them for a channel that sends much.
        ahead: deliveries of one channel that are leased ahead.
        ahead_at_least: as many are leased ahead for a channel whose pace is lower or not known. The simulator
            leases ahead so although it sends little.
    """

    in_flight: int = 64
    per_channel: int = 8
    per_fast_channel: int = 16
    begun: int = 32
    begun_fast: int = 64
    ahead: int = 200
    ahead_at_least: int = 0


LIMITS = SenderLimits()
"""The limits of a daemon."""

PACE_S = 0.25
"""A channel's pace is how many sends end in this many seconds."""


class Pace:
    """How many sends of one channel end in :data:`PACE_S`, by the last whole span and the one since.

    A channel on which nothing has ended for two spans has the pace 0.
    """

    __slots__ = ("_before", "_began_s", "_count")

    def __init__(self) -> None:
        self._began_s = -inf
        self._before = self._count = 0

    def record(self, now_s: float) -> None:
        """Record that a send has ended."""
        self._follow(now_s)
        self._count += 1

    def measure(self, now_s: float) -> int:
        """Return the pace. It rises at once, and falls when a span has passed."""
        self._follow(now_s)
        return max(self._before, self._count)

    def _follow(self, now_s: float) -> None:
        if now_s < self._began_s + PACE_S:
            return
        is_next = now_s < self._began_s + 2 * PACE_S
        self._before = self._count if is_next else 0
        self._began_s = self._began_s + PACE_S if is_next else now_s
        self._count = 0


class ChannelBackpressure:
    """The backpressure of each channel: rate limits, circuit breakers and paces of this node."""

    def __init__(self, limits: SenderLimits = LIMITS) -> None:
        self._limits = limits
        self._channels: dict[str, Backpressure] = {}
        self._paces: dict[str, Pace] = {}

    def use(self, rates: Mapping[str, Rate | None]) -> None:
        """Serve these channels from now on. A channel that was served before keeps its state."""
        self._channels = {channel: self._kept(channel, rate) for channel, rate in rates.items()}
        self._paces = {channel: pace for channel, pace in self._paces.items() if channel in rates}

    def room(self, channel: str, busy: int, now_s: float) -> int:
        """Return how many more sends may start on a channel."""
        state = self._channels.get(channel, _UNLIMITED)
        return state.count_free(now_s, busy, self._count_places(channel, now_s))

    def _count_places(self, channel: str, now_s: float) -> int:
        pace, limits = self._paces.get(channel), self._limits
        is_fast = pace is not None and pace.measure(now_s) >= limits.per_channel
        return limits.per_fast_channel if is_fast else limits.per_channel

    def count_ahead(self, channel: str, now_s: float) -> int:
        """Return how many deliveries are leased ahead for a channel: what it sends in :data:`PACE_S`.

        Nothing is leased ahead for a channel that pauses, is probed, or has just resumed, and no more than
        its rate limit lets through now.
        """
        state, pace = self._channels.get(channel, _UNLIMITED), self._paces.get(channel)
        breaker = state.breaker
        if breaker.ramp is not None or self.is_shut(channel, now_s):
            return 0
        ahead = max(pace.measure(now_s) if pace else 0, self._limits.ahead_at_least)
        if state.throttle is not None:
            ahead = min(ahead, state.throttle.count_free(now_s))
        return min(ahead, self._limits.ahead)

    def count_begun(self, channel: str, now_s: float) -> int:
        """Return how many deliveries of a channel begin and wait: a quarter of what it sends in PACE_S."""
        pace, limits = self._paces.get(channel), self._limits
        return max(limits.begun, min(limits.begun_fast, pace.measure(now_s) // 4 if pace else 0))

    def is_shut(self, channel: str, now_s: float) -> bool:
        """Tell whether a channel pauses, or is probed."""
        breaker = self._channels.get(channel, _UNLIMITED).breaker
        return breaker.is_open or now_s < breaker.shut_until

    def take(self, channel: str, count: int, now_s: float) -> None:
        """Record that so many sends have started."""
        if channel in self._channels:
            self._channels[channel] = self._channels[channel].record_sends(count, now_s)

    def finish(self, channel: str, now_s: float) -> None:
        """Record that a send has ended."""
        pace = self._paces.get(channel)
        if pace is None:
            pace = self._paces[channel] = Pace()
        pace.record(now_s)

    def record(self, channel: str, outcome: Outcome, now_s: float) -> BreakerChange:
        """Record an outcome. Returns whether it opened or closed the channel's breaker."""
        state = self._channels.get(channel)
        if state is None:
            return BreakerChange.NONE
        breaker, change = state.breaker.record_outcome(outcome, now_s, self._count_places(channel, now_s))
        if breaker is not state.breaker:
            self._channels[channel] = Backpressure(breaker=breaker, throttle=state.throttle)
        return change

    def check_holds(self, now_s: float) -> tuple[str, ...]:
        """Open the breakers of the channels that have asked alertd to wait for too long. Returns them."""
        opened = []
        for channel, state in self._channels.items():
            breaker, change = state.breaker.check_hold(now_s)
            if change is not BreakerChange.NONE:
                self._channels[channel] = replace(state, breaker=breaker)
                opened.append(channel)
        return tuple(opened)

    def paused(self) -> tuple[str, ...]:
        """List the channels whose receiver does not answer."""
        return tuple(sorted(channel for channel, state in self._channels.items() if state.breaker.is_open))

    def list_channels(self) -> list[str]:
        """List the channels that are served."""
        return list(self._channels)

    def find_next_opening(self, channels: list[str], now_s: float) -> timedelta | None:
        """Return how long until the first of these channels opens.

        A channel that is only full, since as many as allowed are in flight, opens when one of them finishes.
        """
        waits = [
            wait for name in channels if (wait := self._channels[name].find_next_opening(now_s) - now_s) > 0
        ]
        return timedelta(seconds=min(waits)) if waits else None

    def _kept(self, channel: str, rate: Rate | None) -> Backpressure:
        old = self._channels.get(channel)
        if old is None:
            return Backpressure(breaker=Breaker(), throttle=Throttle(rate=rate) if rate else None)
        if rate is None or old.throttle is None or old.throttle.rate != rate:
            return Backpressure(breaker=old.breaker, throttle=Throttle(rate=rate) if rate else None)
        return old


_UNLIMITED = Backpressure()


def find_rates(config: Config, notifiers: Mapping[str, Notifier]) -> dict[str, Rate | None]:
    """Find each channel's rate limit: the one in the configuration, else the one of the notifier's type."""
    return {
        f"{receiver.name}/{spec.name}": spec.rate
        or getattr(notifiers.get(f"{receiver.name}/{spec.name}"), "rate", None)
        for receiver in config.receivers.values()
        for spec in receiver.notifiers
    }
