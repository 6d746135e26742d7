"""The plan: while this node leads, the ledger is kept in line with the files that it has read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from alertd.core.config import Config, Definitions
from alertd.engine.deps import Dependencies
from alertd.engine.leader import LeaderLease
from alertd.engine.observer import log_loaded, log_report
from alertd.engine.reconcile import Report, reconcile
from alertd.engine.status import Herald
from alertd.errors import LeadLost
from alertd.system.telemetry import Event


class Planner:
    """Reconciles.

    Attributes:
        definitions: the files as they were taken last; None before.
        done: what was done when it last reconciled, by full id: relative deadlines are counted from it.
    """

    def __init__(self, world: Dependencies, lead: LeaderLease, herald: Herald) -> None:
        self.definitions: Definitions | None = None
        self.done: Mapping[str, date] = {}
        self._world = world
        self._lead = lead
        self._herald = herald
        self._in_line_at = world.clock.now()
        self._version = ""

    @property
    def fingerprint(self) -> str:
        """Of the files; "" before any were taken."""
        return self.definitions.fingerprint if self.definitions else ""

    @property
    def planned_at(self) -> datetime:
        """When the ledger was last brought in line; who does not lead has no plan to answer for."""
        return self._in_line_at if self._lead.held else self._world.clock.now()

    async def take(self, definitions: Definitions, config: Config, *, reconsider: bool) -> None:
        """From now on these.

        Args:
            config: the definitions' own.
            reconsider: it is another one than before.

        Raises:
            LedgerError: the ledger cannot be used; the ones before stand.
        """
        log = self._world.log
        broken = self.definitions.broken if self.definitions else frozenset[str]()
        for problem in definitions.problems:
            log.error(Event.FILE_REFUSED, file=problem.file, problem=str(problem))
        for file in sorted(broken - definitions.broken):
            log.info(Event.FILE_MENDED, file=file)
        await self._lead.ask()
        report = await self._in_line(definitions, config, reconsider=reconsider)
        self._herald.problems = tuple(str(problem) for problem in definitions.problems)
        if definitions.broken - broken:
            await self._herald.tell_problems(
                config, "A definition file was refused; what it said before stays"
            )
        self.definitions = definitions
        log_report(log, report)
        log_loaded(log, definitions)

    async def go_on(self, *, reconsider: bool) -> None:
        """With the files as they were read last: relative deadlines, the horizon and tzdata move on alone."""
        if self.definitions is not None and self.definitions.config is not None:
            report = await self._in_line(self.definitions, self.definitions.config, reconsider=reconsider)
            log_report(self._world.log, report)

    async def others_did(self) -> bool:
        """Whether another process has written what the plan depends on: what is done."""
        version = await self._world.ledger.version()
        if version == self._version:
            return False
        changed = await self._world.ledger.done_dates() != self.done
        self._version = version
        return changed

    async def _in_line(self, definitions: Definitions, config: Config, *, reconsider: bool) -> Report:
        """Reconcile, when this node has the lead. Who has it does the same with the same files."""
        ledger, now = self._world.ledger, self._world.clock.now()
        self.done = await ledger.done_dates()
        try:
            if self._lead.held:
                report = await reconcile(
                    ledger, definitions, now, reconsider=reconsider, term=self._lead.term
                )
                self._in_line_at = now
                await self._herald.tell_kept(config, report.kept)
                return report
        except LeadLost:
            self._lead.lose()
        # What stays and what goes is said by who leads.
        self._herald.kept = ()
        return Report()
