"""Leases what is ready, sends it in tasks, and settles how it ended.

The way of a delivery is read from top to bottom: :meth:`Sender.start` leases, ``_send`` hands the lease to
:meth:`alertd.engine.delivery.Dispatcher.deliver`, and :meth:`Sender.settle` writes down how it ended.

- The number of sends in flight is bounded, in all and for each channel.
- A channel that sends much has deliveries that are leased ahead (:mod:`alertd.engine.ahead`). When a send
  ends, the next one starts at once. If places are few, the delivery that has been due the longest is next.
- Outcomes are settled in groups (:mod:`alertd.engine.settling`).
- A timeout that expires while this node stalls says nothing about the receiver. The delivery is tried
  again, and the timeout does not count as a failure of the channel.
- A delivery whose lease ended without a settlement may have ended the process. It is sent beside few others,
  and then alone (:mod:`alertd.engine.suspects`). So a message that ends the process is found, and other
  messages are not suspected.
- Whatever is raised on the way of a delivery becomes an attempt that is tried again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from alertd.core.ledger.backpressure import Rate
from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.ledger.records import DeliveryState, Known, Lease
from alertd.engine.ahead import LeasedAhead, LeasedDelivery
from alertd.engine.backpressure import LIMITS, NO_RATES, ChannelBackpressure, SenderLimits
from alertd.engine.breakers import BreakerReports
from alertd.engine.delivery import ClockReading, Dispatcher
from alertd.engine.giving_back import LeasesToRelease
from alertd.engine.leasing import Leaser
from alertd.engine.observer import Observer, log_lost_lease
from alertd.engine.retired import RetiredNotifiers
from alertd.engine.settling import SETTLE_LIMIT, SenderLedger, Settler
from alertd.engine.suspects import SuspectLeases
from alertd.errors import LedgerError
from alertd.ports import LEASE_FOR, Clock, Notifier, Settlement
from alertd.system.telemetry import Event, Log

MAX_IN_FLIGHT = LIMITS.in_flight
PER_CHANNEL = LIMITS.per_channel

MAX_ROUNDS = 32
"""Rounds of leasing and settling, before the daemon sees to other work."""

SETTLE_WITHIN_S = 0.02
"""Seconds after which the first outcome of a group is settled."""

CANCEL_LIMIT_S = 2.0
"""Seconds that a cancelled send has to end."""


class Sender:
    """Leases, sends, and settles.

    Args:
        node: the name of this node in its leases.
        on_finished: called when there may be something to lease or to wait for, since sends have ended.
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
        limits: SenderLimits = LIMITS,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._node = node
        self._on_finished = on_finished
        self._has_stalled = has_stalled
        self._observer = observer or Observer()
        self._limits = limits
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._leases: dict[str, LeasedDelivery] = {}
        self._busy: Counter[str] = Counter()
        self._settler = Settler(ledger, log, self._observer, self._settle_group)
        self._settling = asyncio.Lock()
        self._worker: asyncio.Task[None] | None = None
        self._has_changed = asyncio.Event()
        self._group_ends_s = 0.0
        self._is_ledger_failing = False
        self._dispatcher: Dispatcher | None = None
        self._known: Known | None = None
        self._leasing = asyncio.Lock()  # what is free counts for one lease at a time
        self._retired = RetiredNotifiers(log)
        self._backpressure = ChannelBackpressure(limits)
        self._ahead = LeasedAhead(clock, self._backpressure.count_begun)
        self._breakers = BreakerReports(self._backpressure, clock, log, self._settler.notices)
        self._leaser = Leaser(
            ledger,
            clock,
            node=node,
            limits=limits,
            backpressure=self._backpressure,
            ahead=self._ahead,
            busy=self._busy,
        )
        self._released = LeasesToRelease(ledger, self._ahead, self._leaser)
        self._suspects = SuspectLeases(self._leaser, clock)

    @property
    def count(self) -> int:
        """How many sends are in flight."""
        return len(self._tasks)

    @property
    def unsettled(self) -> int:
        """How many deliveries are being sent, or have been sent and are not settled."""
        return len(self._settler.finished) + len(self._tasks)

    @property
    def in_flight(self) -> Mapping[str, int]:
        """How many sends are in flight, by channel. Channels with none are left out."""
        return +self._busy

    @property
    def leased_ahead(self) -> Mapping[str, int]:
        """How many deliveries are leased ahead, by channel. Channels with none are left out."""
        return self._ahead.count_all()

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """The sends in flight, and the task that settles and begins in groups."""
        return [*self._tasks, *([self._worker] if self._worker is not None else [])]

    @property
    def paused(self) -> tuple[str, ...]:
        """Channels whose receiver does not answer."""
        return self._backpressure.paused()

    def use(self, notifiers: Mapping[str, Notifier], rates: Mapping[str, Rate | None] = NO_RATES) -> None:
        """Send by these notifiers from now on. What was leased ahead for the previous ones is given back.

        The previous ones are closed when nothing is in flight, so that a reload cancels no send.
        """
        self._dispatcher = None
        self._released.add(self._ahead.take_all())
        self._retired.use(notifiers)
        self._backpressure.use({channel: rates.get(channel) for channel in notifiers})
        self._leaser.use(notifiers.keys())
        self._breakers.use(notifiers.keys())

    def find_shut(self) -> tuple[frozenset[str], timedelta | None]:
        """Find the channels of which nothing may be leased now, and when the first of them opens."""
        return self._leaser.find_shut()

    # -- lease

    async def start(self, dispatcher: Dispatcher, known: Known | None = None) -> None:
        """Lease what is ready and start to send it, up to the limits. Then lease ahead.

        Sends that have finished are settled before more is leased, or soon after. The method returns after
        :data:`MAX_ROUNDS`, so that a long backlog does not hold up other work.

        Args:
            known: what this node knows. Deliveries that it does not know are left alone until they are
                strays; None: nothing is left alone.

        Raises:
            LedgerError: the ledger cannot be used; nothing is lost.
        """
        self._dispatcher, self._known = dispatcher, known
        self._breakers.check_holds(dispatcher.config)
        if not self._tasks:
            self._suspects.note_idle()
        for _ in range(MAX_ROUNDS):
            await self.settle_unless_soon()
            if self._is_one_alone():
                return
            async with self._leasing:
                reading = ClockReading.take(self._clock)
                leases, is_full = await self._leaser.lease_next(reading, known, self._list_held())
                self._start_all(dispatcher, leases, reading)
            self._start_next()
            if not is_full:
                break
        if self._worker is None or not self._leaser.may_have_more():
            # Otherwise the worker leases ahead. What has fallen due must not wait here for that lease.
            await self._lease_ahead()
        self._go_on()
        await self._start_lost(dispatcher, known)

    async def _lease_ahead(self) -> None:
        """Lease what the busy channels send next, by what this node knew at the last :meth:`start`."""
        if self._leasing.locked() or self._dispatcher is None or self._is_one_alone():
            return
        dispatcher = self._dispatcher
        async with self._leasing:
            reading = ClockReading.take(self._clock)
            leases = await self._leaser.lease_ahead(reading, self._known)
            fresh = [lease for lease in leases if not self._renew(lease, reading)]
            if self._dispatcher is not dispatcher:
                # The configuration has changed meanwhile, or the sender drains.
                self._released.add(fresh)
                return
            for lease in fresh:
                self._ahead.add(lease, reading)

    async def _start_lost(self, dispatcher: Dispatcher, known: Known | None) -> None:
        """Start deliveries whose last lease was lost, if any may be sent now."""
        reading = ClockReading.take(self._clock)
        deliveries = [held.lease.delivery for held in self._leases.values()]
        leases = await self._suspects.lease(reading, known, self._list_held(), deliveries)
        self._start_all(dispatcher, leases, reading)

    def _list_held(self) -> frozenset[str]:
        """List the deliveries that are being sent, or are not settled yet."""
        return frozenset((*self._leases, *(lease.delivery.id for lease in self._settler.list_unsettled())))

    # -- start

    def _start_all(self, dispatcher: Dispatcher, leases: Sequence[Lease], leased: ClockReading) -> None:
        for lease in leases:
            if not self._renew(lease, leased):
                self._start(dispatcher, lease, leased)

    def _renew(self, lease: Lease, leased: ClockReading) -> bool:
        """Hold a delivery by a new lease. Returns whether it is being sent, or has been and is not settled.

        A lease can run out early when the wall clock is stepped or the machine sleeps. Then such a delivery
        gets the new lease and is not sent twice.
        """
        name = lease.delivery.id
        is_finished, is_sending = self._settler.renew(lease), name in self._leases
        if is_sending:
            self._leases[name] = LeasedDelivery(lease=lease, leased=leased)
        return is_finished or is_sending

    def _start(self, dispatcher: Dispatcher, lease: Lease, leased: ClockReading) -> None:
        delivery = lease.delivery
        self._backpressure.take(delivery.channel, 1, leased.monotonic_s)
        self._leases[delivery.id] = LeasedDelivery(lease=lease, leased=leased)
        self._busy[delivery.channel] += 1
        if delivery.lost_leases:
            log_lost_lease(self._log, lease)
            self._observer.lost(lease)
        task = asyncio.create_task(self._send(dispatcher, lease, leased))
        self._tasks[task] = delivery.id
        task.add_done_callback(self._forget)

    async def _send(self, dispatcher: Dispatcher, lease: Lease, leased: ClockReading) -> None:
        began_s = self._clock.monotonic()
        settlement = await dispatcher.deliver(lease, leased)
        delivery = lease.delivery
        if settlement.lease is not (current := self._leases[delivery.id].lease):
            settlement = replace(settlement, lease=current)
        self._settler.finished.append(settlement)
        self._backpressure.finish(delivery.channel, self._clock.monotonic())
        if settlement.outcome is not None and not self._is_own_failure(settlement.outcome, began_s):
            self._breakers.update(dispatcher.config, settlement, settlement.outcome)
            if not isinstance(settlement.outcome, Sent) and self._backpressure.is_shut(
                delivery.channel, self._clock.monotonic()
            ):
                # The channel pauses, so a later moment or another node serves what waits for it.
                self._released.add(self._ahead.take_channel(delivery.channel))
        if settlement.remember:
            self._released.add_outdated(delivery.channel, settlement.remember.keys())

    def _forget(self, task: asyncio.Task[None]) -> None:
        held = self._leases.pop(self._tasks.pop(task))
        channel = held.lease.delivery.channel
        self._busy[channel] -= 1
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._log.error(Event.NOTIFIER_FAILED, channel=channel, exc_info=error)
        self._start_next(channel)
        if not self._tasks:
            self._on_finished()
        self._go_on(channel)

    def _start_next(self, ended: str | None = None) -> None:
        """Start what has begun and waits for a place: the longest due first.

        Args:
            ended: the channel on which a send has just ended; None: any channel may have a place.
        """
        dispatcher = self._dispatcher
        if dispatcher is None or self._is_one_alone():
            return
        if ended is None:
            for channel in self._ahead.list_channels():
                if not self._busy[channel]:
                    self._start_waiting(dispatcher, channel)
        elif not self._busy[ended]:
            self._start_waiting(dispatcher, ended)
        else:
            self._ahead.list_channel(ended)
        while len(self._tasks) + self._leaser.reserved < self._limits.in_flight:
            following = self._ahead.pop_channel()
            if following is None:
                return
            if self._start_waiting(dispatcher, following):
                self._ahead.list_channel(following)

    def _start_waiting(self, dispatcher: Dispatcher, channel: str) -> bool:
        """Start the next delivery of a channel that has begun, if there is one and it has a place."""
        if self._backpressure.room(channel, self._busy[channel], self._clock.monotonic()) <= 0:
            return False
        entry = self._ahead.pop(channel)
        if entry is None or entry.begun is None:
            return False
        self._start(dispatcher, entry.lease, entry.begun)
        return True

    def _is_one_alone(self) -> bool:
        return self._suspects.is_one_alone(held.lease.delivery for held in self._leases.values())

    # -- settle and begin, in groups

    async def settle(self) -> None:
        """Write down how sends ended, give back what is let go, and start what has begun and has a place.

        Notifiers that are no longer used are closed when nothing is in flight.

        Raises:
            LedgerError: the ledger cannot be written; the outcomes are kept.
        """
        async with self._settling:
            await self._write()
            await self._begin()
        if not self._tasks:
            await self._retired.close()

    async def settle_unless_soon(self) -> None:
        """Settle, unless a task is about to, within :data:`SETTLE_WITHIN_S`.

        While much is being sent, that task nearly always writes a group, and a reminder that has just fallen
        due would wait for the group before it is looked for.

        Raises:
            LedgerError: the ledger cannot be written; the outcomes are kept.
        """
        if self._worker is None:
            await self.settle()

    async def _write(self) -> list[Settlement]:
        """Settle what has ended, and give back what is let go. Returns what was settled."""
        settled = await self._settler.settle()
        self._released.add(self._ahead.take_old())
        await self._released.release()
        self._is_ledger_failing = False
        return settled

    async def _settle_group(self, group: Sequence[Settlement]) -> frozenset[str]:
        """Settle a group, and have the ledger begin in the same transaction what is next in the queues.

        Returns:
            the deliveries that were not settled.
        """
        asked = self._ahead.list_to_begin(SETTLE_LIMIT, by_half=False)
        if not asked:
            return await self._ledger.settle(group)
        reading, leases = ClockReading.take(self._clock), [entry.lease for entry in asked]
        stale, refused = await self._ledger.settle_and_begin(group, leases, reading.at, duration=LEASE_FOR)
        self._released.add(self._ahead.begin(asked, refused, reading))
        self._start_next()
        return stale

    async def _begin(self) -> None:
        """Have the ledger begin what is next in the queues, and start it where there is a place."""
        while asked := self._ahead.list_to_begin(SETTLE_LIMIT):
            reading = ClockReading.take(self._clock)
            leases = [entry.lease for entry in asked]
            refused = await self._ledger.begin(leases, reading.at, duration=LEASE_FOR)
            self._released.add(self._ahead.begin(asked, refused, reading))
            if not refused:
                break
        self._start_next()

    def _go_on(self, channel: str | None = None) -> None:
        """See that what has ended is settled soon, and that what waits begins now.

        Args:
            channel: the only channel of which something more may begin; None: any channel.
        """
        if self._is_ledger_failing:
            return
        if self._worker is None:
            if self._settler.finished or self._may_begin(channel):
                self._group_ends_s = asyncio.get_running_loop().time() + SETTLE_WITHIN_S
                self._worker = asyncio.create_task(self._work())
        elif len(self._settler.finished) >= SETTLE_LIMIT or self._may_begin(channel):
            self._has_changed.set()

    def _may_begin(self, channel: str | None = None) -> bool:
        """Tell whether deliveries wait of which the ledger is to be asked whether they may begin."""
        if self._dispatcher is None or self._is_one_alone():
            return False
        return self._ahead.wants_begin(channel) if channel else bool(self._ahead.list_to_begin(1))

    async def _work(self) -> None:
        """Settle and begin in groups, until everything is settled and nothing more may begin."""
        loop = asyncio.get_running_loop()
        try:
            while self._settler.finished or self._may_begin():
                self._has_changed.clear()
                left_s = self._group_ends_s - loop.time()
                if left_s > 0 and len(self._settler.finished) < SETTLE_LIMIT and not self._may_begin():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._has_changed.wait(), left_s)
                        continue
                    # The time of the group is over, even if the clock of the loop is a little before its end.
                async with self._settling:
                    has_notices = bool(self._settler.notices)
                    settled = await self._write()
                    await self._begin()
                # What has ended meanwhile goes with the next group.
                self._group_ends_s = loop.time() + SETTLE_WITHIN_S
                if self._leaser.may_have_more():
                    # The loop may be busy with binding, and the queues must not run empty meanwhile.
                    await self._lease_ahead()
                if has_notices or self._wants_turn(settled):
                    self._on_finished()
        except Exception:
            # The loop settles next. It meets the same error, and handles it.
            self._is_ledger_failing = True
            self._on_finished()
        finally:
            self._worker = None

    def _wants_turn(self, settled: Sequence[Settlement]) -> bool:
        """Tell whether the loop should look: there may be something to lease, or to wait for."""
        if any(
            ended.state is not DeliveryState.SENT or ended.follow_up or ended.lease.delivery.lost_leases
            for ended in settled
        ):
            return True
        return self._leaser.may_have_more()

    async def wait_finished(self) -> None:
        """Wait until nothing is in flight and everything is settled."""
        while self._tasks or self._settler.finished or len(self._ahead):
            if self._tasks:
                await asyncio.wait(list(self._tasks))
            await self.settle()
            if not self._tasks:
                self._released.add(self._ahead.take_all())
        async with self._settling:
            await self._released.release()

    async def drain(self, limit_s: float) -> int:
        """Give back what is leased ahead, and wait at most ``limit_s`` seconds for sends in flight.

        A send that is cut off is settled as unknown, so that it is sent again soon under the same id. All
        notifiers are closed.

        Returns:
            how many could not be settled. They are sent again when their leases end.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        self._dispatcher = None
        self._released.add(self._ahead.take_all())
        await self._try_to_settle()
        while self._tasks and loop.time() < until:
            left = until - loop.time()
            await asyncio.wait(list(self._tasks), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            await self._try_to_settle()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=CANCEL_LIMIT_S)
        await self._try_to_settle()
        if self._worker is not None:
            self._worker.cancel()
        self.use({})
        await self._retired.close()
        return self.unsettled

    async def _try_to_settle(self) -> None:
        try:
            await self.settle()
        except LedgerError as error:
            self._log.error(Event.LEDGER_FAILED, reason=str(error))

    # -- circuit breakers and notices

    def _is_own_failure(self, outcome: Outcome, began_s: float) -> bool:
        """Return whether this node may have failed, and not the receiver."""
        no_answer = isinstance(outcome, Retry) and outcome.after is None
        return no_answer and self._has_stalled(began_s)
