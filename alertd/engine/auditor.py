"""Looks over the shoulder of reconcile and dispatch: gathers what core/planning/audit.py judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from alertd.core.config import Config, Definitions
from alertd.core.ledger.records import DeliveryState
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.audit import SLICE, Audit, AuditFinding, audit, expected, notices_of
from alertd.core.planning.relative import resolve
from alertd.ports import LEASE_FOR, Ledger

DEAD_LIMIT = 100
"""The latest deaths that are looked at."""


class Auditor:
    """Compares definitions, plan and ledger, some milestones at each look."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._next = 0
        self._of: Definitions | None = None
        self._done: Mapping[str, date] = {}
        self._milestones: tuple[Milestone, ...] = ()

    def use(self, definitions: Definitions | None, done: Mapping[str, date]) -> None:
        """What has been reconciled last, if anything; audits compare the ledger with this."""
        if definitions is self._of and done == self._done:
            return
        self._of, self._done, self._next = definitions, done, 0
        if definitions is None:
            self._milestones = ()
            return
        every = {one.id: one for timeline in definitions.timelines for one in timeline.milestones}
        self._milestones = tuple(resolve(every, done).values())

    async def look(
        self,
        config: Config,
        now: datetime,
        *,
        planned_at: datetime,
        shut: frozenset[str],
        standing: Sequence[AuditFinding] = (),
    ) -> Audit:
        """One audit. Raises LedgerError: what cannot be read cannot pass."""
        return audit(
            await self._ledger.waiting(now, shut),
            now,
            planned_at=planned_at,
            lease_for=LEASE_FOR,
            missing=await self._missing(config, now),
            untold=await self._untold(config),
            standing=standing,
        )

    async def _missing(self, config: Config, now: datetime) -> list[str]:
        if not self._milestones:
            return []
        some = self._milestones[self._next : self._next + SLICE]
        self._next = 0 if self._next + SLICE >= len(self._milestones) else self._next + SLICE
        wanted = expected(some, config.route, now, config.catch_up)
        there = await self._ledger.known(owed=tuple(wanted))
        return sorted(name for key, name in wanted.items() if key not in there)

    async def _untold(self, config: Config) -> list[str]:
        operator = config.receivers.get(config.operator)
        if operator is None:
            return []
        dead = await self._ledger.deliveries(state=DeliveryState.DEAD, limit=DEAD_LIMIT)
        names = [spec.name for spec in operator.notifiers]
        wanted = notices_of((delivery for delivery, _, _ in dead), operator.name, names)
        there = await self._ledger.known(deliveries=tuple(wanted))
        return sorted(dead_id for notice, dead_id in wanted.items() if notice not in there)
