"""A receiver that refuses everything with ``Retry-After`` is an outage, which everybody who watches sees."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from alertd.core.ledger.backpressure import REFUSED_FOR_S
from alertd.core.ledger.outcome import Retry
from alertd.engine.daemon import Daemon
from alertd.engine.health import read_health
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_daemon import Stage, turns
from tests.scene import Recorder, StepClock, a_milestone, when

NO_ANSWER = "ops/hook does not answer"
UNREACHED = "unreached: there is no way to tell the operator, by ops/hook"


async def list_wrong(stage: Stage, daemon: Daemon) -> tuple[str, ...]:
    """Audit, report, and list what ``alertd status`` finds wrong. The command fails if there is anything."""
    await daemon._chores.audit()
    await daemon._status.report(stage.scene.config)
    return (await read_health(stage.world.ledger, stage.clock.now())).wrong


@pytest.mark.parametrize("asked", [timedelta(seconds=1), timedelta(minutes=2), timedelta(hours=1)])
async def test_endless_refusals_reach_status_report_and_audit(asked: timedelta) -> None:
    """The operator's only channel refuses for ten minutes and then accepts, and all is well again."""
    stage = Stage(MemoryLedger(), StepClock(when("2026-09-24")))
    clock = stage.clock
    assert isinstance(clock, StepClock)
    refusal = Retry(reason="answered 503", after=asked)
    channel = Recorder(clock=clock.now, answers=[refusal] * 50, log=stage.told)
    stage.notifiers["ops/hook"] = channel
    route = replace(stage.scene.config.route, receiver="ops")
    stage.scene.config = replace(stage.scene.config, route=route, catch_up=timedelta(days=34))
    stage.define(a_milestone("t/m", "2026-09-30"))
    daemon = stage.daemon()
    await daemon.start()
    began = clock.now()

    while clock.now() < began + timedelta(seconds=REFUSED_FOR_S - 60):
        await turns(daemon, 3)
        clock.advance(clock.now() + timedelta(seconds=20))
    before = (daemon.status.paused, await list_wrong(stage, daemon))
    while clock.now() < began + timedelta(minutes=10):
        await turns(daemon, 3)
        clock.advance(clock.now() + timedelta(seconds=20))
    during = (daemon.status.paused, await list_wrong(stage, daemon))
    is_restarted = not daemon.status.is_well
    channel.answers.clear()
    clock.advance(clock.now() + timedelta(hours=2))
    await turns(daemon, 3)
    after = (daemon.status.paused, await list_wrong(stage, daemon))

    assert before == ((), ())
    assert during == (("ops/hook",), (f"the audit of node-1 found: {UNREACHED}", NO_ANSWER))
    assert after == ((), ())
    # A restart would forget what the receiver asked for, so the watchdog does not cause it.
    assert not is_restarted
