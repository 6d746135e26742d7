"""The milestones and the reminders that are pending."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from alertd.core.ledger.records import Known, Record, ScheduledReminder
from alertd.core.planning.decide import Decisions
from alertd.ports.scheduling import DigestSchedule, KeyLookup


class MilestoneLookup(Protocol):
    """Finds what the ledger has about a milestone, withdrawn or not, by its full id. Anybody may call."""

    async def read_record(self, milestone: str) -> Record | None:
        """Return the record of a milestone; None if the ledger has none.

        Raises:
            UnreadableRow: the ledger has a record of the milestone that cannot be read.
        """

    async def read_records_by_id(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        """Return the records that exist, by full id."""

    async def read_reminders(self, keys: Sequence[str]) -> Sequence[ScheduledReminder]:
        """Return those of the reminders with these keys that the ledger has, sorted by ``at`` and key."""

    async def read_owed(self, milestone: str) -> Sequence[ScheduledReminder]:
        """Return all reminders of one milestone, past ones too, sorted by ``at``."""


class ReminderQueue(DigestSchedule, MilestoneLookup, KeyLookup, Protocol):
    """The reminders that are pending, and the decision about each.

    Any node may decide, whether it leads or not. Two nodes may decide about the same reminder at the same
    time: the first call of :meth:`bind` takes effect, and the second changes nothing. So a reminder is bound
    once.
    """

    async def find_due(
        self, now: datetime, limit: int, besides: Collection[str] = (), skip: int = 0
    ) -> Sequence[tuple[ScheduledReminder, Record]]:
        """Return the pending reminders with ``wake_at <= now``, in whole sets.

        A set is one milestone and one receiver. If one reminder of a set is returned, so are all pending
        reminders of the set with ``at <= now``, even those with a later ``wake_at``. The sets whose earliest
        ``at`` is oldest come first. If many more than ``limit`` are there, they come first among those that
        have been awake the longest.

        Args:
            limit: the maximum number of sets.
            besides: receivers whose reminders are left out.
            skip: how many of the first sets are left out.
        """

    async def find_strays(self, known: Known, limit: int) -> Sequence[tuple[ScheduledReminder, Record]]:
        """Return the reminders that are strays; see :class:`alertd.core.ledger.records.Known`.

        They are those that :meth:`find_due` returns at ``known.strays_before`` for receivers that are neither
        known nor known elsewhere.

        Args:
            limit: the maximum number of sets.
        """

    async def read_held(self, receiver: str, now: datetime) -> Sequence[tuple[ScheduledReminder, Record]]:
        """Return a receiver's pending reminders with ``at <= now``, whatever they wait for.

        They are sorted by milestone, ``at`` and key.
        """

    async def read_windows(self, receiver: str, before: datetime) -> Sequence[tuple[str, str, datetime]]:
        """Return the windows for which the receiver has a reminder with ``at < before``.

        Reminders that are cancelled do not count, and milestones that are withdrawn or done are left out.
        Each window is the milestone's id, the window's id and the record's ``changed_at``; the windows are
        sorted.
        """

    async def bind(self, decisions: Decisions) -> bool:
        """Write the verdicts, their deliveries, the repeats and the digest that follow.

        The repeats are written as ``owed`` in :class:`Changes`.

        All or nothing. Nothing is written if a reminder of the verdicts is no longer pending (another node
        was faster, or a reload changed it), or if the digest has already been made. A delivery whose id
        exists is left as it is.

        Returns:
            whether the decisions were written.
        """
