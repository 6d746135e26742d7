"""The pulse: a clock that was set, a machine that slept, a node that stood still; told by three clocks."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from alertd.engine.clocks import BEAT_S, STILL_AFTER_S, ClockMonitor
from alertd.system.clock import SystemClock, read_suspended_s
from tests.scene import StepClock, a_log, when

NOW = when("2026-09-24T12:00")


class Machine:
    """A machine whose clocks are moved by hand, and the pulse of a node on it, which beats by itself.

    Attributes:
        stepped: how often the pulse has said that times must be counted anew.
    """

    def __init__(self) -> None:
        self.clock = StepClock(NOW)
        self.asleep_s = 0.0
        self.stepped = 0
        self.log, self.events = a_log()
        self.pulse = ClockMonitor(self.clock, self.log, lambda: self.asleep_s, on_step=self._step)

    def passes(self, seconds: float) -> None:
        self.clock.advance(self.clock.at + timedelta(seconds=seconds))

    def sleeps(self, seconds: float) -> None:
        """In suspend the monotonic clock stands still."""
        self.clock.step(timedelta(seconds=seconds))
        self.asleep_s += seconds

    def said(self) -> list[tuple[Any, ...]]:
        facts = ("event", "for_s", "asleep_s", "by_s")
        return [tuple(one[fact] for fact in facts if fact in one) for one in self.events]

    def _step(self) -> None:
        self.stepped += 1


@asynccontextmanager
async def a_machine() -> AsyncIterator[Machine]:
    machine = Machine()
    machine.pulse.start()
    try:
        yield machine
    finally:
        machine.pulse.stop()


async def test_even_pulse_says_nothing() -> None:
    """Beats that come in time, and a little late, are nothing."""
    async with a_machine() as machine:
        for late_s in (0.0, 0.3, STILL_AFTER_S):
            machine.passes(BEAT_S + late_s)
            machine.pulse.beat()

        assert (machine.said(), machine.stepped) == ([], 0)
        assert not machine.pulse.stood_still_since(0.0)


async def test_node_that_was_stopped_stood_still() -> None:
    """All clocks went on without it: what began before spans it, what begins afterwards does not."""
    async with a_machine() as machine:
        before_s = machine.clock.monotonic()
        machine.passes(60)

        # Asked before the next beat: time-outs go off first.
        assert machine.pulse.stood_still_since(before_s)
        machine.passes(BEAT_S)
        machine.pulse.beat()
        assert not machine.pulse.stood_still_since(machine.clock.monotonic() - BEAT_S / 2)
        assert (machine.said(), machine.stepped) == ([("node.stood_still", 59.0, 0.0)], 0)


async def test_machine_that_slept_stood_still_and_has_its_timers_set_anew() -> None:
    """The wall clock went on, the monotonic one did not: that is no clock that somebody has set."""
    async with a_machine() as machine:
        before_s = machine.clock.monotonic()
        machine.sleeps(8 * 3600)

        assert machine.pulse.stood_still_since(before_s)
        assert (machine.said(), machine.stepped) == ([("node.stood_still", 28800.0, 28800.0)], 1)


@pytest.mark.parametrize("by_s", [3600.0, -3600.0, 3.0, -3.0])
async def test_clock_that_was_set_is_told(by_s: float) -> None:
    """In either direction; the node did not stand still for it."""
    async with a_machine() as machine:
        machine.passes(BEAT_S)
        machine.clock.step(timedelta(seconds=by_s))
        machine.pulse.beat()
        machine.pulse.beat()

        assert (machine.said(), machine.stepped) == ([("clock.stepped", by_s)], 1)
        assert not machine.pulse.stood_still_since(0.0)


async def test_clock_that_was_set_while_the_machine_slept_is_both() -> None:
    """An hour of sleep after which the clock shows two hours more."""
    async with a_machine() as machine:
        machine.sleeps(3600)
        machine.clock.step(timedelta(hours=1))
        machine.pulse.beat()

        assert machine.said() == [("node.stood_still", 3600.0, 3600.0), ("clock.stepped", 3600.0)]
        assert machine.stepped == 1


async def test_beats_by_hand_may_take_their_time() -> None:
    """Who plays years in half a minute stands still nowhere."""
    machine = Machine()

    machine.passes(86_400)
    machine.pulse.beat()

    assert (machine.said(), machine.pulse.stood_still_since(0.0)) == ([], False)


def test_machine_that_is_awake_has_slept_no_more() -> None:
    """The kernel's two clocks run alike while nothing sleeps."""
    before = read_suspended_s()

    assert abs(read_suspended_s() - before) < 1.0


PROGRAM = """
import asyncio, os, signal, sys
from alertd.system.clock import SystemClock, read_suspended_s
from alertd.engine.clocks import Pulse
from tests.scene import a_log

async def main():
    log, events = a_log()
    pulse = Pulse(SystemClock(), log, read_suspended_s)
    pulse.start()
    began_s = SystemClock().monotonic()
    answer = asyncio.get_running_loop().create_future()
    print("ready", flush=True)
    try:
        async with asyncio.timeout(2.0):
            await answer
    except TimeoutError:
        print(pulse.stood_still_since(began_s), [str(one["event"]) for one in events], flush=True)
    pulse.stop()

asyncio.run(main())
"""


async def test_stopped_process_knows_that_its_own_time_out_says_nothing() -> None:
    """SIGSTOP in the middle of a wait, and SIGCONT: what goes off first then is known for what it is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        await process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        # Longer than a beat and all that may be late.
        stopped_s = SystemClock().monotonic()
        while SystemClock().monotonic() - stopped_s < BEAT_S + STILL_AFTER_S + 0.5:
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.2)
        process.send_signal(signal.SIGCONT)
        said = await process.stdout.read()
        await process.wait()

    assert said.decode().split("\n")[0] == "True ['node.stood_still']"
