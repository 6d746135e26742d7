"""What a node's configuration does not know it leaves alone; after an hour the fallback receiver gets it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.core.config import Config
from alertd.core.ledger.records import DeliveryState, ReminderState
from alertd.core.reason import MembersUnwanted, NotConfigured
from alertd.engine.daemon import Daemon
from alertd.engine.health import read_health
from alertd.engine.known import LEFT_ALONE_FOR
from alertd.engine.timer import Chore
from alertd.ports import Ledger
from tests.engine.test_daemon import Stage, turns
from tests.scene import ROOT, StepClock, a_config, a_ledger, a_milestone, a_receiver, when

AT = "2026-09-23T09:00"
BEFORE = a_config("desk", "spare", "ops", fallback_receiver="spare", operator="ops")
WITHOUT_DESK = a_config(
    "spare", "ops", route=replace(ROOT, receiver="ops"), fallback_receiver="spare", operator="ops"
)
NAMES = [f"t/m{number}" for number in range(3)]


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


def stage_of(
    ledger: Ledger, config: Config, *, clock: StepClock | None = None, node: str = "node-1"
) -> Stage:
    stage = Stage(ledger, clock or StepClock(when("2026-09-23T08:59")), node=node)
    stage.scene.config = config
    stage.define(*(a_milestone(name, "2026-09-30") for name in NAMES))
    stage.digest = f"files of {node}"
    return stage


async def planned(ledger: Ledger) -> StepClock:
    """A ledger that owes reminders to ``desk``, by a node that has ended. They are due in a minute."""
    clock = StepClock(when("2026-09-23T08:59"))
    daemon = stage_of(ledger, BEFORE, clock=clock).daemon()
    await daemon.start()
    await turns(daemon)
    await ledger.retire("node-1")
    return clock


async def started(
    ledger: Ledger, config: Config, clock: StepClock, other: str = "2031-09-30"
) -> tuple[Stage, Daemon]:
    """A node whose configuration has no ``desk``, and whose file of the milestones cannot be read.

    Args:
        other: the deadline of the only milestone in its other file.
    """
    stage = stage_of(ledger, config, clock=clock, node="node-2")
    stage.define(a_milestone("u/other", other))
    found = replace(stage.load(), broken=frozenset({"milestones/t.yaml"}))
    stage.world = replace(stage.world, load=lambda: found)
    daemon = stage.daemon()
    await daemon.start()
    return stage, daemon


async def pending(ledger: Ledger) -> list[str]:
    """The milestones whose last due reminder for ``desk`` is pending."""
    return [
        owed.milestone
        for name in NAMES
        for owed in await ledger.read_owed(name)
        if owed.state is ReminderState.PENDING and owed.receiver == "desk" and owed.at == when(AT)
    ]


def notices(stage: Stage) -> list[str]:
    """The subjects of the notices that the operator got, besides the one about the broken file."""
    told = [one.message for one in stage.told if one.channel == "ops/hook" and not one.message.items]
    return [message.subject for message in told if not message.subject.startswith("A definition file")]


async def audit(daemon: Daemon) -> list[str]:
    daemon._timer.want(Chore.AUDIT, Chore.REPORT)
    await daemon._look()
    assert daemon.status.audit is not None
    return [str(finding) for finding in daemon.status.audit.findings]


async def test_another_node_sends_what_one_does_not_know(ledger: Ledger) -> None:
    """In a rolling deploy the new node decides nothing about the receiver that only the old one has."""
    clock = await planned(ledger)
    _, new = await started(ledger, WITHOUT_DESK, clock)
    clock.advance(when(AT))

    next_at = await turns(new)
    left = await pending(ledger)
    old_stage = stage_of(ledger, BEFORE, clock=clock, node="node-3")
    old = old_stage.daemon()
    await old.start()
    await turns(old)

    assert left == NAMES
    assert next_at is None or next_at > clock.now()
    assert old_stage.lines() == [f"{AT} desk {name} -7d" for name in NAMES]


async def test_leader_cancels_nothing_that_another_live_node_knows(ledger: Ledger) -> None:
    """In a rolling deploy the leader may have older files. When the other node has ended, its plan counts."""
    clock = StepClock(when("2026-09-23T08:59"))
    knows = stage_of(ledger, BEFORE, clock=clock).daemon()
    await knows.start()
    stage = stage_of(ledger, WITHOUT_DESK, clock=clock, node="node-2")
    stage.world = replace(stage.world, is_gone=lambda name: name == "node-1")
    leader = stage.daemon()
    await leader.start()

    left = await pending(ledger)
    await ledger.retire("node-1")
    leader._timer.want(Chore.REPORT)
    await leader._look()
    await leader._look()

    assert leader.status.leads
    assert (left, await pending(ledger)) == (NAMES, [])


async def test_after_an_hour_the_fallback_gets_it_and_the_operator_hears_once(ledger: Ledger) -> None:
    """No node has the receiver for an hour: its reminders go to the fallback, with one notice."""
    clock = await planned(ledger)
    stage, daemon = await started(ledger, WITHOUT_DESK, clock)
    clock.advance(when(AT))
    await turns(daemon)
    clock.advance(when(AT) + timedelta(minutes=30))
    await turns(daemon)
    findings, is_well = await audit(daemon), daemon.status.is_well
    health = await read_health(ledger, clock.now())
    early = [*notices(stage), *stage.lines("spare")]
    clock.advance(when(AT) + LEFT_ALONE_FOR)

    await turns(daemon)

    assert early == []
    assert any("put the receiver back into alertd.yaml" in wrong for wrong in health.wrong)
    assert findings == [
        "unknown receiver: 3 reminders for 'desk', which no node has in its configuration, "
        "the oldest for 30 minutes"
    ]
    assert is_well
    assert any("3 reminders for 'desk'" in wrong for wrong in health.wrong)
    assert sorted(line.split()[2] for line in stage.lines("spare")) == NAMES
    assert notices(stage) == ["desk is not in the configuration"]
    assert await pending(ledger) == []
    assert await audit(daemon) == []


async def test_without_a_fallback_it_stays_pending_and_the_operator_hears(ledger: Ledger) -> None:
    """Nothing final comes of it: a receiver that comes back gets its reminders."""
    clock = await planned(ledger)
    without = replace(WITHOUT_DESK, fallback_receiver="")
    stage, daemon = await started(ledger, without, clock)
    clock.advance(when(AT) + LEFT_ALONE_FOR)
    await turns(daemon)
    await audit(daemon)
    next_at = await turns(daemon)
    left = await pending(ledger)
    back = stage_of(ledger, BEFORE, clock=clock, node="node-3")
    again = back.daemon()
    await again.start()
    await turns(again)

    assert notices(stage) == ["desk is not in the configuration"]
    assert next_at is None or next_at > clock.now()
    assert left == NAMES
    assert sorted(line.split()[2] for line in back.lines()) == NAMES


async def test_delivery_of_a_removed_receiver_goes_to_the_fallback_once(ledger: Ledger) -> None:
    """A receiver with two notifiers is removed while both have deliveries: the fallback gets one message."""
    two = replace(BEFORE, receivers={**BEFORE.receivers, "desk": a_receiver("desk", "hook", "mail")})
    clock = StepClock(when("2026-09-23T08:59"))
    stage = stage_of(ledger, two, clock=clock)
    first = stage.daemon()
    await first.start()
    clock.advance(when(AT))
    await first._reloader.active.binder.bind(clock.now())
    await ledger.retire("node-1")
    bound = await ledger.find_deliveries(state=DeliveryState.READY)
    new_stage, new = await started(ledger, WITHOUT_DESK, clock)

    await turns(new)
    early = [*notices(new_stage), *new_stage.lines("spare")]
    clock.advance(clock.now() + LEFT_ALONE_FOR)
    await turns(new)

    assert sorted(one.channel for one, _, _ in bound) == ["desk/hook", "desk/mail"]
    assert early == []
    assert sorted(line.split()[2] for line in new_stage.lines("spare")) == NAMES
    dead = await ledger.find_deliveries(state=DeliveryState.DEAD)
    assert sorted(one.reason.channel for one, _, _ in dead if isinstance(one.reason, NotConfigured)) == [
        "desk/hook",
        "desk/mail",
    ]
    assert notices(new_stage) == ["desk is not in the configuration"]


async def test_delivery_that_the_routes_send_elsewhere_is_not_sent_twice(ledger: Ledger) -> None:
    """If the routes have a new receiver for it and the ledger owes it there, the fallback gets nothing."""
    clock = StepClock(when("2026-09-23T08:59"))
    stage = stage_of(ledger, BEFORE, clock=clock)
    first = stage.daemon()
    await first.start()
    clock.advance(when(AT))
    await first._reloader.active.binder.bind(clock.now())
    await ledger.retire("node-1")
    renamed = a_config(
        "front",
        "spare",
        "ops",
        route=replace(ROOT, receiver="front"),
        fallback_receiver="spare",
        operator="ops",
    )
    new_stage = stage_of(ledger, renamed, clock=clock, node="node-2")
    new = new_stage.daemon()
    await new.start()

    await turns(new)
    clock.advance(clock.now() + LEFT_ALONE_FOR)
    await turns(new)

    assert sorted(line.split()[2] for line in new_stage.lines("front")) == NAMES
    assert new_stage.lines("spare") == []
    (suppressed,) = await ledger.find_deliveries(state=DeliveryState.SUPPRESSED)
    assert isinstance(suppressed[0].reason, MembersUnwanted)


async def test_many_that_are_left_alone_take_no_place_of_others(ledger: Ledger) -> None:
    """More reminders of an unknown receiver than one transaction decides about hold up no other reminder."""
    clock = StepClock(when("2026-09-23T08:59"))
    stage = stage_of(ledger, BEFORE, clock=clock)
    stage.define(*(a_milestone(f"t/m{number:03}", "2026-09-30") for number in range(600)))
    await stage.daemon().start()
    await ledger.retire("node-1")
    new_stage, new = await started(ledger, WITHOUT_DESK, clock, other="2026-09-30")
    clock.advance(when(AT))

    next_at = await turns(new, number=3)

    assert f"{AT} ops u/other -7d" in new_stage.lines("ops")
    assert next_at is None or next_at > clock.now()


async def test_news_of_a_move_goes_to_the_fallback_when_no_node_knows_who_was_told(ledger: Ledger) -> None:
    """``desk`` was told the old date. Its news waits for a node that knows it; then the fallback gets it."""
    clock = StepClock(when(AT))
    before = stage_of(ledger, BEFORE, clock=clock).daemon()
    await before.start()
    await turns(before)
    await ledger.retire("node-1")
    stage = stage_of(ledger, WITHOUT_DESK, clock=clock, node="node-2")
    stage.define(
        a_milestone(NAMES[0], "2026-12-30"), *(a_milestone(name, "2026-09-30") for name in NAMES[1:])
    )
    daemon = stage.daemon()
    await daemon.start()
    damped_until = when(AT) + BEFORE.damping
    clock.advance(damped_until)
    await turns(daemon)
    early = stage.lines("spare")
    clock.advance(damped_until + LEFT_ALONE_FOR)

    await turns(daemon)

    assert early == []
    assert [line.split()[2:] for line in stage.lines("spare")] == [[NAMES[0], "moved"]]
    assert notices(stage) == ["desk is not in the configuration"]
