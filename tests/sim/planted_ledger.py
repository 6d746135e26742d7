"""Faults planted in the ledger on purpose: each breaks one rule of the product, for the simulator to find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alertd.core.ledger.records import DeliveryState, Known, Lease, Record, ReminderState, Value
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import NO_ACTIONS
from alertd.core.planning.decide import Decisions
from alertd.ports import Changes, Settlement
from tests.sim.ledger import SimLedger


class MarksBeforeSend(SimLedger):
    """What is taken is called sent at once: a crash in the middle of the send loses it."""

    async def lease(self, owner: str, now: datetime, **kwargs: Any) -> Any:
        leases = await super().lease(owner, now, **kwargs)
        await super().settle([Settlement(lease=one, state=DeliveryState.SENT, at=now) for one in leases])
        return leases


class IgnoresLeases(SimLedger):
    """Whatever is ready is taken, also what another node holds."""

    async def lease(self, owner: str, now: datetime, **kwargs: Any) -> Any:
        for name, hold in self._holds.items():
            if hold.until is not None and hold.owner != owner:
                self._holds[name] = replace(hold, until=None)
        return await super().lease(owner, now, **kwargs)


class SettlesStaleLeases(SimLedger):
    """Whoever comes back late from an old lease still has the last word."""

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        fences = {name: hold.fence for name, hold in self._holds.items()}
        return await super().settle(
            [
                replace(one, lease=replace(one.lease, fence=fences.get(one.lease.delivery.id, 0)))
                for one in settlements
            ]
        )


class ForgetsOutcomes(SimLedger):
    """Now and then a settlement is said to be written down and is not."""

    _settled = 0

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        self._settled += 1
        kept = settlements if self._settled % 5 else []
        await super().settle(kept)
        return frozenset()


class DropsDeferrals(SimLedger):
    """What is muted or snoozed is dropped."""

    async def bind(self, decisions: Decisions) -> bool:
        verdicts = tuple(
            replace(one, state=ReminderState.SUPPRESSED, wake_at=None) if one.wake_at else one
            for one in decisions.verdicts
        )
        return await super().bind(replace(decisions, verdicts=verdicts))


class IgnoresPeople(SimLedger):
    """What is acknowledged, snoozed, done or cancelled goes out all the same."""

    async def find_due(self, now: datetime, limit: int, besides: Any = (), skip: int = 0) -> Any:
        return [(owed, _unsaid(record)) for owed, record in await super().find_due(now, limit, besides, skip)]

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        leases: Sequence[Lease] = await super().lease(*args, **kwargs)
        return [
            replace(one, records={name: _unsaid(record) for name, record in one.records.items()})
            for one in leases
        ]


class BeginsAnything(SimLedger):
    """What was leased ahead is begun, whatever people and files have said since."""

    async def begin(self, leases: Sequence[Lease], *args: Any, **kwargs: Any) -> Any:
        unchanged = [
            replace(one, records={name: self._records[name] for name in one.records}) for one in leases
        ]
        return await super().begin(unchanged, *args, **kwargs)


class TellsNoMoves(SimLedger):
    """Nobody hears that a date has moved."""

    async def apply(self, changes: Changes, **kwargs: Any) -> None:
        owed = tuple(
            replace(one, state=ReminderState.SUPERSEDED) if one.cause is Cause.MOVED else one
            for one in changes.owed
        )
        await super().apply(replace(changes, owed=owed), **kwargs)


class KeepsFingerprints(SimLedger):
    """What was reconciled once stays trusted, also when it has been withdrawn since."""

    async def apply(self, changes: Changes, **kwargs: Any) -> None:
        await super().apply(replace(changes, no_fingerprints=()), **kwargs)


class KeepsOldWindows(SimLedger):
    """Reminders of a date that has moved stay, and are sent."""

    async def apply(self, changes: Changes, **kwargs: Any) -> None:
        await super().apply(replace(changes, cancelled=()), **kwargs)

    async def find_due(self, now: datetime, limit: int, besides: Any = (), skip: int = 0) -> Any:
        return [
            (owed, _with(record, owed.window_id))
            for owed, record in await super().find_due(now, limit, besides, skip)
        ]

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        leases: Sequence[Lease] = await super().lease(*args, **kwargs)
        return [
            replace(
                one,
                records={
                    name: _with(record, *(owed.window_id for owed in one.owed))
                    for name, record in one.records.items()
                },
            )
            for one in leases
        ]


class SendsAllThatWasMissed(SimLedger):
    """After an outage each reminder comes by itself, the oldest first: sets are torn apart."""

    async def find_due(self, now: datetime, limit: int, besides: Any = (), skip: int = 0) -> Any:
        found = await super().find_due(now, limit, besides, skip)
        return [one for one in found if one[0].wake_at <= now][:1]


class LooksAhead(SimLedger):
    """An hour early."""

    async def find_due(self, now: datetime, limit: int, besides: Any = (), skip: int = 0) -> Any:
        return await super().find_due(now + timedelta(hours=1), limit, besides, skip)

    async def find_next_wake(self, after: datetime, *args: Any, **kwargs: Any) -> Any:
        at = await super().find_next_wake(after, *args, **kwargs)
        return at and at - timedelta(hours=1)


class DiesInSilence(SimLedger):
    """Neither the operator nor the fallback receiver hears of what could not be delivered."""

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        return await super().settle([replace(one, follow_up=()) for one in settlements])


class OwesAgain(SimLedger):
    """Each reconciliation owes again what was sent already."""

    async def read_timeline(self, timeline: str) -> Any:
        # A reconciliation that finds no change writes nothing, so the fault is in what it reads.
        for key, one in self._owed.items():
            if one.state is ReminderState.BOUND and one.cause not in (Cause.MOVED, Cause.DONE):
                self._owed[key] = replace(one, state=ReminderState.PENDING)
                self._writes += 1
        return await super().read_timeline(timeline)


class ExpiresEverything(SimLedger):
    """What is late by a minute is late for good."""

    async def find_due(self, now: datetime, limit: int, besides: Any = (), skip: int = 0) -> Any:
        old = timedelta(days=400)
        late = timedelta(minutes=1)
        return [
            (
                replace(owed, at=owed.at - old, wake_at=owed.wake_at - old) if now - owed.at > late else owed,
                record,
            )
            for owed, record in await super().find_due(now, limit, besides, skip)
        ]


class TrustsOtherDoneDates(SimLedger):
    """A fingerprint is taken for one of today's done dates."""

    async def read_fingerprints(self) -> Any:
        done = await self.read_done_dates()
        kept = await super().read_fingerprints()
        return [
            replace(one, done={base: done[base] for base in sorted(one.bases) if base in done})
            for one in kept
        ]


class ServesTheLongestBacklogFirst(SimLedger):
    """Only the channel for which the most waits is served."""

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        now = args[1]
        waiting = Counter(
            made.channel
            for made in self._deliveries.values()
            if made.state is DeliveryState.READY and made.bound_at <= now
        )
        if waiting:
            longest = max(sorted(waiting), key=lambda channel: waiting[channel])
            kwargs["most"] = {
                channel: number if channel == longest else 0
                for channel, number in (kwargs.get("most") or {}).items()
            }
        return await super().lease(*args, **kwargs)


class TakesStraysAtOnce(SimLedger):
    """What a node does not know it gives to the fallback at once, also what another one knows."""

    async def find_strays(self, known: Known, limit: int) -> Any:
        if known.strays_before is not None:
            known = replace(
                known, strays_before=known.strays_before + timedelta(hours=1), elsewhere=frozenset()
            )
        return await super().find_strays(known, limit)


class ForgetsLostLeases(SimLedger):
    """Ten times that a process ended in the middle of a delivery count as the first time."""

    _forgotten = 0

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        for name, made in self._deliveries.items():
            if made.lost_leases and self._forgotten < 10:
                self._forgotten += 1
                self._deliveries[name] = replace(made, lost_leases=0)
        return await super().lease(*args, **kwargs)


class HidesStrays(SimLedger):
    """Nobody is told that what waits is for a receiver that nobody knows."""

    async def find_waiting(self, *args: Any, **kwargs: Any) -> Any:
        return replace(await super().find_waiting(*args, **kwargs), strays=())


class HidesLostLeases(SimLedger):
    """Nobody is told that a delivery has ended the process."""

    async def find_waiting(self, *args: Any, **kwargs: Any) -> Any:
        return replace(await super().find_waiting(*args, **kwargs), lost={})


class AlwaysHasMore(SimLedger):
    """Something is due at once, whatever the time is: the loop never waits."""

    async def find_next_wake(self, after: datetime, *args: Any, **kwargs: Any) -> Any:
        await super().find_next_wake(after, *args, **kwargs)
        return after


def _unsaid(record: Record) -> Record:
    return replace(record, status=NO_ACTIONS)


def _with(record: Record, *window_ids: str) -> Record:
    known = set(record.window_ids)
    more = tuple(
        Value(window_id=name, edtf="", phrase="")
        for name in dict.fromkeys(window_ids)
        if name and name not in known
    )
    return replace(record, values=record.values + more)
