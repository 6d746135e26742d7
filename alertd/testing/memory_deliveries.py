"""Lease, send and settle in the ledger in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from alertd.core.ledger.records import (
    CHANNEL,
    Delivery,
    DeliveryState,
    Known,
    Lease,
    ReminderState,
    ScheduledReminder,
)
from alertd.ports import (
    LEASE_FOR,
    LostLeases,
    Settlement,
)
from alertd.store import rules
from alertd.testing.memory_base import Hold, MemoryBase, sort_by_at


class MemoryDeliveries(MemoryBase):
    """Implements :class:`alertd.ports.DeliveryQueue`."""

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
        free = [
            delivery
            for delivery in self._find_free(now, now + duration + LEASE_FOR)
            if known is None
            or known.has_channel(delivery.receiver, delivery.channel)
            or known.is_stray(delivery.receiver, delivery.next_at)
        ]
        chosen: list[Delivery] = []
        match lost:
            case LostLeases.FEW | LostLeases.ALONE:
                found = [
                    (delivery.id, delivery.channel, number)
                    for delivery in free
                    if (number := self._count_lost(delivery))
                    and delivery.id not in held
                    and most.get(delivery.channel, per_channel) > 0
                ]
                names = rules.choose_lost(found, alone=lost is LostLeases.ALONE)
                chosen = [self._deliveries[name] for name in names]
            case LostLeases.INCLUDED | LostLeases.LEFT_OUT:
                of_channel: Counter[str] = Counter()
                for delivery in free:
                    room = min(per_channel, most.get(delivery.channel, per_channel))
                    is_lost = self._count_lost(delivery) > 0 and delivery.id not in held
                    is_left_out = is_lost and lost is LostLeases.LEFT_OUT
                    if not is_left_out and len(chosen) < limit and of_channel[delivery.channel] < room:
                        of_channel[delivery.channel] += 1
                        chosen.append(delivery)
        return self._lease(owner, now, chosen, duration=duration, held=held, known=known, ahead=ahead)

    async def begin(self, leases: Sequence[Lease], now: datetime, *, duration: timedelta) -> frozenset[str]:
        refused: set[str] = set()
        for lease in leases:
            name = lease.delivery.id
            is_changed = any(
                rules.has_changed(lease.records[owed.milestone], self._records[owed.milestone])
                for owed in lease.owed
            )
            if is_changed or not self._has_lease(lease):
                refused.add(name)
            else:
                self._holds[name] = replace(self._holds[name], until=now + duration, ahead=False)
        self._writes += 1
        return frozenset(refused)

    async def release(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            if self._has_lease(lease):
                self._holds[lease.delivery.id] = Hold(fence=lease.fence)
        self._writes += 1

    def _has_lease(self, lease: Lease) -> bool:
        """Tell whether a delivery that is not final has this lease, live or not."""
        there = self._deliveries.get(lease.delivery.id)
        if there is None or there.state is not DeliveryState.READY:
            return False
        hold = self._holds[there.id]
        return hold.until is not None and hold.fence == lease.fence

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        for settlement in settlements:
            self._refuse_strays((), settlement.follow_up, {})
        refused: set[str] = set()
        for settlement in settlements:
            name = settlement.lease.delivery.id
            there = self._deliveries.get(name)
            fence = self._holds[name].fence if there else 0
            if there is None or there.state is not DeliveryState.READY or fence != settlement.lease.fence:
                refused.add(name)
                continue
            self._holds[name] = Hold(fence=fence)
            self._deliveries[name] = replace(
                there,
                state=settlement.state,
                reason=settlement.reason,
                next_at=settlement.next_at or there.next_at,
                # The count starts from the leased delivery, so that a repeated settlement counts once.
                attempts=settlement.lease.delivery.attempts + (settlement.attempt is not None),
                settled_at=None if settlement.state is DeliveryState.READY else settlement.at,
                tried_from=settlement.tried_from or there.tried_from,
                # An attempt that was settled has not ended the process.
                lost_leases=0 if settlement.attempt else there.lost_leases,
            )
            self._settle_rest(settlement, there.channel)
        self._writes += 1
        return frozenset(refused)

    async def settle_and_begin(
        self,
        settlements: Sequence[Settlement],
        leases: Sequence[Lease],
        now: datetime,
        *,
        duration: timedelta,
    ) -> tuple[frozenset[str], frozenset[str]]:
        stale = await self.settle(settlements)
        return stale, await self.begin(leases, now, duration=duration)

    async def find_next_wake(
        self,
        after: datetime,
        shut: frozenset[str] = frozenset(),
        *,
        lost: bool = True,
        known: Known | None = None,
    ) -> datetime | None:
        waiting = self._list_undecided(known)
        for delivery in self._deliveries.values():
            if known is not None and not known.has_channel(delivery.receiver, delivery.channel):
                continue
            if delivery.state is DeliveryState.READY and delivery.channel not in shut:
                until = self._holds[delivery.id].until
                if until and until > after:
                    waiting.append(until)
                elif lost or not self._count_lost(delivery):
                    waiting.append(delivery.next_at)
        return min(waiting, default=None)

    def _find_free(self, now: datetime, latest: datetime) -> list[Delivery]:
        """Return the ready deliveries that are due and have no live lease, the oldest first.

        Args:
            latest: only a lease that was taken while the clock was ahead ends later.
        """
        free = [
            delivery
            for delivery in self._deliveries.values()
            if delivery.state is DeliveryState.READY
            and delivery.next_at <= now
            and not now < (self._holds[delivery.id].until or now) <= latest
        ]
        return sorted(free, key=lambda delivery: (delivery.next_at, delivery.id))

    def _lease(
        self,
        owner: str,
        now: datetime,
        chosen: Sequence[Delivery],
        *,
        duration: timedelta,
        held: Collection[str],
        known: Known | None,
        ahead: bool,
    ) -> Sequence[Lease]:
        latest, until, taken = self._find_latest_bound(), now + duration, []
        for found in chosen:
            delivery, hold = found, self._holds[found.id]
            if self._is_lost(hold) and delivery.id not in held:
                delivery = self._deliveries[found.id] = rules.count_lost_lease(delivery)
                lost = rules.make_lost_attempt(delivery, now)
                self._attempts.setdefault((lost.delivery, lost.number), lost)
            hold = self._holds[delivery.id] = Hold(
                fence=hold.fence + 1, owner=owner, until=until, ahead=ahead
            )
            lease = self._make_lease(delivery, hold, until, latest, now)
            if known is not None and not known.has_channel(delivery.receiver, delivery.channel):
                elsewhere = rules.find_owed_elsewhere(lease.owed, self._owed.values())
                lease = replace(lease, owed_elsewhere=elsewhere)
            taken.append(lease)
        self._writes += bool(taken)
        return taken

    def _make_lease(
        self,
        delivery: Delivery,
        hold: Hold,
        until: datetime,
        latest: Mapping[tuple[str, str, str], datetime],
        now: datetime,
    ) -> Lease:
        members = tuple(self._owed[key] for key in delivery.members)
        shown = delivery.edition.overview if delivery.edition else ()
        names = (*(owed.milestone for owed in members), *shown)
        records = {name: self._records[name] for name in names}
        prior = {
            name: self._remembered[name, delivery.channel]
            for name in (*records, CHANNEL)
            if (name, delivery.channel) in self._remembered
        }
        return Lease(
            delivery=delivery,
            owner=hold.owner,
            fence=hold.fence,
            until=until,
            owed=members,
            records=records,
            overtaken=rules.find_overtaken(members, latest),
            prior=prior,
            counted=self._count_dead(delivery),
            upcoming=rules.select_upcoming(
                members, shown, delivery.receiver, self._find_first_after(now, set(names))
            ),
        )

    def _count_dead(self, notice: Delivery) -> int:
        hour = notice.notice.counts if notice.notice else None
        return sum(
            hour is not None
            and delivery.state is DeliveryState.DEAD
            and delivery.channel == hour.channel
            and delivery.settled_at is not None
            and hour.begins <= delivery.settled_at < hour.ends
            for delivery in self._deliveries.values()
        )

    def _find_first_after(
        self, now: datetime, names: set[str]
    ) -> Mapping[tuple[str, str], ScheduledReminder]:
        first: dict[tuple[str, str], ScheduledReminder] = {}
        for owed in sort_by_at(
            reminder for reminder in self._owed.values() if reminder.milestone in names and reminder.at > now
        ):
            if owed.state is ReminderState.PENDING and owed.cause in rules.REMINDERS:
                first.setdefault((owed.milestone, owed.receiver), owed)
        return first

    def _settle_rest(self, settlement: Settlement, channel: str) -> None:
        if settlement.attempt:
            self._attempts.setdefault(
                (settlement.attempt.delivery, settlement.attempt.number), settlement.attempt
            )
        for key in settlement.told:
            owed = self._owed.get(key)
            if owed and owed.told_at is None:
                self._owed[key] = replace(owed, told_at=settlement.at)
        for milestone, state in settlement.remember.items():
            self._remembered[milestone, channel] = dict(state)
        self._write(deliveries=settlement.follow_up)
