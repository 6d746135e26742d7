"""Find and read the files in a configuration folder. Files outside the folder are never read."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from alertd.core.config import Problem
from alertd.definitions.config.read import NAME
from alertd.definitions.reading.yaml import MAX_BYTES

MILESTONES = "milestones"
MAX_FILES = 20_000

MISNAMED = "alertd.yml"
# Without O_NONBLOCK, open() blocks on a named pipe until a process opens the pipe for writing (fifo(7)).
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContents:
    """The content of a configuration folder.

    Attributes:
        config: the content of `alertd.yaml`; None if there is none that can be read.
        timelines: the SHA-256 of the content of each timeline file. Names are relative to the folder and
            sorted.
        problems: one problem for each file that cannot be read.
        is_whole: False if the list of files or the configuration is unknown. A file that is missing from
            ``timelines`` may exist in that case, so its milestones must not be withdrawn.
        is_absent: the folder does not exist.
    """

    config: bytes | None = None
    timelines: dict[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    is_whole: bool = True
    is_absent: bool = False


Signature = tuple[int, ...]
"""The device, inode, size, modification time and time of the last change of a file."""


class ContentHashes:
    """The SHA-256 of files, so that a file which stays as it is is not read each time.

    A file may be written twice within one tick of the file system's clock. So a signature counts only once
    the file has been read twice with it.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Signature, str, bool]] = {}

    def find(self, name: str, signature: Signature) -> str | None:
        """Return the hash of a file; None if the file is to be read."""
        seen = self._seen.get(name)
        return seen[1] if seen is not None and seen[2] and seen[0] == signature else None

    def keep(self, name: str, signature: Signature, content: str) -> None:
        """Keep the hash of a file that was read."""
        before = self._seen.get(name)
        self._seen[name] = signature, content, before is not None and before[:2] == (signature, content)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget all other files."""
        kept = set(names)
        self._seen = {name: seen for name, seen in self._seen.items() if name in kept}


class ReadContents:
    """The contents of files that were read for their hashes, so that they are not read again to be parsed.

    Args:
        known: the hashes of files that need not be parsed, by name.
        max_bytes: how much is kept. Other files are read again.
    """

    def __init__(self, known: Mapping[str, str], max_bytes: int) -> None:
        self._known = known
        self._room = max_bytes
        self._contents: dict[str, bytes] = {}

    def keep(self, name: str, content: bytes, fingerprint: str) -> None:
        """Keep the content of a file, if there is room and the file is to be parsed."""
        if self._known.get(name) != fingerprint and len(content) <= self._room:
            self._room -= len(content)
            self._contents[name] = content

    def take(self, name: str) -> bytes | None:
        """Return the content of a file, which is not kept any more; None if the file is to be read."""
        return self._contents.pop(name, None)


def find(
    folder: Path, hashes: ContentHashes | None = None, contents: ReadContents | None = None
) -> FolderContents:
    """Find `alertd.yaml`, `milestones/*.yaml` and `milestones/*.yml`, except hidden files.

    Symbolic links are followed unless they lead out of the folder.

    Args:
        hashes: the hashes of earlier calls. Files that stay as they were are not read.
        contents: keeps the contents of files that are read.
    """
    hashes = hashes or ContentHashes()
    try:
        root = folder.resolve(strict=True)
        if not root.is_dir():
            return _refuse_folder(str(folder), "not a folder")
        if not (root / MILESTONES).resolve().is_relative_to(root):
            return _refuse_folder(
                MILESTONES, "a link out of the configuration folder; copy the files into it"
            )
        names = _list_names(root)
    except FileNotFoundError as error:
        return replace(
            _refuse_folder(str(folder), f"cannot be read: {_explain(error)}"),
            is_absent=not os.path.exists(folder),
        )
    except (OSError, RuntimeError) as error:
        return _refuse_folder(str(folder), f"cannot be read: {_explain(error)}")
    if len(names) > MAX_FILES:
        return _refuse_folder(MILESTONES, f"{len(names):,} files; at most {MAX_FILES:,} are read")
    problems: list[Problem] = []
    config: bytes | None = None
    timelines: dict[str, str] = {}
    for name in names:
        if name == MISNAMED:
            problems.append(_make_problem(name, f"this file is not read; rename it to {NAME}"))
            continue
        found = _read(root, name, None if name == NAME else hashes, contents)
        if isinstance(found, Problem):
            problems.append(found)
        elif isinstance(found, bytes):
            config = found
        else:
            timelines[name] = found
    hashes.keep_only(timelines)
    is_whole = not any(problem.file in (NAME, MISNAMED) for problem in problems)
    return FolderContents(config=config, timelines=timelines, problems=tuple(problems), is_whole=is_whole)


def read_file(folder: Path, name: str) -> bytes:
    """Return the content of a file that :func:`find` has found. Raises OSError if it cannot be read now."""
    found = _read(folder.resolve(strict=True), name, None)
    if isinstance(found, bytes):
        return found
    raise OSError(str(found))


def list_definition_files(folder: Path) -> tuple[Path, ...]:
    """Return the paths that :func:`find` would read; () if the folder cannot be read."""
    try:
        return tuple(folder / name for name in _list_names(folder))
    except OSError:
        return ()


def _list_names(root: Path) -> list[str]:
    """Return the file names relative to the folder, the configuration first."""
    names = [name for name in (NAME, MISNAMED) if _exists(root / name)][:1]
    try:
        with os.scandir(root / MILESTONES) as entries:
            found = [entry.name for entry in entries if entry.name.endswith(_SUFFIXES)]
    except FileNotFoundError:
        return names
    return names + [f"{MILESTONES}/{name}" for name in sorted(found) if not name.startswith(".")]


def _exists(path: Path) -> bool:
    """Return whether a file exists. Raises OSError if that is unknown, unlike ``os.path.lexists``."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _refuse_folder(file: str, message: str) -> FolderContents:
    return FolderContents(problems=(_make_problem(file, message),), is_whole=False)


def _read(
    root: Path, name: str, hashes: ContentHashes | None, contents: ReadContents | None = None
) -> bytes | str | Problem:
    """Return the content of a file; with ``hashes`` only its hash."""
    if not name.isprintable():
        return _make_problem(ascii(name), "a name with characters that can't be seen; rename the file")
    try:
        descriptor = _open(root, name)
        if descriptor is None:
            return _make_problem(name, "a link out of the configuration folder; copy the file into it")
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return _make_problem(name, "not a regular file")
            if status.st_size > MAX_BYTES:
                message = f"{status.st_size:,} bytes; a file has at most {MAX_BYTES:,}, so make two of it"
                return _make_problem(name, message)
            signature = (
                status.st_dev,
                status.st_ino,
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
            if hashes is not None and (known := hashes.find(name, signature)) is not None:
                return known
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(status.st_size + 1)
            if hashes is None:
                return content
            found = hash_content(content)
            hashes.keep(name, signature, found)
            if contents is not None:
                contents.keep(name, content, found)
            return found
        finally:
            os.close(descriptor)
    except (OSError, RuntimeError) as error:
        return _make_problem(name, f"cannot be read: {_explain(error)}")


def hash_content(content: bytes) -> str:
    """Return the SHA-256 of the content of a file."""
    return hashlib.sha256(content).hexdigest()


def _open(root: Path, name: str) -> int | None:
    """Return a file descriptor, or None if the file is a symbolic link out of the folder."""
    try:
        return os.open(root / name, _FLAGS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    # The file is a symbolic link. Links are handled last because they are rare and take ten times as long.
    path = (root / name).resolve(strict=True)
    return os.open(path, _FLAGS) if path.is_relative_to(root) else None


def _make_problem(file: str, message: str) -> Problem:
    return Problem(file=file, line=1, column=1, message=message)


def _explain(error: OSError | RuntimeError) -> str:
    """Return the reason without the path, because the message starts with the path."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "too many links"
    return reason.lower()


def read_signature(folder: Path) -> Hashable:
    """Return the name, modification time (ns), size and inode of every file that :func:`load` would read."""
    found = []
    for path in list_definition_files(folder):
        try:
            stat = os.stat(path)
        except OSError as error:
            found.append((str(path), -1, error.errno or 0, 0))
        else:
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
