"""Files as somebody sees them who is not root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

NOBODY = 65534


@contextmanager
def a_folder() -> Iterator[Path]:
    """Not in pytest's own folder: that one is for its owner alone."""
    with TemporaryDirectory(prefix="alertd-") as folder:
        yield Path(folder)


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Root may do everything: it becomes nobody, whose folder it is, for as long as this lasts."""
    if os.geteuid() != 0:
        yield
        return
    for one in (folder, *folder.rglob("*")):
        os.chown(one, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
