"""Relative deadlines: computed from another milestone's windows or, once done, its done date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from alertd.core.deadline import Reading, parse_deadline, shift_deadline
from alertd.core.milestone import Claim, Milestone, RelativeClaim, operative_windows


def resolve(milestones: Mapping[str, Milestone], done: Mapping[str, date]) -> dict[str, Milestone]:
    """The same milestones with every relative claim turned into claims of its own.

    A contested base makes a contested result: one claim for each window of the base that
    reminds, with the base's sources where the relative claim names none. Once the base is
    done there is one claim, counted from the date on which it came about. A base that is not
    loaded gives no claim.

    Args:
        milestones: by full id.
        done: local done dates by full id.

    Raises:
        ValueError: a cycle; :func:`cycle` finds it beforehand.
    """
    found = cycle(milestones)
    if found:
        raise ValueError("a deadline cannot depend on itself: " + " -> ".join(found))
    resolved: dict[str, Milestone] = {}
    for name in milestones:
        _resolve_one(name, milestones, done, resolved)
    return {name: resolved[name] for name in milestones}


def cycle(milestones: Mapping[str, Milestone]) -> tuple[str, ...]:
    """A chain of full ids that leads back to its first, or () when there is none."""
    finished: set[str] = set()
    for start in milestones:
        chain: list[str] = []
        stack = [(start, iter(_bases(milestones, start)))]
        chain.append(start)
        while stack:
            name, bases = stack[-1]
            for base in bases:
                if base in chain:
                    return (*chain[chain.index(base) :], base)
                if base not in finished and base in milestones:
                    chain.append(base)
                    stack.append((base, iter(_bases(milestones, base))))
                    break
            else:
                finished.add(name)
                chain.pop()
                stack.pop()
    return ()


def _bases(milestones: Mapping[str, Milestone], name: str) -> tuple[str, ...]:
    return tuple(relative.base for relative in milestones[name].relative)


def _resolve_one(
    name: str, milestones: Mapping[str, Milestone], done: Mapping[str, date], into: dict[str, Milestone]
) -> None:
    # Depth first with a stack of our own: a chain of thousands must not end in a RecursionError.
    stack = [name]
    while stack:
        top = stack[-1]
        if top in into:
            stack.pop()
            continue
        milestone = milestones[top]
        missing = [base for base in _bases(milestones, top) if base in milestones and base not in into]
        if missing:
            stack.extend(missing)
            continue
        derived = tuple(
            claim for relative in milestone.relative for claim in _claims(milestone, relative, into, done)
        )
        into[top] = replace(milestone, claims=milestone.claims + derived, relative=())
        stack.pop()


def _claims(
    milestone: Milestone, relative: RelativeClaim, resolved: Mapping[str, Milestone], done: Mapping[str, date]
) -> list[Claim]:
    base = resolved.get(relative.base)
    if base is None:
        return []
    short = relative.base.removeprefix(milestone.timeline + "/")
    if relative.base in done:
        came_about = parse_deadline(done[relative.base].isoformat())
        deadline = shift_deadline(came_about, milestone.zone, Reading.END, relative.by)
        derived = f"{relative.by} after {short} was done on {came_about.edtf}"
        return [
            Claim(
                deadline=deadline,
                sources=relative.sources,
                rank=relative.rank,
                note=relative.note,
                derived=derived,
            )
        ]
    claims = []
    for stated in operative_windows(base):
        origin = stated.claims[0]
        claims.append(
            Claim(
                deadline=shift_deadline(origin.deadline, base.zone, origin.reading, relative.by),
                sources=relative.sources or origin.sources,
                rank=relative.rank,
                note=relative.note,
                derived=f"{relative.by} after {short}",
            )
        )
    return claims
