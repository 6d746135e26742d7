"""Planning does not hold up sending, and a change of a done date plans only what depends on it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from alertd.core.config import Definitions
from alertd.core.ledger.outcome import Sent
from alertd.core.ledger.records import ReminderState
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import ActionKind
from alertd.core.time.duration import Duration
from alertd.core.time.interval import NamedInterval, TimeInterval
from alertd.engine.reconcile import reconcile_dependents
from alertd.engine.reconcile_pass import AT_ONCE, PassOptions
from alertd.ports import Ledger
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_daemon import Stage, turns
from tests.scene import ROOT, Scene, StepClock, Watched, a_config, a_milestone, route_to, when

START = "2026-09-01T08:00"
SECOND = timedelta(seconds=1)
TIMELINES = 60


class Slow:
    """A ledger in which it takes a second to read a timeline, while ``is_slow``."""

    def __init__(self, ledger: Ledger, clock: StepClock) -> None:
        self._ledger = ledger
        self._clock = clock
        self.is_slow = False

    def __getattr__(self, name: str) -> Any:
        if name == "read_timeline" and self.is_slow:
            self._clock.advance(self._clock.at + SECOND)
        return getattr(self._ledger, name)


def due_at(name: str, at: str) -> Milestone:
    """A milestone with one reminder, an hour before its deadline."""
    policy = Policy(before=(Duration(seconds=3600),), on_day=False, after=(), opens=False)
    return a_milestone(name, f"{when(at) + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}", policy=policy)


async def test_reminder_is_not_late_because_of_a_reload() -> None:
    """During a reload of a minute, a reminder that falls due after ten seconds is sent then."""
    clock = StepClock(when(START))
    slow = Slow(MemoryLedger(), clock)
    stage = Stage(slow, clock)
    stage.define(
        due_at("soon/m", "2026-09-01T08:00:10"),
        *(a_milestone(f"t{number}/m", "2027-09-30") for number in range(TIMELINES)),
    )
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    slow.is_slow = True

    await daemon.reload()
    took = clock.at - when(START)
    await daemon.idle()

    assert took >= TIMELINES * SECOND
    (line,) = [one for one in stage.told if one.message.receiver == "desk"]
    assert line.at - when("2026-09-01T08:00:10") <= 3 * SECOND
    assert isinstance(line.outcome, Sent)


async def test_what_new_routes_plan_is_decided_about_by_the_new_routes() -> None:
    """A reload adds a muted route. What it plans falls due before the reload ends, and stays muted."""
    clock = StepClock(when(START))
    slow = Slow(MemoryLedger(), clock)
    stage = Stage(slow, clock)
    stage.scene.config = a_config("desk", "ops")
    stage.define(
        due_at("a/soon", "2026-09-01T08:00:10"),
        *(a_milestone(f"t{number}/m", "2027-09-30") for number in range(TIMELINES)),
    )
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    slow.is_slow = True
    always = NamedInterval(name="always", intervals=(TimeInterval(),))
    routes = (route_to("ops", go_on=True, mute=(always,)), route_to("desk"))
    stage.scene.config = a_config("desk", "ops", route=replace(ROOT, routes=routes))

    await daemon.reload()
    await daemon.idle()

    states = {owed.receiver: owed.state for owed in await slow.read_owed("a/soon")}
    assert states == {"desk": ReminderState.BOUND, "ops": ReminderState.PENDING}
    assert stage.lines("ops") == []


async def test_reminder_is_not_late_because_of_one_big_timeline() -> None:
    """The milestones of one timeline are written in parts, and what is due is sent between them."""
    watched = Watched(MemoryLedger())
    stage = Stage(watched, StepClock(when(START)))
    stage.define(*(a_milestone(f"t/m{number}", "2027-09-30") for number in range(3 * AT_ONCE)))

    await stage.daemon().start()

    assert watched.calls.count("apply") >= 3


async def test_done_date_plans_only_what_depends_on_it() -> None:
    """When one of 300 milestones is done, the two that count from it are planned, and no other is read."""
    memory = MemoryLedger()
    watched = Watched(memory)
    scene = Scene(memory, at=START)
    scene.define(
        a_milestone("t/base", "2026-10-31"),
        a_milestone("u/next", after=("t/base", "20d")),
        a_milestone("u/last", after=("u/next", "5d")),
        *(a_milestone(f"v/m{number}", "2027-09-30") for number in range(300)),
    )
    await scene.reconcile()
    await scene.act(ActionKind.DONE, "t/base", done_on="2026-09-01")
    definitions = Definitions(config=scene.config, timelines=scene.timelines)

    report = await reconcile_dependents(
        watched,
        definitions,
        PassOptions(now=scene.now),
        changed={"t/base"},
        done=await memory.read_done_dates(),
    )

    assert sorted(report.moved) == ["u/last", "u/next"]
    assert "read_timeline" not in watched.calls
    assert watched.calls.count("read_milestones") == watched.calls.count("apply") == 1
    assert not (await scene.reconcile()).changed


async def test_done_date_that_nothing_depends_on_reads_no_milestone() -> None:
    """Most milestones have no dependents. When one is done, nothing is planned."""
    memory = MemoryLedger()
    watched = Watched(memory)
    scene = Scene(memory, at=START)
    scene.define(a_milestone("t/base", "2026-10-31"), a_milestone("u/next", after=("t/base", "20d")))
    await scene.reconcile()
    await scene.act(ActionKind.DONE, "u/next", done_on="2026-09-01")
    definitions = Definitions(config=scene.config, timelines=scene.timelines)

    report = await reconcile_dependents(
        watched,
        definitions,
        PassOptions(now=scene.now),
        changed={"u/next"},
        done=await memory.read_done_dates(),
    )

    assert not report.changed
    assert watched.calls == []


async def test_base_in_a_broken_file_is_taken_from_the_ledger() -> None:
    """A dependent is planned although another base of its chain is in a file that cannot be read."""
    ledger = MemoryLedger()
    scene = Scene(ledger, at=START)
    scene.define(
        a_milestone("broken/base", "2026-10-31"), a_milestone("u/next", after=("broken/base", "20d"))
    )
    await scene.reconcile()
    await scene.act(ActionKind.DONE, "broken/base", done_on="2026-09-01")
    good = tuple(timeline for timeline in scene.timelines if timeline.id == "u")
    definitions = Definitions(
        config=scene.config, timelines=good, broken=frozenset({"milestones/broken.yaml"})
    )

    report = await reconcile_dependents(
        ledger,
        definitions,
        PassOptions(now=scene.now),
        changed={"broken/base"},
        done=await ledger.read_done_dates(),
    )

    assert report.moved == ["u/next"]
