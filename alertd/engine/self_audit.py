"""Silence is loud: audits by the clock; only while they pass is the watchdog fed and the switch told so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from alertd.core.config import Config, Definitions
from alertd.core.ledger.records import DeliveryState
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.audit import SLICE, Audit, AuditFinding, audit, expected, notices_of
from alertd.core.planning.relative import resolve
from alertd.engine.deps import Dependencies
from alertd.ports import LEASE_FOR, Ledger
from alertd.system.telemetry import Event

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


STALE_AFTER_S = 600.0
"""An audit that passed counts for so long: a ledger that cannot be used for a while is no reason to be
killed, with outcomes in hand that only wait for it; one that cannot be used for longer is."""


class Watch:
    """Keeps the last audit, and tells the outside of it."""

    def __init__(self, world: Dependencies) -> None:
        self._world = world
        self._auditor = Auditor(world.ledger)
        self._audit: Audit | None = None
        self._audited_s = world.clock.monotonic()
        self._beating: asyncio.Task[None] | None = None
        self._beat_failure = ""

    @property
    def audit(self) -> Audit | None:
        """The last one; None before the first."""
        return self._audit

    @property
    def findings(self) -> tuple[str, ...]:
        """Of the last audit, a sentence each."""
        return tuple(str(finding) for finding in self._audit.findings) if self._audit else ()

    def is_well(self) -> bool:
        """Whether the last audit found nothing that a restart may mend, not too long ago.

        Before the first it is too early to say no.
        """
        sound = self._audit is None or self._audit.is_sound
        return sound and self._world.clock.monotonic() - self._audited_s < STALE_AFTER_S

    async def look(
        self,
        config: Config,
        plan: Definitions | None,
        done: Mapping[str, date],
        *,
        planned_at: datetime,
        shut: frozenset[str],
        standing: Sequence[AuditFinding] = (),
    ) -> None:
        """Audit, say what has changed since the last one, and tell the dead man's switch.

        Args:
            plan: what this node has brought in line; None when that is another's work.
            standing: what was found elsewhere, and stands.

        Raises:
            LedgerError: it cannot be read; the audit before stands until it is stale.
        """
        world, before = self._world, self.findings
        self._auditor.use(plan, done)
        self._audit = await self._auditor.look(
            config, world.clock.now(), planned_at=planned_at, shut=shut, standing=standing
        )
        self._audited_s = world.clock.monotonic()
        world.meter.audited(self._audit)
        for finding in self.findings:
            if finding not in before:
                world.log.error(Event.AUDIT_FAILED, finding=finding)
        if before and not self.findings:
            world.log.info(Event.AUDIT_PASSED)
        # One at a time: an address that hangs gets no second request.
        if world.beat is not None and config.heartbeat is not None and self._beating is None:
            self._beating = asyncio.create_task(self._beat(config, self._audit))

    async def told(self) -> None:
        """Wait until the switch has been told, if it is being told."""
        if self._beating is not None:
            await asyncio.wait({self._beating})

    async def close(self) -> None:
        """Give up what is under way."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)

    async def _beat(self, config: Config, audit: Audit) -> None:
        world = self._world
        try:
            failure = await world.beat(config, audit) if world.beat else ""
        finally:
            self._beating = None
        if failure and failure != self._beat_failure:
            world.log.warning(Event.HEARTBEAT_FAILED, reason=failure)
        self._beat_failure = failure
