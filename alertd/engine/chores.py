"""The periodic work of the loop, beside sending: follow the ledger, plan, report, audit, delete what is old.

:class:`alertd.engine.timer.Chore` names each chore, and the timer says which are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from alertd.core.config import Config
from alertd.core.planning.trust import Trust
from alertd.engine.clocks import LedgerClock
from alertd.engine.deps import Dependencies
from alertd.engine.findings import Findings
from alertd.engine.known import LEFT_ALONE_FOR
from alertd.engine.leader import LeaderLease
from alertd.engine.ledger_watch import FileWatch, PageCheck
from alertd.engine.notices import report_unknown
from alertd.engine.planner import Planner
from alertd.engine.prune import PrunePace
from alertd.engine.reload import Reloader
from alertd.engine.rows_apart import RowsApart
from alertd.engine.self_audit import SelfAudit
from alertd.engine.sender import Sender
from alertd.engine.status import StatusReporter
from alertd.engine.timer import Chore, Timer
from alertd.engine.turns import Turns
from alertd.errors import LedgerError
from alertd.ports import Changes
from alertd.system.telemetry import Event

LEDGER_EVERY_S = 1
FILE_EVERY_S = 5
PAGES_EVERY_S = 60
REPORT_EVERY_S = 20
RECONCILE_EVERY_S = 6 * 3600
AUDIT_EVERY_S = 60
PRUNE_EVERY_S = 24 * 3600

PLANNED_TABLES = ("milestone", "owed")
"""The tables with the plan. If a row of them is set apart or released, everything is reconciled."""

QUIET = frozenset({Chore.FILES, Chore.LEDGER, Chore.FILE, Chore.PAGES, Chore.LEAD, Chore.REPORT})
"""The chores that make nothing due by themselves. They ask for other chores if they find something."""


@dataclass(kw_only=True, eq=False)
class Chores:
    """Does the chores that the timer wants, each by the part of the daemon that knows how.

    Attributes:
        undone: files were read that could not be put in force, because pages that it needs are damaged.
        pace: how much one transaction of a prune deletes.
        has_turned: a turn has been made since the ledger was last followed, so rows may have been set apart.
    """

    deps: Dependencies
    apart: RowsApart
    auditor: SelfAudit
    clock: LedgerClock
    file: FileWatch
    findings: Findings
    lease: LeaderLease
    pages: PageCheck
    planner: Planner
    reloader: Reloader
    sender: Sender
    status: StatusReporter
    timer: Timer
    turns: Turns
    undone: bool = False
    pace: PrunePace = field(default_factory=PrunePace)
    has_turned: bool = True

    async def do(self) -> bool:
        """Do everything that is wanted but the audit, which comes after the turn.

        Returns:
            whether something may be due by now that was not due before.

        Raises:
            LedgerError: the ledger cannot be used; what was wanted is still wanted.
        """
        wanted = self.timer.wanted - {Chore.AUDIT}
        self.timer.wanted &= {Chore.AUDIT}
        led, has_changed = self.lease.held, False
        try:
            if Chore.LEAD in wanted:
                if await self.clock.compare(self.deps.ledger):
                    wanted.add(Chore.CLOCK)
                if await self.pages.attempt(self.lease.ask(), False):
                    wanted.add(Chore.TAKEOVER)
            if Chore.FILES in wanted:
                self.reloader.files.look()
                wanted |= self.timer.wanted & {Chore.RELOAD}
                self.timer.wanted.discard(Chore.RELOAD)
            await self.reloader.check_hang()
            if Chore.LEDGER in wanted:
                has_changed = await self._follow_ledger()
            if Chore.REPORT in wanted and self.undone:
                wanted.add(Chore.RELOAD)
            if Chore.RELOAD in wanted:
                self.reloader.begin()
                wanted.discard(Chore.RELOAD)
            await self._plan(wanted)
            await self._keep_house(wanted)
        except LedgerError:
            self.timer.wanted |= wanted
            raise
        finally:
            if self.lease.held and not led:
                self._take_over()
        return has_changed or not wanted <= QUIET

    async def _follow_ledger(self) -> bool:
        """Look at what others have written, and at rows that can or cannot be read any more.

        Returns:
            whether others have written.
        """
        has_changed = await self.pages.attempt(self.planner.follow_done_dates(), True)
        may_have_parted, self.has_turned = has_changed or self.has_turned, False
        if may_have_parted and await self.pages.attempt(self.apart.have_changed(), False):
            # The audit names these rows, and has those written again that the files define.
            self.timer.wanted.add(Chore.AUDIT)
        return has_changed

    async def _plan(self, wanted: set[Chore]) -> None:
        """Put the files that were read in force, or plan again by those that are."""
        again = wanted & {Chore.RECONCILE, Chore.TAKEOVER, Chore.CLOCK}
        if self.reloader.files.result is not None:
            self.undone = await self.pages.attempt(self.reloader.finish(), None) is None
            if self.undone:
                # Pages that it needs are damaged. The files are read again when the daemon next reports.
                self.reloader.files.result = None
            again &= {Chore.CLOCK}
        if again:
            trust = Trust.RECENT
            if again != {Chore.RECONCILE}:
                trust = Trust.NOTHING if Chore.CLOCK in again else Trust.RECONCILED
            plan_again = self.planner.reconcile_again(reconsider=trust is not Trust.RECENT, trust=trust)
            await self.pages.attempt(plan_again, None)

    async def _keep_house(self, wanted: set[Chore]) -> None:
        """Report, and delete what is old."""
        if Chore.FILE_NOTICE in wanted and self.file.loss is not None:
            await self.pages.attempt(self.status.tell_displaced(self.reloader.config, self.file.loss), None)
        if Chore.REPORT in wanted:
            await self.pages.attempt(self.status.report(self.reloader.config), None)
            await self.pages.attempt(self.status.compare_nodes(), None)
            if self.planner.elsewhere - self.status.elsewhere:
                # A node that knew more receivers has ended, or reads other files now.
                self.timer.want(Chore.RECONCILE)
            if self.planner.unread:
                self.timer.want(Chore.RECONCILE)
        if Chore.PRUNE in wanted and self.lease.held:
            await self.pages.attempt(self.turns.run_beside(self._prune()), None)

    def _take_over(self) -> None:
        """Have the web server try again to listen, perhaps where the previous leader did."""
        if (companion := self.reloader.companion) is not None:
            companion.findings()
        self.timer.want(Chore.AUDIT)

    async def look_at_file(self) -> bool:
        """Do the chores for the ledger's file. They are done also while the ledger fails.

        Returns:
            whether the file was taken away and the ledger is saved, so that the daemon is to end.
        """
        wanted = self.timer.wanted
        if Chore.PAGES in wanted and self.file.loss is None:
            self.pages.begin()
        if Chore.FILE in wanted:
            before = [*self.file.findings()]
            await self.file.look()
            if [*self.file.findings()] != before:
                self.timer.want(Chore.AUDIT, Chore.FILE_NOTICE)
        is_saved = Chore.FILE in wanted and bool(self.file.saved)
        wanted -= {Chore.FILE, Chore.PAGES}
        return is_saved

    async def _prune(self) -> None:
        """Delete some old rows, and ask to be called again, so that due reminders do not wait for all."""
        keep = self.reloader.active.config.keep
        began_s = self.deps.clock.monotonic()
        deleted = await self.deps.ledger.prune(self.deps.clock.now() - keep, self.pace.limit)
        self.pace.adapt(self.deps.clock.monotonic() - began_s)
        if any(deleted.values()):
            self.deps.log.info(Event.LEDGER_PRUNED, **deleted)
            self.timer.want(Chore.PRUNE)

    async def audit(self) -> None:
        """Audit the ledger, and tell what was found. Raises LedgerError if the ledger cannot be read."""
        active, now = self.reloader.active, self.deps.clock.now()
        config, before = active.config, self.auditor.findings
        shut, _ = self.sender.find_shut()
        # Only the leader reconciles, so only the leader's plan is audited.
        plan = self.planner.definitions if self.lease.held else None
        new, released = await self.pages.attempt(self.apart.look(config), ((), ()))
        is_planned = any(row.table in PLANNED_TABLES for row in (*new, *released))
        is_distrusted = is_planned and await self.planner.distrust()
        if new or is_distrusted:
            # The notice goes out now. Reconciling writes those rows again that the files define.
            self.timer.want(Chore.RECONCILE)
        if released:
            self.timer.wake()
        await self.auditor.run(
            config,
            plan,
            self.planner.done,
            planned_at=self.planner.planned_at,
            shut=shut,
            open_findings=self.findings.gather(config),
            known=active.make_known(self.status.elsewhere, now),
        )
        if self.auditor.missing and await self.planner.distrust(self.auditor.missing):
            self.timer.want(Chore.RECONCILE)
        await self.pages.attempt(self._tell_strays(config, now), None)
        if self.auditor.findings != before:
            self.timer.want(Chore.REPORT)

    async def _tell_strays(self, config: Config, now: datetime) -> None:
        """Tell the operator what waits for receivers that no live node has known for a while, once a day."""
        strays = self.auditor.last.strays if self.auditor.last else ()
        notices = tuple(
            notice
            for stray in strays
            if now - stray.since >= LEFT_ALONE_FOR
            for notice in report_unknown(config, stray.receiver, now)
        )
        if notices:
            await self.deps.ledger.apply(Changes(deliveries=notices))
