"""Nodes whose clocks differ from the ledger's: never early, and the difference is said."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alertd.core.planning.audit import DIFFERS_BY
from alertd.engine.clocks import ANSWERED_WITHIN_S, LedgerClock
from alertd.engine.daemon import Daemon
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_daemon import Stage, turns
from tests.engine.test_nodes import chores
from tests.scene import StepClock, a_ledger, a_log, a_milestone, when

NOW = when("2026-09-24T12:00")
MINUTE = timedelta(minutes=1)


class Shared(MemoryLedger):
    """A ledger that has a clock of its own, as PostgreSQL has, and takes its time to say what it shows."""

    def __init__(self, at: datetime, node: StepClock) -> None:
        super().__init__()
        self.at = at
        self.takes_s = 0.0
        self._node = node

    async def read_time(self) -> datetime | None:
        passes(self, self._node, self.takes_s)
        return self.at


def passes(ledger: Shared, node: StepClock, seconds: float) -> None:
    ledger.at += timedelta(seconds=seconds)
    node.advance(node.at + timedelta(seconds=seconds))


def a_clock(ahead: timedelta) -> tuple[LedgerClock, StepClock, Shared]:
    """Make a ledger clock, the node's own clock, which is ahead by ``ahead``, and the ledger."""
    node = StepClock(NOW + ahead)
    log, _ = a_log()
    return LedgerClock(node, log), node, Shared(NOW, node)


async def test_clock_that_is_ahead_is_held_back() -> None:
    """It shows the ledger's time, and goes on with the seconds that pass."""
    clock, node, ledger = a_clock(10 * MINUTE)
    before = clock.now()

    await clock.compare(ledger)
    after = clock.now()
    passes(ledger, node, 90)

    assert (before, after, clock.now()) == (NOW + 10 * MINUTE, NOW, NOW + timedelta(seconds=90))
    assert (clock.ahead, clock.differs) == (10 * MINUTE, True)


async def test_clock_that_is_behind_goes_by_itself() -> None:
    """Both must say that it is time: it is late, and that is said."""
    clock, _, ledger = a_clock(-10 * MINUTE)

    await clock.compare(ledger)

    assert clock.now() == NOW - 10 * MINUTE
    assert (clock.ahead, clock.differs) == (-10 * MINUTE, True)


async def test_step_forward_between_two_questions_moves_nothing() -> None:
    """The ledger's time is carried on by the clock that nobody can set."""
    clock, node, ledger = a_clock(timedelta())
    await clock.compare(ledger)

    node.step(timedelta(days=3))

    assert clock.now() == NOW


async def test_answer_that_took_its_time_holds_to_its_latest_hour_and_says_no_difference() -> None:
    """The ledger's clock was read at some time in between: never ahead of it, and the way is no skew."""
    clock, _, ledger = a_clock(timedelta())
    ledger.takes_s = ANSWERED_WITHIN_S - 0.1

    await clock.compare(ledger)

    assert clock.now() <= ledger.at
    assert abs(clock.ahead) <= timedelta(seconds=ANSWERED_WITHIN_S / 2)
    assert not clock.differs


async def test_answer_that_took_too_long_says_nothing() -> None:
    """Once there was one that did not."""
    clock, node, ledger = a_clock(timedelta())
    await clock.compare(ledger)
    ledger.takes_s, ledger.at = 60.0, ledger.at - timedelta(hours=1)

    await clock.compare(ledger)

    assert clock.now() == node.at
    assert clock.ahead == timedelta()


@pytest.mark.parametrize("kind", ["memory", "sql"])
async def test_ledger_without_a_clock_holds_nobody_back(kind: str, tmp_path: Path) -> None:
    """One machine goes by its own clock, once a step of it is confirmed."""
    node = StepClock(NOW)
    log, events = a_log()
    clock = LedgerClock(node, log)

    async with a_ledger(kind, tmp_path) as ledger:
        await clock.compare(ledger)
    node.step(timedelta(days=3))
    clock.trusted.confirm()

    assert (clock.now(), clock.ahead) == (node.at, timedelta())
    assert [one["event"] for one in events] == ["clock.confirmed"]


# -- a daemon


def a_node(ahead: timedelta) -> tuple[Stage, StepClock, Shared, Daemon]:
    """A daemon whose clock is so much ahead; its reminder is due at 13:00 by the true one."""
    node = StepClock(NOW + ahead)
    ledger = Shared(NOW, node)
    stage = Stage(ledger, node)
    milestone = a_milestone("t/m", "2026-09-24T14:00")
    policy = replace(milestone.policy, before=(), after=(), opens=False, at=when("2026-09-24T13:00").time())
    stage.define(replace(milestone, policy=policy))
    return stage, node, ledger, stage.daemon()


@pytest.mark.parametrize("ahead", [timedelta(), 30 * MINUTE, timedelta(days=2)])
async def test_node_whose_clock_is_ahead_sends_nothing_early(ahead: timedelta) -> None:
    """However far: until it is time by the ledger's clock nothing goes out, and then it does."""
    stage, node, ledger, daemon = a_node(ahead)
    await daemon.start()
    told = []
    for _ in range(2):
        await turns(daemon)
        told.append(len(stage.told))
        passes(ledger, node, 59 * 60)
        await turns(daemon)
        told.append(len(stage.told))
        passes(ledger, node, 61)

    assert told == [0, 0, 1, 1]


async def test_node_that_has_its_clock_set_while_it_runs_sends_nothing_early() -> None:
    """Also before it has asked the ledger again."""
    stage, node, ledger, daemon = a_node(timedelta())
    await daemon.start()
    node.step(timedelta(hours=5))
    await turns(daemon)
    early = len(stage.told)
    await chores(daemon, "lead")
    await turns(daemon)
    early += len(stage.told)
    passes(ledger, node, 3600)
    await turns(daemon)

    assert (early, len(stage.told)) == (0, 1)


async def test_clocks_that_differ_are_told_and_found_until_they_agree() -> None:
    """Once in the log, as a finding in the node's report, in its status; and when it is over."""
    stage, node, ledger, daemon = a_node(timedelta(seconds=12))
    await daemon.start()

    async def found() -> tuple[str, ...]:
        for _ in range(2):
            await chores(daemon, "lead")
        await daemon._chores.audit()
        await chores(daemon, "report")
        return (await ledger.read_nodes())[0].findings

    differing, ahead = await found(), daemon.status.clock_ahead
    node.step(-timedelta(seconds=12) + DIFFERS_BY / 2)
    agreeing = await found()

    assert differing == ("differs: this node's clock is 12 seconds ahead of the ledger's",)
    assert ahead == timedelta(seconds=12)
    assert agreeing == ()
    assert stage.names("clock.differed", "clock.agreed") == ["clock.differed", "clock.agreed"]
    # No restart would mend it.
    assert daemon.status.is_well
