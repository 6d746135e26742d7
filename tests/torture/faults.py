"""What was done to the daemon and to what it stands on: when, to whom, and what copies that explains."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a fault explains a copy by."""

    KILLED = "killed between send and settle"
    STALLED = "stalled past its lease"
    LEDGER = "the ledger was away past the lease"
    UPGRADED = "a newer version has migrated the ledger"
    FAILOVER = "the failover lost what was settled"


@dataclass(slots=True, kw_only=True)
class Fault:
    """One.

    Attributes:
        begins, ends: in seconds since 1970; equal for what takes no time.
        pid: the process it was done to; 0: to all of them.
    """

    kind: Kind
    begins: float
    ends: float
    pid: int = 0
