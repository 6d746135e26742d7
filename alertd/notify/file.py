"""Appends each message to a file, as one line with the JSON that a webhook would get.

Rules that hold here:
- each line is written by one system call and flushed to the disk before the message counts as sent;
- the file is opened for each line, so a file that was rotated away is created again;
- only the owner can read a file that alertd creates;
- a file system that hangs, or a process that does not release its lock, holds up this file and nothing else.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, field_validator

from alertd.notify import (
    Env,
    Message,
    NotifierOptions,
    Outcome,
    OwnThreads,
    Rendered,
    Retry,
    Sent,
    clean_message,
    encode_body,
)


class FileOptions(NotifierOptions):
    """Options of ``type: file``."""

    path: str
    """The absolute path of the file."""
    timeout: float = Field(default=10.0, gt=0, le=120)
    """Time limit in seconds for one line. A file system may hang, and another process may lock the file."""

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not os.path.isabs(value) or "\0" in value or value.endswith("/"):
            raise ValueError("is not the absolute path of a file")
        return value


class FileNotifier:
    """Appends to one file. ``data.id`` identifies a duplicate."""

    Options = FileOptions

    def __init__(self, options: FileOptions, env: Env) -> None:  # noqa: ARG002
        self._path = Path(options.path)
        self._limit_s = options.timeout
        self._threads = OwnThreads(f"file {self._path.name}", limit=1)

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        appending = _Append(self._path, _line(message))
        try:
            why = await self._threads.run(appending.run, self._limit_s)
        except TimeoutError:
            why = f"the disk does not answer, or another process locks the file, for {self._limit_s:g} s"
            return Retry(reason=f"cannot write {self._path}: {why}", unknown=appending.give_up())
        except asyncio.CancelledError:
            appending.give_up()
            raise
        return Retry(reason=f"cannot write {self._path}: {why}") if why else Sent()

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (Rendered(media_type="application/json", text=_line(message).decode()),)

    async def aclose(self) -> None:
        """Do nothing: no file is held open."""


def _line(message: Message) -> bytes:
    return encode_body(clean_message(message)) + b"\n"


class _Append:
    """Appends a line, in a thread that may hang before the line is written."""

    def __init__(self, path: Path, line: bytes) -> None:
        self._path = path
        self._line = line
        self._lock = threading.Lock()
        self._is_given_up = False
        self._has_begun = False

    def run(self) -> str:
        """Append the line. Return "" when the line is on the disk, else the reason of the failure."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            # O_NONBLOCK: opening a pipe without a reader would block.
            file = os.open(self._path, flags, 0o600)
        except OSError as error:
            return error.strerror or "it cannot be opened"
        try:
            # Without the lock, another process could move the end of the file. The lock is held for one line.
            fcntl.flock(file, fcntl.LOCK_EX)
            return _write(file, self._line) if self._begin() else "it was given up"
        except OSError as error:
            return error.strerror or "it failed"
        finally:
            os.close(file)

    def give_up(self) -> bool:
        """Have the line not written any more. Returns whether writing it has begun."""
        with self._lock:
            self._is_given_up = True
            return self._has_begun

    def _begin(self) -> bool:
        with self._lock:
            self._has_begun = not self._is_given_up
            return self._has_begun


def _write(file: int, line: bytes) -> str:
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode):
        return "it is not a regular file"
    # A disk that was full may have left half a line. The new line must not continue that half.
    whole = not about.st_size or os.pread(file, 1, about.st_size - 1) == b"\n"
    line = line if whole else b"\n" + line
    written = os.write(file, line)
    os.fsync(file)
    return "" if written == len(line) else "only a part of the line was taken"
