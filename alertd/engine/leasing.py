"""Leases for one node: what may start now, what is sent next, and what has lost its lease.

How much is leased follows from the places that are free and from the pace of each channel
(:mod:`alertd.engine.backpressure`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from alertd.core.ledger.records import Known, Lease
from alertd.engine.ahead import LeasedAhead
from alertd.engine.backpressure import ChannelBackpressure, SenderLimits
from alertd.engine.delivery import ClockReading
from alertd.ports import AHEAD_FOR, LEASE_FOR, Clock, DeliveryQueue, LostLeases

LEASE_LIMIT = 200
"""Deliveries that are leased in one transaction."""


class Leaser:
    """Leases deliveries up to the limits.

    Args:
        node: the name of this node in its leases.
        ahead: what is leased ahead already.
        busy: how many sends are in flight on each channel. The sender counts them.

    Attributes:
        channels: the channels that the node sends on.
        reserved: how many of the places over all are kept for what is being leased now.
    """

    def __init__(
        self,
        ledger: DeliveryQueue,
        clock: Clock,
        *,
        node: str,
        limits: SenderLimits,
        backpressure: ChannelBackpressure,
        ahead: LeasedAhead,
        busy: Counter[str],
    ) -> None:
        self.channels: Collection[str] = ()
        self.reserved = 0
        self._ledger = ledger
        self._clock = clock
        self._node = node
        self._limits = limits
        self._backpressure = backpressure
        self._ahead = ahead
        self._busy = busy
        self._full: set[str] = set()

    def use(self, channels: Collection[str]) -> None:
        """Lease for these channels from now on."""
        self.channels = channels
        self._full.intersection_update(channels)

    def find_shut(self) -> tuple[frozenset[str], timedelta | None]:
        """Find the channels of which nothing may be leased now, and when the first of them opens."""
        now_s = self._clock.monotonic()
        shut = [name for name in self._backpressure.list_channels() if not self._is_wanting(name, now_s)]
        return frozenset(shut), self._backpressure.find_next_opening(shut, now_s)

    def may_have_more(self) -> bool:
        """Tell whether more may be leased for a channel for which the ledger had enough the last time."""
        now_s = self._clock.monotonic()
        return any(self._is_wanting(name, now_s) for name in self._full)

    def expect_more(self, channels: Iterable[str]) -> None:
        """Note that the ledger has something ready for these channels."""
        self._full.update(channels)

    async def lease_next(
        self, reading: ClockReading, known: Known | None, held: Collection[str]
    ) -> tuple[Sequence[Lease], bool]:
        """Lease what may start now, up to the limits over all and for each channel.

        Args:
            held: ids of deliveries that are being sent or are not settled yet.

        Returns:
            the leases, and whether the limit over all was reached.
        """
        room = self._measure_rooms(reading.monotonic_s)
        if not self._may_find(known, room):
            return (), False
        limit = self._limits.in_flight - self._busy.total()
        reserved = max(0, min(limit, sum(room.values())))
        per_channel = max(self._limits.per_channel, *room.values(), 0)
        if limit <= 0:
            # Nothing more may be in flight, except one send on each channel that has none.
            limit, per_channel = self._limits.in_flight, 1
            room = {name: 0 if self._busy[name] else number for name, number in room.items()}
        limit = min(limit, LEASE_LIMIT)
        self.reserved = reserved
        try:
            leases = await self._ledger.lease(
                self._node,
                reading.at,
                duration=LEASE_FOR,
                limit=limit,
                per_channel=per_channel,
                most=room,
                held=held,
                lost=LostLeases.LEFT_OUT,
                known=known,
            )
        finally:
            self.reserved = 0
        self._note_full(leases, limit, {name: min(number, per_channel) for name, number in room.items()})
        return leases, len(leases) >= limit

    async def lease_ahead(self, reading: ClockReading, known: Known | None) -> Sequence[Lease]:
        """Lease, for the channels that have all their places taken, what they send next."""
        now_s = reading.monotonic_s
        most = {
            name: self._count_wanted_ahead(name, now_s) if self._busy[name] else 0 for name in self.channels
        }
        limit = min(sum(most.values()), LEASE_LIMIT)
        if not limit:
            return ()
        if known is not None:
            # Nothing is leased ahead that nobody knows.
            known = replace(known, strays_before=None)
        leases = await self._ledger.lease(
            self._node,
            reading.at,
            duration=AHEAD_FOR,
            limit=limit,
            per_channel=limit,
            most=most,
            lost=LostLeases.LEFT_OUT,
            known=known,
            ahead=True,
        )
        self._note_full(leases, limit, most)
        return leases

    async def lease_lost(
        self,
        reading: ClockReading,
        known: Known | None,
        held: Collection[str],
        *,
        besides: Collection[str],
        alone: bool,
    ) -> Sequence[Lease]:
        """Lease deliveries whose last lease was lost: one for each channel, or else one alone.

        Args:
            besides: channels on which such a delivery is in flight already.
            alone: whether one may be sent alone.
        """
        return await self._ledger.lease(
            self._node,
            reading.at,
            duration=LEASE_FOR,
            limit=LEASE_LIMIT,
            per_channel=1,
            most=self._measure_rooms(reading.monotonic_s) | dict.fromkeys(besides, 0),
            held=held,
            lost=LostLeases.ALONE if alone else LostLeases.FEW,
            known=known,
        )

    @staticmethod
    def _may_find(known: Known | None, room: Mapping[str, int]) -> bool:
        """Tell whether anything may be leased at all: on a channel with room, or one that is not known."""
        if known is None or known.channels is None or known.strays_before is not None:
            return True
        return any(room.get(name, 1) for name in known.channels)

    def _is_wanting(self, channel: str, now_s: float) -> bool:
        return self._measure_room(channel, now_s) > 0 or self._count_wanted_ahead(channel, now_s) > 0

    def _measure_room(self, channel: str, now_s: float) -> int:
        """Return how many more sends may start on a channel, besides what waits for a place already."""
        return self._backpressure.room(channel, self._busy[channel], now_s) - self._ahead.count(channel)

    def _measure_rooms(self, now_s: float) -> dict[str, int]:
        names = {*self.channels, *(+self._busy)}
        return {name: max(0, self._measure_room(name, now_s)) for name in names}

    def _count_wanted_ahead(self, channel: str, now_s: float) -> int:
        """Return how many deliveries to lease ahead for a channel; 0 while half of them are there."""
        ahead, waiting = self._backpressure.count_ahead(channel, now_s), self._ahead.count(channel)
        if waiting > ahead // 2 or self._measure_room(channel, now_s) > 0:
            return 0
        return ahead - waiting

    def _note_full(self, leases: Sequence[Lease], limit: int, most: Mapping[str, int]) -> None:
        """Note for which channels as much was leased as was asked for, so that more may be ready."""
        if len(leases) >= limit:
            self._full.update(self.channels)
            return
        numbers = Counter(lease.delivery.channel for lease in leases)
        for name, number in most.items():
            if number and numbers[name] >= number:
                self._full.add(name)
            elif number:
                self._full.discard(name)
