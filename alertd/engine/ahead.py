"""The deliveries that this node has leased ahead and has not begun to send, by channel.

A delivery goes through this queue in two steps. First it is only leased: the ledger knows that nothing was
begun, and a crash makes no suspect of it. Then the ledger records, for a group, that it begins, and checks
that nobody has acted on its milestones since. From then on it may be started without asking the ledger, but
only for a moment: after :data:`BEGUN_FOR`, the ledger is asked again. So an acknowledgement, in whichever
process, is obeyed by all that it does not find begun.

The queue of a channel is in the order of the ledger: the longest due first.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertd.core.ledger.records import Lease
from alertd.engine.delivery import ClockReading
from alertd.ports import Clock

BEGUN_FOR = timedelta(milliseconds=100)
"""How long a delivery may be started after the ledger was asked whether it may begin."""

KEPT_FOR = timedelta(seconds=1)
"""How long a delivery is kept that is leased ahead. Then it is given back, since its channel has become slow.
This is much shorter than the lease."""


@dataclass(slots=True, kw_only=True)
class LeasedDelivery:
    """A delivery that is leased ahead.

    Attributes:
        leased: the clocks when the lease was asked for.
        begun: the clocks when the ledger was asked to begin; None: it has not begun.
    """

    lease: Lease
    leased: ClockReading
    begun: ClockReading | None = None


class _Queue:
    """The queue of one channel. The first ``ready`` entries have begun."""

    __slots__ = ("entries", "is_listed", "ready")

    def __init__(self) -> None:
        self.entries: deque[LeasedDelivery] = deque()
        self.ready = 0
        self.is_listed = False

    def count_ready(self) -> None:
        self.ready = 0
        for entry in self.entries:
            if entry.begun is None:
                return
            self.ready += 1


class LeasedAhead:
    """The queues of all channels.

    Args:
        count_begun: returns how many deliveries of a channel are to have begun, at an instant of the
            monotonic clock (s).
    """

    def __init__(self, clock: Clock, count_begun: Callable[[str, float], int]) -> None:
        self._clock = clock
        self._count_begun = count_begun
        self._queues: dict[str, _Queue] = {}
        self._entries: dict[str, LeasedDelivery] = {}
        self._heads: list[tuple[datetime, str, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def count(self, channel: str) -> int:
        """Return how many deliveries of a channel wait."""
        queue = self._queues.get(channel)
        return len(queue.entries) if queue else 0

    def count_all(self) -> dict[str, int]:
        """Return how many deliveries wait, by channel. Channels with none are left out."""
        return {channel: len(queue.entries) for channel, queue in self._queues.items()}

    def add(self, lease: Lease, leased: ClockReading) -> None:
        """Add a lease at the end of its channel's queue. A delivery that is there already gets the lease."""
        entry = self._entries.get(lease.delivery.id)
        channel = lease.delivery.channel
        if entry is not None:
            entry.lease, entry.leased, entry.begun = lease, leased, None
            self._queues[channel].count_ready()
            return
        entry = self._entries[lease.delivery.id] = LeasedDelivery(lease=lease, leased=leased)
        self._queues.setdefault(channel, _Queue()).entries.append(entry)

    # -- begin

    def list_to_begin(self, limit: int, *, by_half: bool = True) -> list[LeasedDelivery]:
        """List what is to begin next. At most ``limit`` are listed.

        Args:
            by_half: a channel is passed over while more than half of what is to have begun has begun.
        """
        found: list[LeasedDelivery] = []
        now_s = self._clock.monotonic()
        for channel, queue in self._queues.items():
            number = self._count_begun(channel, now_s)
            if not self._is_wanting(queue, number // 2 + 1 if by_half else number):
                continue
            for place, entry in enumerate(queue.entries):
                if place >= number or len(found) >= limit:
                    break
                if place >= queue.ready:
                    found.append(entry)
        return found

    def wants_begin(self, channel: str) -> bool:
        """Tell whether :meth:`list_to_begin` lists deliveries of a channel."""
        queue = self._queues.get(channel)
        if queue is None:
            return False
        number = self._count_begun(channel, self._clock.monotonic())
        return self._is_wanting(queue, number // 2 + 1)

    @staticmethod
    def _is_wanting(queue: _Queue, number: int) -> bool:
        return queue.ready < min(number, len(queue.entries))

    def begin(
        self, asked: Sequence[LeasedDelivery], refused: Collection[str], reading: ClockReading
    ) -> list[Lease]:
        """Note what has begun. Returns the leases that were refused, which are in no queue any more.

        Args:
            asked: what the ledger was asked to begin. Some of it may have been given back meanwhile.
            refused: ids of those that the ledger refused.
            reading: the clocks when it was asked.
        """
        gone = []
        channels = set()
        for entry in asked:
            name = entry.lease.delivery.id
            if self._entries.get(name) is not entry:
                continue
            channels.add(entry.lease.delivery.channel)
            if name in refused:
                gone.append(entry.lease)
            else:
                entry.begun = reading
        if gone:
            names = {lease.delivery.id for lease in gone}
            self._take(channels, lambda entry: entry.lease.delivery.id in names)
        for channel in channels & self._queues.keys():
            self._queues[channel].count_ready()
            self.list_channel(channel)
        return gone

    # -- start

    def list_channel(self, channel: str) -> None:
        """Have :meth:`pop_channel` return a channel, if any of its deliveries have begun."""
        queue = self._queues.get(channel)
        if queue is not None and queue.ready and not queue.is_listed:
            delivery = queue.entries[0].lease.delivery
            queue.is_listed = True
            heapq.heappush(self._heads, (delivery.next_at, delivery.id, channel))

    def list_channels(self) -> list[str]:
        """List the channels with deliveries, and have :meth:`pop_channel` return those that have begun."""
        for channel in self._queues:
            self.list_channel(channel)
        return list(self._queues)

    def pop_channel(self) -> str | None:
        """Return the channel whose next delivery has been due for the longest time; None: none has begun."""
        while self._heads:
            _, _, channel = heapq.heappop(self._heads)
            queue = self._queues.get(channel)
            if queue is not None and queue.is_listed:
                queue.is_listed = False
                if queue.ready:
                    return channel
        return None

    def pop(self, channel: str) -> LeasedDelivery | None:
        """Return the next delivery of a channel that may be started; None: the ledger must be asked first."""
        queue = self._queues.get(channel)
        if queue is None or not queue.ready:
            return None
        entry = queue.entries[0]
        if entry.begun is None or entry.begun.measure_age(ClockReading.take(self._clock)) > BEGUN_FOR:
            for stale in queue.entries:
                stale.begun = None
            queue.ready = 0
            return None
        queue.entries.popleft()
        queue.ready -= 1
        del self._entries[entry.lease.delivery.id]
        if not queue.entries:
            del self._queues[channel]
        return entry

    # -- give back

    def take_all(self) -> list[Lease]:
        """Take everything out of the queues."""
        return self._take(self._queues, lambda _entry: True)

    def take_channel(self, channel: str) -> list[Lease]:
        """Take everything out of the queue of a channel."""
        return self._take([channel], lambda _entry: True)

    def take_milestones(self, channel: str, milestones: Collection[str]) -> list[Lease]:
        """Take the deliveries of a channel that are about any of these milestones."""
        return self._take([channel], lambda entry: not entry.lease.records.keys().isdisjoint(milestones))

    def take_old(self) -> list[Lease]:
        """Take what was leased longer ago than :data:`KEPT_FOR`."""
        now = ClockReading.take(self._clock)
        return self._take(self._queues, lambda entry: entry.leased.measure_age(now) > KEPT_FOR)

    def _take(self, channels: Iterable[str], is_wanted: Callable[[LeasedDelivery], bool]) -> list[Lease]:
        taken: list[Lease] = []
        for channel in list(channels):
            queue = self._queues.get(channel)
            if queue is None:
                continue
            kept: deque[LeasedDelivery] = deque()
            for entry in queue.entries:
                if is_wanted(entry):
                    taken.append(entry.lease)
                    del self._entries[entry.lease.delivery.id]
                else:
                    kept.append(entry)
            queue.entries = kept
            queue.count_ready()
            if not kept:
                del self._queues[channel]
        return taken
