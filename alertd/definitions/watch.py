"""Tells whether the definition files may have changed, without reading them."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path

from alertd.definitions.load import definition_files


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
