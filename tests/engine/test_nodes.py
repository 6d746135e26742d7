"""Several nodes on one ledger: one leads, another takes over, and what they run is compared."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.engine.daemon import Daemon
from alertd.engine.leader import LEAD_FOR, LeaderLease
from alertd.engine.reconcile import reconcile
from alertd.engine.reconcile_pass import PassOptions
from alertd.engine.status import LIVE_FOR, find_differences
from alertd.engine.timer import Chore
from alertd.errors import LeadLost
from alertd.ports import Ledger, NodeReport
from alertd.system.node import is_gone, make_node_name
from tests.engine.test_daemon import Stage
from tests.scene import StepClock, a_ledger, a_log, a_milestone, when

M = "t/m"
NOW = when("2026-09-24")
SECOND = timedelta(seconds=1)


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


def a_lead(ledger: Ledger, clock: StepClock, node: str, **changes: object) -> LeaderLease:
    log, _ = a_log()
    return replace(LeaderLease(ledger=ledger, clock=clock, log=log, node=node), **changes)  # type: ignore[arg-type]


def a_stage(ledger: Ledger, clock: StepClock, node: str, *days: str) -> Stage:
    stage = Stage(ledger, clock, node=node)
    stage.define(*(a_milestone(f"t/{number}", day) for number, day in enumerate(days)))
    return stage


# -- the lead


async def test_another_takes_over_when_the_leader_is_silent(ledger: Ledger) -> None:
    """Who asks in time leads on; who does not has lost it to the next who asks, and is told so."""
    clock = StepClock(NOW)
    first, second = a_lead(ledger, clock, "a"), a_lead(ledger, clock, "b")

    assert await first.ask()
    assert not await second.ask()
    clock.advance(clock.at + LEAD_FOR / 2)
    assert not await first.ask()
    clock.advance(clock.at + LEAD_FOR - SECOND)
    assert not await second.ask()
    clock.advance(clock.at + SECOND)

    assert await second.ask()

    assert (second.held, await second.term()) == (True, 2)
    with pytest.raises(LeadLost):
        await first.term()
    assert not first.held


async def test_dead_leader_is_not_waited_for(ledger: Ledger) -> None:
    """Where it is known that the leader is dead, as on its own machine, its lead is taken at once."""
    clock = StepClock(NOW)
    await a_lead(ledger, clock, "a").ask()

    assert not await a_lead(ledger, clock, "b", is_gone=lambda node: node == "c").ask()
    assert await a_lead(ledger, clock, "b", is_gone=lambda node: node == "a").ask()


async def test_long_reconciliation_keeps_the_lead(ledger: Ledger) -> None:
    """It is asked for anew under way, so that nobody takes over from who is at work."""
    clock = StepClock(NOW)
    first, second = a_lead(ledger, clock, "a"), a_lead(ledger, clock, "b")
    await first.ask()

    for _ in range(10):
        clock.advance(clock.at + LEAD_FOR / 2)
        assert await first.term() == 1
        assert not await second.ask()


async def test_reconciliation_that_has_lost_the_lead_writes_no_more(ledger: Ledger) -> None:
    """What it has written by then is whole timelines; the new leader goes on from there."""
    clock = StepClock(NOW)
    lead = a_lead(ledger, clock, "a")
    await lead.ask()
    stage = a_stage(ledger, clock, "a")
    stage.define(a_milestone("t/m", "2026-10-30"), a_milestone("u/m", "2026-10-30"))
    files = stage.load()

    async def stalled() -> int:
        term = await lead.term()
        if await ledger.read_timelines():
            await ledger.take_lead("b", clock.at + LEAD_FOR, duration=LEAD_FOR)
        return term

    with pytest.raises(LeadLost):
        await reconcile(ledger, files, PassOptions(now=clock.at, term=stalled))
    half = await ledger.read_timelines()
    await reconcile(ledger, files, PassOptions(now=clock.at))

    assert set(half) == {"t"}
    assert set(await ledger.read_timelines()) == {"t", "u"}


# -- daemons


async def test_only_the_leader_reconciles(ledger: Ledger) -> None:
    """Nodes with different files do not undo what each other wrote; both send what is due."""
    clock = StepClock(NOW)
    first, second = a_stage(ledger, clock, "a", "2026-10-20"), a_stage(ledger, clock, "b", "2026-11-30")
    leader, follower = first.daemon(), second.daemon()
    await leader.start()
    await follower.start()

    await follower.reload()
    await follower.turn()

    record = await ledger.read_record("t/0")
    assert record is not None
    assert [one.edtf for one in record.values] == ["2026-10-20"]
    assert "lead.taken" in first.names()
    assert "lead.taken" not in second.names()
    # What was due is sent by whoever comes first.
    await follower.idle()
    assert len(second.lines()) == 1


async def test_follower_brings_its_files_in_line_when_it_takes_over(ledger: Ledger) -> None:
    """The files that it has read count from then on, also when they have not changed since."""
    clock = StepClock(NOW)
    first, second = a_stage(ledger, clock, "a", "2026-10-30"), a_stage(ledger, clock, "b", "2026-11-30")
    await first.daemon().start()
    follower = second.daemon()
    await follower.start()

    clock.advance(clock.at + LEAD_FOR)
    await chores(follower, "lead")

    record = await ledger.read_record("t/0")
    assert record is not None
    assert [one.edtf for one in record.values] == ["2026-11-30"]
    assert second.names("lead.taken", "milestone.moved") == ["lead.taken", "milestone.moved"]


async def test_leader_that_was_stalled_writes_nothing(ledger: Ledger) -> None:
    """A node that wakes after its time finds that another leads, says so once, and follows."""
    clock = StepClock(NOW)
    first, second = a_stage(ledger, clock, "a", "2026-10-30"), a_stage(ledger, clock, "b", "2026-10-30")
    stalled, other = first.daemon(), second.daemon()
    await stalled.start()
    await other.start()
    clock.step(LEAD_FOR)
    await chores(other, "lead")

    first.define(a_milestone("t/0", "2026-12-31"))
    await stalled.reload()
    await chores(stalled, "lead")

    record = await ledger.read_record("t/0")
    assert record is not None
    assert [one.edtf for one in record.values] == ["2026-10-30"]
    assert first.names("lead.lost") == ["lead.lost"]


async def test_nodes_that_differ_are_told_of_once(ledger: Ledger) -> None:
    """Each change of it is one line of the log; and one more when they agree again."""
    clock = StepClock(NOW)
    first, second = a_stage(ledger, clock, "a", "2026-10-30"), a_stage(ledger, clock, "b", "2026-10-30")
    daemon, other = first.daemon(), second.daemon()
    await daemon.start()
    await other.start()
    await chores(daemon, "report")
    agreed = daemon._status.differences

    second.digest = "another"
    await other.reload()
    for _ in range(3):
        await chores(daemon, "report")
    differed = daemon._status.differences
    second.digest = "d"
    await other.reload()
    await chores(daemon, "report")

    assert agreed == ()
    assert [str(one) for one in differed] == [
        "the daemons run different definitions: b runs another; a runs d"
    ]
    assert first.names("nodes.differed", "nodes.agreed") == ["nodes.differed", "nodes.agreed"]


async def chores(daemon: Daemon, *names: str) -> None:
    """What the daemon's own loop does when it is time for these."""
    daemon._timer.wanted |= {Chore(name) for name in names}
    await daemon._chores.do()


# -- comparing


def a_report(node: str, **changes: object) -> NodeReport:
    base = NodeReport(node=node, version="1.0", started_at=NOW, seen_at=NOW, config_id="c")
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        # nobody, one, and two of the same
        ([], []),
        ([a_report("a")], []),
        ([a_report("a"), a_report("b")], []),
        (
            [a_report("a"), a_report("b", version="1.1"), a_report("c")],
            ["the daemons run different versions: a and c run 1.0; b runs 1.1"],
        ),
        (
            [a_report("a", config_id="0123456789abcdef"), a_report("b")],
            ["the daemons run different definitions: a runs 0123456789ab; b runs c"],
        ),
        # one that has stopped, has not been seen for long, or has loaded nothing yet
        ([a_report("a"), a_report("b", version="2", stopped=True)], []),
        ([a_report("a"), a_report("b", version="2", seen_at=NOW - LIVE_FOR)], []),
        ([a_report("a"), a_report("b", config_id="")], []),
    ],
)
def test_live_nodes_are_compared(nodes: list[NodeReport], found: list[str]) -> None:
    """By the digest of their files and by their version, while they are alive."""
    assert [str(one) for one in find_differences(nodes, NOW)] == found


# -- names


@pytest.mark.server
def test_node_of_this_machine_is_known_to_be_dead() -> None:
    """While it runs it is not gone; afterwards it is. Of other machines and containers nothing is known."""
    program = "from alertd.system.node import make_node_name; print(make_node_name())"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    dead = done.stdout.strip()

    assert is_gone(dead)
    assert not is_gone(make_node_name())
    assert not is_gone("elsewhere:" + dead.rpartition(":")[2])
    assert not is_gone(dead + "1@1")
    assert not is_gone("")
    assert not is_gone("nonsense")
    assert str(os.getpid()) in make_node_name()
