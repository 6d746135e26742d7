"""Read the ledger in memory, for people and for audits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Known,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.message.reasons import describe_reason
from alertd.core.planning.audit import MAX_LOST_SHOWN, Stray, Waiting, join_strays
from alertd.testing.memory_base import MemoryBase, sort_by_at

_FAR = datetime.max.replace(tzinfo=UTC)


class MemoryReader(MemoryBase):
    """Implements :class:`alertd.ports.LedgerReader`, without the nodes."""

    async def read_record(self, milestone: str) -> Record | None:
        return self._records.get(milestone)

    async def read_records(self, *, after: str = "", limit: int | None = None) -> Sequence[Record]:
        found = [record for record in self._records.values() if not record.withdrawn and record.id > after]
        return sorted(found, key=lambda record: record.id)[:limit]

    async def read_owed(self, milestone: str) -> Sequence[ScheduledReminder]:
        return sort_by_at(reminder for reminder in self._owed.values() if reminder.milestone == milestone)

    async def read_upcoming(self, limit: int) -> Sequence[ScheduledReminder]:
        pending = [reminder for reminder in self._owed.values() if reminder.state is ReminderState.PENDING]
        return sorted(pending, key=lambda reminder: (reminder.wake_at, reminder.key))[:limit]

    async def find_deliveries(
        self,
        *,
        delivery: str = "",
        milestone: str = "",
        state: DeliveryState | None = None,
        receiver: str = "",
        text: str = "",
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]]:
        found = []
        for candidate in sorted(
            self._deliveries.values(), key=lambda delivery: (delivery.bound_at, delivery.id), reverse=True
        ):
            members = [self._owed[key] for key in candidate.members]
            texts = (
                candidate.id,
                candidate.channel,
                describe_reason(candidate.reason),
                *(owed.milestone for owed in members),
            )
            is_wanted = (
                (not delivery or candidate.id == delivery)
                and (not milestone or any(owed.milestone == milestone for owed in members))
                and (state is None or candidate.state is state)
                and (not receiver or candidate.receiver == receiver)
                and any(text.lower() in part.lower() for part in texts)
                and (before is None or (candidate.bound_at, candidate.id) < before)
            )
            if is_wanted:
                tries = [self._attempts[key] for key in sorted(self._attempts) if key[0] == candidate.id]
                found.append((candidate, tries, members))
        return found[:limit]

    async def read_activity(self, timeline: str = "") -> Sequence[tuple[Record, datetime]]:
        records = [record for record in self._records.values() if timeline in ("", record.milestone.timeline)]
        history = sorted(self._history.values(), key=lambda entry: entry.at)
        last = {entry.milestone: entry.at for entry in history}
        return [
            (record, last.get(record.id, record.changed_at))
            for record in sorted(records, key=lambda record: record.id)
        ]

    async def read_history(
        self, milestone: str = "", limit: int = 100, *, timeline: str = "", kind: str = ""
    ) -> Sequence[HistoryEntry]:
        entries = [
            entry
            for entry in self._history.values()
            if milestone in ("", entry.milestone)
            and timeline in ("", entry.milestone.partition("/")[0])
            and kind in ("", entry.kind)
        ]
        return sorted(entries, key=lambda entry: entry.at)[::-1][:limit]

    async def read_last_moves(self, milestones: Sequence[str]) -> Mapping[str, HistoryEntry]:
        moved = [
            entry
            for entry in self._history.values()
            if entry.kind == "moved" and entry.milestone in milestones
        ]
        return {entry.milestone: entry for entry in sorted(moved, key=lambda entry: entry.at)}

    async def count_rows(self) -> Mapping[str, int]:
        owed = Counter(reminder.state for reminder in self._owed.values())
        deliveries = Counter(delivery.state for delivery in self._deliveries.values())
        return {
            "milestones": len(self._records),
            **{f"owed.{state}": owed[state] for state in ReminderState},
            **{f"deliveries.{state}": deliveries[state] for state in DeliveryState},
        }

    async def find_waiting(
        self, now: datetime, shut: frozenset[str] = frozenset(), *, known: Known | None = None
    ) -> Waiting:
        ready = [delivery for delivery in self._deliveries.values() if delivery.state is DeliveryState.READY]
        held = {delivery.id: until for delivery in ready if (until := self._holds[delivery.id].until)}
        free = [
            delivery
            for delivery in ready
            if held.get(delivery.id, now) <= now
            and delivery.channel not in shut
            and (known is None or known.has_channel(delivery.receiver, delivery.channel))
        ]
        lost = [
            (delivery.id, number)
            for delivery in ready
            if (
                number := self._count_lost(delivery)
                if held.get(delivery.id, _FAR) <= now
                else delivery.lost_leases
            )
        ]
        return Waiting(
            undecided=min(self._list_undecided(known), default=None),
            untaken=min((delivery.next_at for delivery in free), default=None),
            lease=max(held.values(), default=None),
            lost=dict(sorted(lost, key=lambda pair: (-pair[1], pair[0]))[:MAX_LOST_SHOWN]),
            strays=self._find_stray_work(now, known) if known is not None else (),
        )

    async def find_known(self, owed: Sequence[str] = (), deliveries: Sequence[str] = ()) -> frozenset[str]:
        return frozenset(self._owed.keys() & set(owed)) | (self._deliveries.keys() & set(deliveries))

    def _find_stray_work(self, now: datetime, known: Known) -> tuple[Stray, ...]:
        found = [
            Stray(receiver=reminder.receiver, reminders=1, deliveries=0, since=reminder.wake_at)
            for reminder in self._owed.values()
            if reminder.state is ReminderState.PENDING
            and reminder.wake_at <= now
            and reminder.receiver not in known.receivers | known.elsewhere
        ]
        found += [
            Stray(receiver=delivery.receiver, reminders=0, deliveries=1, since=delivery.next_at)
            for delivery in self._deliveries.values()
            if delivery.state is DeliveryState.READY
            and delivery.next_at <= now
            and delivery.receiver not in known.elsewhere
            and not known.has_channel(delivery.receiver, delivery.channel)
        ]
        return join_strays(found)
