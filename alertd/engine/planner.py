"""Keeps the ledger in line with the definition files while this node leads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime

from alertd.core.config import Config, Definitions
from alertd.engine.deps import Dependencies
from alertd.engine.leader import LeaderLease
from alertd.engine.observer import log_loaded, log_report
from alertd.engine.reconcile import Report, reconcile, reconcile_dependents
from alertd.engine.status import StatusReporter, find_receivers_elsewhere
from alertd.errors import LeadLost
from alertd.ports import KeptConfig
from alertd.system.telemetry import Event

REPAIR_LIMIT = 500
"""The most reminders, and the most deliveries, that one transaction repairs."""


class Planner:
    """Reconciles the ledger with the definitions in force.

    Attributes:
        definitions: the definitions in force; None before the first :meth:`adopt`.
        done: the done dates at the last reconciliation, by full id: relative deadlines count from them.
        elsewhere: the receivers whose reminders the last reconciliation left alone, because only other nodes
            know them.
        unplanned: what the last reconciliation could not plan, as ids of milestones or timelines.
    """

    def __init__(
        self,
        deps: Dependencies,
        lease: LeaderLease,
        status: StatusReporter,
        *,
        give_way: Callable[[], Awaitable[None]],
        is_in_doubt: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            give_way: lets other work run. It is called often while this reconciles.
            is_in_doubt: returns whether the clock may be far behind.
        """
        self.definitions: Definitions | None = None
        self.done: Mapping[str, date] = {}
        self.elsewhere: frozenset[str] = frozenset()
        self.unplanned: tuple[str, ...] = ()
        self._deps = deps
        self._lease = lease
        self._status = status
        self._give_way = give_way
        self._is_in_doubt = is_in_doubt
        self._reconciled_at = deps.clock.now()
        self._version = ""
        self._kept_text: str | None = None

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

    async def follow_done_dates(self) -> bool:
        """Reconcile the deadlines that count from milestones whose done dates another process has changed.

        Returns:
            whether another process has written anything since the last call.

        Raises:
            LedgerError: the ledger cannot be used; the next call does the same work.
        """
        version = await self._deps.ledger.read_version()
        if version == self._version:
            return False
        before, done = self.done, await self._deps.ledger.read_done_dates()
        changed = {name for name in done.keys() | before.keys() if done.get(name) != before.get(name)}
        definitions = self.definitions
        if changed and definitions is not None and definitions.config is not None and self._lease.held:
            try:
                report = await reconcile_dependents(
                    self._deps.ledger,
                    definitions,
                    self._deps.clock.now(),
                    changed=changed,
                    done=done,
                    in_doubt=self._is_in_doubt(),
                    elsewhere=self.elsewhere,
                    term=self._lease.term,
                    give_way=self._give_way,
                )
            except LeadLost:
                self._lease.lose()
            else:
                log_report(self._deps.log, report)
        self.done, self._version = done, version
        return True

    async def _keep_config(self, definitions: Definitions) -> None:
        """Keep the configuration in the ledger, so that a daemon can start while ``alertd.yaml`` is broken.

        A configuration that cannot be kept replaces the kept one too, whose access rules are out of date.
        """
        text, ledger = definitions.kept_text, self._deps.ledger
        if definitions.from_ledger or definitions.unconfigured is not None or text == self._kept_text:
            return
        if text or await ledger.read_kept_config() is not None:
            kept = KeptConfig(text=text, node=self._deps.node, at=self._deps.clock.now())
            await ledger.keep_config(kept, term=await self._lease.term())
        self._kept_text = text

    async def _reconcile(self, definitions: Definitions, config: Config, *, reconsider: bool) -> Report:
        """Reconcile if this node leads. Another leader does the same with the same files."""
        ledger, now = self._deps.ledger, self._deps.clock.now()
        self.done = await ledger.read_done_dates()
        try:
            if self._lease.held:
                if reconsider:
                    await self._repair(config, now)
                known = find_receivers_elsewhere(await ledger.read_nodes(), now, self._deps.node)
                self.elsewhere = known - config.receivers.keys()
                report = await reconcile(
                    ledger,
                    definitions,
                    now,
                    reconsider=reconsider,
                    in_doubt=self._is_in_doubt(),
                    elsewhere=self.elsewhere,
                    term=self._lease.term,
                    give_way=self._give_way,
                )
                self._reconciled_at = now
                before, self.unplanned = self.unplanned, tuple(sorted(report.failed))
                if set(self.unplanned) - set(before):
                    await self._status.tell_unplanned(config, self.unplanned)
                await self._keep_config(definitions)
                await self._status.tell_kept(config, report.kept, report.holders)
                return report
        except LeadLost:
            self._lease.lose()
        # The next leader keeps its own configuration, so this node writes again when it leads again.
        self._kept_text = None
        self.elsewhere = frozenset()
        # Only the leader reports which timelines it keeps without a file.
        self._status.kept = ()
        return Report()

    async def _repair(self, config: Config, now: datetime) -> None:
        """Repair what a clock that was ahead has written. What is right stays as it is."""
        while True:
            repaired = await self._deps.ledger.repair(now, config.catch_up, REPAIR_LIMIT)
            if not any(repaired.values()):
                return
            self._deps.log.warning(Event.LEDGER_REPAIRED, **repaired)
