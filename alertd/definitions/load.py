"""Load all files in a configuration folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from alertd.core.config import Definitions, Problem
from alertd.core.words import format_count
from alertd.definitions.config.read import NAME, Inherited, read_config
from alertd.definitions.config.receivers import Options
from alertd.definitions.files import MISNAMED, find, list_definition_files
from alertd.definitions.reading.reader import MAX_PROBLEMS
from alertd.definitions.reading.terms import forget_zones
from alertd.definitions.timeline.across import check_across, find_files_of
from alertd.definitions.timeline.read import TimelineRead, read_timeline, read_timeline_with_places
from alertd.system.collector import pause_collector

__all__ = ["Cache", "CachedFile", "forget", "list_definition_files", "load"]

MAX_PROBLEMS_OF_ALL = 1_000
"""The maximum number of problems of all files together. Each of them is written to the log at every load."""


class CachedFile(NamedTuple):
    """The cached result of reading a timeline file. The hashes tell whether the result is still valid."""

    sha256: bytes
    config_sha256: bytes
    read: TimelineRead


Cache = dict[str, CachedFile]
"""Cached results by file name. :func:`load` updates the cache, which can be used for one folder only."""


def forget(cache: Cache) -> None:
    """Forget everything that was read with the rules of an older time zone database."""
    cache.clear()
    forget_zones()


def load(
    folder: Path,
    options: Options,
    cache: Cache | None = None,
    find: Callable[[str], Path] | None = None,
    kept: str = "",
) -> Definitions:
    """Read `alertd.yaml` and all timelines in ``folder``. Problems in the files are returned, not raised.

    A file with a problem is not used. If the configuration has a problem, no timeline is used and all files
    are in ``broken``, because the policies of the timelines are unknown.

    At most MAX_PROBLEMS problems of a file and MAX_PROBLEMS_OF_ALL problems of all files are returned. If
    more were found, a last problem says how many. ``broken`` always has all files with a problem.

    Args:
        options: the pydantic model for the options of each type of notifier.
        cache: results of earlier calls. Files that have not changed since are not parsed again.
        find: returns the path of a file that `alertd.yaml` names. By default, paths are relative to
            ``folder``.
        kept: the content of `alertd.yaml` that the ledger keeps, which is used if the file has a problem.
    """
    return _load(folder, options, {} if cache is None else cache, find or folder.joinpath, kept)


def _load(
    folder: Path, options: Options, cache: Cache, find_named: Callable[[str], Path], kept: str
) -> Definitions:
    found = find(folder)
    raw = found.files.get(NAME)
    config_read = read_config(raw, options, find_named)
    problems: list[Problem] = [*found.problems, *config_read.problems]
    from_ledger = False
    if kept and not found.is_absent and (config_read.config is None or not found.is_whole):
        raw = kept.encode()
        config_read = read_config(raw, options, find_named)
        from_ledger = config_read.config is not None
    config = config_read.config if found.is_whole or from_ledger else None
    config_sha256 = hashlib.sha256(raw or b"").digest()
    whole = hashlib.sha256()
    read: dict[str, TimelineRead] = {}
    with pause_collector():
        for file, content in found.files.items():
            sha256 = hashlib.sha256(content).digest()
            whole.update(f"{len(file.encode())}:{file}:".encode() + sha256)
            if file != NAME:
                key = CachedFile(sha256, config_sha256, _NOTHING)
                read[file] = _read(cache, file, content, key, config_read.inherited)
        across = check_across(read)
        if across:
            for file in find_files_of(across, read):
                # The messages give lines and columns, which are unknown for a file that was read quickly.
                placed = read_timeline_with_places(found.files[file], file, config_read.inherited)
                cache[file] = cache[file]._replace(read=placed)
                read[file] = placed
            across = check_across(read)
    for gone in cache.keys() - read.keys():
        del cache[gone]
    for file, result in read.items():
        problems.extend(result.problems)
        problems.extend(across.get(file, ()))
    broken = {problem.file for problem in problems}
    if config is None:
        broken.update((NAME, *read))
    timelines = [
        result.timeline for file, result in read.items() if file not in broken and result.timeline is not None
    ]
    stated = {file: result.id for file, result in read.items() if file in broken and result.id}
    return Definitions(
        config=config,
        timelines=tuple(timelines),
        problems=tuple(_limit(problems)),
        broken=frozenset(broken),
        fingerprint=whole.hexdigest(),
        unconfigured=config_read.unconfigured if config is not None else None,
        identified={NAME: "", MISNAMED: "", **stated},
        is_absent=found.is_absent,
        from_ledger=from_ledger,
        kept_text=config_read.kept_text if config is not None else "",
    )


def _limit(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Sort the problems, and replace those beyond the limits by a problem that says how many there are.

    That problem has the place of the first problem that is left out.
    """
    found = sorted(
        problems, key=lambda problem: (problem.file, problem.line, problem.column, problem.message)
    )
    room = MAX_PROBLEMS_OF_ALL
    seen = 0
    for _, group in groupby(found, key=lambda problem: problem.file):
        if not room:
            left = found[seen:]
            more = format_count(len(left), "more problem")
            files = format_count(len({problem.file for problem in left}), "file")
            yield replace(left[0], message=f"and {more} in {files}, beginning with this file")
            return
        of_file = list(group)
        listed = of_file[: min(MAX_PROBLEMS, room)]
        yield from listed
        if left := of_file[len(listed) :]:
            more = format_count(len(left), "more problem")
            yield replace(left[0], message=f"and {more} in this file, beginning here")
        room -= len(listed)
        seen += len(of_file)


_NOTHING = TimelineRead(timeline=None)


def _read(cache: Cache, file: str, content: bytes, key: CachedFile, inherited: Inherited) -> TimelineRead:
    kept = cache.get(file)
    if kept is not None and kept[:2] == key[:2]:
        return kept.read
    read = read_timeline(content, file, inherited)
    cache[file] = key._replace(read=read)
    return read
