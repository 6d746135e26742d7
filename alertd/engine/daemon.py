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
from dataclasses import replace
from datetime import datetime, timedelta

from alertd import __version__
from alertd.core.config import Config, Definitions
from alertd.core.planning.audit import (
    AuditFinding,
    find_unreached,
    report_clock_difference,
    report_unsigned,
    report_vanished,
)
from alertd.engine.clocks import ClockMonitor, LedgerClock
from alertd.engine.deps import Companion, Dependencies
from alertd.engine.known import LEFT_ALONE_FOR
from alertd.engine.leader import LeaderLease
from alertd.engine.links import LinkMaker
from alertd.engine.notices import report_unknown
from alertd.engine.observer import log_bound
from alertd.engine.planner import Planner
from alertd.engine.prune import LIMIT as PRUNE_LIMIT
from alertd.engine.reload import Reloader, ReloadRequests
from alertd.engine.self_audit import SelfAudit
from alertd.engine.sender import Sender
from alertd.engine.status import DaemonStatus, StatusReporter
from alertd.engine.timer import LOOK_AGAIN_S, Chore, Timer
from alertd.errors import DefinitionsError, LedgerError, SchemaTooNew
from alertd.ports import Changes, Clock
from alertd.system.telemetry import Event, Log

LEDGER_EVERY_S = 1
REPORT_EVERY_S = 60
RECONCILE_EVERY_S = 6 * 3600
AUDIT_EVERY_S = 60
PRUNE_EVERY_S = 24 * 3600

LONGEST_BACKOFF_S = 30.0


class Daemon:
    """One node. Call ``start`` once, then either ``run``, or ``turn`` and ``idle`` by hand, as the demo does.

    Attributes:
        requests: where a reload is asked for.
        outdated: the daemon has ended because a newer alertd has migrated the ledger.
    """

    def __init__(self, deps: Dependencies) -> None:
        self._clock = LedgerClock(deps.clock, deps.log, deps.asleep)
        self._monitor = ClockMonitor(deps.clock, deps.log, deps.asleep, on_step=self._on_clock_step)
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
        self._audit = SelfAudit(deps)
        self._status = StatusReporter(deps, self._sender, self._audit)
        self._planner = Planner(deps, self._lease, self._status)
        self.requests = ReloadRequests(lambda: self._timer.want(Chore.RELOAD))
        self._reloader = Reloader(
            deps, planner=self._planner, sender=self._sender, status=self._status, requests=self.requests
        )
        self._backoff = Backoff(deps.clock, deps.log)
        self._looked_at = deps.clock.now()
        self._stopping = False
        self.outdated = False

    def attach(self, companion: Companion) -> None:
        """Run this beside the daemon. Call it before :meth:`start`.

        The companion follows the configuration in force, its faults are findings of the self-audit, and it is
        closed before the ledger.
        """
        self._reloader.companion = companion

    # -- its life

    async def start(self) -> None:
        """Load, reconcile, and stand ready.

        Raises:
            DefinitionsError: ``alertd.yaml`` has a problem, or has no content although the ledger has
                timelines, so there is no configuration to run with.
            LedgerError: the ledger cannot be used.
        """
        self._deps.log.info(Event.DAEMON_STARTED, version=__version__, node=self._deps.node)
        definitions = self._reloader.files.read()
        if definitions.unconfigured is not None and await self._deps.ledger.read_timelines():
            definitions = definitions.require_config()
        if definitions.config is None:
            raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
        await self._clock.compare(self._deps.ledger)
        await self._reloader.adopt(definitions, definitions.config)
        self._deps.ledger.listen(lambda: self._timer.want(Chore.LEDGER))

    async def run(self) -> None:
        """Loop until SIGTERM or SIGINT, then drain."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._timer.want, Chore.RELOAD)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._timer.start()
        self._timer.want(Chore.AUDIT)
        self._monitor.start()
        try:
            next_at = await self._look()
            self._deps.systemd.ready(self._status.line)
            self._deps.log.info(Event.DAEMON_READY, status=self._status.line)
            while not self._stopping:
                await self._timer.wait(next_at, self._looked_at, self._longest_s)
                next_at = await self._look()
        except Exception as error:
            self._deps.log.critical(Event.DAEMON_FAILED, exc_info=error)
            raise
        finally:
            await self._end()
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """End the loop after what it is doing now."""
        self._stopping = True
        self._timer.wake()

    async def _end(self) -> None:
        self._deps.systemd.stopping()
        self._timer.stop()
        if (companion := self._reloader.companion) is not None:
            await companion.close()
        unsettled = await self._sender.drain(self._deps.drain_s)
        self._monitor.stop()
        await self._audit.close()
        if not self.outdated:
            await self._status.retire()
        await self._deps.ledger.close()
        self._deps.log.info(Event.DAEMON_STOPPED, node=self._deps.node, unsettled=unsettled)

    # -- one look: do the chores, then send what is due

    async def _look(self) -> datetime | None:
        """Do everything that is to be done now. Returns when the next thing is due, as :meth:`next_at`."""
        deps = self._deps
        self._monitor.compare()
        if self._audit.is_well():
            deps.systemd.alive()
        if self._backoff.left_s:
            return self._after(self._backoff.left_s)
        try:
            await self._do_chores()
            next_at = await self.turn()
            if Chore.AUDIT in self._timer.wanted:
                # The audit comes after the turn, so that it finds what fell due while the daemon was off
                # already looked at.
                await self._run_audit()
                self._timer.wanted.discard(Chore.AUDIT)
            await self._status.refresh(next_at)
        except SchemaTooNew as error:
            deps.log.critical(Event.LEDGER_UPGRADED, reason=str(error))
            self.outdated = True
            self.stop()
            return None
        except LedgerError as error:
            self._backoff.fail(str(error))
            deps.systemd.status(f"the ledger cannot be used: {error}")
            return self._after(self._backoff.left_s)
        self._backoff.succeed()
        deps.systemd.status(self._status.line)
        return next_at

    async def turn(self) -> datetime | None:
        """Do all that can be done without waiting. Returns when the next thing is due, as :meth:`next_at`.

        Sends go on in the background. ``idle`` waits for them; call ``next_at`` again afterwards.
        """
        active = self._reloader.active
        await self._sender.settle()
        now = self._looked_at = self._deps.clock.now()
        known = active.make_known(self._status.elsewhere, now)
        more = True
        while more:
            bound = await active.binder.bind(now, known)
            more = bound.more
            log_bound(self._deps.log, bound)
        await self._sender.start(active.dispatcher, known)
        return await self.next_at(now)

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
        try:
            if Chore.LEAD in wanted:
                await self._clock.compare(self._deps.ledger)
                if await self._lease.ask():
                    wanted.add(Chore.TAKEOVER)
            if Chore.FILES in wanted and self._reloader.files.have_settled():
                wanted.add(Chore.RELOAD)
            if Chore.LEDGER in wanted and await self._planner.has_changed_done_dates():
                wanted.add(Chore.RECONCILE)
            if Chore.RELOAD in wanted:
                await self._reloader.reload()
            elif wanted & {Chore.RECONCILE, Chore.TAKEOVER}:
                await self._planner.reconcile_again(reconsider=Chore.TAKEOVER in wanted)
            if Chore.REPORT in wanted:
                await self._status.report(self._reloader.config)
                await self._status.compare_nodes()
            if Chore.PRUNE in wanted and self._lease.held:
                await self._prune()
        except LedgerError:
            self._timer.wanted |= wanted
            raise

    async def _prune(self) -> None:
        """Delete some old rows, and ask to be called again, so that due reminders do not wait for all."""
        keep = self._reloader.active.config.keep
        deleted = await self._deps.ledger.prune(self._deps.clock.now() - keep, PRUNE_LIMIT)
        if any(deleted.values()):
            self._deps.log.info(Event.LEDGER_PRUNED, **deleted)
            self._timer.want(Chore.PRUNE)

    async def _run_audit(self) -> None:
        active, now = self._reloader.active, self._deps.clock.now()
        config = active.config
        shut, _ = self._sender.find_shut()
        # Only the leader reconciles, so only the leader's plan is audited.
        plan = self._planner.definitions if self._lease.held else None
        await self._audit.run(
            config,
            plan,
            self._planner.done,
            planned_at=self._planner.planned_at,
            shut=shut,
            open_findings=self._gather_findings(config),
            known=active.make_known(self._status.elsewhere, now),
        )
        await self._tell_strays(config, now)

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

    def _gather_findings(self, config: Config) -> list[AuditFinding]:
        """Gather what other parts find wrong at the moment."""
        companion = self._reloader.companion
        found = [*companion.findings()] if companion is not None else []
        if self._status.kept:
            found.append(report_vanished(self._status.kept))
        if self._clock.differs:
            found.append(report_clock_difference(self._clock.ahead))
        if unanswered := find_unreached(config, self._sender.paused):
            found.append(unanswered)
        # The links are made anew, so that the finding is there before a message goes out without them.
        self._links.make(config)
        if self._links.failure:
            found.append(report_unsigned(self._links.failure))
        return found

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
            is_well=self._audit.is_well(),
            in_flight=self._sender.in_flight,
            paused=self._sender.paused,
            audit=self._audit.last,
            differences=self._status.differences,
            clock_ahead=self._clock.ahead,
            problems=self._status.all_problems,
            ledger_failing=self._backoff.is_failing,
        )

    def _on_clock_step(self) -> None:
        self._timer.restart()
        self._timer.want(Chore.LEAD)

    def _after(self, seconds: float) -> datetime:
        return self._deps.clock.now() + timedelta(seconds=seconds)

    @property
    def _longest_s(self) -> float:
        watchdog_s = self._deps.systemd.watchdog_s
        return min(LOOK_AGAIN_S, watchdog_s / 3) if watchdog_s else LOOK_AGAIN_S


class Backoff:
    """Says when to try a failing ledger again: after 1 s, 2 s, 4 s and so on, on the monotonic clock."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._failure = ""
        self._pause_s = 0.0
        self._until_s = 0.0

    @property
    def left_s(self) -> float:
        """Seconds until the next try; 0 when it may be now."""
        return max(0.0, self._until_s - self._clock.monotonic())

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return self._pause_s > 0

    def fail(self, failure: str) -> None:
        """Record a try that failed. The same failure again is logged as debug."""
        self._pause_s = min(max(1.0, self._pause_s * 2), LONGEST_BACKOFF_S)
        self._until_s = self._clock.monotonic() + self._pause_s
        log = self._log.debug if failure == self._failure else self._log.error
        log(Event.LEDGER_FAILED, reason=failure, again_in_s=self._pause_s)
        self._failure = failure

    def succeed(self) -> None:
        """Record a try that worked."""
        if self._pause_s:
            self._pause_s, self._failure = 0.0, ""
            self._log.info(Event.LEDGER_RECOVERED)
