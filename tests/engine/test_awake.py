"""The retry horizon counts the time in which somebody could try, and no time in which alertd did not run."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alertd.core.ledger.outcome import Retry
from alertd.core.ledger.records import Delivery, DeliveryState
from alertd.core.milestones.policy import Policy
from alertd.core.time.duration import Duration
from alertd.engine.clocks import COMPARE_EVERY_S
from alertd.engine.daemon import Daemon
from alertd.ports import Ledger
from tests.engine.test_clock_monitor import a_machine
from tests.engine.test_daemon import Stage, turns
from tests.scene import Recorder, StepClock, a_ledger, a_milestone, when

M, A = "t/m", "2026-09-30"
NOW = when("2026-09-23T09:00")
HOUR = timedelta(hours=1)
RETRY_FOR = 72 * HOUR


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


def a_stage(ledger: Ledger, clock: StepClock, node: str = "node-1", *, fails: int = 1000) -> Stage:
    """Make a stage whose receiver answers 503 so many times."""
    stage = Stage(ledger, clock, node)
    policy = Policy(before=(Duration(days=7),), on_day=False, after=(), opens=False)
    stage.define(a_milestone(M, A, policy=policy))
    answers = [Retry(reason="503")] * fails
    stage.notifiers["desk/hook"] = Recorder(clock=clock.now, answers=list(answers), log=stage.told)
    return stage


async def begun(stage: Stage) -> Daemon:
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon, 3)
    return daemon


async def read_delivery(ledger: Ledger) -> Delivery:
    found = [delivery for delivery, _, _ in await ledger.find_deliveries() if delivery.receiver == "desk"]
    return found[-1]


async def plays(daemon: Daemon, clock: StepClock, until: datetime) -> None:
    """Let time pass to each instant at which something is due."""
    while True:
        next_at = await turns(daemon, 2)
        if next_at is None or next_at >= until:
            clock.advance(until)
            return
        clock.advance(max(next_at, clock.at + timedelta(seconds=1)))


@pytest.mark.parametrize("tried", [True, False])
async def test_first_failure_after_a_long_time_off_is_not_final(ledger: Ledger, tried: bool) -> None:
    """The daemon was off for 80 hours, after a first attempt or right after it had bound the delivery."""
    clock = StepClock(NOW)
    first = a_stage(ledger, clock)
    daemon = first.daemon()
    await daemon.start()
    if tried:
        await turns(daemon, 3)
    else:
        await daemon._reloader.active.binder.bind(NOW)
    clock.advance(NOW + 80 * HOUR)

    second = a_stage(ledger, clock, "node-2")
    await begun(second)

    delivery = await read_delivery(ledger)
    assert delivery.attempts == 1 + tried
    assert delivery.state is DeliveryState.READY
    assert delivery.next_at > clock.at
    assert delivery.bound_at == NOW


async def test_time_off_is_added_to_the_horizon_once(ledger: Ledger) -> None:
    """10 hours of attempts, 80 hours off, then 62 hours more of attempts: then the delivery is dead."""
    clock = StepClock(NOW)
    daemon = await begun(a_stage(ledger, clock))
    await plays(daemon, clock, NOW + 10 * HOUR)
    off = (await read_delivery(ledger)).next_at
    clock.advance(off + 80 * HOUR)

    daemon = await begun(a_stage(ledger, clock, "node-2"))
    ends = NOW + RETRY_FOR + 80 * HOUR
    await plays(daemon, clock, ends - 2 * HOUR)
    before = (await read_delivery(ledger)).state
    await plays(daemon, clock, ends + HOUR)
    delivery = await read_delivery(ledger)

    assert before is DeliveryState.READY
    assert delivery.state is DeliveryState.DEAD
    assert delivery.settled_at is not None
    assert ends - 2 * HOUR <= delivery.settled_at <= ends


async def test_person_who_retries_gets_a_whole_horizon(ledger: Ledger) -> None:
    """The time off before that does not count again."""
    clock = StepClock(NOW)
    await begun(a_stage(ledger, clock))
    clock.advance(NOW + 80 * HOUR)
    daemon = await begun(a_stage(ledger, clock, "node-2"))
    shifted = (await read_delivery(ledger)).tried_from
    await plays(daemon, clock, NOW + 200 * HOUR)

    dead = await read_delivery(ledger)
    retried = await ledger.retry(dead.id, clock.at, "ada")

    assert shifted is not None
    assert dead.state is DeliveryState.DEAD
    assert (retried.tried_from, retried.horizon_start) == (None, clock.at)


async def test_machine_that_slept_has_not_tried(ledger: Ledger) -> None:
    """A laptop sleeps for 80 hours. Its first attempt afterwards fails, since the network is not up yet."""
    clock, asleep_s = StepClock(NOW), [0.0]
    stage = a_stage(ledger, clock, fails=2)
    stage.world = replace(stage.world, asleep=lambda: asleep_s[0])
    daemon = await begun(stage)

    clock.step(80 * HOUR)
    asleep_s[0] += 80 * 3600
    daemon._monitor.compare()
    await turns(daemon, 3)
    after = await read_delivery(ledger)
    await plays(daemon, clock, clock.at + HOUR)

    assert (after.state, after.attempts) == (DeliveryState.READY, 2)
    assert (await read_delivery(ledger)).state is DeliveryState.SENT


async def test_absence_is_measured_within_a_span() -> None:
    """A node was away before its start, while it was stopped and while its machine slept."""
    async with a_machine() as machine:
        began = machine.clock.at
        machine.passes(60)
        machine.monitor.compare()
        machine.sleeps(3600)
        now = machine.clock.at
        measure = machine.monitor.measure_absence

        assert measure(began - HOUR, began) == HOUR
        assert measure(began, now) == HOUR + timedelta(seconds=60 - COMPARE_EVERY_S)
        assert measure(now - timedelta(minutes=10), now) == timedelta(minutes=10)
        assert measure(now, now + HOUR) == timedelta()
