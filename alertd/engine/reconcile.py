"""Reconciles the ledger with the definition files, and reports what changed.

These rules hold here:
- Reconciling with the same definitions a second time changes nothing.
- A reminder that was bound, superseded, suppressed or expired is never scheduled again.
- A receiver that was told the old date is told the new date, once.
- A file that cannot be read changes nothing: the ledger keeps the last good version.
- While a file cannot be read, no timeline and no milestone that it may hold is withdrawn.
- A milestone that cannot be planned changes nothing, and keeps no other from being planned.
- A reminder that cannot be read is never ended. It is written again and waits.
- If no file is left, nothing changes either, because a folder that is not mounted looks the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import chain

from alertd.core.config import Config, Definitions, Timeline
from alertd.core.ledger.moves import join_phrases, make_move_facts
from alertd.core.ledger.records import HistoryEntry, Record, ReminderState, ScheduledReminder
from alertd.core.ledger.snapshot import pack
from alertd.core.message.claims import list_values
from alertd.core.milestones.milestone import Milestone, list_stated_windows
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.planning.changes import News, make_move_news, make_reopened_news, make_returned_news
from alertd.core.planning.plan import expand
from alertd.core.planning.relative import collect_bases, find_dependents, resolve
from alertd.core.planning.reminders import HORIZON, Ladder, make_ladder, rearm
from alertd.core.reason import PlainReason
from alertd.core.time.instant import to_local_date
from alertd.engine.digests import Digests
from alertd.errors import LedgerError, LedgerRefused
from alertd.ports import Changes, PlanningLedger, TimelineReader

AT_ONCE = 100
"""How many milestones are planned and written together, so that other work runs soon."""

_STAYS = (Cause.DONE, Cause.CANCELLED)


@dataclass(slots=True, kw_only=True)
class Report:
    """What one reconciliation changed, as counts and as ids of milestones.

    Attributes:
        kept: timelines without a file that stay as they are, because no file is left, or because a file that
            cannot be read may hold them.
        holders: the files that cannot be read and may hold a timeline of ``kept``; () if no file is left.
        failed: what was raised for milestones or timelines that could not be planned, by id. They stay as
            they are.
    """

    loaded: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    kept: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    failed: dict[str, Exception] = field(default_factory=dict)
    owed: int = 0
    cancelled: int = 0

    @property
    def changed(self) -> bool:
        return bool(self.loaded or self.moved or self.withdrawn or self.owed or self.cancelled)


async def _go_on() -> None:
    """Do nothing between two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilePass:
    """One reconciliation: its inputs, and the report that it fills in."""

    config: Config
    now: datetime
    report: Report
    reconsider: bool = False
    in_doubt: bool = False
    elsewhere: Set[str] = frozenset()
    term: Callable[[], Awaitable[int]] | None = None
    give_way: Callable[[], Awaitable[None]] = _go_on

    async def find_term(self) -> int | None:
        return await self.term() if self.term else None


async def reconcile(
    ledger: PlanningLedger,
    definitions: Definitions,
    now: datetime,
    *,
    reconsider: bool = False,
    in_doubt: bool = False,
    elsewhere: Set[str] = frozenset(),
    term: Callable[[], Awaitable[int]] | None = None,
    give_way: Callable[[], Awaitable[None]] = _go_on,
) -> Report:
    """Bring the ledger into line with ``definitions``, timeline by timeline.

    At most :data:`AT_ONCE` milestones of a timeline are one transaction. After a crash some may be reconciled
    and others not; the next call reconciles the rest.

    Args:
        reconsider: the configuration has changed, so decide again about reminders that wait for a mute or a
            snooze.
        in_doubt: ``now`` may lie far in the past. Nothing is cancelled or withdrawn because it is so far
            ahead, and digests stay as they are.
        elsewhere: receivers that this configuration does not have and another live node knows, as in a
            rolling deploy. What is scheduled for them stays as it is.
        term: returns the term of the lead to write under. It is called for each transaction.
        give_way: lets other work run. It is called between the milestones, and never between reading and
            writing a milestone.

    Raises:
        LeadLost: another node has the lead, and writes what this node has not written.
        LedgerError: the ledger cannot be read or written.
        ValueError: ``definitions.config`` is None.
    """
    current = ReconcilePass(
        config=_find_config(definitions),
        now=now,
        report=Report(),
        reconsider=reconsider,
        in_doubt=in_doubt,
        elsewhere=elsewhere,
        term=term,
        give_way=give_way,
    )
    known = await ledger.read_timelines()
    if known and not definitions.timelines and not definitions.list_broken_timelines():
        current.report.kept = tuple(sorted(known))
        return current.report
    done = await ledger.read_done_dates()
    await give_way()
    gone = known.keys() - {timeline.id for timeline in definitions.timelines}
    holders = {name: definitions.find_holders(name) for name in gone if known[name] not in definitions.broken}
    current.report.kept = tuple(sorted(name for name, files in holders.items() if files))
    current.report.holders = tuple(sorted({file for files in holders.values() for file in files}))
    withdrawn = sorted(name for name, files in holders.items() if not files)
    resolved = await _resolve_all(ledger, definitions, gone.difference(withdrawn), done)
    for timeline in definitions.timelines:
        milestones = [resolved[milestone.id] for milestone in timeline.milestones]
        # A broken file that states the same timeline may hold the milestones that this file does not.
        is_whole = not any(definitions.identified.get(file) == timeline.id for file in definitions.broken)
        records, owed = await ledger.read_timeline(timeline.id)
        work = _reconcile_timeline(ledger, current, timeline, milestones, records, owed, is_whole=is_whole)
        await _try_timeline(current, timeline, work)
    await _reconcile_digests(ledger, current)
    for name in withdrawn:
        records, owed = await ledger.read_timeline(name)
        await ledger.apply(_withdraw(current, records, owed), term=await current.find_term())
    return current.report


async def reconcile_dependents(
    ledger: PlanningLedger,
    definitions: Definitions,
    now: datetime,
    *,
    changed: Set[str],
    done: Mapping[str, date],
    in_doubt: bool = False,
    elsewhere: Set[str] = frozenset(),
    term: Callable[[], Awaitable[int]] | None = None,
    give_way: Callable[[], Awaitable[None]] = _go_on,
) -> Report:
    """Bring only those milestones into line whose deadlines count from milestones that were done or reopened.

    The other arguments and the errors are those of :func:`reconcile`.

    Args:
        changed: the full ids of the milestones whose done dates have changed.
        done: all local done dates by full id.
    """
    current = ReconcilePass(
        config=_find_config(definitions),
        now=now,
        report=Report(),
        in_doubt=in_doubt,
        elsewhere=elsewhere,
        term=term,
        give_way=give_way,
    )
    milestones = {
        milestone.id: milestone for timeline in definitions.timelines for milestone in timeline.milestones
    }
    dependents = find_dependents(milestones, changed)
    if not dependents:
        return current.report
    chain = collect_bases(milestones, dependents)
    unknown = {relative.base for name in chain for relative in milestones[name].relative} - chain
    # The bases in broken files are as the ledger has them.
    kept = await ledger.read_records_by_id(sorted(unknown))
    resolved = resolve(
        {name: milestones[name] for name in chain} | {name: kept[name].milestone for name in kept}, done
    )
    for timeline in definitions.timelines:
        names = [milestone.id for milestone in timeline.milestones if milestone.id in dependents]
        if names:
            records, owed = await ledger.read_milestones(names)
            dependent = [resolved[name] for name in names]
            work = _reconcile_timeline(ledger, current, timeline, dependent, records, owed)
            await _try_timeline(current, timeline, work)
    return current.report


def _find_config(definitions: Definitions) -> Config:
    if definitions.config is None:
        raise ValueError("nothing can be reconciled without a configuration")
    return definitions.config


async def _reconcile_digests(ledger: PlanningLedger, current: ReconcilePass) -> None:
    if current.in_doubt:
        return
    changes = Digests.from_config(current.config).compare(await ledger.read_digests(), current.now)
    if changes != Changes():
        await ledger.apply(changes, term=await current.find_term())


async def _resolve_all(
    ledger: TimelineReader, definitions: Definitions, kept: Iterable[str], done: Mapping[str, date]
) -> dict[str, Milestone]:
    """Resolve the relative deadlines of all milestones in the good files.

    If a deadline counts from a milestone in a broken file, the ledger's version of that milestone is used.

    Args:
        kept: the timelines that stay in force as the ledger has them.
    """
    milestones = {
        milestone.id: milestone for timeline in definitions.timelines for milestone in timeline.milestones
    }
    bases = {relative.base for milestone in milestones.values() for relative in milestone.relative}
    for timeline in kept:
        if any(base.startswith(timeline + "/") for base in bases):
            records, _ = await ledger.read_timeline(timeline)
            for record in records:
                milestones.setdefault(record.id, record.milestone)
    return resolve(milestones, done)


async def _try_timeline(current: ReconcilePass, timeline: Timeline, work: Awaitable[None]) -> None:
    """Bring milestones of one timeline into line. If that raises, the timeline alone stays as it is.

    Args:
        work: what :func:`_reconcile_timeline` returned for the timeline.
    """
    try:
        await work
    except LedgerRefused as error:
        current.report.failed[timeline.id] = error
    except LedgerError:
        raise
    except Exception as error:  # a bug, or a value that no database takes
        current.report.failed[timeline.id] = error


async def _reconcile_timeline(  # noqa: PLR0917  the files, and what the ledger has
    ledger: PlanningLedger,
    current: ReconcilePass,
    timeline: Timeline,
    milestones: Sequence[Milestone],
    records: Sequence[Record],
    owed: Sequence[ScheduledReminder],
    *,
    is_whole: bool = True,
) -> None:
    """Bring milestones of one timeline into line.

    The history of a milestone is not read. Its size therefore does not matter.

    Args:
        milestones: relative claims are resolved; recurring milestones are not expanded.
        records: all records of the timeline, or those of ``milestones`` alone.
        owed: the reminders of the records that may still be sent.
        is_whole: all milestones of the timeline are known, so those that are not among them are withdrawn.
    """
    since, until = current.now - current.config.catch_up, current.now + HORIZON
    by_id = {record.id: record for record in records}
    owed_by_id: dict[str, list[ScheduledReminder]] = {}
    for reminder in owed:
        owed_by_id.setdefault(reminder.milestone, []).append(reminder)
    still: set[str] = set()
    ladders: list[Ladder] = []
    parts: list[Changes] = []
    past = _PastInstances.find(records, current.now)
    for milestone in milestones:
        for instance in expand(milestone, since, until):
            if instance.id not in by_id and past.has(milestone, instance):
                continue
            await current.give_way()
            still.add(instance.id)
            try:
                ladders.append(make_ladder(instance, current.config, current.now, until))
            except Exception as error:  # a bug that this milestone triggers
                current.report.failed[instance.id] = error
                continue
            if len(ladders) == AT_ONCE:
                parts.append(await _find_changes(ledger, current, timeline, ladders, by_id, owed_by_id))
                ladders = []
        # All instances of a series are one transaction, so that a crash leaves no half series, whose past
        # instances would count as never had.
        if parts:
            parts.append(await _find_changes(ledger, current, timeline, ladders, by_id, owed_by_id))
            await _write(ledger, current, _join(parts))
            ladders, parts = [], []
    parts.append(await _find_changes(ledger, current, timeline, ladders, by_id, owed_by_id))
    series = {milestone.id for milestone in milestones if milestone.repeat is not None}
    gone = [
        record
        for record in records
        if is_whole
        and record.id not in still
        and not record.withdrawn
        and not (current.in_doubt and get_series_id(record.id) in series)
        and not _is_history(record, series, owed_by_id.get(record.id, ()), current.now)
    ]
    left = [reminder for record in gone for reminder in owed_by_id.get(record.id, ())]
    await _write(ledger, current, _join([*parts, _withdraw(current, gone, left)]))


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
        if (name := ladder.milestone.id) in news or _needs_latest(ladder, records[name], known, current.now)
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


def find_changes(
    current: ReconcilePass,
    timeline: Timeline,
    ladders: Sequence[Ladder],
    records: Mapping[str, Record],
    owed: Sequence[ScheduledReminder],
) -> Changes:
    """Find what to write so that the ledger is in line with some milestones of one timeline.

    Args:
        ladders: the reminders of each milestone and of each instance of a series.
        records: the records by full id.
        owed: what the ledger has about them, as :func:`alertd.core.planning.reminders.rearm` needs.
    """
    owed_by_id: dict[str, list[ScheduledReminder]] = {}
    for reminder in owed:
        owed_by_id.setdefault(reminder.milestone, []).append(reminder)
    parts = []
    for ladder in ladders:
        name = ladder.milestone.id
        record, its_owed = records.get(name), owed_by_id.get(name, ())
        try:
            if record is None:
                parts.append(_add(current, ladder, timeline.file, its_owed))
            else:
                parts.append(_update(current, ladder, timeline.file, record, its_owed))
        except Exception as error:  # a bug that this milestone triggers
            current.report.failed[name] = error
    return _join(parts)


def _is_history(record: Record, series: set[str], owed: Iterable[ScheduledReminder], now: datetime) -> bool:
    """Return whether the series of an instance still exists, and the instance is only too old to expand."""
    if get_series_id(record.id) not in series:
        return False
    day = _read_day(record.id)
    to_come = any(reminder.state is ReminderState.PENDING and reminder.at > now for reminder in owed)
    return day < to_local_date(now, record.milestone.zone) and not to_come


def _add(current: ReconcilePass, ladder: Ladder, file: str, owed: Sequence[ScheduledReminder]) -> Changes:
    milestone = ladder.milestone
    current.report.loaded.append(milestone.id)
    values = list_values(milestone)
    record = Record(
        milestone=milestone,
        file=file,
        revision=1,
        values=values,
        loaded_at=current.now,
        changed_at=current.now,
    )
    facts = {"deadline": join_phrases(values)}
    entry = HistoryEntry(milestone=milestone.id, at=current.now, kind="loaded", facts=facts)
    plan = _plan(current, ladder, None, owed, told=frozenset())
    return _join([Changes(records=(record,), history=(entry,)), plan])


def _update(
    current: ReconcilePass, ladder: Ladder, file: str, record: Record, owed: Sequence[ScheduledReminder]
) -> Changes:
    milestone = ladder.milestone
    values = list_values(milestone)
    after = replace(record, milestone=milestone, file=file, values=values, withdrawn=False)
    history, news = [], News()
    if record.withdrawn:
        current.report.loaded.append(milestone.id)
        history.append(HistoryEntry(milestone=milestone.id, at=current.now, kind="returned"))
    if set(after.window_ids) == set(record.window_ids):
        news = make_returned_news(after, owed) if record.withdrawn else news
        if not record.status.closed:
            # Somebody may have reopened the milestone while its move was being written.
            news = replace(news, owed=(*news.owed, *make_reopened_news(after, owed, current.now)))
    else:
        after = replace(after, revision=record.revision + 1, changed_at=current.now)
        # If only the policy picks other windows of the same claims, the deadline has not moved.
        if _list_windows(milestone) != _list_windows(record.milestone):
            current.report.moved.append(milestone.id)
            facts = make_move_facts(record.values, values)
            history.append(HistoryEntry(milestone=milestone.id, at=current.now, kind="moved", facts=facts))
            news = make_move_news(record, after, owed, current.config, current.now)
    told = frozenset(reminder.receiver for reminder in news.owed)
    changed = Changes(
        records=(after,) if _must_write(record, after) else (),
        owed=news.owed,
        cancelled=news.called_off,
        history=tuple(history),
    )
    return _join([changed, _plan(current, ladder, record, owed, told=told)])


def _list_windows(milestone: Milestone) -> frozenset[str]:
    return frozenset(stated.window.id for stated in list_stated_windows(milestone))


def _plan(
    current: ReconcilePass,
    ladder: Ladder,
    record: Record | None,
    owed: Sequence[ScheduledReminder],
    *,
    told: frozenset[str],
) -> Changes:
    plan = rearm(
        ladder,
        record,
        owed,
        told,
        current.config,
        current.now,
        reconsider=current.reconsider,
        elsewhere=current.elsewhere,
    )
    if current.in_doubt:
        plan = replace(plan, cancelled=())
    current.report.owed += len(plan.owed)
    current.report.cancelled += len(plan.cancelled)
    return Changes(owed=plan.owed + plan.woken, cancelled=plan.cancelled)


def _must_write(before: Record, after: Record) -> bool:
    """Return whether the record must be written. The ledger keeps the snapshot of a definition."""
    same = replace(after, milestone=before.milestone) == before
    return not same or pack(after.milestone) != pack(before.milestone)


def _withdraw(
    current: ReconcilePass, records: Iterable[Record], owed: Sequence[ScheduledReminder]
) -> Changes:
    gone = [record for record in records if not record.withdrawn]
    current.report.withdrawn.extend(record.id for record in gone)
    names = {record.id for record in gone}
    # A message that a milestone is done or cancelled stays true after the milestone is withdrawn.
    cancelled = tuple(
        (reminder.key, PlainReason.WITHDRAWN)
        for reminder in owed
        if reminder.milestone in names
        and reminder.state is ReminderState.PENDING
        and reminder.cause not in _STAYS
    )
    current.report.cancelled += len(cancelled)
    return Changes(
        records=tuple(replace(record, withdrawn=True) for record in gone),
        cancelled=cancelled,
        history=tuple(HistoryEntry(milestone=record.id, at=current.now, kind="withdrawn") for record in gone),
    )


def _join(parts: Iterable[Changes]) -> Changes:
    parts = list(parts)
    return Changes(
        records=tuple(chain.from_iterable(part.records for part in parts)),
        owed=tuple(chain.from_iterable(part.owed for part in parts)),
        cancelled=tuple(chain.from_iterable(part.cancelled for part in parts)),
        history=tuple(chain.from_iterable(part.history for part in parts)),
    )
