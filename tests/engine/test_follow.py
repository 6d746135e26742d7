"""What somebody says of a milestone reaches what shows it, at once and alone, and nobody else."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from alertd.core.config import Config, NotifierSpec, Receiver
from alertd.core.ledger.outcome import Rejected
from alertd.core.milestones.status import ActionKind
from alertd.core.reason import CancelledBy, PlainReason, Reason
from alertd.core.routing.digest import Digest
from alertd.core.routing.route import Quiet, Route
from alertd.core.time.interval import NamedInterval, Range, TimeInterval
from alertd.notify.pagerduty import PagerDutyNotifier, PagerDutyOptions
from alertd.ports import Ledger
from alertd.testing import FixedClock, HttpSink, notifier_env
from tests.notify.sending import body_of, said
from tests.scene import ROOT, UTC_ZONE, Scene, a_config, a_ledger, a_milestone, a_receiver, when

M = "t/m"
A = "2026-09-30"
AT = "2026-09-23T09:00"  # when the seven days before A are due
ACK, CANCEL, REOPEN = ActionKind.ACK, ActionKind.CANCEL, ActionKind.REOPEN
DESK = Receiver(
    name="desk",
    notifiers=(
        NotifierSpec(name="email", type="fake", options=None),
        NotifierSpec(name="incidents", type="fake", options=None, follows=True),
    ),
)
ALL_YEAR = TimeInterval(months=(Range(first=1, last=12),))
ALWAYS = NamedInterval(name="always", intervals=(ALL_YEAR,))


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


def followed(*others: str, **changes: Any) -> Config:
    receivers = {"desk": DESK, **{name: a_receiver(name) for name in others}}
    return replace(a_config(), receivers=receivers, **changes)


async def a_scene(ledger: Ledger, config: Config | None = None, at: str = AT, *more: str) -> Scene:
    """Played to ``at``, by default just when the seven days before A were told."""
    scene = Scene(ledger, at="2026-09-20", config=config or followed())
    scene.define(*(a_milestone(one, A) for one in (M, *more)))
    await scene.reconcile()
    await scene.turn()
    scene.log.clear()
    await scene.until(at)
    return scene


def by_channel(scene: Scene, channel: str) -> list[str]:
    return [line.rpartition(" ")[2] for one in scene.log if one.channel == channel for line in one.lines()]


async def reasons(scene: Scene, offset: str) -> list[tuple[str, Reason | None]]:
    return [(one.state.value, one.reason) for one in await scene.ledger.read_owed(M) if one.offset == offset]


@pytest.mark.server
async def test_an_incident_is_triggered_acknowledged_and_resolved_under_one_key(ledger: Ledger) -> None:
    accepted = said({"status": "success", "message": "Event processed", "dedup_key": "k"}, 202)
    async with HttpSink(accepted) as sink:
        env = notifier_env(clock=FixedClock(when(AT)))
        scene = Scene(ledger, at="2026-09-20T12:00", config=followed())
        options = PagerDutyOptions.model_validate({"api_url": sink.url, "routing_key": "R" * 32})
        scene.recorders["desk/incidents"] = PagerDutyNotifier(options, env)  # type: ignore[assignment]
        scene.define(a_milestone(M, "2026-09-30"))
        await scene.reconcile()
        await scene.until(AT)
        await scene.act(ACK, M, until="2026-09-25")
        await scene.turn()
        await scene.until("2026-09-29T10:00")
        await scene.act(CANCEL, M)
        await scene.turn()
        await scene.until("2026-10-20")
        await env.http.aclose()
    bodies = [body_of(request) for request in sink.requests if request.path == "/v2/enqueue"]

    # What was 30 days before is told late at the start, and counts as the first trigger.
    assert [(one["event_action"], one["dedup_key"], one["payload"]["class"]) for one in bodies] == [
        ("trigger", "alertd/t/m", "approaching"),
        ("trigger", "alertd/t/m", "approaching"),
        ("acknowledge", "alertd/t/m", "acknowledged"),
        ("trigger", "alertd/t/m", "approaching"),
        ("resolve", "alertd/t/m", "cancelled"),
    ]
    details = bodies[2]["payload"].pop("custom_details")
    assert bodies[2] == {
        "client": "alertd",
        "dedup_key": "alertd/t/m",
        "event_action": "acknowledge",
        "payload": {
            "class": "acknowledged",
            "group": "t",
            "severity": "info",
            "source": "t/m",
            "summary": "Acknowledged: It comes about (by 30 September 2026)",
            "timestamp": "2026-09-23T09:00:00Z",
        },
        "routing_key": "R" * 32,
    }
    assert details["id"].startswith("msg_")
    assert "Acknowledged by ada until 25 September 2026, 00:00 (UTC): she knows." in details["text"]
    assert bodies[4]["payload"]["summary"] == "Cancelled: It comes about (by 30 September 2026)"
    assert "Cancelled by ada: she knows." in bodies[4]["payload"]["custom_details"]["text"]
    assert by_channel(scene, "desk/email") == ["-30d", "-7d", "-1d"]


@pytest.mark.parametrize(
    ("kind", "more", "cause"),
    [(ACK, {"until": "2026-09-25"}, "acknowledged"), (CANCEL, {}, "cancelled")],
)
async def test_it_goes_at_once_and_to_nobody_else(
    ledger: Ledger, kind: ActionKind, more: dict[str, str], cause: str
) -> None:
    scene = await a_scene(ledger)

    await scene.act(kind, M, **more)
    await scene.turn()

    assert by_channel(scene, "desk/email") == ["-7d"]
    assert by_channel(scene, "desk/incidents") == ["-7d", cause]
    assert scene.log[-1].at == when(AT)


async def test_snoozing_makes_no_message(ledger: Ledger) -> None:
    scene = await a_scene(ledger)

    await scene.act(ActionKind.SNOOZE, M, until="2026-09-25")
    await scene.turn()

    assert by_channel(scene, "desk/incidents") == ["-7d"]


async def test_who_was_told_nothing_is_told_nothing_of_it(ledger: Ledger) -> None:
    scene = Scene(ledger, at="2026-01-01", config=followed())
    scene.define(a_milestone(M, A))
    await scene.reconcile()

    await scene.act(ACK, M, until="2026-02-01")
    await scene.act(CANCEL, M)
    await scene.turn()

    assert scene.log == []
    assert not [one for one in await ledger.read_owed(M) if one.offset in ("acknowledged", "cancelled")]


async def test_who_has_nothing_that_follows_is_owed_nothing(ledger: Ledger) -> None:
    scene = await a_scene(ledger, a_config())

    await scene.act(ACK, M, until="2026-09-25")

    assert await reasons(scene, "acknowledged") == []


@pytest.mark.parametrize(
    "held",
    [
        replace(ROOT, mute=(ALWAYS,)),
        replace(ROOT, quiet={"desk": Quiet(hours=ALWAYS)}),
        replace(ROOT, digest=Digest(weekdays=(0,), at=time(8), zone=UTC_ZONE)),
    ],
    ids=["mute", "quiet", "digest"],
)
async def test_nothing_holds_it_back(ledger: Ledger, held: Route) -> None:
    """Not what holds a reminder back: it wakes nobody, and what shows the standing should be right."""
    scene = await a_scene(ledger)
    scene.config = followed(route=held)

    await scene.act(ACK, M, until="2026-09-25")
    await scene.turn()

    assert by_channel(scene, "desk/incidents")[-1] == "acknowledged"
    assert scene.log[-1].message.kind == "single"


async def test_it_shares_no_message_with_a_reminder(ledger: Ledger) -> None:
    """Of another milestone of the same group, due at the same instant; each is told as it would be alone."""
    scene = await a_scene(ledger, followed(), "2026-09-23T08:59", "t/n")
    await scene.act(ActionKind.SNOOZE, M, until="2026-09-28")
    scene.clock.advance(when(AT))

    await scene.turn()
    await scene.act(ACK, "t/n", until="2026-09-25")
    scene.define(a_milestone(M, A), a_milestone("t/n", A), a_milestone("t/o", A))
    await scene.reconcile()
    await scene.turn()

    told = [(one.channel, [item.cause.value for item in one.message.items]) for one in scene.log]
    assert sorted(told) == [
        ("desk/email", ["approaching"]),
        ("desk/email", ["approaching"]),
        ("desk/incidents", ["acknowledged"]),
        ("desk/incidents", ["approaching"]),
        ("desk/incidents", ["approaching"]),
    ]


async def test_what_is_over_before_it_goes_out_is_dropped(ledger: Ledger) -> None:
    scene = await a_scene(ledger)
    await scene.act(ACK, M, until="2026-09-25")
    scene.clock.advance(when("2026-09-25"))
    await scene.turn()
    ended = await reasons(scene, "acknowledged")
    await scene.act(CANCEL, M)
    await scene.act(REOPEN, M)
    await scene.turn()

    assert ended == [("suppressed", PlainReason.ACKNOWLEDGEMENT_ENDED)]
    assert await reasons(scene, "cancelled") == [("suppressed", PlainReason.REOPENED)]
    assert by_channel(scene, "desk/incidents") == ["-7d"]


async def test_an_acknowledgement_of_what_is_cancelled_meanwhile_is_dropped(ledger: Ledger) -> None:
    scene = await a_scene(ledger)

    await scene.act(ACK, M, until="2026-09-25")
    await scene.act(CANCEL, M)
    await scene.turn()

    assert by_channel(scene, "desk/incidents") == ["-7d", "cancelled"]
    assert await reasons(scene, "acknowledged") == [("suppressed", CancelledBy(by="ada"))]


async def test_a_second_acknowledgement_is_told_too(ledger: Ledger) -> None:
    scene = await a_scene(ledger)
    for until in ("2026-09-25", "2026-10-02"):
        await scene.act(ACK, M, until=until)
        await scene.turn()
        scene.clock.advance(when("2026-09-24"))

    assert by_channel(scene, "desk/incidents") == ["-7d", "acknowledged", "acknowledged"]
    assert "until 2 October 2026" in scene.log[-1].message.items[0].headline


async def test_a_reminder_after_reopening_triggers_again(ledger: Ledger) -> None:
    scene = await a_scene(ledger)
    await scene.act(CANCEL, M)
    await scene.turn()
    await scene.act(REOPEN, M)

    await scene.until("2026-09-29T12:00")

    assert by_channel(scene, "desk/incidents") == ["-7d", "cancelled", "-1d"]
    assert by_channel(scene, "desk/email") == ["-7d", "-1d"]


async def test_a_cancellation_outlives_its_file(ledger: Ledger) -> None:
    """Somebody cancels it and takes it out of the files before a daemon looks."""
    scene = await a_scene(ledger, None, AT, "t/n")
    await scene.act(CANCEL, M)
    scene.define(a_milestone("t/n", A))
    await scene.reconcile()

    await scene.turn()

    assert by_channel(scene, "desk/incidents")[-1] == "cancelled"


async def test_when_it_cannot_be_told_only_the_operator_hears(ledger: Ledger) -> None:
    scene = await a_scene(ledger, followed("spare", "ops", fallback_receiver="spare", operator="ops"))
    scene.recorder("desk/incidents").answers = [Rejected(reason="status 400")]

    await scene.act(CANCEL, M)
    await scene.turn()

    assert scene.told("spare") == []
    assert [one.message.subject for one in scene.log if one.channel == "ops/hook"] == [
        "desk/incidents could not be reached"
    ]
