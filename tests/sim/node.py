"""One node: the real daemon over faulty ports, killed, frozen and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from alertd.core.config import Config, Definitions, Timeline
from alertd.core.planning.audit import Audit
from alertd.engine.daemon import Daemon
from alertd.engine.deps import Dependencies
from alertd.engine.files import FileWorker, InlineWorker
from alertd.engine.timer import Chore
from alertd.errors import AlertdError, LedgerError
from alertd.ports import Ledger, Notifier
from alertd.system.systemd import Systemd
from alertd.system.telemetry import Log
from tests.sim.dice import Dice
from tests.sim.files import definitions, read_timeline
from tests.sim.ports import NodeClock, NodeLedger, SimNotifier, SimulatedBug
from tests.sim.spec import CHANNELS, Files

if TYPE_CHECKING:
    from tests.sim.observer import Observer
    from tests.sim.world import SimWorld

T = TypeVar("T")

DAY_S = 86_400.0
POLL_S = 30.0
START_AGAIN_S = 5.0
WATCHDOG_S = 180.0
MOST_READ = 4
"""Of how many readings a node remembers what the files were: one is planned by while another is read."""


class LiveDaemon(Daemon):
    """The real daemon; only its waiting is done here, since APScheduler goes by the machine's own clock."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)
        adopt = self._planner.adopt

        async def adopt_noted(definitions: Definitions, config: Config, *, reconsider: bool) -> None:
            if isinstance(self._worker, SimWorker):
                self._worker.note_adopted(definitions)
            await adopt(definitions, config, reconsider=reconsider)

        self._planner.adopt = adopt_noted  # type: ignore[method-assign]

    @property
    def _worker(self) -> FileWorker:
        return self._deps.file_worker

    def _compute(self) -> None:
        if isinstance(self._worker, SimWorker):
            self._worker.compute()

    async def _give_way(self) -> None:
        # It is called for each milestone that is planned.
        self._compute()
        await super()._give_way()

    async def live(self, chores: Mapping[str, float]) -> None:
        """As ``run``, with the looks as often as a simulator can afford.

        Args:
            chores: by name, how often to see to each, in seconds.
        """
        loop = asyncio.get_running_loop()
        await self.start()
        again_at = {name: loop.time() + every_s for name, every_s in chores.items()}
        while not self._stopping:
            for name, at_s in again_at.items():
                if loop.time() >= at_s:
                    self._timer.wanted.add(Chore(name))
                    again_at[name] = loop.time() + chores[name]
            next_at = await self._look()
            await self._until(next_at, min(again_at.values()) - loop.time())
        await self._end()

    async def _until(self, next_at: datetime | None, longest_s: float) -> None:
        wait_s = longest_s
        if isinstance(self._worker, SimWorker) and not self._worker.answers:
            # The real one asks every two seconds, and looks at the latest after half a minute.
            self._timer.wanted.add(Chore.FILES)
            wait_s = min(wait_s, POLL_S)
        elif self._reloader.files.have_changed():
            # The real one asks every two seconds; here it does while there is something to see.
            self._timer.wanted.add(Chore.FILES)
            wait_s = min(wait_s, 2.0)
        await self._timer.wait(next_at, self._turns.looked_at, wait_s)

    def poke(self, *chores: str) -> None:
        """Look at once, and see to ``chores`` first."""
        self._timer.want(*map(Chore, chores))

    def tasks(self) -> list[asyncio.Task[None]]:
        return [*self._sender.tasks, *self._turns.tasks]

    @property
    def leads(self) -> bool:
        return self._lease.held

    @property
    def sizes(self) -> dict[str, int]:
        """How much it keeps in memory, by what it is."""
        sender = self._sender
        return {
            "in flight": sender.count,
            "leases": len(sender._leases),
            "leased ahead": len(sender._ahead),
            "given back": len(sender._released._leases),
            "unsettled": len(sender._settler.finished),
            "notices": len(sender._settler.notices),
            "notifiers": len(sender._retired),
            "backpressure": len(sender._backpressure._channels),
        }


class SimWorker:
    """Stands where the thread stands that reads files: a call waits as long as the folder does not answer.

    It makes one call after the other, and each takes its time.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting: list[Callable[[], None]] = []
        self._busy_until_s = 0.0

    @property
    def answers(self) -> bool:
        """Whether no call waits for the folder to answer."""
        return not self._waiting

    def submit(self, call: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Make a call, now or when the folder answers."""
        world, reading_s = self._node.world, self._node.world.profile.reading_s
        if world.files_hang:
            self._waiting.append(lambda: InlineWorker().submit(call, done))
        elif reading_s:
            self._busy_until_s = max(self._busy_until_s, world.loop.time()) + reading_s
            world.loop.call_at(self._busy_until_s, lambda: InlineWorker().submit(call, done))
        else:
            InlineWorker().submit(call, done)

    def answer(self) -> None:
        """The folder answers: make the calls that wait."""
        waiting, self._waiting = self._waiting, []
        for make in waiting:
            make()

    def compute(self) -> None:
        """Let the time pass that it takes to plan a milestone."""
        self._node.world.loop.work(self._node.world.profile.planning_s)

    def note_adopted(self, definitions: Definitions) -> None:
        """Note that the node plans by these from now on."""
        self._node.note_adopted(definitions)


class ServiceManager:
    """Stands where systemd stands: notes when its watchdog was fed."""

    watchdog_s = WATCHDOG_S

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.fed_at = now()

    def alive(self) -> None:
        self.fed_at = self._now()

    @property
    def is_fed(self) -> bool:
        """Whether it would leave the daemon alone."""
        return self._now() - self.fed_at < timedelta(seconds=WATCHDOG_S)

    def ready(self, *_said: object) -> None:
        """It notes nothing else."""

    reloading = stopping = status = ready


class NodeLog:
    """A logger whose events go to the trace."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def _write(self, event: str, **facts: Any) -> None:
        error = facts.get("exc_info")
        if error is not None and not isinstance(error, (SimulatedBug, AlertdError)):
            self._node.observer.surprise(self._node, error)
        name = (
            facts.get("delivery") or facts.get("key") or facts.get("milestone") or facts.get("reason") or ""
        )
        self._node.say("log", f"{event} {name}".rstrip())

    debug = info = warning = error = critical = _write


class Node:
    """A machine: its name, its clock, and whichever life of the daemon runs on it now."""

    def __init__(self, name: str, world: SimWorld, dice: Dice) -> None:
        self.name = name
        self.world = world
        self.dice = dice
        self.observer: Observer = world.observer
        self.clock = NodeClock(world.now, world.loop.time)
        self.life = 0
        self.files: Files = world.files
        self.read: list[tuple[Definitions, Files]] = []
        self.is_old = False
        self.lacks = ""
        self.daemon: LiveDaemon | None = None
        self._main: asyncio.Task[None] | None = None
        self._frozen_until_s = 0.0
        self._is_stopping = self._starts_again = False
        self.heard: Callable[[], None] | None = None
        self.up_since = world.now()
        self.manager = ServiceManager(world.now)
        self.worker = SimWorker(self)

    # -- life

    @property
    def is_up(self) -> bool:
        return self._main is not None

    @property
    def is_idle(self) -> bool:
        """Whether it has leased nothing, so that it can be killed without anything being sent again."""
        return self.daemon is None or not any(self.daemon.sizes[what] for what in ("leases", "leased ahead"))

    def switch_on(self) -> None:
        """Start the daemon, under a new owner name. If it is stopping, it starts when it has stopped."""
        if self._main is not None:
            self._starts_again = self._is_stopping
            return
        self.life += 1
        self.say("start", f"life {self.life}")
        self.up_since = self.world.now()
        self.observer.up(self)
        self._main = asyncio.get_running_loop().create_task(self._live())

    def switch_off(self) -> None:
        """Pull the plug: whatever was under way never comes back, and has no further effect."""
        if self._main is None:
            return
        self.say("killed")
        self.observer.died(self)
        self.world.rouse()
        daemon, main = self.daemon, self._main
        self.daemon = self._main = None
        self._is_stopping = self._starts_again = False
        self._frozen_until_s = 0.0
        self.heard = None
        here = asyncio.current_task()
        for task in [main, *(daemon.tasks() if daemon else [])]:
            if task is not here:
                task.cancel()

    def crash(self) -> NoReturn:
        """Die at this very await; it is switched on again by itself."""
        self.switch_off()
        self.world.later(self.dice.down_s(), self.switch_on)
        raise asyncio.CancelledError

    def ask_to_stop(self) -> None:
        """SIGTERM: the daemon drains and ends by itself."""
        if self.daemon is not None:
            self.say("stopped")
            self._is_stopping = True
            self.daemon.stop()

    async def _live(self) -> None:
        life = self.life
        while self.life == life:
            daemon = self.world.parts.daemon(self.world_of(life))
            self.daemon = daemon
            try:
                await daemon.live(self.world.chores)
            except AlertdError as error:
                # As systemd does it: start again in a while. There is no daemon meanwhile.
                self.say("ended", type(error).__name__)
                if not isinstance(error, LedgerError) and not (self.read and self.read[-1][1].config_broken):
                    self.observer.surprise(self, error)
                await asyncio.sleep(START_AGAIN_S)
            except Exception as error:
                self.observer.surprise(self, error)
                await asyncio.sleep(START_AGAIN_S)
            else:
                self.observer.stopped(self)
                self.observer.died(self)
                self.daemon = self._main = None
                starts_again = self._starts_again
                self._is_stopping = self._starts_again = False
                if starts_again:
                    self.switch_on()
                return

    def world_of(self, life: int) -> Dependencies:
        return Dependencies(
            ledger=cast(Ledger, NodeLedger(self, self.world.ledger)),
            clock=self.clock,
            log=cast(Log, NodeLog(self)),
            load=self._load,
            read_timeline=self._read_timeline,
            signature=lambda: (self.world.version, self.is_old, self.lacks),
            file_worker=self.worker,
            build=self._build,
            node=f"{self.name}:{life}",
            beat=self._beat,
            limits=self.world.profile.limits,
            plan_at_once=self.world.profile.plan_at_once,
            systemd=cast(Systemd, self.manager),
            is_gone=lambda other: other.startswith(f"{self.name}:") and other != f"{self.name}:{life}",
        )

    async def _beat(self, _config: Config, audit: Audit) -> str:
        self.world.facts.beats.append((self.world.now(), audit.passed))
        return ""

    def _load(self) -> Definitions:
        files = self.world.files.as_before_leads if self.is_old else self.world.files
        files = files.without_zone(self.lacks) if self.lacks else files
        found = definitions(files, self.world.version)
        self.read = [*self.read[1 - MOST_READ :], (found, files)]
        return found

    def note_adopted(self, found: Definitions) -> None:
        """Note which files the node goes by from now on."""
        last = [files for one, files in self.read if one.fingerprint == found.fingerprint]
        self.files = last[-1] if last else self.files

    def _read_timeline(self, timeline: Timeline) -> Timeline:
        files = self.world.files.as_before_leads if self.is_old else self.world.files
        return read_timeline(timeline, files.without_zone(self.lacks) if self.lacks else files)

    def lose_zone(self, zone: str) -> None:
        """From now on its zone database lacks a zone; with "" it has all of them."""
        self.lacks = zone
        self.say("zones", f"lacks {zone}" if zone else "has all")
        self.poke("files")

    def deploy(self) -> None:
        """Give it the files that know all receivers, or those from before."""
        self.is_old = not self.is_old
        self.say("deployed", "the files from before" if self.is_old else "the files of today")
        self.poke("files")

    def learn(self) -> None:
        """Give it the files that know all receivers, if it has older ones."""
        if self.is_old:
            self.deploy()

    def _build(self, config: Config) -> dict[str, Notifier]:
        made = {
            channel: SimNotifier(self, channel)
            for receiver, channels in CHANNELS.items()
            if receiver in config.receivers
            for channel in channels
        }
        return {channel: self.world.parts.notifier(one) for channel, one in made.items()}

    def is_leading(self, name: str) -> bool:
        """Whether the daemon of that name runs here, thinks that it leads, and could say so."""
        here = name == f"{self.name}:{self.life}" and self._main is not None and not self.is_frozen
        return here and self.daemon is not None and self.daemon.leads

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still, so that it can find nothing out."""
        return self._frozen_until_s > self.world.loop.time()

    # -- the moment

    async def moment(self) -> None:
        """A port takes a moment, and a dead or frozen node takes part in nothing."""
        self._end_the_dead()
        pause_s = self.dice.jitter_s()
        if pause_s:
            await asyncio.sleep(pause_s)
        await self.gate()

    async def gate(self) -> None:
        """Nothing passes while the node is frozen, and nothing ever once it has died."""
        self._end_the_dead()
        while (left := self._frozen_until_s - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
            self._end_the_dead()

    def stall(self) -> None:
        """SIGSTOP: nothing more happens on it for a while."""
        self.freeze(self.dice.stall_s())

    def freeze(self, for_s: float) -> None:
        """The same, for so many seconds."""
        self.say("frozen", f"for {for_s:.0f} s")
        self._frozen_until_s = asyncio.get_running_loop().time() + for_s
        self.world.rouse()

    def thaw(self) -> None:
        self._frozen_until_s = 0.0

    def step(self, by: timedelta) -> None:
        """Somebody sets its clock; the daemon finds out at its next look."""
        self.clock.off += by
        self.say("clock", f"stepped by {by.total_seconds():.0f} s, now off by {self.clock.off}")
        self.world.later(self.dice.random.uniform(0.0, POLL_S), self.poke)

    def set_right(self) -> None:
        if self.clock.off:
            self.step(-self.clock.off)

    def poke(self, *chores: str) -> None:
        if self.daemon is not None:
            self.daemon.poke(*chores)

    def ask(self) -> None:
        """It asks by itself whether anybody has written."""
        self.poke("ledger")

    def hear(self) -> None:
        """Somebody else has written."""
        if self.heard is not None:
            self.heard()
        else:
            self.ask()

    @property
    def is_full(self) -> bool:
        """Whether the ledger can be read and not written."""
        return self.world.ledger_is_full

    def is_poisoned(self, channel: str, milestones: Sequence[str]) -> bool:
        """Whether a message ends the process that sends it."""
        poison = self.world.poison
        return poison is not None and poison[1] == channel and poison[0] in milestones

    @property
    def is_cut_off(self) -> bool:
        """Whether the ledger cannot be used at all."""
        return self.world.ledger_is_dead

    def is_silent(self, channel: str) -> bool:
        return self.world.is_deaf or channel in self.world.silent

    def is_hanging(self, channel: str) -> bool:
        return channel in self.world.hanging

    def say(self, what: str, detail: str = "") -> None:
        self.world.trace.add(self.name, what, detail)

    def _end_the_dead(self) -> None:
        # A task of an earlier life: the tasks of this one are its main and its sender.
        here = asyncio.current_task()
        if self._main is None or (
            here is not self._main and (self.daemon is None or here not in self.daemon.tasks())
        ):
            raise asyncio.CancelledError
