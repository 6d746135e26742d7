"""Read a whole configuration folder in one go."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from alertd.core.config import Definitions, Problem
from alertd.definitions.config.read import NAME, Inherited, read_config
from alertd.definitions.config.receivers import Options
from alertd.definitions.files import definition_files, find
from alertd.definitions.timeline.across import check_across
from alertd.definitions.timeline.read import TimelineRead, read_timeline

__all__ = ["Cache", "CachedFile", "definition_files", "load"]


class CachedFile(NamedTuple):
    """A timeline file as it was read before."""

    sha256: bytes
    config_sha256: bytes
    read: TimelineRead


Cache = dict[str, CachedFile]
"""By file name; :func:`load` keeps it. It is good for one folder."""


def load(
    folder: Path,
    options: Options,
    cache: Cache | None = None,
    find: Callable[[str], Path] | None = None,
) -> Definitions:
    """Read `alertd.yaml` and all timelines of ``folder``; nothing is raised for what is wrong in them.

    A file with any problem contributes nothing. Without a configuration there are no timelines either, and
    all files are in ``broken``: nobody can tell which policies they would have.

    Args:
        options: the pydantic model of each type of notifier.
        cache: files that have not changed since it was last handed in are not parsed again.
        find: where a file is that `alertd.yaml` names; by default in ``folder``.
    """
    with _collector_off():
        return _load(folder, options, {} if cache is None else cache, find or folder.joinpath)


def _load(folder: Path, options: Options, cache: Cache, find_named: Callable[[str], Path]) -> Definitions:
    found = find(folder)
    raw = found.files.get(NAME)
    config_read = read_config(raw, options, find_named)
    problems: list[Problem] = [*found.problems, *config_read.problems]
    config = config_read.config if found.is_whole else None
    config_sha256 = hashlib.sha256(raw or b"").digest()
    whole = hashlib.sha256()
    read: dict[str, TimelineRead] = {}
    for file, content in found.files.items():
        sha256 = hashlib.sha256(content).digest()
        whole.update(f"{len(file.encode())}:{file}:".encode() + sha256)
        if file != NAME:
            read[file] = _read(
                cache, file, content, CachedFile(sha256, config_sha256, _NOTHING), config_read.inherited
            )
    for gone in cache.keys() - read.keys():
        del cache[gone]
    across = check_across(read)
    for file, one in read.items():
        problems.extend(one.problems)
        problems.extend(across.get(file, ()))
    broken = {problem.file for problem in problems}
    if config is None:
        broken.update((NAME, *read))
    timelines = [
        one.timeline for file, one in read.items() if file not in broken and one.timeline is not None
    ]
    return Definitions(
        config=config,
        timelines=tuple(timelines),
        problems=tuple(sorted(problems, key=lambda one: (one.file, one.line, one.column, one.message))),
        broken=frozenset(broken),
        fingerprint=whole.hexdigest(),
    )


_NOTHING = TimelineRead(timeline=None)


def _read(cache: Cache, file: str, content: bytes, key: CachedFile, inherited: Inherited) -> TimelineRead:
    kept = cache.get(file)
    if kept is not None and kept[:2] == key[:2]:
        return kept.read
    read = read_timeline(content, file, inherited)
    cache[file] = key._replace(read=read)
    return read


@contextmanager
def _collector_off() -> Iterator[None]:
    """Nothing made here is garbage, and looking for it among ever more objects takes half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
