"""Sends in flight: one task each, bounded over all and for each channel, settled in groups.

What has ended is written down with whatever else ended while the last commit ran. What cannot be
written down now is kept, and is written down later: an outcome is never thrown away.

What goes off by itself while this node stands still says nothing about a receiver: it is tried again, and is
no failure of the channel.
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
from alertd.core.planning.decide import live_members
from alertd.engine.dispatch import Dispatcher
from alertd.engine.observer import Observer, log_settlement
from alertd.errors import LedgerError
from alertd.ports import LEASE_FOR, Changes, Clock, Ledger, Notifier, Settlement
from alertd.system.telemetry import Event, Log


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


MAX_IN_FLIGHT = 64
"""Over all channels; but a channel with nothing in flight may always have one more, so that however
many others hang, nobody is kept waiting by them."""

PER_CHANNEL = 8
"""In flight for one channel, so that one that hangs holds only its own places."""

MAX_ROUNDS = 32
"""Of leasing and settling, before the daemon looks at what else there is to do."""

SETTLE_LIMIT = 200
SEND_LIMIT_S = 120.0
"""No send takes longer, whatever its notifier does; shorter than a lease."""

LEAVES_WITHIN = LEASE_FOR - timedelta(seconds=SEND_LIMIT_S)
"""A send begins so soon after its lease was asked for, or not at all: then it ends while it has the lease."""

CANCEL_LIMIT_S = 2.0
"""How long a cancelled send has to end."""


NO_RATES: Mapping[str, Rate | None] = MappingProxyType({})


class Sender:
    """Takes leases, sends, and settles.

    Args:
        on_landed: called when a send has ended and there is something to settle.
        stood_still: whether this node stood still at some time after an instant of the monotonic clock.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        log: Log,
        on_landed: Callable[[], None],
        stood_still: Callable[[float], bool] = lambda _since_s: False,
        *,
        meter: Observer | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._on_landed = on_landed
        self._stood_still = stood_still
        self._meter = meter or Observer()
        self._tasks: dict[asyncio.Task[None], Lease] = {}
        self._leases: dict[str, Lease] = {}
        self._landed: list[Settlement] = []
        self._notices: list[Delivery] = []
        self._active: Mapping[str, Notifier] = {}
        self._retired: list[Mapping[str, Notifier]] = []
        self._gates = ChannelBackpressure(PER_CHANNEL)

    @property
    def count(self) -> int:
        """How many are in flight."""
        return len(self._tasks)

    @property
    def in_flight(self) -> Mapping[str, int]:
        """How many are in flight, by channel; channels with none are left out."""
        return self._busy()

    @property
    def paused(self) -> tuple[str, ...]:
        """Channels that do not answer at the moment."""
        return self._gates.paused()

    def use(self, notifiers: Mapping[str, Notifier], rates: Mapping[str, Rate | None] = NO_RATES) -> None:
        """From now on these; those before are closed when nothing is in flight: a reload cancels no send."""
        self._retired.append(self._active)
        self._active = notifiers
        self._gates.use({channel: rates.get(channel) for channel in notifiers})

    def shut(self) -> tuple[frozenset[str], timedelta | None]:
        """Channels that nothing may be sent to now, and how long until the first of them is open again."""
        return self._gates.shut(self._busy(), self._clock.monotonic())

    async def take_off(self, dispatcher: Dispatcher) -> None:
        """Lease what is ready and start to send it, as far as there is room.

        What lands meanwhile is settled before its place is taken again: else, with a receiver that answers
        faster than the ledger leases, a crash would send again all that was sent since this was called. It
        ends after :data:`MAX_ROUNDS`, so that a long backlog keeps nobody from looking at anything else.
        """
        for _ in range(MAX_ROUNDS):
            await self.settle()
            now, now_s, busy = self._clock.now(), self._clock.monotonic(), self._busy()
            channels = self._active.keys() | busy.keys()
            most = {name: self._gates.room(name, busy[name], now_s) for name in channels}
            room = MAX_IN_FLIGHT - len(self._tasks)
            if room > 0:
                leases = await dispatcher.lease(now, room, PER_CHANNEL, most)
            else:
                idle = {name: 0 if busy[name] else number for name, number in most.items()}
                leases = await dispatcher.lease(now, MAX_IN_FLIGHT, 1, idle)
            if not leases:
                return
            for channel, number in Counter(lease.delivery.channel for lease in leases).items():
                self._gates.take(channel, number, now_s)
            for lease in leases:
                self._take_off(dispatcher, lease, now, now_s)

    def _busy(self) -> Counter[str]:
        return Counter(lease.delivery.channel for lease in self._tasks.values())

    def _take_off(self, dispatcher: Dispatcher, lease: Lease, now: datetime, now_s: float) -> None:
        # Its lease can have run out by a wall clock that was stepped, or while the machine slept. What is on
        # its way, or has landed and is not written down yet, has a longer lease now, and no second flight.
        name = lease.delivery.id
        landed = [place for place, one in enumerate(self._landed) if one.lease.delivery.id == name]
        for place in landed:
            self._landed[place] = replace(self._landed[place], lease=lease)
        in_flight = name in self._leases
        if in_flight:
            self._leases[name] = lease
        if landed or in_flight:
            return
        self._leases[name] = lease
        task = asyncio.create_task(self._fly(dispatcher, lease, now, now_s))
        self._tasks[task] = lease
        task.add_done_callback(self._forget)

    async def settle(self) -> None:
        """Write down all that has ended, and close notifiers that nothing uses any more.

        Raises:
            LedgerError: it cannot be written now; nothing is forgotten.
        """
        if self._notices:
            # On their own and first: a settlement that is refused because another node has the delivery by
            # now must not take the news of the channel with it.
            told = tuple(self._notices)
            await self._ledger.apply(Changes(deliveries=told))
            del self._notices[: len(told)]
        while self._landed:
            batch = self._landed[:SETTLE_LIMIT]
            stale = await self._ledger.settle(batch)
            del self._landed[: len(batch)]
            for settlement in batch:
                fenced = settlement.lease.delivery.id in stale
                log_settlement(self._log, settlement, fenced=fenced)
                self._meter.settled(settlement, fenced=fenced)
        while self._retired and not self._tasks:
            await _close(self._retired.pop())

    async def all_landed(self) -> None:
        """Wait until nothing is in flight, and settle it."""
        while self._tasks or self._landed:
            if self._tasks:
                await asyncio.wait(list(self._tasks))
            await self.settle()

    async def drain(self, limit_s: float) -> int:
        """Wait for what is in flight, ``limit_s`` seconds at most, settle it, close all notifiers.

        What is cut off is settled as unknown, so that it is sent again soon, under the same id.
        Returns how many could not be settled at all: they are sent again when their leases run out.
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
        return len(self._landed) + len(self._tasks)

    async def _settled(self) -> None:
        try:
            await self.settle()
        except LedgerError as error:
            self._log.error(Event.LEDGER_FAILED, reason=str(error))

    async def _fly(self, dispatcher: Dispatcher, lease: Lease, now: datetime, now_s: float) -> None:
        if not self._in_time(now, now_s):
            # The machine was frozen or slept, or the ledger took its time: somebody else may have it by now,
            # and what was said meanwhile is not in this lease.
            reason = "its lease was too old to send on it"
            self._landed.append(
                Settlement(lease=lease, state=DeliveryState.READY, at=now, next_at=now, reason=reason)
            )
            return
        began_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                settlement = await dispatcher.deliver(lease)
        except TimeoutError:
            settlement = self._unknown(dispatcher, lease, f"no answer within {SEND_LIMIT_S:.0f} s")
        except asyncio.CancelledError:
            # Only drain cancels a flight, and this is its end.
            settlement = self._unknown(dispatcher, lease, "alertd was stopped before an answer came")
        self._landed.append(replace(settlement, lease=self._leases[lease.delivery.id]))
        if settlement.outcome is not None and not self._is_ours(settlement.outcome, began_s):
            self._learn(dispatcher, settlement, settlement.outcome)

    def _in_time(self, now: datetime, now_s: float) -> bool:
        """By both clocks: the monotonic one stands still while the machine sleeps, the other can be set."""
        age = max(self._clock.now() - now, timedelta(seconds=self._clock.monotonic() - now_s))
        return age < LEAVES_WITHIN

    def _is_ours(self, outcome: Outcome, began_s: float) -> bool:
        """Whether it may be this node that failed, and not the receiver."""
        no_answer = isinstance(outcome, Retry) and outcome.after is None
        return no_answer and self._stood_still(began_s)

    def _learn(self, dispatcher: Dispatcher, settlement: Settlement, outcome: Outcome) -> None:
        """What it says of the channel; the operator hears when that pauses it, or ends its pause."""
        channel = settlement.lease.delivery.channel
        turn = self._gates.landed(channel, outcome, self._clock.monotonic())
        match turn:
            case BreakerChange.NONE:
                return
            case BreakerChange.OPENED:
                self._log.warning(Event.CHANNEL_PAUSED, channel=channel, reason=settlement.reason)
            case BreakerChange.CLOSED:
                self._log.info(Event.CHANNEL_RESUMED, channel=channel)
        self._notices += dispatcher.channel_notices(channel, turn, settlement.reason, settlement.at)

    def _unknown(self, dispatcher: Dispatcher, lease: Lease, reason: str) -> Settlement:
        now = self._clock.now()
        members, _ = live_members(lease, now)
        return dispatcher.settlement(lease, members, Retry(reason=reason, unknown=True), now)

    def _forget(self, task: asyncio.Task[None]) -> None:
        lease = self._tasks.pop(task)
        del self._leases[lease.delivery.id]
        self._on_landed()


async def _close(notifiers: Mapping[str, Notifier]) -> None:
    for notifier in notifiers.values():
        await notifier.aclose()
