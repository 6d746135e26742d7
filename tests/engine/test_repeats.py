"""Repeats of `then_every`: only the next few are in the ledger, and none is lost, early or sent twice."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alertd.core.config import Definitions
from alertd.core.ledger.records import ReminderState, ScheduledReminder
from alertd.core.milestones.occurrence import REPEATS_AHEAD, list_occurrences
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import ActionKind
from alertd.core.planning.reminders import schedule
from alertd.core.time.duration import parse_duration
from alertd.engine.self_audit import Auditor
from alertd.ports import Changes, Ledger
from tests.scene import ROOT, Scene, a_config, a_ledger, a_milestone, offsets, route_to, when

M = "t/m"
ENDS = "2026-10-01"
"""When the window of the milestone ends."""


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


def nagging(every: str = "1h", **changes: Any) -> Policy:
    base = Policy(before=(), on_day=False, opens=False, after=(parse_duration("1h"),))
    return replace(base, then_every=parse_duration(every), **changes)


async def overdue(ledger: Ledger, every: str = "1h", at: str = "2026-10-01T00:30") -> Scene:
    """A milestone that has just passed and repeats at this interval."""
    scene = Scene(ledger, at=at)
    scene.define(a_milestone(M, "2026-09-30", policy=nagging(every)))
    await scene.reconcile()
    return scene


async def list_pending(ledger: Ledger) -> list[str]:
    return [one.offset for one in await ledger.read_owed(M) if one.state is ReminderState.PENDING]


async def test_hourly_repeats_take_a_few_rows(ledger: Ledger) -> None:
    """The ledger holds the next repeats, and not 400 days of them: today there would be 9,600 rows."""
    await overdue(ledger)

    assert await list_pending(ledger) == [f"+{hours}h" for hours in range(1, REPEATS_AHEAD + 2)]


async def test_repeats_come_in_time_without_a_reconciliation(ledger: Ledger) -> None:
    """Each decision schedules the following repeats, so that three days of them need no reconciliation."""
    scene = await overdue(ledger)

    await scene.until("2026-10-04T00:30")

    assert scene.told("desk") == [
        f"{when(ENDS) + timedelta(hours=hours):%Y-%m-%dT%H:%M} t/m +{hours}h" for hours in range(1, 73)
    ]
    assert len(await list_pending(ledger)) == REPEATS_AHEAD


async def test_latest_repeat_is_sent_after_days_off(ledger: Ledger) -> None:
    """After three days off, one message goes out: the last repeat, which had never been scheduled."""
    scene = await overdue(ledger)
    await scene.until("2026-10-01T02:30")

    await scene.reconcile("2026-10-04T03:20")
    await scene.until("2026-10-04T05:30")

    assert scene.told("desk") == [
        "2026-10-01T01:00 t/m +1h",
        "2026-10-01T02:00 t/m +2h",
        "2026-10-04T03:20 t/m +75h",
        "2026-10-04T04:00 t/m +76h",
        "2026-10-04T05:00 t/m +77h",
    ]


async def test_latest_repeat_is_sent_after_a_suspended_machine_wakes(ledger: Ledger) -> None:
    """When nothing is reconciled after the pause, one message goes out too, and it is the last repeat."""
    scene = await overdue(ledger)
    await scene.until("2026-10-01T02:30")

    scene.clock.advance(when("2026-10-04T03:20"))
    await scene.until("2026-10-04T04:30")

    assert offsets(scene.told("desk")[2:]) == ["+75h", "+76h"]


async def test_a_repeat_that_is_older_than_the_catch_up_time_is_not_sent(ledger: Ledger) -> None:
    """A repeat that fell due before the catch-up time, while nothing ran, is neither sent nor recorded."""
    scene = await overdue(ledger, "90d")

    await scene.reconcile("2027-02-20")
    await scene.turn()

    assert scene.told("desk") == []


async def test_reconciling_again_writes_nothing(ledger: Ledger) -> None:
    """The plan of an hourly milestone is stable, at any time of the hour."""
    scene = await overdue(ledger)
    await scene.until("2026-10-03T07:10")

    report = await scene.reconcile("2026-10-03T07:40")

    assert not report.changed


async def test_closed_milestone_schedules_no_repeats(ledger: Ledger) -> None:
    """While a milestone is done, the number of rows does not grow."""
    scene = await overdue(ledger)
    await scene.act(ActionKind.DONE, M, done_on="2026-09-30")

    for day in range(2, 9):
        await scene.until(f"2026-10-0{day}")
        await scene.reconcile()

    assert len(await ledger.read_owed(M)) <= REPEATS_AHEAD + 2
    assert scene.told("desk") == []


async def test_reopened_milestone_repeats_from_there_on(ledger: Ledger) -> None:
    """After a reopening, the next repeat is sent. Those that fell due while it was done are not."""
    scene = await overdue(ledger)
    await scene.act(ActionKind.DONE, M, done_on="2026-09-30")
    await scene.until("2026-10-05T10:20")

    await scene.act(ActionKind.REOPEN, M)
    await scene.turn()
    await scene.reconcile("2026-10-05T10:40")
    await scene.until("2026-10-05T12:30")

    assert scene.told("desk") == ["2026-10-05T11:00 t/m +107h", "2026-10-05T12:00 t/m +108h"]


async def test_moved_date_cancels_the_repeats(ledger: Ledger) -> None:
    """When the date moves to next year, no repeat of the old date is left."""
    scene = await overdue(ledger)
    await scene.until("2026-10-02T00:30")

    await scene.change("2026-10-02T00:40", a_milestone(M, "2027-09-30", policy=nagging()))
    await scene.until("2026-10-03T00:40")

    assert offsets(scene.told("desk")[24:]) == ["moved"]
    assert await list_pending(ledger) == [f"+{hours}h" for hours in range(1, REPEATS_AHEAD + 2)]


async def test_acknowledged_repeats_wait(ledger: Ledger) -> None:
    """During an acknowledgement nothing is sent. At its end the last repeat goes out, then they go on."""
    scene = await overdue(ledger)
    await scene.act(ActionKind.ACK, M, until="2026-10-03T00:10")

    await scene.until("2026-10-03T02:30")

    assert scene.told("desk") == [
        "2026-10-03T00:10 t/m +48h",
        "2026-10-03T01:00 t/m +49h",
        "2026-10-03T02:00 t/m +50h",
    ]


async def test_longer_interval_cancels_the_hourly_repeats(ledger: Ledger) -> None:
    """When the policy repeats every 5 hours instead of every hour, only these repeats are left."""
    scene = await overdue(ledger)
    await scene.until("2026-10-02T00:30")

    await scene.change("2026-10-02T00:40", a_milestone(M, "2026-09-30", policy=nagging("5h")))
    await scene.until("2026-10-02T12:00")

    assert offsets(scene.told("desk")[24:]) == ["+26h", "+31h", "+36h"]


async def test_withdrawn_milestone_that_returns_repeats_again(ledger: Ledger) -> None:
    """After its return, a milestone sends the last repeat, late, and then goes on."""
    scene = await overdue(ledger)
    await scene.until("2026-10-01T02:30")
    await scene.change("2026-10-01T02:40")
    assert await list_pending(ledger) == []

    await scene.change("2026-10-03T02:40", a_milestone(M, "2026-09-30", policy=nagging()))
    await scene.until("2026-10-03T03:30")

    assert offsets(scene.told("desk")[2:]) == ["+50h", "+51h"]


async def test_route_for_one_repeat_alone_is_followed(ledger: Ledger) -> None:
    """A route that matches a single repeat far ahead gets this repeat, and no other."""
    routes = (route_to("desk", go_on=True), route_to("leads", 'offset="+40h"'))
    scene = Scene(
        ledger, at="2026-10-01T00:30", config=a_config("desk", "leads", route=replace(ROOT, routes=routes))
    )
    scene.define(a_milestone(M, "2026-09-30", policy=nagging()))
    await scene.reconcile()

    await scene.until("2026-10-03T00:30")

    assert scene.told("leads") == ["2026-10-02T16:00 t/m +40h"]


async def test_yearly_repeats_need_no_reconciliation_either(ledger: Ledger) -> None:
    """Repeats beyond the horizon of the ledger are scheduled by the decisions about the earlier ones."""
    scene = await overdue(ledger, "1y")

    await scene.until("2030-01-01")

    assert offsets(scene.told("desk")) == ["+1h", "+1y1h", "+2y1h", "+3y1h"]


@pytest.mark.parametrize("every", ["1h", "1d", "7d", "1mo"])
async def test_audit_finds_every_repeat(ledger: Ledger, every: str) -> None:
    """The self-audit misses no repeat while they run, after a pause, and while the milestone is closed."""
    scene = await overdue(ledger, every)
    auditor = Auditor(ledger)
    auditor.use(Definitions(config=scene.config, timelines=scene.timelines), {})

    async def find_missing() -> tuple[str, ...]:
        audit = await auditor.run(scene.config, scene.now, planned_at=scene.now, shut=frozenset())
        return tuple(str(finding) for finding in audit.findings)

    await scene.until("2026-10-02T12:10")
    assert await find_missing() == ()
    await scene.reconcile("2026-11-20T12:10")
    await scene.turn()
    assert await find_missing() == ()
    await scene.act(ActionKind.CANCEL, M)
    await scene.until("2026-11-25T12:10")
    assert await find_missing() == ()


async def test_audit_finds_a_repeat_that_nobody_scheduled(ledger: Ledger) -> None:
    """A repeat that is due next and is not in the ledger is a finding."""
    scene = await overdue(ledger)
    await scene.until("2026-10-02T12:10")
    auditor = Auditor(ledger)
    scene.define(a_milestone("t/never-loaded", "2026-09-30", policy=nagging()))
    auditor.use(Definitions(config=scene.config, timelines=scene.timelines), {})

    audit = await auditor.run(scene.config, scene.now, planned_at=scene.now, shut=frozenset())

    assert "t/never-loaded +37h for desk" in str(audit.findings[0])


async def test_rows_of_an_older_version_do_no_harm(ledger: Ledger) -> None:
    """A ledger that holds 400 days of repeats is left as it is: none is cancelled, and none is sent twice."""
    scene = await overdue(ledger)
    (record,) = await ledger.read_records()
    every = list_occurrences(record.milestone, scene.now, scene.now + timedelta(days=20))
    owed = tuple(schedule(record.milestone, every, scene.config))
    await ledger.apply(Changes(owed=owed))

    report = await scene.reconcile("2026-10-01T00:40")
    await scene.until("2026-10-02T00:30")

    assert not report.changed
    assert offsets(scene.told("desk")) == [f"+{hours}h" for hours in range(1, 25)]


class Counting:
    """A ledger that counts the reminders that its readers return."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.rows = 0

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._ledger, method)
        if not method.startswith("read_"):
            return real

        async def count(*args: Any, **kwargs: Any) -> Any:
            found = await real(*args, **kwargs)
            parts = found if isinstance(found, tuple) else (found,)
            self.rows += sum(
                isinstance(row, ScheduledReminder) for part in parts if isinstance(part, list) for row in part
            )
            return found

        return count


@pytest.mark.long(15)
async def test_reconciling_does_not_read_the_history(ledger: Ledger) -> None:
    """After 300 repeats, a reconciliation reads as few reminders as it did after 30, moves included."""
    scene = await overdue(ledger)
    await scene.until("2026-10-02T06:30")
    counting = Counting(ledger)
    scene.ledger = counting
    await scene.reconcile()
    early, counting.rows = counting.rows, 0
    scene.ledger = ledger
    await scene.until("2026-10-13T12:30")

    scene.ledger = counting
    await scene.reconcile()
    late, counting.rows = counting.rows, 0
    scene.define(a_milestone(M, "2026-12-31", policy=nagging()))
    await scene.reconcile()

    assert early == late <= REPEATS_AHEAD + 4
    assert counting.rows <= REPEATS_AHEAD + 8
    assert offsets(scene.told("desk"))[-1] == "+300h"
