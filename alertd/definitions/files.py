"""Find and read the files of a configuration folder, and nothing outside it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from alertd.core.config import Problem
from alertd.definitions.config.read import NAME
from alertd.definitions.reading.yaml import MAX_BYTES

MILESTONES = "milestones"
MAX_FILES = 20_000

_MISNAMED = "alertd.yml"
# Without O_NONBLOCK the opening of a named pipe waits for somebody to write into it.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContents:
    """What is in a folder.

    Attributes:
        files: bytes by name relative to the folder, sorted.
        problems: of what can't be read.
        is_whole: False when it is not even known which files there are, or what is configured; then nothing
            must be concluded from a file's absence.
    """

    files: dict[str, bytes]
    problems: tuple[Problem, ...] = ()
    is_whole: bool = True


def find(folder: Path) -> FolderContents:
    """Read `alertd.yaml` and `milestones/*.yaml` and `*.yml`; hidden files are not looked at.

    Links are followed, but not out of the folder.
    """
    try:
        root = folder.resolve(strict=True)
        if not root.is_dir():
            return _nothing(str(folder), "not a folder")
        if not (root / MILESTONES).resolve().is_relative_to(root):
            return _nothing(MILESTONES, "a link out of the configuration folder; copy the files into it")
        names = _names(root)
    except (OSError, RuntimeError) as error:
        return _nothing(str(folder), f"cannot be read: {_reason(error)}")
    if len(names) > MAX_FILES:
        return _nothing(MILESTONES, f"{len(names):,} files; at most {MAX_FILES:,} are read")
    problems: list[Problem] = []
    files: dict[str, bytes] = {}
    for name in names:
        read = (
            _problem(name, f"this file is not read; rename it to {NAME}")
            if name == _MISNAMED
            else _read(root, name)
        )
        if isinstance(read, bytes):
            files[name] = read
        else:
            problems.append(read)
    is_whole = not any(one.file in (NAME, _MISNAMED) for one in problems)
    return FolderContents(files=files, problems=tuple(problems), is_whole=is_whole)


def definition_files(folder: Path) -> tuple[Path, ...]:
    """The files that :func:`find` would read; () when the folder cannot be read."""
    try:
        return tuple(folder / name for name in _names(folder))
    except OSError:
        return ()


def _names(root: Path) -> list[str]:
    """Names relative to the folder, the configuration first."""
    names = [name for name in (NAME, _MISNAMED) if os.path.lexists(root / name)][:1]
    try:
        with os.scandir(root / MILESTONES) as entries:
            found = [entry.name for entry in entries if entry.name.endswith(_SUFFIXES)]
    except FileNotFoundError:
        return names
    return names + [f"{MILESTONES}/{name}" for name in sorted(found) if not name.startswith(".")]


def _nothing(file: str, message: str) -> FolderContents:
    return FolderContents(files={}, problems=(_problem(file, message),), is_whole=False)


def _read(root: Path, name: str) -> bytes | Problem:
    if not name.isprintable():
        return _problem(ascii(name), "a name with characters that can't be seen; rename the file")
    try:
        descriptor = _opened(root, name)
        if descriptor is None:
            return _problem(name, "a link out of the configuration folder; copy the file into it")
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return _problem(name, "not a regular file")
            if status.st_size > MAX_BYTES:
                message = f"{status.st_size:,} bytes; a file has at most {MAX_BYTES:,}, so make two of it"
                return _problem(name, message)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(status.st_size + 1)
        finally:
            os.close(descriptor)
    except (OSError, RuntimeError) as error:
        return _problem(name, f"cannot be read: {_reason(error)}")


def _opened(root: Path, name: str) -> int | None:
    """A descriptor of the file, or None when it is a link out of the folder."""
    try:
        return os.open(root / name, _FLAGS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    # A link: seldom, and to follow one takes ten times as long.
    path = (root / name).resolve(strict=True)
    return os.open(path, _FLAGS) if path.is_relative_to(root) else None


def _problem(file: str, message: str) -> Problem:
    return Problem(file=file, line=1, column=1, message=message)


def _reason(error: OSError | RuntimeError) -> str:
    """Why, without the path: that stands before it already."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "too many links"
    return reason.lower()


def signature(folder: Path) -> Hashable:
    """Name, time of change in ns, size and inode of every file that :func:`load` would read."""
    found = []
    for path in definition_files(folder):
        try:
            stat = os.stat(path)
        except OSError as error:
            found.append((str(path), -1, error.errno or 0, 0))
        else:
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
