"""Check the rules that concern several files: unique ids, and deadlines relative to other files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from alertd.core.config import Problem, UnreadMilestones, list_milestones
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.relative import find_cycles, resolve_each
from alertd.definitions.reading.reader import quote, suggest
from alertd.definitions.timeline.claims import After
from alertd.definitions.timeline.read import TimelineRead

NEAR_OF = 2_000
"""How many ids are compared to suggest a similar one."""

MAX_SUGGESTIONS = 20
"""How many unknown ids get a suggestion in one check. Each of them can block the event loop for 50 ms."""

Suggest = Callable[[str, Iterable[str]], str]


def check_across(read: Mapping[str, TimelineRead], suggest: Suggest = suggest) -> dict[str, list[Problem]]:
    """Return the problems between files, by file.

    A file with a deadline relative to a milestone in a broken file gets a problem too. Its deadlines cannot
    be computed, so the previous version of its milestones stays in force.

    Args:
        read: the results of reading the timeline files, sorted by file name. The milestones of a file that
            counts from nothing, and from which nothing counts, are not needed.
        suggest: returns advice with the known id that is most similar to an unknown id.
    """
    found: dict[str, list[Problem]] = {}
    for file, problem in (*_find_duplicates(read), *_find_unknown_bases(read, suggest)):
        found.setdefault(file, []).append(problem)
    if not any(result.after for result in read.values()):
        return found
    broken = {file for file, result in read.items() if result.problems} | found.keys()
    for file, problem in (
        *_find_cycles(read, broken),
        *_find_unresolved(read, broken),
        *_find_dependents(read, broken),
    ):
        found.setdefault(file, []).append(problem)
    return found


def find_files_of(problems: Mapping[str, object], read: Mapping[str, TimelineRead]) -> list[str]:
    """Return the files whose lines and columns the problems between files need, and that do not have them."""
    ids = {read[file].id for file in problems}
    return [file for file, result in read.items() if result.id in ids and not result.has_places]


def _find_duplicates(read: Mapping[str, TimelineRead]) -> Iterator[tuple[str, Problem]]:
    """Find timeline ids that an earlier file uses already. The later file gets the problem."""
    first: dict[str, str] = {}
    for file, result in read.items():
        if not result.id:
            continue
        other = first.setdefault(result.id, file)
        if other != file:
            where = f"{other}:{read[other].line}"
            message = f"{quote(result.id)}: the same timeline as in {where}; give one another id"
            yield file, Problem(file=file, line=result.line, column=result.column, message=message)


def _find_unknown_bases(read: Mapping[str, TimelineRead], suggest: Suggest) -> Iterator[tuple[str, Problem]]:
    """Find deadlines relative to a milestone that does not exist, or that recurs and so has several dates.

    Thousands of deadlines can have the same unknown base, so each unknown base is explained only once.
    """
    if not any(result.after for result in read.values()):
        return
    recurs = {name: recurring for result in read.values() for name, recurring in result.ids.items()}
    # If the ids in some file are unknown, a milestone that is not found may be in that file.
    unread = any(not result.ids and result.problems for result in read.values())
    explained: dict[tuple[str, str], str] = {}
    for file, result in read.items():
        for after in result.after:
            base = after.claim.base
            if base not in recurs:
                is_own = base.startswith(f"{result.id}/")
                if unread and not is_own:
                    continue
                # The explanation depends on the file only if the base belongs to the file's own timeline.
                key = (base, file if is_own else "")
                if key not in explained:
                    has_advice = len(explained) < MAX_SUGGESTIONS
                    explained[key] = _explain_unknown_base(
                        base, result, recurs, suggest if has_advice else None
                    )
                yield file, _make_problem(file, after, explained[key])
            elif recurs[base]:
                yield (
                    file,
                    _make_problem(file, after, f"{quote(base)} recurs, so nothing can be counted from it"),
                )


def find_unknown_bases(read: Mapping[str, TimelineRead]) -> Iterator[str]:
    """Find the full ids of bases that are in none of the files that were read."""
    known = {name for result in read.values() for name in result.ids}
    return (
        after.claim.base
        for result in read.values()
        for after in result.after
        if after.claim.base not in known
    )


def _explain_unknown_base(
    base: str, result: TimelineRead, known: Mapping[str, bool], suggest: Suggest | None
) -> str:
    timeline, _, own = base.partition("/")
    advice = ""
    if timeline == result.id:
        if suggest is not None:
            advice = suggest(own, [name.partition("/")[2] for name in islice(result.ids, NEAR_OF)])
        return f"{quote(own)}: no such milestone in this file" + (f"; {advice}" if advice else "")
    if suggest is not None:
        advice = suggest(base, list(islice(known, NEAR_OF)))
    return f"{quote(base)}: no such milestone" + (f"; {advice}" if advice else "")


def _find_cycles(read: Mapping[str, TimelineRead], broken: set[str]) -> Iterator[tuple[str, Problem]]:
    """Find cycles of relative deadlines.

    Each cycle is reported once, and the file with that problem is added to ``broken``.
    """
    places = {after.milestone: (file, after) for file, result in read.items() for after in result.after}
    links: dict[str, Milestone] = {
        milestone.id: milestone
        for result in read.values()
        if result.after and result.timeline is not None
        for milestone in list_milestones([result.timeline]).values()
        if milestone.relative
    }
    for chain in find_cycles(links):
        file, after = min(
            (places[name] for name in chain if name in places), key=lambda place: (place[0], place[1].line)
        )
        start = chain.index(after.milestone)
        turned = chain[start:-1] + chain[:start] + (after.milestone,)
        broken.add(file)
        yield file, _make_problem(file, after, "a deadline cannot depend on itself: " + " -> ".join(turned))


def _find_unresolved(read: Mapping[str, TimelineRead], broken: set[str]) -> Iterator[tuple[str, Problem]]:
    """Find deadlines that cannot be computed, such as hours after a month, or a date after the year 9999.

    Files with such a deadline are added to ``broken``.
    """
    known = {
        milestone.id: milestone
        for file, result in read.items()
        if file not in broken
        and result.timeline is not None
        and not isinstance(result.timeline.milestones, UnreadMilestones)
        for milestone in result.timeline.milestones
    }
    places = [(file, after) for file, result in read.items() if file not in broken for after in result.after]
    _, failed = resolve_each(known, {})
    for file, after in places:
        error = failed.get(after.milestone)
        if error is not None and after.claim.base in known:
            broken.add(file)
            yield file, _make_problem(file, after, f"{quote(after.text)}: {error}")


def _find_dependents(read: Mapping[str, TimelineRead], broken: set[str]) -> Iterator[tuple[str, Problem]]:
    """Find files whose deadlines depend on a broken file, directly or through other files.

    These files are added to ``broken``.
    """
    file_of = {name: file for file, result in read.items() if result.ids for name in result.ids}
    dependents: dict[str, dict[str, After]] = {}
    for file, result in read.items():
        for after in result.after:
            # A base that no readable file has counts as part of a broken file without a name.
            dependents.setdefault(file_of.get(after.claim.base, ""), {}).setdefault(file, after)
    waiting = deque(["", *(file for file in read if file in broken)])
    while waiting:
        base_file = waiting.popleft()
        for file, after in dependents.get(base_file, {}).items():
            if file in broken:
                continue
            broken.add(file)
            waiting.append(file)
            why = f"{base_file} has a problem" if base_file else "its file cannot be read"
            yield file, _make_problem(file, after, f"{quote(after.claim.base)} is not known: {why}")


def _make_problem(file: str, after: After, message: str) -> Problem:
    return Problem(file=file, line=after.line, column=after.column, message=message)
