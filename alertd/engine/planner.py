"""Keeps the ledger in line with the definition files while this node leads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from alertd.core.config import Config, Definitions
from alertd.engine.deps import Dependencies
from alertd.engine.leader import LeaderLease
from alertd.engine.observer import log_loaded, log_report
from alertd.engine.reconcile import Report, reconcile
from alertd.engine.status import StatusReporter
from alertd.errors import LeadLost
from alertd.system.telemetry import Event


class Planner:
    """Reconciles the ledger with the definitions in force.

    Attributes:
        definitions: the definitions in force; None before the first :meth:`adopt`.
        done: the done dates at the last reconciliation, by full id: relative deadlines count from them.
        unplanned: what the last reconciliation could not plan, as ids of milestones or timelines.
    """

    def __init__(self, deps: Dependencies, lease: LeaderLease, status: StatusReporter) -> None:
        self.definitions: Definitions | None = None
        self.done: Mapping[str, date] = {}
        self.unplanned: tuple[str, ...] = ()
        self._deps = deps
        self._lease = lease
        self._status = status
        self._reconciled_at = deps.clock.now()
        self._version = ""

    @property
    def planned_at(self) -> datetime:
        """When this node last reconciled the ledger (UTC); for a node that does not lead: now."""
        return self._reconciled_at if self._lease.held else self._deps.clock.now()

    @property
    def is_configured(self) -> bool:
        """Whether the configuration in force comes from ``alertd.yaml``, and does not hold only defaults."""
        return self.definitions is not None and self.definitions.unconfigured is None

    async def adopt(self, definitions: Definitions, config: Config, *, reconsider: bool) -> None:
        """Plan by these definitions from now on.

        Args:
            config: the configuration of ``definitions``.
            reconsider: the configuration has changed, so reminders that wait are decided about again.

        Raises:
            LedgerError: the ledger cannot be used; the previous definitions stay in force.
        """
        log = self._deps.log
        broken = self.definitions.broken if self.definitions else frozenset[str]()
        for problem in definitions.problems:
            log.error(Event.FILE_REFUSED, file=problem.file, problem=str(problem))
        for file in sorted(broken - definitions.broken):
            log.info(Event.FILE_RECOVERED, file=file)
        await self._lease.ask()
        report = await self._reconcile(definitions, config, reconsider=reconsider)
        self._status.problems = tuple(str(problem) for problem in definitions.problems)
        if definitions.broken - broken:
            await self._status.tell_problems(
                config, "A definition file was refused; its last good version stays in force"
            )
        self.definitions = definitions
        self._status.fingerprint = definitions.fingerprint
        log_report(log, report)
        log_loaded(log, definitions)

    async def reconcile_again(self, *, reconsider: bool) -> None:
        """Reconcile with the files as last read: relative deadlines and the horizon move on."""
        if self.definitions is not None and self.definitions.config is not None:
            report = await self._reconcile(self.definitions, self.definitions.config, reconsider=reconsider)
            log_report(self._deps.log, report)

    async def has_changed_done_dates(self) -> bool:
        """Return whether another process has changed done dates, on which relative deadlines depend."""
        version = await self._deps.ledger.read_version()
        if version == self._version:
            return False
        changed = await self._deps.ledger.read_done_dates() != self.done
        self._version = version
        return changed

    async def _reconcile(self, definitions: Definitions, config: Config, *, reconsider: bool) -> Report:
        """Reconcile if this node leads. Another leader does the same with the same files."""
        ledger, now = self._deps.ledger, self._deps.clock.now()
        self.done = await ledger.read_done_dates()
        try:
            if self._lease.held:
                report = await reconcile(
                    ledger, definitions, now, reconsider=reconsider, term=self._lease.term
                )
                self._reconciled_at = now
                before, self.unplanned = self.unplanned, tuple(sorted(report.failed))
                if set(self.unplanned) - set(before):
                    await self._status.tell_unplanned(config, self.unplanned)
                await self._status.tell_kept(config, report.kept)
                return report
        except LeadLost:
            self._lease.lose()
        # Only the leader reports which timelines it keeps without a file.
        self._status.kept = ()
        return Report()
