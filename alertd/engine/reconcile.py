"""Reconciles the ledger with the definition files, and reports what changed.

These rules hold here:
- Reconciling with the same definitions a second time changes nothing.
- A timeline that the ledger is in line with is neither read nor compared. What may differ is never trusted.
- A file that cannot be read changes nothing: the ledger keeps the last good version.
- While a file cannot be read, no timeline and no milestone that it may hold is withdrawn.
- If no file is left, nothing changes either, because a folder that is not mounted looks the same.

:mod:`alertd.engine.reconcile_timeline` and :mod:`alertd.engine.plan_changes` have the rules for one timeline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date

from alertd.core.config import Config, Definitions, Timeline, UnreadMilestones, list_milestones
from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.snapshot import dump_milestone
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.planning.relative import find_dependents
from alertd.core.planning.reminders import wake
from alertd.core.planning.trust import Circumstances, group_by_bases
from alertd.core.planning.trust import find_dependents as find_dependent_timelines
from alertd.engine.digests import Digests
from alertd.engine.plan_changes import withdraw
from alertd.engine.reconcile_pass import PassOptions, ReconcilePass, Report
from alertd.engine.reconcile_timeline import reconcile_timeline
from alertd.engine.resolving import resolve_timelines
from alertd.errors import LedgerError, LedgerRefused, TimelineUnread
from alertd.ports import Changes, PlanningLedger

WAKE_LIMIT = 500
"""How many deferred reminders one transaction wakes."""


async def reconcile(ledger: PlanningLedger, definitions: Definitions, options: PassOptions) -> Report:
    """Bring the ledger into line with ``definitions``, timeline by timeline.

    At most :attr:`PassOptions.at_once` milestones of a timeline are one transaction.
    After a crash some may be reconciled and others not; the next call reconciles the rest.

    Raises:
        LeadLost: another node has the lead, and writes what this node has not written.
        LedgerError: the ledger cannot be read or written.
        ValueError: ``definitions.config`` is None.
    """
    _find_config(definitions)
    known = await ledger.read_timelines()
    done = await ledger.read_done_dates()
    current = await _begin(ledger, definitions, options, done)
    if known and not definitions.timelines and not definitions.list_broken_timelines():
        current.report.kept = tuple(sorted(known))
        return current.report
    await options.give_way()
    gone = known.keys() - {timeline.id for timeline in definitions.timelines}
    holders = {name: definitions.find_holders(name) for name in gone if known[name] not in definitions.broken}
    current.report.kept = tuple(sorted(name for name, files in holders.items() if files))
    current.report.holders = tuple(sorted({file for files in holders.values() for file in files}))
    withdrawn = sorted(name for name, files in holders.items() if not files)
    changed = [
        timeline.id
        for timeline in definitions.timelines
        if not current.circumstances.is_reconciled(timeline, current.kept.get(timeline.id))
    ]
    untrusted = await _distrust(ledger, current, definitions, [*changed, *withdrawn])

    async def bring_into_line(group: Sequence[Timeline], resolved: Mapping[str, Milestone]) -> None:
        for timeline in group:
            # A broken file that states the same timeline may hold the milestones that this file does not.
            is_whole = not any(definitions.identified.get(file) == timeline.id for file in definitions.broken)
            work = _reconcile_file(ledger, current, timeline, resolved, is_whole=is_whole)
            await _try_timeline(current, timeline, work)

    # These come first, since what counts from them has no date any more.
    for name in withdrawn:
        records, owed = await ledger.read_timeline(name)
        changes = replace(withdraw(current, records, owed), no_fingerprints=(name,))
        await ledger.apply(changes, term=await current.find_term())
    await _reconcile_each(ledger, current, definitions, untrusted, bring_into_line)
    if options.reconsider:
        await _wake_deferred(ledger, current, {one.id for one in definitions.timelines} - untrusted)
    await _reconcile_digests(ledger, current)
    return current.report


async def reconcile_dependents(
    ledger: PlanningLedger,
    definitions: Definitions,
    options: PassOptions,
    *,
    changed: Set[str],
    done: Mapping[str, date],
) -> Report:
    """Bring only those milestones into line whose deadlines count from milestones that were done or reopened.

    The other arguments and the errors are those of :func:`reconcile`.

    Args:
        changed: the full ids of the milestones whose done dates have changed.
        done: all local done dates by full id.
    """
    affected = {timeline.id for timeline in definitions.timelines if timeline.bases & changed}
    if not affected:
        return Report()
    current = await _begin(ledger, definitions, options, done)
    affected = await _distrust(ledger, current, definitions, affected)
    moved = set(changed)

    async def bring_into_line(group: Sequence[Timeline], resolved: Mapping[str, Milestone]) -> None:
        moved.update(find_dependents(list_milestones(group), moved))
        for timeline in group:
            dependent = [resolved[name] for name in list_milestones([timeline]) if name in moved]
            records, owed = await ledger.read_milestones([milestone.id for milestone in dependent])
            work = reconcile_timeline(
                ledger,
                current,
                timeline,
                dependent,
                records,
                owed,
                is_whole=False,
                fingerprint=_renew_fingerprint(current, timeline, changed),
            )
            await _try_timeline(current, timeline, work)

    await _reconcile_each(ledger, current, definitions, affected, bring_into_line)
    return current.report


async def _begin(
    ledger: PlanningLedger, definitions: Definitions, options: PassOptions, done: Mapping[str, date]
) -> ReconcilePass:
    return ReconcilePass(
        options=options,
        config=_find_config(definitions),
        circumstances=Circumstances(
            done=done,
            elsewhere=options.elsewhere,
            now=options.now,
            in_doubt=options.in_doubt,
            trust=options.trust,
        ),
        kept={kept.timeline: kept for kept in await ledger.read_fingerprints()},
    )


def _find_config(definitions: Definitions) -> Config:
    if definitions.config is None:
        raise ValueError("nothing can be reconciled without a configuration")
    return definitions.config


async def _distrust(
    ledger: PlanningLedger, current: ReconcilePass, definitions: Definitions, names: Iterable[str]
) -> set[str]:
    """Find the timelines that count from some timelines, and delete the fingerprints of all of them.

    Nothing of them is trusted until it has been reconciled, even if this pass ends half done.
    """
    loaded = {timeline.id: timeline for timeline in definitions.timelines}
    # The file of a timeline may be broken now, and be trusted when it is as it was again.
    unloaded = (
        Timeline(
            id=name,
            title=kept.title,
            file=kept.file,
            milestones=UnreadMilestones(count=kept.count, bases=frozenset(kept.bases)),
        )
        for name, kept in current.kept.items()
        if name not in loaded
    )
    found = find_dependent_timelines([*loaded.values(), *unloaded], names)
    outdated = tuple(sorted(name for name in found if name not in loaded or loaded[name].content))
    if outdated:
        await ledger.apply(Changes(no_fingerprints=outdated), term=await current.find_term())
    return found & loaded.keys()


async def _reconcile_each(
    ledger: PlanningLedger,
    current: ReconcilePass,
    definitions: Definitions,
    names: Set[str],
    bring_into_line: Callable[[Sequence[Timeline], Mapping[str, Milestone]], Awaitable[None]],
) -> None:
    """Read some timelines, a few at a time, resolve their deadlines and bring them into line.

    Each timeline comes after those that it counts from.
    """
    options = current.options
    all_bases = {base for timeline in definitions.timelines for base in timeline.bases}
    for group in group_by_bases([one for one in definitions.timelines if one.id in names]):
        try:
            read = [await options.read(timeline) for timeline in group]
            current.report.read += len(read)
            resolved = await resolve_timelines(
                ledger, options.read, definitions, read, current.circumstances.done, current.bases
            )
        except TimelineUnread:
            current.report.unread.extend(timeline.id for timeline in group)
            continue
        except ValueError as error:  # a done date from which a deadline would lie beyond the year 9999
            current.report.failed.update((timeline.id, error) for timeline in group)
            continue
        await bring_into_line(read, resolved)
        current.bases.update((base, resolved[base]) for base in all_bases & resolved.keys())


async def _reconcile_file(
    ledger: PlanningLedger,
    current: ReconcilePass,
    timeline: Timeline,
    resolved: Mapping[str, Milestone],
    *,
    is_whole: bool,
) -> None:
    """Bring all milestones of a timeline into line, and read only what may differ."""
    circumstances, kept = current.circumstances, current.kept.get(timeline.id)
    milestones = [resolved[name] for name in list_milestones([timeline])]
    fingerprint = None
    if timeline.content and timeline.environment and is_whole and not current.options.in_doubt:
        fingerprint = circumstances.make_fingerprint(timeline)
    if kept is not None and fingerprint is not None and _can_compare(current, timeline, kept):
        there = await ledger.read_snapshots(timeline.id)
        if not any(get_series_id(name) != name for name in there):
            milestones = await _list_changed(current, milestones, there)
            names = {milestone.id for milestone in milestones} | (
                there.keys() - list_milestones([timeline]).keys()
            )
            records, owed = await ledger.read_milestones(sorted(names)) if names else ((), ())
            # The others were not planned again, so their horizon has not moved on.
            fingerprint = replace(fingerprint, reconciled_at=kept.reconciled_at)
            await reconcile_timeline(
                ledger, current, timeline, milestones, records, owed, fingerprint=fingerprint
            )
            return
    records, owed = await ledger.read_timeline(timeline.id)
    await reconcile_timeline(
        ledger, current, timeline, milestones, records, owed, is_whole=is_whole, fingerprint=fingerprint
    )


def _can_compare(current: ReconcilePass, timeline: Timeline, kept: TimelineFingerprint) -> bool:
    """Return whether the plan of a milestone is the one in the ledger if its definition is."""
    return (
        current.circumstances.is_comparable(timeline, kept)
        and not current.options.reconsider
        and all(milestone.repeat is None for milestone in list_milestones([timeline]).values())
    )


async def _list_changed(
    current: ReconcilePass, milestones: Sequence[Milestone], there: Mapping[str, str]
) -> list[Milestone]:
    """List the milestones that are defined otherwise in the ledger, or not at all."""
    changed = []
    for milestone in milestones:
        await current.options.give_way()
        if there.get(milestone.id) != dump_milestone(milestone):
            changed.append(milestone)
    return changed


def _renew_fingerprint(
    current: ReconcilePass, timeline: Timeline, changed: Set[str]
) -> TimelineFingerprint | None:
    """Make the fingerprint of a timeline of which only some done dates have changed; None if more has."""
    kept = current.kept.get(timeline.id)
    if kept is None or not current.circumstances.is_known(timeline, kept):
        return None
    renewed = replace(current.circumstances.make_fingerprint(timeline), reconciled_at=kept.reconciled_at)
    differing = {base for base, _ in kept.done.items() ^ renewed.done.items()}
    return renewed if differing <= changed else None


async def _try_timeline(current: ReconcilePass, timeline: Timeline, work: Awaitable[None]) -> None:
    """Bring milestones of one timeline into line. If that raises, the timeline alone stays as it is."""
    try:
        await work
    except LedgerRefused as error:
        current.report.failed[timeline.id] = error
    except LedgerError:
        raise
    except Exception as error:  # a bug, or a value that no database takes
        current.report.failed[timeline.id] = error


async def _wake_deferred(ledger: PlanningLedger, current: ReconcilePass, timelines: Set[str]) -> None:
    """Have alertd decide again about the reminders that wait in timelines that are trusted."""
    after = ""
    while deferred := await ledger.read_deferred(current.options.now, WAKE_LIMIT, after):
        after = deferred[-1].key
        its = [one for one in deferred if one.milestone.partition("/")[0] in timelines]
        if woken := wake(its, current.options.now):
            await ledger.apply(Changes(owed=woken), term=await current.find_term())
        await current.options.give_way()


async def _reconcile_digests(ledger: PlanningLedger, current: ReconcilePass) -> None:
    if current.options.in_doubt:
        return
    changes = Digests.from_config(current.config).compare(await ledger.read_digests(), current.options.now)
    if changes != Changes():
        await ledger.apply(changes, term=await current.find_term())
