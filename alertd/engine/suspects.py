"""Leases the deliveries whose last lease was lost, since one of them may end the process again.

After the first such lease, at most one such delivery is in flight on each channel. After the second, the
delivery is sent while nothing else is in flight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from alertd.core.ledger.records import Delivery, Known, Lease
from alertd.engine.delivery import ClockReading
from alertd.engine.leasing import Leaser
from alertd.ports import Clock

ALONE_FOR_S = 5.0
"""Seconds for which nothing else is started beside a delivery that is sent alone. A message that ends the
process does so in the first moments of its attempt."""

WAIT_ALONE_S = 60.0
"""Seconds that a delivery waits to be sent alone. Then it is sent beside others, since channels that hang
must not delay it for long."""

LOST_AGAIN_S = 1.0
"""Seconds after which lost leases are looked for again, while other sends are in flight."""


class SuspectLeases:
    """Leases suspects, as those deliveries are called here, for one node."""

    def __init__(self, leaser: Leaser, clock: Clock) -> None:
        self._leaser = leaser
        self._clock = clock
        self._idle_s = self._alone_until_s = self._look_again_s = clock.monotonic()

    def note_idle(self) -> None:
        """Note that nothing is in flight at the moment."""
        self._idle_s = self._clock.monotonic()

    def is_one_alone(self, deliveries: Iterable[Delivery]) -> bool:
        """Tell whether a delivery was started alone just now, so that nothing may be started beside it.

        Args:
            deliveries: the deliveries in flight.
        """
        if self._clock.monotonic() >= self._alone_until_s:
            return False
        return any(delivery.lost_leases > 1 for delivery in deliveries)

    async def lease(
        self,
        reading: ClockReading,
        known: Known | None,
        held: Collection[str],
        deliveries: Collection[Delivery],
    ) -> Sequence[Lease]:
        """Lease the suspects that may be sent now.

        Args:
            held: ids of deliveries that are being sent or are not settled yet.
            deliveries: the deliveries in flight.
        """
        now_s = reading.monotonic_s
        suspects = [delivery for delivery in deliveries if delivery.lost_leases]
        if any(delivery.lost_leases > 1 for delivery in suspects):
            return ()
        if deliveries and now_s < self._look_again_s:
            return ()
        leases = await self._leaser.lease_lost(
            reading,
            known,
            held,
            besides={delivery.channel for delivery in suspects},
            alone=not deliveries or now_s - self._idle_s >= WAIT_ALONE_S,
        )
        if not leases and not suspects:
            self._look_again_s = now_s + LOST_AGAIN_S
        if any(lease.delivery.lost_leases > 1 for lease in leases):
            self._alone_until_s = self._clock.monotonic() + ALONE_FOR_S
        return leases
