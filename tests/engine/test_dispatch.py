"""What is due becomes deliveries, and deliveries are sent: at least once, never early, under one id."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from alertd.core.config import Config
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent, compute_backoff
from alertd.core.ledger.records import DeliveryState, ReminderState
from alertd.core.milestones.status import ActionKind
from alertd.core.reason import (
    AcknowledgedBy,
    Answered,
    CancelledBy,
    DoneOn,
    GivenUp,
    MembersUnwanted,
    MemberUnwanted,
    NotConfigured,
    NotifierFailed,
    PlainReason,
    Reason,
)
from alertd.ports import LEASE_FOR, Ledger
from alertd.testing import sample_message
from tests.scene import ROOT, Recorder, Scene, a_config, a_ledger, a_milestone, a_receiver, offsets, when

M = "t/m"
A = "2026-09-30"
AT = "2026-09-23T09:00"  # when the seven days before A are due
NO = Retry(reason="status 503")


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


async def due_at(ledger: Ledger, config: Config | None = None, *more: str) -> Scene:
    """A scene at the instant at which the seven days before A are due, nothing of it done yet."""
    scene = Scene(ledger, at="2026-09-20", config=config)
    scene.define(*(a_milestone(one, A) for one in (M, *more)))
    await scene.reconcile()
    await scene.turn()
    scene.log.clear()
    scene.clock.advance(when(AT))
    return scene


async def only(
    ledger: Ledger, state: DeliveryState | None = None
) -> tuple[str, DeliveryState, Reason | None]:
    """Id, state and reason of the newest delivery."""
    delivery = (await ledger.find_deliveries(state=state))[0][0]
    return delivery.id, delivery.state, delivery.reason


async def test_recorder_is_a_notifier() -> None:
    """The fake keeps the contract: it sends once, shows the id, and answers with an outcome."""
    recorder = Recorder(clock=lambda: when(AT), answers=[NO])
    message = sample_message()

    outcomes = [await recorder.send(message, {}) for _ in range(2)]

    assert [type(one) for one in outcomes] == [Retry, Sent]
    assert [one.message.id for one in recorder.log] == [message.id] * 2


async def test_nothing_is_sent_early(ledger: Ledger) -> None:
    """A moment before it is due nothing is bound; at the instant itself it is sent."""
    scene = await due_at(ledger)
    scene.clock.at = when(AT) - timedelta(microseconds=1)

    await scene.turn()
    early = scene.told()
    scene.clock.at = when(AT)
    await scene.turn()

    assert early == []
    assert scene.told("desk") == [f"{AT} t/m -7d"]


@pytest.mark.parametrize("step", ["bound", "leased", "sent"])
async def test_crash_at_any_step_loses_nothing(tmp_path: Path, step: str) -> None:
    """Wherever it crashes, the next start sends the same members under the same id."""
    async with a_ledger("file", tmp_path) as first:
        scene = await due_at(first, None, "t/n")
        await scene.binder().bind(scene.now)
        bound = (await first.find_deliveries(state=DeliveryState.READY))[0][0]
        leases = [] if step == "bound" else await scene.lease()
        if step == "sent":
            await scene.deliver(leases[0])
        before = [one.message for one in scene.log]

    async with a_ledger("file", tmp_path) as second:
        scene = Scene(second, at="2026-09-23T09:01")
        await scene.turn()
        at_once = scene.told()
        scene.clock.advance(when(AT) + LEASE_FOR)
        await scene.turn()
        again = scene.log[0].message

    assert bool(at_once) == (step == "bound")
    assert len(scene.log) == 1
    assert again.id == bound.id
    assert tuple(key for item in again.items for key in item.keys) == bound.members
    assert all(one.id == again.id and one.items == again.items for one in before)


async def test_settled_delivery_is_not_sent_again(ledger: Ledger) -> None:
    """What was settled as sent is final: no later look sends it again."""
    scene = await due_at(ledger)
    await scene.turn()

    await scene.until("2026-09-28")

    assert scene.told("desk") == [f"{AT} t/m -7d"]
    assert (await only(ledger))[1] is DeliveryState.SENT


async def test_lost_race_for_binding_is_no_loss(ledger: Ledger) -> None:
    """Of two nodes that look at the same time one binds; the other finds nothing left."""
    scene = await due_at(ledger)
    one, other = scene.binder(), scene.binder()
    stale = await ledger.find_due(scene.now, 10)

    first, second = await one.bind(scene.now), await other.bind(scene.now)

    assert len(stale) == 1
    assert len(first.deliveries) == 1
    assert (second.deliveries, second.more) == ((), False)


async def test_two_nodes_send_once(ledger: Ledger) -> None:
    """A delivery that one node holds a lease on is not sent by another."""
    scene = await due_at(ledger)
    await scene.binder().bind(scene.now)

    mine = await scene.lease("node-1")
    theirs = await scene.lease("node-2")

    assert len(mine) == 1
    assert theirs == []


# -- again


async def test_retry_schedule_stands_in_the_ledger(tmp_path: Path) -> None:
    """When to try again survives a restart, and no restart makes it earlier."""
    async with a_ledger("file", tmp_path) as first:
        scene = await due_at(first)
        scene.recorder().answers = [NO]
        await scene.turn()
        name, state, reason = await only(first)

    async with a_ledger("file", tmp_path) as second:
        scene = Scene(second, at=AT)
        await scene.turn()
        at_once = len(scene.log)
        await scene.until("2026-09-23T09:01")

    assert (state, reason) == (DeliveryState.READY, Answered(text="status 503"))
    assert at_once == 0
    assert [one.at for one in scene.log] == [when(AT) + compute_backoff(name, 1)]
    assert scene.log[0].message.id == name
    assert scene.log[0].message.attempt == 2


async def test_waits_grow_from_attempt_to_attempt(ledger: Ledger) -> None:
    """Each try waits longer than the one before, up to an hour, and each is written down."""
    scene = await due_at(ledger)
    scene.recorder().answers = [NO] * 8

    await scene.until("2026-09-24")

    times = [one.at for one in scene.log]
    waits = [later - earlier for earlier, later in pairwise(times)]
    attempts = (await ledger.find_deliveries())[0][1]
    assert waits == [compute_backoff(scene.log[0].message.id, number) for number in range(1, 9)]
    assert timedelta(hours=1) <= waits[-1] <= timedelta(hours=1.2)
    assert [one.outcome for one in attempts] == ["retry"] * 8 + ["sent"]
    assert [one.number for one in attempts] == list(range(1, 10))


async def test_retry_after_counts_from_the_answer(ledger: Ledger) -> None:
    """What a receiver asks for it asks for from its answer on, however long the answer took."""
    scene = await due_at(ledger)
    slow = SlowRecorder(scene, timedelta(minutes=3), Retry(reason="429", after=timedelta(minutes=2)))
    scene.recorders["desk/hook"] = slow

    await scene.until("2026-09-23T09:10")

    answered = when(AT) + timedelta(minutes=3)
    assert slow.log[1].at - answered >= timedelta(minutes=2)


async def test_unknown_outcome_is_sent_again_under_the_same_id(ledger: Ledger) -> None:
    """A timeout after the request was written is written down as unknown, and sent again with the same id."""
    scene = await due_at(ledger)
    scene.recorder().answers = [Retry(reason="no answer", unknown=True)]

    await scene.until("2026-09-23T09:01")

    attempts = (await ledger.find_deliveries())[0][1]
    assert [one.outcome for one in attempts] == ["unknown", "sent"]
    assert len({one.message.id for one in scene.log}) == 1


@pytest.mark.wording
async def test_days_are_counted_anew_at_each_attempt(ledger: Ledger) -> None:
    """A message that is tried again the next day says how far away the deadline is by then."""
    scene = await due_at(ledger)
    scene.recorder().answers = [Retry(reason="429", after=timedelta(days=1))]

    await scene.until("2026-09-25")

    assert [one.message.items[0].badge for one in scene.log] == ["in 7 days", "in 6 days"]


# -- dead


@pytest.mark.wording
async def test_dead_after_the_horizon_goes_to_the_fallback(ledger: Ledger) -> None:
    """After the retry horizon a delivery is dead: the fallback gets it once, and the operator one notice."""
    config = a_config(
        "desk", "spare", "ops", retry_for=timedelta(hours=2), fallback_receiver="spare", operator="ops"
    )
    scene = await due_at(ledger, config)
    scene.recorder().answers = [NO] * 50

    await scene.until("2026-09-24")

    dead = (await ledger.find_deliveries(state=DeliveryState.DEAD))[0][0]
    tries = [one for one in scene.log if one.channel == "desk/hook"]
    stand_in = [one.message for one in scene.log if one.channel == "spare/hook"]
    notices = [one.message for one in scene.log if one.channel == "ops/hook"]
    assert tries[-1].at <= when(AT) + timedelta(hours=2)
    assert dead.reason == GivenUp(last=Answered(text="status 503"))
    assert [one.items[0].milestone for one in stand_in] == [M]
    assert "desk" in stand_in[0].intro
    assert len(notices) == 1
    assert any(dead.id in line and "alertd retry" in line for line in notices[0].lines)


async def test_dead_delivery_is_sent_again_when_somebody_asks(ledger: Ledger) -> None:
    """`retry` makes it ready with a horizon of its own, under the same id; dying again is told again."""
    config = a_config("desk", "ops", retry_for=timedelta(hours=1), operator="ops")
    scene = await due_at(ledger, config)
    scene.recorder().answers = [Rejected(reason="410")] * 2
    await scene.until("2026-09-24")
    name, _, _ = await only(ledger, DeliveryState.DEAD)

    for _ in range(2):
        await ledger.retry(name, scene.now, "ada")
        await scene.until(f"{scene.now + timedelta(hours=2):%Y-%m-%dT%H:%M}")

    tries = [one for one in scene.log if one.channel == "desk/hook"]
    notices = [one for one in scene.log if one.channel == "ops/hook"]
    assert [one.message.id for one in tries] == [name] * 3
    assert len(notices) == len({one.message.id for one in notices}) == 2
    assert (await only(ledger, DeliveryState.SENT))[1] is DeliveryState.SENT


@pytest.mark.wording
async def test_who_is_left_out_for_good_is_told_to_the_operator_once_a_day(ledger: Ledger) -> None:
    """What reached some of its recipients was sent; those who will never get it are no secret."""
    scene = await due_at(ledger, a_config("desk", "ops", operator="ops"), "t/n")
    said = "bob@example.org was refused: 550 no such user"
    scene.recorder().answers = [Sent(note=said, partly=said)] * 2

    await scene.until("2026-09-24")

    notices = [one.message for one in scene.log if one.channel == "ops/hook"]
    assert (await ledger.count_rows())["deliveries.sent"] == 3
    assert [one.subject for one in notices] == ["desk/hook reaches only some of its recipients"]
    assert notices[0].lines[0] == said


async def test_rejected_is_dead_at_once(ledger: Ledger) -> None:
    """What can never succeed is not tried again."""
    scene = await due_at(ledger)
    scene.recorder().answers = [Rejected(reason="status 410")]

    await scene.until("2026-09-26")

    assert len(scene.log) == 1
    assert (await only(ledger))[1:] == (DeliveryState.DEAD, Answered(text="status 410"))


async def test_neither_fallback_nor_operator_get_news_of_themselves(ledger: Ledger) -> None:
    """What stands in for another is not stood in for, and a notice that dies makes no notice."""
    config = a_config("desk", "spare", fallback_receiver="spare", operator="spare")
    scene = await due_at(ledger, config)
    scene.recorder().answers = [Rejected(reason="no")]
    scene.recorder("spare/hook").answers = [Rejected(reason="neither")] * 10

    await scene.until("2026-09-26")

    assert [one.channel for one in scene.log] == ["desk/hook", "spare/hook", "spare/hook"]
    assert (await ledger.count_rows())["deliveries.dead"] == 3


async def test_each_channel_that_died_is_stood_in_for(ledger: Ledger) -> None:
    """Two channels of one receiver die for themselves, and neither's stand-in hides the other's."""
    receivers = {"desk": a_receiver("desk", "hook", "mail"), "spare": a_receiver("spare")}
    config = a_config(receivers=receivers, fallback_receiver="spare")
    scene = await due_at(ledger, config)
    scene.recorder("desk/hook").answers = [Rejected(reason="no")]
    scene.recorder("desk/mail").answers = [Rejected(reason="no")]

    await scene.turn()

    stand_ins = [one.message for one in scene.log if one.channel == "spare/hook"]
    assert len({one.id for one in stand_ins}) == 2


async def test_notifier_that_raises_is_tried_again(ledger: Ledger) -> None:
    """A notifier that breaks its contract is reported, and the reminder is not lost with it."""
    scene = await due_at(ledger)
    scene.recorder().answers = [ValueError("a bug")]

    await scene.until("2026-09-23T09:01")

    assert [(channel, str(error)) for channel, error in scene.faults] == [("desk/hook", "a bug")]
    assert scene.told("desk") == ["2026-09-23T09:00 t/m -7d"]
    attempts = (await ledger.find_deliveries())[0][1]
    assert attempts[0].reason == NotifierFailed(error="ValueError")


async def test_removed_receiver_is_dead_visibly(ledger: Ledger) -> None:
    """What waits for a receiver that is configured no more is dead, with the reason, and is stood in for."""
    scene = await due_at(ledger, a_config("desk", "spare", fallback_receiver="spare"))
    scene.recorder().answers = [NO]
    await scene.turn()

    scene.config = a_config("spare", route=replace(ROOT, receiver="spare"), fallback_receiver="spare")
    await scene.until("2026-09-23T10:00")

    _, _, reason = await only(ledger, DeliveryState.DEAD)
    assert reason == NotConfigured(channel="desk/hook")
    assert [one.channel for one in scene.log] == ["desk/hook", "spare/hook"]


# -- what is said in between


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        (ActionKind.ACK, {"until": "2026-12-01"}, AcknowledgedBy(by="ada")),
        (ActionKind.CANCEL, {}, CancelledBy(by="ada")),
        (ActionKind.DONE, {"done_on": "2026-09-22"}, DoneOn(on=date(2026, 9, 22))),
    ],
)
async def test_what_is_said_between_bind_and_send_counts(
    ledger: Ledger, kind: ActionKind, more: dict[str, str], reason: Reason
) -> None:
    """An action after a delivery was bound, and before it is sent, stops it; the ledger says why."""
    scene = await due_at(ledger)
    await scene.binder().bind(scene.now)
    await scene.act(kind, M, **more)

    await scene.turn()

    found = [one for one, _, _ in await ledger.find_deliveries(state=DeliveryState.SUPPRESSED)]
    # That it is done is told in its place, since a reminder was sent before.
    assert offsets(scene.told("desk")) == (["done"] if kind is ActionKind.DONE else [])
    (member,) = found[0].reason.members if isinstance(found[0].reason, MembersUnwanted) else ()
    assert (member.milestone, member.why) == (M, reason)


async def test_rest_of_a_group_is_sent_under_the_same_id(ledger: Ledger) -> None:
    """When one of several is acknowledged after binding, the others go out under the id that was bound."""
    scene = await due_at(ledger, a_config(route=replace(ROOT, group_by=("timeline",))), "t/n")
    bound = await scene.binder().bind(scene.now)
    await scene.act(ActionKind.ACK, M, until="2026-12-01")

    await scene.turn()

    assert [one.id for one in bound.deliveries] == [one.message.id for one in scene.log]
    assert scene.told("desk") == [f"{AT} t/n -7d"]
    owed = {one.milestone: one for one in (await ledger.find_deliveries())[0][2]}
    assert owed[M].told_at is None
    assert owed["t/n"].told_at == when(AT)


async def test_newer_reminder_takes_the_place_of_one_that_is_retried(ledger: Ledger) -> None:
    """Retries of a reminder stop when a newer one for the same milestone and receiver is bound."""
    scene = await due_at(ledger, a_config(retry_for=timedelta(days=20)))
    scene.recorder().answers = [Retry(reason="429", after=timedelta(days=1))] * 7

    await scene.until("2026-09-30T08:00")
    superseded = await only(ledger, DeliveryState.SUPERSEDED)
    await scene.until("2026-09-30T12:00")

    why = MemberUnwanted(milestone=M, offset="-7d", why=PlainReason.OVERTAKEN)
    assert superseded[2] == MembersUnwanted(members=(why,))
    accepted = [line for one in scene.log if isinstance(one.outcome, Sent) for line in one.lines()]
    assert "t/m -7d" not in " ".join(accepted)
    assert accepted


async def test_what_was_returned_is_handed_to_the_next_send(ledger: Ledger) -> None:
    """A notifier gets what it returned for the milestone last, and only its own."""
    receivers = {"desk": a_receiver("desk", "hook", "chat")}
    scene = await due_at(ledger, a_config(receivers=receivers))
    scene.recorder("desk/chat").answers = [Sent(state={M: {"ts": "17"}})]

    await scene.until("2026-09-29T10:00")

    assert [dict(one.prior) for one in scene.log if one.channel == "desk/chat"] == [{}, {M: {"ts": "17"}}]
    assert [dict(one.prior) for one in scene.log if one.channel == "desk/hook"] == [{}, {}]


async def test_failing_channel_delays_no_other(ledger: Ledger) -> None:
    """Each notifier of a receiver has a delivery of its own: one that fails holds up nobody."""
    receivers = {"desk": a_receiver("desk", "hook", "mail")}
    scene = await due_at(ledger, a_config(receivers=receivers))
    answers: list[Outcome | Exception] = [NO] * 3
    scene.recorder("desk/hook").answers = answers

    await scene.until("2026-09-23T10:00")

    sent = {one.channel: one.at for one in scene.log if isinstance(one.outcome, Sent)}
    assert sent["desk/mail"] == when(AT)
    assert sent["desk/hook"] > when(AT)
    told = [one.told_at for one in await ledger.read_owed(M) if one.offset == "-7d"]
    assert told == [when(AT)]


async def test_message_names_the_next_reminder(ledger: Ledger) -> None:
    """A message says when this receiver hears of the milestone next."""
    scene = await due_at(ledger)

    await scene.turn()

    assert "29 September 2026" in scene.log[0].message.items[0].next


async def test_receiver_without_notifier_is_said_to_have_none(ledger: Ledger) -> None:
    """What a receiver is owed that has no notifier is suppressed, with the reason."""
    scene = await due_at(ledger)
    scene.config = replace(scene.config, receivers={"desk": replace(a_receiver("desk"), notifiers=())})

    await scene.turn()

    owed = next(one for one in await ledger.read_owed(M) if one.offset == "-7d")
    assert owed.state is ReminderState.SUPPRESSED
    assert owed.reason is PlainReason.NO_NOTIFIER


class SlowRecorder(Recorder):
    """Takes its time by the scene's clock before it gives its first answer."""

    def __init__(self, scene: Scene, takes: timedelta, answer: Outcome) -> None:
        super().__init__(clock=lambda: scene.now, answers=[answer])
        self._scene, self._takes = scene, takes

    async def send(self, message, prior):  # type: ignore[no-untyped-def]
        outcome = await super().send(message, prior)
        self._scene.clock.advance(self._scene.now + self._takes)
        self._takes = timedelta()
        return outcome
