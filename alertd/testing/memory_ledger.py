"""The ledger in plain dicts: the contract at its shortest, and what the others are compared with.

It forgets everything when the process ends. A method checks all that it can refuse before it writes anything.
Over 300 lines and in one file all the same: it is there to be read beside the contract, from top to bottom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from alertd.core.ledger.records import (
    CHANNEL,
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Lease,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.milestones import status as standings
from alertd.core.milestones.status import Action
from alertd.core.planning.audit import Waiting
from alertd.core.planning.decide import Decisions
from alertd.core.routing.digest import NextDigest
from alertd.errors import LeadLost, LedgerError, RefusedAction, UnknownDelivery, UnknownMilestone
from alertd.ports import KEEP_REPORTS, Changes, NodeReport, Settlement
from alertd.store import rules


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hold:
    """Who has a delivery, and until when; ``until`` None: nobody has."""

    fence: int = 0
    owner: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lead:
    node: str
    term: int
    until: datetime


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class MemoryLedger:
    """See :class:`alertd.ports.Ledger`."""

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
        self._lead: _Lead | None = None
        self._writes = 0

    # -- reconcile
    async def timelines(self) -> Mapping[str, str]:
        return {one.milestone.timeline: one.file for one in self._records.values() if not one.withdrawn}

    async def timeline(self, timeline: str) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        records = sorted(
            (one for one in self._records.values() if one.milestone.timeline == timeline),
            key=lambda one: one.id,
        )
        ids = {record.id for record in records}
        return records, _by_at(one for one in self._owed.values() if one.milestone in ids)

    async def done_dates(self) -> Mapping[str, date]:
        return {one.id: one.standing.done_on for one in self._records.values() if one.standing.done_on}

    async def apply(self, changes: Changes, *, term: int | None = None) -> None:
        if term is not None and (self._lead is None or self._lead.term != term):
            raise LeadLost(f"the lead of term {term} is lost")
        records = {one.id: one for one in changes.records}
        self._refuse_strays(changes.owed, changes.deliveries, records)
        for record in records.values():
            old = self._records.get(record.id)
            kept = replace(record, standing=old.standing, loaded_at=old.loaded_at) if old else record
            self._records[record.id] = kept
        for key, reason in changes.cancelled:
            there = self._owed.get(key)
            if there and there.state is ReminderState.PENDING:
                self._owed[key] = replace(there, state=ReminderState.CANCELLED, reason=reason)
        for key in changes.no_digests:
            self._digests.pop(key, None)
        for one in changes.digests:
            if self._digests.setdefault(one.key, one).since == one.since:
                self._digests[one.key] = one
        self._write(owed=changes.owed, deliveries=changes.deliveries, history=changes.history)

    async def lead(self, node: str, now: datetime, *, for_: timedelta, instead_of: str = "") -> int | None:
        has = self._lead
        term = 1
        if has is not None:
            if has.node not in (node, instead_of) and now < has.until:
                return None
            term = has.term if has.node == node else has.term + 1
        self._lead = _Lead(node=node, term=term, until=now + for_)
        return term

    async def leader(self) -> str:
        return self._lead.node if self._lead else ""

    async def digests(self) -> Sequence[NextDigest]:
        return sorted(self._digests.values(), key=lambda one: (one.at, one.key))

    # -- dispatch
    async def due(self, now: datetime, limit: int) -> Sequence[tuple[ScheduledReminder, Record]]:
        sets: dict[tuple[str, str], list[ScheduledReminder]] = {}
        for owed in _by_at(self._owed.values()):
            if owed.state is ReminderState.PENDING and owed.at <= now:
                sets.setdefault((owed.milestone, owed.receiver), []).append(owed)
        awake = [members for members in sets.values() if any(owed.wake_at <= now for owed in members)]
        awake.sort(key=lambda members: (members[0].at, members[0].milestone, members[0].receiver))
        return [(owed, self._records[owed.milestone]) for members in awake[:limit] for owed in members]

    async def held(self, receiver: str, now: datetime) -> Sequence[tuple[ScheduledReminder, Record]]:
        pending = [one for one in self._owed.values() if one.state is ReminderState.PENDING]
        due = [one for one in pending if one.receiver == receiver and one.at <= now]
        due.sort(key=lambda one: (one.milestone, one.at, one.key))
        return [(one, self._records[one.milestone]) for one in due]

    async def windows(self, receiver: str, before: datetime) -> Sequence[tuple[str, str, datetime]]:
        found = set()
        for owed in self._owed.values():
            record = self._records[owed.milestone]
            is_reminder = owed.cause in rules.REMINDERS and owed.state is not ReminderState.CANCELLED
            is_its = owed.receiver == receiver and owed.at < before
            if is_reminder and is_its and not record.withdrawn and record.standing.done_on is None:
                found.add((record.id, owed.window_id, record.changed_at))
        return sorted(found)

    async def records_of(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        return {name: self._records[name] for name in milestones if name in self._records}

    async def bind(self, decisions: Decisions) -> bool:
        verdicts, turn = decisions.verdicts, decisions.turn
        found = [self._owed.get(verdict.key) for verdict in verdicts]
        if turn is not None and self._digests.get(turn[0].key) != turn[0]:
            return False
        if any(owed is None or owed.state is not ReminderState.PENDING for owed in found):
            return False
        self._refuse_strays((), decisions.deliveries, {})
        for verdict in verdicts:
            owed = self._owed[verdict.key]
            wake_at = verdict.wake_at or owed.wake_at
            self._owed[verdict.key] = replace(
                owed, state=verdict.state, reason=verdict.reason, wake_at=wake_at
            )
        if turn is not None:
            self._digests[turn[0].key] = turn[1]
        self._write(deliveries=decisions.deliveries)
        return True

    async def lease(
        self,
        owner: str,
        now: datetime,
        *,
        for_: timedelta,
        limit: int,
        per_channel: int,
        most: Mapping[str, int] = MappingProxyType({}),
    ) -> Sequence[Lease]:
        ready = [
            one
            for one in self._deliveries.values()
            if one.state is DeliveryState.READY and one.next_at <= now
        ]
        taken: list[Lease] = []
        of_channel: Counter[str] = Counter()
        latest = self._latest_bound()
        for delivery in sorted(ready, key=lambda one: (one.next_at, one.id)):
            hold = self._holds[delivery.id]
            live = hold.until is not None and now < hold.until
            room = min(per_channel, most.get(delivery.channel, per_channel))
            if live or len(taken) >= limit or of_channel[delivery.channel] >= room:
                continue
            of_channel[delivery.channel] += 1
            until = now + for_
            hold = _Hold(fence=hold.fence + 1, owner=owner, until=until)
            self._holds[delivery.id] = hold
            taken.append(self._leased(delivery, hold, until, latest, now))
        self._writes += bool(taken)
        return taken

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        for one in settlements:
            self._refuse_strays((), one.follow_up, {})
        refused: set[str] = set()
        for one in settlements:
            name = one.lease.delivery.id
            there = self._deliveries.get(name)
            fence = self._holds[name].fence if there else 0
            if there is None or there.state is not DeliveryState.READY or fence != one.lease.fence:
                refused.add(name)
                continue
            self._holds[name] = _Hold(fence=fence)
            self._deliveries[name] = replace(
                there,
                state=one.state,
                reason=one.reason,
                next_at=one.next_at or there.next_at,
                # Counted from what was leased, so that the same settlement twice counts once.
                attempts=one.lease.delivery.attempts + (one.attempt is not None),
                settled_at=None if one.state is DeliveryState.READY else one.at,
            )
            self._settle_rest(one, there.channel)
        self._writes += 1
        return frozenset(refused)

    async def next_wake(self, after: datetime, shut: frozenset[str] = frozenset()) -> datetime | None:
        waiting = [one.wake_at for one in self._owed.values() if one.state is ReminderState.PENDING]
        waiting += [one.at for one in self._digests.values()]
        for one in self._deliveries.values():
            if one.state is DeliveryState.READY and one.channel not in shut:
                until = self._holds[one.id].until
                waiting.append(until if until and until > after else one.next_at)
        return min(waiting, default=None)

    # -- people
    async def act(self, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
        record = self._records.get(action.milestone)
        if record is None:
            raise UnknownMilestone(f"no milestone {action.milestone!r} in the ledger")
        entry = rules.entry_of_action(action)
        if rules.entry_key(entry) in self._history:
            return record
        standing = standings.apply(record.standing, action, record.window_ids)
        self._refuse_strays(owed, (), {})
        self._records[record.id] = replace(record, standing=standing)
        self._write(owed=owed, history=(entry,))
        return self._records[record.id]

    async def retry(self, delivery: str, now: datetime, by: str) -> Delivery:
        there = self._deliveries.get(delivery)
        if there is None:
            raise UnknownDelivery(f"no delivery {delivery!r} in the ledger")
        again = rules.sent_again(there, now, by)
        if there == again:
            return there
        if there.state is not DeliveryState.DEAD:
            raise RefusedAction(f"{delivery} is {there.state}; only a dead delivery can be sent again")
        self._deliveries[delivery] = again
        self._remembered.pop((CHANNEL, there.channel), None)
        # What was leased before is not the same try: whoever still holds it may not settle it.
        self._holds[delivery] = _Hold(fence=self._holds[delivery].fence + 1)
        of = dict.fromkeys(self._owed[key].milestone for key in there.members)
        self._write(history=[rules.entry_of_retry(one, delivery, now, by) for one in of])
        return again

    # -- readers
    async def record(self, milestone: str) -> Record | None:
        return self._records.get(milestone)

    async def records(self, *, after: str = "", limit: int | None = None) -> Sequence[Record]:
        found = [one for one in self._records.values() if not one.withdrawn and one.id > after]
        return sorted(found, key=lambda one: one.id)[:limit]

    async def owed(self, milestone: str) -> Sequence[ScheduledReminder]:
        return _by_at(one for one in self._owed.values() if one.milestone == milestone)

    async def coming(self, limit: int) -> Sequence[ScheduledReminder]:
        pending = [one for one in self._owed.values() if one.state is ReminderState.PENDING]
        return sorted(pending, key=lambda one: (one.wake_at, one.key))[:limit]

    async def deliveries(
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
        for one in sorted(self._deliveries.values(), key=lambda one: (one.bound_at, one.id), reverse=True):
            members = [self._owed[key] for key in one.members]
            texts = (one.id, one.channel, one.reason, *(owed.milestone for owed in members))
            is_wanted = (
                (not delivery or one.id == delivery)
                and (not milestone or any(owed.milestone == milestone for owed in members))
                and (state is None or one.state is state)
                and (not receiver or one.receiver == receiver)
                and any(text.lower() in part.lower() for part in texts)
                and (before is None or (one.bound_at, one.id) < before)
            )
            if is_wanted:
                tries = [self._attempts[key] for key in sorted(self._attempts) if key[0] == one.id]
                found.append((one, tries, members))
        return found[:limit]

    async def touched(self, timeline: str = "") -> Sequence[tuple[Record, datetime]]:
        of = [one for one in self._records.values() if timeline in ("", one.milestone.timeline)]
        history = sorted(self._history.values(), key=lambda one: one.at)
        last = {one.milestone: one.at for one in history}
        return [(one, last.get(one.id, one.changed_at)) for one in sorted(of, key=lambda one: one.id)]

    async def history(
        self, milestone: str = "", limit: int = 100, *, timeline: str = "", kind: str = ""
    ) -> Sequence[HistoryEntry]:
        of = [
            one
            for one in self._history.values()
            if milestone in ("", one.milestone)
            and timeline in ("", one.milestone.partition("/")[0])
            and kind in ("", one.kind)
        ]
        return sorted(of, key=lambda one: one.at)[::-1][:limit]

    async def moves(self, milestones: Sequence[str]) -> Mapping[str, HistoryEntry]:
        moved = [one for one in self._history.values() if one.kind == "moved" and one.milestone in milestones]
        return {one.milestone: one for one in sorted(moved, key=lambda one: one.at)}

    async def counts(self) -> Mapping[str, int]:
        owed = Counter(one.state for one in self._owed.values())
        deliveries = Counter(one.state for one in self._deliveries.values())
        return {
            "milestones": len(self._records),
            **{f"owed.{state}": owed[state] for state in ReminderState},
            **{f"deliveries.{state}": deliveries[state] for state in DeliveryState},
        }

    async def waiting(self, now: datetime, shut: frozenset[str] = frozenset()) -> Waiting:
        ready = [one for one in self._deliveries.values() if one.state is DeliveryState.READY]
        held = {one.id: until for one in ready if (until := self._holds[one.id].until)}
        free = [one for one in ready if held.get(one.id, now) <= now and one.channel not in shut]
        pending = [one.wake_at for one in self._owed.values() if one.state is ReminderState.PENDING]
        pending += [one.at for one in self._digests.values()]
        return Waiting(
            undecided=min(pending, default=None),
            untaken=min((one.next_at for one in free), default=None),
            lease=max(held.values(), default=None),
        )

    async def known(self, owed: Sequence[str] = (), deliveries: Sequence[str] = ()) -> frozenset[str]:
        return frozenset(self._owed.keys() & set(owed)) | (self._deliveries.keys() & set(deliveries))

    # -- nodes and upkeep
    async def report(self, node: NodeReport) -> None:
        self._nodes[node.node] = node
        for old in [one.node for one in self._nodes.values() if one.seen_at < node.seen_at - KEEP_REPORTS]:
            del self._nodes[old]
        self._writes += 1

    async def retire(self, node: str) -> None:
        if node in self._nodes:
            self._nodes[node] = replace(self._nodes[node], stopped=True)
        if self._lead is not None and self._lead.node == node:
            self._lead = replace(self._lead, node="", until=_LONG_AGO)
        self._writes += 1

    async def prune(self, before: datetime, limit: int) -> Mapping[str, int]:
        gone = set(sorted(one.id for one in self._records.values() if self._is_over(one, before))[:limit])
        keys = {key for key, owed in self._owed.items() if owed.milestone in gone}
        old: list[str] = []
        notices = 0
        for one in sorted(self._deliveries.values(), key=lambda one: one.id):
            left = tuple(key for key in one.members if key not in keys)
            is_old = one.settled_at is not None and one.settled_at < before
            if one.notice is not None and is_old and notices < limit:
                notices += 1
                old.append(one.id)
            elif one.members and not left:
                old.append(one.id)
            elif left != one.members:
                self._deliveries[one.id] = replace(one, members=left)
        for name in old:
            del self._deliveries[name], self._holds[name]
        self._attempts = {key: one for key, one in self._attempts.items() if key[0] not in set(old)}
        self._owed = {key: one for key, one in self._owed.items() if key not in keys}
        self._history = {key: one for key, one in self._history.items() if one.milestone not in gone}
        self._remembered = {key: one for key, one in self._remembered.items() if key[0] not in gone}
        self._records = {name: one for name, one in self._records.items() if name not in gone}
        self._writes += bool(gone or old)
        return {"milestones": len(gone), "deliveries": len(old)}

    async def nodes(self) -> Sequence[NodeReport]:
        by_name = sorted(self._nodes.values(), key=lambda one: one.node)
        return sorted(by_name, key=lambda one: one.seen_at, reverse=True)

    async def size(self) -> int:
        return 0

    async def shared_secret(self, made: str) -> str:
        return self._remembered.setdefault((CHANNEL, rules.SHARED_SECRET), {"secret": made})["secret"]

    async def time(self) -> datetime | None:
        return None

    async def version(self) -> str:
        return str(self._writes)

    def listen(self, heard: Callable[[], None]) -> None:  # noqa: ARG002  nobody else writes to it
        return None

    async def close(self) -> None:
        return None

    def _refuse_strays(
        self, owed: Iterable[ScheduledReminder], deliveries: Iterable[Delivery], coming: Mapping[str, Record]
    ) -> None:
        """What a database refuses by its foreign keys: what is owed for nothing, members that are nothing."""
        keys = {one.key for one in owed}
        for one in owed:
            if one.milestone not in self._records and one.milestone not in coming:
                raise LedgerError(f"{one.key} is owed for {one.milestone!r}, which has no record")
        for delivery in deliveries:
            for key in () if delivery.id in self._deliveries else delivery.members:
                if key not in self._owed and key not in keys:
                    raise LedgerError(f"{delivery.id} carries {key!r}, which is not owed")

    def _write(
        self,
        *,
        owed: Iterable[ScheduledReminder] = (),
        deliveries: Iterable[Delivery] = (),
        history: Iterable[HistoryEntry] = (),
    ) -> None:
        for one in owed:
            old = self._owed.get(one.key)
            self._owed[one.key] = rules.brought_up_to_date(old, one) if old else one
        for delivery in deliveries:
            if delivery.id not in self._deliveries:
                self._deliveries[delivery.id] = delivery
                self._holds[delivery.id] = _Hold()
        for entry in history:
            self._history.setdefault(rules.entry_key(entry), entry)
        self._writes += 1

    def _latest_bound(self) -> dict[tuple[str, str, str], datetime]:
        latest: dict[tuple[str, str, str], datetime] = {}
        for owed in self._owed.values():
            if owed.state is ReminderState.BOUND:
                line = rules.line_of(owed)
                latest[line] = max(owed.at, latest.get(line, owed.at))
        return latest

    def _leased(
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
            overtaken=rules.overtaken(members, latest),
            prior=prior,
            upcoming=rules.upcoming(members, shown, delivery.receiver, self._first_after(now, set(names))),
        )

    def _first_after(self, now: datetime, names: set[str]) -> Mapping[tuple[str, str], ScheduledReminder]:
        first: dict[tuple[str, str], ScheduledReminder] = {}
        for owed in _by_at(one for one in self._owed.values() if one.milestone in names and one.at > now):
            if owed.state is ReminderState.PENDING and owed.cause in rules.REMINDERS:
                first.setdefault((owed.milestone, owed.receiver), owed)
        return first

    def _is_over(self, record: Record, before: datetime) -> bool:
        keys = {key for key, owed in self._owed.items() if owed.milestone == record.id}
        said = [one.at for one in self._history.values() if one.milestone == record.id]
        pending = any(self._owed[key].state is ReminderState.PENDING for key in keys)
        ready = any(
            one.state is DeliveryState.READY and keys & set(one.members) for one in self._deliveries.values()
        )
        is_old = max([record.changed_at, *said]) < before
        return record.withdrawn and is_old and not pending and not ready

    def _settle_rest(self, one: Settlement, channel: str) -> None:
        if one.attempt:
            self._attempts.setdefault((one.attempt.delivery, one.attempt.number), one.attempt)
        for key in one.told:
            owed = self._owed.get(key)
            if owed and owed.told_at is None:
                self._owed[key] = replace(owed, told_at=one.at)
        for milestone, state in one.remember.items():
            self._remembered[milestone, channel] = dict(state)
        self._write(deliveries=one.follow_up)


def _by_at(owed: Iterable[ScheduledReminder]) -> list[ScheduledReminder]:
    return sorted(owed, key=lambda one: (one.at, one.key))
