"""The daemon by hand, turn by turn under a virtual clock, and the loop itself against real time."""

import asyncio
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from alertd.core.config import Config, Definitions, Problem
from alertd.core.ledger.outcome import Retry
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import ActionKind
from alertd.core.time.duration import Duration
from alertd.engine.clocks import CONFIRMED_AFTER_S
from alertd.engine.daemon import Daemon
from alertd.engine.deps import Dependencies
from alertd.engine.sender import MAX_IN_FLIGHT
from alertd.engine.timer import Chore
from alertd.errors import DefinitionsError, LedgerBusy, LedgerError
from alertd.ports import Changes, Clock, Ledger, Notifier
from alertd.store import open_ledger
from alertd.system.clock import SystemClock
from alertd.system.systemd import Systemd
from alertd.testing.memory_ledger import MemoryLedger
from tests.contract.samples import a_record
from tests.engine.test_sender import ControlledNotifier
from tests.scene import Recorder, Scene, StepClock, Watched, a_config, a_ledger, a_log, a_milestone, when

M = "t/m"
A = "2026-09-30"
LIMIT_S = 10.0
PROBLEM = Problem(file="milestones/t.yaml", line=3, column=7, message="no")


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


@dataclass
class Offset:
    """The machine's clock, some time away from the truth; moved by hand."""

    by: timedelta = timedelta()
    machine: SystemClock = field(default_factory=SystemClock)

    def now(self) -> datetime:
        return self.machine.now() + self.by

    def monotonic(self) -> float:
        return self.machine.monotonic()


class Stage:
    """Everything that a daemon is given, and what came of it."""

    def __init__(self, ledger: Ledger, clock: Clock, node: str = "node-1") -> None:
        self.scene = Scene(ledger, at="2026-01-01", config=a_config("desk", "ops", operator="ops"))
        self.log, self.events = a_log()
        self.clock = clock
        self.problems: tuple[Problem, ...] = ()
        self.config_is_broken = False
        self.load_fails: Exception | None = None
        self.loads = 0
        self.digest = "d"
        self.files: Hashable = 0
        self.told: list[Any] = []
        self.told_more = asyncio.Event()
        self.notifiers: dict[str, Notifier] = {}
        self.built = 0
        self.world = Dependencies(
            ledger=ledger,
            clock=clock,
            log=self.log,
            load=self.load,
            signature=lambda: self.files,
            build=self.build,
            node=node,
            drain_s=0.5,
            files_every_s=0.05,
        )

    def define(self, *milestones: Milestone) -> None:
        self.scene.define(*milestones)

    def load(self) -> Definitions:
        self.loads += 1
        if self.load_fails:
            raise self.load_fails
        config = None if self.config_is_broken else self.scene.config
        broken = frozenset(one.file for one in self.problems)
        timelines = tuple(one for one in self.scene.timelines if one.file not in broken)
        return Definitions(
            config=config, timelines=timelines, problems=self.problems, broken=broken, fingerprint=self.digest
        )

    def build(self, config: Config) -> Mapping[str, Notifier]:
        self.built += 1
        made: dict[str, Notifier] = {}
        for receiver in config.receivers.values():
            channel = f"{receiver.name}/hook"
            made[channel] = self.notifiers.get(channel) or Told(self, channel)
        return made

    def daemon(self) -> Daemon:
        return Daemon(self.world)

    def lines(self, receiver: str = "desk") -> list[str]:
        return [line for one in self.told for line in one.lines() if f" {receiver} " in line]

    def names(self, *wanted: str) -> list[str]:
        return [one["event"] for one in self.events if not wanted or one["event"] in wanted]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that is told makes ``condition`` true."""
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self.told_more.clear()
                await self.told_more.wait()


class Told(Recorder):
    """A recorder that rings when it is sent something."""

    def __init__(self, stage: Stage, channel: str) -> None:
        super().__init__(clock=stage.clock.now, channel=channel, log=stage.told)
        self._stage = stage

    async def send(self, message, prior):  # type: ignore[no-untyped-def]
        outcome = await super().send(message, prior)
        self._stage.told_more.set()
        return outcome


class Failing:
    """A ledger of which some methods fail while ``failing`` says so."""

    def __init__(self, ledger: Ledger, *methods: str) -> None:
        self._ledger = ledger
        self._methods = methods
        self.failing = False
        self.failed = 0
        self.more = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        if name in self._methods and self.failing:
            self.failed += 1
            self.more.set()
            raise LedgerBusy("ledger.sqlite3 is locked")
        return getattr(self._ledger, name)


async def turns(daemon: Daemon, number: int = 20) -> datetime | None:
    """Turn until nothing is in flight and nothing is due; the next instant."""
    next_at = None
    for _ in range(number):
        next_at = await daemon.turn()
        await daemon.idle()
    return next_at


async def confirmed(daemon: Daemon, clock: StepClock) -> None:
    """Let the wall clock show its new time for as long as it takes to confirm a step."""
    daemon._monitor.compare()
    clock.advance(clock.at + timedelta(seconds=CONFIRMED_AFTER_S))
    daemon._monitor.compare()
    await daemon._chores.do()


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Daemon]:
    """The daemon's own loop, stopped at the end."""
    daemon = stage.daemon()
    await daemon.start()
    task = asyncio.create_task(daemon.run())
    try:
        yield daemon
    finally:
        daemon.stop()
        async with asyncio.timeout(LIMIT_S):
            await task


def soon(stage: Stage, seconds: float) -> Milestone:
    """A milestone whose only reminder is due in so many seconds, and up to one more."""
    at = stage.clock.now() + timedelta(hours=1, seconds=seconds + 1)
    policy = Policy(before=(Duration(seconds=3600),), on_day=False, after=(), opens=False)
    return a_milestone(M, f"{at:%Y-%m-%dT%H:%M:%S}", policy=policy)


def in_days(stage: Stage, days: int) -> str:
    return f"{stage.clock.now() + timedelta(days=days):%Y-%m-%d}"


# -- by hand


async def test_turn_sends_what_is_due_and_says_what_is_next(ledger: Ledger) -> None:
    """A turn does all that can be done now and names the next instant; another turn repeats nothing."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    stage.define(a_milestone(M, A))
    daemon = stage.daemon()
    await daemon.start()

    next_at = await turns(daemon)

    assert next_at == when("2026-09-29T09:00")
    assert stage.lines() == ["2026-09-24T00:00 desk t/m -7d"]
    assert stage.names("daemon.started", "config.loaded", "delivery.sent") == [
        "daemon.started",
        "config.loaded",
        "delivery.sent",
    ]


async def test_turn_is_bounded(ledger: Ledger) -> None:
    """A turn starts no more sends than there are places, and does not wait for any."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    stage.define(*(a_milestone(f"t/m{i}", A, labels={"for": str(i)}) for i in range(200)))
    stage.scene.config = replace(
        stage.scene.config, route=replace(stage.scene.config.route, group_by=("milestone",))
    )
    notifier = ControlledNotifier()
    stage.notifiers["desk/hook"] = notifier
    daemon = stage.daemon()
    await daemon.start()

    async with asyncio.timeout(LIMIT_S):
        await daemon.turn()
    in_flight = MAX_IN_FLIGHT
    notifier.released.set()
    for _ in range(30):
        await daemon.turn()
        await daemon.idle()

    assert notifier.most <= in_flight
    assert len(notifier.answered) == len(set(notifier.answered)) == 200


async def test_start_again_repeats_nothing(ledger: Ledger) -> None:
    """A second daemon on the same ledger sends nothing that the first has sent."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    stage.define(a_milestone(M, A))
    first = stage.daemon()
    await first.start()
    await turns(first)

    second = stage.daemon()
    await second.start()
    await turns(second)

    assert len(stage.told) == 1


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        # forward over two reminders: the tighter one, once
        (["7d"], ["-7d", "0d"]),
        # there and back again: what was sent is not sent again when its time comes
        (["5d10h", "-5d", "5d", "1d"], ["-7d", "-1d", "0d"]),
        # back before anything was due, and on
        (["-30d", "30d", "5d10h"], ["-7d", "-1d"]),
    ],
)
async def test_stepped_clock_neither_loses_nor_repeats(
    ledger: Ledger, steps: list[str], told: list[str]
) -> None:
    """However the wall clock is set, each reminder is sent once, when it is due by that clock or at once."""
    clock = StepClock(when("2026-09-24"))
    stage = Stage(ledger, clock)
    stage.define(a_milestone(M, A))
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)

    for step in steps:
        clock.step(a_span(step))
        await confirmed(daemon, clock)
        await turns(daemon)
        await daemon.reload()
        await turns(daemon)

    assert [line.rpartition(" ")[2] for line in stage.lines()] == told


async def test_configuration_must_be_good_at_the_start(ledger: Ledger) -> None:
    """Without a configuration there is nothing to run on: the start says what is wrong."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    stage.config_is_broken, stage.problems = True, (replace(PROBLEM, file="alertd.yaml"),)

    with pytest.raises(DefinitionsError, match=r"alertd\.yaml:3:7: no"):
        await stage.daemon().start()

    assert await ledger.read_records() == []


async def test_broken_file_at_the_start_is_told(ledger: Ledger) -> None:
    """A timeline file that is broken at the start is logged, reported and told, and the others run."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    stage.define(a_milestone(M, A), a_milestone("u/n", A))
    stage.problems = (PROBLEM,)
    daemon = stage.daemon()

    await daemon.start()
    await turns(daemon)

    assert "file.refused" in stage.names()
    assert stage.lines() == ["2026-09-24T00:00 desk u/n -7d"]
    assert [one.message.lines for one in stage.told if one.channel == "ops/hook"] == [(str(PROBLEM),)]
    assert (await ledger.read_nodes())[0].problems == (str(PROBLEM),)


async def test_broken_file_keeps_what_was_known_of_it(ledger: Ledger) -> None:
    """A file that breaks while it runs keeps reminding; the operator hears once; mending it is logged."""
    clock = StepClock(when("2026-09-24"))
    stage = Stage(ledger, clock)
    stage.define(a_milestone(M, A))
    daemon = stage.daemon()
    await daemon.start()
    stage.problems = (PROBLEM,)

    results = [await daemon.reload() for _ in range(3)]
    clock.advance(when("2026-09-29T10:00"))
    await turns(daemon)
    stage.problems = ()
    results.append(await daemon.reload())

    assert results == [True] * 4
    assert [line.rpartition(" ")[2] for line in stage.lines()] == ["-1d"]
    assert len(stage.lines("ops")) == 1
    assert stage.names("file.recovered") == ["file.recovered"]
    assert (await ledger.read_nodes())[0].problems == ()


async def test_refused_configuration_leaves_the_last_good_one(ledger: Ledger) -> None:
    """A configuration with a problem is refused: everything goes on; log, status and a notice say so."""
    clock = StepClock(when("2026-09-24"))
    stage = Stage(ledger, clock)
    stage.define(a_milestone(M, A))
    daemon = stage.daemon()
    await daemon.start()
    stage.config_is_broken, stage.problems = True, (replace(PROBLEM, file="alertd.yaml"),)

    refused = [await daemon.reload(), await daemon.reload()]
    clock.advance(when("2026-09-29T10:00"))
    await turns(daemon)
    problems = (await ledger.read_nodes())[0].problems
    stage.config_is_broken, stage.problems = False, ()
    taken = await daemon.reload()

    assert (refused, taken) == ([False, False], True)
    assert problems == ("alertd.yaml:3:7: no",)
    assert [line.rpartition(" ")[2] for line in stage.lines()] == ["-1d"]
    assert len(stage.lines("ops")) == 1
    assert stage.names("config.refused", "config.loaded") == [
        "config.loaded", "config.refused", "config.refused", "config.loaded",
    ]  # fmt: skip


async def test_bug_that_a_file_brings_to_light_ends_nothing(ledger: Ledger) -> None:
    """When reading the files fails in a way that nobody foresaw, the daemon says so and goes on."""
    clock = StepClock(when("2026-09-24"))
    stage = Stage(ledger, clock)
    stage.define(a_milestone(M, A))
    daemon = stage.daemon()
    await daemon.start()
    stage.load_fails = RecursionError("too deep")

    taken = await daemon.reload()
    clock.advance(when("2026-09-29T10:00"))
    await turns(daemon)

    assert not taken
    assert [line.rpartition(" ")[2] for line in stage.lines()] == ["-1d"]
    assert any("RecursionError" in line for one in stage.told for line in one.message.lines)


async def test_new_configuration_takes_new_notifiers(ledger: Ledger) -> None:
    """Notifiers are made anew when the configuration has changed, and only then; the old ones are closed."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    old = ControlledNotifier(is_released=True)
    stage.notifiers["desk/hook"] = old
    daemon = stage.daemon()
    await daemon.start()
    await daemon.reload()
    before = stage.built

    stage.scene.config = replace(stage.scene.config, catch_up=timedelta(days=3))
    del stage.notifiers["desk/hook"]
    await daemon.reload()
    await turns(daemon)

    assert (before, stage.built) == (1, 2)
    assert old.closed == 1


async def test_reload_that_meets_a_locked_ledger_says_so(ledger: Ledger) -> None:
    """A reload that the ledger refuses raises, changes nothing, and succeeds when it is called again."""
    failing: Any = Failing(ledger, "apply")
    stage = Stage(failing, StepClock(when("2026-09-24")))
    daemon = stage.daemon()
    await daemon.start()
    stage.define(a_milestone(M, A))

    failing.failing = True
    with pytest.raises(LedgerError):
        await daemon.reload()
    failing.failing = False
    taken = await daemon.reload()

    assert taken
    assert [one.id for one in await ledger.read_records()] == [M]


# -- the loop


async def test_loop_sends_when_it_is_due() -> None:
    """The loop wakes at the instant, sends, and stops when it is told to."""
    stage = Stage(MemoryLedger(), Offset())
    stage.define(soon(stage, 0.4))

    async with running(stage):
        before = stage.lines()
        await stage.until(lambda: bool(stage.lines()))

    late = stage.told[0].at - (await stage.scene.ledger.read_owed(M))[-1].at
    assert before == []
    assert timedelta(0) <= late < timedelta(seconds=0.5)
    assert stage.names("daemon.ready", "daemon.stopped") == ["daemon.ready", "daemon.stopped"]


async def test_loop_survives_a_locked_ledger() -> None:
    """While the ledger cannot be used the loop pauses, says so once, and goes on when it can."""
    failing: Any = Failing(MemoryLedger(), "find_due", "read_upcoming", "read_version")
    stage = Stage(failing, Offset())
    stage.define(soon(stage, 0.3))

    async with running(stage):
        failing.failing = True
        async with asyncio.timeout(LIMIT_S):
            await failing.more.wait()
        failed_at = stage.clock.monotonic()
        failing.failing = False
        await stage.until(lambda: bool(stage.lines()))
        took = stage.clock.monotonic() - failed_at

    failures = [one for one in stage.events if one["event"] == "ledger.failed"]
    assert 0.9 < took < 3
    assert [(one["level"], one["again_in_s"]) for one in failures] == [("error", 1.0)]
    assert stage.names("ledger.recovered") == ["ledger.recovered"]
    assert len(stage.lines()) == 1


async def test_loop_survives_another_that_locks_the_database(tmp_path: Path) -> None:
    """While another process keeps the database to itself the loop waits, and then goes on."""
    path = tmp_path / "ledger.sqlite3"
    stage = Stage(await open_ledger(f"sqlite:///{path}", busy_timeout_s=0.05), Offset())
    stage.define(soon(stage, 0.2))

    async with running(stage):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            async with asyncio.timeout(LIMIT_S):
                while "ledger.failed" not in stage.names():
                    await stage.world.ledger.read_version()
            other.execute("rollback")
        await stage.until(lambda: bool(stage.lines()))

    assert "ledger.recovered" in stage.names()
    assert len(stage.lines()) == 1


async def test_loop_keeps_outcomes_while_the_ledger_is_locked() -> None:
    """What was accepted while the ledger is locked is written down later, and not sent again."""
    memory = MemoryLedger()
    failing: Any = Failing(memory, "settle")
    stage = Stage(failing, Offset())
    stage.define(soon(stage, 0.2))

    failing.failing = True
    async with running(stage):
        async with asyncio.timeout(LIMIT_S):
            await failing.more.wait()
        failing.failing = False

    assert len(stage.lines()) == 1
    assert [one.state.value for one, _, _ in await memory.find_deliveries()] == ["sent"]


async def test_reload_is_not_lost_to_a_locked_ledger() -> None:
    """A changed file that could not be taken because of the ledger is taken as soon as it can be."""
    failing: Any = Failing(MemoryLedger(), "apply")
    stage = Stage(failing, Offset())

    async with running(stage):
        stage.define(soon(stage, 0.2))
        failing.failing, stage.files = True, 1
        async with asyncio.timeout(LIMIT_S):
            await failing.more.wait()
        failing.failing = False
        await stage.until(lambda: bool(stage.lines()))

    assert len(stage.lines()) == 1


async def test_half_written_file_is_not_read() -> None:
    """The files are read once they have stopped changing, and not while they are being written."""
    stage = Stage(MemoryLedger(), Offset())
    seen: list[Hashable] = []
    script: list[Hashable] = [0, 1, 2, 3, 3, 3, 3]
    settled = asyncio.Event()

    def signature() -> Hashable:
        seen.append(script.pop(0) if len(script) > 1 else script[0])
        if len(script) == 1:
            settled.set()
        return seen[-1]

    stage.world = replace(stage.world, signature=signature)
    read_at: list[list[Hashable]] = []

    def load() -> Definitions:
        read_at.append(list(seen))
        return stage.load()

    stage.world = replace(stage.world, load=load)

    async with running(stage):
        async with asyncio.timeout(LIMIT_S):
            await settled.wait()

    assert read_at[0] == [0]
    assert [one[-1] for one in read_at[1:]] == [3]
    assert read_at[1].count(3) >= 2


async def test_loop_notices_a_stepped_clock() -> None:
    """A clock that NTP sets forward while the loop waits is noticed, and what is due by it is sent, once."""
    clock = Offset()
    stage = Stage(MemoryLedger(), clock)
    stage.world = replace(stage.world, is_synchronised=lambda: True)
    stage.define(a_milestone(M, in_days(stage, 3)))

    async with running(stage):
        await stage.until(lambda: len(stage.lines()) == 1)
        clock.by = timedelta(days=8)
        await stage.until(lambda: len(stage.lines()) == 2)
        clock.by = timedelta(days=2)

    steps = [one["by_s"] for one in stage.events if one["event"] == "clock.stepped"]
    assert steps[0] == pytest.approx(8 * 86_400, abs=1)
    assert len(stage.lines()) == 2


async def test_what_another_process_says_is_taken_up(tmp_path: Path) -> None:
    """Done, said by another process, is told, and what is counted from it moves; within a second or two."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    stage = Stage(await open_ledger(url), Offset())
    base = in_days(stage, 5)
    stage.define(a_milestone(M, base), a_milestone("u/next", after=(M, "20d")))
    other = await open_ledger(url)

    async with running(stage):
        await stage.until(lambda: len(stage.lines()) == 2)
        scene = Scene(other, at="2026-01-01", config=stage.scene.config)
        scene.clock.at = stage.clock.now()
        await scene.act(ActionKind.DONE, M, done_on=f"{stage.clock.now():%Y-%m-%d}")
        await stage.until(lambda: any(line.endswith(" done") for line in stage.lines()))
        async with asyncio.timeout(LIMIT_S):
            while "milestone.moved" not in stage.names():
                await other.read_version()

    await other.close()
    assert [one.get("milestone") for one in stage.events if one["event"] == "milestone.moved"] == ["u/next"]


async def test_two_nodes_leave_each_other_in_peace(tmp_path: Path) -> None:
    """What one node writes of itself makes no other reconcile, and neither sends what the other has sent."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    ledgers = [Watched(await open_ledger(url)) for _ in range(2)]
    stages = [Stage(one, Offset(), node=f"node-{number}") for number, one in enumerate(ledgers)]
    for stage in stages:
        stage.define(a_milestone(M, in_days(stage, 5)))

    async with running(stages[0]), running(stages[1]):
        # Each asks once a second whether the other has written.
        for one in ledgers:
            await one.until_called("read_version", 3)

    # One of them leads, and reconciles once.
    assert [one.calls.count("read_timelines") for one in ledgers] == [1, 0]
    assert sum(len(stage.lines()) for stage in stages) == 1


async def test_full_channel_makes_no_spin() -> None:
    """While all places of a channel are taken by sends that hang, the loop looks now and then."""
    watched = Watched(MemoryLedger())
    stage = Stage(watched, Offset())
    notifier = ControlledNotifier()
    stage.notifiers["desk/hook"] = notifier
    stage.world = replace(stage.world, files_every_s=60)
    one_each = replace(stage.scene.config.route, group_by=("milestone",))
    stage.scene.config = replace(stage.scene.config, route=one_each)
    stage.define(*(a_milestone(f"t/m{i}", in_days(stage, 5)) for i in range(30)))

    async with running(stage):
        await watched.until_called("read_version", 2)
        looks = watched.calls.count("find_due")
        notifier.released.set()

    # Two seconds with five looks in each, and those that the first ones and the chores cause.
    assert notifier.most == 8
    assert looks < 20


async def test_what_is_forgotten_holds_nothing_up() -> None:
    """What went long ago is forgotten some at a time, and between what is due is seen to."""
    watched = Watched(MemoryLedger())
    long_ago = when("2020-01-01")
    gone = [
        a_record(f"old/m{i}", withdrawn=True, loaded_at=long_ago, changed_at=long_ago) for i in range(450)
    ]
    await watched.apply(Changes(records=tuple(gone)))
    stage = Stage(watched, Offset())
    stage.define(a_milestone(M, in_days(stage, 5)))

    async with running(stage) as daemon:
        daemon._timer.want(Chore.PRUNE)
        await watched.until_called("prune", 4)

    pruned = [one["milestones"] for one in stage.events if one["event"] == "ledger.pruned"]
    assert pruned == [200, 200, 50]
    looks = [name for name in watched.calls if name in ("prune", "find_due")]
    first, last = looks.index("prune"), len(looks) - 1 - looks[::-1].index("prune")
    assert ("prune", "prune") not in list(pairwise(looks[first : last + 1]))


async def test_drain_has_a_limit() -> None:
    """A receiver that hangs keeps no daemon from stopping; what it was sent is sent again later."""
    memory = MemoryLedger()
    stage = Stage(memory, Offset())
    notifier = ControlledNotifier()
    stage.notifiers["desk/hook"] = notifier
    stage.define(a_milestone(M, in_days(stage, 5)))
    started = stage.clock.monotonic()

    async with running(stage):
        async with asyncio.timeout(LIMIT_S):
            await notifier.was_called.wait()

    found, tries, _ = (await memory.find_deliveries())[0]
    assert stage.clock.monotonic() - started < 3
    assert found.state == "ready"
    assert [one.outcome for one in tries] == ["unknown"]
    assert stage.events[-1]["unsettled"] == 0


async def test_bug_in_the_loop_is_said_before_it_ends() -> None:
    """An error that is none of the ledger's ends the daemon, is logged, and is raised."""
    ledger: Any = Failing(MemoryLedger())
    stage = Stage(ledger, Offset())
    daemon = stage.daemon()
    await daemon.start()
    ledger.find_due = None  # a bug

    with pytest.raises(TypeError):
        await daemon.run()

    assert stage.names("daemon.failed", "daemon.stopped") == ["daemon.failed", "daemon.stopped"]


async def test_service_manager_is_told_in_order(tmp_path: Path) -> None:
    """READY after the first look, RELOADING with its time and READY again, and STOPPING last."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.setblocking(False)
    stage = Stage(MemoryLedger(), Offset())
    stage.define(a_milestone(M, "2099-09-30"))
    stage.world = replace(stage.world, systemd=Systemd(address=str(tmp_path / "notify"), watchdog_s=0.3))
    said: list[str] = []

    async def hear(last: str, more: int = 1) -> None:
        async with asyncio.timeout(LIMIT_S):
            while sum(one.startswith(last) for one in said) < more:
                said.append((await asyncio.get_running_loop().sock_recv(manager, 4096)).decode())

    async with running(stage):
        await hear("READY=1")
        os.kill(os.getpid(), signal.SIGHUP)
        await hear("READY=1", 2)
        await hear("WATCHDOG=1", 5)
        os.kill(os.getpid(), signal.SIGTERM)
        await hear("STOPPING=1")
    manager.close()

    order = [one.partition("=")[0] for one in said if not one.startswith(("WATCHDOG", "STATUS"))]
    assert order == ["READY", "RELOADING", "READY", "STOPPING"]
    reloading = next(one for one in said if one.startswith("RELOADING"))
    monotonic = int(reloading.partition("MONOTONIC_USEC=")[2])
    assert abs(monotonic / 1e6 - stage.clock.monotonic()) < LIMIT_S
    assert "STATUS=nothing to remind of" in next(one for one in said if one.startswith("READY"))


async def test_dead_delivery_takes_its_way_in_the_loop() -> None:
    """What fails is retried by the schedule in the ledger, without anybody asking."""
    stage = Stage(MemoryLedger(), StepClock(when("2026-09-24")))
    stage.define(a_milestone(M, A))
    daemon = stage.daemon()
    await daemon.start()
    recorder = Recorder(clock=stage.clock.now, answers=[Retry(reason="503")], log=stage.told)
    stage.notifiers["desk/hook"] = recorder
    stage.scene.config = replace(stage.scene.config, catch_up=timedelta(days=34))
    await daemon.reload()

    first = await turns(daemon)
    assert first is not None
    stage.clock.at = first  # type: ignore[attr-defined]
    await turns(daemon)

    assert [one.message.attempt for one in stage.told] == [1, 2]
    assert stage.names("delivery.retried", "delivery.sent") == ["delivery.retried", "delivery.sent"]


def a_span(text: str) -> timedelta:
    """``5d10h`` or ``-5d``."""
    sign = -1 if text.startswith("-") else 1
    days, _, hours = text.lstrip("-").partition("d")
    return sign * timedelta(days=int(days), hours=int(hours.rstrip("h") or 0))
