"""The deliveries that are ready, the leases on them, and how they end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from alertd.core.ledger.outcome import Outcome
from alertd.core.ledger.records import Attempt, Delivery, DeliveryState, Known, Lease
from alertd.core.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a leased delivery ended, or when it is to be tried again.

    Attributes:
        state: ``ready`` to try again at ``next_at``; anything else is final.
        attempt: the try itself; None when nothing was tried (all members unwanted).
        told: keys of the members that were in the message, when it was accepted.
        remember: state for the next send for the same milestone, by full id, or for the same channel.
        follow_up: deliveries to write down with it: the fallback's, a notice.
        outcome: the notifier's outcome. The ledger does not keep it; the sender updates the channel's
            backpressure from the outcome.
        tried_from: where the retry horizon starts from now on; None: it stays where it is.
    """

    lease: Lease
    state: DeliveryState
    at: datetime
    reason: Reason | None = None
    next_at: datetime | None = None
    attempt: Attempt | None = None
    told: tuple[str, ...] = ()
    remember: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    follow_up: tuple[Delivery, ...] = ()
    outcome: Outcome | None = None
    tried_from: datetime | None = None


class LostLeases(Enum):
    """What :meth:`DeliveryQueue.lease` does with deliveries whose last lease was lost."""

    INCLUDED = "included"
    """Leases them as it does all others."""
    LEFT_OUT = "left out"
    """Does not lease them."""
    FEW = "few"
    """Leases nothing else, and of these one for each channel that has lost one lease."""
    ALONE = "alone"
    """Does the same as ``FEW``. If that finds nothing, leases a delivery that has lost more leases."""


class DeliveryQueue(Protocol):
    """The deliveries that are ready, and the leases on them.

    Any node may lease. While a lease is live, no other node gets the delivery. A lease that runs out before
    the delivery is settled is given to another node, so a delivery may be sent twice, under the same id. Only
    the node with the latest lease can settle the delivery.
    """

    async def lease(
        self,
        owner: str,
        now: datetime,
        *,
        duration: timedelta,
        limit: int,
        per_channel: int,
        most: Mapping[str, int] = MappingProxyType({}),
        held: Collection[str] = (),
        lost: LostLeases = LostLeases.INCLUDED,
        known: Known | None = None,
        ahead: bool = False,
    ) -> Sequence[Lease]:
        """Lease ready deliveries with ``next_at <= now`` that have no live lease, the oldest first.

        A lease is live while the ledger's time is before its ``until``, which is ``duration`` from now. Each
        lease raises the delivery's fence by one. A lease that ends later than ``duration`` and
        :data:`LEASE_FOR` from now was taken by a clock that was ahead, so it is not live.

        A lease that has run out and that nobody has settled is lost. Leasing its delivery again records an
        attempt with an unknown outcome and raises ``lost_leases`` by one. A settlement with an attempt makes
        ``lost_leases`` 0.

        A lease that was taken ``ahead`` and has not begun is never lost: its delivery cannot have ended the
        process. When it has run out or was released, its delivery is leased again as if nothing had happened.

        Args:
            limit: the maximum number of leases.
            per_channel: the maximum number of leases for one channel.
            most: a lower maximum for each channel that it names.
            held: ids of deliveries that the caller is sending or has not settled yet. Their leases are not
                lost.
            lost: what is done with deliveries whose last lease was lost. ``limit`` and ``per_channel`` do not
                count for ``FEW`` and ``ALONE``, and a channel whose maximum is 0 is still left out.
            known: only deliveries on channels that the node knows, and strays; None: all.
            ahead: the caller does not begin to send yet. It calls :meth:`begin` before it does, or
                :meth:`release`.
        """

    async def begin(self, leases: Sequence[Lease], now: datetime, *, duration: timedelta) -> frozenset[str]:
        """Record that the caller is about to send what it has leased, and renew the leases.

        From now on these leases are as if they had been taken now and not ahead: they are live for
        ``duration`` and can be lost. A lease that has begun already begins again.

        A lease does not begin if the delivery is final, or was leased again or released since. It does not
        begin either if the milestone of a reminder in it has another status or other windows than the lease
        has, or is withdrawn. Such a lease must be decided about again, so the caller releases it.

        Returns:
            the ids of the deliveries that the caller must *not* send.
        """

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give back leases on deliveries that the caller has not begun to send, so that any node leases them.

        The deliveries are as they were before the leases, which are not lost. A lease that is not the
        delivery's latest lease, or whose delivery is final, is left alone. A lease may be released twice.
        """

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Write how deliveries ended. A settlement with state ``ready`` ends the lease.

        Returns:
            the ids that were *not* settled: the delivery is final, or was leased again since (its fence is
            newer).
        """

    async def settle_and_begin(
        self,
        settlements: Sequence[Settlement],
        leases: Sequence[Lease],
        now: datetime,
        *,
        duration: timedelta,
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Do :meth:`settle`, and then :meth:`begin` for the leases, all of both or nothing.

        Returns:
            what :meth:`settle` returns, and what :meth:`begin` returns.
        """

    async def find_next_wake(
        self,
        after: datetime,
        shut: frozenset[str] = frozenset(),
        *,
        lost: bool = True,
        known: Known | None = None,
    ) -> datetime | None:
        """Return the earliest instant at which there may be work, by the caller's clock.

        The instant is the earliest ``wake_at`` of a pending reminder, ``at`` of a digest, or ``next_at`` of a
        ready delivery; for a delivery that is leased beyond ``after``, the end of the lease counts instead.
        The instant may lie in the past. None: nothing is waiting.

        Args:
            shut: channels whose deliveries are ignored.
            lost: whether deliveries whose last lease was lost count.
            known: only what the node knows counts, without strays; None: everything does.
        """


LEASE_FOR = timedelta(minutes=5)
"""How long a delivery is taken for; longer than any notifier's total deadline."""

AHEAD_FOR = timedelta(seconds=10)
"""How long a lease ahead lasts. After a crash, other nodes wait no longer than this for its delivery."""
