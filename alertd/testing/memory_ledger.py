"""Keep the ledger in plain dicts, as the shortest implementation of the contract.

Tests compare the SQL ledger with this one. The content is lost when the process ends. Each method does all
its checks before it writes anything. The file has more than 300 lines because a reader compares it with
:class:`alertd.ports.Ledger` from top to bottom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import (
    CHANNEL,
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Known,
    Lease,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.ledger.snapshot import dump_milestone
from alertd.core.ledger.unreadable import Unreadable
from alertd.core.message.reasons import describe_reason
from alertd.core.milestones import status as milestone_status
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import Action
from alertd.core.planning.audit import MAX_LOST_SHOWN, Stray, Waiting, join_strays
from alertd.core.planning.decide import Decisions
from alertd.core.reason import PlainReason
from alertd.core.routing.digest import NextDigest
from alertd.errors import LeadLost, LedgerRefused, RefusedAction, UnknownDelivery, UnknownMilestone
from alertd.ports import (
    KEEP_REPORTS,
    KEPT_REPEATS,
    LEASE_FOR,
    MOVES_READ,
    Changes,
    KeptConfig,
    LostLeases,
    NodeReport,
    Settlement,
)
from alertd.store import rules


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hold:
    """The lease on a delivery; ``until`` is None when there is none."""

    fence: int = 0
    owner: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lead:
    node: str
    term: int
    until: datetime


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_FAR = datetime.max.replace(tzinfo=UTC)


class MemoryLedger:
    """Implements :class:`alertd.ports.Ledger`."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._owed: dict[str, ScheduledReminder] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._holds: dict[str, _Hold] = {}
        self._attempts: dict[tuple[str, int], Attempt] = {}
        self._history: dict[str, HistoryEntry] = {}
        self._remembered: dict[tuple[str, str], Mapping[str, str]] = {}
        self._nodes: dict[str, NodeReport] = {}
        self._digests: dict[str, NextDigest] = {}
        self._fingerprints: dict[str, TimelineFingerprint] = {}
        self._lead: _Lead | None = None
        self._writes = 0

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
        return _sort_by_at(
            reminder
            for reminder in self._owed.values()
            if reminder.milestone in milestones
            and (
                reminder.state is ReminderState.PENDING
                or (reminder.cause is Cause.MOVED and (reminder.state, reminder.reason) == held_back)
            )
        )

    async def read_reminders(self, keys: Sequence[str]) -> Sequence[ScheduledReminder]:
        return _sort_by_at(self._owed[key] for key in set(keys) if key in self._owed)

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
        return _sort_by_at([*last.values(), *latest_moves])

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
        self._lead = _Lead(node=node, term=term, until=now + duration)
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
        for owed in _sort_by_at(self._owed.values()):
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
        return self._lease(owner, now, chosen, duration=duration, held=held, known=known)

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
            self._holds[name] = _Hold(fence=fence)
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
        self._holds[delivery] = _Hold(fence=self._holds[delivery].fence + 1)
        milestones = dict.fromkeys(self._owed[key].milestone for key in there.members)
        self._write(
            history=[rules.make_retry_entry(milestone, delivery, now, by) for milestone in milestones]
        )
        return again

    # -- readers
    async def read_record(self, milestone: str) -> Record | None:
        return self._records.get(milestone)

    async def read_records(self, *, after: str = "", limit: int | None = None) -> Sequence[Record]:
        found = [record for record in self._records.values() if not record.withdrawn and record.id > after]
        return sorted(found, key=lambda record: record.id)[:limit]

    async def read_owed(self, milestone: str) -> Sequence[ScheduledReminder]:
        return _sort_by_at(reminder for reminder in self._owed.values() if reminder.milestone == milestone)

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
            if (number := delivery.lost_leases + (held.get(delivery.id, _FAR) <= now))
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

    def _refuse_strays(
        self, owed: Iterable[ScheduledReminder], deliveries: Iterable[Delivery], coming: Mapping[str, Record]
    ) -> None:
        """Raise LedgerRefused where a database would report a foreign key that has no row."""
        keys = {reminder.key for reminder in owed}
        for reminder in owed:
            if reminder.milestone not in self._records and reminder.milestone not in coming:
                raise LedgerRefused(f"{reminder.key} is owed for {reminder.milestone!r}, which has no record")
        for delivery in deliveries:
            for key in () if delivery.id in self._deliveries else delivery.members:
                if key not in self._owed and key not in keys:
                    raise LedgerRefused(f"{delivery.id} carries {key!r}, which is not owed")

    def _write(
        self,
        *,
        owed: Iterable[ScheduledReminder] = (),
        deliveries: Iterable[Delivery] = (),
        history: Iterable[HistoryEntry] = (),
    ) -> None:
        for reminder in owed:
            old = self._owed.get(reminder.key)
            self._owed[reminder.key] = rules.update_owed(old, reminder) if old else reminder
        for delivery in deliveries:
            if delivery.id not in self._deliveries:
                self._deliveries[delivery.id] = delivery
                self._holds[delivery.id] = _Hold()
        for entry in history:
            self._history.setdefault(rules.make_entry_key(entry), entry)
        self._writes += 1

    def _find_latest_bound(self) -> dict[tuple[str, str, str], datetime]:
        latest: dict[tuple[str, str, str], datetime] = {}
        for owed in self._owed.values():
            if owed.state is ReminderState.BOUND:
                line = rules.make_line_key(owed)
                latest[line] = max(owed.at, latest.get(line, owed.at))
        return latest

    def _list_undecided(self, known: Known | None) -> list[datetime]:
        """List when the pending reminders and the digests are due that a node knows."""
        waiting = [
            reminder.wake_at
            for reminder in self._owed.values()
            if reminder.state is ReminderState.PENDING
            and (known is None or reminder.receiver in known.receivers)
        ]
        waiting += [
            digest.at
            for digest in self._digests.values()
            if known is None or known.digests is None or digest.key in known.digests
        ]
        return waiting

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

    def _count_lost(self, delivery: Delivery) -> int:
        """Return how many leases in a row a free delivery has lost, the last one included."""
        return delivery.lost_leases + (self._holds[delivery.id].until is not None)

    def _lease(
        self,
        owner: str,
        now: datetime,
        chosen: Sequence[Delivery],
        *,
        duration: timedelta,
        held: Collection[str],
        known: Known | None,
    ) -> Sequence[Lease]:
        latest, until, taken = self._find_latest_bound(), now + duration, []
        for found in chosen:
            delivery, hold = found, self._holds[found.id]
            if hold.until is not None and delivery.id not in held:
                delivery = self._deliveries[found.id] = rules.count_lost_lease(delivery)
                lost = rules.make_lost_attempt(delivery, now)
                self._attempts.setdefault((lost.delivery, lost.number), lost)
            hold = self._holds[delivery.id] = _Hold(fence=hold.fence + 1, owner=owner, until=until)
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
        hold: _Hold,
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
        for owed in _sort_by_at(
            reminder for reminder in self._owed.values() if reminder.milestone in names and reminder.at > now
        ):
            if owed.state is ReminderState.PENDING and owed.cause in rules.REMINDERS:
                first.setdefault((owed.milestone, owed.receiver), owed)
        return first

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


def _sort_by_at(owed: Iterable[ScheduledReminder]) -> list[ScheduledReminder]:
    return sorted(owed, key=lambda reminder: (reminder.at, reminder.key))
