"""A receiver that answers 410 wants no more: its channel is stopped, and nobody is left without a word."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alertd.core.config import Config
from alertd.core.ledger.outcome import Rejected, Sent
from alertd.core.ledger.records import DeliveryState
from alertd.core.reason import ChannelStopped
from alertd.engine.self_audit import Auditor
from alertd.ports import Ledger
from tests.scene import Scene, a_config, a_ledger, a_milestone

GONE = Rejected(reason="https://a.example answered 410: the receiver is gone and wants no more", gone=True)


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


async def gone_scene(ledger: Ledger, config: Config) -> Scene:
    """The first of three reminders was answered by 410."""
    scene = Scene(ledger, at="2026-09-20", config=config)
    scene.define(a_milestone("t/m", "2026-09-30"))
    await scene.reconcile()
    await scene.turn()
    scene.log.clear()
    scene.recorder().answers = [GONE]
    await scene.until("2026-09-24")
    return scene


def told(scene: Scene, channel: str) -> list[str]:
    return [one.message.subject for one in scene.log if one.channel == channel]


def with_digest(config: Config, digest: str) -> Config:
    desk = config.receivers["desk"]
    specs = tuple(replace(spec, fingerprint=digest) for spec in desk.notifiers)
    return replace(config, receivers={**config.receivers, "desk": replace(desk, notifiers=specs)})


async def test_nothing_more_is_posted_and_the_fallback_gets_what_comes(ledger: Ledger) -> None:
    scene = await gone_scene(ledger, a_config("desk", "spare", fallback_receiver="spare"))

    # As after a restart, on any node: what is known of it stands in the ledger.
    again = Scene(ledger, at="2026-09-24", config=scene.config)
    await again.until("2026-10-01")

    assert len(told(scene, "desk/hook")) == 1
    assert told(again, "desk/hook") == []
    assert len(told(scene, "spare/hook")) == 1
    assert len(told(again, "spare/hook")) == 2
    dead = [one for one, _, _ in await ledger.find_deliveries(state=DeliveryState.DEAD)]
    later = ChannelStopped(answer=GONE.reason, since=datetime(2026, 9, 23, 9, tzinfo=UTC))
    assert [one.reason for one in dead[::-1]] == [ChannelStopped(answer=GONE.reason), later, later]


async def test_the_operator_is_told_once_and_the_audit_asks_for_no_more(ledger: Ledger) -> None:
    config = a_config("desk", "ops", operator="ops")
    scene = await gone_scene(ledger, config)
    await scene.until("2026-10-01")

    (notice,) = [one.message for one in scene.log if one.channel == "ops/hook"]
    dead = [one for one, _, _ in await ledger.find_deliveries(state=DeliveryState.DEAD)]
    audit = await Auditor(ledger).run(config, scene.now, planned_at=scene.now, shut=frozenset())

    assert notice.subject == "desk/hook wants no more and is stopped"
    assert notice.lines == (
        f"Nothing more is sent to desk/hook: {GONE.reason}.",
        "What comes for it is dead, since there is no fallback_receiver.",
        f"It is tried again when its options in alertd.yaml change, or with: alertd retry {dead[-1].id}",
    )
    assert len(dead) == 3
    assert audit.findings == ()


async def test_other_options_are_another_endpoint(ledger: Ledger) -> None:
    scene = await gone_scene(ledger, with_digest(a_config("desk"), "old"))
    scene.config = with_digest(scene.config, "new")

    await scene.until("2026-10-01")

    assert len(told(scene, "desk/hook")) == 3
    # The old ones lead to where nobody is, still.
    back = Scene(ledger, at="2026-10-01", config=with_digest(scene.config, "old"))
    await back.until("2026-10-10")
    assert told(back, "desk/hook") == []


async def test_who_sends_again_opens_the_channel(ledger: Ledger) -> None:
    scene = await gone_scene(ledger, a_config("desk"))
    dead = (await ledger.find_deliveries(state=DeliveryState.DEAD))[0][0]

    await ledger.retry(dead.id, scene.now, "ada")
    await scene.until("2026-10-01")

    assert [one.outcome for one in scene.log] == [GONE, Sent(), Sent(), Sent()]
    assert scene.log[0].message.id == scene.log[1].message.id == dead.id


async def test_other_channels_of_the_receiver_go_on(ledger: Ledger) -> None:
    config = a_config("desk", "other")
    scene = Scene(ledger, at="2026-09-20", config=config)
    scene.define(a_milestone("t/m", "2026-09-30"))
    desk = config.receivers["desk"]
    mail = replace(desk.notifiers[0], name="mail")
    scene.config = replace(
        config, receivers={**config.receivers, "desk": replace(desk, notifiers=(*desk.notifiers, mail))}
    )
    await scene.reconcile()
    await scene.turn()
    scene.log.clear()
    scene.recorder("desk/hook").answers = [GONE]

    await scene.until("2026-10-01")

    assert (len(told(scene, "desk/hook")), len(told(scene, "desk/mail"))) == (1, 3)


async def test_an_operator_that_is_stopped_is_not_told_over_that_channel(ledger: Ledger) -> None:
    scene = await gone_scene(ledger, a_config("desk", operator="desk"))

    await scene.until("2026-10-01")

    assert len(told(scene, "desk/hook")) == 1
