"""One milestone, one message or one notifier that fails by a bug keeps nothing else from going on."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent, check_outcome
from alertd.core.ledger.records import Lease, Record
from alertd.core.message.message import Message
from alertd.core.milestones.milestone import Milestone
from alertd.core.reason import DeliveryFailed
from alertd.engine.health import read_health
from alertd.engine.timer import Chore
from alertd.notify.unmade import Unmade
from alertd.store.sql import SqlLedger
from tests.engine.test_daemon import A, M, Stage, turns
from tests.scene import Scene, StepClock, a_ledger, a_milestone, when

OTHER = "t/other"
AT = "2026-09-24"


NO_POLICY: Any = None
"""Planning a milestone with this policy raises an exception, as a bug would."""


class Odd:
    """A notifier that returns what is no outcome, and raises when it is closed."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        made: Outcome = self.outcome
        return made

    async def aclose(self) -> None:
        raise RuntimeError("a bug")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    async with a_ledger("file", tmp_path) as made:
        assert isinstance(made, SqlLedger)
        yield made


@asynccontextmanager
async def started(stage: Stage, *milestones: Milestone) -> AsyncIterator[Any]:
    stage.define(*milestones)
    daemon = stage.daemon()
    await daemon.start()
    yield daemon


async def lose(ledger: SqlLedger, standing: str) -> None:
    statement = text("update milestone set standing = :standing where id = :id")
    await ledger.write(lambda connection: connection.execute(statement, {"standing": standing, "id": M}))


async def look(daemon: Any) -> None:
    """One look of the loop, with the chores that come each second."""
    daemon._timer.want(Chore.LEDGER)
    await daemon._look()
    await daemon.idle()
    await daemon._look()
    await daemon.idle()


# -- rows


async def test_row_is_told_of_once_and_seen_everywhere(ledger: SqlLedger) -> None:
    """The operator gets one notice; log, audit, status and metrics name the row until it can be read."""
    stage = Stage(ledger, StepClock(when("2026-09-01")))
    async with started(stage, a_milestone(M, A), a_milestone(OTHER, A)) as daemon:
        await lose(ledger, "{")
        for _ in range(3):
            await look(daemon)

        assert stage.lines("ops") == ["2026-09-01T00:00 ops notice"]
        (notice,) = [telling.message for telling in stage.told if telling.channel == "ops/hook"]
        assert notice.subject == "1 row of the ledger cannot be read"
        assert notice.lines[0].startswith(f"milestone {M}: ")
        assert "fix it with SQL" in notice.lines[-1]
        assert stage.names("row.refused", "row.recovered") == ["row.refused"]
        assert [row.key for row in daemon.status.unreadable] == [M]
        assert daemon.status.is_well
        (finding,) = daemon.status.audit.findings
        assert str(finding).startswith(f"unreadable: 1 row is set apart: milestone {M}: ")
        await daemon._status.report(daemon._reloader.config)
        assert any(M in wrong for wrong in (await read_health(ledger, stage.clock.now())).wrong)

        await lose(ledger, "{}")
        await look(daemon)

        assert daemon.status.unreadable == ()
        assert stage.names("row.refused", "row.recovered") == ["row.refused", "row.recovered"]
        assert len(stage.lines("ops")) == 1


async def test_row_that_the_files_define_is_written_again_at_once(ledger: SqlLedger) -> None:
    """Damage to what the files say is mended by the next look, without a reload."""
    stage = Stage(ledger, StepClock(when("2026-09-01")))
    async with started(stage, a_milestone(M, A)) as daemon:
        await ledger.write(lambda connection: connection.execute(text("update milestone set stated = '{'")))
        await ledger.find_unreadable(100)

        await look(daemon)
        await look(daemon)

        assert daemon.status.unreadable == ()
        assert await ledger.read_record(M) is not None


async def test_status_of_a_ledger_without_a_daemon_names_the_row(ledger: SqlLedger) -> None:
    """`alertd status` says itself what it cannot read when no daemon does."""
    stage = Stage(ledger, StepClock(when("2026-09-01")))
    async with started(stage, a_milestone(M, A)):
        await lose(ledger, "{")

        later = await read_health(ledger, stage.clock.now() + timedelta(hours=1))

        assert any(wrong.startswith(f"1 row is set apart: milestone {M}: ") for wrong in later.wrong)


async def test_time_apart_does_not_count_for_retry_for(ledger: SqlLedger) -> None:
    """A delivery that was set apart for longer than ``retry_for`` is tried again after its next failure."""
    scene = Scene(ledger, at="2026-09-20")
    scene.define(a_milestone(M, A))
    await scene.reconcile()
    await scene.turn()
    scene.clock.advance(when("2026-09-23T09:00"))
    scene.recorder().answers = [Retry(reason="no"), Retry(reason="no"), Retry(reason="no")]
    await scene.turn()
    await lose(ledger, "{")
    scene.clock.advance(when("2026-09-23T09:00") + scene.config.retry_for + timedelta(hours=1))
    await scene.turn()
    await lose(ledger, "{}")
    await ledger.find_unreadable(100)

    await scene.turn()

    (found,) = [row for row in await ledger.find_deliveries() if row[1] and row[1][0].outcome == "retry"]
    assert [attempt.outcome for attempt in found[1]] == ["retry", "retry"]
    assert found[0].state.value == "ready"
    # Of the time to try again, only the wait before the second attempt has passed.
    assert found[0].horizon_start > scene.now - timedelta(minutes=1)


# -- milestones and reminders


async def test_milestone_that_cannot_be_planned_is_set_apart(ledger: SqlLedger) -> None:
    """A bug that one milestone triggers is told; the others are planned and sent, and the daemon runs on."""
    stage = Stage(ledger, StepClock(when(AT)))
    async with started(stage, a_milestone(M, A, policy=NO_POLICY), a_milestone(OTHER, A)) as daemon:
        await turns(daemon)
        daemon._timer.want(Chore.AUDIT)
        await daemon._look()

        assert stage.lines() == [f"2026-09-24T00:00 desk {OTHER} -7d"]
        assert stage.names("milestone.failed") == ["milestone.failed"]
        assert [str(one) for one in daemon.status.audit.findings if one.fault.value == "unplannable"]
        assert len(stage.lines("ops")) == 1
        assert daemon.status.is_well


async def test_reminder_that_cannot_be_decided_stays_pending(ledger: SqlLedger) -> None:
    """A bug in deciding about one milestone leaves its reminders as they are, and is logged once."""
    stage = Stage(ledger, StepClock(when("2026-09-01")))
    async with started(stage, a_milestone(M, A), a_milestone(OTHER, A)) as daemon:
        stage.clock.advance(when("2026-09-23T09:00"))  # type: ignore[attr-defined]
        binder = daemon._reloader.active.binder
        due = [*await ledger.find_due(stage.clock.now(), 10)]
        damaged = [
            (owed, replace(record, milestone=replace(record.milestone, policy=NO_POLICY)))
            if owed.milestone == M
            else (owed, record)
            for owed, record in due
        ]

        decisions, failed = binder._decide(damaged, stage.clock.now(), binder._make_rules())
        _, again = binder._decide(damaged, stage.clock.now(), binder._make_rules())

        assert list(failed) == [(M, "desk")]
        assert again == {}
        keys = {owed.key for owed, _ in due if owed.milestone == OTHER}
        assert {verdict.key for verdict in decisions.verdicts} == keys


async def test_reminder_that_stays_undecided_is_told_and_lasting(ledger: SqlLedger) -> None:
    """One notice and a finding of its own; the daemon is well, and the finding ends with its cause."""
    stage = Stage(ledger, StepClock(when("2026-09-01")))
    async with started(stage, a_milestone(M, A), a_milestone(OTHER, A)) as daemon:
        rule = f"create trigger bad before update on owed when new.milestone = '{M}' and new.state = 'bound'"
        refuse = text(f"{rule} begin select raise(abort, 'not this one'); end")
        await ledger.write(lambda connection: connection.execute(refuse))
        stage.clock.advance(when("2026-09-23T10:00"))  # type: ignore[attr-defined]
        for _ in range(3):
            daemon._timer.want(Chore.AUDIT, Chore.RECONCILE)
            await look(daemon)

        findings = [str(finding) for finding in daemon.status.audit.findings]
        assert findings == [
            f"undecidable: {M} for desk: due, and nothing can be decided about it; the log has the traceback"
        ]
        assert daemon.status.is_well
        assert daemon.status.audit.is_sound
        (notice,) = [telling.message for telling in stage.told if telling.channel == "ops/hook"]
        assert notice.subject == "Due reminders cannot be decided about"
        assert notice.lines[0] == f"{M} for desk"
        assert len(stage.lines()) == 1

        await ledger.write(lambda connection: connection.execute(text("drop trigger bad")))
        daemon._timer.want(Chore.AUDIT)
        await look(daemon)

        assert daemon.status.audit.findings == ()
        assert len(stage.lines()) == 2


async def leased_with_a_broken_item(ledger: SqlLedger) -> tuple[Scene, Lease, Record]:
    """A message of two milestones that is leased, and the record of one that cannot be composed."""
    scene = Scene(ledger, at="2026-09-20")
    scene.define(a_milestone(M, A), a_milestone(OTHER, A))
    await scene.reconcile()
    await scene.turn()
    scene.log.clear()
    scene.clock.advance(when("2026-09-23T09:00"))
    await scene.binder().bind(scene.now)
    (lease,) = await scene.lease()
    record = lease.records[M]
    broken = replace(record, milestone=replace(record.milestone, claims=None))  # type: ignore[arg-type]
    return scene, replace(lease, records={**lease.records, M: broken}), broken


async def test_item_that_cannot_be_composed_leaves_its_message(ledger: SqlLedger) -> None:
    """The rest of a grouped message is sent, and the item waits in a delivery of its own, with its reason."""
    scene, lease, broken = await leased_with_a_broken_item(ledger)

    settlement = await scene.deliver(lease)
    await ledger.settle([settlement])

    assert scene.told("desk") == [f"2026-09-23T09:00 {OTHER} -7d"]
    assert settlement.state.value == "sent"
    assert len(settlement.told) == 1
    ready = [row for row in await ledger.find_deliveries() if row[0].state.value == "ready"]
    assert [[owed.milestone for owed in members] for _, _, members in ready] == [[M]]
    assert [channel for channel, _ in scene.faults] == ["desk/hook"]

    (alone,) = await scene.lease()
    failed = await scene.deliver(replace(alone, records={M: broken}))

    assert failed.state.value == "ready"
    assert isinstance(failed.reason, DeliveryFailed)


async def test_item_of_a_message_that_is_tried_again_gets_no_delivery_of_its_own(ledger: SqlLedger) -> None:
    """If the item can be composed at the next attempt, it is sent once."""
    scene, lease, _ = await leased_with_a_broken_item(ledger)
    scene.recorder().answers = [Retry(reason="no")]

    await ledger.settle([await scene.deliver(lease)])
    scene.log.clear()
    scene.clock.advance(when("2026-09-23T12:00"))
    await scene.turn()

    assert sorted(scene.told("desk")) == [f"2026-09-23T12:00 {M} -7d", f"2026-09-23T12:00 {OTHER} -7d"]
    assert {delivery.state.value for delivery, _, _ in await ledger.find_deliveries()} == {"sent"}


# -- notifiers


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        "sent",
        Sent(note=7),  # type: ignore[arg-type]
        Sent(state={M: {"thread": object()}}),  # type: ignore[dict-item]
        Retry(reason=None),  # type: ignore[arg-type]
        Retry(reason="x", after="soon"),  # type: ignore[arg-type]
        Rejected(reason=b"x"),  # type: ignore[arg-type]
    ],
)
async def test_notifier_that_returns_no_outcome_harms_its_own_channel(
    ledger: SqlLedger, outcome: object
) -> None:
    """What the ledger could not hold is a failure of that notifier; what others sent is settled."""
    stage = Stage(ledger, StepClock(when(AT)))
    stage.scene.config = replace(stage.scene.config, route=replace(stage.scene.config.route, receiver="ops"))
    stage.notifiers["ops/hook"] = Odd(outcome)
    async with started(stage, a_milestone(M, A)) as daemon:
        await turns(daemon)

        assert "notifier.failed" in stage.names()
        ((delivery, attempts, _),) = await ledger.find_deliveries()
        assert delivery.state.value == "ready"
        assert attempts[0].outcome == "unknown"


def test_texts_that_no_database_holds_are_replaced() -> None:
    """A receiver's answer may hold NUL or half of a surrogate pair, which would hold up all settlements."""
    assert check_outcome(Retry(reason="a\0b\ud800c")) == Retry(reason="a\ufffdb?c")
    assert check_outcome(Sent(note="Très bien", state={M: {"k": "v\0"}})) == Sent(
        note="Très bien", state={M: {"k": "v\ufffd"}}
    )


async def test_notifier_that_raises_on_close_keeps_the_daemon_running(ledger: SqlLedger) -> None:
    """A reload closes the previous notifiers; one that raises is logged, and the new ones send."""
    stage = Stage(ledger, StepClock(when("2026-09-01")))
    stage.notifiers["desk/hook"] = Odd(Sent())
    async with started(stage, a_milestone(M, A)) as daemon:
        del stage.notifiers["desk/hook"]
        stage.scene.config = replace(stage.scene.config, catch_up=timedelta(days=1))

        assert await daemon.reload()
        stage.clock.advance(when("2026-09-23T09:00"))  # type: ignore[attr-defined]
        await turns(daemon)

        assert stage.names("notifier.failed") == ["notifier.failed"]
        assert stage.lines() == ["2026-09-23T09:00 desk t/m -7d"]


async def test_notifier_that_cannot_be_made_waits() -> None:
    """Its messages are tried again, and no text of the error gets out, which may hold a secret."""
    outcome = await Unmade(ValueError("password hunter2")).send(None, {})  # type: ignore[arg-type]

    assert outcome == Retry(reason="the notifier cannot be made: ValueError")
