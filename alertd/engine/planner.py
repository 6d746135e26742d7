"""Keeps the ledger in line with the definition files while this node leads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date, datetime

from alertd.core.config import Config, Definitions, Timeline
from alertd.core.planning.trust import Trust
from alertd.engine.deps import Dependencies
from alertd.engine.leader import LeaderLease
from alertd.engine.observer import log_loaded, log_report
from alertd.engine.reads_beside import ReadBeside, make_reads_beside
from alertd.engine.reconcile import reconcile, reconcile_dependents
from alertd.engine.reconcile_pass import PassOptions, Report
from alertd.engine.status import StatusReporter, find_receivers_elsewhere
from alertd.errors import LeadLost
from alertd.ports import Changes, KeptConfig
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
        unread: the timelines whose files could not be read again, so that they are as they were.
    """

    def __init__(
        self,
        deps: Dependencies,
        lease: LeaderLease,
        status: StatusReporter,
        *,
        give_way: Callable[[], Awaitable[None]],
        read_beside: ReadBeside,
        read: Callable[[Timeline], Awaitable[Timeline]],
        is_in_doubt: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            give_way: lets other work run. It is called often while this reconciles.
            read_beside: awaits a long read of the ledger beside the turns.
            read: reads the milestones of a timeline that are not in memory.
            is_in_doubt: returns whether the clock may be far behind.
        """
        self.definitions: Definitions | None = None
        self.done: Mapping[str, date] = {}
        self.elsewhere: frozenset[str] = frozenset()
        self.unplanned: tuple[str, ...] = ()
        self.unread: tuple[str, ...] = ()
        self._deps = deps
        self._ledger = make_reads_beside(deps.ledger, read_beside)
        self._lease = lease
        self._status = status
        self._give_way = give_way
        self._read = read
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

    async def reconcile_again(self, *, reconsider: bool, trust: Trust = Trust.RECONCILED) -> None:
        """Reconcile with the files as last read: relative deadlines and the horizon move on.

        Args:
            trust: which timelines are left alone.
        """
        if self.definitions is not None and self.definitions.config is not None:
            report = await self._reconcile(
                self.definitions, self.definitions.config, reconsider=reconsider, trust=trust
            )
            log_report(self._deps.log, report)

    async def distrust(self, timelines: Iterable[str] | None = None) -> bool:
        """Have the next reconciliation read timelines again, also after a restart. Returns whether it will.

        Args:
            timelines: the ids of the timelines; None: all.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        if self.definitions is None or not self._lease.held:
            return False
        known = {timeline.id for timeline in self.definitions.timelines if timeline.content}
        names = tuple(sorted(known if timelines is None else known & set(timelines)))
        if not names:
            return False
        try:
            changes = Changes(no_fingerprints=names)
            await self._deps.ledger.apply(changes, term=await self._lease.term())
        except LeadLost:
            self._lease.lose()
            return False
        return True

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
        before, done = self.done, await self._ledger.read_done_dates()
        changed = {name for name in done.keys() | before.keys() if done.get(name) != before.get(name)}
        definitions = self.definitions
        if changed and definitions is not None and definitions.config is not None and self._lease.held:
            try:
                report = await reconcile_dependents(
                    self._ledger,
                    definitions,
                    self._make_options(self._deps.clock.now()),
                    changed=changed,
                    done=done,
                )
            except LeadLost:
                self._lease.lose()
            else:
                log_report(self._deps.log, report)
                self.unread = (*self.unread, *report.unread)
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

    def _make_options(
        self, now: datetime, *, reconsider: bool = False, trust: Trust = Trust.RECONCILED
    ) -> PassOptions:
        return PassOptions(
            now=now,
            reconsider=reconsider,
            in_doubt=self._is_in_doubt(),
            elsewhere=self.elsewhere,
            term=self._lease.term,
            give_way=self._give_way,
            read=self._read,
            trust=trust,
            at_once=self._deps.plan_at_once,
        )

    async def _reconcile(
        self,
        definitions: Definitions,
        config: Config,
        *,
        reconsider: bool,
        trust: Trust = Trust.RECONCILED,
    ) -> Report:
        """Reconcile if this node leads. Another leader does the same with the same files."""
        ledger, now = self._ledger, self._deps.clock.now()
        self.done = await ledger.read_done_dates()
        try:
            if self._lease.held:
                if reconsider:
                    await self._repair(config, now)
                known = find_receivers_elsewhere(await self._deps.ledger.read_nodes(), now, self._deps.node)
                self.elsewhere = known - config.receivers.keys()
                options = self._make_options(now, reconsider=reconsider, trust=trust)
                report = await reconcile(ledger, definitions, options)
                self.unread = tuple(report.unread)
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
