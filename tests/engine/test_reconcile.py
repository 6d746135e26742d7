"""Definitions become what is owed: loading, loading again, leaving out, breaking, catching up."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from time import process_time
from zoneinfo import ZoneInfo

import pytest

from alertd.core.config import Definitions
from alertd.core.ledger.records import ReminderState
from alertd.core.message.claims import list_values
from alertd.core.milestones.policy import Policy
from alertd.core.planning.reminders import HORIZON
from alertd.core.reason import TooLateAtLoad
from alertd.core.time.duration import Duration
from alertd.engine.reconcile import reconcile
from alertd.engine.reconcile_pass import PassOptions
from alertd.ports import Ledger
from tests.scene import (
    ROOT,
    Scene,
    Watched,
    a_claim,
    a_config,
    a_ledger,
    a_milestone,
    offsets,
    route_to,
    when,
)

M = "t/m"
END = "2026-09-30"


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


# -- the same again


async def test_same_definitions_again_write_nothing(ledger: Ledger) -> None:
    """Whatever is owed, waits, was sent or recurs: the same definitions a second time change nothing."""
    watched = Watched(ledger)
    scene = Scene(ledger, at="2026-09-25")
    scene.define(
        a_milestone(M, END, "2026"),
        a_milestone("t/month", "2026-09"),
        a_milestone("t/rent", "2024-01-31", every="RRULE:FREQ=MONTHLY;BYMONTHDAY=-1"),
        a_milestone("u/relative", after=(M, "30d")),
        a_milestone("u/none"),
    )
    await scene.reconcile()
    await scene.until("2026-09-29")
    await scene.reconcile()
    scene.ledger = watched

    reports = [await scene.reconcile() for _ in range(3)]

    assert watched.writes == []
    assert not any(report.changed for report in reports)


async def test_restart_repeats_and_loses_nothing(tmp_path: Path) -> None:
    """A ledger that is opened anew at every instant sends the same as one that never was."""
    milestones = (a_milestone(M, END, "2026-10"), a_milestone("t/n", "2026-09"))
    async with a_ledger("memory", tmp_path) as memory:
        steady = Scene(memory, at="2026-06-01")
        steady.define(*milestones)
        await steady.reconcile()
        await steady.until("2026-12-31")
    told: list[str] = []
    at = "2026-06-01"

    for day in ("2026-07-15", "2026-09-23", "2026-09-24", "2026-09-30", "2026-10-02", "2026-12-31"):
        async with a_ledger("file", tmp_path) as opened:
            scene = Scene(opened, at=at)
            scene.define(*milestones)
            await scene.reconcile()
            await scene.until(day)
            told += scene.told()
            at = day

    assert told == steady.told()
    assert len(set(told)) == len(told)


async def test_corrected_title_label_and_account_send_nothing(ledger: Ledger) -> None:
    """A corrected title, label, owner or account is kept for the next message and causes none."""
    scene = Scene(ledger, at="2026-09-24")
    scene.define(a_milestone(M, END))
    await scene.reconcile()
    await scene.turn()
    before = len(scene.log)

    corrected = a_milestone(
        M,
        replace(a_claim("2026-09-30", note="as printed")),
        title="It comes to pass",
        labels={"a": "b"},
        owner="Ada",
    )
    await scene.change("2026-09-25", corrected)
    await scene.until("2026-09-28")

    record = await ledger.read_record(M)
    assert len(scene.log) == before == 1
    assert record is not None
    assert record.milestone == corrected
    assert record.revision == 1


async def test_same_deadline_written_otherwise_is_no_move(ledger: Ledger) -> None:
    """A qualifier, a date for a month's only day, or one more source for the same window moves nothing."""
    scene = Scene(ledger, at="2026-09-24")
    scene.define(a_milestone(M, "2026-09"))
    await scene.reconcile()
    await scene.turn()

    report = await scene.change("2026-09-24T12:00", a_milestone(M, "2026-09~", "2026-09"))

    assert report.moved == []
    assert (await ledger.read_record(M)) is not None
    assert await scene.offsets(M, "cancelled") == []


# -- what is owed


async def test_ladder_is_sent_rung_by_rung(ledger: Ledger) -> None:
    """A milestone that is known in time is told of once at each rung of its ladder."""
    scene = Scene(ledger, at="2026-06-01")
    scene.define(a_milestone(M, END))
    await scene.reconcile()

    await scene.until("2027-06-01")

    assert scene.told("desk") == [
        "2026-07-02T09:00 t/m -90d",
        "2026-08-31T09:00 t/m -30d",
        "2026-09-23T09:00 t/m -7d",
        "2026-09-29T09:00 t/m -1d",
        "2026-09-30T09:00 t/m 0d",
        "2026-10-01T09:00 t/m +1d",
        "2026-10-07T09:00 t/m +7d",
        "2026-10-14T09:00 t/m +14d",
        "2026-10-28T09:00 t/m +28d",
    ]


async def test_horizon_moves_along(ledger: Ledger) -> None:
    """What lies beyond the horizon is owed as soon as a later reconciliation reaches it."""
    scene = Scene(ledger, at="2026-06-01")
    scene.define(a_milestone(M, "2027-09-30"))
    await scene.reconcile()
    first = await ledger.read_owed(M)

    await scene.reconcile(at="2027-03-01")

    assert [one.offset for one in first] == ["-90d"]
    assert all(one.at < when("2026-06-01") + HORIZON for one in first)
    assert len(await ledger.read_owed(M)) == 9


async def test_receiver_added_later_is_caught_up_once(ledger: Ledger) -> None:
    """A receiver that a route names for the first time is sent the tightest of what it missed, once."""
    scene = Scene(ledger, at="2026-08-01", config=a_config("desk", "leads"))
    scene.define(a_milestone(M, END))
    await scene.reconcile()
    await scene.until("2026-09-24")
    both = replace(ROOT, routes=(route_to("desk", go_on=True), route_to("leads")))

    scene.config = replace(scene.config, route=both)
    await scene.reconcile()
    await scene.until("2026-09-27")

    assert scene.told("leads") == ["2026-09-24T00:00 t/m -7d"]
    assert offsets(scene.told("desk")) == ["-90d", "-30d", "-7d"]


async def test_rung_added_in_the_past_sends_nothing_late(ledger: Ledger) -> None:
    """A new policy arms its rungs to come; one that would have been due already is recorded as superseded."""
    scene = Scene(ledger, at="2026-09-01")
    scene.define(a_milestone(M, END))
    await scene.reconcile()
    await scene.until("2026-09-24")
    told = len(scene.log)

    await scene.change(
        "2026-09-24", a_milestone(M, END, policy=Policy(before=(Duration(days=10), Duration(days=2))))
    )
    await scene.until("2026-09-29T12:00")

    assert offsets(scene.told("desk")[told:]) == ["-2d"]
    states = await scene.states(M)
    window = "2026-09-30/2026-10-01"
    assert states[f"{window} -10d"] == "superseded"
    assert states[f"{window} -1d"] == "cancelled"


async def test_other_time_of_day_repeats_nothing(ledger: Ledger) -> None:
    """A zone or an hour that is changed moves what is to come and sends nothing again."""
    scene = Scene(ledger, at="2026-09-22")
    scene.define(a_milestone(M, END))
    await scene.reconcile()
    await scene.until("2026-09-23T09:30")

    report = await scene.change("2026-09-23T10:00", a_milestone(M, END, zone=ZoneInfo("America/New_York")))
    await scene.until("2026-09-29T23:00")

    assert report.moved == []
    assert scene.told("desk") == [
        "2026-09-22T00:00 t/m -30d",
        "2026-09-23T09:00 t/m -7d",
        "2026-09-29T13:00 t/m -1d",
    ]


async def test_two_that_are_due_together_are_one_message(ledger: Ledger) -> None:
    """Occurrences due at one instant for one receiver and group are one delivery."""
    scene = Scene(ledger, at="2026-09-22", config=a_config(route=replace(ROOT, group_by=("timeline",))))
    scene.define(a_milestone(M, END), a_milestone("t/n", END), a_milestone("u/o", END))

    await scene.reconcile()
    await scene.until("2026-09-23T10:00")

    sizes = [len(one.message.items) for one in scene.log if one.at == when("2026-09-23T09:00")]
    assert sorted(sizes) == [1, 2]


# -- gone, back, broken


async def test_withdrawn_milestone_is_reminded_of_no_more(ledger: Ledger) -> None:
    """What is taken out of the files is withdrawn: kept, shown in the history, and silent."""
    scene = Scene(ledger, at="2026-09-24")
    scene.define(a_milestone(M, END), a_milestone("t/n", "2027-01-01"))
    await scene.reconcile()
    await scene.turn()

    report = await scene.change("2026-09-25", a_milestone("t/n", "2027-01-01"))
    await scene.until("2026-12-01")

    record = await ledger.read_record(M)
    assert report.withdrawn == [M]
    assert record is not None
    assert record.withdrawn
    assert scene.told("desk") == ["2026-09-24T00:00 t/m -7d", "2026-10-03T09:00 t/n -90d"]
    assert [one.kind for one in await ledger.read_history(M)] == ["withdrawn", "loaded"]


@pytest.mark.parametrize("gone", ["milestone", "timeline"])
async def test_returned_milestone_goes_on_where_it_was(ledger: Ledger, gone: str) -> None:
    """What comes back owes what it owed, the tightest of what it missed first, and repeats nothing."""
    rest = (a_milestone("t/n", "2027-12-01"),) if gone == "milestone" else ()
    scene = Scene(ledger, at="2026-09-22")
    scene.define(a_milestone(M, END), *rest)
    await scene.reconcile()
    await scene.until("2026-09-23T10:00")
    await scene.change("2026-09-24", *rest)

    report = await scene.change("2026-09-30T12:00", a_milestone(M, END), *rest)
    await scene.until("2026-10-03")

    assert report.loaded == [M]
    assert scene.told("desk") == [
        "2026-09-22T00:00 t/m -30d",
        "2026-09-23T09:00 t/m -7d",
        "2026-09-30T12:00 t/m 0d",
        "2026-10-01T09:00 t/m +1d",
    ]
    assert [one.kind for one in await ledger.read_history(M)] == ["returned", "withdrawn", "loaded"]


async def test_timeline_in_a_broken_file_stays(ledger: Ledger) -> None:
    """A file that cannot be read changes nothing: its milestones go on, and others depend on them still."""
    scene = Scene(ledger, at="2026-09-01")
    scene.define(a_milestone(M, END), a_milestone("u/r", after=(M, "30d")))
    await scene.reconcile()
    scene.define(a_milestone("u/r", after=(M, "30d")))
    scene.broken = frozenset({"milestones/t.yaml"})

    report = await scene.reconcile()
    await scene.until("2026-10-31")

    assert not report.changed
    assert offsets(one for one in scene.told("desk") if " t/m " in one) == [
        "-30d", "-7d", "-1d", "0d", "+1d", "+7d", "+14d", "+28d",
    ]  # fmt: skip
    relative = await ledger.read_record("u/r")
    assert relative is not None
    assert [value.edtf for value in relative.values] == ["2026-10-30"]


async def test_renamed_timeline_is_another_one(ledger: Ledger) -> None:
    """A timeline under another name is withdrawn under the old one and loaded under the new one."""
    scene = Scene(ledger, at="2026-09-24")
    scene.define(a_milestone(M, END))
    await scene.reconcile()
    await scene.turn()

    report = await scene.change("2026-09-25", a_milestone("renamed/m", END))
    await scene.until("2026-09-29T10:00")

    assert (report.withdrawn, report.loaded) == ([M], ["renamed/m"])
    assert scene.told("desk", since="2026-09-26") == ["2026-09-29T09:00 renamed/m -1d"]


async def test_timeline_in_another_file_is_the_same(ledger: Ledger) -> None:
    """A file's name is no part of what it says: renaming it sends nothing and withdraws nothing."""
    scene = Scene(ledger, at="2026-09-24")
    scene.define(a_milestone(M, END))
    await scene.reconcile()
    await scene.turn()
    scene.timelines = tuple(replace(one, file="milestones/other.yaml") for one in scene.timelines)

    report = await scene.reconcile()

    assert not report.changed
    assert await ledger.read_timelines() == {"t": "milestones/other.yaml"}


@pytest.mark.wording
async def test_nothing_is_concluded_without_a_configuration(ledger: Ledger) -> None:
    """Definitions without a configuration are refused, and the ledger is left alone."""
    watched = Watched(ledger)

    with pytest.raises(ValueError, match="without a configuration"):
        await reconcile(watched, Definitions(config=None), PassOptions(now=when("2026-09-24")))

    assert watched.calls == []


# -- late


@pytest.mark.wording
async def test_after_ten_days_off_only_the_tightest_is_sent(ledger: Ledger) -> None:
    """Of what was missed only the tightest goes out, marked with how late it is; the rest is superseded."""
    scene = Scene(ledger, at="2026-09-22T10:00")
    scene.define(a_milestone(M, END))
    await scene.reconcile()
    await scene.turn()

    scene.clock.advance(when("2026-10-02T10:00"))
    await scene.reconcile()
    await scene.turn()

    assert scene.told("desk") == ["2026-09-22T10:00 t/m -30d", "2026-10-02T10:00 t/m +1d"]
    assert "comes 1 day late" in scene.log[-1].message.items[0].late
    assert await scene.offsets(M, "superseded") == ["-7d", "-1d", "0d"]


async def test_what_is_older_than_the_catch_up_time_is_expired(ledger: Ledger) -> None:
    """What fell due longer ago than `catch_up` is recorded as expired, with how late it was."""
    scene = Scene(ledger, at="2026-11-15")
    scene.define(a_milestone(M, END))

    await scene.reconcile()
    await scene.until("2026-12-31")

    expired = [one for one in await ledger.read_owed(M) if one.state is ReminderState.EXPIRED]
    assert scene.told("desk") == ["2026-11-15T00:00 t/m +28d"]
    assert [one.offset for one in expired] == ["-90d", "-30d", "-7d", "-1d", "0d", "+1d", "+7d"]
    assert expired[-1].reason == TooLateAtLoad(days=38)


@pytest.mark.parametrize(("kind", "number"), [("memory", 10_000), ("sql", 2_000)])
@pytest.mark.long
async def test_last_years_import_makes_no_flood(kind: str, number: int, tmp_path: Path) -> None:
    """Ten thousand milestones of last year make no delivery, and their import takes a bounded time."""
    async with a_ledger(kind, tmp_path) as ledger:
        scene = Scene(ledger, at="2026-11-15")
        scene.define(*(a_milestone(f"t/m{i}", f"2025-{i % 12 + 1:02d}-15") for i in range(number)))
        started = process_time()

        report = await scene.reconcile()
        await scene.turn()

        # Processor time, because the time on the clock says more about what else the machine does.
        assert process_time() - started < 30
        counts = await ledger.count_rows()
        assert len(report.loaded) == number
        assert counts["owed.expired"] == number * 9
        assert await ledger.find_deliveries() == []
        assert await ledger.find_next_wake(scene.now) is None


@pytest.mark.parametrize(
    "deadline",
    [
        "9998-12-31",
        "9998",
        "1000-01-01",
        "1000",
        "../2026-12",
        "2026-12/..",
        "2026-12-31T23:59",
    ],
)
async def test_no_deadline_ends_a_reconciliation(ledger: Ledger, deadline: str) -> None:
    """A deadline at the edge of the calendar owes what the calendar has, and takes nothing else down."""
    scene = Scene(ledger, at="2026-11-15")
    scene.define(a_milestone(M, deadline), a_milestone("t/n", "2026-12-31"))

    report = await scene.reconcile()

    assert sorted(report.loaded) == [M, "t/n"]


def test_values_are_the_windows_that_remind() -> None:
    """What a record keeps of a milestone are its operative windows, with who states them."""
    values = list_values(a_milestone(M, "2026-09", "2026"))

    assert [value.edtf for value in values] == ["2026-09", "2026"]
