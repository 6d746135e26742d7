"""Leases what is ready, sends it in tasks, and settles how it ended.

The way of a delivery is read from top to bottom: :meth:`Sender.start` leases, ``_send`` hands the lease to
:meth:`alertd.engine.dispatch.Dispatcher.deliver`, and :meth:`Sender.settle` writes down how it ended.

- The number of sends in flight is bounded, in all and for each channel.
- Outcomes are settled in groups: one commit settles everything that ended while the last one ran.
- An outcome that cannot be written now is kept and written later. An outcome is never thrown away.
- A timeout that goes off while this node stands still says nothing about the receiver. The delivery is tried
  again, and it does not count as a failure of the channel.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from alertd.core.ledger.backpressure import Backpressure, Breaker, BreakerChange, Rate, Throttle
from alertd.core.ledger.outcome import Outcome, Retry
from alertd.core.ledger.records import Delivery, DeliveryState, Lease
from alertd.core.message.reasons import describe_reason
from alertd.core.planning.decide import find_live_members
from alertd.core.reason import PlainReason, Reason, Unanswered
from alertd.engine.dispatch import Dispatcher
from alertd.engine.observer import Observer, log_settlement
from alertd.errors import LedgerError
from alertd.ports import LEASE_FOR, Changes, Clock, Ledger, Notifier, Settlement
from alertd.system.telemetry import Event, Log


class ChannelBackpressure:
    """The backpressure of each channel: rate limits and circuit breakers of this node, in memory.

    They are not in the ledger: a node that starts finds out for itself, with one message as its probe.

    Args:
        most: how many sends may be in flight on one channel.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._channels: dict[str, Backpressure] = {}

    def use(self, rates: Mapping[str, Rate | None]) -> None:
        """Serve these channels from now on. A channel that was served before keeps its state."""
        self._channels = {channel: self._kept(channel, rate) for channel, rate in rates.items()}

    def room(self, channel: str, busy: int, now_s: float) -> int:
        """Return how many more sends may start on a channel."""
        state = self._channels.get(channel, _OPEN)
        return state.count_free(now_s, busy, self._most)

    def take(self, channel: str, count: int, now_s: float) -> None:
        """Record that so many sends have started."""
        if channel in self._channels:
            self._channels[channel] = self._channels[channel].record_sends(count, now_s)

    def record(self, channel: str, outcome: Outcome, now_s: float) -> BreakerChange:
        """Record an outcome. Returns whether it opened or closed the channel's breaker."""
        state = self._channels.get(channel)
        if state is None:
            return BreakerChange.NONE
        breaker, change = state.breaker.record_outcome(outcome, now_s, self._most)
        self._channels[channel] = Backpressure(breaker=breaker, throttle=state.throttle)
        return change

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


_OPEN = Backpressure()


MAX_IN_FLIGHT = 64
"""Sends in flight over all channels. A channel with nothing in flight may always start one more, so that
channels that hang delay no other channel."""

PER_CHANNEL = 8
"""Sends in flight on one channel, so that a channel that hangs takes up only its own places."""

MAX_ROUNDS = 32
"""Rounds of leasing and settling, before the daemon sees to other work."""

SETTLE_LIMIT = 200
SEND_LIMIT_S = 120.0
"""The longest time that a send may take, whatever its notifier does. It is shorter than a lease."""

LEAVES_WITHIN = LEASE_FOR - timedelta(seconds=SEND_LIMIT_S)
"""A send must begin this soon after its lease was asked for, so that it ends before the lease does."""

CANCEL_LIMIT_S = 2.0
"""Seconds that a cancelled send has to end."""


NO_RATES: Mapping[str, Rate | None] = MappingProxyType({})


class Sender:
    """Leases, sends, and settles.

    Args:
        on_finished: called when a send has ended and there is something to settle.
        stood_still: returns whether this node stood still since an instant of the monotonic clock (s).
        observer: is told how each attempt was settled.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        log: Log,
        on_finished: Callable[[], None],
        stood_still: Callable[[float], bool] = lambda _since_s: False,
        *,
        observer: Observer | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._on_finished = on_finished
        self._stood_still = stood_still
        self._observer = observer or Observer()
        self._tasks: dict[asyncio.Task[None], Lease] = {}
        self._leases: dict[str, Lease] = {}
        self._finished: list[Settlement] = []
        self._notices: list[Delivery] = []
        self._active: Mapping[str, Notifier] = {}
        self._retired: list[Mapping[str, Notifier]] = []
        self._backpressure = ChannelBackpressure(PER_CHANNEL)

    @property
    def count(self) -> int:
        """How many sends are in flight."""
        return len(self._tasks)

    @property
    def in_flight(self) -> Mapping[str, int]:
        """How many sends are in flight, by channel. Channels with none are left out."""
        return self._busy()

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

    def find_shut(self) -> tuple[frozenset[str], timedelta | None]:
        """Find the channels that nothing may be sent to now, and how long until the first of them opens."""
        return self._backpressure.find_shut(self._busy(), self._clock.monotonic())

    async def start(self, dispatcher: Dispatcher) -> None:
        """Lease what is ready and start to send it, up to the limits.

        A send that finishes meanwhile is settled before another takes its place. Otherwise, with a receiver
        that answers faster than the ledger leases, a crash would repeat everything sent since this call. The
        method returns after :data:`MAX_ROUNDS`, so that a long backlog does not hold up other work.

        Raises:
            LedgerError: the ledger cannot be used; nothing is lost.
        """
        for _ in range(MAX_ROUNDS):
            await self.settle()
            now, now_s, busy = self._clock.now(), self._clock.monotonic(), self._busy()
            channels = self._active.keys() | busy.keys()
            most = {name: self._backpressure.room(name, busy[name], now_s) for name in channels}
            room = MAX_IN_FLIGHT - len(self._tasks)
            if room > 0:
                leases = await dispatcher.lease(now, room, PER_CHANNEL, most)
            else:
                idle = {name: 0 if busy[name] else number for name, number in most.items()}
                leases = await dispatcher.lease(now, MAX_IN_FLIGHT, 1, idle)
            if not leases:
                return
            for channel, number in Counter(lease.delivery.channel for lease in leases).items():
                self._backpressure.take(channel, number, now_s)
            for lease in leases:
                self._start(dispatcher, lease, now, now_s)

    def _busy(self) -> Counter[str]:
        return Counter(lease.delivery.channel for lease in self._tasks.values())

    def _start(self, dispatcher: Dispatcher, lease: Lease, now: datetime, now_s: float) -> None:
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
        task = asyncio.create_task(self._send(dispatcher, lease, now, now_s))
        self._tasks[task] = lease
        task.add_done_callback(self._forget)

    async def settle(self) -> None:
        """Write down how sends ended, and close notifiers that are no longer used.

        Raises:
            LedgerError: the ledger cannot be written; the outcomes are kept.
        """
        if self._notices:
            # Notices are written first and on their own, so that they are not lost with a settlement that the
            # ledger refuses because another node has the delivery.
            told = tuple(self._notices)
            await self._ledger.apply(Changes(deliveries=told))
            del self._notices[: len(told)]
        while self._finished:
            batch = self._finished[:SETTLE_LIMIT]
            stale = await self._ledger.settle(batch)
            del self._finished[: len(batch)]
            for settlement in batch:
                fenced = settlement.lease.delivery.id in stale
                log_settlement(self._log, settlement, fenced=fenced)
                self._observer.settled(settlement, fenced=fenced)
        while self._retired and not self._tasks:
            await _close(self._retired.pop())

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
            await self._settled()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=CANCEL_LIMIT_S)
        await self._settled()
        self.use({})
        while self._retired:
            await _close(self._retired.pop())
        return len(self._finished) + len(self._tasks)

    async def _settled(self) -> None:
        try:
            await self.settle()
        except LedgerError as error:
            self._log.error(Event.LEDGER_FAILED, reason=str(error))

    async def _send(self, dispatcher: Dispatcher, lease: Lease, now: datetime, now_s: float) -> None:
        if not self._in_time(now, now_s):
            # The machine was frozen or slept, or the ledger was slow. Another node may have the delivery by
            # now, and this lease lacks what people did in the meantime.
            reason = PlainReason.LEASE_TOO_OLD
            self._finished.append(
                Settlement(lease=lease, state=DeliveryState.READY, at=now, next_at=now, reason=reason)
            )
            return
        began_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                settlement = await dispatcher.deliver(lease)
        except TimeoutError:
            settlement = self._unknown(dispatcher, lease, Unanswered(within_s=round(SEND_LIMIT_S)))
        except asyncio.CancelledError:
            # Only drain cancels a send, and this is how that send ends.
            settlement = self._unknown(dispatcher, lease, PlainReason.INTERRUPTED)
        self._finished.append(replace(settlement, lease=self._leases[lease.delivery.id]))
        if settlement.outcome is not None and not self._is_ours(settlement.outcome, began_s):
            self._learn(dispatcher, settlement, settlement.outcome)

    def _in_time(self, now: datetime, now_s: float) -> bool:
        """Check both clocks: the monotonic one stops while the machine sleeps, the other may be set."""
        age = max(self._clock.now() - now, timedelta(seconds=self._clock.monotonic() - now_s))
        return age < LEAVES_WITHIN

    def _is_ours(self, outcome: Outcome, began_s: float) -> bool:
        """Return whether this node may have failed, and not the receiver."""
        no_answer = isinstance(outcome, Retry) and outcome.after is None
        return no_answer and self._stood_still(began_s)

    def _learn(self, dispatcher: Dispatcher, settlement: Settlement, outcome: Outcome) -> None:
        """Update the channel's breaker, and tell the operator when that pauses or resumes the channel."""
        channel = settlement.lease.delivery.channel
        change = self._backpressure.record(channel, outcome, self._clock.monotonic())
        match change:
            case BreakerChange.NONE:
                return
            case BreakerChange.OPENED:
                self._log.warning(
                    Event.CHANNEL_PAUSED, channel=channel, reason=describe_reason(settlement.reason)
                )
            case BreakerChange.CLOSED:
                self._log.info(Event.CHANNEL_RESUMED, channel=channel)
        self._notices += dispatcher.channel_notices(channel, change, settlement.reason, settlement.at)

    def _unknown(self, dispatcher: Dispatcher, lease: Lease, why: Reason) -> Settlement:
        now = self._clock.now()
        members, _ = find_live_members(lease, now)
        return dispatcher.settlement(lease, members, Retry(reason="", unknown=True), now, why=why)

    def _forget(self, task: asyncio.Task[None]) -> None:
        lease = self._tasks.pop(task)
        del self._leases[lease.delivery.id]
        self._on_finished()


async def _close(notifiers: Mapping[str, Notifier]) -> None:
    for notifier in notifiers.values():
        await notifier.aclose()
