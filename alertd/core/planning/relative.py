"""Relative deadlines, computed from the windows of another milestone or from its done date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.deadline import Deadline, Reading, format_deadline_phrase, parse_deadline, shift_deadline
from alertd.core.milestones.milestone import Claim, Milestone, RelativeClaim, Source, list_operative_windows
from alertd.core.time.duration import Duration
from alertd.core.time.instant import to_instant
from alertd.core.words import describe_duration, format_day


def resolve(milestones: Mapping[str, Milestone], done: Mapping[str, date]) -> dict[str, Milestone]:
    """Return the milestones with every relative claim replaced by claims with deadlines of their own.

    If the base is contested, so is the result: there is a claim for each window of the base that reminds. It
    has the sources of the base if the relative claim names none. Once the base is done, there is a single
    claim, counted from the done date. A base that is not loaded gives no claim.

    Args:
        milestones: by full id.
        done: local done dates by full id.

    Raises:
        ValueError: a deadline depends on itself; :func:`find_cycle` finds such a chain beforehand.
    """
    found = find_cycle(milestones)
    if found:
        raise ValueError("a deadline cannot depend on itself: " + " -> ".join(found))
    resolved, failed = resolve_each(milestones, done)
    for error in failed.values():
        raise error
    return {name: resolved[name] for name in milestones}


def resolve_each(
    milestones: Mapping[str, Milestone], done: Mapping[str, date]
) -> tuple[dict[str, Milestone], dict[str, ValueError]]:
    """Resolve as :func:`resolve` does, and leave out the milestones whose deadlines cannot be computed.

    Each milestone is resolved once, however long the chains are.

    Args:
        milestones: by full id. No deadline depends on itself.
        done: local done dates by full id.

    Returns:
        The resolved milestones by full id, and the errors by the ids of the milestones that raised them. A
        milestone that depends on one with an error is in neither.
    """
    resolved = {name: milestone for name, milestone in milestones.items() if not milestone.relative}
    failed: dict[str, ValueError] = {}
    ended = set(resolved)
    for start in [name for name in milestones if name not in ended]:
        # Search depth first with an explicit stack, since a chain of thousands would exceed the recursion
        # limit.
        stack = [start]
        while stack:
            name = stack[-1]
            bases = [base for base in _list_bases(milestones, name) if base in milestones]
            waiting = [base for base in bases if base not in ended]
            if name not in ended and waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if name in ended:
                continue
            ended.add(name)
            if all(base in resolved for base in bases):
                try:
                    resolved[name] = _resolve_one(milestones[name], resolved, done)
                except ValueError as error:
                    failed[name] = error
    return resolved, failed


def find_dependents(milestones: Mapping[str, Milestone], changed: Set[str]) -> frozenset[str]:
    """Find the milestones whose deadlines count from others, directly or through a chain.

    Args:
        milestones: by full id.
        changed: full ids of the milestones to count from. They are in the result only if they depend on each
            other.
    """
    by_base: dict[str, list[str]] = {}
    for name, milestone in milestones.items():
        for relative in milestone.relative:
            by_base.setdefault(relative.base, []).append(name)
    found: set[str] = set()
    waiting = [*changed]
    while waiting:
        for name in by_base.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return frozenset(found)


def collect_bases(milestones: Mapping[str, Milestone], names: Iterable[str]) -> frozenset[str]:
    """Collect the ids of some milestones and of all those that their deadlines count from."""
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name in milestones and name not in found:
            found.add(name)
            waiting.extend(_list_bases(milestones, name))
    return frozenset(found)


def find_cycle(milestones: Mapping[str, Milestone]) -> tuple[str, ...]:
    """Find a cycle: a chain of full ids, each based on the next, that ends with its first; () if none."""
    return next(find_cycles(milestones), ())


def find_cycles(milestones: Mapping[str, Milestone]) -> Iterator[tuple[str, ...]]:
    """Find cycles that have no milestone in common, as :func:`find_cycle` does, in one search."""
    finished: set[str] = set()
    for start in [name for name, milestone in milestones.items() if milestone.relative]:
        # Search depth first with an explicit stack. A dictionary keeps the chain in order and has fast
        # lookups.
        chain: dict[str, Iterator[str]] = (
            {} if start in finished else {start: iter(_list_bases(milestones, start))}
        )
        while chain:
            name = next(reversed(chain))
            base = next(chain[name], None)
            if base is None:
                finished.add(name)
                del chain[name]
            elif base in chain:
                names = list(chain)
                cycle = names[names.index(base) :]
                yield (*cycle, base)
                finished.update(cycle)
                for member in cycle:
                    del chain[member]
            elif base in milestones and base not in finished:
                chain[base] = iter(_list_bases(milestones, base))


def _list_bases(milestones: Mapping[str, Milestone], name: str) -> tuple[str, ...]:
    return tuple(relative.base for relative in milestones[name].relative)


def _resolve_one(
    milestone: Milestone, resolved: Mapping[str, Milestone], done: Mapping[str, date]
) -> Milestone:
    derived = tuple(
        claim
        for relative in milestone.relative
        for claim in _derive_claims(milestone, relative, resolved, done)
    )
    return replace(milestone, claims=milestone.claims + derived, relative=())


def _derive_claims(
    milestone: Milestone, relative: RelativeClaim, resolved: Mapping[str, Milestone], done: Mapping[str, date]
) -> list[Claim]:
    base = resolved.get(relative.base)
    if base is None:
        return []
    short = relative.base.removeprefix(milestone.timeline + "/")
    words = f"{describe_duration(relative.by)} after {short}"
    if relative.base in done:
        day = done[relative.base]
        deadline = shift_deadline(
            parse_deadline(day.isoformat()), milestone.zone, Reading.END, _round_to_days(relative.by)
        )
        return [_make_claim(relative, deadline, relative.sources, f"{words} was done on {format_day(day)}")]
    claims = []
    for stated in list_operative_windows(base):
        origin = stated.claims[0]
        moved = shift_deadline(origin.deadline, base.zone, origin.reading, relative.by)
        phrase = format_deadline_phrase(origin.deadline, origin.reading)
        claims.append(
            _make_claim(
                relative,
                _convert_zone(moved, base.zone, milestone.zone),
                relative.sources or stated.accounts,
                f"{words} ({phrase})",
            )
        )
    return claims


def _make_claim(
    relative: RelativeClaim, deadline: Deadline, sources: tuple[Source, ...], derived: str
) -> Claim:
    return Claim(deadline=deadline, sources=sources, rank=relative.rank, note=relative.note, derived=derived)


def _round_to_days(by: Duration) -> Duration:
    """Round hours up to days: only the day of a done milestone is known, so the result is a day too."""
    return Duration(months=by.months, days=by.days - (-by.seconds // 86_400))


def _convert_zone(deadline: Deadline, source_zone: ZoneInfo, target_zone: ZoneInfo) -> Deadline:
    """Return a deadline of ``source_zone`` for a milestone in ``target_zone``.

    A local time of day gets the UTC offset of ``source_zone``, so that the instant stays the same.
    """
    at = deadline.latest
    if source_zone.key == target_zone.key or not isinstance(at, datetime) or at.tzinfo is not None:
        return deadline
    aware = to_instant(at, source_zone).astimezone(source_zone)
    if (aware.utcoffset() or timedelta()) % timedelta(
        minutes=1
    ):  # local mean time, which EDTF cannot express
        aware = aware.astimezone(UTC)
    return parse_deadline(aware.isoformat(timespec="seconds" if at.second else "minutes"))
