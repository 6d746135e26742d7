"""Keep the ledger in plain dicts, as the shortest implementation of the contract.

Tests compare the SQL ledger with this one. The content is lost when the process ends. Each method does all
its checks before it writes anything. :mod:`alertd.testing.memory_deliveries` leases and settles, and
:mod:`alertd.testing.memory_reading` reads for people and audits; the rest is here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import (
    CHANNEL,
    Delivery,
    DeliveryState,
    Known,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.ledger.snapshot import dump_milestone
from alertd.core.ledger.unreadable import Unreadable
from alertd.core.milestones import status as milestone_status
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import Action
from alertd.core.planning.decide import Decisions
from alertd.core.reason import PlainReason
from alertd.core.routing.digest import NextDigest
from alertd.errors import LeadLost, RefusedAction, UnknownDelivery, UnknownMilestone
from alertd.ports import (
    KEEP_REPORTS,
    KEPT_REPEATS,
    MOVES_READ,
    Changes,
    KeptConfig,
    NodeReport,
)
from alertd.store import rules
from alertd.testing.memory_base import Hold, Lead, sort_by_at
from alertd.testing.memory_deliveries import MemoryDeliveries
from alertd.testing.memory_reading import MemoryReader

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class MemoryLedger(MemoryDeliveries, MemoryReader):
    """Implements :class:`alertd.ports.Ledger`."""

    # -- reconcile
    async def read_timelines(self) -> Mapping[str, str]:
        return {
            record.milestone.timeline: record.file
            for record in self._records.values()
            if not record.withdrawn
        }

    async def read_timeline(self, timeline: str) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        records = sorted(
            (record for record in self._records.values() if record.milestone.timeline == timeline),
            key=lambda record: record.id,
        )
        return records, self._list_sendable({record.id for record in records})

    async def read_milestones(
        self, milestones: Sequence[str]
    ) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        found = {name: self._records[name] for name in sorted(set(milestones)) if name in self._records}
        return list(found.values()), self._list_sendable(set(found))

    def _list_sendable(self, milestones: set[str]) -> Sequence[ScheduledReminder]:
        """List the pending reminders, and the moves that are held back."""
        held_back = (ReminderState.CANCELLED, PlainReason.MOVED_WHILE_CLOSED)
        return sort_by_at(
            reminder
            for reminder in self._owed.values()
            if reminder.milestone in milestones
            and (
                reminder.state is ReminderState.PENDING
                or (reminder.cause is Cause.MOVED and (reminder.state, reminder.reason) == held_back)
            )
        )

    async def read_reminders(self, keys: Sequence[str]) -> Sequence[ScheduledReminder]:
        return sort_by_at(self._owed[key] for key in set(keys) if key in self._owed)

    async def read_latest(self, milestones: Sequence[str]) -> Sequence[ScheduledReminder]:
        last: dict[tuple[str, ...], ScheduledReminder] = {}
        moves: dict[tuple[str, str], list[ScheduledReminder]] = {}
        asked = set(milestones)
        for reminder in sorted(self._owed.values(), key=lambda reminder: reminder.key):
            if reminder.milestone not in asked:
                continue
            if reminder.cause is Cause.MOVED:
                moves.setdefault((reminder.milestone, reminder.receiver), []).append(reminder)
                continue
            line = (reminder.milestone, reminder.receiver, reminder.cause, reminder.window_id, reminder.state)
            before = last.get(line)
            if before is None or (reminder.told_at or reminder.at) > (before.told_at or before.at):
                last[line] = reminder
        for found in moves.values():
            found.sort(key=lambda reminder: reminder.at, reverse=True)
        latest_moves = (move for found in moves.values() for move in found[:MOVES_READ])
        return sort_by_at([*last.values(), *latest_moves])

    async def read_done_dates(self) -> Mapping[str, date]:
        return {
            record.id: record.status.done_on for record in self._records.values() if record.status.done_on
        }

    async def apply(self, changes: Changes, *, term: int | None = None) -> None:
        if term is not None and (self._lead is None or self._lead.term != term):
            raise LeadLost(f"the lead of term {term} is lost")
        records = {record.id: record for record in changes.records}
        self._refuse_strays(changes.owed, changes.deliveries, records)
        for record in records.values():
            old = self._records.get(record.id)
            kept = record
            if old is not None:
                revision = max(old.revision, record.revision)
                kept = replace(record, status=old.status, loaded_at=old.loaded_at, revision=revision)
            self._records[record.id] = kept
        for key, reason in changes.cancelled:
            there = self._owed.get(key)
            if there and there.state is ReminderState.PENDING:
                self._owed[key] = replace(there, state=ReminderState.CANCELLED, reason=reason)
        for key in changes.no_digests:
            self._digests.pop(key, None)
        for digest in changes.digests:
            if self._digests.setdefault(digest.key, digest).since == digest.since:
                self._digests[digest.key] = digest
        for timeline in changes.no_fingerprints:
            self._fingerprints.pop(timeline, None)
        for fingerprint in changes.fingerprints:
            self._fingerprints[fingerprint.timeline] = fingerprint
        self._write(owed=changes.owed, deliveries=changes.deliveries, history=changes.history)

    async def take_lead(
        self, node: str, now: datetime, *, duration: timedelta, instead_of: str = ""
    ) -> int | None:
        has = self._lead
        term = 1
        if has is not None:
            if has.node not in (node, instead_of) and now < has.until <= now + 2 * duration:
                return None
            term = has.term if has.node == node else has.term + 1
        self._lead = Lead(node=node, term=term, until=now + duration)
        return term

    async def read_leader(self) -> str:
        return self._lead.node if self._lead else ""

    async def read_fingerprints(self) -> Sequence[TimelineFingerprint]:
        return sorted(self._fingerprints.values(), key=lambda fingerprint: fingerprint.timeline)

    async def read_snapshots(self, timeline: str) -> Mapping[str, str]:
        return {
            record.id: dump_milestone(record.milestone)
            for record in self._records.values()
            if record.milestone.timeline == timeline and not record.withdrawn
        }

    async def read_deferred(self, now: datetime, limit: int, after: str = "") -> Sequence[ScheduledReminder]:
        deferred = [
            reminder
            for reminder in self._owed.values()
            if reminder.state is ReminderState.PENDING
            and reminder.wake_at > max(reminder.at, now)
            and reminder.key > after
        ]
        return sorted(deferred, key=lambda reminder: reminder.key)[:limit]

    async def read_digests(self) -> Sequence[NextDigest]:
        return sorted(self._digests.values(), key=lambda digest: (digest.at, digest.key))

    # -- dispatch
    async def find_due(
        self, now: datetime, limit: int, besides: Collection[str] = (), skip: int = 0
    ) -> Sequence[tuple[ScheduledReminder, Record]]:
        sets: dict[tuple[str, str], list[ScheduledReminder]] = {}
        for owed in sort_by_at(self._owed.values()):
            if owed.state is ReminderState.PENDING and owed.at <= now and owed.receiver not in besides:
                sets.setdefault((owed.milestone, owed.receiver), []).append(owed)
        awake = [members for members in sets.values() if any(owed.wake_at <= now for owed in members)]
        awake.sort(key=lambda members: (members[0].at, members[0].milestone, members[0].receiver))
        page = awake[skip : skip + limit]
        return [(owed, self._records[owed.milestone]) for members in page for owed in members]

    async def find_strays(self, known: Known, limit: int) -> Sequence[tuple[ScheduledReminder, Record]]:
        if known.strays_before is None:
            return []
        return await self.find_due(known.strays_before, limit, known.receivers | known.elsewhere)

    async def read_held(self, receiver: str, now: datetime) -> Sequence[tuple[ScheduledReminder, Record]]:
        pending = [reminder for reminder in self._owed.values() if reminder.state is ReminderState.PENDING]
        due = [reminder for reminder in pending if reminder.receiver == receiver and reminder.at <= now]
        due.sort(key=lambda reminder: (reminder.milestone, reminder.at, reminder.key))
        return [(reminder, self._records[reminder.milestone]) for reminder in due]

    async def read_windows(self, receiver: str, before: datetime) -> Sequence[tuple[str, str, datetime]]:
        found = set()
        for owed in self._owed.values():
            record = self._records[owed.milestone]
            is_reminder = owed.cause in rules.REMINDERS and owed.state is not ReminderState.CANCELLED
            is_its = owed.receiver == receiver and owed.at < before
            if is_reminder and is_its and not record.withdrawn and record.status.done_on is None:
                found.add((record.id, owed.window_id, record.changed_at))
        return sorted(found)

    async def read_records_by_id(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        return {name: self._records[name] for name in milestones if name in self._records}

    async def bind(self, decisions: Decisions) -> bool:
        verdicts, turn = decisions.verdicts, decisions.turn
        found = [self._owed.get(verdict.key) for verdict in verdicts]
        if turn is not None and self._digests.get(turn[0].key) != turn[0]:
            return False
        if any(owed is None or owed.state is not ReminderState.PENDING for owed in found):
            return False
        self._refuse_strays(decisions.following, decisions.deliveries, {})
        for verdict in verdicts:
            owed = self._owed[verdict.key]
            wake_at = verdict.wake_at or owed.wake_at
            self._owed[verdict.key] = replace(
                owed,
                state=verdict.state,
                reason=verdict.reason,
                wake_at=wake_at,
                grounds=verdict.grounds or owed.grounds,
            )
        if turn is not None:
            self._digests[turn[0].key] = turn[1]
        self._write(owed=decisions.following, deliveries=decisions.deliveries)
        return True

    # -- people
    async def act(self, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
        record = self._records.get(action.milestone)
        if record is None:
            raise UnknownMilestone(f"no milestone {action.milestone!r} in the ledger")
        entry = rules.make_action_entry(action)
        if rules.make_entry_key(entry) in self._history:
            return record
        status = milestone_status.apply_action(record.status, action, record.window_ids)
        self._refuse_strays(owed, (), {})
        self._records[record.id] = replace(record, status=status)
        self._write(owed=owed, history=(entry,))
        return self._records[record.id]

    async def retry(self, delivery: str, now: datetime, by: str) -> Delivery:
        there = self._deliveries.get(delivery)
        if there is None:
            raise UnknownDelivery(f"no delivery {delivery!r} in the ledger")
        again = rules.reset_delivery(there, now, by)
        if there == again:
            return there
        if there.state is not DeliveryState.DEAD:
            raise RefusedAction(f"{delivery} is {there.state}; only a dead delivery can be sent again")
        self._deliveries[delivery] = again
        self._remembered.pop((CHANNEL, there.channel), None)
        # A new fence: a node that still holds an earlier lease can no longer settle this delivery.
        self._holds[delivery] = Hold(fence=self._holds[delivery].fence + 1)
        milestones = dict.fromkeys(self._owed[key].milestone for key in there.members)
        self._write(
            history=[rules.make_retry_entry(milestone, delivery, now, by) for milestone in milestones]
        )
        return again

    # -- readers
    # -- nodes and upkeep
    async def report(self, node: NodeReport) -> None:
        self._nodes[node.node] = node
        for old in [
            report.node for report in self._nodes.values() if report.seen_at < node.seen_at - KEEP_REPORTS
        ]:
            del self._nodes[old]
        self._writes += 1

    async def retire(self, node: str) -> None:
        if node in self._nodes:
            self._nodes[node] = replace(self._nodes[node], stopped=True)
        if self._lead is not None and self._lead.node == node:
            self._lead = replace(self._lead, node="", until=_LONG_AGO)
        self._writes += 1

    async def prune(self, before: datetime, limit: int) -> Mapping[str, int]:
        gone = set(
            sorted(record.id for record in self._records.values() if self._is_over(record, before))[:limit]
        )
        keys = {key for key, owed in self._owed.items() if owed.milestone in gone}
        repeats = self._find_old_repeats(before, limit, gone)
        keys.update(repeats)
        old: list[str] = []
        notices = 0
        for delivery in sorted(self._deliveries.values(), key=lambda delivery: delivery.id):
            left = tuple(key for key in delivery.members if key not in keys)
            is_old = delivery.settled_at is not None and delivery.settled_at < before
            if delivery.notice is not None and is_old and notices < limit:
                notices += 1
                old.append(delivery.id)
            elif delivery.members and not left:
                old.append(delivery.id)
            elif left != delivery.members:
                self._deliveries[delivery.id] = replace(delivery, members=left)
        for name in old:
            del self._deliveries[name], self._holds[name]
        self._attempts = {key: attempt for key, attempt in self._attempts.items() if key[0] not in set(old)}
        self._owed = {key: reminder for key, reminder in self._owed.items() if key not in keys}
        self._history = {key: entry for key, entry in self._history.items() if entry.milestone not in gone}
        self._remembered = {key: state for key, state in self._remembered.items() if key[0] not in gone}
        self._records = {name: record for name, record in self._records.items() if name not in gone}
        self._writes += bool(gone or old or repeats)
        return {"milestones": len(gone), "reminders": len(repeats), "deliveries": len(old)}

    async def repair(self, now: datetime, catch_up: timedelta, limit: int) -> Mapping[str, int]:
        misjudged = sorted(key for key, owed in self._owed.items() if rules.is_misjudged(owed, now, catch_up))
        for key in misjudged[:limit]:
            self._owed[key] = replace(self._owed[key], state=ReminderState.PENDING, reason=None)
        changed = 0
        for delivery in sorted(self._deliveries.values(), key=lambda delivery: delivery.id):
            repaired = rules.repair_delivery(delivery, now)
            if repaired != delivery and changed < limit:
                self._deliveries[delivery.id] = repaired
                changed += 1
        self._writes += bool(misjudged or changed)
        return {"reminders": len(misjudged[:limit]), "deliveries": changed}

    async def read_nodes(self) -> Sequence[NodeReport]:
        by_name = sorted(self._nodes.values(), key=lambda report: report.node)
        return sorted(by_name, key=lambda report: report.seen_at, reverse=True)

    async def find_unreadable(self, limit: int) -> Sequence[Unreadable]:  # noqa: ARG002  it holds no rows
        return ()

    async def read_size(self) -> int:
        return 0

    async def keep_config(self, kept: KeptConfig, *, term: int) -> None:
        if self._lead is None or self._lead.term != term:
            raise LeadLost(f"the lead of term {term} is lost")
        self._remembered[rules.KEPT_CONFIG] = rules.pack_kept_config(kept)

    async def read_kept_config(self) -> KeptConfig | None:
        state = self._remembered.get(rules.KEPT_CONFIG)
        return rules.unpack_kept_config(state) if state is not None else None

    async def ensure_shared_secret(self, made: str) -> str:
        return self._remembered.setdefault((CHANNEL, rules.SHARED_SECRET), {"secret": made})["secret"]

    async def read_time(self) -> datetime | None:
        return None

    async def read_version(self) -> str:
        return str(self._writes)

    def listen(self, heard: Callable[[], None]) -> None:  # noqa: ARG002  no other process writes to it
        return None

    async def close(self) -> None:
        return None

    def _find_old_repeats(self, before: datetime, limit: int, gone: Container[str]) -> list[str]:
        ready = {
            key
            for delivery in self._deliveries.values()
            if delivery.state is DeliveryState.READY
            for key in delivery.members
        }
        ladders: dict[tuple[str, str, str], list[ScheduledReminder]] = {}
        for owed in sorted(self._owed.values(), key=lambda owed: (owed.at, owed.key)):
            is_settled = owed.state is not ReminderState.PENDING and owed.key not in ready
            if owed.cause is Cause.OVERDUE and owed.at < before and is_settled and owed.milestone not in gone:
                ladders.setdefault((owed.milestone, owed.receiver, owed.window_id), []).append(owed)
        return [owed.key for _, ladder in sorted(ladders.items()) for owed in ladder[KEPT_REPEATS - 1 : -1]][
            :limit
        ]

    def _is_over(self, record: Record, before: datetime) -> bool:
        keys = {key for key, owed in self._owed.items() if owed.milestone == record.id}
        said = [entry.at for entry in self._history.values() if entry.milestone == record.id]
        pending = any(self._owed[key].state is ReminderState.PENDING for key in keys)
        ready = any(
            delivery.state is DeliveryState.READY and keys & set(delivery.members)
            for delivery in self._deliveries.values()
        )
        is_old = max([record.changed_at, *said]) < before
        return record.withdrawn and is_old and not pending and not ready
