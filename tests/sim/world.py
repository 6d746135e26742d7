"""Composes one run: nodes, ledger, files, people, misfortunes; plays it to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from alertd.engine.chores import AUDIT_EVERY_S, RECONCILE_EVERY_S, REPORT_EVERY_S
from alertd.ports import Notifier
from tests.sim.dice import Dice, generator
from tests.sim.facts import Facts, Look
from tests.sim.ledger import SimLedger
from tests.sim.loop import VirtualLoop, run_virtually
from tests.sim.node import LiveDaemon, Node
from tests.sim.observer import Observer
from tests.sim.profile import Profile
from tests.sim.script import Script, first_files
from tests.sim.spec import Files
from tests.sim.trace import Trace

DAY_S = 86_400.0
LOOK_EVERY_S = 60.0
ATTEND_EVERY_S = 120.0
ATTENDED = 60
"""How often at the most: two hours."""

START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the product is composed of; a planted fault is another part."""

    daemon: Callable[..., LiveDaemon] = LiveDaemon
    ledger: Callable[[], Any] = SimLedger
    notifier: Callable[[Any], Notifier] = lambda one: one
    dice: Callable[[int, str, Profile], Dice] = Dice


@dataclass(frozen=True, slots=True)
class Run:
    """What is left of a run: the facts, the trace, and the ledger as it ended."""

    seed: int
    profile: Profile
    facts: Facts
    trace: Trace
    ledger: Any
    files: Files


class SimWorld:
    """The machines and everything around them."""

    def __init__(self, seed: int, profile: Profile, parts: Parts, loop: VirtualLoop) -> None:
        self.seed = seed
        self.profile = profile
        self.parts = parts
        self.loop = loop
        self.random = generator(seed, "world", profile.name)
        self.trace = Trace(self.now)
        self.ledger = parts.ledger()
        ends = START + timedelta(days=profile.days)
        heals = ends - timedelta(days=profile.calm_days)
        self.files = first_files(self.random, profile, START)
        self.version = 1
        self.silent: set[str] = set()
        self.hanging: set[str] = set()
        self.facts = Facts(begins=START, heals=heals, ends=ends)
        self.facts.disk.append((START, self.files))
        self.observer = Observer(self, self.facts)
        self.ledger_is_dead = False
        self.ledger_is_full = False
        self.files_hang = False
        self.poison: tuple[str, str] | None = None
        self.is_deaf = False
        self.over = asyncio.Event()
        rarely_s = self.random.choice((1, 3, 10)) * DAY_S
        if "daily" in profile.ladders:
            # The real one reconciles before the repeats that it has written down can all have passed.
            rarely_s = DAY_S
        self.chores = {"lead": rarely_s, "reconcile": rarely_s, "report": rarely_s}
        if profile.watched:
            # As often as the real one.
            self.chores = {"reconcile": RECONCILE_EVERY_S, "report": DAY_S, "audit": AUDIT_EVERY_S}
            if profile.full_ledgers:
                # A third as often as the real one: it is a write, and so a node finds out that it cannot write.
                self.chores["report"] = 3 * REPORT_EVERY_S
        self.nodes = [
            Node(f"n{number}", self, parts.dice(seed, f"n{number}", profile))
            for number in range(1, profile.nodes + 1)
        ]
        if len(self.nodes) > 1:
            self.ledger.clock = self.now
        self.ledger.renews = lambda name: any(node.is_leading(name) for node in self.nodes)
        self.script = Script(self)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.loop.time())

    def later(self, after_s: float, call: Callable[[], object]) -> None:
        self.loop.call_later(after_s, call)

    def at(self, instant: datetime, call: Callable[[], object]) -> None:
        self.loop.call_at(max(self.loop.time(), (instant - START).total_seconds()), call)

    def write(self, files: Files, what: str) -> None:
        """The folder changes; each node sees it when it asks next, twice, some seconds apart."""
        if files == self.files:
            return
        self.files = files
        self.version += 1
        self.facts.disk.append((self.now(), files))
        self.trace.add("files", "written", what)
        self.notice_files()
        self.rouse()

    def notice_files(self) -> None:
        for node in self.nodes:
            self.later(self.random.uniform(0.1, 2.0), lambda node=node: node.poke("files"))  # type: ignore[misc]

    def tell_others(self, writer: object) -> None:
        """Each other node hears soon that something was written; now and then only when it asks by itself."""
        for node in self.nodes:
            if node is not writer and node.daemon is not None:
                asks_s = 60.0 if self.random.random() < 0.1 else 1.0
                self.later(self.random.uniform(0.0, asks_s), node.hear if asks_s == 1.0 else node.ask)

    def interrupt(self, node: Node, milestones: list[str]) -> None:
        """While deliveries are leased ahead somebody acts on one of them, or the node is told to stop."""
        if self.random.random() < self.profile.interruptions:
            self.script.interrupt(node, milestones)

    def rouse(self) -> None:
        """Nodes ask every few seconds who leads. Here they do when that can have changed, and for a while after."""
        for node in self.nodes if len(self.nodes) > 1 else ():
            for after_s in (6.0, 18.0, 45.0, 450.0, 5400.0):
                asks_s = after_s * self.random.uniform(0.8, 1.2)
                self.later(asks_s, lambda node=node: node.poke("lead"))  # type: ignore[misc]

    async def play(self) -> None:
        for node in self.nodes:
            self.later(self.random.uniform(0.0, 5.0), node.switch_on)
        self.script.schedule()
        if self.profile.watched:
            self._look()
        self.at(self.facts.heals, self._heal)
        left_s = (self.facts.ends - self.now()).total_seconds()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), left_s)
        for node in self.nodes:
            node.switch_off()

    def attend(self, until: datetime) -> None:
        """The nodes audit themselves for a while, more rarely than the real ones, and somebody looks at them."""
        self.later(ATTEND_EVERY_S, lambda: self._attend(until, ATTENDED))

    def _attend(self, until: datetime, left: int) -> None:
        for node in self.nodes:
            node.poke("audit", "report")
        self.later(ATTEND_EVERY_S / 2, self._look_at_nodes)
        if left and self.now() + timedelta(seconds=ATTEND_EVERY_S) < until:
            self.later(ATTEND_EVERY_S, lambda: self._attend(until, left - 1))

    def _look(self) -> None:
        """Somebody looks at each node that is up, every minute."""
        self._look_at_nodes()
        self.later(LOOK_EVERY_S, self._look)

    def _look_at_nodes(self) -> None:
        for node in self.nodes:
            if node.daemon is not None:
                look = Look(
                    at=self.now(),
                    node=node.name,
                    up_since=node.up_since,
                    is_fed=node.manager.is_fed,
                    is_frozen=node.is_frozen,
                    seems_well=node.daemon.status.audit is not None and not node.daemon.status.findings,
                    paused=frozenset(node.daemon.status.paused),
                )
                self.facts.looks.append(look)

    def _heal(self) -> None:
        self.trace.add("world", "healed")
        self.silent.clear()
        self.hanging.clear()
        self.ledger_is_dead = self.ledger_is_full = self.is_deaf = False
        self.poison = None
        for node in self.nodes:
            node.dice.quiet = True
            node.thaw()
            node.set_right()
            if node.lacks:
                node.lose_zone("")
            node.learn()
            node.switch_on()


def run(seed: int, profile: Profile, parts: Parts | None = None) -> Run:
    """Play one seed."""
    loop = VirtualLoop()
    world = SimWorld(seed, profile, parts or Parts(), loop)
    run_virtually(world.play(), loop)
    return Run(
        seed=seed,
        profile=profile,
        facts=world.facts,
        trace=world.trace,
        ledger=world.ledger,
        files=world.files,
    )
