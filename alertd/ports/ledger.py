"""The whole ledger: the sum of all roles."""

from __future__ import annotations

from typing import Protocol

from alertd.ports.deliveries import DeliveryQueue
from alertd.ports.nodes import LeadershipLedger, NodeRegistry
from alertd.ports.people import ActionLedger, LedgerReader
from alertd.ports.reminders import ReminderQueue
from alertd.ports.scheduling import ConfigKeeper, PlanningLedger
from alertd.ports.upkeep import ChangeFeed, Closable, Prunable, Repairable, TimeSource


class Ledger(
    PlanningLedger,
    LeadershipLedger,
    NodeRegistry,
    ConfigKeeper,
    ReminderQueue,
    DeliveryQueue,
    ActionLedger,
    LedgerReader,
    ChangeFeed,
    TimeSource,
    Prunable,
    Repairable,
    Closable,
    Protocol,
):
    """The record of what is scheduled and what was done: the sum of all roles.

    Only the composition root takes a whole ledger. Every other class names the roles that it needs.
    """

    async def ensure_shared_secret(self, made: str) -> str:
        """Return the secret that all nodes share: the stored secret, or ``made``, which is stored then."""
