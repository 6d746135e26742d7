"""Sends in flight: bounded over all and for each channel, settled in groups, never forgotten."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alertd.core.ledger.backpressure import TRIPS_AT
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.ledger.records import DeliveryState
from alertd.core.message.message import Message
from alertd.engine.delivery import Dispatcher
from alertd.engine.sender import MAX_IN_FLIGHT, MAX_ROUNDS, PER_CHANNEL, Sender
from alertd.errors import LedgerBusy
from alertd.ports import LEASE_FOR
from alertd.testing.memory_ledger import MemoryLedger
from tests.scene import ROOT, Scene, a_config, a_log, a_milestone, a_receiver, route_to, when

LIMIT_S = 5.0
SENT = Sent()
NO_ANSWER = Retry(reason="no answer within 10 s", unknown=True)


class Gate:
    """A notifier that does not answer before it is opened; ``answer`` is what it says then."""

    def __init__(self, *, is_open: bool = False, answer: Outcome = SENT) -> None:
        self.answer = answer
        self.opened = asyncio.Event()
        self.rung = asyncio.Event()
        self.entered: list[str] = []
        self.answered: list[str] = []
        self.most = 0
        self.closed = 0
        if is_open:
            self.opened.set()

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        self.entered.append(message.id)
        self.rung.set()
        self.most = max(self.most, len(self.entered) - len(self.answered))
        await self.opened.wait()
        self.answered.append(message.id)
        return self.answer

    async def aclose(self) -> None:
        self.closed += 1


class Airport:
    """Flights over a memory ledger, with as many deliveries ready for each channel as is asked for."""

    def __init__(self, **gates: Gate) -> None:
        self.gates = gates
        self.ledger: Any = MemoryLedger()
        routes = tuple(route_to(name, f'for="{name}"', group_by=("milestone",)) for name in gates)
        config = a_config(
            route=replace(ROOT, receiver=next(iter(gates)), routes=routes),
            receivers={name: a_receiver(name) for name in (*gates, "ops")},
            operator="ops",
        )
        self.scene = Scene(self.ledger, at="2026-09-23T09:00", config=config)
        self.log, self.events = a_log()
        self.landed = asyncio.Event()
        self.still_at_s = 0.0
        self.flights = Sender(
            self.ledger,
            self.scene.clock,
            self.log,
            on_finished=self.landed.set,
            stood_still=lambda since_s: self.still_at_s >= since_s,
        )

    def dispatcher(self) -> Dispatcher:
        notifiers = {f"{name}/hook": gate for name, gate in self.gates.items()}
        return replace(self.scene.dispatcher(), notifiers=notifiers, ledger=self.ledger)

    async def fill(self, **numbers: int) -> None:
        self.scene.define(
            *(
                a_milestone(f"t/{name}{i}", "2026-09-30", labels={"for": name})
                for name, number in numbers.items()
                for i in range(number)
            )
        )
        await self.scene.reconcile()
        while (await self.dispatcher().bind(self.scene.now)).more:
            pass

    def use(self) -> None:
        """From now on what each channel lets through is minded."""
        self.flights.use(self.dispatcher().notifiers)

    async def notices(self) -> list[str]:
        """What the operator is to be told."""
        found = [one for one, _, _ in await self.ledger.deliveries() if one.notice is not None]
        return [one.notice.headline for one in sorted(found, key=lambda one: one.bound_at)]

    async def take_off(self) -> None:
        dispatcher = self.dispatcher()
        await self.flights.start(dispatcher)
        await turn_of_the_loop()

    async def land(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.flights.wait_finished()

    async def states(self) -> Counter[str]:
        return Counter(one.state.value for one, _, _ in await self.ledger.deliveries(limit=1_000))


class Locked:
    """A ledger that refuses to settle, or something else, for a number of times."""

    def __init__(self, ledger: MemoryLedger, times: int, method: str = "settle") -> None:
        self._ledger = ledger
        self._times = times
        self._method = method

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._times:
            self._times -= 1
            raise LedgerBusy("locked")
        return getattr(self._ledger, name)


class Slow:
    """A ledger that takes its time to lease: whatever answers at once has landed by then.

    Attributes:
        unsettled: of what was sent, how much was not written down yet, each time that more was leased.
    """

    def __init__(self, ledger: MemoryLedger, gate: Gate) -> None:
        self._ledger = ledger
        self._gate = gate
        self.settled = 0
        self.unsettled: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def lease(self, *arguments: Any, **named: Any) -> Any:
        self.unsettled.append(len(self._gate.answered) - self.settled)
        leases = await self._ledger.lease(*arguments, **named)
        await turn_of_the_loop()
        return leases

    async def settle(self, settlements: Any) -> frozenset[str]:
        self.settled += len(settlements)
        return await self._ledger.settle(settlements)


async def turn_of_the_loop() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.wait([asyncio.ensure_future(asyncio.get_running_loop().create_future())], timeout=0)


async def test_what_has_landed_is_settled_before_more_takes_off() -> None:
    """However long the backlog and fast the receiver, a crash repeats what was in flight and no more."""
    gate = Gate()
    port = Airport(desk=gate)
    half = PER_CHANNEL // 2
    await port.fill(desk=half)
    port.ledger = slow = Slow(port.ledger, gate)
    port.flights = Sender(slow, port.scene.clock, port.log, on_finished=port.landed.set)
    await port.take_off()

    # From now on what is in flight has always landed when more has been leased, so that there is always room.
    gate.opened.set()
    await port.fill(desk=half + 2 * MAX_ROUNDS * half)
    await port.take_off()

    assert max(slow.unsettled) <= PER_CHANNEL
    # And it comes to an end, with much still waiting.
    assert len(gate.answered) == half + MAX_ROUNDS * half
    assert port.landed.is_set()


@pytest.mark.parametrize("landed", [0, 1, 5, 8])
async def test_channel_has_no_more_in_flight_than_its_places(landed: int) -> None:
    """However deliveries land and take off, a channel never holds more than its places."""
    gate = Gate()
    port = Airport(desk=gate)
    await port.fill(desk=30)
    await port.take_off()

    # Some land: as many may follow, and not one more.
    gate.opened.set()
    await port.land()
    gate.opened.clear()
    for _ in range(3):
        await port.take_off()

    assert gate.most == PER_CHANNEL
    assert len(gate.entered) == 2 * PER_CHANNEL
    assert port.flights.count == PER_CHANNEL


async def test_hanging_channels_keep_nobody_waiting() -> None:
    """However many channels hang, one that has nothing in flight is sent to."""
    hanging = {f"h{i}": Gate() for i in range(12)}
    fine = Gate(is_open=True)
    port = Airport(**hanging, fine=fine)
    await port.fill(**dict.fromkeys(hanging, 20), fine=3)

    for _ in range(3):
        await port.take_off()
        await port.flights.settle()

    assert len(fine.answered) == 3
    assert all(0 < gate.most <= PER_CHANNEL for gate in hanging.values())
    assert port.flights.count <= MAX_IN_FLIGHT + len(hanging)


async def test_lease_that_runs_out_in_flight_starts_no_second_one() -> None:
    """A wall clock that is stepped past the lease's end repeats nothing: what is on its way is settled."""
    gate = Gate()
    port = Airport(desk=gate)
    await port.fill(desk=1)
    await port.take_off()

    port.scene.clock.step(LEASE_FOR + timedelta(hours=8))
    await port.take_off()
    gate.opened.set()
    await port.land()

    assert len(gate.entered) == 1
    assert await port.states() == {"sent": 1}
    assert [one["event"] for one in port.events] == ["delivery.sent"]


async def test_what_a_stopped_node_cut_off_itself_is_no_failure_of_the_channel() -> None:
    """All time-outs go off at once when it goes on: each is tried again, the channel is not paused for it."""
    gate = Gate(answer=NO_ANSWER)
    port = Airport(desk=gate)
    port.use()
    await port.fill(desk=TRIPS_AT)
    await port.take_off()

    port.still_at_s = port.scene.clock.monotonic()
    gate.opened.set()
    await port.land()
    tries = [tries for one, tries, _ in await port.ledger.deliveries() if one.notice is None]

    assert not port.flights.paused
    assert await port.notices() == []
    assert [[one.outcome for one in of] for of in tries] == [["unknown"]] * TRIPS_AT

    # The same outcomes of a node that was awake are failures.
    port.still_at_s = 0.0
    port.scene.clock.advance(port.scene.now + timedelta(minutes=1))
    await port.take_off()
    await port.land()

    assert port.flights.paused == ("desk/hook",)
    assert await port.notices() == ["desk/hook does not answer"]


@pytest.mark.parametrize(
    "answer", [SENT, Rejected(reason="410"), Retry(reason="429", after=timedelta(hours=1))]
)
async def test_answer_that_came_is_one_whoever_stood_still(answer: Outcome) -> None:
    """An answer was written by the receiver: it ends a pause, or holds the channel, as ever."""
    gate = Gate(is_open=True, answer=NO_ANSWER)
    port = Airport(desk=gate)
    port.use()
    await port.fill(desk=TRIPS_AT + 1)
    await port.take_off()
    await port.land()
    paused = port.flights.paused
    # Its pause is over: one goes as a probe.
    port.scene.clock.advance(port.scene.now + timedelta(minutes=1))
    gate.answer, port.still_at_s = answer, 1e9
    await port.take_off()
    await port.land()

    held = isinstance(answer, Retry)
    assert paused == ("desk/hook",)
    assert port.flights.paused == (("desk/hook",) if held else ())
    assert ("desk/hook" in port.flights.find_shut()[0]) == held


async def test_news_of_a_channel_outlives_a_settlement_that_is_refused() -> None:
    """Another node has all that failed by now, and no end of it counts: the operator is told all the same."""
    gate = Gate(answer=NO_ANSWER)
    port = Airport(desk=gate)
    port.use()
    await port.fill(desk=TRIPS_AT)
    await port.take_off()

    # By the ledger's clock the leases have run out.
    later = port.scene.now + LEASE_FOR
    taken = await port.ledger.lease("node-2", later, for_=LEASE_FOR, limit=TRIPS_AT, per_channel=TRIPS_AT)
    gate.opened.set()
    await port.land()
    await port.flights.settle()

    assert len(taken) == TRIPS_AT
    assert [one["event"] for one in port.events].count("delivery.fenced") == TRIPS_AT
    assert await port.notices() == ["desk/hook does not answer"]


async def test_news_of_a_channel_is_kept_while_it_cannot_be_written() -> None:
    """And is written once, however often that was tried."""
    gate = Gate(is_open=True, answer=NO_ANSWER)
    port = Airport(desk=gate)
    port.flights = Sender(
        Locked(port.ledger, times=2, method="apply"),
        port.scene.clock,
        port.log,
        on_finished=port.landed.set,
    )
    port.use()
    await port.fill(desk=TRIPS_AT)
    await port.take_off()

    for _ in range(2):
        with pytest.raises(LedgerBusy):
            await port.flights.settle()
    for _ in range(2):
        await port.flights.settle()

    assert await port.notices() == ["desk/hook does not answer"]
    assert all(one.attempts == 1 for one, _, _ in await port.ledger.deliveries() if one.notice is None)


async def test_operator_is_told_of_its_own_channel_over_its_others() -> None:
    """Not over the one that does not answer, which would be one more message that waits for it."""
    port = Airport(ops=Gate(answer=NO_ANSWER, is_open=True))
    both = a_receiver("ops", "hook", "mail")
    port.scene.config = replace(port.scene.config, receivers={"ops": both})
    notifiers = {"ops/hook": port.gates["ops"], "ops/mail": Gate()}
    port.dispatcher = lambda: replace(port.scene.dispatcher(), notifiers=notifiers)  # type: ignore[method-assign]
    port.use()
    await port.fill(ops=TRIPS_AT)
    await port.take_off()
    await port.flights.settle()

    told = [one.channel for one, _, _ in await port.ledger.deliveries() if one.notice is not None]
    assert port.flights.paused == ("ops/hook",)
    assert told == ["ops/mail"]
    await port.flights.drain(0)


async def test_outcome_is_kept_while_it_cannot_be_written() -> None:
    """What cannot be settled now is settled later; nothing is sent a second time for it."""
    gate = Gate(is_open=True)
    port = Airport(desk=gate)
    await port.fill(desk=3)
    port.flights = Sender(
        Locked(port.ledger, times=2),
        port.scene.clock,
        port.log,
        on_finished=port.landed.set,
    )
    await port.take_off()

    for _ in range(2):
        with pytest.raises(LedgerBusy):
            await port.flights.settle()
    await port.flights.settle()

    assert await port.states() == {"sent": 3}
    assert len(gate.entered) == 3


async def test_drain_settles_what_lands_and_what_it_cuts_off() -> None:
    """Stopping waits for its limit; what has no answer by then is unknown, to be sent again soon."""
    slow, quick = Gate(), Gate(is_open=True)
    port = Airport(slow=slow, quick=quick)
    await port.fill(slow=2, quick=2)
    port.flights.use({"slow/hook": slow, "quick/hook": quick})
    await port.take_off()

    async with asyncio.timeout(LIMIT_S):
        unsettled = await port.flights.drain(0.05)

    found = await port.ledger.deliveries()
    ready = [(one, tries) for one, tries, _ in found if one.state is DeliveryState.READY]
    assert unsettled == 0
    assert await port.states() == {"sent": 2, "ready": 2}
    assert all(tries[0].outcome == "unknown" for _, tries in ready)
    assert all(one.next_at < when("2026-09-23T09:01") for one, _ in ready)
    assert (slow.closed, quick.closed) == (1, 1)


async def test_drain_counts_what_it_could_not_write_down() -> None:
    """When the ledger stays locked to the end, what is not settled is counted, and is sent again later."""
    gate = Gate(is_open=True)
    port = Airport(desk=gate)
    await port.fill(desk=2)
    port.flights = Sender(
        Locked(port.ledger, times=99),
        port.scene.clock,
        port.log,
        on_finished=port.landed.set,
    )
    await port.take_off()

    async with asyncio.timeout(LIMIT_S):
        unsettled = await port.flights.drain(0.05)

    assert unsettled == 2
    assert await port.states() == {"ready": 2}
    assert "ledger.failed" in {one["event"] for one in port.events}


async def test_reload_cancels_no_send() -> None:
    """Notifiers that were replaced are closed once, and not before what they send has landed."""
    gate = Gate()
    port = Airport(desk=gate)
    await port.fill(desk=1)
    port.flights.use({"desk/hook": gate})
    await port.take_off()

    port.flights.use({"desk/hook": Gate()})
    await port.flights.settle()
    closed_early = gate.closed
    gate.opened.set()
    await port.land()
    await port.flights.settle()

    assert (closed_early, gate.closed) == (0, 1)
    assert await port.states() == {"sent": 1}


async def test_landing_is_announced() -> None:
    """The loop is woken when something has landed."""
    gate = Gate(is_open=True)
    port = Airport(desk=gate)
    await port.fill(desk=1)

    await port.take_off()

    assert port.landed.is_set()
    assert port.flights.count == 0
