"""Find out when the time zone database of the machine changes, so that a running daemon uses the new rules.

Python keeps the rules of each zone in memory for as long as a process runs (``zoneinfo.ZoneInfo``).
"""

from __future__ import annotations

import hashlib
import os
import zoneinfo
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec

_COPIES = frozenset(("posix", "right"))
"""Folders that contain the whole database once more. alertd accepts no zone from them."""


class ZoneRules:
    """The rules of time zones that this process has in memory."""

    def __init__(self) -> None:
        self._read = read_zone_signature()

    def refresh(self) -> bool:
        """Forget the rules in memory if the database has changed. Returns whether it has.

        Each ``ZoneInfo`` object that exists keeps its old rules, so the caller must make all of them again.
        """
        signature = read_zone_signature()
        if signature == self._read:
            return False
        self._read = signature
        zoneinfo.ZoneInfo.clear_cache()
        return True


def read_zone_signature() -> frozenset[tuple[str, int, int, int]]:
    """Return the name, modification time (ns), size and inode of every file of the database in use.

    The files are those on ``zoneinfo.TZPATH``; without any, those of the package ``tzdata``.
    """
    return frozenset(entry for root in _find_roots() for entry in _list_entries(root))


@lru_cache(maxsize=1)
def _hash_contents(signature: frozenset[tuple[str, int, int, int]], roots: tuple[str, ...]) -> str:
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


def _find_package() -> list[str]:
    found = find_spec("tzdata")
    places = found.submodule_search_locations if found is not None else None
    return [os.path.join(place, "zoneinfo") for place in places or ()]


def _list_entries(folder: str) -> Iterator[tuple[str, int, int, int]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _COPIES:
                        yield from _list_entries(entry.path)
                else:
                    yield _describe(entry)
    except OSError as error:
        yield folder, -1, error.errno or 0, 0


def _describe(entry: os.DirEntry[str]) -> tuple[str, int, int, int]:
    try:
        stat = entry.stat()
    except OSError as error:
        return entry.path, -1, error.errno or 0, 0
    return entry.path, stat.st_mtime_ns, stat.st_size, stat.st_ino
