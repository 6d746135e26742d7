"""Definitions -> plan -> ledger: brings what is owed into line with the files, and says what changed.

Rules that hold here:
- the same definitions a second time change nothing;
- what was bound, superseded, suppressed or expired is never owed again;
- whoever was told an old date is told the new one, once;
- a file that cannot be read changes nothing: what was last known of it stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from alertd.core.claims import values_of
from alertd.core.config import Config, Definitions, Timeline
from alertd.core.delivery import NEWS
from alertd.core.ledger import HistoryEntry, Move, Owed, OwedState, Record, Value
from alertd.core.milestone import Milestone
from alertd.core.occurrence import Cause, digest, first_instant, labels_of, occurrences
from alertd.core.plan import expand, receivers_of
from alertd.core.recurrence import series_of
from alertd.core.relative import resolve
from alertd.core.route import group_key, match_routes
from alertd.core.snapshot import pack
from alertd.ports import Changes, Ledger

HORIZON = timedelta(days=400)
"""How far ahead occurrences are written down; reconciling at least once a day moves it along."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What one reconciliation changed, as counts and as ids of milestones."""

    loaded: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    owed: int = 0
    cancelled: int = 0

    @property
    def changed(self) -> bool:
        return bool(self.loaded or self.moved or self.withdrawn or self.owed or self.cancelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One reconciliation under way: what it goes by, and what it has found so far."""

    config: Config
    now: datetime
    report: Report


async def reconcile(ledger: Ledger, definitions: Definitions, now: datetime) -> Report:
    """Bring the ledger into line with ``definitions``, timeline by timeline.

    Each timeline is one transaction, so a crash in between leaves some in line and the others as
    they were; the next call finishes.

    Raises:
        LedgerError: the ledger cannot be read or written.
        ValueError: ``definitions.config`` is None.
    """
    if definitions.config is None:
        raise ValueError("nothing can be reconciled without a configuration")
    this = Pass(config=definitions.config, now=now, report=Report())
    known = await ledger.timelines()
    done = await ledger.done_dates()
    resolved = await _resolved(ledger, definitions, known, done)
    for timeline in definitions.timelines:
        records, owed = await ledger.timeline(timeline.id)
        milestones = [resolved[milestone.id] for milestone in timeline.milestones]
        changes = changes_of(this, timeline, milestones, records, owed)
        if changes != Changes():
            await ledger.apply(changes)
    gone = known.keys() - {timeline.id for timeline in definitions.timelines}
    for name in sorted(gone):
        if known[name] not in definitions.broken:
            records, owed = await ledger.timeline(name)
            await ledger.apply(_withdrawal(this, records, owed))
    return this.report


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
    this: Pass,
    timeline: Timeline,
    milestones: Sequence[Milestone],
    records: Sequence[Record],
    owed: Sequence[Owed],
) -> Changes:
    """What must be written so that the ledger is in line with one timeline.

    Args:
        milestones: the timeline's own, relative claims resolved, recurring ones not expanded.
        records, owed: all that the ledger has of the timeline.
    """
    by_id = {record.id: record for record in records}
    owed_of: dict[str, list[Owed]] = {}
    for one in owed:
        owed_of.setdefault(one.milestone, []).append(one)
    since = min([this.now - this.config.catch_up, *_first_dates(records, this.now)])
    expanded = [one for milestone in milestones for one in expand(milestone, since, this.now + HORIZON)]
    parts = []
    for milestone in expanded:
        record, its_owed = by_id.get(milestone.id), owed_of.get(milestone.id, ())
        if record is None:
            parts.append(_first_seen(this, milestone, timeline.file, its_owed))
        else:
            parts.append(_seen_again(this, milestone, timeline.file, record, its_owed))
    still = {milestone.id for milestone in expanded}
    gone = [record for record in records if record.id not in still and not record.withdrawn]
    parts.append(_withdrawal(this, gone, [one for record in gone for one in owed_of.get(record.id, ())]))
    return _joined(parts)


def _first_dates(records: Iterable[Record], now: datetime) -> list[datetime]:
    """Midnights of the instances that the ledger knows: an old instance is not a withdrawn one."""
    days = [r.id.rpartition("@")[2] for r in records if series_of(r.id) != r.id and not r.withdrawn]
    return [datetime.fromisoformat(day).replace(tzinfo=now.tzinfo) for day in sorted(days)[:1]]


def _first_seen(this: Pass, milestone: Milestone, file: str, owed: Sequence[Owed]) -> Changes:
    this.report.loaded.append(milestone.id)
    values = values_of(milestone)
    record = Record(
        milestone=milestone, file=file, revision=1, values=values, loaded_at=this.now, changed_at=this.now
    )
    facts = {"deadline": _phrases(values)}
    entry = HistoryEntry(milestone=milestone.id, at=this.now, kind="loaded", facts=facts)
    plan = _plan(this, milestone, owed, told=False)
    return Changes(records=(record,), owed=plan.owed, cancelled=plan.cancelled, history=(entry,))


def _seen_again(this: Pass, milestone: Milestone, file: str, record: Record, owed: Sequence[Owed]) -> Changes:
    values = values_of(milestone)
    after = replace(record, milestone=milestone, file=file, values=values, withdrawn=False)
    history = []
    if record.withdrawn:
        this.report.loaded.append(milestone.id)
        history.append(HistoryEntry(milestone=milestone.id, at=this.now, kind="returned"))
    move = Changes()
    if _window_ids(values) != _window_ids(record.values):
        after = replace(after, revision=record.revision + 1, changed_at=this.now)
        this.report.moved.append(milestone.id)
        facts = {"from": _phrases(record.values), "to": _phrases(values)}
        history.append(HistoryEntry(milestone=milestone.id, at=this.now, kind="moved", facts=facts))
        move = _move(this, record, after, owed)
    told = any(one.cause is Cause.MOVED for one in move.owed)
    changed = Changes(records=(after,) if _rewritten(record, after) else (), history=tuple(history))
    return _joined([changed, move, _plan(this, milestone, owed, told=told)])


def _rewritten(before: Record, after: Record) -> bool:
    """Whether the record must be written: what the ledger keeps of a definition is its snapshot."""
    same = replace(after, milestone=before.milestone) == before
    return not same or pack(after.milestone) != pack(before.milestone)


def _plan(this: Pass, milestone: Milestone, owed: Sequence[Owed], *, told: bool) -> Changes:
    """Occurrences that are to be armed or brought up to date, and those that are owed no more.

    Args:
        told: a moved message says where the new date stands, so that what is past of its ladder
            need not be sent as well.
    """
    by_key = {one.key: one for one in owed}
    receivers = {one.receiver for one in owed if one.cause is not Cause.MOVED}
    beginning = datetime.min.replace(tzinfo=this.now.tzinfo)
    wanted: dict[str, Owed] = {}
    for occurrence in occurrences(milestone, beginning, this.now + HORIZON):
        for planned in receivers_of(milestone, occurrence, this.config.route):
            one = Owed(
                key=planned.key,
                milestone=milestone.id,
                receiver=planned.receiver,
                cause=occurrence.cause,
                offset=occurrence.offset,
                window_id=occurrence.stated.window.id,
                at=occurrence.at,
                wake_at=occurrence.at,
                group=planned.group,
            )
            known = planned.key in by_key or planned.receiver not in receivers
            wanted[one.key] = _armed(this, one, told=told, known=known)
    changed = tuple(one for key, one in wanted.items() if _differs(one, by_key.get(key)))
    cancelled = tuple(
        (one.key, "owed no more")
        for one in owed
        if one.state is OwedState.PENDING and one.key not in wanted and one.cause not in NEWS
    )
    this.report.owed += len(changed)
    this.report.cancelled += len(cancelled)
    return Changes(owed=changed, cancelled=cancelled)


def _armed(this: Pass, one: Owed, *, told: bool, known: bool) -> Owed:
    """Pending, unless it is past and there is a reason not to send it late."""
    if one.at > this.now:
        return one
    if this.now - one.at > this.config.catch_up:
        days = (this.now - one.at).days
        return replace(one, state=OwedState.EXPIRED, reason=f"{days} days late when it was loaded")
    if told:
        return replace(one, state=OwedState.SUPERSEDED, reason="the moved message says where it stands")
    if not known:
        # A rung that was added to the ladder of a receiver who has been told already.
        return replace(one, state=OwedState.SUPERSEDED, reason="it was due before it was in the policy")
    return one


def _differs(one: Owed, before: Owed | None) -> bool:
    if before is None:
        return True
    if before.state is OwedState.CANCELLED:
        return True
    if before.state is not OwedState.PENDING:
        return False
    # What is past and waiting was pending before, whatever _armed would make of it today.
    return (one.at, one.at, one.group) != (before.at, before.wake_at, before.group)


def _move(this: Pass, record: Record, after: Record, owed: Sequence[Owed]) -> Changes:
    """The moved message, unless nobody needs to be told; and an untold earlier one called off."""
    untold = [
        one
        for one in owed
        if one.cause is Cause.MOVED
        and one.told_at is None
        and one.move is not None
        and one.state in (OwedState.PENDING, OwedState.BOUND)
    ]
    before = untold[0].move.before if untold and untold[0].move else record.values
    waiting = [one for one in untold if one.state is OwedState.PENDING]
    called_off = tuple((one.key, "it moved again within the damping time") for one in waiting)
    if _window_ids(before) == _window_ids(after.values) or record.standing.closed:
        return Changes(cancelled=called_off)
    told = {one.receiver for one in owed if one.told_at is not None or one.state is OwedState.BOUND}
    if not told and not _within_horizon(record.milestone, after.milestone, this.now):
        return Changes(cancelled=called_off)
    # The damping time runs from the first of several moves: a date that flaps is still told.
    at = waiting[0].at if waiting else this.now + this.config.damping
    slot = "/".join((str(after.revision), *_window_ids(before), "to", *_window_ids(after.values)))
    move = Move(before=before, after=after.values)
    news = news_receivers(after.milestone, Cause.MOVED, told, this.config)
    return Changes(
        owed=tuple(_news(Cause.MOVED, after.id, slot, receiver, group, at, move) for receiver, group in news),
        cancelled=called_off,
    )


def news_receivers(
    milestone: Milestone, cause: Cause, told: Iterable[str], config: Config
) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Who hears news, with the group it is told in: whom the routes name, and whoever was told before."""
    labels = labels_of(milestone, cause, cause.value)
    matches = match_routes(config.route, labels)
    found = {match.receiver: group_key(match, labels) for match in matches}
    for receiver in sorted(told):
        if receiver in config.receivers:
            found.setdefault(receiver, (("milestone", milestone.id),))
    return list(found.items())


def done_owed(record: Record, owed: Sequence[Owed], config: Config, now: datetime) -> tuple[Owed, ...]:
    """The done messages for those who were told something of this milestone."""
    told = {one.receiver for one in owed if one.told_at is not None}
    if not told:
        return ()
    slot = str(int(now.timestamp() * 1_000_000))
    return tuple(
        _news(Cause.DONE, record.id, slot, receiver, group, now)
        for receiver, group in news_receivers(record.milestone, Cause.DONE, told, config)
        if receiver in told
    )


def released(owed: Iterable[Owed]) -> tuple[Owed, ...]:
    """What waits for a mute or a snooze to end, to be looked at anew: whether it still has to wait."""
    return tuple(
        replace(one, wake_at=one.at)
        for one in owed
        if one.state is OwedState.PENDING and one.wake_at > one.at
    )


def _news(  # noqa: PLR0917  a constructor by another name
    cause: Cause,
    milestone: str,
    slot: str,
    receiver: str,
    group: tuple[tuple[str, str], ...],
    at: datetime,
    move: Move | None = None,
) -> Owed:
    return Owed(
        key=digest(cause.value, milestone, slot, receiver),
        milestone=milestone,
        receiver=receiver,
        cause=cause,
        offset=cause.value,
        window_id="",
        at=at,
        wake_at=at,
        group=group,
        move=move,
    )


def _within_horizon(old: Milestone, new: Milestone, now: datetime) -> bool:
    """Whether the old or the new date is near enough for its first reminder to have been due."""
    instants = [at for at in (first_instant(old), first_instant(new)) if at is not None]
    return any(at <= now for at in instants)


def _withdrawal(this: Pass, records: Iterable[Record], owed: Sequence[Owed]) -> Changes:
    gone = [record for record in records if not record.withdrawn]
    this.report.withdrawn.extend(record.id for record in gone)
    names = {record.id for record in gone}
    cancelled = tuple(
        (one.key, "the milestone was withdrawn")
        for one in owed
        if one.milestone in names and one.state is OwedState.PENDING
    )
    this.report.cancelled += len(cancelled)
    return Changes(
        records=tuple(replace(record, withdrawn=True) for record in gone),
        cancelled=cancelled,
        history=tuple(HistoryEntry(milestone=record.id, at=this.now, kind="withdrawn") for record in gone),
    )


def _window_ids(values: Iterable[Value]) -> tuple[str, ...]:
    return tuple(sorted(value.window_id for value in values))


def _phrases(values: Iterable[Value]) -> str:
    return "; ".join(value.phrase for value in values) or "no date"


def _joined(parts: Iterable[Changes]) -> Changes:
    parts = list(parts)
    return Changes(
        records=tuple(one for part in parts for one in part.records),
        owed=tuple(one for part in parts for one in part.owed),
        cancelled=tuple(one for part in parts for one in part.cancelled),
        history=tuple(one for part in parts for one in part.history),
    )
