"""What people say, and what routes mute: reminders wait, stop and go on, and nothing is lost on the way."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import ActionKind
from alertd.core.reason import AcknowledgedBy
from alertd.core.routing.route import Route
from alertd.core.time.duration import parse_duration
from alertd.core.time.interval import NamedInterval, TimeInterval, parse_days_of_month, parse_months
from alertd.errors import RefusedAction, UnknownMilestone
from alertd.ports import Ledger
from tests.scene import ROOT, Scene, Watched, a_config, a_ledger, a_milestone, offsets, route_to

M = "t/m"
A = "2026-09-30"


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


def mute(days: str, months: str = "1:12") -> NamedInterval:
    """Mutes whole days of a month, such as ``23:28``."""
    interval = TimeInterval(days_of_month=(parse_days_of_month(days),), months=(parse_months(months),))
    return NamedInterval(name=f"days {days}", intervals=(interval,))


def muted_root(days: str, months: str = "1:12") -> Route:
    return replace(ROOT, mute=(mute(days, months),))


async def told_of(ledger: Ledger, at: str = "2026-09-24") -> Scene:
    scene = Scene(ledger, at=at)
    scene.define(a_milestone(M, A))
    await scene.reconcile()
    await scene.turn()
    return scene


# -- mutes


async def test_muted_is_deferred_to_the_end_of_the_mute(ledger: Ledger) -> None:
    """What falls due while its route is muted goes out when the mute ends, and says what held it back."""
    scene = Scene(ledger, at="2026-09-22", config=a_config(route=muted_root("23:25")))
    scene.define(a_milestone(M, A))
    await scene.reconcile()

    await scene.until("2026-09-28")

    assert scene.told("desk") == ["2026-09-22T00:00 t/m -30d", "2026-09-26T00:00 t/m -7d"]
    assert "days 23:25" in scene.log[-1].message.items[0].late


async def test_what_was_muted_together_is_sent_once(ledger: Ledger) -> None:
    """At the end of a mute the tightest is sent, once; what it overtakes is superseded."""
    scene = Scene(ledger, at="2026-09-22", config=a_config(route=muted_root("23:30")))
    scene.define(a_milestone(M, A))
    await scene.reconcile()

    await scene.until("2026-10-01T08:00")

    assert scene.told("desk") == ["2026-09-22T00:00 t/m -30d", "2026-10-01T00:00 t/m 0d"]
    assert await scene.offsets(M, "superseded") == ["-7d", "-1d"]


async def test_reload_while_muted_writes_nothing(ledger: Ledger) -> None:
    """What waits for the end of a mute waits on, however often the files are read meanwhile."""
    scene = Scene(ledger, at="2026-09-22", config=a_config(route=muted_root("23:28")))
    scene.define(a_milestone(M, A))
    await scene.reconcile()
    await scene.until("2026-09-24")
    await scene.reconcile()
    watched = Watched(ledger)
    scene.ledger = watched

    for _ in range(3):
        await scene.reconcile()

    assert watched.writes == []
    waiting = [one for one in await ledger.read_owed(M) if one.wake_at > one.at]
    assert offsets(one.offset for one in waiting) == ["-7d"]


@pytest.mark.parametrize("months", ["1:12", "9:9"])
async def test_mute_taken_out_of_the_files_holds_nothing_back(ledger: Ledger, months: str) -> None:
    """When a mute is gone from the configuration, what it held back goes out at once."""
    scene = Scene(ledger, at="2026-09-22", config=a_config(route=muted_root("1:31", months)))
    scene.define(a_milestone(M, A))
    await scene.reconcile()
    await scene.until("2026-09-24")
    silent = scene.told()

    scene.config = a_config()
    await scene.reconcile()
    await scene.until("2026-09-25")

    assert silent == []
    assert scene.told("desk") == ["2026-09-24T00:00 t/m -7d"]


async def test_moved_while_muted_is_told_after_the_mute(ledger: Ledger) -> None:
    """News waits for the end of a mute like everything else, and is told even when it has become old."""
    scene = await told_of(ledger)
    scene.config = a_config(route=muted_root("25:30"))

    await scene.change("2026-09-25", a_milestone(M, "2026-10-31"))
    await scene.until("2026-10-01T08:00")

    assert scene.told("desk") == ["2026-09-24T00:00 t/m -7d", "2026-10-01T00:00 t/m moved"]


# -- snooze


async def test_snoozed_is_sent_when_the_snooze_ends(ledger: Ledger) -> None:
    """Snoozed reminders wait, and what is still true is sent once; after that the ladder goes on."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.SNOOZE, M, until="2026-09-30T12:00")

    await scene.until("2026-10-02")

    assert scene.told("desk") == [
        "2026-09-24T00:00 t/m -7d",
        "2026-09-30T12:00 t/m 0d",
        "2026-10-01T09:00 t/m +1d",
    ]


async def test_shorter_snooze_ends_the_longer_one(ledger: Ledger) -> None:
    """What waits for a snooze that has been shortened waits no longer than the new one says."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.SNOOZE, M, until="2026-10-20")
    await scene.until("2026-09-30T12:00")

    await scene.act(ActionKind.SNOOZE, M, until="2026-09-30T18:00")
    await scene.until("2026-09-30T19:00")

    assert scene.told("desk", since="2026-09-25") == ["2026-09-30T18:00 t/m 0d"]


async def test_what_has_waited_on_purpose_is_not_too_late(ledger: Ledger) -> None:
    """A snooze that is shortened after longer than the catch-up time drops nothing, nor does a restart."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.SNOOZE, M, until="2027-03-01")
    await scene.until("2026-12-01")

    scene.reconciled = None
    await scene.reconcile()
    await scene.act(ActionKind.SNOOZE, M, until="2026-12-02")
    await scene.until("2026-12-03")

    assert scene.told("desk", since="2026-09-25") == ["2026-12-02T00:00 t/m +28d"]


async def test_reopened_waits_no_longer(ledger: Ledger) -> None:
    """Reopening takes back a snooze: what it held back is sent at once."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.SNOOZE, M, until="2026-10-20")
    await scene.until("2026-09-30T12:00")

    await scene.act(ActionKind.REOPEN, M)
    await scene.turn()

    assert scene.told("desk", since="2026-09-25") == ["2026-09-30T12:00 t/m 0d"]


# -- acknowledge


async def test_acknowledged_is_silent_until_it_expires(ledger: Ledger) -> None:
    """While an acknowledgement holds what falls due is dropped; after it the ladder goes on where it is."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.ACK, M, until="2026-09-30T12:00")

    await scene.until("2026-10-08")

    assert scene.told("desk", since="2026-09-25") == ["2026-10-01T09:00 t/m +1d", "2026-10-07T09:00 t/m +7d"]
    owed = {one.offset: one for one in await ledger.read_owed(M)}
    assert [owed[one].state for one in ("-1d", "0d")] == ["suppressed"] * 2
    assert owed["-1d"].reason == AcknowledgedBy(by="ada")


@pytest.mark.wording
async def test_that_a_date_has_passed_is_said_once_when_the_acknowledgement_ends(ledger: Ledger) -> None:
    """Of the overdue reminders that fell due meanwhile the last one comes at its end, and says why then."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.ACK, M, until="2026-11-10")

    await scene.until("2027-01-01")

    assert scene.told("desk", since="2026-09-25") == ["2026-11-10T00:00 t/m +28d"]
    assert (await scene.offsets(M, "superseded"))[-3:] == ["+1d", "+7d", "+14d"]
    assert scene.log[-1].message.items[0].late == (
        "This reminder was due on 28 October 2026, 09:00 (UTC) and comes 12 days late: acknowledged by ada."
    )


async def test_nag_resumes_after_an_acknowledgement(ledger: Ledger) -> None:
    """With `then_every` it says at its end that the date has passed, and goes on with the next step."""
    scene = Scene(ledger, at="2026-10-01T12:00")
    nagging = Policy(after=(parse_duration("1d"),), then_every=parse_duration("7d"))
    scene.define(a_milestone(M, A, policy=nagging))
    await scene.reconcile()
    await scene.until("2026-10-09")
    await scene.act(ActionKind.ACK, M, until="2026-10-24")

    await scene.until("2026-10-30")

    assert scene.told("desk") == [
        "2026-10-01T12:00 t/m +1d",
        "2026-10-08T09:00 t/m +8d",
        "2026-10-24T00:00 t/m +22d",
        "2026-10-29T09:00 t/m +29d",
    ]


async def test_acknowledging_again_goes_on_being_silent(ledger: Ledger) -> None:
    """A longer acknowledgement over a shorter one, and a shorter one over a longer: the last one counts."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.ACK, M, until="2026-10-05")
    await scene.until("2026-10-03")
    await scene.act(ActionKind.ACK, M, until="2026-10-12")
    await scene.until("2026-10-11")
    assert scene.told("desk", since="2026-09-25") == []

    await scene.act(ActionKind.ACK, M, until="2026-10-11T06:00")
    await scene.until("2026-10-13")

    assert scene.told("desk", since="2026-09-25") == ["2026-10-11T06:00 t/m +7d"]


async def test_what_was_acknowledged_and_then_done_stays_silent(ledger: Ledger) -> None:
    """Nothing is said at the end of an acknowledgement of what has come about, but that it has."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.ACK, M, until="2026-10-05")
    await scene.until("2026-10-03")
    await scene.act(ActionKind.DONE, M, done_on="2026-10-03")

    await scene.until("2026-11-10")

    assert scene.told("desk", since="2026-09-25") == ["2026-10-03T00:00 t/m done"]


# -- done, cancelled, reopened


async def test_done_stops_reminders_and_is_told_once(ledger: Ledger) -> None:
    """Done tells those who were told of it, once, with who says so; then there is silence."""
    both = replace(ROOT, routes=(route_to("desk", go_on=True), route_to("leads", 'cause="overdue"')))
    scene = Scene(ledger, at="2026-09-24", config=a_config("desk", "leads", route=both))
    scene.define(a_milestone(M, A))
    await scene.reconcile()
    await scene.until("2026-09-28")

    await scene.act(ActionKind.DONE, M, done_on="2026-09-27")
    await scene.until("2027-01-01")

    assert scene.told() == ["2026-09-24T00:00 desk t/m -7d", "2026-09-28T00:00 desk t/m done"]
    assert (await ledger.read_history(M))[0].facts == {"done_on": "2026-09-27"}


async def test_done_is_told_though_the_milestone_is_withdrawn(ledger: Ledger) -> None:
    """That something is done stays true, and is told, when its definition is taken away right after."""
    scene = await told_of(ledger)
    scene.config = a_config(route=muted_root("25:27"))
    await scene.until("2026-09-25")
    await scene.act(ActionKind.DONE, M, done_on="2026-09-25")

    await scene.change("2026-09-26")
    await scene.until("2026-10-02")

    assert scene.told("desk") == ["2026-09-24T00:00 t/m -7d", "2026-09-28T00:00 t/m done"]


async def test_reopened_goes_on_with_what_is_to_come(ledger: Ledger) -> None:
    """A reopened milestone reminds again from there on; what fell due while it was done stays dropped."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.DONE, M, done_on="2026-09-24")
    await scene.until("2026-09-30T12:00")

    await scene.act(ActionKind.REOPEN, M)
    await scene.until("2026-10-08")

    assert offsets(scene.told("desk")) == ["-7d", "done", "+1d", "+7d"]


async def test_cancelled_is_silent(ledger: Ledger) -> None:
    """A cancelled milestone says nothing more, not even that it is cancelled."""
    scene = await told_of(ledger)

    await scene.act(ActionKind.CANCEL, M)
    await scene.until("2027-01-01")

    assert offsets(scene.told("desk")) == ["-7d"]
    assert await ledger.find_next_wake(scene.now) is None


@pytest.mark.wording
async def test_action_on_what_is_unknown_is_refused(ledger: Ledger) -> None:
    """An action on a milestone that the ledger does not know, or that does not fit, is refused."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.CANCEL, M)

    with pytest.raises(UnknownMilestone, match="t/x"):
        await scene.act(ActionKind.CANCEL, "t/x")
    with pytest.raises(RefusedAction, match="reopen"):
        await scene.act(ActionKind.ACK, M, until="2027-01-01")


async def test_restart_while_waiting_changes_nothing(tmp_path: Path) -> None:
    """What waits for a mute or a snooze stands in the ledger, and waits on after a restart."""
    async with a_ledger("file", tmp_path) as opened:
        scene = await told_of(opened)
        await scene.act(ActionKind.SNOOZE, M, until="2026-09-30T12:00")
        await scene.until("2026-09-29T12:00")

    async with a_ledger("file", tmp_path) as opened:
        scene = Scene(opened, at="2026-09-29T13:00")
        scene.define(a_milestone(M, A))
        report = await scene.reconcile()
        await scene.until("2026-09-30T13:00")

    assert scene.now - timedelta(hours=1) == scene.log[0].at
    assert not report.changed
    assert scene.told("desk") == ["2026-09-30T12:00 t/m 0d"]
