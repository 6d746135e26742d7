"""Find out when the time zone database of the machine changes, so that a running daemon uses the new rules.

Python keeps the rules of each zone in memory for as long as a process runs (``zoneinfo.ZoneInfo``).
"""

from __future__ import annotations

import hashlib
import os
import zoneinfo
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec

_COPIES = frozenset(("posix", "right"))
"""Folders that contain the whole database once more. alertd accepts no zone from them."""


ALL_EVERY_S = 10.0
"""How often :class:`ZoneFiles` looks at all files, in seconds. One look takes two milliseconds of CPU."""

_Entry = tuple[str, int, int, int]


class ZoneFiles:
    """The files of the database. Tells cheaply whether they have changed.

    A package replaces files, which changes the times of their folders. So each call looks at the folders, and
    all files are looked at if a folder has changed, and every ten seconds for a file that was overwritten.

    Args:
        monotonic: returns the monotonic time in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._folders: frozenset[_Entry] = frozenset()
        self._signature = 0
        self._read_s: float | None = None

    def read_signature(self) -> Hashable:
        """Return another value after the files have changed."""
        now_s, folders = self._monotonic(), _describe_folders(entry[0] for entry in self._folders)
        if self._read_s is None or now_s - self._read_s >= ALL_EVERY_S or folders != self._folders:
            files = read_zone_signature()
            self._folders = _describe_folders(os.path.dirname(file[0]) for file in files)
            # The hash takes no memory, unlike the 600 entries.
            self._signature, self._read_s = hash(files), now_s
        return self._signature


class ZoneRules:
    """The rules of time zones that this process has in memory."""

    def __init__(self) -> None:
        self._read = hash(read_zone_signature())

    def refresh(self) -> bool:
        """Forget the rules in memory if the database has changed. Returns whether it has.

        Each ``ZoneInfo`` object that exists keeps its old rules, so the caller must make all of them again.
        """
        signature = hash(read_zone_signature())
        if signature == self._read:
            return False
        self._read = signature
        zoneinfo.ZoneInfo.clear_cache()
        return True


def read_zone_signature() -> frozenset[_Entry]:
    """Return the name, modification time (ns), size and inode of every file of the database in use.

    The files are those on ``zoneinfo.TZPATH``; without any, those of the package ``tzdata``.
    """
    return frozenset(entry for root in _find_roots() for entry in _list_entries(root))


@lru_cache(maxsize=1)
def _hash_contents(signature: frozenset[_Entry], roots: tuple[str, ...]) -> str:
    """Return the SHA-256 of the names and contents of the files that ``signature`` lists."""
    whole = hashlib.sha256()
    for path, *_ in sorted(signature):
        root = next((root for root in roots if path.startswith(root)), "")
        whole.update(path.removeprefix(root).encode() + b"\0")
        try:
            with open(path, "rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            whole.update(str(error.errno).encode())
    return whole.hexdigest()


def hash_zones() -> str:
    """Return the fingerprint of the database in use, the same on every machine that has the same rules."""
    roots = _find_roots()
    return _hash_contents(read_zone_signature(), tuple(roots))


def _find_roots() -> list[str]:
    return [path for path in zoneinfo.TZPATH if os.path.isdir(path)] or _find_package()


def _describe_folders(paths: Iterable[str]) -> frozenset[_Entry]:
    """Describe these folders and the roots of the database in use."""
    return frozenset(map(_describe, {*_find_roots(), *paths}))


def _find_package() -> list[str]:
    found = find_spec("tzdata")
    places = found.submodule_search_locations if found is not None else None
    return [os.path.join(place, "zoneinfo") for place in places or ()]


def _list_entries(folder: str) -> Iterator[_Entry]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _COPIES:
                        yield from _list_entries(entry.path)
                else:
                    yield _describe(entry.path)
    except OSError as error:
        yield folder, -1, error.errno or 0, 0


def _describe(path: str) -> _Entry:
    try:
        stat = os.stat(path)
    except OSError as error:
        return path, -1, error.errno or 0, 0
    return path, stat.st_mtime_ns, stat.st_size, stat.st_ino
