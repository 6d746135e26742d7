"""What people do, and what they and the audits read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Known,
    Record,
    ScheduledReminder,
)
from alertd.core.ledger.unreadable import Unreadable
from alertd.core.milestones.status import Action
from alertd.core.planning.audit import Waiting
from alertd.ports.nodes import NodeReader
from alertd.ports.reminders import MilestoneLookup
from alertd.ports.scheduling import KeyLookup


class ActionLedger(MilestoneLookup, Protocol):
    """Records what people do.

    The caller has checked that the person may do it. An action may be recorded twice: the second time changes
    nothing.
    """

    async def act(self, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
        """Record an action, its history entry, and ``owed`` as in :class:`Changes`.

        Returns:
            the record after the action.

        Raises:
            UnknownMilestone: the ledger has no record of the milestone.
            RefusedAction: the milestone's status does not allow the action.
        """

    async def retry(self, delivery: str, now: datetime, by: str) -> Delivery:
        """Make a dead delivery ready again, and count its horizon from ``now``.

        The state remembered for the channel itself is deleted, so a channel that was stopped is tried again.

        Raises:
            UnknownDelivery: the ledger has no such delivery.
            RefusedAction: the delivery is not dead.
        """


class LedgerReader(MilestoneLookup, NodeReader, KeyLookup, Protocol):
    """Reads the ledger for people and for audits. Anybody may call, and nothing is changed.

    Each method sees one consistent state; two calls may see different ones.
    """

    async def read_records(self, *, after: str = "", limit: int | None = None) -> Sequence[Record]:
        """Return the records that are not withdrawn, sorted by id.

        Args:
            after: only records that come after this id. The order is the ledger's own.
            limit: the maximum number of records.
        """

    async def read_upcoming(self, limit: int) -> Sequence[ScheduledReminder]:
        """Return the pending reminders, the earliest ``wake_at`` first."""

    async def find_deliveries(
        self,
        *,
        delivery: str = "",
        milestone: str = "",
        state: DeliveryState | None = None,
        receiver: str = "",
        text: str = "",
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]]:
        """Return deliveries with their attempts and members, the newest first.

        Args:
            delivery: only the delivery with this id.
            text: a text that the delivery's id, its channel, its reason, or the id of one of its milestones
                must contain. Case is ignored, at least in ASCII.
            before: the ``bound_at`` and the id of a delivery: only deliveries that come after it in this
                order.
        """

    async def read_activity(self, timeline: str = "") -> Sequence[tuple[Record, datetime]]:
        """Return all records of one timeline or of all timelines, withdrawn ones too, sorted by id.

        Each comes with the time of its last history entry or, if it has none, of its last change.
        """

    async def read_history(
        self, milestone: str = "", limit: int = 100, *, timeline: str = "", kind: str = ""
    ) -> Sequence[HistoryEntry]:
        """Return history entries, the newest first; "" means all milestones, timelines or kinds."""

    async def read_last_moves(self, milestones: Sequence[str]) -> Mapping[str, HistoryEntry]:
        """Return the last entry ``moved`` of each milestone that has one, by full id."""

    async def count_rows(self) -> Mapping[str, int]:
        """Return the number of rows: ``milestones``, ``owed.<state>`` and ``deliveries.<state>``."""

    async def find_waiting(
        self, now: datetime, shut: frozenset[str] = frozenset(), *, known: Known | None = None
    ) -> Waiting:
        """Return what has waited longest. Deliveries of the channels in ``shut`` are ignored.

        Args:
            known: what the node does not know counts as ``strays`` only, unless other nodes know it; None:
                there are no strays.
        """

    async def find_unreadable(self, limit: int) -> Sequence[Unreadable]:
        """Read the next ``limit`` rows of each table, and return the rows that cannot be read.

        Also the rows are returned that any earlier call could not read and still cannot be read, at most
        1,000 in all. Repeated calls go through the whole ledger.
        """

    async def read_size(self) -> int:
        """Return the bytes that the ledger takes on disk; 0 if it takes none."""
