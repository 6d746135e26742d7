"""Recognize the file of a SQLite database that is in use, and notice when it is taken away.

A file that was deleted or replaced stays open, so SQLite reports no error: it goes on reading and writing a
file that is no longer at its path. So alertd compares the file that it has open with the file at the path.

Rules for this module:

- Only SQLite opens the database's file. When a process closes any descriptor of a file, it loses its POSIX
  locks on that file, and SQLite depends on them. A descriptor with O_PATH is no such descriptor.
- A file at the path that is not the database is never changed, because somebody has put it there.

A file that is overwritten in place, as ``cp`` does, stays the same file. Its header shows that in two ways:

- A backup by alertd has no write-ahead log, and the header says so.
- alertd keeps a counter in the header (``user_version``) and raises it after each checkpoint. SQLite writes
  to the file itself only in a checkpoint. If the counter in the file goes back, the content is older. Content
  from after the last checkpoint has the same counter, and with the log it is the current ledger.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from alertd.core.ledger.file import FileFault, FileLoss

LOGS = ("-wal", "-shm")
"""The endings of the files of SQLite's write-ahead log."""


# The header of a database (SQLite, "Database File Format").
HEADER_SIZE = 100
FORMATS = slice(18, 20)
WITH_LOG = b"\x02\x02"
COUNTER = slice(60, 64)


class _Place(Enum):
    """What is at a path."""

    SAME = auto()
    OTHER = auto()
    GONE = auto()


class OpenFile:
    """The file of a database with its write-ahead log. All methods block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pins: dict[str, int] = {}
        self._descriptor: int | None = None
        self.counter: int | None = None
        """The counter in the file when it was last read; None: it was not read yet."""

    def pin(self, endings: Iterable[str]) -> None:
        """Remember the files that exist now with these endings, "" for the database's own.

        The database's own file must be pinned before SQLite opens it. If the file is replaced in between, the
        two differ, and that is noticed.
        """
        for ending in endings:
            path = self.find(ending)
            if path.exists():
                self._unpin(ending)
                self._pins[ending] = os.open(path, os.O_PATH | os.O_CLOEXEC)

    def close(self) -> None:
        """Forget the files."""
        for ending in ("", *LOGS):
            self._unpin(ending)

    def find(self, ending: str) -> Path:
        """Return the path of a file with this ending."""
        return self.path.with_name(self.path.name + ending)

    def find_loss(self) -> FileLoss | None:
        """Return how the database was taken away, or None if it is in its place.

        Raises:
            OSError: the file system does not answer. That says nothing about the file.
        """
        match self._compare(""):
            case _Place.GONE:
                return self._describe_gone()
            case _Place.OTHER:
                return FileLoss(fault=FileFault.REPLACED, path=str(self.path))
            case _Place.SAME if self._is_overwritten():
                return FileLoss(fault=FileFault.OVERWRITTEN, path=str(self.path))
            case _Place.SAME:
                lost = [ending for ending in LOGS if not self._is_ours(ending)]
                path = str(self.find(lost[0])) if lost else ""
                return FileLoss(fault=FileFault.LOG_LOST, path=path) if lost else None

    def put_back(self, saved: Path) -> bool:
        """Move the copy ``saved`` to the path. Returns False if the file of somebody else is there.

        Raises:
            OSError: the file cannot be moved.
        """
        loss = self.find_loss()
        if loss is None:
            # The file has come back, so the copy stays where it is.
            return True
        if loss.fault is FileFault.LOG_LOST:
            # Without its log, the file lacks commits. Another process may have written to it meanwhile, and
            # may use it still. So alertd keeps it aside with the log that it has now.
            for ending in ("", *LOGS):
                with suppress(FileNotFoundError):
                    os.rename(self.find(ending), saved.with_name(f"{saved.name}.without-log{ending}"))
        else:
            # The log belongs to the file that is gone. SQLite would apply it to any file at the path.
            for ending in LOGS:
                if ending in self._pins and self._is_ours(ending):
                    self.find(ending).unlink(missing_ok=True)
        match loss.fault:
            case FileFault.OVERWRITTEN:
                _renew(self.path)
                return False
            case FileFault.REPLACED:
                return False
            case FileFault.DELETED | FileFault.MOVED | FileFault.LOG_LOST:
                return _move(saved, self.path)

    def _describe_gone(self) -> FileLoss:
        pin = self._pins[""]
        if os.fstat(pin).st_nlink == 0:
            return FileLoss(fault=FileFault.DELETED, path=str(self.path))
        now_at = "another place"
        with suppress(OSError):
            now_at = os.readlink(f"/proc/self/fd/{pin}")
        return FileLoss(fault=FileFault.MOVED, path=str(self.path), now_at=now_at)

    def _is_overwritten(self) -> bool:
        header = self._read_header()
        if header is None or (len(header) < HEADER_SIZE and self.counter is None):
            return False
        counter = int.from_bytes(header[COUNTER], "big")
        if len(header) < HEADER_SIZE or (self.counter is not None and counter < self.counter):
            return True
        if LOGS[0] in self._pins and header[FORMATS] != WITH_LOG:
            return True
        self.counter = counter
        return False

    def _read_header(self) -> bytes | None:
        """Read from the file itself, without the log; None: SQLite has not opened the file."""
        pinned = os.fstat(self._pins[""]) if "" in self._pins else None
        if pinned is None:
            return None
        if self._descriptor is None or not _is_open_as(self._descriptor, pinned):
            self._descriptor = _find_descriptor(pinned)
        # This only reads, and it closes nothing, so that SQLite keeps its locks.
        return None if self._descriptor is None else os.pread(self._descriptor, HEADER_SIZE, 0)

    def _is_ours(self, ending: str) -> bool:
        return self._compare(ending) is _Place.SAME

    def _compare(self, ending: str) -> _Place:
        if ending not in self._pins:
            return _Place.SAME
        try:
            there = os.stat(self.find(ending))
        except (FileNotFoundError, NotADirectoryError):
            return _Place.GONE
        here = os.fstat(self._pins[ending])
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            return _Place.SAME
        # Some network and union file systems number a file anew. Two files do not have the same three values,
        # because no program can set the time of a file's last change.
        facts = [(found.st_size, found.st_mtime_ns, found.st_ctime_ns) for found in (there, here)]
        return _Place.SAME if facts[0] == facts[1] else _Place.OTHER

    def _unpin(self, ending: str) -> None:
        pin = self._pins.pop(ending, None)
        if pin is not None:
            os.close(pin)


def _find_descriptor(wanted: os.stat_result) -> int | None:
    """Find the descriptor by which SQLite has opened a file."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return None
    return next((number for number in map(int, names) if _is_open_as(number, wanted)), None)


def _is_open_as(descriptor: int, wanted: os.stat_result) -> bool:
    """Return whether the descriptor is of this file and can be read from, so it is none with O_PATH."""
    try:
        found = os.fstat(descriptor)
        is_path = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_PATH
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino) and not is_path


def _renew(path: Path) -> None:
    """Replace a file by a copy of it. SQLite, which has the old file open, does not write to the copy.

    SQLite loses its locks on the old file, which nobody uses any more.
    """
    part = path.with_name(f".{path.name}.part")
    shutil.copy2(path, part)
    with part.open("rb") as copy:
        os.fsync(copy.fileno())
    os.replace(part, path)


def _move(source: Path, target: Path) -> bool:
    """Rename ``source`` unless ``target`` exists. Returns whether it was renamed."""
    try:
        os.link(source, target)
        source.unlink()
    except FileExistsError:
        return False
    except OSError:
        # The file system has no hard links.
        if target.exists():
            return False
        os.rename(source, target)
    return True
