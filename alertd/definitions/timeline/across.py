"""Check what no single file can know: ids that are taken, and deadlines counted from other files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alertd.core.config import Problem
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.relative import cycle, resolve
from alertd.definitions.reading.reader import near, shown
from alertd.definitions.timeline.claims import After
from alertd.definitions.timeline.read import TimelineRead

_NEAR_OF = 2_000
"""Among how many ids the nearest one is looked for."""


def check_across(read: Mapping[str, TimelineRead]) -> dict[str, list[Problem]]:
    """The further problems by file; ``read`` is by file, in order.

    A file whose milestones count from those of a file with a problem has one too: without the other file
    their deadlines are not known, and what was last known of them is to stay.
    """
    found: dict[str, list[Problem]] = {}
    for file, problem in (*_taken(read), *_unknown(read)):
        found.setdefault(file, []).append(problem)
    if not any(one.after for one in read.values()):
        return found
    broken = {file for file, one in read.items() if one.problems} | found.keys()
    for file, problem in (*_cycles(read, broken), *_unresolved(read, broken), *_shaken(read, broken)):
        found.setdefault(file, []).append(problem)
    return found


def _taken(read: Mapping[str, TimelineRead]) -> Iterator[tuple[str, Problem]]:
    """Of two timelines with one id the later file has the problem."""
    first: dict[str, str] = {}
    for file, one in read.items():
        if not one.id:
            continue
        other = first.setdefault(one.id, file)
        if other != file:
            where = f"{other}:{read[other].line}"
            message = f"{shown(one.id)}: the same timeline as in {where}; give one another id"
            yield file, Problem(file=file, line=one.line, column=one.column, message=message)


def _unknown(read: Mapping[str, TimelineRead]) -> Iterator[tuple[str, Problem]]:
    """Milestones counted from one that is nowhere, or that recurs and so has no one date."""
    if not any(one.after for one in read.values()):
        return
    recurs = {name: recurring for one in read.values() for name, recurring in one.ids.items()}
    # Files that can't be read as far as their ids: nobody knows what they hold.
    unread = any(not one.ids and one.problems for one in read.values())
    for file, one in read.items():
        for after in one.after:
            base = after.claim.base
            if base not in recurs:
                if unread and not base.startswith(f"{one.id}/"):
                    continue
                yield file, _at(file, after, _advice_for(base, one, recurs))
            elif recurs[base]:
                yield file, _at(file, after, f"{shown(base)} recurs, so nothing can be counted from it")


def _advice_for(base: str, one: TimelineRead, known: Mapping[str, bool]) -> str:
    timeline, _, own = base.partition("/")
    if timeline == one.id:
        advice = near(own, [name.partition("/")[2] for name in list(one.ids)[:_NEAR_OF]])
        return f"{shown(own)}: no such milestone in this file" + (f"; {advice}" if advice else "")
    advice = near(base, list(known)[:_NEAR_OF])
    return f"{shown(base)}: no such milestone" + (f"; {advice}" if advice else "")


def _cycles(read: Mapping[str, TimelineRead], broken: set[str]) -> Iterator[tuple[str, Problem]]:
    """Chains of milestones that lead back to where they began; the files of the chain become broken."""
    places = {after.milestone: (file, after) for file, one in read.items() for after in one.after}
    links: dict[str, Milestone] = {
        milestone.id: milestone
        for one in read.values()
        if one.after and one.timeline is not None
        for milestone in one.timeline.milestones
        if milestone.relative
    }
    while chain := cycle(links):
        file, after = min(
            (places[name] for name in chain if name in places), key=lambda place: (place[0], place[1].line)
        )
        start = chain.index(after.milestone)
        turned = chain[start:-1] + chain[:start] + (after.milestone,)
        broken.add(file)
        yield file, _at(file, after, "a deadline cannot depend on itself: " + " -> ".join(turned))
        for name in chain:
            links.pop(name, None)


def _unresolved(read: Mapping[str, TimelineRead], broken: set[str]) -> Iterator[tuple[str, Problem]]:
    """Deadlines that can't be computed: hours after a month, a date beyond the calendar."""
    known = {
        milestone.id: milestone
        for file, one in read.items()
        if file not in broken and one.timeline is not None
        for milestone in one.timeline.milestones
    }
    places = [(file, after) for file, one in read.items() if file not in broken for after in one.after]
    for file, after in places:
        chain = _chain(after.milestone, known)
        if after.claim.base not in known:
            continue
        try:
            resolve(chain, {})
        except ValueError as error:
            broken.add(file)
            yield file, _at(file, after, f"{shown(after.text)}: {error}")


def _chain(name: str, known: Mapping[str, Milestone]) -> dict[str, Milestone]:
    """A milestone and all that it counts from."""
    chain: dict[str, Milestone] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in chain and one in known:
            chain[one] = known[one]
            waiting.extend(relative.base for relative in known[one].relative)
    return chain


def _shaken(read: Mapping[str, TimelineRead], broken: set[str]) -> Iterator[tuple[str, Problem]]:
    """Files that count from a broken file, and so on from those."""
    file_of = {name: file for file, one in read.items() if one.ids for name in one.ids}
    again = True
    while again:
        again = False
        for file, one in read.items():
            if file in broken:
                continue
            for after in one.after:
                base_file = file_of.get(after.claim.base, "")
                if base_file in broken or not base_file:
                    broken.add(file)
                    again = True
                    why = f"{base_file} has a problem" if base_file else "its file cannot be read"
                    yield file, _at(file, after, f"{shown(after.claim.base)} is not known: {why}")
                    break


def _at(file: str, after: After, message: str) -> Problem:
    return Problem(file=file, line=after.line, column=after.column, message=message)
