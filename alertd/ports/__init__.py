"""The contracts between the decisions and the world: clock, notifier, and the ledger by role.

Every implementation of a protocol passes the same suite in ``tests/contract/``. These rules hold for each
role of the ledger:

- Each method is one transaction. When the method returns, its result is on disk.
- Any number of processes may call at the same time.
- No method reads this machine's clock: ``now`` is a parameter. Leases and the leadership end by the ledger's
  own time. That is ``now`` if one machine uses the ledger, and the database's clock if several machines share
  it. So a node whose clock is wrong cannot take work from another node.
- A method raises :class:`alertd.errors.LedgerError` and nothing else. Then the call has changed nothing,
  unless the connection broke during the commit: then the call may have taken effect completely. So every
  method that writes may be called again with the same arguments, and does nothing twice.
- A row that cannot be read (a zone that this machine lacks, a damaged value) is left out of what a method
  returns, and out of what is due, leased and waiting. Nothing is decided about it, and it holds up nothing
  else. :meth:`LedgerReader.find_unreadable` names such rows.
- After a newer alertd has migrated the ledger, every method that writes raises SchemaTooNew.
"""

from __future__ import annotations

from alertd.ports.deliveries import AHEAD_FOR, LEASE_FOR, DeliveryQueue, LostLeases, Settlement
from alertd.ports.ledger import Ledger
from alertd.ports.nodes import KEEP_REPORTS, LeadershipLedger, NodeReader, NodeRegistry, NodeReport
from alertd.ports.notifier import Clock, Notifier
from alertd.ports.people import ActionLedger, LedgerReader
from alertd.ports.reminders import MilestoneLookup, ReminderQueue
from alertd.ports.scheduling import (
    MOVES_READ,
    Changes,
    ChangeWriter,
    ConfigKeeper,
    DigestSchedule,
    KeptConfig,
    KeyLookup,
    PlanningLedger,
    TimelineReader,
)
from alertd.ports.upkeep import (
    KEPT_REPEATS,
    ChangeFeed,
    Closable,
    LedgerFile,
    Prunable,
    Repairable,
    TimeSource,
)

__all__ = [
    "AHEAD_FOR",
    "KEEP_REPORTS",
    "KEPT_REPEATS",
    "LEASE_FOR",
    "MOVES_READ",
    "ActionLedger",
    "ChangeFeed",
    "ChangeWriter",
    "Changes",
    "Clock",
    "Closable",
    "ConfigKeeper",
    "DeliveryQueue",
    "DigestSchedule",
    "KeptConfig",
    "KeyLookup",
    "LeadershipLedger",
    "Ledger",
    "LedgerFile",
    "LedgerReader",
    "LostLeases",
    "MilestoneLookup",
    "NodeReader",
    "NodeRegistry",
    "NodeReport",
    "Notifier",
    "PlanningLedger",
    "Prunable",
    "ReminderQueue",
    "Repairable",
    "Settlement",
    "TimeSource",
    "TimelineReader",
]
