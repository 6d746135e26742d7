"""Reads regular files without waiting for a writer, and names what is wrong with a secret file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from alertd.errors import AlertdError

# Without O_NONBLOCK, open() blocks on a named pipe until a process opens the pipe for writing (fifo(7)).
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class SecretUnreadable(AlertdError):
    """A secret file cannot be read. The text names the file and never quotes its contents."""


def read_regular_file(path: Path, limit: int) -> bytes:
    """Return at most ``limit`` bytes of a regular file.

    Raises:
        OSError: the file cannot be read, or is not a regular file. A named pipe would never end.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)
