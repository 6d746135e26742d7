"""Sends in flight: bounded over all and for each channel, settled in groups, never forgotten."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alertd.core.ledger.backpressure import REFUSED_FOR_S, TRIPS_AT
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.ledger.records import DeliveryState
from alertd.core.message.message import Message
from alertd.engine.backpressure import LIMITS
from alertd.engine.delivery import Dispatcher
from alertd.engine.sender import MAX_IN_FLIGHT, PER_CHANNEL, Sender
from alertd.errors import LedgerBusy
from alertd.ports import LEASE_FOR
from alertd.testing.memory_ledger import MemoryLedger
from tests.scene import ROOT, Scene, a_config, a_log, a_milestone, a_receiver, route_to, when

LIMIT_S = 5.0
SENT = Sent()
NO_ANSWER = Retry(reason="no answer within 10 s", unknown=True)


class ControlledNotifier:
    """A notifier that answers only once it is released. Its outcome is then ``answer``."""

    def __init__(self, *, is_released: bool = False, answer: Outcome = SENT) -> None:
        self.answer = answer
        self.released = asyncio.Event()
        self.was_called = asyncio.Event()
        self.started: list[str] = []
        self.answered: list[str] = []
        self.most = 0
        self.closed = 0
        if is_released:
            self.released.set()

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        self.started.append(message.id)
        self.was_called.set()
        self.most = max(self.most, len(self.started) - len(self.answered))
        await self.released.wait()
        self.answered.append(message.id)
        return self.answer

    async def aclose(self) -> None:
        self.closed += 1


class SenderStage:
    """A sender over a memory ledger, with as many deliveries ready for each channel as a test asks for."""

    def __init__(self, **notifiers: ControlledNotifier) -> None:
        self.notifiers = notifiers
        self.ledger: Any = MemoryLedger()
        routes = tuple(route_to(name, f'for="{name}"', group_by=("milestone",)) for name in notifiers)
        config = a_config(
            route=replace(ROOT, receiver=next(iter(notifiers)), routes=routes),
            receivers={name: a_receiver(name) for name in (*notifiers, "ops")},
            operator="ops",
        )
        self.scene = Scene(self.ledger, at="2026-09-23T09:00", config=config)
        self.log, self.events = a_log()
        self.finished = asyncio.Event()
        self.stalled_at_s = 0.0
        self.sender = self._make_sender(self.ledger)

    def dispatcher(self) -> Dispatcher:
        notifiers = {f"{name}/hook": notifier for name, notifier in self.notifiers.items()}
        return replace(self.scene.dispatcher(), notifiers=notifiers)

    def replace_sender(self, ledger: Any) -> None:
        """Use another ledger for sending from now on."""
        self.sender = self._make_sender(ledger)

    def _make_sender(self, ledger: Any) -> Sender:
        return Sender(
            ledger,
            self.scene.clock,
            self.log,
            node="node-1",
            on_finished=self.finished.set,
            has_stalled=lambda since_s: self.stalled_at_s >= since_s,
        )

    async def fill(self, **numbers: int) -> None:
        self.scene.define(
            *(
                a_milestone(f"t/{name}{i}", "2026-09-30", labels={"for": name})
                for name, number in numbers.items()
                for i in range(number)
            )
        )
        await self.scene.reconcile()
        while (await self.scene.binder().bind(self.scene.now)).more:
            pass

    def use(self) -> None:
        """Limit what each channel lets through from now on."""
        self.sender.use(self.dispatcher().notifiers)

    async def notices(self) -> list[str]:
        """List the headlines of the operator's notices."""
        found = [one for one, _, _ in await self.ledger.find_deliveries() if one.notice is not None]
        return [one.notice.headline for one in sorted(found, key=lambda one: one.bound_at)]

    async def start(self) -> None:
        dispatcher = self.dispatcher()
        await self.sender.start(dispatcher)
        await turn_of_the_loop()

    async def finish(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.sender.wait_finished()

    async def states(self) -> Counter[str]:
        return Counter(one.state.value for one, _, _ in await self.ledger.find_deliveries(limit=1_000))


class Locked:
    """A ledger whose method fails a number of times."""

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
    """A ledger that is slow to lease: sends that are answered at once have finished by then.

    Attributes:
        unsettled: how many answered sends were not settled yet, for each call of ``lease``.
    """

    def __init__(self, ledger: MemoryLedger, notifier: ControlledNotifier) -> None:
        self._ledger = ledger
        self._notifier = notifier
        self.settled = 0
        self.unsettled: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def lease(self, *arguments: Any, **named: Any) -> Any:
        self.unsettled.append(len(self._notifier.answered) - self.settled)
        leases = await self._ledger.lease(*arguments, **named)
        await turn_of_the_loop()
        return leases

    async def settle(self, settlements: Any) -> frozenset[str]:
        self.settled += len(settlements)
        return await self._ledger.settle(settlements)

    async def settle_and_begin(self, settlements: Any, *rest: Any, **named: Any) -> Any:
        self.settled += len(settlements)
        return await self._ledger.settle_and_begin(settlements, *rest, **named)


async def turn_of_the_loop() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.wait([asyncio.ensure_future(asyncio.get_running_loop().create_future())], timeout=0)


async def test_few_finished_sends_wait_to_be_settled() -> None:
    """However long the backlog and fast the receiver, a crash repeats only the last few sends."""
    notifier = ControlledNotifier(is_released=True)
    stage = SenderStage(desk=notifier)
    stage.use()
    await stage.fill(desk=900)
    slow = Slow(stage.ledger, notifier)
    stage.replace_sender(slow)
    stage.use()

    for _ in range(20):
        await stage.start()
    await stage.finish()

    # What was in flight or had begun, while the ledger was slow to lease more.
    assert max(slow.unsettled) <= LIMITS.per_fast_channel + LIMITS.begun_fast
    assert len(notifier.answered) == len(set(notifier.answered)) > 10 * LIMITS.begun
    assert stage.finished.is_set()


async def test_start_returns_although_much_still_waits() -> None:
    """One call of ``start`` leases a bounded number of deliveries, so that other work is not held up."""
    notifier = ControlledNotifier(is_released=True)
    stage = SenderStage(desk=notifier)
    stage.use()
    await stage.fill(desk=900)

    dispatcher = stage.dispatcher()
    await stage.sender.start(dispatcher)

    assert len(notifier.answered) + stage.sender.count + sum(stage.sender.leased_ahead.values()) <= 400


class LeasesSlowly:
    """A ledger that takes a turn of the loop to lease."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        await turn_of_the_loop()
        return await self._ledger.lease(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def test_places_are_taken_once_if_two_ask_at_once() -> None:
    """Two calls of ``start`` at once lease no more together than there are places."""
    notifier = ControlledNotifier()
    stage = SenderStage(desk=notifier)
    stage.replace_sender(LeasesSlowly(stage.ledger))
    stage.use()
    await stage.fill(desk=60)

    await asyncio.gather(stage.start(), stage.start())

    assert (notifier.most, stage.sender.count) == (PER_CHANNEL, PER_CHANNEL)
    notifier.released.set()
    await stage.finish()


@pytest.mark.parametrize("finished", [0, 1, 5, 8])
async def test_channel_has_no_more_in_flight_than_its_places(finished: int) -> None:
    """However sends start and finish, a channel never has more in flight than its places."""
    notifier = ControlledNotifier()
    stage = SenderStage(desk=notifier)
    await stage.fill(desk=60)
    await stage.start()
    at_first = notifier.most

    # Some finish: as many may follow, and no more.
    notifier.released.set()
    await stage.finish()
    notifier.released.clear()
    for _ in range(3):
        await stage.start()

    # The channel has shown that it is fast.
    assert at_first == PER_CHANNEL
    assert notifier.most == LIMITS.per_fast_channel
    assert len(notifier.started) == PER_CHANNEL + LIMITS.per_fast_channel
    assert stage.sender.count == LIMITS.per_fast_channel


async def test_hanging_channels_delay_no_other() -> None:
    """However many channels hang, a channel with nothing in flight is sent to."""
    hanging = {f"h{i}": ControlledNotifier() for i in range(12)}
    fine = ControlledNotifier(is_released=True)
    stage = SenderStage(**hanging, fine=fine)
    await stage.fill(**dict.fromkeys(hanging, 20), fine=3)

    for _ in range(3):
        await stage.start()
        await stage.sender.settle()

    assert len(fine.answered) == 3
    assert all(0 < notifier.most <= PER_CHANNEL for notifier in hanging.values())
    assert stage.sender.count <= MAX_IN_FLIGHT + len(hanging)


async def test_lease_that_runs_out_in_flight_starts_no_second_send() -> None:
    """A wall clock that is stepped past the lease's end repeats nothing: the send in flight is settled."""
    notifier = ControlledNotifier()
    stage = SenderStage(desk=notifier)
    await stage.fill(desk=1)
    await stage.start()

    stage.scene.clock.step(LEASE_FOR + timedelta(hours=8))
    await stage.start()
    notifier.released.set()
    await stage.finish()

    assert len(notifier.started) == 1
    assert await stage.states() == {"sent": 1}
    assert [one["event"] for one in stage.events] == ["delivery.sent"]


async def test_timeouts_of_a_stalled_node_are_no_failures_of_the_channel() -> None:
    """All timeouts expire at once when the node continues. Each send is tried again; no channel is paused."""
    notifier = ControlledNotifier(answer=NO_ANSWER)
    stage = SenderStage(desk=notifier)
    stage.use()
    await stage.fill(desk=TRIPS_AT)
    await stage.start()

    stage.stalled_at_s = stage.scene.clock.monotonic()
    notifier.released.set()
    await stage.finish()
    tries = [tries for one, tries, _ in await stage.ledger.find_deliveries() if one.notice is None]

    assert not stage.sender.paused
    assert await stage.notices() == []
    assert [[attempt.outcome for attempt in attempts] for attempts in tries] == [["unknown"]] * TRIPS_AT

    # The same outcomes of a node that has not stalled are failures.
    stage.stalled_at_s = 0.0
    stage.scene.clock.advance(stage.scene.now + timedelta(minutes=1))
    await stage.start()
    await stage.finish()

    assert stage.sender.paused == ("desk/hook",)
    assert await stage.notices() == ["desk/hook does not answer"]


@pytest.mark.parametrize(
    "answer", [SENT, Rejected(reason="410"), Retry(reason="429", after=timedelta(hours=1))]
)
async def test_answer_counts_although_the_node_stalled(answer: Outcome) -> None:
    """The receiver wrote the answer, so it resumes the channel, or pauses it for longer, as always."""
    notifier = ControlledNotifier(is_released=True, answer=NO_ANSWER)
    stage = SenderStage(desk=notifier)
    stage.use()
    await stage.fill(desk=TRIPS_AT + 1)
    await stage.start()
    await stage.finish()
    paused = stage.sender.paused
    # The pause is over: a single message is sent as a probe.
    stage.scene.clock.advance(stage.scene.now + timedelta(minutes=1))
    notifier.answer, stage.stalled_at_s = answer, 1e9
    await stage.start()
    await stage.finish()

    held = isinstance(answer, Retry)
    assert paused == ("desk/hook",)
    assert stage.sender.paused == (("desk/hook",) if held else ())
    assert ("desk/hook" in stage.sender.find_shut()[0]) == held


async def test_receiver_that_asks_to_wait_for_too_long_does_not_answer() -> None:
    """The operator is told during the wait, which is still kept, and again when a message is accepted."""
    notifier = ControlledNotifier(
        is_released=True, answer=Retry(reason="answered 503", after=timedelta(hours=1))
    )
    stage = SenderStage(desk=notifier)
    stage.use()
    await stage.fill(desk=1)
    began = stage.scene.now
    seen = []

    for after_s in (0.0, REFUSED_FOR_S - 1, REFUSED_FOR_S, 3599.0):
        stage.scene.clock.advance(began + timedelta(seconds=after_s))
        await stage.start()
        await stage.finish()
        seen.append((stage.sender.paused, len(notifier.started)))
    paused = [event for event in stage.events if event["event"] == "channel.paused"]
    notifier.answer = SENT
    stage.scene.clock.advance(began + timedelta(hours=2))
    await stage.start()
    await stage.finish()
    await stage.sender.settle()

    assert seen == [((), 1), ((), 1), (("desk/hook",), 1), (("desk/hook",), 1)]
    assert [event["reason"] for event in paused] == ["answered 503"]
    assert stage.sender.paused == ()
    assert await stage.notices() == ["desk/hook does not answer", "desk/hook answers again"]


async def test_notice_about_a_channel_survives_refused_settlements() -> None:
    """Another node has leased what failed, so no settlement counts; the operator is told all the same."""
    notifier = ControlledNotifier(answer=NO_ANSWER)
    stage = SenderStage(desk=notifier)
    stage.use()
    await stage.fill(desk=TRIPS_AT)
    await stage.start()

    # By the ledger's clock the leases have run out.
    later = stage.scene.now + LEASE_FOR
    taken = await stage.ledger.lease(
        "node-2", later, duration=LEASE_FOR, limit=TRIPS_AT, per_channel=TRIPS_AT
    )
    notifier.released.set()
    await stage.finish()
    await stage.sender.settle()

    assert len(taken) == TRIPS_AT
    assert [one["event"] for one in stage.events].count("delivery.fenced") == TRIPS_AT
    assert await stage.notices() == ["desk/hook does not answer"]


async def test_notice_about_a_channel_is_kept_while_it_cannot_be_written() -> None:
    """The notice is written once, however often writing failed."""
    notifier = ControlledNotifier(is_released=True, answer=NO_ANSWER)
    stage = SenderStage(desk=notifier)
    stage.replace_sender(Locked(stage.ledger, times=2, method="apply"))
    stage.use()
    await stage.fill(desk=TRIPS_AT)
    await stage.start()

    for _ in range(2):
        with pytest.raises(LedgerBusy):
            await stage.sender.settle()
    for _ in range(2):
        await stage.sender.settle()

    assert await stage.notices() == ["desk/hook does not answer"]
    assert all(one.attempts == 1 for one, _, _ in await stage.ledger.find_deliveries() if one.notice is None)


async def test_operator_is_told_of_its_own_channel_over_its_others() -> None:
    """A notice does not go over the channel that does not answer, where it would only wait."""
    stage = SenderStage(ops=ControlledNotifier(answer=NO_ANSWER, is_released=True))
    both = a_receiver("ops", "hook", "mail")
    stage.scene.config = replace(stage.scene.config, receivers={"ops": both})
    notifiers = {"ops/hook": stage.notifiers["ops"], "ops/mail": ControlledNotifier()}
    stage.dispatcher = lambda: replace(stage.scene.dispatcher(), notifiers=notifiers)  # type: ignore[method-assign]
    stage.use()
    await stage.fill(ops=TRIPS_AT)
    await stage.start()
    await stage.sender.settle()

    told = [one.channel for one, _, _ in await stage.ledger.find_deliveries() if one.notice is not None]
    assert stage.sender.paused == ("ops/hook",)
    assert told == ["ops/mail"]
    await stage.sender.drain(0)


async def test_outcome_is_kept_while_it_cannot_be_written() -> None:
    """An outcome that cannot be settled now is settled later, and nothing is sent twice."""
    notifier = ControlledNotifier(is_released=True)
    stage = SenderStage(desk=notifier)
    await stage.fill(desk=3)
    stage.replace_sender(Locked(stage.ledger, times=2))
    await stage.start()

    for _ in range(2):
        with pytest.raises(LedgerBusy):
            await stage.sender.settle()
    await stage.sender.settle()

    assert await stage.states() == {"sent": 3}
    assert len(notifier.started) == 3


async def test_drain_settles_what_finishes_and_what_it_cuts_off() -> None:
    """Drain waits for its limit. A send without an answer by then is unknown and is sent again soon."""
    slow, quick = ControlledNotifier(), ControlledNotifier(is_released=True)
    stage = SenderStage(slow=slow, quick=quick)
    await stage.fill(slow=2, quick=2)
    stage.sender.use({"slow/hook": slow, "quick/hook": quick})
    await stage.start()

    async with asyncio.timeout(LIMIT_S):
        unsettled = await stage.sender.drain(0.05)

    found = await stage.ledger.find_deliveries()
    ready = [(one, tries) for one, tries, _ in found if one.state is DeliveryState.READY]
    assert unsettled == 0
    assert await stage.states() == {"sent": 2, "ready": 2}
    assert all(tries[0].outcome == "unknown" for _, tries in ready)
    assert all(one.next_at < when("2026-09-23T09:01") for one, _ in ready)
    assert (slow.closed, quick.closed) == (1, 1)


async def test_drain_counts_what_it_could_not_settle() -> None:
    """If the ledger stays locked to the end, drain counts what is not settled; it is sent again later."""
    notifier = ControlledNotifier(is_released=True)
    stage = SenderStage(desk=notifier)
    await stage.fill(desk=2)
    stage.replace_sender(Locked(stage.ledger, times=99))
    await stage.start()

    async with asyncio.timeout(LIMIT_S):
        unsettled = await stage.sender.drain(0.05)

    assert unsettled == 2
    assert await stage.states() == {"ready": 2}
    assert "ledger.failed" in {one["event"] for one in stage.events}


async def test_reload_cancels_no_send() -> None:
    """Notifiers that were replaced are closed once, after their sends have finished."""
    notifier = ControlledNotifier()
    stage = SenderStage(desk=notifier)
    await stage.fill(desk=1)
    stage.sender.use({"desk/hook": notifier})
    await stage.start()

    stage.sender.use({"desk/hook": ControlledNotifier()})
    await stage.sender.settle()
    closed_early = notifier.closed
    notifier.released.set()
    await stage.finish()
    await stage.sender.settle()

    assert (closed_early, notifier.closed) == (0, 1)
    assert await stage.states() == {"sent": 1}


async def test_finished_send_wakes_the_loop() -> None:
    """The sender calls ``on_finished`` when a send has ended."""
    notifier = ControlledNotifier(is_released=True)
    stage = SenderStage(desk=notifier)
    await stage.fill(desk=1)

    await stage.start()

    assert stage.finished.is_set()
    assert stage.sender.count == 0
