"""Hold what the ledger in memory has, and write what several of its roles write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    HistoryEntry,
    Known,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.routing.digest import NextDigest
from alertd.errors import LedgerRefused
from alertd.ports import (
    NodeReport,
)
from alertd.store import rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The lease on a delivery.

    Attributes:
        until: when it ends; None if there is no lease.
        ahead: the lease was taken ahead and has not begun.
    """

    fence: int = 0
    owner: str = ""
    until: datetime | None = None
    ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """The node that leads, or led last."""

    node: str
    term: int
    until: datetime


class MemoryBase:
    """The content of a ledger in plain dicts. Each method does all its checks before it writes anything."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._owed: dict[str, ScheduledReminder] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._holds: dict[str, Hold] = {}
        self._attempts: dict[tuple[str, int], Attempt] = {}
        self._history: dict[str, HistoryEntry] = {}
        self._remembered: dict[tuple[str, str], Mapping[str, str]] = {}
        self._nodes: dict[str, NodeReport] = {}
        self._digests: dict[str, NextDigest] = {}
        self._fingerprints: dict[str, TimelineFingerprint] = {}
        self._lead: Lead | None = None
        self._writes = 0

    def _refuse_strays(
        self, owed: Iterable[ScheduledReminder], deliveries: Iterable[Delivery], coming: Mapping[str, Record]
    ) -> None:
        """Raise LedgerRefused where a database would report a foreign key that has no row."""
        keys = {reminder.key for reminder in owed}
        for reminder in owed:
            if reminder.milestone not in self._records and reminder.milestone not in coming:
                raise LedgerRefused(f"{reminder.key} is owed for {reminder.milestone!r}, which has no record")
        for delivery in deliveries:
            for key in () if delivery.id in self._deliveries else delivery.members:
                if key not in self._owed and key not in keys:
                    raise LedgerRefused(f"{delivery.id} carries {key!r}, which is not owed")

    def _write(
        self,
        *,
        owed: Iterable[ScheduledReminder] = (),
        deliveries: Iterable[Delivery] = (),
        history: Iterable[HistoryEntry] = (),
    ) -> None:
        for reminder in owed:
            old = self._owed.get(reminder.key)
            self._owed[reminder.key] = rules.update_owed(old, reminder) if old else reminder
        for delivery in deliveries:
            if delivery.id not in self._deliveries:
                self._deliveries[delivery.id] = delivery
                self._holds[delivery.id] = Hold()
        for entry in history:
            self._history.setdefault(rules.make_entry_key(entry), entry)
        self._writes += 1

    def _find_latest_bound(self) -> dict[tuple[str, str, str], datetime]:
        latest: dict[tuple[str, str, str], datetime] = {}
        for owed in self._owed.values():
            if owed.state is ReminderState.BOUND:
                line = rules.make_line_key(owed)
                latest[line] = max(owed.at, latest.get(line, owed.at))
        return latest

    def _list_undecided(self, known: Known | None) -> list[datetime]:
        """List when the pending reminders and the digests are due that a node knows."""
        waiting = [
            reminder.wake_at
            for reminder in self._owed.values()
            if reminder.state is ReminderState.PENDING
            and (known is None or reminder.receiver in known.receivers)
        ]
        waiting += [
            digest.at
            for digest in self._digests.values()
            if known is None or known.digests is None or digest.key in known.digests
        ]
        return waiting

    def _count_lost(self, delivery: Delivery) -> int:
        """Return how many leases in a row a free delivery has lost, the last one included."""
        return delivery.lost_leases + self._is_lost(self._holds[delivery.id])

    @staticmethod
    def _is_lost(hold: Hold) -> bool:
        """Tell whether the lease on a free delivery was lost: it has ended, and it had begun."""
        return hold.until is not None and not hold.ahead


def sort_by_at(owed: Iterable[ScheduledReminder]) -> list[ScheduledReminder]:
    """Sort reminders by the instant at which they are due, and by their key."""
    return sorted(owed, key=lambda reminder: (reminder.at, reminder.key))
