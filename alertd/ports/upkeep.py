"""What keeps a ledger in order: its changes, its time, deleting, repairing, and its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from alertd.core.ledger.file import FileLoss


class ChangeFeed(Protocol):
    """Shows that another process has written. Anybody may call.

    A change may be missed by :meth:`listen`, or be announced twice. :meth:`read_version` misses none.
    """

    async def read_version(self) -> str:
        """Return a value that changes whenever another process has written. Cheap to call."""

    def listen(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called in the running loop soon after another process has written.

        It is never called by a ledger that cannot announce changes, nor while a connection is broken.
        """


class TimeSource(Protocol):
    """Tells the ledger's own time. Anybody may call."""

    async def read_time(self) -> datetime | None:
        """Return the time by the ledger's own clock; None if the ledger goes by the caller's clock."""


class Prunable(Protocol):
    """Deletes what is no longer needed. The leader and ``alertd prune`` call, at the same time if need be."""

    async def prune(self, before: datetime, limit: int) -> Mapping[str, int]:
        """Delete at most ``limit`` milestones with all about them, ``limit`` repeats and ``limit`` notices.

        A milestone is deleted if it is withdrawn, has had no entry since ``before``, and nothing of it is
        waiting or being sent. A notice is deleted if it was settled before ``before``. Reminders of a
        milestone that is not withdrawn are kept, since they prevent a second reminder. Only of the repeats of
        `then_every` that were due before ``before``, which are never scheduled again, those in the middle are
        deleted: of a window and a receiver, the first overdue reminders and the latest stay,
        :data:`KEPT_REPEATS` in all.

        Returns:
            the number of deleted rows: ``milestones``, ``reminders`` and ``deliveries``. Call again until all
            are 0.
        """


class Repairable(Protocol):
    """Repairs what a clock that was ahead has written. The leader calls, by a clock that is not in doubt."""

    async def repair(self, now: datetime, catch_up: timedelta, limit: int) -> Mapping[str, int]:
        """Repair at most ``limit`` reminders and at most ``limit`` deliveries with instants from the future.

        A reminder that was recorded as expired at an instant that is still to come is pending again, unless
        it is older than ``catch_up`` by now. A ready delivery that waits longer than any retry does is due
        now, and a retry horizon that would start in the future starts now.

        Returns:
            the number of changed rows: ``reminders`` and ``deliveries``. Call again until both are 0.
        """


class Closable(Protocol):
    """A connection to the ledger. Who opened it closes it."""

    async def close(self) -> None:
        """Close the connection. Safe to call twice."""


class LedgerFile(Protocol):
    """The file of an embedded ledger that a daemon has open. Its methods raise nothing but LedgerError."""

    async def find_loss(self) -> FileLoss | None:
        """Return how the file at the ledger's path differs from the open ledger; None: it is the same file.

        Raises:
            LedgerError: the file system does not answer, so nothing is known.
        """

    async def save(self, label: str) -> str:
        """Copy the open ledger to a file beside its path, and return the copy's path once it is on disk.

        A copy with the same label is replaced.
        """

    async def put_back(self, saved: str) -> bool:
        """Move a copy that :meth:`save` made to the ledger's path. The ledger must not be written after that.

        A file at the path that is not this ledger is left alone. Then the copy stays where it is, and the
        result is False.
        """

    async def list_tables(self) -> Sequence[str]:
        """Return the names of the tables that can be checked."""

    async def check(self, table: str) -> str:
        """Check the pages of a table, without making others wait. Returns what is damaged; "": nothing."""

    async def close(self) -> None:
        """End a check that is running."""


KEPT_REPEATS = 64
"""How many of the old overdue reminders of a window and a receiver the ledger keeps, however old they are."""
