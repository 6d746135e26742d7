"""The clock monitor tells a clock that was set, a machine that slept and a node that stalled apart."""

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

from alertd.engine.clocks import COMPARE_EVERY_S, STALLED_AFTER_S, ClockMonitor
from alertd.system.clock import SystemClock, read_suspended_s
from tests.scene import StepClock, a_log, when

NOW = when("2026-09-24T12:00")


class Machine:
    """A machine whose clocks are moved by hand, and the clock monitor of a node on it.

    Attributes:
        stepped: how often the monitor has reported that waits must begin again.
    """

    def __init__(self) -> None:
        self.clock = StepClock(NOW)
        self.asleep_s = 0.0
        self.stepped = 0
        self.log, self.events = a_log()
        self.monitor = ClockMonitor(self.clock, self.log, lambda: self.asleep_s, on_step=self._step)

    def passes(self, seconds: float) -> None:
        self.clock.advance(self.clock.at + timedelta(seconds=seconds))

    def sleeps(self, seconds: float) -> None:
        """Suspend the machine, which stops the monotonic clock."""
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
    machine.monitor.start()
    try:
        yield machine
    finally:
        machine.monitor.stop()


async def test_comparison_in_time_logs_nothing() -> None:
    """A comparison that comes in time, or a little late, logs nothing."""
    async with a_machine() as machine:
        for late_s in (0.0, 0.3, STALLED_AFTER_S):
            machine.passes(COMPARE_EVERY_S + late_s)
            machine.monitor.compare()

        assert (machine.said(), machine.stepped) == ([], 0)
        assert not machine.monitor.has_stalled_since(0.0)


async def test_node_that_was_stopped_has_stalled() -> None:
    """All clocks went on without the node. A send that began before spans the stall; a later one does not."""
    async with a_machine() as machine:
        before_s = machine.clock.monotonic()
        machine.passes(60)

        # Timeouts expire before the next comparison.
        assert machine.monitor.has_stalled_since(before_s)
        machine.passes(COMPARE_EVERY_S)
        machine.monitor.compare()
        assert not machine.monitor.has_stalled_since(machine.clock.monotonic() - COMPARE_EVERY_S / 2)
        assert (machine.said(), machine.stepped) == ([("node.stalled", 59.0, 0.0)], 0)


async def test_machine_that_slept_has_stalled_and_begins_its_waits_again() -> None:
    """The wall clock went on and the monotonic clock did not, but nobody has set a clock."""
    async with a_machine() as machine:
        before_s = machine.clock.monotonic()
        machine.sleeps(8 * 3600)

        assert machine.monitor.has_stalled_since(before_s)
        assert (machine.said(), machine.stepped) == ([("node.stalled", 28800.0, 28800.0)], 1)


@pytest.mark.parametrize("by_s", [3600.0, -3600.0, 3.0, -3.0])
async def test_clock_that_was_set_is_logged(by_s: float) -> None:
    """A clock may be set in either direction, and the node has not stalled."""
    async with a_machine() as machine:
        machine.passes(COMPARE_EVERY_S)
        machine.clock.step(timedelta(seconds=by_s))
        machine.monitor.compare()
        machine.monitor.compare()

        assert (machine.said(), machine.stepped) == ([("clock.stepped", by_s)], 1)
        assert not machine.monitor.has_stalled_since(0.0)


async def test_clock_that_was_set_while_the_machine_slept_is_both() -> None:
    """After an hour of sleep the clock shows two hours more."""
    async with a_machine() as machine:
        machine.sleeps(3600)
        machine.clock.step(timedelta(hours=1))
        machine.monitor.compare()

        assert machine.said() == [("node.stalled", 3600.0, 3600.0), ("clock.stepped", 3600.0)]
        assert machine.stepped == 1


async def test_comparisons_by_hand_may_come_late() -> None:
    """A demo that plays years in half a minute has not stalled."""
    machine = Machine()

    machine.passes(86_400)
    machine.monitor.compare()

    assert (machine.said(), machine.monitor.has_stalled_since(0.0)) == ([], False)


def test_machine_that_is_awake_has_not_slept() -> None:
    """The kernel's two clocks advance alike while the machine is awake."""
    before = read_suspended_s()

    assert abs(read_suspended_s() - before) < 1.0


PROGRAM = """
import asyncio, os, signal, sys
from alertd.system.clock import SystemClock, read_suspended_s
from alertd.engine.clocks import ClockMonitor
from tests.scene import a_log

async def main():
    log, events = a_log()
    monitor = ClockMonitor(SystemClock(), log, read_suspended_s)
    monitor.start()
    began_s = SystemClock().monotonic()
    answer = asyncio.get_running_loop().create_future()
    print("ready", flush=True)
    try:
        async with asyncio.timeout(2.0):
            await answer
    except TimeoutError:
        print(monitor.has_stalled_since(began_s), [str(one["event"]) for one in events], flush=True)
    monitor.stop()

asyncio.run(main())
"""


@pytest.mark.server
@pytest.mark.long
async def test_stopped_process_knows_that_its_timeout_says_nothing() -> None:
    """After SIGSTOP during a wait, and SIGCONT, the timeout that expires first is known as the node's own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        await process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        # Longer than a comparison may be late.
        stopped_s = SystemClock().monotonic()
        while SystemClock().monotonic() - stopped_s < COMPARE_EVERY_S + STALLED_AFTER_S + 0.5:
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.2)
        process.send_signal(signal.SIGCONT)
        said = await process.stdout.read()
        await process.wait()

    assert said.decode().split("\n")[0] == "True ['node.stalled']"
