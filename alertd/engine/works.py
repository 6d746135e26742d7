"""What a daemon does while it is awake: load, reconcile, bind, send, settle, chores. It waits for nothing.

The loop is in ``engine/daemon.py``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from alertd import __version__
from alertd.core.config import Config, Definitions
from alertd.core.planning.audit import AuditFinding, differs, unreached, vanished
from alertd.engine.backoff import Backoff
from alertd.engine.clocks import ClockMonitor, LedgerClock
from alertd.engine.deps import Dependencies
from alertd.engine.dispatch import Dispatcher
from alertd.engine.file_watch import Files
from alertd.engine.leader import LeaderLease
from alertd.engine.observer import log_bound
from alertd.engine.planner import Planner
from alertd.engine.prune import LIMIT as PRUNE_LIMIT
from alertd.engine.reloads import Reloaded, Reloads
from alertd.engine.self_audit import Watch
from alertd.engine.sender import Sender
from alertd.engine.status import Herald, Vitals
from alertd.engine.timer import Timer
from alertd.errors import DefinitionsError, LedgerError
from alertd.system.telemetry import Event

LEDGER_EVERY_S = 1
REPORT_EVERY_S = 60
RECONCILE_EVERY_S = 6 * 3600
AUDIT_EVERY_S = 60
PRUNE_EVERY_S = 24 * 3600


class Works:
    """One node's parts, and how they work together.

    Attributes:
        reloads: where to ask for one.
    """

    def __init__(self, world: Dependencies) -> None:
        self._clock = LedgerClock(world.clock, world.log, world.asleep)
        self._pulse = ClockMonitor(world.clock, world.log, world.asleep, on_step=self._stepped)
        self._world = world = replace(world, clock=self._clock)
        self._lead = LeaderLease(
            ledger=world.ledger,
            clock=world.clock,
            log=world.log,
            node=world.node,
            for_=world.lead_for,
            is_gone=world.is_gone,
        )
        self._alarm = Timer(
            world.clock,
            {
                "files": world.files_every_s,
                "ledger": LEDGER_EVERY_S,
                "report": REPORT_EVERY_S,
                "lead": self._lead.every_s,
                "reconcile": RECONCILE_EVERY_S,
                "audit": AUDIT_EVERY_S,
                "prune": PRUNE_EVERY_S,
            },
        )
        self._flights = Sender(
            world.ledger,
            world.clock,
            world.log,
            on_landed=self._alarm.ring,
            stood_still=self._pulse.stood_still_since,
            meter=world.meter,
        )
        self._files = Files(world.load, world.signature)
        self._patience = Backoff(world.clock, world.log)
        self._herald = Herald(world, self._flights)
        self._planner = Planner(world, self._lead, self._herald)
        self._watch = Watch(world)
        self.reloads = Reloads(lambda: self._alarm.want("reload"))
        self._dispatcher: Dispatcher | None = None
        self._said = ""
        self._looked_at = world.clock.now()

    async def start(self) -> None:
        """Load, reconcile, and stand ready.

        Raises:
            DefinitionsError: ``alertd.yaml`` itself has a problem: there is nothing to run on.
            LedgerError: the ledger cannot be used.
        """
        self._world.log.info(Event.DAEMON_STARTED, version=__version__, node=self._world.node)
        definitions = self._files.read()
        if definitions.config is None:
            raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
        await self._clock.compare(self._world.ledger)
        await self._adopt(definitions, definitions.config)
        self._world.ledger.listen(lambda: self._alarm.want("ledger"))

    @property
    def definitions(self) -> Definitions | None:
        """Those in force; None before :meth:`start`. Those that were refused since are not among them."""
        return self._planner.definitions

    @property
    def vitals(self) -> Vitals:
        """How it stands at the moment."""
        return Vitals(
            leads=self._lead.held,
            is_well=self._watch.is_well(),
            in_flight=self._flights.in_flight,
            paused=self._flights.paused,
            audit=self._watch.audit,
            differences=self._herald.differences,
            clock_ahead=self._clock.ahead,
            problems=self._herald.all_problems,
            ledger_failing=self._patience.is_tried,
        )

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
        world, began_s = self._world, self._world.clock.monotonic()
        world.systemd.reloading(began_s)
        accepted = False
        try:
            definitions = self._files.read()
            if definitions.config is None:
                await self._refuse(tuple(str(problem) for problem in definitions.problems))
                return False
            await self._adopt(definitions, definitions.config)
            accepted = True
        except LedgerError:
            raise
        except Exception as error:  # a bug that some file brings to light must not end what runs
            world.log.error(Event.CONFIG_REFUSED, exc_info=error)
            await self._refuse((f"the files could not be read: {type(error).__name__}: {error}",))
            return False
        finally:
            took_s = world.clock.monotonic() - began_s
            world.meter.reloaded(accepted=accepted, took_s=took_s, at=world.clock.now())
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
        world, old = self._world, self._dispatcher
        is_new = old is None or old.config != config
        await self._planner.take(definitions, config, reconsider=is_new)
        if is_new:
            self._dispatcher = Dispatcher(
                ledger=world.ledger,
                clock=world.clock,
                config=config,
                notifiers=world.build(config),
                owner=world.node,
                on_fault=self._notifier_failed,
                links=lambda: world.links(config),
            )
            self._flights.use(self._dispatcher.notifiers, self._dispatcher.rates())
        await self._report()

    # -- the chores

    def _stepped(self) -> None:
        self._alarm.stepped()
        self._alarm.want("lead")

    async def _chores(self) -> None:
        wanted = self._alarm.wanted - {"audit"}
        self._alarm.wanted &= {"audit"}
        try:
            if "lead" in wanted:
                await self._clock.compare(self._world.ledger)
                if await self._lead.ask():
                    wanted.add("takeover")
            if "files" in wanted and self._files.have_settled():
                wanted.add("reload")
            if "ledger" in wanted and await self._planner.others_did():
                wanted.add("reconcile")
            if "reload" in wanted:
                asked = self.reloads.asked()
                accepted = await self.reload()
                self.reloads.answer(asked, Reloaded(accepted=accepted, problems=self._herald.all_problems))
            elif wanted & {"reconcile", "takeover"}:
                await self._planner.go_on(reconsider="takeover" in wanted)
            if "report" in wanted:
                await self._report()
                await self._herald.compare()
            if "prune" in wanted and self._lead.held:
                await self._prune()
        except LedgerError:
            self._alarm.wanted |= wanted
            raise

    async def _prune(self) -> None:
        """A little at a time: what falls due meanwhile waits for no more than that."""
        keep = self._ready_dispatcher().config.keep
        forgotten = await self._world.ledger.prune(self._world.clock.now() - keep, PRUNE_LIMIT)
        if any(forgotten.values()):
            self._world.log.info(Event.LEDGER_PRUNED, **forgotten)
            self._alarm.want("prune")

    async def _audit(self) -> None:
        config = self._ready_dispatcher().config
        shut, _ = self._flights.shut()
        # Who does not lead has brought nothing in line, and has no plan to answer for.
        plan = self._planner.definitions if self._lead.held else None
        await self._watch.look(
            config,
            plan,
            self._planner.done,
            planned_at=self._planner.planned_at,
            shut=shut,
            standing=self._standing(config),
        )

    def _standing(self, config: Config) -> list[AuditFinding]:
        found = [*self._world.standing()]
        if self._herald.kept:
            found.append(vanished(self._herald.kept))
        if self._clock.differs:
            found.append(differs(self._clock.ahead))
        if deaf := unreached(config, self._flights.paused):
            found.append(deaf)
        return found

    def _ready_dispatcher(self) -> Dispatcher:
        if self._dispatcher is None:
            raise RuntimeError("start() comes first")
        return self._dispatcher

    async def _report(self) -> None:
        config = self._dispatcher.config if self._dispatcher else None
        await self._herald.report(config, self._planner.fingerprint, self._watch.findings)

    def _notifier_failed(self, channel: str, error: Exception) -> None:
        self._world.log.error(Event.NOTIFIER_FAILED, channel=channel, exc_info=error)
