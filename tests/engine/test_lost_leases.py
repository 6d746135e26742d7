"""A message that ends the process is found, given up on its channel and reported; nothing else suffers."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.ledger.records import DeliveryState, Lease
from alertd.core.message.message import Message
from alertd.core.reason import Answered, DeliveryFailed, LeasesLost, NotifierFailed, PlainReason
from alertd.engine.delivery import MAX_LOST_LEASES, ClockReading, Dispatcher
from alertd.engine.sender import Sender
from alertd.engine.suspects import ALONE_FOR_S, WAIT_ALONE_S
from alertd.ports import LEASE_FOR, Ledger, Settlement
from tests.engine.test_sender import ControlledNotifier, SenderStage, turn_of_the_loop
from tests.scene import MAX_TURNS, ROOT, Scene, a_config, a_ledger, a_log, a_milestone

AT = "2026-09-23T09:00"


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


async def a_scene(ledger: Ledger, *milestones: str) -> Scene:
    route = replace(ROOT, group_by=("milestone",))
    config = a_config("desk", "spare", "ops", route=route, fallback_receiver="spare", operator="ops")
    scene = Scene(ledger, at=AT, config=config)
    scene.define(*(a_milestone(name, "2026-09-30") for name in milestones))
    await scene.reconcile()
    while (await scene.binder().bind(scene.now)).more:
        pass
    return scene


async def lose(scene: Scene, times: int) -> None:
    """Lease what is ready and end, so many times, as a process does that a message ends."""
    for number in range(times):
        assert await scene.lease(f"node-{number}")
        scene.clock.advance(scene.now + LEASE_FOR + timedelta(seconds=1))


async def test_delivery_is_given_up_after_its_lost_leases(ledger: Ledger) -> None:
    """The fallback gets it, the operator is told once, and all leases are attempts with a reason."""
    scene = await a_scene(ledger, "t/m")

    await lose(scene, MAX_LOST_LEASES)
    await scene.turn()

    assert sorted(one.channel for one in scene.log) == ["ops/hook", "spare/hook"]
    (dead,) = await ledger.find_deliveries(state=DeliveryState.DEAD)
    assert dead[0].reason == LeasesLost(number=MAX_LOST_LEASES)
    assert [one.outcome for one in dead[1]] == ["unknown"] * MAX_LOST_LEASES + ["rejected"]
    assert dead[1][0].reason == PlainReason.LEASE_LOST


async def test_one_lost_lease_less_is_sent(ledger: Ledger) -> None:
    """Before that the delivery is sent as any other."""
    scene = await a_scene(ledger, "t/m")

    await lose(scene, MAX_LOST_LEASES - 1)
    await scene.turn()

    assert [one.channel for one in scene.log] == ["desk/hook"]


async def test_retry_starts_the_count_again(ledger: Ledger) -> None:
    """``alertd retry`` sends a delivery that was given up for its lost leases."""
    scene = await a_scene(ledger, "t/m")
    await lose(scene, MAX_LOST_LEASES)
    await scene.turn()
    (dead,) = await ledger.find_deliveries(state=DeliveryState.DEAD)

    await ledger.retry(dead[0].id, scene.now, "ada")
    await scene.turn()

    assert scene.log[-1].channel == "desk/hook"


# -- whatever raises


async def test_exception_outside_of_the_send_is_an_attempt(ledger: Ledger) -> None:
    """An exception before composing, here by a corrupt stop, is tried again later, with its reason."""
    scene = await a_scene(ledger, "t/m")
    (lease,) = await scene.lease()
    broken = replace(lease, prior={"": {"stop.answer": "x"}}, records={})

    settlement = await scene.deliver(broken)

    assert settlement.state is DeliveryState.READY
    assert settlement.reason == DeliveryFailed(error="KeyError")
    assert settlement.attempt is not None
    assert settlement.next_at is not None
    assert settlement.next_at > scene.now
    assert settlement.outcome is None
    assert [channel for channel, _ in scene.faults] == ["desk/hook"]


async def test_links_that_raise_are_an_attempt(ledger: Ledger) -> None:
    """An exception while the links are made is no end of the task, but an attempt."""
    scene = await a_scene(ledger, "t/m")
    (lease,) = await scene.lease()

    def links() -> None:
        raise PermissionError(13, "Permission denied")

    dispatcher = replace(scene.dispatcher(), links=links)
    settlement = await dispatcher.deliver(lease, reading(scene))

    assert settlement.reason == DeliveryFailed(error="PermissionError")


async def test_end_that_cannot_be_made_is_an_attempt(ledger: Ledger) -> None:
    """If making the settlement raises each time, the delivery is still tried again later."""
    scene = await a_scene(ledger, "t/m")
    (lease,) = await scene.lease()
    scene.clock.advance(scene.now + timedelta(seconds=1))
    no_limit = replace(scene.config, retry_for=None)  # type: ignore[arg-type]  # makes the sum raise
    dispatcher = replace(scene.dispatcher(), config=no_limit, links=raise_key_error)

    settlement = await dispatcher.deliver(lease, reading(scene))

    assert settlement.state is DeliveryState.READY
    assert settlement.reason == DeliveryFailed(error="KeyError")
    assert settlement.next_at is not None


async def test_exit_of_a_notifier_ends_nothing(ledger: Ledger) -> None:
    """A notifier that calls ``sys.exit`` has failed, and the process goes on."""
    scene = await a_scene(ledger, "t/m")
    (lease,) = await scene.lease()
    dispatcher = replace(scene.dispatcher(), notifiers={"desk/hook": Exits()})

    settlement = await dispatcher.deliver(lease, reading(scene))

    assert settlement.reason == NotifierFailed(error="SystemExit")
    assert settlement.state is DeliveryState.READY


async def test_settlement_that_cannot_be_written_holds_up_no_other(tmp_path: Path) -> None:
    """A settlement has text that no database takes: its delivery is tried again, the others are settled."""
    async with a_ledger("sql", tmp_path) as ledger:
        scene = await a_scene(ledger, "t/a", "t/b", "t/c")
        scene.recorder().answers = [Retry(reason="no"), Retry(reason="odd"), Sent()]
        sender = Sender(ledger, scene.clock, a_log()[0], node="node-1", on_finished=lambda: None)
        dispatcher = OddTexts(**{name: getattr(scene.dispatcher(), name) for name in Dispatcher.__slots__})
        sender.use(dispatcher.notifiers)

        await sender.start(dispatcher)
        await sender.wait_finished()

        found = [delivery for delivery, _, _ in await ledger.find_deliveries()]
        states = sorted(delivery.state.value for delivery in found)
        reasons = [delivery.reason for delivery in found]
    assert states == ["ready", "ready", "sent"]
    assert DeliveryFailed(error="UnicodeEncodeError") in reasons


CHECKS = {
    "attempt": "create trigger bad before insert on attempt when new.reason like '%bad%'"
    " begin select raise(abort, 'no bad reasons'); end",
    "remembered": "create trigger bad before insert on remembered begin select raise(abort, 'no state'); end",
}
"""Rules by which the database refuses rows for their content, by the table that has them."""


@pytest.mark.parametrize(
    ("table", "bad", "states"),
    [
        ("attempt", Retry(reason="bad"), ["ready", "ready", "sent"]),
        # It was sent, and is not sent again because of what cannot be remembered about it.
        ("remembered", Sent(state={"t/b": {"ts": "1"}}), ["ready", "sent", "sent"]),
    ],
)
async def test_settlement_that_the_database_refuses_holds_up_no_other(
    tmp_path: Path, table: str, bad: Outcome, states: list[str]
) -> None:
    """A plain attempt stands in its place, and the ledger does not count as failing."""
    async with a_ledger("file", tmp_path) as ledger:
        scene = await a_scene(ledger, "t/a", "t/b", "t/c")
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as other:
            other.execute(CHECKS[table])
        scene.recorder().answers = [Retry(reason="no"), bad, Sent()]
        sender = Sender(ledger, scene.clock, a_log()[0], node="node-1", on_finished=lambda: None)
        dispatcher = scene.dispatcher()
        sender.use(dispatcher.notifiers)

        await sender.start(dispatcher)
        await sender.wait_finished()

        found = await ledger.find_deliveries()
    assert sorted(delivery.state.value for delivery, _, _ in found) == states
    assert [delivery.reason for delivery, _, _ in found].count(PlainReason.UNRECORDED) == 1
    assert [len(attempts) for _, attempts, _ in found] == [1, 1, 1]


async def test_notice_that_the_database_refuses_holds_up_no_settlement(tmp_path: Path) -> None:
    """The notice is logged, and what was sent is settled."""
    async with a_ledger("file", tmp_path) as ledger:
        scene = await a_scene(ledger, *(f"t/m{number}" for number in range(6)))
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as other:
            other.execute(
                "create trigger bad before insert on delivery when new.notice is not null"
                " begin select raise(abort, 'no notices'); end"
            )
        scene.recorder().answers = [Retry(reason="no answer")] * 6
        log, events = a_log()
        sender = Sender(ledger, scene.clock, log, node="node-1", on_finished=lambda: None)
        dispatcher = scene.dispatcher()
        sender.use(dispatcher.notifiers)

        await sender.start(dispatcher)
        await sender.wait_finished()
        await sender.settle()

        tried = [attempts for _, attempts, _ in await ledger.find_deliveries() if attempts]
    assert len(tried) >= 5
    assert [one["channel"] for one in events if one["event"] == "notifier.failed"] == ["ops/hook"]


async def test_decision_that_the_database_refuses_holds_up_no_other(tmp_path: Path) -> None:
    """A reminder whose delivery cannot be written stays pending, and is reported; the others are bound."""
    async with a_ledger("file", tmp_path) as ledger:
        route = replace(ROOT, group_by=("milestone",))
        scene = Scene(ledger, at=AT, config=a_config("desk", route=route))
        scene.define(*(a_milestone(name, "2026-09-30") for name in ("t/a", "t/b", "t/c")))
        await scene.reconcile()
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as other:
            other.execute(
                "create trigger bad before update on owed when new.milestone = 't/b' and new.state = 'bound'"
                " begin select raise(abort, 'not this one'); end"
            )
        binder = scene.binder()

        bound = await binder.bind(scene.now)
        again = await binder.bind(scene.now)
        pending = await scene.offsets("t/b", "pending")

    assert len(bound.deliveries) == 2
    assert [*bound.failed] == [("t/b", "desk")]
    assert (again.deliveries, again.failed, again.more) == ((), {}, False)
    assert "-7d" in pending


# -- alone


async def lost_stage(times: int, *, lost: Mapping[str, int], fresh: int = 0) -> SenderStage:
    """A sender that starts after its node has ended so many times with the lost deliveries in flight.

    Args:
        fresh: how many deliveries wait on the channel ``other`` that were not in flight.
    """
    stage = SenderStage(desk=ControlledNotifier(), other=ControlledNotifier())
    await stage.fill(**lost, **({"other": fresh} if fresh else {}))
    for number in range(times):
        scene = stage.scene
        most = {"other/hook": 0} if fresh else {}
        leases = await scene.ledger.lease(
            f"gone-{number}", scene.now, duration=LEASE_FOR, limit=200, per_channel=8, most=most
        )
        assert len(leases) == sum(lost.values())
        scene.clock.advance(scene.now + LEASE_FOR + timedelta(seconds=1))
    stage.use()
    return stage


async def test_lost_once_is_sent_one_at_a_time_on_a_channel() -> None:
    """After one lost lease, one delivery for each channel is in flight, beside all others."""
    stage = await lost_stage(1, lost={"desk": 3, "other": 2})

    await stage.start()

    assert stage.sender.in_flight == {"desk/hook": 1, "other/hook": 1}
    lost = [event for event in stage.events if event["event"] == "lease.lost"]
    assert sorted((event["channel"], event["lost"]) for event in lost) == [
        ("desk/hook", 1),
        ("other/hook", 1),
    ]


async def test_lost_twice_is_sent_alone() -> None:
    """After two lost leases a delivery is alone in flight, and others follow when it has ended."""
    stage = await lost_stage(2, lost={"desk": 2})

    await stage.start()
    first = dict(stage.sender.in_flight)
    await stage.start()
    still = dict(stage.sender.in_flight)
    stage.notifiers["desk"].released.set()
    await stage.finish()
    stage.notifiers["desk"].released.clear()
    await stage.start()

    assert (first, still) == ({"desk/hook": 1}, {"desk/hook": 1})
    assert stage.sender.in_flight == {"desk/hook": 1}


async def test_nothing_is_started_beside_it_for_a_while() -> None:
    """Fresh deliveries wait while one is sent alone, but not for long if its receiver hangs."""
    stage = await lost_stage(2, lost={"desk": 1})
    await stage.start()
    await stage.fill(desk=1, other=1)

    await stage.start()
    beside = dict(stage.sender.in_flight)
    stage.scene.clock.advance(stage.scene.now + timedelta(seconds=ALONE_FOR_S))
    await stage.start()

    assert beside == {"desk/hook": 1}
    assert stage.sender.in_flight == {"desk/hook": 1, "other/hook": 1}


async def test_channel_that_hangs_does_not_hold_it_up_for_long() -> None:
    """A delivery that waits to be sent alone is sent beside others after a minute."""
    stage = await lost_stage(2, lost={"desk": 1}, fresh=1)

    await stage.start()
    at_first = dict(stage.sender.in_flight)
    stage.scene.clock.advance(stage.scene.now + timedelta(seconds=WAIT_ALONE_S))
    await stage.start()

    assert at_first == {"other/hook": 1}
    assert stage.sender.in_flight == {"desk/hook": 1, "other/hook": 1}


async def test_one_that_ends_the_process_is_found_among_many(ledger: Ledger) -> None:
    """Of 30 deliveries, one ends the process each time: it alone is given up, and all others arrive."""
    scene = await a_scene(ledger, *(f"t/m{number}" for number in range(30)))
    ends = 0
    for _ in range(MAX_LOST_LEASES + 3):
        ended = await run_node(scene, "t/m7", f"node-{ends}")
        ends += ended
        scene.clock.advance(scene.now + LEASE_FOR + timedelta(seconds=1))

    arrived = [line.split()[1] for line in scene.told("desk")]
    assert ends == MAX_LOST_LEASES
    assert sorted(set(arrived)) == sorted(f"t/m{number}" for number in range(30) if number != 7)
    assert scene.told("spare") == [line for line in scene.told("spare") if "t/m7" in line] != []
    assert len([one for one in scene.log if one.channel == "ops/hook"]) == 1
    counts = await ledger.count_rows()
    assert (counts["deliveries.dead"], counts["deliveries.ready"]) == (1, 0)


class OddTexts(Dispatcher):
    """A dispatcher with a bug: it does not clean the text ``odd``."""

    async def deliver(self, lease: Lease, leased: ClockReading) -> Settlement:
        settlement = await super().deliver(lease, leased)
        if settlement.reason != Answered(text="odd"):
            return settlement
        return replace(settlement, reason=Answered(text="\ud800"))


class Exits:
    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        raise SystemExit(1)

    async def aclose(self) -> None:
        return None


async def run_node(scene: Scene, culprit: str, node: str) -> bool:
    """Run a sender until it is idle, or until the culprit is sent, which ends it at once.

    Returns:
        whether it ended.
    """
    deadly = Deadly(scene, culprit)
    dispatcher = scene.dispatcher()
    dispatcher = replace(dispatcher, notifiers={**dispatcher.notifiers, "desk/hook": deadly})
    sender = Sender(scene.ledger, scene.clock, a_log()[0], node=node, on_finished=lambda: None)
    sender.use(dispatcher.notifiers)
    for _ in range(MAX_TURNS):
        await sender.start(dispatcher)
        while (sender.count or sender.leased_ahead) and not deadly.ended.is_set():
            await turn_of_the_loop()
        if deadly.ended.is_set():
            # What a process that has ended was doing is never settled.
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)
            return True
        await sender.settle()
        next_at = await scene.ledger.find_next_wake(scene.now)
        if next_at is None or next_at > scene.now:
            return False
    raise AssertionError("it never ends")


class Deadly:
    """Sends, until it is asked to send the culprit. Then everything stands still."""

    def __init__(self, scene: Scene, culprit: str) -> None:
        self.ended = asyncio.Event()
        self._scene = scene
        self._culprit = culprit

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        if any(item.milestone == self._culprit for item in message.items):
            self.ended.set()
        if self.ended.is_set():
            await asyncio.Event().wait()
        return await self._scene.recorder().send(message, prior)

    async def aclose(self) -> None:
        return None


def raise_key_error() -> None:
    raise KeyError("x")


def reading(scene: Scene) -> ClockReading:
    return ClockReading.take(scene.clock)
