"""A clock that is wrong for a while decides nothing for good, and what it wrote is repaired."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alertd.core.config import list_milestones
from alertd.core.ledger.outcome import Outcome, Retry
from alertd.core.ledger.records import DeliveryState, ReminderState
from alertd.core.planning.audit import AuditFault
from alertd.engine.clocks import CONFIRMED_AFTER_S
from alertd.engine.daemon import Daemon
from alertd.ports import LEASE_FOR, Ledger
from tests.engine.test_daemon import Stage, turns
from tests.engine.test_digests import WEEKLY_ROOT
from tests.engine.test_nodes import chores
from tests.scene import Recorder, StepClock, a_config, a_ledger, a_milestone, when

M, WEEKLY, A = "t/m", "t/w", "2026-09-30"
NOW = when("2026-09-24T12:00")
YEAR = timedelta(days=400)
DIGEST_AT = when("2026-09-28T08:00")


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


def a_stage(ledger: Ledger, at: datetime = NOW, node: str = "node-1") -> tuple[Stage, StepClock]:
    """Make a stage with one milestone, a weekly digest for ``leads``, and a clock that shows ``at``."""
    clock = StepClock(at)
    stage = Stage(ledger, clock, node)
    stage.define(a_milestone(M, A))
    return stage, clock


def with_digest(stage: Stage) -> None:
    stage.scene.config = a_config("desk", "ops", operator="ops", route=WEEKLY_ROOT)


async def looks(daemon: Daemon, clock: StepClock, seconds: float) -> None:
    """Let time pass, a second at the beginning and the rest at once, and look after each."""
    for passed_s in (1.0, seconds - 1.0):
        clock.advance(clock.at + timedelta(seconds=passed_s))
        daemon._monitor.compare()
        await chores(daemon, "lead", "ledger")
        await turns(daemon)


async def begun(stage: Stage) -> Daemon:
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    return daemon


async def read_states(ledger: Ledger) -> Mapping[str, ReminderState]:
    return {owed.offset: owed.state for owed in await ledger.read_owed(M)}


@pytest.mark.parametrize(
    "by", [timedelta(hours=30), timedelta(days=20), YEAR, -YEAR, timedelta(days=-20_000)]
)
async def test_clock_that_is_wrong_for_six_seconds_changes_nothing(ledger: Ledger, by: timedelta) -> None:
    """Nothing is sent, expired, superseded, cancelled or moved on, even if the files are read meanwhile."""
    stage, clock = a_stage(ledger)
    with_digest(stage)
    daemon = await begun(stage)
    before, digests = await read_states(ledger), await ledger.read_digests()

    clock.step(by)
    daemon._monitor.compare()
    await turns(daemon)
    await looks(daemon, clock, 6)
    await daemon.reload()
    await chores(daemon, "reconcile", "prune", "report")
    await turns(daemon)
    clock.step(-by)
    await looks(daemon, clock, CONFIRMED_AFTER_S * 2)

    assert await read_states(ledger) == before
    assert await ledger.read_digests() == digests
    assert stage.told == []


async def test_step_is_a_finding_until_it_is_confirmed(ledger: Ledger) -> None:
    """The operator can see by which time the daemon goes, and then that it goes by the new time."""
    stage, clock = a_stage(ledger)
    daemon = await begun(stage)
    clock.step(timedelta(hours=30))
    await looks(daemon, clock, 6)
    await daemon._chores.audit()
    doubted = daemon.status.audit
    await looks(daemon, clock, CONFIRMED_AFTER_S)
    await daemon._chores.audit()
    confirmed = daemon.status.audit

    assert doubted is not None
    assert [str(finding) for finding in doubted.findings] == [
        "doubted: the clock is 1 day ahead of the time that is trusted, until it is confirmed"
    ]
    assert doubted.is_sound
    assert confirmed is not None
    assert AuditFault.DOUBTED not in {finding.fault for finding in confirmed.findings}
    assert stage.names("clock.stepped", "clock.confirmed") == ["clock.stepped", "clock.confirmed"]


async def test_what_a_start_by_a_clock_that_was_ahead_has_expired_is_pending_again(ledger: Ledger) -> None:
    """The machine was off for five days and started with a clock that was a year ahead.

    Both the reminder that was missed meanwhile and those that are still to come are sent by the right clock.
    """
    first, _ = a_stage(ledger)
    await begun(first)
    ahead, _ = a_stage(ledger, when("2026-09-29T12:00") + YEAR, "node-2")
    await begun(ahead)
    expired = await read_states(ledger)

    right, clock = a_stage(ledger, when("2026-09-29T12:01"), "node-3")
    daemon = await begun(right)
    clock.advance(when("2026-09-30T09:00"))
    await turns(daemon)

    assert {expired[offset] for offset in ("-1d", "0d", "+1d")} == {ReminderState.EXPIRED}
    assert right.lines() == ["2026-09-29T12:01 desk t/m -1d", "2026-09-30T09:00 desk t/m 0d"]
    assert "ledger.repaired" in right.names()


async def test_what_a_right_clock_has_expired_stays_expired(ledger: Ledger) -> None:
    """A longer ``catch_up`` brings nothing back, and neither does another start."""
    stage, _clock = a_stage(ledger, when("2026-10-02T12:00"))
    stage.scene.config = replace(stage.scene.config, catch_up=timedelta(hours=1))
    daemon = await begun(stage)
    before = await read_states(ledger)

    stage.scene.config = replace(stage.scene.config, catch_up=timedelta(days=90))
    await daemon.reload()
    await turns(daemon)

    assert before["+1d"] is ReminderState.EXPIRED
    assert await read_states(ledger) == before
    assert stage.lines() == []


async def test_digest_that_a_clock_that_was_ahead_has_made_is_owed_again(ledger: Ledger) -> None:
    """The next weekly digest is on Monday, and not in a year."""
    for at, node in ((NOW, "node-1"), (NOW + YEAR, "node-2")):
        stage, _ = a_stage(ledger, at, node)
        with_digest(stage)
        await begun(stage)
    moved_on = [digest.at for digest in await ledger.read_digests()]

    stage, clock = a_stage(ledger, NOW + timedelta(minutes=1), "node-3")
    with_digest(stage)
    daemon = await begun(stage)
    await looks(daemon, clock, CONFIRMED_AFTER_S + 1)
    owed = [digest.at for digest in await ledger.read_digests()]
    clock.advance(DIGEST_AT)
    await turns(daemon)

    assert moved_on[0] > NOW + YEAR
    assert owed == [DIGEST_AT]
    assert [f"{one.at:%m-%d %H:%M}" for one in stage.told] == ["09-28 08:00"]


async def test_lease_that_a_clock_that_was_ahead_has_taken_is_given_to_another_node(ledger: Ledger) -> None:
    """The node has died meanwhile. Its lease would hold the delivery for a year."""
    stage, clock = a_stage(ledger)
    answers: list[Outcome | Exception] = [Retry(reason="503")]
    stage.notifiers["desk/hook"] = Recorder(clock=stage.clock.now, answers=answers, log=stage.told)
    daemon = await begun(stage)
    (delivery, _, _), *_ = await ledger.find_deliveries(state=DeliveryState.READY)
    await ledger.lease("dead", NOW + YEAR, duration=LEASE_FOR, limit=9, per_channel=9)

    clock.advance(delivery.next_at)
    await turns(daemon)

    assert [one.message.attempt for one in stage.told] == [1, 3]


async def test_retry_that_waits_for_a_year_is_due_now(ledger: Ledger) -> None:
    """The first attempt failed by a clock that was ahead, so the next one was planned by it too."""
    ahead, _ = a_stage(ledger, NOW + YEAR)
    ahead.define(a_milestone(M, f"{NOW + YEAR + timedelta(days=6):%Y-%m-%d}"))
    ahead.notifiers["desk/hook"] = Recorder(
        clock=ahead.clock.now, answers=[Retry(reason="503") for _ in range(9)], log=ahead.told
    )
    await begun(ahead)
    (waiting, _, _), *_ = await ledger.find_deliveries(state=DeliveryState.READY)

    right, _ = a_stage(ledger, NOW, "node-2")
    right.define(*list_milestones(ahead.scene.timelines).values())
    await begun(right)
    (delivery, attempts, _), *_ = await ledger.find_deliveries(delivery=waiting.id)

    assert waiting.next_at > NOW + YEAR
    assert (delivery.state, len(attempts)) == (DeliveryState.SENT, 2)


@pytest.mark.parametrize("at", [when("1970-01-01T00:01"), when("2024-01-01")])
async def test_start_by_a_clock_that_is_far_behind_cancels_nothing(ledger: Ledger, at: datetime) -> None:
    """A machine without a battery starts years ago. Until its time is right, nothing is cancelled.

    What was expired may be pending until then: by that clock it is not late.
    """
    first, _ = a_stage(ledger)
    series = a_milestone("t/s", "2026-09-20", every="FREQ=MONTHLY;COUNT=12")
    first.define(a_milestone(M, A), series)
    await begun(first)
    before = await read_states(ledger)
    records = [record.id for record in await ledger.read_records()]

    stage, clock = a_stage(ledger, at, "node-2")
    stage.define(a_milestone(M, A), series)
    daemon = await begun(stage)
    await daemon.reload()
    behind, left = await read_states(ledger), [record.id for record in await ledger.read_records()]
    clock.step(when("2026-09-29T09:00") - clock.at)
    await looks(daemon, clock, CONFIRMED_AFTER_S + 60)

    after = await read_states(ledger)
    assert left == records
    assert {offset for offset, state in before.items() if behind[offset] is not state} <= {"-90d"}
    assert {offset for offset, state in before.items() if after[offset] is not state} == {"-1d"}
    assert [line for line in stage.lines() if M in line] == ["2026-09-29T09:06 desk t/m -1d"]
    assert (await ledger.find_waiting(clock.at)).untaken is None


@pytest.mark.parametrize(("says", "told"), [(False, 0), (None, 1), (True, 1)])
async def test_start_on_a_machine_that_knows_that_its_time_is_not_synchronised(
    ledger: Ledger, says: bool | None, told: int
) -> None:
    """If its clock shows a time long after the ledger's last, nothing is sent until it is confirmed."""
    first, _ = a_stage(ledger, when("2026-09-22T12:00"))
    await begun(first)
    first.told.clear()

    stage, clock = a_stage(ledger, when("2026-09-29T12:00"), "node-2")
    stage.world = replace(stage.world, is_synchronised=lambda: says)
    daemon = await begun(stage)
    at_once = len(stage.lines())
    await looks(daemon, clock, CONFIRMED_AFTER_S + 60)

    assert at_once == told
    assert len(stage.lines()) == 1
