"""Leases what is ready, sends it in tasks, and settles how it ended.

The way of a delivery is read from top to bottom: :meth:`Sender.start` leases, ``_send`` hands the lease to
:meth:`alertd.engine.delivery.Dispatcher.deliver`, and :meth:`Sender.settle` writes down how it ended.

- The number of sends in flight is bounded, in all and for each channel.
- Outcomes are settled in groups: one commit settles everything that ended while the last one ran.
- An outcome that cannot be written now is kept and written later. Of an outcome whose content the ledger
  refuses, only whether the message was sent is written.
- A timeout that expires while this node stalls says nothing about the receiver. The delivery is tried
  again, and the timeout does not count as a failure of the channel.
- A delivery whose lease ended without a settlement may have ended the process. After the first such lease,
  at most one such delivery is in flight on each channel. After the second, the delivery is sent while nothing
  else is in flight. So a message that ends the process is found, and other messages are not suspected.
- Whatever is raised on the way of a delivery becomes an attempt that is tried again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol

from alertd.core.config import Config
from alertd.core.ledger.backpressure import Backpressure, Breaker, BreakerChange, Rate, Throttle
from alertd.core.ledger.outcome import Outcome, Retry
from alertd.core.ledger.records import Delivery, DeliveryState, Known, Lease
from alertd.core.message.reasons import describe_reason
from alertd.core.reason import DeliveryFailed, PlainReason, Reason
from alertd.engine.delivery import ClockReading, Dispatcher, retry_plainly
from alertd.engine.notices import report_breaker
from alertd.engine.observer import Observer, log_lost_lease, log_settlement
from alertd.errors import LedgerError, LedgerRefused, is_about_content
from alertd.ports import (
    LEASE_FOR,
    Changes,
    ChangeWriter,
    Clock,
    DeliveryQueue,
    LostLeases,
    Notifier,
    Settlement,
)
from alertd.system.telemetry import Event, Log


class ChannelBackpressure:
    """The backpressure of each channel: rate limits and circuit breakers of this node, in memory.

    They are not in the ledger: a node that starts finds out for itself, with one message as its probe.

    Args:
        limit: how many sends may be in flight on one channel.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._channels: dict[str, Backpressure] = {}

    def use(self, rates: Mapping[str, Rate | None]) -> None:
        """Serve these channels from now on. A channel that was served before keeps its state."""
        self._channels = {channel: self._kept(channel, rate) for channel, rate in rates.items()}

    def room(self, channel: str, busy: int, now_s: float) -> int:
        """Return how many more sends may start on a channel."""
        state = self._channels.get(channel, _UNLIMITED)
        return state.count_free(now_s, busy, self._limit)

    def take(self, channel: str, count: int, now_s: float) -> None:
        """Record that so many sends have started."""
        if channel in self._channels:
            self._channels[channel] = self._channels[channel].record_sends(count, now_s)

    def record(self, channel: str, outcome: Outcome, now_s: float) -> BreakerChange:
        """Record an outcome. Returns whether it opened or closed the channel's breaker."""
        state = self._channels.get(channel)
        if state is None:
            return BreakerChange.NONE
        breaker, change = state.breaker.record_outcome(outcome, now_s, self._limit)
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

    def find_shut(self, busy: Mapping[str, int], now_s: float) -> tuple[frozenset[str], timedelta | None]:
        """Find the channels that nothing may be sent to now, and how long until the first of them opens.

        A channel that is only full, since as many as allowed are in flight, opens when one of them finishes.
        """
        names = [name for name in self._channels if self.room(name, busy.get(name, 0), now_s) <= 0]
        waits = [
            wait for name in names if (wait := self._channels[name].find_next_opening(now_s) - now_s) > 0
        ]
        return frozenset(names), timedelta(seconds=min(waits)) if waits else None

    def _kept(self, channel: str, rate: Rate | None) -> Backpressure:
        old = self._channels.get(channel)
        if old is None:
            return Backpressure(breaker=Breaker(), throttle=Throttle(rate=rate) if rate else None)
        if rate is None or old.throttle is None or old.throttle.rate != rate:
            return Backpressure(breaker=old.breaker, throttle=Throttle(rate=rate) if rate else None)
        return old


_UNLIMITED = Backpressure()


MAX_IN_FLIGHT = 64
"""Sends in flight over all channels. A channel with nothing in flight may always start one more, so that
channels that hang delay no other channel."""

PER_CHANNEL = 8
"""Sends in flight on one channel, so that a channel that hangs takes up only its own places."""

MAX_ROUNDS = 32
"""Rounds of leasing and settling, before the daemon sees to other work."""

LEASE_LIMIT = 200
"""Deliveries that are leased in one transaction."""

SETTLE_LIMIT = 200
"""Deliveries that are settled in one transaction."""

ALONE_FOR_S = 5.0
"""Seconds for which nothing else is started beside a delivery that is sent alone. A message that ends the
process does so in the first moments of its attempt."""

WAIT_ALONE_S = 60.0
"""Seconds that a delivery waits to be sent alone. Then it is sent beside others, since channels that hang
must not delay it for long."""

CANCEL_LIMIT_S = 2.0
"""Seconds that a cancelled send has to end."""

CLOSE_LIMIT_S = 5.0
"""Seconds that a notifier has to close."""

NO_RATES: Mapping[str, Rate | None] = MappingProxyType({})


class SenderLedger(DeliveryQueue, ChangeWriter, Protocol):
    """The roles of the ledger that a sender needs: it writes notices besides."""


def find_rates(config: Config, notifiers: Mapping[str, Notifier]) -> dict[str, Rate | None]:
    """Find each channel's rate limit: the one in the configuration, else the one of the notifier's type."""
    return {
        f"{receiver.name}/{spec.name}": spec.rate
        or getattr(notifiers.get(f"{receiver.name}/{spec.name}"), "rate", None)
        for receiver in config.receivers.values()
        for spec in receiver.notifiers
    }


class Sender:
    """Leases, sends, and settles.

    Args:
        node: the name of this node in its leases.
        on_finished: called when a send has ended and there is something to settle.
        has_stalled: returns whether this node has stalled since an instant of the monotonic clock (s).
        observer: is told how each attempt was settled.
    """

    def __init__(
        self,
        ledger: SenderLedger,
        clock: Clock,
        log: Log,
        *,
        node: str,
        on_finished: Callable[[], None],
        has_stalled: Callable[[float], bool] = lambda _since_s: False,
        observer: Observer | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._node = node
        self._on_finished = on_finished
        self._has_stalled = has_stalled
        self._observer = observer or Observer()
        self._tasks: dict[asyncio.Task[None], Lease] = {}
        self._leases: dict[str, Lease] = {}
        self._finished: list[Settlement] = []
        self._notices: list[Delivery] = []
        self._active: Mapping[str, Notifier] = {}
        self._retired: list[Mapping[str, Notifier]] = []
        self._backpressure = ChannelBackpressure(PER_CHANNEL)
        self._last_reasons: dict[str, Reason | None] = {}
        self._idle_s = clock.monotonic()
        self._alone_until_s = self._idle_s

    @property
    def count(self) -> int:
        """How many sends are in flight."""
        return len(self._tasks)

    @property
    def unsettled(self) -> int:
        """How many deliveries are being sent, or have been sent and are not settled."""
        return len(self._finished) + len(self._tasks)

    @property
    def in_flight(self) -> Mapping[str, int]:
        """How many sends are in flight, by channel. Channels with none are left out."""
        return self._count_busy()

    @property
    def paused(self) -> tuple[str, ...]:
        """Channels whose receiver does not answer."""
        return self._backpressure.paused()

    def use(self, notifiers: Mapping[str, Notifier], rates: Mapping[str, Rate | None] = NO_RATES) -> None:
        """Send by these notifiers from now on.

        The previous ones are closed when nothing is in flight, so that a reload cancels no send.
        """
        self._retired.append(self._active)
        self._active = notifiers
        self._backpressure.use({channel: rates.get(channel) for channel in notifiers})
        kept = self._last_reasons.items()
        self._last_reasons = {channel: reason for channel, reason in kept if channel in notifiers}

    def find_shut(self) -> tuple[frozenset[str], timedelta | None]:
        """Find the channels that nothing may be sent to now, and how long until the first of them opens."""
        return self._backpressure.find_shut(self._count_busy(), self._clock.monotonic())

    async def start(self, dispatcher: Dispatcher, known: Known | None = None) -> None:
        """Lease what is ready and start to send it, up to the limits.

        A send that finishes meanwhile is settled before another takes its place. Otherwise, with a receiver
        that answers faster than the ledger leases, a crash would repeat everything sent since this call. The
        method returns after :data:`MAX_ROUNDS`, so that a long backlog does not hold up other work.

        Args:
            known: what this node knows. Deliveries that it does not know are left alone until they are
                strays; None: nothing is left alone.

        Raises:
            LedgerError: the ledger cannot be used; nothing is lost.
        """
        self._check_holds(dispatcher.config)
        if not self._tasks:
            self._idle_s = self._clock.monotonic()
        for _ in range(MAX_ROUNDS):
            await self.settle()
            if self._is_one_alone():
                return
            leased = ClockReading.take(self._clock)
            leases = await self._lease(leased, known)
            if not leases:
                break
            self._start_all(dispatcher, leases, leased)
        leased = ClockReading.take(self._clock)
        self._start_all(dispatcher, await self._lease_lost(leased, known), leased)

    def _start_all(self, dispatcher: Dispatcher, leases: Sequence[Lease], leased: ClockReading) -> None:
        for channel, number in Counter(lease.delivery.channel for lease in leases).items():
            self._backpressure.take(channel, number, leased.monotonic_s)
        for lease in leases:
            self._start(dispatcher, lease, leased)

    def _is_one_alone(self) -> bool:
        """Tell whether a delivery was started alone just now, so that nothing may be started beside it."""
        has_alone = any(lease.delivery.lost_leases > 1 for lease in self._tasks.values())
        return has_alone and self._clock.monotonic() < self._alone_until_s

    def _measure_room(self, busy: Counter[str], now_s: float) -> dict[str, int]:
        """Return how many more sends may start on each channel."""
        return {
            name: self._backpressure.room(name, busy[name], now_s)
            for name in self._active.keys() | busy.keys()
        }

    def _list_held(self) -> frozenset[str]:
        """List the deliveries that are being sent, or are not settled yet."""
        return frozenset((*self._leases, *(ended.lease.delivery.id for ended in self._finished)))

    async def _lease_lost(self, reading: ClockReading, known: Known | None) -> Sequence[Lease]:
        """Lease deliveries whose last lease was lost: one for each channel, or else one alone."""
        busy, now_s = self._count_busy(), reading.monotonic_s
        suspects = [lease.delivery for lease in self._tasks.values() if lease.delivery.lost_leases]
        if any(delivery.lost_leases > 1 for delivery in suspects):
            return ()
        room = self._measure_room(busy, now_s) | {delivery.channel: 0 for delivery in suspects}
        may_be_alone = not self._tasks or now_s - self._idle_s >= WAIT_ALONE_S
        leases = await self._ledger.lease(
            self._node,
            reading.at,
            duration=LEASE_FOR,
            limit=LEASE_LIMIT,
            per_channel=1,
            most=room,
            held=self._list_held(),
            lost=LostLeases.ALONE if may_be_alone else LostLeases.FEW,
            known=known,
        )
        if any(lease.delivery.lost_leases > 1 for lease in leases):
            self._alone_until_s = self._clock.monotonic() + ALONE_FOR_S
        return leases

    async def _lease(self, reading: ClockReading, known: Known | None) -> Sequence[Lease]:
        """Lease deliveries up to the limits over all and for each channel."""
        busy = self._count_busy()
        room = self._measure_room(busy, reading.monotonic_s)
        limit, per_channel = MAX_IN_FLIGHT - len(self._tasks), PER_CHANNEL
        if limit <= 0:
            # Nothing more may be in flight, except one send on each channel that has none.
            limit, per_channel = MAX_IN_FLIGHT, 1
            room = {name: 0 if busy[name] else number for name, number in room.items()}
        return await self._ledger.lease(
            self._node,
            reading.at,
            duration=LEASE_FOR,
            limit=min(limit, LEASE_LIMIT),
            per_channel=per_channel,
            most=room,
            held=self._list_held(),
            lost=LostLeases.LEFT_OUT,
            known=known,
        )

    def _count_busy(self) -> Counter[str]:
        return Counter(lease.delivery.channel for lease in self._tasks.values())

    def _start(self, dispatcher: Dispatcher, lease: Lease, leased: ClockReading) -> None:
        # A lease can run out early when the wall clock is stepped or the machine sleeps. A delivery that is
        # being sent, or has been sent and is not settled yet, gets the new lease and is not sent twice.
        name = lease.delivery.id
        finished = [place for place, done in enumerate(self._finished) if done.lease.delivery.id == name]
        for place in finished:
            self._finished[place] = replace(self._finished[place], lease=lease)
        is_sending = name in self._leases
        if is_sending:
            self._leases[name] = lease
        if finished or is_sending:
            return
        self._leases[name] = lease
        if lease.delivery.lost_leases:
            log_lost_lease(self._log, lease)
            self._observer.lost(lease)
        task = asyncio.create_task(self._send(dispatcher, lease, leased))
        self._tasks[task] = lease
        task.add_done_callback(self._forget)

    async def _send(self, dispatcher: Dispatcher, lease: Lease, leased: ClockReading) -> None:
        began_s = self._clock.monotonic()
        settlement = await dispatcher.deliver(lease, leased)
        self._finished.append(replace(settlement, lease=self._leases[lease.delivery.id]))
        if settlement.outcome is not None and not self._is_own_failure(settlement.outcome, began_s):
            self._update_breaker(dispatcher.config, settlement, settlement.outcome)

    def _forget(self, task: asyncio.Task[None]) -> None:
        lease = self._tasks.pop(task)
        del self._leases[lease.delivery.id]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error(Event.NOTIFIER_FAILED, channel=lease.delivery.channel, exc_info=error)
        self._on_finished()

    async def settle(self) -> None:
        """Write down how sends ended, and close notifiers that are no longer used.

        Raises:
            LedgerError: the ledger cannot be written; the outcomes are kept.
        """
        if self._notices:
            # Notices are written first and on their own, so that they are not lost with a settlement that the
            # ledger refuses because another node has the delivery.
            await self._write_notices()
        limit = SETTLE_LIMIT
        while self._finished:
            batch = self._finished[:limit]
            try:
                stale = await self._ledger.settle(batch)
            except Exception as error:
                if not is_about_content(error):
                    raise
                # A settlement cannot be written, such as one whose reason is no valid text. Find it, and put
                # a plain one in its place, so that it does not hold up the others.
                limit = 1
                if len(batch) == 1:
                    self._replace_unwritable(error)
                continue
            del self._finished[: len(batch)]
            for settlement in batch:
                fenced = settlement.lease.delivery.id in stale
                log_settlement(self._log, settlement, fenced=fenced)
                self._observer.settled(settlement, fenced=fenced)
        while self._retired and not self._tasks:
            await self._close(self._retired.pop())

    async def _write_notices(self) -> None:
        """Write the notices that wait. One that the ledger refuses is logged and holds up no other."""
        limit = len(self._notices)
        while self._notices:
            batch = tuple(self._notices[:limit])
            try:
                await self._ledger.apply(Changes(deliveries=batch))
            except Exception as error:
                if not is_about_content(error):
                    raise
                limit = 1
                if len(batch) > 1:
                    continue
                self._log.error(Event.NOTIFIER_FAILED, channel=batch[0].channel, exc_info=error)
            del self._notices[: len(batch)]

    def _replace_unwritable(self, error: Exception) -> None:
        """Replace the first settlement, which cannot be written, by one without anything from outside.

        A message that was sent stays sent, and any other is tried again later. If the ledger refuses this as
        well, the settlement is dropped: the lease runs out and counts as lost. Any other error the second
        time is raised.
        """
        settlement = self._finished[0]
        lease, attempt = settlement.lease, settlement.attempt
        self._log.error(Event.NOTIFIER_FAILED, channel=lease.delivery.channel, exc_info=error)
        reason = (
            PlainReason.UNRECORDED
            if isinstance(error, LedgerRefused)
            else DeliveryFailed(error=type(error).__name__)
        )
        if settlement.reason == reason:
            if not isinstance(error, LedgerRefused):
                raise error
            del self._finished[0]
        elif settlement.state is DeliveryState.SENT:
            plain = attempt and replace(attempt, reason=reason)
            sent = replace(settlement, reason=reason, attempt=plain)
            self._finished[0] = replace(sent, remember={}, follow_up=())
        else:
            self._finished[0] = retry_plainly(lease, settlement.at, reason)

    async def wait_finished(self) -> None:
        """Wait until nothing is in flight and everything is settled."""
        while self._tasks or self._finished:
            if self._tasks:
                await asyncio.wait(list(self._tasks))
            await self.settle()

    async def drain(self, limit_s: float) -> int:
        """Wait at most ``limit_s`` seconds for sends in flight, settle them, and close all notifiers.

        A send that is cut off is settled as unknown, so that it is sent again soon under the same id.

        Returns:
            how many could not be settled. They are sent again when their leases end.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        while self._tasks and loop.time() < until:
            left = until - loop.time()
            await asyncio.wait(list(self._tasks), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            await self._try_to_settle()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=CANCEL_LIMIT_S)
        await self._try_to_settle()
        self.use({})
        while self._retired:
            await self._close(self._retired.pop())
        return self.unsettled

    async def _try_to_settle(self) -> None:
        try:
            await self.settle()
        except LedgerError as error:
            self._log.error(Event.LEDGER_FAILED, reason=str(error))

    def _is_own_failure(self, outcome: Outcome, began_s: float) -> bool:
        """Return whether this node may have failed, and not the receiver."""
        no_answer = isinstance(outcome, Retry) and outcome.after is None
        return no_answer and self._has_stalled(began_s)

    def _update_breaker(self, config: Config, settlement: Settlement, outcome: Outcome) -> None:
        """Update the channel's breaker, and tell the operator when that pauses or resumes the channel."""
        channel, reason = settlement.lease.delivery.channel, settlement.reason
        change = self._backpressure.record(channel, outcome, self._clock.monotonic())
        self._last_reasons[channel] = reason
        self._report_change(config, channel, change, reason, settlement.at)

    def _check_holds(self, config: Config) -> None:
        """Find the channels that have asked alertd to wait for too long, and tell the operator about them."""
        for channel in self._backpressure.check_holds(self._clock.monotonic()):
            reason = self._last_reasons.get(channel)
            self._report_change(config, channel, BreakerChange.REFUSED, reason, self._clock.now())

    def _report_change(
        self, config: Config, channel: str, change: BreakerChange, reason: Reason | None, at: datetime
    ) -> None:
        match change:
            case BreakerChange.NONE:
                return
            case BreakerChange.OPENED | BreakerChange.REFUSED:
                self._log.warning(Event.CHANNEL_PAUSED, channel=channel, reason=describe_reason(reason))
            case BreakerChange.CLOSED:
                self._log.info(Event.CHANNEL_RESUMED, channel=channel)
        self._notices += report_breaker(config, channel, change, reason, at)

    async def _close(self, notifiers: Mapping[str, Notifier]) -> None:
        """Close notifiers. One that raises or does not end keeps no other from being closed."""
        for channel, notifier in notifiers.items():
            try:
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await notifier.aclose()
            except Exception as error:  # a bug in a notifier
                self._log.error(Event.NOTIFIER_FAILED, channel=channel, exc_info=error)
