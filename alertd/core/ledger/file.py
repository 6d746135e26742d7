"""What can happen to the file of an embedded ledger while a daemon uses it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FileFault(StrEnum):
    """A kind of change to the file."""

    DELETED = "deleted"
    MOVED = "moved"
    REPLACED = "replaced"
    OVERWRITTEN = "overwritten"
    LOG_LOST = "log lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLoss:
    """The ledger at its path is no longer the ledger that the daemon has open.

    Attributes:
        path: the file that was deleted, moved or replaced.
        now_at: where a moved file is now; "" if that is not known.
    """

    fault: FileFault
    path: str
    now_at: str = ""

    def __str__(self) -> str:
        """A sentence without its full stop."""
        match self.fault:
            case FileFault.DELETED:
                return f"{self.path} was deleted while the daemon was using it"
            case FileFault.MOVED:
                return f"{self.path} was moved to {self.now_at} while the daemon was using it"
            case FileFault.REPLACED:
                return f"{self.path} was replaced by another file while the daemon was using it"
            case FileFault.OVERWRITTEN:
                return f"{self.path} was overwritten with other content while the daemon was using it"
            case FileFault.LOG_LOST:
                return f"{self.path}, which belongs to the ledger, was deleted or replaced"
