"""Definitions -> plan -> ledger: brings what is owed into line with the files, and says what changed.

Rules that hold here:
- the same definitions a second time change nothing;
- what was bound, superseded, suppressed or expired is never owed again;
- whoever was told an old date is told the new one, once;
- a file that cannot be read changes nothing: what was last known of it stays;
- when there is no file at all any more, nothing changes either: a folder that is not mounted looks like that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from alertd.core.config import Config, Definitions, Timeline
from alertd.core.ledger.moves import join_phrases, make_move_facts
from alertd.core.ledger.records import HistoryEntry, Record, ReminderState, ScheduledReminder
from alertd.core.ledger.snapshot import pack
from alertd.core.message.claims import list_values
from alertd.core.milestones.milestone import Milestone, stated_windows
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.recurrence import series_of
from alertd.core.planning.changes import News, make_move_news, make_reopened_news, make_returned_news
from alertd.core.planning.plan import expand
from alertd.core.planning.relative import resolve
from alertd.core.planning.reminders import rearm
from alertd.core.reason import PlainReason
from alertd.core.time.instant import local_date
from alertd.engine.digests import Digests
from alertd.ports import Changes, Ledger

_STAYS = (Cause.DONE, Cause.CANCELLED)

HORIZON = timedelta(days=400)
"""How far ahead occurrences are written down; reconciling at least once a day moves it along."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What one reconciliation changed, as counts and as ids of milestones.

    Attributes:
        kept: timelines that were left as they are because no file is there any more.
    """

    loaded: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    kept: tuple[str, ...] = ()
    owed: int = 0
    cancelled: int = 0

    @property
    def changed(self) -> bool:
        return bool(self.loaded or self.moved or self.withdrawn or self.owed or self.cancelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilePass:
    """One reconciliation under way: what it goes by, and what it has found so far."""

    config: Config
    now: datetime
    report: Report
    reconsider: bool = False


async def reconcile(
    ledger: Ledger,
    definitions: Definitions,
    now: datetime,
    *,
    reconsider: bool = False,
    term: Callable[[], Awaitable[int]] | None = None,
) -> Report:
    """Bring the ledger into line with ``definitions``, timeline by timeline.

    Each timeline is one transaction, so a crash in between leaves some in line and the others as
    they were; the next call finishes.

    Args:
        reconsider: have what waits for a mute or a snooze looked at anew: the configuration is another.
        term: asked for each timeline: the term of the lead under which it is written.

    Raises:
        LeadLost: another node has the lead; what it has not written, it writes.
        LedgerError: the ledger cannot be read or written.
        ValueError: ``definitions.config`` is None.
    """
    if definitions.config is None:
        raise ValueError("nothing can be reconciled without a configuration")
    this = ReconcilePass(config=definitions.config, now=now, report=Report(), reconsider=reconsider)
    known = await ledger.timelines()
    if known and not definitions.timelines and not definitions.broken:
        this.report.kept = tuple(sorted(known))
        return this.report
    done = await ledger.done_dates()
    resolved = await _resolved(ledger, definitions, known, done)
    for timeline in definitions.timelines:
        under = await term() if term else None
        records, owed = await ledger.timeline(timeline.id)
        milestones = [resolved[milestone.id] for milestone in timeline.milestones]
        changes = changes_of(this, timeline, milestones, records, owed)
        if changes != Changes():
            await ledger.apply(changes, term=under)
    await _digests(ledger, this, term)
    gone = known.keys() - {timeline.id for timeline in definitions.timelines}
    for name in sorted(gone):
        if known[name] not in definitions.broken:
            under = await term() if term else None
            records, owed = await ledger.timeline(name)
            await ledger.apply(_withdrawal(this, records, owed), term=under)
    return this.report


async def _digests(ledger: Ledger, this: ReconcilePass, term: Callable[[], Awaitable[int]] | None) -> None:
    changes = Digests.of(this.config).changes(await ledger.digests(), this.now)
    if changes != Changes():
        await ledger.apply(changes, term=await term() if term else None)


async def _resolved(
    ledger: Ledger, definitions: Definitions, known: Mapping[str, str], done: Mapping[str, date]
) -> dict[str, Milestone]:
    """All milestones of the good files, relative deadlines computed.

    One that is counted from a milestone in a file that is broken at the moment is counted from
    what the ledger last knew of that.
    """
    milestones = {one.id: one for timeline in definitions.timelines for one in timeline.milestones}
    bases = {relative.base for one in milestones.values() for relative in one.relative}
    for timeline, file in known.items():
        if file in definitions.broken and any(base.startswith(timeline + "/") for base in bases):
            records, _ = await ledger.timeline(timeline)
            for record in records:
                milestones.setdefault(record.id, record.milestone)
    return resolve(milestones, done)


def changes_of(
    this: ReconcilePass,
    timeline: Timeline,
    milestones: Sequence[Milestone],
    records: Sequence[Record],
    owed: Sequence[ScheduledReminder],
) -> Changes:
    """What must be written so that the ledger is in line with one timeline.

    Args:
        milestones: the timeline's own, relative claims resolved, recurring ones not expanded.
        records, owed: all that the ledger has of the timeline.
    """
    by_id = {record.id: record for record in records}
    owed_of: dict[str, list[ScheduledReminder]] = {}
    for one in owed:
        owed_of.setdefault(one.milestone, []).append(one)
    since = this.now - this.config.catch_up
    expanded = [one for milestone in milestones for one in expand(milestone, since, this.now + HORIZON)]
    parts = []
    for milestone in expanded:
        record, its_owed = by_id.get(milestone.id), owed_of.get(milestone.id, ())
        if record is None:
            parts.append(_first_seen(this, milestone, timeline.file, its_owed))
        else:
            parts.append(_seen_again(this, milestone, timeline.file, record, its_owed))
    still = {milestone.id for milestone in expanded}
    series = {milestone.id for milestone in milestones if milestone.repeat is not None}
    gone = [
        record
        for record in records
        if record.id not in still
        and not record.withdrawn
        and not _is_history(record, series, owed_of.get(record.id, ()), this.now)
    ]
    parts.append(_withdrawal(this, gone, [one for record in gone for one in owed_of.get(record.id, ())]))
    return _joined(parts)


def _is_history(record: Record, series: set[str], owed: Iterable[ScheduledReminder], now: datetime) -> bool:
    """Whether it is an instance of a series that is still there, only too old to be expanded."""
    if series_of(record.id) not in series:
        return False
    day = date.fromisoformat(record.id.rpartition("@")[2])
    to_come = any(one.state is ReminderState.PENDING and one.at > now for one in owed)
    return day < local_date(now, record.milestone.zone) and not to_come


def _first_seen(
    this: ReconcilePass, milestone: Milestone, file: str, owed: Sequence[ScheduledReminder]
) -> Changes:
    this.report.loaded.append(milestone.id)
    values = list_values(milestone)
    record = Record(
        milestone=milestone, file=file, revision=1, values=values, loaded_at=this.now, changed_at=this.now
    )
    facts = {"deadline": join_phrases(values)}
    entry = HistoryEntry(milestone=milestone.id, at=this.now, kind="loaded", facts=facts)
    plan = _plan(this, milestone, owed, told=frozenset())
    return _joined([Changes(records=(record,), history=(entry,)), plan])


def _seen_again(
    this: ReconcilePass, milestone: Milestone, file: str, record: Record, owed: Sequence[ScheduledReminder]
) -> Changes:
    values = list_values(milestone)
    after = replace(record, milestone=milestone, file=file, values=values, withdrawn=False)
    history, news = [], News()
    if record.withdrawn:
        this.report.loaded.append(milestone.id)
        history.append(HistoryEntry(milestone=milestone.id, at=this.now, kind="returned"))
    if set(after.window_ids) == set(record.window_ids):
        news = make_returned_news(after, owed) if record.withdrawn else news
        if not record.status.closed:
            # Somebody may have reopened it while its move was being written down.
            news = replace(news, owed=(*news.owed, *make_reopened_news(after, owed, this.now)))
    else:
        after = replace(after, revision=record.revision + 1, changed_at=this.now)
        # A policy that picks other windows of the same claims moves nothing: nobody said anything new.
        if _claimed(milestone) != _claimed(record.milestone):
            this.report.moved.append(milestone.id)
            facts = make_move_facts(record.values, values)
            history.append(HistoryEntry(milestone=milestone.id, at=this.now, kind="moved", facts=facts))
            news = make_move_news(record, after, owed, this.config, this.now)
    told = frozenset(one.receiver for one in news.owed)
    changed = Changes(
        records=(after,) if _rewritten(record, after) else (),
        owed=news.owed,
        cancelled=news.called_off,
        history=tuple(history),
    )
    return _joined([changed, _plan(this, milestone, owed, told=told)])


def _claimed(milestone: Milestone) -> frozenset[str]:
    return frozenset(one.window.id for one in stated_windows(milestone))


def _plan(
    this: ReconcilePass, milestone: Milestone, owed: Sequence[ScheduledReminder], *, told: frozenset[str]
) -> Changes:
    until = this.now + HORIZON
    plan = rearm(milestone, owed, told, this.config, this.now, until, reconsider=this.reconsider)
    this.report.owed += len(plan.owed)
    this.report.cancelled += len(plan.cancelled)
    return Changes(owed=plan.owed + plan.woken, cancelled=plan.cancelled)


def _rewritten(before: Record, after: Record) -> bool:
    """Whether the record must be written: what the ledger keeps of a definition is its snapshot."""
    same = replace(after, milestone=before.milestone) == before
    return not same or pack(after.milestone) != pack(before.milestone)


def _withdrawal(this: ReconcilePass, records: Iterable[Record], owed: Sequence[ScheduledReminder]) -> Changes:
    gone = [record for record in records if not record.withdrawn]
    this.report.withdrawn.extend(record.id for record in gone)
    names = {record.id for record in gone}
    # That something is done or cancelled stays true, whether or not anybody wants to be reminded of it.
    cancelled = tuple(
        (one.key, PlainReason.WITHDRAWN)
        for one in owed
        if one.milestone in names and one.state is ReminderState.PENDING and one.cause not in _STAYS
    )
    this.report.cancelled += len(cancelled)
    return Changes(
        records=tuple(replace(record, withdrawn=True) for record in gone),
        cancelled=cancelled,
        history=tuple(HistoryEntry(milestone=record.id, at=this.now, kind="withdrawn") for record in gone),
    )


def _joined(parts: Iterable[Changes]) -> Changes:
    parts = list(parts)
    return Changes(
        records=tuple(one for part in parts for one in part.records),
        owed=tuple(one for part in parts for one in part.owed),
        cancelled=tuple(one for part in parts for one in part.cancelled),
        history=tuple(one for part in parts for one in part.history),
    )
