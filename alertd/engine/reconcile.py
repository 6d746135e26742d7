"""Reconciles the ledger with the definition files, and reports what changed.

These rules hold here:
- Reconciling with the same definitions a second time changes nothing.
- A reminder that was bound, superseded, suppressed or expired is never scheduled again.
- A receiver that was told the old date is told the new date, once.
- A file that cannot be read changes nothing: the ledger keeps the last good version.
- A milestone that cannot be planned changes nothing, and keeps no other from being planned.
- A reminder that cannot be read is never ended. It is written again and waits.
- If no file is left, nothing changes either, because a folder that is not mounted looks the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
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
from alertd.core.planning.relative import resolve
from alertd.core.planning.reminders import rearm
from alertd.core.reason import PlainReason
from alertd.core.time.instant import to_local_date
from alertd.engine.digests import Digests
from alertd.errors import LedgerError
from alertd.ports import Changes, PlanningLedger, TimelineReader

_STAYS = (Cause.DONE, Cause.CANCELLED)

HORIZON = timedelta(days=400)
"""How far ahead the ledger has reminders. Each reconciliation, at least once a day, extends the horizon."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What one reconciliation changed, as counts and as ids of milestones.

    Attributes:
        kept: timelines that stay as they are because no file is left.
        failed: what was raised for milestones or timelines that could not be planned, by id. They stay as
            they are.
    """

    loaded: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    kept: tuple[str, ...] = ()
    failed: dict[str, Exception] = field(default_factory=dict)
    owed: int = 0
    cancelled: int = 0

    @property
    def changed(self) -> bool:
        return bool(self.loaded or self.moved or self.withdrawn or self.owed or self.cancelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilePass:
    """One reconciliation: its inputs, and the report that it fills in."""

    config: Config
    now: datetime
    report: Report
    reconsider: bool = False


async def reconcile(
    ledger: PlanningLedger,
    definitions: Definitions,
    now: datetime,
    *,
    reconsider: bool = False,
    term: Callable[[], Awaitable[int]] | None = None,
) -> Report:
    """Bring the ledger into line with ``definitions``, timeline by timeline.

    Each timeline is one transaction. After a crash some timelines may be reconciled and others not; the next
    call reconciles the rest.

    Args:
        reconsider: the configuration has changed, so decide again about reminders that wait for a mute or a
            snooze.
        term: returns the term of the lead to write under. It is called for each timeline.

    Raises:
        LeadLost: another node has the lead, and writes what this node has not written.
        LedgerError: the ledger cannot be read or written.
        ValueError: ``definitions.config`` is None.
    """
    if definitions.config is None:
        raise ValueError("nothing can be reconciled without a configuration")
    current = ReconcilePass(config=definitions.config, now=now, report=Report(), reconsider=reconsider)
    known = await ledger.read_timelines()
    if known and not definitions.timelines and not definitions.broken:
        current.report.kept = tuple(sorted(known))
        return current.report
    done = await ledger.read_done_dates()
    resolved = await _resolve_all(ledger, definitions, known, done)
    for timeline in definitions.timelines:
        under = await term() if term else None
        records, owed = await ledger.read_timeline(timeline.id)
        milestones = [resolved[milestone.id] for milestone in timeline.milestones]
        try:
            changes = find_changes(current, timeline, milestones, records, owed)
            changes = await _keep_open(ledger, changes, owed)
            if changes != Changes():
                await ledger.apply(changes, term=under)
        except LedgerError:
            raise
        except Exception as error:  # a bug, or a value that no database takes
            current.report.failed[timeline.id] = error
    await _reconcile_digests(ledger, current, term)
    gone = known.keys() - {timeline.id for timeline in definitions.timelines}
    for name in sorted(gone):
        if known[name] not in definitions.broken:
            under = await term() if term else None
            records, owed = await ledger.read_timeline(name)
            await ledger.apply(_withdraw(current, records, owed), term=under)
    return current.report


async def _keep_open(ledger: PlanningLedger, changes: Changes, read: Sequence[ScheduledReminder]) -> Changes:
    """Have reminders wait that are in the ledger and cannot be read, where they look new and too late.

    A new reminder that was due before it was planned is never sent. One that cannot be read is written again
    and may have waited for long, so that is no reason to end it.
    """
    readable = {reminder.key for reminder in read}
    ended = [
        reminder.key
        for reminder in changes.owed
        if reminder.state is not ReminderState.PENDING and reminder.key not in readable
    ]
    unreadable = await ledger.find_known(owed=ended) if ended else frozenset()
    if not unreadable:
        return changes
    return replace(
        changes,
        owed=tuple(
            replace(reminder, state=ReminderState.PENDING, wake_at=reminder.at, reason=None)
            if reminder.key in unreadable
            else reminder
            for reminder in changes.owed
        ),
    )


async def _reconcile_digests(
    ledger: PlanningLedger, current: ReconcilePass, term: Callable[[], Awaitable[int]] | None
) -> None:
    changes = Digests.from_config(current.config).compare(await ledger.read_digests(), current.now)
    if changes != Changes():
        await ledger.apply(changes, term=await term() if term else None)


async def _resolve_all(
    ledger: TimelineReader, definitions: Definitions, known: Mapping[str, str], done: Mapping[str, date]
) -> dict[str, Milestone]:
    """Resolve the relative deadlines of all milestones in the good files.

    If a deadline counts from a milestone in a broken file, the ledger's version of that milestone is used.
    """
    milestones = {
        milestone.id: milestone for timeline in definitions.timelines for milestone in timeline.milestones
    }
    bases = {relative.base for milestone in milestones.values() for relative in milestone.relative}
    for timeline, file in known.items():
        if file in definitions.broken and any(base.startswith(timeline + "/") for base in bases):
            records, _ = await ledger.read_timeline(timeline)
            for record in records:
                milestones.setdefault(record.id, record.milestone)
    return resolve(milestones, done)


def find_changes(
    current: ReconcilePass,
    timeline: Timeline,
    milestones: Sequence[Milestone],
    records: Sequence[Record],
    owed: Sequence[ScheduledReminder],
) -> Changes:
    """Find what to write so that the ledger is in line with one timeline.

    Args:
        milestones: the milestones of the timeline. Relative claims are resolved; recurring milestones are not
            expanded.
        records, owed: everything that the ledger has about the timeline.
    """
    by_id = {record.id: record for record in records}
    owed_by_id: dict[str, list[ScheduledReminder]] = {}
    for reminder in owed:
        owed_by_id.setdefault(reminder.milestone, []).append(reminder)
    since = current.now - current.config.catch_up
    expanded = [
        instance for milestone in milestones for instance in expand(milestone, since, current.now + HORIZON)
    ]
    parts = []
    for milestone in expanded:
        record, its_owed = by_id.get(milestone.id), owed_by_id.get(milestone.id, ())
        try:
            if record is None:
                parts.append(_add(current, milestone, timeline.file, its_owed))
            else:
                parts.append(_update(current, milestone, timeline.file, record, its_owed))
        except Exception as error:  # a bug that this milestone triggers
            current.report.failed[milestone.id] = error
    still = {milestone.id for milestone in expanded}
    series = {milestone.id for milestone in milestones if milestone.repeat is not None}
    gone = [
        record
        for record in records
        if record.id not in still
        and not record.withdrawn
        and not _is_history(record, series, owed_by_id.get(record.id, ()), current.now)
    ]
    parts.append(
        _withdraw(current, gone, [reminder for record in gone for reminder in owed_by_id.get(record.id, ())])
    )
    return _join(parts)


def _is_history(record: Record, series: set[str], owed: Iterable[ScheduledReminder], now: datetime) -> bool:
    """Return whether the series of an instance still exists, and the instance is only too old to expand."""
    if get_series_id(record.id) not in series:
        return False
    day = date.fromisoformat(record.id.rpartition("@")[2])
    to_come = any(reminder.state is ReminderState.PENDING and reminder.at > now for reminder in owed)
    return day < to_local_date(now, record.milestone.zone) and not to_come


def _add(
    current: ReconcilePass, milestone: Milestone, file: str, owed: Sequence[ScheduledReminder]
) -> Changes:
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
    plan = _plan(current, milestone, owed, told=frozenset())
    return _join([Changes(records=(record,), history=(entry,)), plan])


def _update(
    current: ReconcilePass, milestone: Milestone, file: str, record: Record, owed: Sequence[ScheduledReminder]
) -> Changes:
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
    return _join([changed, _plan(current, milestone, owed, told=told)])


def _list_windows(milestone: Milestone) -> frozenset[str]:
    return frozenset(stated.window.id for stated in list_stated_windows(milestone))


def _plan(
    current: ReconcilePass, milestone: Milestone, owed: Sequence[ScheduledReminder], *, told: frozenset[str]
) -> Changes:
    until = current.now + HORIZON
    plan = rearm(milestone, owed, told, current.config, current.now, until, reconsider=current.reconsider)
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
