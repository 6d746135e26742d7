"""What is leased ahead: how much, what lets go of it, and that all channels are served alike."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.ledger.records import CHANNEL, DeliveryState
from alertd.core.message.message import Message
from alertd.core.milestones.status import Action, ActionKind
from alertd.engine.ahead import BEGUN_FOR, KEPT_FOR
from alertd.engine.backpressure import LIMITS, PACE_S, ChannelBackpressure, Pace
from alertd.ports import AHEAD_FOR, LEASE_FOR, LostLeases
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_sender import SENT, ControlledNotifier, SenderStage, turn_of_the_loop

CHANNEL_NAME = "desk/hook"


class Held(ControlledNotifier):
    """A notifier that answers the first ``quick`` sends at once, and the others when it is released."""

    def __init__(self, quick: int, answer: Outcome = SENT) -> None:
        super().__init__(answer=answer)
        self._quick = quick

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        if len(self.started) < self._quick:
            self.started.append(message.id)
            self.answered.append(message.id)
            return Sent()
        return await super().send(message, prior)


async def a_queue(notifier: ControlledNotifier, number: int = 300) -> SenderStage:
    """A channel that has shown that it is fast and now hangs, with deliveries that are leased ahead."""
    stage = SenderStage(desk=notifier)
    stage.use()
    await stage.fill(desk=number)
    for _ in range(6):
        await stage.start()
    for _ in range(100):  # on a slow machine it takes longer until the channel has shown it
        if CHANNEL_NAME in stage.sender.leased_ahead:
            break
        await stage.start()
        await turn_of_the_loop()
    assert stage.sender.leased_ahead[CHANNEL_NAME]
    return stage


def an_act(stage: SenderStage, milestone: str, kind: ActionKind = ActionKind.ACK) -> Action:
    return Action(
        kind=kind,
        milestone=milestone,
        at=stage.scene.now,
        by="ada",
        until=stage.scene.now + timedelta(days=30) if kind in (ActionKind.ACK, ActionKind.SNOOZE) else None,
        done_on=stage.scene.now.date() if kind is ActionKind.DONE else None,
    )


async def list_waiting(stage: SenderStage) -> set[str]:
    """The milestones of the deliveries that are leased ahead and have not begun."""
    ledger: Any = stage.ledger
    return {
        ledger._owed[made.members[0]].milestone
        for name, made in ledger._deliveries.items()
        if ledger._holds[name].ahead
    }


async def count_leases(stage: SenderStage) -> Counter[bool]:
    """How many live leases there are, by whether they have been taken ahead and have not begun."""
    ledger: Any = stage.ledger
    return Counter(hold.ahead for hold in ledger._holds.values() if hold.until is not None)


# -- how much


def test_pace_is_what_ends_in_a_quarter_of_a_second() -> None:
    """It rises at once, is kept for a span, and is forgotten when nothing ends."""
    pace = Pace()
    seen = []
    for number in range(20):
        pace.record(100.0 + number * PACE_S / 20)
    for after_s in (PACE_S * 0.99, PACE_S * 1.5, PACE_S * 3):
        seen.append(pace.measure(100.0 + after_s))

    assert seen == [20, 20, 0]


@pytest.mark.parametrize(
    ("ended", "ahead"),
    [
        (0, 0),  # not known
        (1, 1),
        (50, 50),
        (1000, LIMITS.ahead),
    ],
)
def test_as_much_is_leased_ahead_as_is_sent_in_a_quarter_of_a_second(ended: int, ahead: int) -> None:
    """Never more than the limit, and nothing for a channel whose pace is not known."""
    backpressure = ChannelBackpressure()
    backpressure.use({CHANNEL_NAME: None})
    for _ in range(ended):
        backpressure.finish(CHANNEL_NAME, 5.0)

    assert backpressure.count_ahead(CHANNEL_NAME, 5.0) == ahead


def test_nothing_is_leased_ahead_for_a_channel_that_pauses_or_is_probed() -> None:
    """Neither while the breaker is open, nor while it lets single messages through again."""
    backpressure = ChannelBackpressure()
    backpressure.use({CHANNEL_NAME: None})
    seen = []
    for outcome in [Retry(reason="no")] * 5 + [Sent()]:
        backpressure.finish(CHANNEL_NAME, 5.0)
        backpressure.record(CHANNEL_NAME, outcome, 5.0)
        seen.append(backpressure.count_ahead(CHANNEL_NAME, 5.0))

    assert seen == [1, 2, 3, 4, 0, 0]


async def test_backlog_takes_few_calls_of_the_ledger() -> None:
    """Not one for each delivery: leases, beginnings and settlements come in groups."""
    calls: Counter[str] = Counter()

    class Counting:
        def __init__(self, ledger: MemoryLedger) -> None:
            self._ledger = ledger

        def __getattr__(self, name: str) -> Any:
            calls[name] += 1
            return getattr(self._ledger, name)

    stage = SenderStage(desk=ControlledNotifier(is_released=True))
    stage.replace_sender(Counting(stage.ledger))
    stage.use()
    await stage.fill(desk=1000)

    while (await stage.ledger.count_rows())["deliveries.ready"]:
        await stage.start()
        await stage.finish()

    assert calls["lease"] + calls["begin"] + calls["settle"] <= 1000 / 5
    assert calls["begin"] <= 1000 / (LIMITS.begun / 2)


# -- what lets go of it


@pytest.mark.parametrize("kind", [ActionKind.ACK, ActionKind.DONE, ActionKind.CANCEL])
async def test_what_somebody_has_acted_on_is_let_go(kind: ActionKind) -> None:
    """Of what waits, nothing about the milestone is sent; the rest is, and nothing in flight is cancelled."""
    notifier = Held(quick=120)
    stage = await a_queue(notifier)
    waiting = sorted(await list_waiting(stage))
    in_flight = stage.sender.count

    await stage.ledger.act(an_act(stage, waiting[0], kind), ())
    notifier.released.set()
    while (await stage.ledger.count_rows())["deliveries.ready"]:
        await stage.start()
        await stage.finish()

    states = {
        owed[0].milestone: made.state
        for made, _, owed in await stage.ledger.find_deliveries(limit=1_000)
        if owed
    }
    assert states.pop(waiting[0]) is DeliveryState.SUPPRESSED
    assert set(states.values()) == {DeliveryState.SENT}
    assert in_flight
    assert len(notifier.answered) == len(set(notifier.answered)) == 299


async def test_ledger_is_asked_again_when_what_has_begun_had_to_wait() -> None:
    """What has begun and found no place for a moment is sent only if nobody has acted since."""
    notifier = Held(quick=120)
    stage = await a_queue(notifier)
    ledger: Any = stage.ledger
    begun = {
        ledger._owed[made.members[0]].milestone
        for name, made in ledger._deliveries.items()
        if ledger._holds[name].until is not None
        and not ledger._holds[name].ahead
        and name not in notifier.started
    }
    stage.scene.clock.advance(stage.scene.now + 2 * BEGUN_FOR)

    for milestone in begun:
        await stage.ledger.act(an_act(stage, milestone, ActionKind.DONE), ())
    notifier.released.set()
    await turn_of_the_loop()
    await stage.finish()

    sent = {
        owed[0].milestone
        for made, _, owed in await stage.ledger.find_deliveries(limit=1_000)
        if made.state is DeliveryState.SENT
    }
    assert begun
    assert not begun & sent


async def test_channel_that_has_become_slow_gives_back_its_queue() -> None:
    """After a second, what waits is free again for other nodes, and what is in flight is not."""
    stage = await a_queue(Held(quick=120))

    stage.scene.clock.advance(stage.scene.now + KEPT_FOR + timedelta(milliseconds=1))
    await stage.sender.settle()

    assert stage.sender.leased_ahead == {}
    assert await count_leases(stage) == {False: stage.sender.count}


async def test_channel_that_pauses_gives_back_its_queue() -> None:
    """Its receiver asks for a wait, so nothing waits for it here."""
    notifier = Held(quick=120, answer=Retry(reason="429", after=timedelta(hours=1)))
    stage = await a_queue(notifier)

    notifier.released.set()
    await turn_of_the_loop()
    await stage.sender.settle()

    assert stage.sender.leased_ahead == {}
    assert await count_leases(stage) == {False: stage.sender.count} or not stage.sender.count


async def test_channel_that_is_stopped_gives_back_its_queue() -> None:
    """The notifier has returned a state for the channel as a whole, which the leases in the queue lack."""
    notifier = Held(quick=120, answer=Sent(state={CHANNEL: {"stopped": "by hand"}}))
    stage = await a_queue(notifier)

    notifier.released.set()
    await turn_of_the_loop()

    assert stage.sender.leased_ahead == {}


async def test_node_that_stops_gives_back_what_it_has_leased_ahead() -> None:
    """At once, before it waits for what is in flight; another node leases it then, and it was not lost."""
    stage = await a_queue(Held(quick=120))
    waiting = sum(stage.sender.leased_ahead.values())

    draining = asyncio.create_task(stage.sender.drain(30.0))
    await turn_of_the_loop()
    in_flight = stage.sender.count
    taken = await stage.ledger.lease(
        "node-2",
        stage.scene.now,
        duration=LEASE_FOR,
        limit=200,
        per_channel=200,
        lost=LostLeases.LEFT_OUT,
    )
    draining.cancel()
    await asyncio.wait([draining])

    assert in_flight
    assert len(taken) >= waiting > 0
    assert all(lease.delivery.attempts == 0 for lease in taken)


async def test_reload_that_changes_the_notifiers_gives_back_what_is_leased_ahead() -> None:
    """What waited is sent by the new notifier, and what is in flight ends on the previous one."""
    before = Held(quick=120)
    stage = await a_queue(before)
    after = ControlledNotifier(is_released=True)

    stage.notifiers["desk"] = after
    stage.use()
    await stage.sender.settle()
    kept = stage.sender.leased_ahead
    before.released.set()
    while (await stage.ledger.count_rows())["deliveries.ready"]:
        await stage.start()
        await stage.finish()

    assert kept == {}
    assert after.answered
    assert sorted(before.answered + after.answered) == sorted(set(before.answered + after.answered))
    assert len(before.answered + after.answered) == 300


async def test_crash_makes_no_suspects_of_what_was_leased_ahead() -> None:
    """Only what had begun has lost its lease. The rest is leased as always when its lease has ended."""
    stage = await a_queue(Held(quick=240), 600)
    begun = (await count_leases(stage))[False]
    waiting = len(await list_waiting(stage))
    ready = (await stage.ledger.count_rows())["deliveries.ready"]
    taken = []

    for later in (AHEAD_FOR, LEASE_FOR):
        taken += await stage.ledger.lease(
            "node-2",
            stage.scene.now + later,
            duration=3 * LEASE_FOR,
            limit=500,
            per_channel=500,
            lost=LostLeases.LEFT_OUT,
        )

    assert begun <= LIMITS.per_fast_channel + LIMITS.begun_fast < waiting
    assert len(taken) == ready - begun
    assert all(lease.delivery.attempts == 0 for lease in taken)


# -- fairness


class Rotation:
    """A sink that answers one send at a time, of whichever channel has waited the longest, in turns.

    Attributes:
        answers: the channels in the order in which a send of theirs was answered.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[str, asyncio.Event]] = []
        self.answers: list[str] = []

    async def arrive(self, channel: str) -> None:
        """Wait until this send is answered."""
        event = asyncio.Event()
        self.waiting.append((channel, event))
        await event.wait()

    def answer(self, number: int) -> None:
        """Answer the sends that arrived first."""
        for channel, event in self.waiting[:number]:
            self.answers.append(channel)
            event.set()
        del self.waiting[:number]


class Turned(ControlledNotifier):
    """A channel of a :class:`Rotation`."""

    def __init__(self, rotation: Rotation, name: str) -> None:
        super().__init__()
        self._rotation = rotation
        self._name = name

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        self.started.append(message.id)
        await self._rotation.arrive(self._name)
        self.answered.append(message.id)
        return Sent()


async def play(channels: int, hung: int, backlog: int) -> tuple[int, int]:
    """Send backlogs on many channels, of which some hang, through one sink.

    Returns:
        the longest stretch of answers in which a channel with a backlog got none, and the most sends in
        flight on a hung channel.
    """
    rotation = Rotation()
    healthy = [f"c{number}" for number in range(channels)]
    notifiers: dict[str, Any] = {name: Turned(rotation, name) for name in healthy}
    hanging = {f"h{number}": ControlledNotifier() for number in range(hung)}
    stage = SenderStage(**hanging, **notifiers)
    stage.use()
    await stage.fill(**dict.fromkeys(hanging, backlog), **dict.fromkeys(healthy, backlog))
    await stage.start()
    while len(rotation.answers) < channels * backlog:
        rotation.answer(max(1, channels // 4))
        await turn_of_the_loop()
        await stage.start()

    last = dict.fromkeys(healthy, 0)
    longest = 0
    for place, name in enumerate(rotation.answers):
        longest = max(longest, place - last[name])
        last[name] = place
    most = max((len(one.started) for one in hanging.values()), default=0)
    await stage.sender.drain(0.0)
    return longest, most


@pytest.mark.parametrize(("channels", "backlog"), [(5, 20), (50, 6), (500, 2)])
async def test_channels_are_served_alike(channels: int, backlog: int) -> None:
    """However many channels have a backlog, and although some hang, none waits for more than a few rounds."""
    longest, most = await play(channels, hung=6, backlog=backlog)

    # In one round each channel gets an answer.
    assert longest / channels <= LIMITS.per_fast_channel
    assert 0 < most <= LIMITS.per_channel


async def test_longest_due_is_sent_first() -> None:
    """When there are fewer places than deliveries, those that have been due the longest come first."""
    notifiers: dict[str, Any] = {f"c{number}": ControlledNotifier() for number in range(12)}
    stage = SenderStage(**notifiers)
    stage.use()
    ledger: Any = stage.ledger
    await stage.fill(**dict.fromkeys(notifiers, 10))
    names = sorted(ledger._deliveries)
    for place, name in enumerate(names):
        made = ledger._deliveries[name]
        ledger._deliveries[name] = replace(
            made, next_at=stage.scene.now - timedelta(minutes=len(names) - place)
        )

    await stage.start()

    started = {name for notifier in notifiers.values() for name in notifier.started}
    taken: Counter[str] = Counter()
    expected: set[str] = set()
    for name in names:
        channel = ledger._deliveries[name].channel
        if len(expected) < LIMITS.in_flight and taken[channel] < LIMITS.per_channel:
            taken[channel] += 1
            expected.add(name)
    assert expected <= started
    await stage.sender.drain(0.0)
