"""Brings the milestones of one timeline into line, in slices, and records that when all of them are.

- A reminder that cannot be read is never ended. It is written again and waits.
- The fingerprint of a timeline is in the ledger only while no slice of it is missing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain

from alertd.core.config import Timeline
from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import Record, ReminderState, ScheduledReminder
from alertd.core.message.claims import list_values
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.planning.plan import expand
from alertd.core.planning.reminders import HORIZON, Ladder, make_ladder
from alertd.core.time.instant import to_local_date
from alertd.engine.plan_changes import find_changes, join_changes, withdraw
from alertd.engine.reconcile_pass import ReconcilePass
from alertd.ports import Changes, PlanningLedger

STEPS_AT_ONCE = 500
"""When milestones have so many reminders in all, they are planned and written. A lease waits for that."""


async def reconcile_timeline(  # noqa: PLR0917  the files, and what the ledger has
    ledger: PlanningLedger,
    current: ReconcilePass,
    timeline: Timeline,
    milestones: Sequence[Milestone],
    records: Sequence[Record],
    owed: Sequence[ScheduledReminder],
    *,
    is_whole: bool = True,
    fingerprint: TimelineFingerprint | None = None,
) -> None:
    """Bring milestones of one timeline into line.

    The history of a milestone is not read. Its size therefore does not matter.

    Args:
        milestones: relative claims are resolved; recurring milestones are not expanded.
        records: all records of the timeline, or those of ``milestones`` alone.
        owed: the reminders of the records that may still be sent.
        is_whole: all milestones of the timeline are known, so those that are not among them are withdrawn.
        fingerprint: what the ledger is in line with afterwards. It is written in the last transaction if no
            milestone has failed. The caller has deleted the one before it.
    """
    since, until = current.options.now - current.config.catch_up, current.options.now + HORIZON
    by_id = {record.id: record for record in records}
    owed_by_id: dict[str, list[ScheduledReminder]] = {}
    for reminder in owed:
        owed_by_id.setdefault(reminder.milestone, []).append(reminder)
    failed_before = len(current.report.failed)
    still: set[str] = set()
    ladders: list[Ladder] = []
    parts: list[Changes] = []
    steps = 0
    past = _PastInstances.find(records, current.options.now)
    for milestone in milestones:
        for instance in expand(milestone, since, until):
            if instance.id not in by_id and past.has(milestone, instance):
                continue
            await current.options.give_way()
            still.add(instance.id)
            try:
                ladders.append(make_ladder(instance, current.config, current.options.now, until))
            except Exception as error:  # a bug that this milestone triggers
                current.report.failed[instance.id] = error
                continue
            steps += len(ladders[-1].steps)
            if len(ladders) == current.options.at_once or steps >= STEPS_AT_ONCE:
                parts.append(await _find_changes(ledger, current, timeline, ladders, by_id, owed_by_id))
                ladders, steps = [], 0
        # All instances of a series are one transaction, so that a crash leaves no half series, whose past
        # instances would count as never had.
        if parts:
            parts.append(await _find_changes(ledger, current, timeline, ladders, by_id, owed_by_id))
            await _write(ledger, current, join_changes(parts))
            ladders, parts, steps = [], [], 0
    parts.append(await _find_changes(ledger, current, timeline, ladders, by_id, owed_by_id))
    series = {milestone.id for milestone in milestones if milestone.repeat is not None}
    gone = [
        record
        for record in records
        if is_whole
        and record.id not in still
        and not record.withdrawn
        and not (current.options.in_doubt and get_series_id(record.id) in series)
        and not _is_history(record, series, owed_by_id.get(record.id, ()), current.options.now)
    ]
    left = [reminder for record in gone for reminder in owed_by_id.get(record.id, ())]
    changes = join_changes([*parts, withdraw(current, gone, left)])
    is_done = len(current.report.failed) == failed_before and timeline.id not in current.unsettled
    if is_done and fingerprint is not None:
        changes = replace(changes, fingerprints=(fingerprint,))
    await _write(ledger, current, changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PastInstances:
    """The instances of a series that an edit of its rule has added to the past.

    Such an instance has no record, its date is over, and the ledger had instances of its series when it would
    have had this one too. No reminder of the instance was missed, so none is sent.

    Attributes:
        series: the series that have instances in the ledger.
        planned: up to when the ledger had the instances of these series.
    """

    series: frozenset[str]
    planned: datetime
    now: datetime

    @classmethod
    def find(cls, records: Iterable[Record], now: datetime) -> _PastInstances:
        series, seen = set(), []
        for record in records:
            seen.append(max(record.loaded_at, record.changed_at))
            if (name := get_series_id(record.id)) != record.id:
                series.add(name)
        return cls(series=frozenset(series), planned=max(seen, default=now) + HORIZON, now=now)

    def has(self, milestone: Milestone, instance: Milestone) -> bool:
        if milestone.repeat is None or milestone.id not in self.series:
            return False
        return _read_day(instance.id) < to_local_date(min(self.now, self.planned), milestone.zone)


def _read_day(instance: str) -> date:
    """Return the local date of an instance of a series, which its id contains."""
    return date.fromisoformat(instance.rpartition("@")[2])


async def _write(ledger: PlanningLedger, current: ReconcilePass, changes: Changes) -> None:
    if changes != Changes():
        await ledger.apply(changes, term=await current.find_term())


async def _find_changes(  # noqa: PLR0917  the files, the plan and the ledger
    ledger: PlanningLedger,
    current: ReconcilePass,
    timeline: Timeline,
    ladders: Sequence[Ladder],
    records: Mapping[str, Record],
    pending: Mapping[str, Sequence[ScheduledReminder]],
) -> Changes:
    """Read what else the plan of some milestones depends on, and find what to write.

    Args:
        ladders: the reminders of each milestone and of each instance of a series.
        records: the records by full id.
        pending: the reminders that may still be sent, by full id.
    """
    owed = [reminder for ladder in ladders for reminder in pending.get(ladder.milestone.id, ())]
    known = {reminder.key for reminder in owed}
    # A milestone without a record has no reminders.
    recorded = [ladder for ladder in ladders if ladder.milestone.id in records]
    missing = [key for ladder in recorded for key in ladder.steps if key not in known]
    found = await ledger.read_reminders(missing) if missing else ()
    known.update(reminder.key for reminder in found)
    news = _list_with_news(owed)
    asked = [
        name
        for ladder in recorded
        if (name := ladder.milestone.id) in news
        or _needs_latest(ladder, records[name], known, current.options.now)
    ]
    latest = await ledger.read_latest(asked) if asked else ()
    every = {reminder.key: reminder for reminder in chain(owed, found, latest)}
    changes = find_changes(current, timeline, ladders, records, tuple(every.values()))
    return await _keep_open(ledger, changes, every)


async def _keep_open(ledger: PlanningLedger, changes: Changes, read: Container[str]) -> Changes:
    """Have reminders wait that are in the ledger and cannot be read, where they look new and too late.

    A new reminder that was due before it was planned is never sent. One that cannot be read is written again
    and may have waited for long, so that is no reason to end it.

    Args:
        read: the keys of reminders that can be read.
    """
    ended = [
        reminder.key
        for reminder in changes.owed
        if reminder.state is not ReminderState.PENDING and reminder.key not in read
    ]
    known = await ledger.find_known(owed=ended) if ended else frozenset()
    if not known:
        return changes
    unreadable = known.difference(reminder.key for reminder in await ledger.read_reminders(sorted(known)))
    return replace(
        changes,
        owed=tuple(
            replace(reminder, state=ReminderState.PENDING, wake_at=reminder.at, reason=None)
            if reminder.key in unreadable
            else reminder
            for reminder in changes.owed
        ),
    )


def _list_with_news(owed: Iterable[ScheduledReminder]) -> set[str]:
    """List the milestones that have news which waits."""
    return {reminder.milestone for reminder in owed if reminder.cause is Cause.MOVED}


def _needs_latest(ladder: Ladder, record: Record, known: Container[str], now: datetime) -> bool:
    """Return whether the plan of a milestone depends on what its receivers were told last."""
    values = list_values(ladder.milestone)
    same = {value.window_id for value in values} == set(record.window_ids)
    return record.withdrawn or not same or any(key not in known for key in ladder.list_past_keys(now))


def _is_history(record: Record, series: set[str], owed: Iterable[ScheduledReminder], now: datetime) -> bool:
    """Return whether the series of an instance still exists, and the instance is only too old to expand."""
    if get_series_id(record.id) not in series:
        return False
    day = _read_day(record.id)
    to_come = any(reminder.state is ReminderState.PENDING and reminder.at > now for reminder in owed)
    return day < to_local_date(now, record.milestone.zone) and not to_come
