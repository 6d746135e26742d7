"""The only loop: wake, look, wait; signals, and the drain.

The ledger is the schedule. The timer wakes the loop at the next due instant and for the periodic chores;
no milestone has a timer. Whatever else happens, the loop looks again at the latest after half a minute by the
monotonic clock. So neither a stepped wall clock nor a suspended machine loses a reminder. The
ledger knows what was sent, so neither repeats one.

The parts are made in :meth:`Daemon.__init__`, each from those above it. :mod:`alertd.engine.reload` and
:mod:`alertd.engine.delivery` each show one way on one page: the way of a reload, and the way of a delivery.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from alertd import __version__
from alertd.core.config import Config, Definitions, Timeline
from alertd.core.planning.audit import AuditFinding
from alertd.core.planning.trust import Trust
from alertd.engine.backoff import Backoff
from alertd.engine.binding import name_sets
from alertd.engine.clocks import ClockMonitor, LedgerClock
from alertd.engine.deps import Companion, Dependencies
from alertd.engine.files import HANGS_AFTER_S
from alertd.engine.findings import Findings
from alertd.engine.known import LEFT_ALONE_FOR
from alertd.engine.leader import LeaderLease
from alertd.engine.ledger_watch import FileWatch, PageCheck
from alertd.engine.links import LinkMaker
from alertd.engine.liveness import Liveness, Watch
from alertd.engine.notices import report_unknown
from alertd.engine.observer import log_bound
from alertd.engine.planner import Planner
from alertd.engine.prune import LIMIT as PRUNE_LIMIT
from alertd.engine.reload import Reloader, ReloadRequests
from alertd.engine.rows_apart import RowsApart
from alertd.engine.self_audit import STALE_AFTER_S, SelfAudit
from alertd.engine.sender import Sender
from alertd.engine.status import DaemonStatus, StatusReporter
from alertd.engine.timer import LOOK_AGAIN_S, Chore, Timer
from alertd.errors import DefinitionsError, LedgerDamaged, LedgerError, SchemaTooNew
from alertd.ports import Changes
from alertd.system.telemetry import Event

LEDGER_EVERY_S = 1
FILE_EVERY_S = 5
PAGES_EVERY_S = 60
REPORT_EVERY_S = 20
RECONCILE_EVERY_S = 6 * 3600
AUDIT_EVERY_S = 60
PRUNE_EVERY_S = 24 * 3600

GIVE_WAY_S = 0.02
"""How long a chore works before it lets other tasks run, and has what is due sent."""

TURN_AT_LEAST_S = 0.25
"""How long a chore works before the ledger is asked for what has become due, and ended sends are settled."""

DAMAGED_AGAIN = timedelta(seconds=1)
"""When to look again if the page that says what is due next is damaged."""

PLANNED_TABLES = ("milestone", "owed")
"""The tables with the plan. If a row of them is set apart or released, everything is reconciled."""

T = TypeVar("T")


class Daemon:
    """One node. Call ``start`` once, then either ``run``, or ``turn`` and ``idle`` by hand, as the demo does.

    Attributes:
        requests: where a reload is asked for.
        outdated: the daemon has ended because a newer alertd has migrated the ledger.
        displaced: the daemon has ended because the ledger's file was taken away.
        hung: the ledger did not answer while the daemon was ending.
    """

    def __init__(self, deps: Dependencies) -> None:
        self._clock = LedgerClock(deps.clock, deps.log, deps.asleep, deps.is_synchronised)
        self._monitor = ClockMonitor(
            deps.clock,
            deps.log,
            deps.asleep,
            on_step=self._on_clock_step,
            on_compared=self._review_clock,
        )
        self._links = LinkMaker(deps.links, deps.log)
        self._deps = deps = replace(deps, clock=self._clock, links=self._links.make)
        self._lease = LeaderLease(
            ledger=deps.ledger,
            clock=deps.clock,
            log=deps.log,
            node=deps.node,
            duration=deps.lead_for,
            is_gone=deps.is_gone,
        )
        self._timer = Timer(
            deps.clock,
            {
                Chore.FILES: deps.files_every_s,
                Chore.LEDGER: LEDGER_EVERY_S,
                Chore.FILE: FILE_EVERY_S,
                Chore.PAGES: PAGES_EVERY_S,
                Chore.REPORT: REPORT_EVERY_S,
                Chore.LEAD: self._lease.every_s,
                Chore.RECONCILE: RECONCILE_EVERY_S,
                Chore.AUDIT: AUDIT_EVERY_S,
                Chore.PRUNE: PRUNE_EVERY_S,
            },
        )
        self._sender = Sender(
            deps.ledger,
            deps.clock,
            deps.log,
            node=deps.node,
            on_finished=self._timer.wake,
            has_stalled=self._monitor.has_stalled_since,
            observer=deps.observer,
        )
        self._audit = SelfAudit(deps, self._read_timeline)
        self._pages = PageCheck(deps, lambda: self._timer.want(Chore.AUDIT, Chore.PAGES))
        self._apart = RowsApart(deps, self._pages.note)
        self._status = StatusReporter(deps, self._sender, self._audit, self._lease)
        self._planner = Planner(
            deps,
            self._lease,
            self._status,
            give_way=self._give_way,
            read=self._read_timeline,
            is_in_doubt=lambda: self._clock.trusted.is_far_behind,
        )
        self.requests = ReloadRequests(lambda: self._timer.want(Chore.RELOAD))
        self._reloader = Reloader(
            deps,
            planner=self._planner,
            sender=self._sender,
            status=self._status,
            requests=self.requests,
            on_read=self._timer.wake,
            measure_absence=self._monitor.measure_absence,
        )
        self._backoff = Backoff(deps.clock, deps.log)
        self._liveness = Liveness(deps.clock)
        self._watch = Watch(
            deps.clock,
            find=self._liveness.findings,
            has_stalled=self._monitor.has_stalled_since,
            tell=self._tell_current,
        )
        self._file = FileWatch(deps)
        self._findings = Findings(
            deps=deps,
            apart=self._apart,
            clock=self._clock,
            file=self._file,
            links=self._links,
            liveness=self._liveness,
            pages=self._pages,
            planner=self._planner,
            reloader=self._reloader,
            sender=self._sender,
            status=self._status,
        )
        self._undone = False
        self._looked_at = deps.clock.now()
        self._next_at: datetime | None = None
        self._gave_way_s = self._turned_s = deps.clock.monotonic()
        self._stopping = False
        self.outdated = False
        self.displaced = False
        self.hung = False
        self._looking: asyncio.Task[None] | None = None

    def attach(self, companion: Companion) -> None:
        """Run this beside the daemon. Call it before :meth:`start`.

        The companion follows the configuration in force, its faults are findings of the self-audit, and it is
        closed before the ledger.
        """
        self._reloader.companion = companion

    # -- its life

    async def start(self) -> None:
        """Load, reconcile, and stand ready. Damaged pages of the ledger stop only what needs them.

        Raises:
            DefinitionsError: there is no configuration to run with. ``alertd.yaml`` has a problem and the
                ledger keeps no configuration, or it has no content although the ledger has timelines.
            LedgerError: the ledger cannot be used.
        """
        self._deps.log.info(Event.DAEMON_STARTED, version=__version__, node=self._deps.node)
        self._deps.know(await self._try(self._deps.ledger.read_fingerprints(), ()))
        definitions = await self._use_kept_config(await self._read_first())
        if definitions.unconfigured is not None and await self._try(self._has_lived(), True):
            definitions = definitions.require_config()
        if definitions.config is None:
            raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
        seen_at = [report.seen_at for report in await self._try(self._deps.ledger.read_nodes(), ())]
        self._clock.trusted.begin(max(seen_at, default=None))
        await self._clock.compare(self._deps.ledger)
        self._looked_at = self._deps.clock.now()
        try:
            await self._reloader.adopt(definitions, definitions.config)
        except LedgerDamaged as error:
            # What is owed already is sent where its pages are sound. Planning is tried again later.
            self._pages.note(error)
            self._reloader.adopt_unplanned(definitions, definitions.config)
            self._undone = True
        self._deps.ledger.listen(lambda: self._timer.want(Chore.LEDGER))

    async def _has_lived(self) -> bool:
        """Return whether the ledger has timelines. A ledger with damaged pages has lived."""
        return bool(await self._deps.ledger.read_timelines())

    async def _read_first(self, kept: str = "") -> Definitions:
        """Read all definition files. A folder that hangs is waited for, since nothing can be done without it.

        Args:
            kept: the content to use in place of an ``alertd.yaml`` that has a problem; "" for none.
        """
        files = self._reloader.files
        files.begin(kept)
        while files.result is None:
            try:
                async with asyncio.timeout(HANGS_AFTER_S):
                    await files.wait()
            except TimeoutError:
                self._deps.log.error(Event.FILES_HUNG, reason="the configuration folder does not answer")
        result, files.result = files.result, None
        if isinstance(result, Exception):
            raise result
        return result

    async def _use_kept_config(self, definitions: Definitions) -> Definitions:
        """Return the definitions with the configuration that the ledger keeps, if ``alertd.yaml`` is broken.

        A file that is missing or has no content is no accident of a moment, so it is left to the caller.
        """
        if definitions.config is not None or definitions.is_absent:
            return definitions
        kept = await self._try(self._deps.ledger.read_kept_config(), None)
        if kept is None or not self._reloader.files.can_keep:
            return definitions
        found = await self._read_first(kept.text)
        if not found.from_ledger:
            return definitions
        self._status.config_fault = (
            f"alertd.yaml has a problem; the configuration that {kept.node} accepted on "
            f"{kept.at:%Y-%m-%d %H:%M}Z is in force"
        )
        self._deps.log.error(
            Event.CONFIG_KEPT, node=kept.node, at=kept.at.isoformat(), problem=str(found.problems[0])
        )
        return found

    async def run(self) -> None:
        """Loop until SIGTERM or SIGINT, then drain."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._timer.want, Chore.RELOAD)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._timer.start()
        self._timer.want(Chore.AUDIT, Chore.PAGES)
        self._monitor.start()
        self._watch.start()
        try:
            self._looking = asyncio.create_task(self._look_until_stopped())
            if self._stopping:
                loop.call_later(self._deps.stop_s, self._looking.cancel)
            await asyncio.wait({self._looking})
            if not self._looking.cancelled():
                self._looking.result()
        except asyncio.CancelledError:
            if self._looking is not None:
                self._looking.cancel()
            raise
        except Exception as error:
            self._deps.log.critical(Event.DAEMON_FAILED, exc_info=error)
            raise
        finally:
            await self._end()
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def _look_until_stopped(self) -> None:
        next_at = await self._look()
        self._deps.systemd.ready(self._status.line)
        self._deps.log.info(Event.DAEMON_READY, status=self._status.line)
        while not self._stopping:
            await self._timer.wait(next_at, self._looked_at, self._longest_s)
            next_at = await self._look()

    def stop(self) -> None:
        """End the loop after what it is doing now, or in ``stop_s`` seconds if that takes longer."""
        if not self._stopping and self._looking is not None:
            # A look that is given up is like a crash at that point: nothing is lost.
            asyncio.get_running_loop().call_later(self._deps.stop_s, self._looking.cancel)
        self._stopping = True
        self._timer.wake()

    async def _end(self) -> None:
        """Drain, and close everything. A ledger that does not answer is given up."""
        deps, unsettled = self._deps, 0
        deps.systemd.stopping()
        self._timer.stop()
        self._watch.stop()
        try:
            async with asyncio.timeout(deps.drain_s + 2 * deps.stop_s):
                if (companion := self._reloader.companion) is not None:
                    await companion.close()
                unsettled = await self._sender.drain(deps.drain_s)
                await self._audit.close()
                await self._pages.close()
                if not self.outdated:
                    await self._status.retire()
        except TimeoutError:
            self._give_up_ledger("it has not answered while alertd was ending")
            unsettled = self._sender.unsettled
        self._monitor.stop()
        if not self.hung:
            # Saving a ledger whose file was taken away takes as long as that needs.
            self.displaced |= await self._file.conclude()
            try:
                await deps.ledger.close()
            except LedgerError as error:
                self._give_up_ledger(str(error))
        deps.log.info(Event.DAEMON_STOPPED, node=deps.node, unsettled=unsettled)

    def _give_up_ledger(self, reason: str) -> None:
        self.hung = True
        self._deps.log.critical(Event.LEDGER_HUNG, reason=reason)

    # -- one look: do the chores, then send what is due

    async def _look(self) -> datetime | None:
        """Do everything that is to be done now. Returns when the next thing is due, as :meth:`next_at`."""
        deps = self._deps
        self._monitor.compare()
        if self._is_well():
            deps.systemd.alive()
        await self._look_at_file()
        if self._backoff.left_s:
            return self._after(self._backoff.left_s)
        self._liveness.begin_look()
        try:
            await self._do_chores()
            next_at = self._next_at = await self.turn()
            # What was to be written is written, so the audit does not find that it cannot be.
            self._liveness.finish_look(next_at)
            self._liveness.begin_look()
            if Chore.AUDIT in self._timer.wanted:
                # The audit comes after the turn, so that it finds what fell due while the daemon was off
                # already looked at.
                await self._run_audit()
                self._timer.wanted.discard(Chore.AUDIT)
            await self._try(self._status.refresh(next_at), None)
        except SchemaTooNew as error:
            deps.log.critical(Event.LEDGER_UPGRADED, reason=str(error))
            self.outdated = True
            self.stop()
            return None
        except LedgerError as error:
            self._liveness.fail_look(str(error))
            self._backoff.fail(str(error))
            self._show_status()
            await self._audit_what_can_be_read()
            return self._after(self._backoff.left_s)
        self._liveness.finish_look(next_at)
        self._backoff.succeed()
        self._show_status()
        return next_at

    async def _audit_what_can_be_read(self) -> None:
        """Audit, if an audit is wanted, after the ledger has failed: often only writing fails."""
        if Chore.AUDIT not in self._timer.wanted:
            return
        self._liveness.begin_look()
        try:
            await self._run_audit()
            self._timer.wanted.discard(Chore.AUDIT)
        except LedgerError as error:
            self._liveness.fail_look(str(error))
            return
        self._liveness.give_up_look()

    async def turn(self) -> datetime | None:
        """Do all that can be done without waiting. Returns when the next thing is due, as :meth:`next_at`.

        Sends go on in the background. ``idle`` waits for them; call ``next_at`` again afterwards.
        """
        active = self._reloader.active
        await self._try(self._sender.settle(), None)
        now = self._looked_at = self._deps.clock.now()
        known = active.make_known(self._status.elsewhere, now)
        more = True
        while more:
            bound = await self._try(active.binder.bind(now, known), None)
            more = bound is not None and bound.more
            if bound is not None:
                log_bound(self._deps.log, bound)
                if bound.failed:
                    told = self._status.tell_undecidable(active.config, name_sets(bound.failed))
                    await self._try(told, None)
        await self._try(self._sender.start(active.dispatcher, known), None)
        return await self._try(self.next_at(now), now + DAMAGED_AGAIN)

    async def _give_way(self) -> None:
        """Let other tasks run, and send what is due, if a chore has worked for a while.

        A chore may take minutes, and a reminder must not be late because of it.
        """
        clock = self._deps.clock
        if clock.monotonic() - self._gave_way_s < GIVE_WAY_S:
            return
        await asyncio.sleep(0)
        is_due = self._next_at is not None and self._looked_at < self._next_at <= clock.now()
        if self._reloader.config is not None and (
            is_due or clock.monotonic() - self._turned_s >= TURN_AT_LEAST_S
        ):
            self._next_at = await self.turn()
            self._turned_s = clock.monotonic()
            # What was to be sent is sent, so the loop is not stuck, however long the chore takes.
            self._liveness.finish_look(self._next_at)
            self._liveness.begin_look()
        self._gave_way_s = clock.monotonic()

    async def next_at(self, now: datetime) -> datetime | None:
        """Return when (UTC) something may be due next. It may lie in the past. None: nothing waits."""
        shut, wait = self._sender.find_shut()
        # A delivery whose lease was lost may have to wait until a send in flight ends, which wakes the loop.
        next_at = await self._deps.ledger.find_next_wake(
            now,
            shut,
            lost=not self._sender.count,
            known=self._reloader.active.make_known(self._status.elsewhere, now),
        )
        if wait is None:
            return next_at
        return min(now + wait, next_at or now + wait)

    async def idle(self) -> None:
        """Wait until nothing is in flight, and settle it."""
        await self._sender.wait_finished()

    async def reload(self) -> bool:
        """Read the files again; see :meth:`alertd.engine.reload.Reloader.reload`."""
        return await self._reloader.reload()

    # -- the chores that wake the loop

    async def _do_chores(self) -> None:
        wanted = self._timer.wanted - {Chore.AUDIT}
        self._timer.wanted &= {Chore.AUDIT}
        led = self._lease.held
        try:
            if Chore.LEAD in wanted:
                if await self._clock.compare(self._deps.ledger):
                    wanted.add(Chore.CLOCK)
                if await self._try(self._lease.ask(), False):
                    wanted.add(Chore.TAKEOVER)
            if Chore.FILES in wanted:
                self._reloader.files.look()
                wanted |= self._timer.wanted & {Chore.RELOAD}
                self._timer.wanted.discard(Chore.RELOAD)
            await self._reloader.check_hang()
            if Chore.LEDGER in wanted:
                await self._follow_ledger()
            if Chore.REPORT in wanted and self._undone:
                wanted.add(Chore.RELOAD)
            if Chore.RELOAD in wanted:
                self._reloader.begin()
                wanted.discard(Chore.RELOAD)
            await self._plan(wanted)
            await self._keep_house(wanted)
        except LedgerError:
            self._timer.wanted |= wanted
            raise
        finally:
            if self._lease.held and not led:
                self._take_over()

    async def _follow_ledger(self) -> None:
        """Look at what others have written, and at rows that can or cannot be read any more."""
        await self._try(self._planner.follow_done_dates(), None)
        if await self._try(self._apart.have_changed(), False):
            # The audit names these rows, and has those written again that the files define.
            self._timer.wanted.add(Chore.AUDIT)

    async def _plan(self, wanted: set[Chore]) -> None:
        """Put the files that were read in force, or plan again by those that are."""
        again = wanted & {Chore.RECONCILE, Chore.TAKEOVER, Chore.CLOCK}
        if self._reloader.files.result is not None:
            self._undone = await self._try(self._reloader.finish(), None) is None
            if self._undone:
                # Pages that it needs are damaged. The files are read again when the daemon next reports.
                self._reloader.files.result = None
            again &= {Chore.CLOCK}
        if again:
            trust = Trust.RECENT
            if again != {Chore.RECONCILE}:
                trust = Trust.NOTHING if Chore.CLOCK in again else Trust.RECONCILED
            plan_again = self._planner.reconcile_again(reconsider=trust is not Trust.RECENT, trust=trust)
            await self._try(plan_again, None)

    async def _keep_house(self, wanted: set[Chore]) -> None:
        """Report, and delete what is old."""
        if Chore.FILE_NOTICE in wanted and self._file.loss is not None:
            await self._try(self._status.tell_displaced(self._reloader.config, self._file.loss), None)
        if Chore.REPORT in wanted:
            await self._try(self._status.report(self._reloader.config), None)
            await self._try(self._status.compare_nodes(), None)
            if self._planner.elsewhere - self._status.elsewhere:
                # A node that knew more receivers has ended, or reads other files now.
                self._timer.want(Chore.RECONCILE)
            if self._planner.unread:
                self._timer.want(Chore.RECONCILE)
        if Chore.PRUNE in wanted and self._lease.held:
            await self._try(self._prune(), None)

    def _take_over(self) -> None:
        """Have the web server try again to listen, perhaps where the previous leader did."""
        if (companion := self._reloader.companion) is not None:
            companion.findings()
        self._timer.want(Chore.AUDIT)

    async def _try(self, work: Awaitable[T], otherwise: T) -> T:
        """Return the result of ``work``, or ``otherwise`` if pages that it needs are damaged.

        So damaged pages stop only what needs them. The damage is a finding of the self-audit.
        """
        try:
            return await work
        except LedgerDamaged as error:
            self._pages.note(error)
            return otherwise

    async def _look_at_file(self) -> None:
        """Do the chores for the ledger's file. They are done also while the ledger fails."""
        wanted = self._timer.wanted
        if Chore.PAGES in wanted and self._file.loss is None:
            self._pages.begin()
        if Chore.FILE in wanted:
            before = [*self._file.findings()]
            await self._file.look()
            if [*self._file.findings()] != before:
                self._timer.want(Chore.AUDIT, Chore.FILE_NOTICE)
            if self._file.saved:
                self.displaced = True
                self.stop()
        wanted -= {Chore.FILE, Chore.PAGES}

    async def _prune(self) -> None:
        """Delete some old rows, and ask to be called again, so that due reminders do not wait for all."""
        keep = self._reloader.active.config.keep
        deleted = await self._deps.ledger.prune(self._deps.clock.now() - keep, PRUNE_LIMIT)
        if any(deleted.values()):
            self._deps.log.info(Event.LEDGER_PRUNED, **deleted)
            self._timer.want(Chore.PRUNE)

    async def _run_audit(self) -> None:
        active, now = self._reloader.active, self._deps.clock.now()
        config, before = active.config, self._audit.findings
        shut, _ = self._sender.find_shut()
        # Only the leader reconciles, so only the leader's plan is audited.
        plan = self._planner.definitions if self._lease.held else None
        new, released = await self._try(self._apart.look(config), ((), ()))
        is_planned = any(row.table in PLANNED_TABLES for row in (*new, *released))
        is_distrusted = is_planned and await self._planner.distrust()
        if new or is_distrusted:
            # The notice goes out now. Reconciling writes those rows again that the files define.
            self._timer.want(Chore.RECONCILE)
        if released:
            self._timer.wake()
        await self._audit.run(
            config,
            plan,
            self._planner.done,
            planned_at=self._planner.planned_at,
            shut=shut,
            open_findings=self._findings.gather(config),
            known=active.make_known(self._status.elsewhere, now),
        )
        if self._audit.missing and await self._planner.distrust(self._audit.missing):
            self._timer.want(Chore.RECONCILE)
        await self._try(self._tell_strays(config, now), None)
        if self._audit.findings != before:
            self._timer.want(Chore.REPORT)

    async def _read_timeline(self, timeline: Timeline) -> Timeline:
        return await self._reloader.files.read_timeline(timeline, self._give_way)

    async def _tell_strays(self, config: Config, now: datetime) -> None:
        """Tell the operator what waits for receivers that no live node has known for a while, once a day."""
        strays = self._audit.last.strays if self._audit.last else ()
        notices = tuple(
            notice
            for stray in strays
            if now - stray.since >= LEFT_ALONE_FOR
            for notice in report_unknown(config, stray.receiver, now)
        )
        if notices:
            await self._deps.ledger.apply(Changes(deliveries=notices))

    # -- what others see

    @property
    def definitions(self) -> Definitions | None:
        """The definitions in force, without those that were refused; None before :meth:`start`."""
        return self._planner.definitions

    @property
    def status(self) -> DaemonStatus:
        """The state of the daemon at this moment."""
        return DaemonStatus(
            leads=self._lease.held,
            is_well=self._is_well(),
            in_flight=self._sender.in_flight,
            paused=self._sender.paused,
            audit=self._audit.last,
            differences=self._status.differences,
            clock_ahead=self._clock.ahead,
            problems=self._status.all_problems,
            ledger_failing=self._backoff.is_failing,
            leader=self._lease.leader,
            current=self._findings.gather_current(),
            look_age_s=self._liveness.look_age_s,
            unreadable=self._apart.rows,
        )

    def _is_well(self) -> bool:
        """Return whether the audits are sound and recent, and the ledger has not failed for too long."""
        return self._audit.is_well() and self._liveness.failing_s < STALE_AFTER_S

    def _show_status(self) -> None:
        """Set the line for ``systemctl status``: what is wrong at this moment, else what comes next."""
        found = self._findings.gather_current()
        if found:
            self._deps.systemd.status("; ".join(finding.detail for finding in found))
        elif self._backoff.is_failing:
            self._deps.systemd.status(f"the ledger cannot be used: {self._backoff.failure}")
        else:
            self._deps.systemd.status(self._status.line)

    def _tell_current(self, found: tuple[AuditFinding, ...], has_changed: bool) -> None:
        """Tell systemd and the dead man's switch what is wrong at this moment. The loop may be stuck."""
        config = self._reloader.config
        if found and config is not None:
            self._audit.report_current(config, found, has_changed=has_changed)
        if found or has_changed:
            self._show_status()
        if has_changed:
            self._timer.want(Chore.AUDIT)

    def _on_clock_step(self) -> None:
        self._timer.restart()
        self._timer.want(Chore.LEAD)

    def _review_clock(self) -> None:
        if self._clock.trusted.review():
            self._timer.restart()
            self._timer.want(Chore.CLOCK)

    def _after(self, seconds: float) -> datetime:
        return self._deps.clock.now() + timedelta(seconds=seconds)

    @property
    def _longest_s(self) -> float:
        watchdog_s = self._deps.systemd.watchdog_s
        return min(LOOK_AGAIN_S, watchdog_s / 3) if watchdog_s else LOOK_AGAIN_S
