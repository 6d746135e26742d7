"""The only loop: wake, look, wait; signals, and the drain.

The ledger is the schedule. The timer wakes the loop at the next due instant and for the periodic chores;
no milestone has a timer. Whatever else happens, the loop looks again at the latest after half a minute by the
monotonic clock. So neither a stepped wall clock nor a suspended machine loses a reminder. The
ledger knows what was sent, so neither repeats one.

The parts are made in :meth:`Daemon.__init__`, each from those above it. A look does the chores
(:mod:`alertd.engine.chores`) and then makes a turn (:mod:`alertd.engine.turns`).
:mod:`alertd.engine.reload` and :mod:`alertd.engine.delivery` each show one way on one page: the way of a
reload, and the way of a delivery.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alertd import __version__
from alertd.core.config import Definitions, Timeline
from alertd.core.planning.audit import AuditFinding
from alertd.engine.backoff import Backoff
from alertd.engine.chores import (
    AUDIT_EVERY_S,
    FILE_EVERY_S,
    LEDGER_EVERY_S,
    PAGES_EVERY_S,
    PRUNE_EVERY_S,
    RECONCILE_EVERY_S,
    REPORT_EVERY_S,
    Chores,
)
from alertd.engine.clocks import ClockMonitor, LedgerClock
from alertd.engine.deps import Companion, Dependencies
from alertd.engine.findings import Findings
from alertd.engine.first_read import FirstRead
from alertd.engine.leader import LeaderLease
from alertd.engine.ledger_watch import FileWatch, PageCheck
from alertd.engine.links import LinkMaker
from alertd.engine.liveness import Liveness, Watch
from alertd.engine.loop_lag import LoopLag
from alertd.engine.planner import Planner
from alertd.engine.reload import Reloader, ReloadRequests
from alertd.engine.rows_apart import RowsApart
from alertd.engine.self_audit import STALE_AFTER_S, SelfAudit
from alertd.engine.sender import Sender
from alertd.engine.status import DaemonStatus, StatusReporter
from alertd.engine.timer import LOOK_AGAIN_S, Chore, Timer
from alertd.engine.turns import Turns
from alertd.errors import LedgerDamaged, LedgerError, SchemaTooNew
from alertd.system.event_loop import name_running_loop
from alertd.system.telemetry import Event


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
        self._lag = LoopLag(deps.clock, deps.observer)
        self._monitor = ClockMonitor(
            deps.clock,
            deps.log,
            deps.asleep,
            on_step=self._on_clock_step,
            on_compared=self._review_clock,
            on_woken=self._lag.note,
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
            limits=deps.limits,
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
            read_beside=self._read_beside,
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
        self._first_read = FirstRead(deps, self._reloader.files, self._status, self._pages)
        self._backoff = Backoff(deps.clock, deps.log)
        self._liveness = Liveness(deps.clock)
        self._watch = Watch(
            deps.clock,
            find=lambda: (*self._liveness.findings(), *self._lag.findings()),
            has_stalled=self._monitor.has_stalled_since,
            tell=self._tell_current,
        )
        self._file = FileWatch(deps)
        self._findings = Findings(
            deps=deps,
            apart=self._apart,
            clock=self._clock,
            file=self._file,
            lag=self._lag,
            links=self._links,
            liveness=self._liveness,
            pages=self._pages,
            planner=self._planner,
            reloader=self._reloader,
            sender=self._sender,
            status=self._status,
        )
        self._turns = Turns(
            deps,
            reloader=self._reloader,
            sender=self._sender,
            status=self._status,
            pages=self._pages,
            liveness=self._liveness,
            timer=self._timer,
        )
        self._chores = Chores(
            deps=deps,
            apart=self._apart,
            auditor=self._audit,
            clock=self._clock,
            file=self._file,
            findings=self._findings,
            lease=self._lease,
            pages=self._pages,
            planner=self._planner,
            reloader=self._reloader,
            sender=self._sender,
            status=self._status,
            timer=self._timer,
            turns=self._turns,
        )
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
        self._deps.log.info(
            Event.DAEMON_STARTED, version=__version__, node=self._deps.node, loop=name_running_loop()
        )
        self._deps.know(await self._pages.attempt(self._deps.ledger.read_fingerprints(), ()))
        seen_at = [report.seen_at for report in await self._pages.attempt(self._deps.ledger.read_nodes(), ())]
        self._clock.trusted.begin(max(seen_at, default=None))
        await self._clock.compare(self._deps.ledger)
        self._turns.looked_at = self._deps.clock.now()
        if (known := await self._first_read.read_config()) is not None:
            # Until this node can send, another one does.
            next_at = await self._pages.attempt(self._deps.ledger.find_next_wake(self._clock.now()), None)
            if (preparing := self._turns.prepare(known, next_at)) is not None:
                await preparing
            self._reloader.send_by(known)
            self._turns.next_at = self._turns.looked_at
            definitions, config = await self._turns.run_beside(self._first_read.read())
        else:
            definitions, config = await self._first_read.read()
        try:
            await self._reloader.adopt(definitions, config)
        except LedgerDamaged as error:
            # What is owed already is sent where its pages are sound. Planning is tried again later.
            self._pages.note(error)
            self._reloader.adopt_unplanned(definitions, config)
            self._chores.undone = True
        self._deps.ledger.listen(lambda: self._timer.want(Chore.LEDGER))

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
            await self._timer.wait(next_at, self._turns.looked_at, self._longest_s)
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
        self._lag.stop()
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
        """Do everything that is to be done now. Returns when the next thing is due, as :meth:`next_at`.

        After chores that have found nothing, no turn is made: nothing can have become due meanwhile.
        """
        deps = self._deps
        is_called, self._timer.is_called = self._timer.is_called, False
        self._monitor.compare()
        if self._is_well():
            deps.systemd.alive()
        if await self._chores.look_at_file():
            self.displaced = True
            self.stop()
        if self._backoff.left_s:
            return self._after(self._backoff.left_s)
        self._liveness.begin_look()
        try:
            may_be_due = await self._chores.do()
            if not (may_be_due or is_called or self._is_turn_needed()):
                self._liveness.finish_look(self._turns.next_at)
                return self._turns.next_at
            next_at = self._turns.next_at = await self.turn()
            self._chores.has_turned = True
            # What was to be written is written, so the audit does not find that it cannot be.
            self._liveness.finish_look(next_at)
            self._liveness.begin_look()
            if Chore.AUDIT in self._timer.wanted:
                # The audit comes after the turn, so that it finds what fell due while the daemon was off
                # already looked at.
                await self._turns.run_beside(self._chores.audit())
                self._timer.wanted.discard(Chore.AUDIT)
            await self._pages.attempt(self._status.refresh(next_at), None)
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

    def _is_turn_needed(self) -> bool:
        is_wanted = self._timer.is_called or Chore.AUDIT in self._timer.wanted
        return is_wanted or self._backoff.is_failing or self._turns.is_needed()

    async def _audit_what_can_be_read(self) -> None:
        """Audit, if an audit is wanted, after the ledger has failed: often only writing fails."""
        if Chore.AUDIT not in self._timer.wanted:
            return
        self._liveness.begin_look()
        try:
            await self._chores.audit()
            self._timer.wanted.discard(Chore.AUDIT)
        except LedgerError as error:
            self._liveness.fail_look(str(error))
            return
        self._liveness.give_up_look()

    async def turn(self) -> datetime | None:
        """Do all that can be done without waiting. Returns when the next thing is due, as :meth:`next_at`.

        Sends go on in the background. ``idle`` waits for them; call ``next_at`` again afterwards.
        """
        return await self._turns.turn()

    async def _give_way(self) -> None:
        # The planner is made before the turns, which need the planner. So is the method below.
        await self._turns.give_way()

    async def _read_beside(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await self._turns.read_beside(work)

    async def next_at(self, now: datetime) -> datetime | None:
        """Return when (UTC) something may be due next. It may lie in the past. None: nothing waits."""
        return await self._turns.find_next(now)

    async def idle(self) -> None:
        """Wait until nothing is in flight, and settle it."""
        await self._sender.wait_finished()

    async def reload(self) -> bool:
        """Read the files again; see :meth:`alertd.engine.reload.Reloader.reload`."""
        return await self._reloader.reload()

    async def _read_timeline(self, timeline: Timeline) -> Timeline:
        return await self._reloader.files.read_timeline(timeline, self._give_way)

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
            leased_ahead=self._sender.leased_ahead,
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
