"""Deadlines that recur, and deadlines that are counted from others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alertd.core.config import Definitions
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import ActionKind
from alertd.core.time.duration import Duration
from alertd.engine.reconcile_pass import AT_ONCE
from alertd.engine.self_audit import Auditor
from alertd.ports import Ledger
from tests.scene import Scene, Watched, a_ledger, a_milestone, offsets, when

RENT = "t/rent"
MONTHLY = "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1"
SHORT = Policy(before=(Duration(days=1),), after=(Duration(days=1),))


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


def rent(first: str = "2026-01-31", every: str = MONTHLY, policy: Policy = SHORT) -> Milestone:
    return a_milestone(RENT, first, every=every, policy=policy)


async def play(scene: Scene, *days: str) -> None:
    """Reconcile on each of the days, as the daemon does when nothing has changed."""
    for day in days:
        await scene.until(day)
        await scene.reconcile()


async def test_series_reminds_of_every_instance_over_a_year(ledger: Ledger) -> None:
    """A recurring milestone is told of at each instance, under the instance's own id, and never twice."""
    scene = Scene(ledger, at="2026-01-01")
    scene.define(rent())
    await scene.reconcile()

    await play(scene, *(f"2026-{month:02d}-15" for month in range(1, 13)), "2027-01-15")

    lasts = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    assert [one for one in scene.told("desk") if one.endswith(" 0d")] == [
        f"2026-{month:02d}-{day}T09:00 t/rent@2026-{month:02d}-{day} 0d"
        for month, day in enumerate(lasts, start=1)
    ]
    assert len(scene.told()) == len(set(scene.told())) == 3 * 12


async def test_series_reaches_no_further_back_each_time(ledger: Ledger) -> None:
    """Reconciling again and again makes no older instances than the first time did."""
    scene = Scene(ledger, at="2026-11-01")
    scene.define(rent("2001-01-31"), a_milestone("t/weekly", "2001-01-01", every="RRULE:FREQ=WEEKLY"))
    await scene.reconcile()
    before = len(await ledger.read_records())
    watched = Watched(ledger)
    scene.ledger = watched

    for _ in range(3):
        await scene.reconcile()

    assert watched.writes == []
    assert len(await ledger.read_records()) == before < 120


async def test_old_instance_is_not_withdrawn(ledger: Ledger) -> None:
    """An instance that is long past stays what it was, though it is not expanded any more."""
    scene = Scene(ledger, at="2026-01-01")
    scene.define(rent())
    await scene.reconcile()

    await play(scene, "2026-06-15", "2027-06-15", "2028-06-15")

    withdrawn = [one.id for one in (await ledger.read_timeline("t"))[0] if one.withdrawn]
    assert withdrawn == []
    assert [one.kind for one in await ledger.read_history("t/rent@2026-01-31")] == ["loaded"]


async def test_changed_rule_withdraws_what_is_to_come_of_the_old_one(ledger: Ledger) -> None:
    """Instances of another rule take the place of those to come; what has passed stays."""
    scene = Scene(ledger, at="2026-01-01")
    scene.define(rent())
    await scene.reconcile()
    await scene.until("2026-03-10")

    report = await scene.change("2026-03-10", rent("2026-01-15", "RRULE:FREQ=MONTHLY"))
    await scene.until("2026-05-01")

    assert "t/rent@2026-03-31" in report.withdrawn
    assert "t/rent@2026-02-28" not in report.withdrawn
    assert [one for one in scene.told("desk", since="2026-03-10") if one.endswith(" 0d")] == [
        "2026-03-15T09:00 t/rent@2026-03-15 0d",
        "2026-04-15T09:00 t/rent@2026-04-15 0d",
    ]


async def test_edited_rule_adds_nothing_to_the_past(ledger: Ledger) -> None:
    """An edited rule reminds of its instances from the edit on, and of no past one that it never had."""
    scene = Scene(ledger, at="2026-01-01")
    scene.define(rent())
    await scene.reconcile()
    await scene.until("2026-03-20")
    known = {one.id for one in await ledger.read_records()}

    report = await scene.change("2026-03-20", rent("2026-01-15", "RRULE:FREQ=WEEKLY"))
    await scene.until("2026-04-03")

    assert min(report.loaded) == "t/rent@2026-03-26"
    kept = {one.id for one in await ledger.read_records()}
    assert known & {"t/rent@2026-01-31", "t/rent@2026-02-28"} <= kept
    assert scene.told("desk", since="2026-03-20") == [
        "2026-03-25T09:00 t/rent@2026-03-26 -1d",
        "2026-03-26T09:00 t/rent@2026-03-26 0d",
        "2026-03-27T09:00 t/rent@2026-03-26 +1d",
        "2026-04-01T09:00 t/rent@2026-04-02 -1d",
        "2026-04-02T09:00 t/rent@2026-04-02 0d",
    ]
    assert min((await scene.reconcile()).loaded) > "t/rent@2027"


async def test_edited_rule_brings_no_later_step_of_a_past_instance(ledger: Ledger) -> None:
    """An instance of the past that an edit adds has no overdue reminder later either, and no finding."""
    scene = Scene(ledger, at="2026-01-01")
    late = Policy(before=(), on_day=False, after=(Duration(days=10),))
    scene.define(rent(policy=late))
    await scene.reconcile()
    await scene.until("2026-03-20")

    await scene.change("2026-03-20", rent("2026-01-15", "RRULE:FREQ=MONTHLY", policy=late))
    await scene.until("2026-03-25T08:00")

    auditor = Auditor(ledger)
    auditor.use(Definitions(config=scene.config, timelines=scene.timelines), {})
    audit = await auditor.run(scene.config, scene.now, planned_at=scene.now, shut=frozenset())
    await scene.until("2026-04-26")

    assert audit.findings == ()
    assert scene.told("desk", since="2026-03-20") == ["2026-04-25T09:00 t/rent@2026-04-15 +10d"]


async def test_new_series_reminds_of_the_past_within_the_catch_up_time(ledger: Ledger) -> None:
    """A series that is new in a timeline with others is told late of its last instances, as before."""
    scene = Scene(ledger, at="2026-01-01")
    scene.define(rent())
    await scene.reconcile()
    await scene.until("2026-03-20")

    other = a_milestone("t/other", "2026-01-15", every="RRULE:FREQ=MONTHLY", policy=SHORT)
    await scene.change("2026-03-20", rent(), other)
    await scene.turn()

    assert scene.told("desk", since="2026-03-20") == [
        "2026-03-20T00:00 t/other@2026-02-15 +1d",
        "2026-03-20T00:00 t/other@2026-03-15 +1d",
    ]


async def test_last_instance_is_sent_after_more_days_off_than_are_planned(ledger: Ledger) -> None:
    """After 500 days off, the ledger has no record of the last instances. Their reminders are still sent."""
    scene = Scene(ledger, at="2026-01-01")
    scene.define(rent())
    await scene.reconcile()

    await scene.reconcile("2027-06-01T12:00")
    await scene.turn()

    assert "2027-06-01T12:00 t/rent@2027-05-31 +1d" in scene.told("desk")


async def test_crash_in_the_middle_of_a_first_load_forgets_no_instance(ledger: Ledger) -> None:
    """A long series is written whole or not at all, so that its past instances do not count as never had."""
    scene = Scene(ledger, at="2026-11-01")
    watched = Watched(ledger)
    scene.ledger = watched
    scene.define(a_milestone("t/daily", "2026-01-01", every="RRULE:FREQ=DAILY", policy=SHORT))

    await scene.reconcile()

    assert watched.calls.count("apply") == 1
    assert len(await ledger.read_records()) > 2 * AT_ONCE


async def test_withdrawn_series_is_withdrawn_whole(ledger: Ledger) -> None:
    """When a series is taken out of its file all its instances are withdrawn, the past ones too."""
    scene = Scene(ledger, at="2026-01-01")
    scene.define(rent(), a_milestone("t/n", "2028-01-01"))
    await scene.reconcile()
    await scene.until("2026-03-10")

    await scene.change("2026-03-10", a_milestone("t/n", "2028-01-01"))
    await scene.until("2026-12-01")

    assert [one.id for one in await ledger.read_records()] == ["t/n"]
    assert scene.told(since="2026-03-10") == []


async def test_done_instance_leaves_the_others(ledger: Ledger) -> None:
    """What is said of one instance is said of it alone."""
    scene = Scene(ledger, at="2026-01-30")
    scene.define(rent())
    await scene.reconcile()
    await scene.until("2026-01-30T12:00")

    await scene.act(ActionKind.DONE, "t/rent@2026-01-31", done_on="2026-01-30")
    await scene.until("2026-02-28T12:00")

    assert scene.told("desk") == [
        "2026-01-30T09:00 t/rent@2026-01-31 -1d",
        "2026-01-30T12:00 t/rent@2026-01-31 done",
        "2026-02-27T09:00 t/rent@2026-02-28 -1d",
        "2026-02-28T09:00 t/rent@2026-02-28 0d",
    ]


async def test_series_loaded_late_makes_no_flood(ledger: Ledger) -> None:
    """Of a daily series that began years ago only what is within the catch-up time is sent."""
    scene = Scene(ledger, at="2026-11-01")
    scene.define(rent("2000-01-01", "RRULE:FREQ=DAILY", Policy(before=(), after=())))

    await scene.reconcile()
    await scene.turn()

    assert len(scene.told()) == 35
    assert scene.log[0].message.kind == "many"


# -- relative


async def test_relative_deadline_follows_its_base(ledger: Ledger) -> None:
    """A deadline that is counted from another one moves when that moves."""
    scene = Scene(ledger, at="2026-09-24")
    scene.define(a_milestone("t/base", "2026-09-30"), a_milestone("t/next", after=("t/base", "7d")))
    await scene.reconcile()
    await scene.turn()

    report = await scene.change(
        "2026-09-25", a_milestone("t/base", "2026-10-31"), a_milestone("t/next", after=("t/base", "7d"))
    )
    await scene.until("2026-09-26")

    assert report.moved == ["t/base", "t/next"]
    record = await ledger.read_record("t/next")
    assert record is not None
    assert [value.edtf for value in record.values] == ["2026-11-07"]
    assert offsets(one for one in scene.told("desk") if " t/next " in one) == ["-30d", "moved"]


async def test_relative_deadline_follows_the_done_date(ledger: Ledger) -> None:
    """Once its base is done a deadline is counted from the done date; when that is reopened, as before."""
    definitions = (a_milestone("t/base", "2026-09"), a_milestone("u/next", after=("t/base", "60d")))
    scene = Scene(ledger, at="2026-09-24")
    scene.define(*definitions)
    await scene.reconcile()
    await scene.turn()

    found = []
    await scene.act(ActionKind.DONE, "t/base", done_on="2026-09-20")
    for at, kind in (("2026-09-25", ActionKind.REOPEN), ("2026-09-26", None)):
        report = await scene.reconcile(at=at)
        record = await ledger.read_record("u/next")
        assert record is not None
        found.append((report.moved, [value.edtf for value in record.values]))
        if kind:
            await scene.act(kind, "t/base")

    assert found[0] == (["u/next"], ["2026-11-19"])
    assert found[1][0] == ["u/next"]
    assert found[1][1] != found[0][1]


async def test_relative_to_what_is_gone_has_no_date(ledger: Ledger) -> None:
    """A deadline whose base is not there any more is none; it comes back with its base."""
    scene = Scene(ledger, at="2026-09-24")
    scene.define(a_milestone("t/base", "2026-09-30"), a_milestone("u/next", after=("t/base", "7d")))
    await scene.reconcile()

    await scene.change("2026-09-25", a_milestone("u/next", after=("t/base", "7d")))
    gone = await ledger.read_record("u/next")
    await scene.change(
        "2026-09-26", a_milestone("t/base", "2026-09-30"), a_milestone("u/next", after=("t/base", "7d"))
    )

    back = await ledger.read_record("u/next")
    assert gone is not None
    assert gone.values == ()
    assert back is not None
    assert [value.edtf for value in back.values] == ["2026-10-07"]
    assert back.changed_at == when("2026-09-26")
