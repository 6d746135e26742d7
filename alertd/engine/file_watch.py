"""The definition files as a daemon sees them: whether they have changed, and have stopped changing."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from alertd.core.config import Definitions


class Files:
    """Reads them, and remembers what they looked like then.

    Args:
        load: reads the definition files.
        signature: changes whenever a definition file does.
    """

    def __init__(self, load: Callable[[], Definitions], signature: Callable[[], Hashable]) -> None:
        self._load = load
        self._signature = signature
        self._read: Hashable = None
        self._seen: Hashable = None

    def read(self) -> Definitions:
        """All of them, as they are."""
        # Looked at before: what changes while they are read is read again.
        self._read = self._seen = self._signature()
        return self._load()

    def have_changed(self) -> bool:
        """Whether they look otherwise than when they were read."""
        return self._signature() != self._read

    def have_settled(self) -> bool:
        """Whether they have changed, and not since this was last asked: a half-written one is not read."""
        signature = self._signature()
        settled = signature == self._seen and signature != self._read
        self._seen = signature
        return settled
