"""Lets each channel's circuit breaker learn from outcomes, and tells the operator when a channel pauses."""

from __future__ import annotations

from collections.abc import Collection

from alertd.core.config import Config
from alertd.core.ledger.backpressure import BreakerChange
from alertd.core.ledger.outcome import Outcome
from alertd.core.ledger.records import Delivery
from alertd.core.message.reasons import describe_reason
from alertd.core.reason import Reason
from alertd.engine.backpressure import ChannelBackpressure
from alertd.engine.notices import report_breaker
from alertd.ports import Clock, Settlement
from alertd.system.telemetry import Event, Log


class BreakerReports:
    """Reports what the breakers do.

    Args:
        notices: where the notices to the operator go.
    """

    def __init__(
        self, backpressure: ChannelBackpressure, clock: Clock, log: Log, notices: list[Delivery]
    ) -> None:
        self._backpressure = backpressure
        self._clock = clock
        self._log = log
        self._notices = notices
        self._last_reasons: dict[str, Reason | None] = {}

    def use(self, channels: Collection[str]) -> None:
        """Forget the reasons of all other channels."""
        kept = self._last_reasons.items()
        self._last_reasons = {channel: reason for channel, reason in kept if channel in channels}

    def update(self, config: Config, settlement: Settlement, outcome: Outcome) -> None:
        """Update the channel's breaker, and tell the operator when that pauses or resumes the channel."""
        channel, reason = settlement.lease.delivery.channel, settlement.reason
        change = self._backpressure.record(channel, outcome, self._clock.monotonic())
        self._last_reasons[channel] = reason
        self._report(config, channel, change, settlement)

    def check_holds(self, config: Config) -> None:
        """Find the channels that have asked alertd to wait for too long, and tell the operator about them."""
        for channel in self._backpressure.check_holds(self._clock.monotonic()):
            self._report(config, channel, BreakerChange.REFUSED, None)

    def _report(
        self, config: Config, channel: str, change: BreakerChange, settlement: Settlement | None
    ) -> None:
        reason = self._last_reasons.get(channel)
        match change:
            case BreakerChange.NONE:
                return
            case BreakerChange.OPENED | BreakerChange.REFUSED:
                self._log.warning(Event.CHANNEL_PAUSED, channel=channel, reason=describe_reason(reason))
            case BreakerChange.CLOSED:
                self._log.info(Event.CHANNEL_RESUMED, channel=channel)
        at = settlement.at if settlement is not None else self._clock.now()
        self._notices += report_breaker(config, channel, change, reason, at)
