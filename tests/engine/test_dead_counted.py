"""Many rejections on a channel make two notices an hour: one about the first, and one that counts all."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.core.ledger.outcome import Rejected
from alertd.engine.timer import Chore
from alertd.ports import Ledger
from tests.engine.test_daemon import Stage, turns
from tests.engine.test_sender import ControlledNotifier
from tests.scene import ROOT, StepClock, a_config, a_ledger, a_milestone, when

MANY = 200
AT = "2026-09-23T09:00"


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


async def test_rejections_are_counted_in_one_notice(ledger: Ledger) -> None:
    """All reminders reach the fallback. The operator hears at once, and of all at the end of the hour."""
    clock = StepClock(when(AT))
    stage = Stage(ledger, clock)
    stage.scene.config = a_config(
        "desk",
        "spare",
        "ops",
        route=replace(ROOT, group_by=("milestone",)),
        fallback_receiver="spare",
        operator="ops",
    )
    stage.define(*(a_milestone(f"t/m{number:03}", "2026-09-30") for number in range(MANY)))
    refusal = Rejected(reason="status 400")
    stage.notifiers["desk/hook"] = ControlledNotifier(is_released=True, answer=refusal)
    daemon = stage.daemon()
    await daemon.start()

    await turns(daemon, number=60)
    at_once = [one.message for one in stage.told if one.channel == "ops/hook"]
    clock.advance(when("2026-09-23T10:00"))
    await turns(daemon)
    daemon._timer.want(Chore.AUDIT)
    await daemon._look()

    notices = [one.message for one in stage.told if one.channel == "ops/hook"]
    assert len({line.split()[2] for line in stage.lines("spare")}) == MANY
    assert [message.subject for message in at_once] == ["desk/hook could not be reached"]
    assert [message.subject for message in notices[1:]] == ["More deliveries to desk/hook are dead"]
    assert notices[1].lines[0] == "In the hour from 2026-09-23 09:00Z, 200 deliveries to desk/hook died."
    assert daemon.status.audit is not None
    assert daemon.status.audit.findings == ()


async def test_the_next_hour_has_a_notice_of_its_own_again(ledger: Ledger) -> None:
    """A rejection an hour later is reported at once."""
    clock = StepClock(when(AT))
    stage = Stage(ledger, clock)
    stage.scene.config = a_config("desk", "ops", operator="ops")
    stage.define(a_milestone("t/m", "2026-09-30"))
    refusal = Rejected(reason="status 400")
    stage.notifiers["desk/hook"] = ControlledNotifier(is_released=True, answer=refusal)
    daemon = stage.daemon()
    await daemon.start()

    await turns(daemon)
    clock.advance(when("2026-09-29T09:00"))
    await turns(daemon)

    subjects = [one.message.subject for one in stage.told if one.channel == "ops/hook"]
    assert subjects == ["desk/hook could not be reached"] * 2
