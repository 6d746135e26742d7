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
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from alertd import __version__
from alertd.core.config import Config, Definitions
from alertd.core.ledger import Notice
from alertd.dispatch import Dispatcher, notices
from alertd.errors import DefinitionsError, LedgerError
from alertd.flights import Flights
from alertd.journal import log_bound, log_report
from alertd.ports import Changes, Clock, Ledger, NodeReport, Notifier
from alertd.reconcile import reconcile
from alertd.systemd import Systemd
from alertd.telemetry import Event, Log

LOOK_AGAIN_S = 30.0
FILES_EVERY_S = 2
LEDGER_EVERY_S = 1
REPORT_EVERY_S = 60
RECONCILE_EVERY_S = 6 * 3600
STEP = timedelta(seconds=2)
"""Wall and monotonic clock that differ by more than this between two looks: the clock was stepped."""

LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the daemon is given.

    Attributes:
        load: reads the definition files.
        signature: changes whenever a definition file does; cheap, asked every two seconds.
        build: the notifiers of a configuration, by channel.
        drain_s: how long to wait for sends in flight when told to stop.
    """

    ledger: Ledger
    clock: Clock
    log: Log
    load: Callable[[], Definitions]
    signature: Callable[[], Hashable]
    build: Callable[[Config], Mapping[str, Notifier]]
    node: str
    systemd: Systemd = field(default_factory=Systemd)
    drain_s: float = 20.0


class Daemon:
    """One node. ``start`` once, then either ``run``, or ``turn`` and ``idle`` by hand (the demo)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._wake = asyncio.Event()
        self._wanted: set[str] = set()
        self._stopping = False
        self._flights = Flights(world.ledger, world.clock, world.log, on_landed=self._wake.set)
        self._broken: frozenset[str] = frozenset()
        self._problems: tuple[str, ...] = ()
        self._dispatcher: Dispatcher | None = None
        self._config_id = ""
        self._files: Hashable = None
        self._unsettled_files: Hashable = None
        self._ledger_version = ""
        self._pause_s = 0.0
        self._started_at = world.clock.now()
        self._last_look = (world.clock.now(), world.clock.monotonic())

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

    async def run(self) -> None:
        """Loop until SIGTERM or SIGINT, then drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._want, "reload")
        scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True}
        )
        self._schedule_chores(scheduler)
        scheduler.start()
        try:
            next_at = await self._look(scheduler)
            self._world.systemd.ready(await self._status(next_at))
            await self._say_ready(next_at)
            while not self._stopping:
                await self._wait(scheduler, next_at)
                next_at = await self._look(scheduler)
        finally:
            self._world.systemd.stopping()
            scheduler.shutdown(wait=False)
            unsettled = await self._flights.drain(self._world.drain_s)
            await self._world.ledger.close()
            self._world.log.info(Event.DAEMON_STOPPED, node=self._world.node, unsettled=unsettled)

    def stop(self) -> None:
        """End the loop after what it is doing now."""
        self._stopping = True
        self._wake.set()

    # -- one turn

    async def turn(self) -> datetime | None:
        """Do all that can be done without waiting; the instant at which there is something next.

        Sends go on in the background. ``idle`` waits for them.
        """
        dispatcher = self._ready_dispatcher()
        await self._flights.settle()
        now = self._world.clock.now()
        more = True
        while more:
            bound = await dispatcher.bind(now)
            more = bound.more
            log_bound(self._world.log, bound)
        await self._flights.take_off(dispatcher, now)
        return await self._world.ledger.next_wake(now)

    async def idle(self) -> None:
        """Wait until nothing is in flight, and settle it."""
        await self._flights.all_landed()

    async def reload(self) -> bool:
        """Read the files again. False: refused, everything goes on as before."""
        self._world.systemd.reloading(self._world.clock.monotonic())
        self._files = self._unsettled_files = self._world.signature()
        definitions = self._world.load()
        if definitions.config is None:
            self._problems = tuple(str(problem) for problem in definitions.problems)
            for problem in self._problems:
                self._world.log.error(Event.CONFIG_REFUSED, problem=problem)
            await self._tell_problems(definitions, "The configuration was refused; the one before it goes on")
            await self._report()
            return False
        await self._adopt(definitions, definitions.config)
        return True

    async def _adopt(self, definitions: Definitions, config: Config) -> None:
        world, now = self._world, self._world.clock.now()
        self._problems = tuple(str(problem) for problem in definitions.problems)
        for problem in definitions.problems:
            world.log.error(Event.FILE_REFUSED, file=problem.file, problem=str(problem))
        for file in sorted(self._broken - definitions.broken):
            world.log.info(Event.FILE_MENDED, file=file)
        report = await reconcile(world.ledger, definitions, now)
        old = self._dispatcher
        if old is None or old.config != config:
            if old is not None:
                self._flights.retire(old.notifiers)
            self._dispatcher = Dispatcher(
                ledger=world.ledger,
                clock=world.clock,
                config=config,
                notifiers=world.build(config),
                owner=world.node,
                on_fault=self._notifier_failed,
            )
        if definitions.broken - self._broken:
            await self._tell_problems(definitions, "A definition file was refused; what it said before stays")
        self._broken = definitions.broken
        self._config_id = definitions.digest
        log_report(world.log, report, definitions)
        await self._report()

    # -- the loop's pieces

    async def _look(self, scheduler: AsyncIOScheduler) -> datetime | None:
        self._notice_step(scheduler)
        try:
            await self._chores()
            next_at = await self.turn()
        except LedgerError as error:
            self._pause_s = min(max(1.0, self._pause_s * 2), LONGEST_PAUSE_S)
            self._world.log.error(Event.LEDGER_FAILED, reason=str(error), again_in_s=self._pause_s)
            self._world.systemd.status(f"the ledger cannot be used: {error}")
            self._wake.clear()
            return self._world.clock.now() + timedelta(seconds=self._pause_s)
        if self._pause_s:
            self._pause_s = 0.0
            self._world.log.info(Event.LEDGER_RECOVERED)
        self._world.systemd.alive()
        self._world.systemd.status(await self._status(next_at))
        return next_at

    async def _wait(self, scheduler: AsyncIOScheduler, next_at: datetime | None) -> None:
        now = self._world.clock.now()
        if next_at is not None and next_at <= now and not self._flights.count:
            # Something is ready that could not be taken, such as a set another node is binding.
            next_at = now + timedelta(milliseconds=200)
        if next_at is not None:
            scheduler.add_job(
                self._wake.set, "date", run_date=max(next_at, now), id="wake", replace_existing=True
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
            ("files", FILES_EVERY_S),
            ("ledger", LEDGER_EVERY_S),
            ("report", REPORT_EVERY_S),
            ("reconcile", RECONCILE_EVERY_S),
        ):
            scheduler.add_job(
                self._want, "interval", args=[name], seconds=seconds, id=name, replace_existing=True
            )

    def _want(self, chore: str) -> None:
        self._wanted.add(chore)
        self._wake.set()

    async def _chores(self) -> None:
        wanted, self._wanted = self._wanted, set()
        if "files" in wanted and self._files_settled():
            wanted.add("reload")
        if "ledger" in wanted and await self._others_wrote():
            wanted.add("reconcile")
        if "reload" in wanted:
            await self.reload()
            self._world.systemd.ready(await self._status(None))
        elif "reconcile" in wanted:
            # Relative deadlines, the horizon and tzdata move on though no file has changed.
            await self._reconcile()
        if "report" in wanted:
            await self._report()

    async def _reconcile(self) -> None:
        """Reconcile with the files as they were read; when they are changing, a reload is near."""
        if self._world.signature() != self._files:
            return
        definitions = self._world.load()
        if definitions.config is not None:
            await self._adopt(definitions, definitions.config)

    def _files_settled(self) -> bool:
        """Whether the files have changed, and have stopped changing: a half-written one is not read."""
        signature = self._world.signature()
        settled = signature == self._unsettled_files and signature != self._files
        self._unsettled_files = signature
        return settled

    async def _others_wrote(self) -> bool:
        version = await self._world.ledger.version()
        changed = bool(self._ledger_version) and version != self._ledger_version
        self._ledger_version = version
        return changed

    def _notice_step(self, scheduler: AsyncIOScheduler) -> None:
        wall, monotonic = self._world.clock.now(), self._world.clock.monotonic()
        step = (wall - self._last_look[0]) - timedelta(seconds=monotonic - self._last_look[1])
        self._last_look = (wall, monotonic)
        if abs(step) > STEP:
            self._world.log.warning(Event.CLOCK_STEPPED, by_s=round(step.total_seconds(), 1))
            # Its timers were set for the old wall clock.
            self._schedule_chores(scheduler)

    def _ready_dispatcher(self) -> Dispatcher:
        if self._dispatcher is None:
            raise RuntimeError("start() comes first")
        return self._dispatcher

    # -- saying so

    async def _tell_problems(self, definitions: Definitions, headline: str) -> None:
        if self._dispatcher is None:
            return
        now = self._world.clock.now()
        lines = tuple(str(problem) for problem in definitions.problems[:20])
        notice = Notice(
            slot="/".join(("problems", f"{now:%Y-%m-%d}", *lines)), headline=headline, lines=lines
        )
        await self._world.ledger.apply(
            Changes(deliveries=tuple(notices(self._dispatcher.config, notice, now)))
        )

    async def _report(self) -> None:
        config = self._dispatcher.config if self._dispatcher else None
        await self._world.ledger.report(
            NodeReport(
                node=self._world.node,
                version=__version__,
                started_at=self._started_at,
                seen_at=self._world.clock.now(),
                config_id=self._config_id,
                problems=self._problems,
                receivers=tuple(config.receivers) if config else (),
            )
        )

    async def _status(self, next_at: datetime | None) -> str:
        coming = await self._world.ledger.coming(self._world.clock.now(), 1)
        parts = []
        if coming:
            parts.append(
                f"next: {coming[0].milestone} {coming[0].offset} at {coming[0].wake_at:%Y-%m-%d %H:%M}Z"
            )
        elif next_at is None:
            parts.append("nothing to remind of")
        if self._flights.count:
            parts.append(f"sending {self._flights.count}")
        if self._problems:
            parts.append(f"{len(self._problems)} problems in the files")
        return "; ".join(parts)

    async def _say_ready(self, next_at: datetime | None) -> None:
        self._world.log.info(Event.DAEMON_READY, status=await self._status(next_at))

    def _notifier_failed(self, channel: str, error: Exception) -> None:
        self._world.log.error(Event.NOTIFIER_FAILED, channel=channel, exc_info=error)
