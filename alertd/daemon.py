"""The only loop and the only waiting: wake, reconcile, bind, send, settle; signals, and the drain.

The ledger is the schedule. APScheduler wakes the loop at the next due instant and asks for the
periodic chores; no milestone is one of its jobs. Whatever it does or misses, the loop looks again
by itself after :data:`LOOK_AGAIN_S`, counted on the monotonic clock: so neither a stepped wall
clock nor a suspended machine loses anything, and since what was sent stands in the ledger, neither
repeats anything.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Hashable, Mapping
from datetime import date, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from alertd import __version__
from alertd.core.config import Config, Definitions
from alertd.dispatch import Dispatcher
from alertd.errors import DefinitionsError, LeadLost, LedgerError, SchemaTooNew
from alertd.flights import Flights
from alertd.herald import Herald
from alertd.journal import log_bound, log_loaded, log_report
from alertd.lead import Lead
from alertd.reconcile import Report, reconcile
from alertd.telemetry import Event
from alertd.watch import Watch
from alertd.world import World

LOOK_AGAIN_S = 30.0
LEDGER_EVERY_S = 1
REPORT_EVERY_S = 60
RECONCILE_EVERY_S = 6 * 3600
AUDIT_EVERY_S = 60
STEP = timedelta(seconds=2)
"""Wall and monotonic clock that differ by more than this between two looks: the clock was stepped."""

SOON = timedelta(milliseconds=200)
"""When to look again at what is ready and could not be taken: another node is binding it, or all places
of its channel are taken."""

LONGEST_PAUSE_S = 30.0
"""A ledger that cannot be used is tried again after 1 s, 2 s, 4 s, and so on up to this."""


class Daemon:
    """One node. ``start`` once, then either ``run``, or ``turn`` and ``idle`` by hand (the demo).

    Attributes:
        outgrown: it has ended because a newer alertd has migrated the ledger.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._wake = asyncio.Event()
        self._wanted: set[str] = set()
        self._stopping = False
        self._flights = Flights(world.ledger, world.clock, world.log, on_landed=self._wake.set)
        self._lead = Lead(
            ledger=world.ledger,
            clock=world.clock,
            log=world.log,
            node=world.node,
            for_=world.lead_for,
            is_gone=world.is_gone,
        )
        self._herald = Herald(world, self._flights)
        self._watch = Watch(world)
        self.outgrown = False
        self._definitions: Definitions | None = None
        self._done: Mapping[str, date] = {}
        self._dispatcher: Dispatcher | None = None
        self._files: Hashable = None
        self._unsettled_files: Hashable = None
        self._ledger_version = ""
        self._said = ""
        self._failure = ""
        self._pause_s = 0.0
        self._paused_until_s = 0.0
        self._looked_at = self._in_line_at = world.clock.now()
        self._last_clocks = (world.clock.now(), world.clock.monotonic())

    # -- life

    async def start(self) -> None:
        """Load, reconcile, and stand ready.

        Raises:
            DefinitionsError: ``alertd.yaml`` itself has a problem: there is nothing to run on.
            LedgerError: the ledger cannot be used.
        """
        self._world.log.info(Event.DAEMON_STARTED, version=__version__, node=self._world.node)
        self._files = self._unsettled_files = self._world.signature()
        definitions = self._world.load()
        if definitions.config is None:
            raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
        await self._adopt(definitions, definitions.config)
        self._world.ledger.listen(lambda: self._want("ledger"))

    async def run(self) -> None:
        """Loop until SIGTERM or SIGINT, then drain."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._want, "reload")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True}
        )
        self._schedule_chores(scheduler)
        scheduler.start()
        self._wanted.add("audit")
        try:
            next_at = await self._look(scheduler)
            self._world.systemd.ready(self._said)
            self._world.log.info(Event.DAEMON_READY, status=self._said)
            while not self._stopping:
                await self._wait(scheduler, next_at)
                next_at = await self._look(scheduler)
        except Exception as error:
            self._world.log.critical(Event.DAEMON_FAILED, exc_info=error)
            raise
        finally:
            self._world.systemd.stopping()
            scheduler.shutdown(wait=False)
            unsettled = await self._flights.drain(self._world.drain_s)
            await self._watch.close()
            if not self.outgrown:
                await self._herald.retire()
            await self._world.ledger.close()
            self._world.log.info(Event.DAEMON_STOPPED, node=self._world.node, unsettled=unsettled)
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """End the loop after what it is doing now."""
        self._stopping = True
        self._wake.set()

    # -- one turn

    async def turn(self) -> datetime | None:
        """Do all that can be done without waiting; the instant at which there is something next.

        Sends go on in the background. ``idle`` waits for them; ask ``next_at`` again after it.
        """
        dispatcher = self._ready_dispatcher()
        await self._flights.settle()
        now = self._looked_at = self._world.clock.now()
        more = True
        while more:
            bound = await dispatcher.bind(now)
            more = bound.more
            log_bound(self._world.log, bound)
        await self._flights.take_off(dispatcher)
        return await self.next_at(now)

    async def next_at(self, now: datetime) -> datetime | None:
        """The instant at which something may be to do next; it may lie in the past. None: nothing waits."""
        shut, wait = self._flights.shut()
        next_at = await self._world.ledger.next_wake(now, shut)
        if wait is None:
            return next_at
        return min(now + wait, next_at or now + wait)

    async def idle(self) -> None:
        """Wait until nothing is in flight, and settle it."""
        await self._flights.all_landed()

    async def reload(self) -> bool:
        """Read the files again. False: refused, everything goes on as before.

        Raises:
            LedgerError: the ledger cannot be used; to be called again.
        """
        world = self._world
        world.systemd.reloading(world.clock.monotonic())
        self._files = self._unsettled_files = world.signature()
        try:
            definitions = world.load()
            if definitions.config is None:
                await self._refuse(tuple(str(problem) for problem in definitions.problems))
                return False
            await self._adopt(definitions, definitions.config)
        except LedgerError:
            raise
        except Exception as error:  # a bug that some file brings to light must not end what runs
            world.log.error(Event.CONFIG_REFUSED, exc_info=error)
            await self._refuse((f"the files could not be read: {type(error).__name__}: {error}",))
            return False
        finally:
            world.systemd.ready(self._said)
        return True

    async def _refuse(self, problems: tuple[str, ...]) -> None:
        for problem in problems:
            self._world.log.error(Event.CONFIG_REFUSED, problem=problem)
        self._herald.problems = problems
        config = self._dispatcher.config if self._dispatcher else None
        await self._herald.tell_problems(config, "The configuration was refused; the one before it goes on")
        await self._report()

    async def _adopt(self, definitions: Definitions, config: Config) -> None:
        world = self._world
        broken = self._definitions.broken if self._definitions else frozenset[str]()
        for problem in definitions.problems:
            world.log.error(Event.FILE_REFUSED, file=problem.file, problem=str(problem))
        for file in sorted(broken - definitions.broken):
            world.log.info(Event.FILE_MENDED, file=file)
        self._done = await world.ledger.done_dates()
        old = self._dispatcher
        is_new = old is None or old.config != config
        await self._lead.ask()
        report = await self._in_line(definitions, reconsider=is_new)
        if is_new:
            self._dispatcher = Dispatcher(
                ledger=world.ledger,
                clock=world.clock,
                config=config,
                notifiers=world.build(config),
                owner=world.node,
                on_fault=self._notifier_failed,
            )
            self._flights.use(self._dispatcher.notifiers, self._dispatcher.rates())
        self._herald.problems = tuple(str(problem) for problem in definitions.problems)
        if definitions.broken - broken:
            await self._herald.tell_problems(
                config, "A definition file was refused; what it said before stays"
            )
        self._definitions = definitions
        log_report(world.log, report)
        log_loaded(world.log, definitions)
        await self._report()

    # -- the loop's pieces

    async def _look(self, scheduler: AsyncIOScheduler) -> datetime | None:
        world = self._world
        self._notice_step(scheduler)
        if self._watch.is_well():
            world.systemd.alive()
        if world.clock.monotonic() < self._paused_until_s:
            return self._pause_ends()
        try:
            await self._chores()
            next_at = await self.turn()
            if "audit" in self._wanted:
                # After the turn: what fell due while nobody was there has been looked at now.
                await self._audit()
                self._wanted.discard("audit")
            self._said = await self._herald.status(next_at)
        except SchemaTooNew as error:
            world.log.critical(Event.LEDGER_OUTGROWN, reason=str(error))
            self.outgrown = True
            self.stop()
            return None
        except LedgerError as error:
            return self._pause(str(error))
        if self._pause_s:
            self._pause_s, self._failure = 0.0, ""
            world.log.info(Event.LEDGER_RECOVERED)
        world.systemd.status(self._said)
        return next_at

    def _pause(self, failure: str) -> datetime:
        world = self._world
        self._pause_s = min(max(1.0, self._pause_s * 2), LONGEST_PAUSE_S)
        self._paused_until_s = world.clock.monotonic() + self._pause_s
        say = world.log.debug if failure == self._failure else world.log.error
        say(Event.LEDGER_FAILED, reason=failure, again_in_s=self._pause_s)
        self._failure = failure
        world.systemd.status(f"the ledger cannot be used: {failure}")
        return self._pause_ends()

    def _pause_ends(self) -> datetime:
        left = max(0.0, self._paused_until_s - self._world.clock.monotonic())
        return self._world.clock.now() + timedelta(seconds=left)

    async def _wait(self, scheduler: AsyncIOScheduler, next_at: datetime | None) -> None:
        now = self._world.clock.now()
        if next_at is not None:
            # What fell due while it was being looked at is taken at once.
            soonest = now + SOON if next_at <= self._looked_at else now
            scheduler.add_job(
                self._ring, "date", run_date=max(next_at, soonest), id="wake", replace_existing=True
            )
        longest = LOOK_AGAIN_S
        if self._world.systemd.watchdog_s:
            longest = min(longest, self._world.systemd.watchdog_s / 3)
        try:
            async with asyncio.timeout(longest):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _schedule_chores(self, scheduler: AsyncIOScheduler) -> None:
        for name, seconds in (
            ("files", self._world.files_every_s),
            ("ledger", LEDGER_EVERY_S),
            ("report", REPORT_EVERY_S),
            ("lead", self._lead.every_s),
            ("reconcile", RECONCILE_EVERY_S),
            ("audit", AUDIT_EVERY_S),
        ):
            scheduler.add_job(
                self._ring, "interval", args=[name], seconds=seconds, id=name, replace_existing=True
            )

    async def _ring(self, chore: str = "") -> None:
        # A coroutine: APScheduler runs everything else in a thread, and none of this is made for threads.
        if chore:
            self._wanted.add(chore)
        self._wake.set()

    def _want(self, chore: str) -> None:
        self._wanted.add(chore)
        self._wake.set()

    async def _chores(self) -> None:
        wanted, self._wanted = self._wanted - {"audit"}, self._wanted & {"audit"}
        try:
            if "lead" in wanted and await self._lead.ask():
                wanted.add("takeover")
            if "files" in wanted and self._files_settled():
                wanted.add("reload")
            if "ledger" in wanted and await self._others_did():
                wanted.add("reconcile")
            if "reload" in wanted:
                await self.reload()
            elif wanted & {"reconcile", "takeover"}:
                await self._reconcile(reconsider="takeover" in wanted)
            if "report" in wanted:
                await self._report()
                await self._herald.compare()
        except LedgerError:
            self._wanted |= wanted
            raise

    async def _reconcile(self, *, reconsider: bool) -> None:
        """With the files as they were read last: relative deadlines, the horizon and tzdata move on alone."""
        if self._definitions is not None:
            self._done = await self._world.ledger.done_dates()
            log_report(self._world.log, await self._in_line(self._definitions, reconsider=reconsider))

    async def _in_line(self, definitions: Definitions, *, reconsider: bool) -> Report:
        """Reconcile, when this node has the lead. Who has it does the same with the same files."""
        world = self._world
        try:
            if self._lead.held:
                now = world.clock.now()
                report = await reconcile(
                    world.ledger, definitions, now, reconsider=reconsider, term=self._lead.term
                )
                self._in_line_at = now
                return report
        except LeadLost:
            self._lead.lose()
        return Report()

    async def _audit(self) -> None:
        config = self._ready_dispatcher().config
        shut, _ = self._flights.shut()
        # Who does not lead has brought nothing in line, and has no plan to answer for.
        plan = self._definitions if self._lead.held else None
        planned_at = self._in_line_at if self._lead.held else self._world.clock.now()
        await self._watch.look(config, plan, self._done, planned_at=planned_at, shut=shut)

    def _files_settled(self) -> bool:
        """Whether the files have changed, and have stopped changing: a half-written one is not read."""
        signature = self._world.signature()
        settled = signature == self._unsettled_files and signature != self._files
        self._unsettled_files = signature
        return settled

    async def _others_did(self) -> bool:
        """Whether another process has written what the plan depends on: what is done."""
        version = await self._world.ledger.version()
        if version == self._ledger_version:
            return False
        changed = await self._world.ledger.done_dates() != self._done
        self._ledger_version = version
        return changed

    def _notice_step(self, scheduler: AsyncIOScheduler) -> None:
        wall, monotonic = self._world.clock.now(), self._world.clock.monotonic()
        step = (wall - self._last_clocks[0]) - timedelta(seconds=monotonic - self._last_clocks[1])
        self._last_clocks = (wall, monotonic)
        if abs(step) > STEP:
            self._world.log.warning(Event.CLOCK_STEPPED, by_s=round(step.total_seconds(), 1))
            # Its timers were set for the old wall clock.
            self._schedule_chores(scheduler)

    def _ready_dispatcher(self) -> Dispatcher:
        if self._dispatcher is None:
            raise RuntimeError("start() comes first")
        return self._dispatcher

    async def _report(self) -> None:
        config = self._dispatcher.config if self._dispatcher else None
        digest = self._definitions.digest if self._definitions else ""
        await self._herald.report(config, digest, self._watch.findings)

    def _notifier_failed(self, channel: str, error: Exception) -> None:
        self._world.log.error(Event.NOTIFIER_FAILED, channel=channel, exc_info=error)
