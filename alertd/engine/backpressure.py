"""How much each channel lets through now: rate limits and breakers of this node, in memory.

Not in the ledger: a node that starts finds out for itself, with one message as its probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from alertd.core.ledger.backpressure import Backpressure, Breaker, BreakerChange, Rate, Throttle
from alertd.core.ledger.outcome import Outcome


class ChannelBackpressure:
    """One gate for each channel.

    Args:
        most: how many may be in flight for one channel.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._gates: dict[str, Backpressure] = {}

    def use(self, rates: Mapping[str, Rate | None]) -> None:
        """These channels from now on; one that stays keeps what is known of it."""
        self._gates = {channel: self._kept(channel, rate) for channel, rate in rates.items()}

    def room(self, channel: str, busy: int, now_s: float) -> int:
        """How many more may go."""
        gate = self._gates.get(channel, _OPEN)
        return gate.room(now_s, busy, self._most)

    def take(self, channel: str, count: int, now_s: float) -> None:
        """So many are on their way."""
        if channel in self._gates:
            self._gates[channel] = self._gates[channel].take(count, now_s)

    def landed(self, channel: str, outcome: Outcome, now_s: float) -> BreakerChange:
        """Learn from an outcome; whether that opened or closed the channel's breaker."""
        gate = self._gates.get(channel)
        if gate is None:
            return BreakerChange.NONE
        breaker, turn = gate.breaker.after(outcome, now_s, self._most)
        self._gates[channel] = Backpressure(breaker=breaker, throttle=gate.throttle)
        return turn

    def paused(self) -> tuple[str, ...]:
        """The channels that do not answer at the moment."""
        return tuple(sorted(channel for channel, gate in self._gates.items() if gate.breaker.is_open))

    def shut(self, busy: Mapping[str, int], now_s: float) -> tuple[frozenset[str], timedelta | None]:
        """Channels that let nothing through now, and how long until the first of those lets through again.

        One that is only full, because so many are in flight, opens when one of them lands.
        """
        names = [name for name in self._gates if self.room(name, busy.get(name, 0), now_s) <= 0]
        waits = [wait for name in names if (wait := self._gates[name].opens_at(now_s) - now_s) > 0]
        return frozenset(names), timedelta(seconds=min(waits)) if waits else None

    def _kept(self, channel: str, rate: Rate | None) -> Backpressure:
        old = self._gates.get(channel)
        if old is None:
            return Backpressure(breaker=Breaker(), throttle=Throttle(rate=rate) if rate else None)
        if rate is None or old.throttle is None or old.throttle.rate != rate:
            return Backpressure(breaker=old.breaker, throttle=Throttle(rate=rate) if rate else None)
        return old


_OPEN = Backpressure()
