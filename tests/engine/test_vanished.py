"""A folder of definitions that is gone, as when it is not mounted: nothing is withdrawn, all hear of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.app import make_loader
from alertd.core.config import Timeline
from alertd.definitions.files import read_signature
from alertd.engine.daemon import Daemon
from alertd.engine.reconcile import reconcile
from alertd.engine.reconcile_pass import PassOptions
from alertd.ports import Ledger
from tests.engine.test_daemon import Stage, turns
from tests.scene import StepClock, a_ledger, a_milestone, when

M = "t/m"
SAID = (
    "milestones/ holds no file, and 1 timeline of it stays as before (t); bring the files back, or, to "
    "withdraw everything, leave one file with a timeline of no milestones"
)
FOUND = "vanished: milestones/ holds no file, and t stays as it was"


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


async def vanished(ledger: Ledger) -> tuple[Stage, Daemon]:
    """A daemon that has told the first reminder; then its files are gone, and it has read them again."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    stage.define(a_milestone(M, "2026-09-30"))
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    stage.scene.timelines = ()
    await daemon.reload()
    return stage, daemon


async def heard(ledger: Ledger, daemon: Daemon) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What ``alertd status`` shows: problems, and findings of the audit."""
    await daemon._chores.audit()
    await daemon._status.report(daemon._reloader.config)
    node = (await ledger.read_nodes())[0]
    return node.problems, node.findings


async def test_deadline_that_falls_meanwhile_is_reminded_of(ledger: Ledger) -> None:
    """What was known goes on."""
    stage, daemon = await vanished(ledger)

    for at in ("2026-09-29T10:00", "2026-09-30T10:00"):
        stage.clock.advance(when(at))  # type: ignore[attr-defined]
        await daemon.reload()
        await turns(daemon)

    assert [line.rpartition(" ")[2] for line in stage.lines()] == ["-7d", "-1d", "0d"]
    assert "milestone.withdrawn" not in stage.names()


async def test_log_status_audit_and_operator_hear_of_it_once(ledger: Ledger) -> None:
    """And the watchdog does not: no restart brings files back."""
    stage, daemon = await vanished(ledger)
    await daemon.reload()
    await turns(daemon)

    assert await heard(ledger, daemon) == ((SAID,), (FOUND,))
    assert [one["problem"] for one in stage.events if one["event"] == "files.vanished"] == [SAID]
    assert [one.message.lines for one in stage.told if one.channel == "ops/hook"] == [(SAID,)]
    await daemon._status.refresh(None)
    assert "milestones/ holds no file" in daemon._status.line
    assert daemon.status.is_well
    assert daemon.status.problems == (SAID,)


async def test_files_that_are_back_end_it(ledger: Ledger) -> None:
    """As if nothing had been: nobody hears that anything was withdrawn or has returned."""
    stage, daemon = await vanished(ledger)
    stage.define(a_milestone(M, "2026-09-30"))

    await daemon.reload()
    await turns(daemon)

    assert await heard(ledger, daemon) == ((), ())
    assert stage.names("files.vanished", "files.returned", "milestone.withdrawn") == [
        "files.vanished",
        "files.returned",
    ]
    assert [one.kind for one in await ledger.read_history(M)] == ["loaded"]


async def test_daemon_that_starts_without_its_files_keeps_what_is_in_the_ledger(ledger: Ledger) -> None:
    """A machine that boots before its folder is mounted."""
    before = Stage(ledger, StepClock(when("2026-09-24")))
    before.define(a_milestone(M, "2026-09-30"))
    await before.daemon().start()

    stage = Stage(ledger, StepClock(when("2026-09-29T10:00")))
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)

    assert [line.rpartition(" ")[2] for line in stage.lines()] == ["-1d"]
    assert "files.vanished" in stage.names()


async def test_file_without_milestones_says_that_it_is_meant(ledger: Ledger) -> None:
    """That is how everything is withdrawn."""
    stage, daemon = await vanished(ledger)
    stage.scene.timelines = (Timeline(id="none", title="Nothing", file="milestones/none.yaml"),)

    await daemon.reload()

    assert stage.names("milestone.withdrawn") == ["milestone.withdrawn"]
    assert await heard(ledger, daemon) == ((), ())


async def test_empty_ledger_misses_nothing(ledger: Ledger) -> None:
    """A new installation has no files yet, and nothing is wrong with it."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    daemon = stage.daemon()
    await daemon.start()

    assert await heard(ledger, daemon) == ((), ())


async def test_who_does_not_lead_says_nothing_of_it(ledger: Ledger) -> None:
    """The leader's files count; that the nodes' files differ is told as such."""
    first = Stage(ledger, StepClock(when("2026-09-24")), node="a")
    first.define(a_milestone(M, "2026-09-30"))
    await first.daemon().start()
    second = Stage(ledger, StepClock(when("2026-09-24")), node="b")
    daemon = second.daemon()

    await daemon.start()

    assert "files.vanished" not in second.names()
    assert daemon.status.problems == ()


@pytest.mark.parametrize("way", ["unmounted", "empty", "no folder"])
async def test_folder_that_is_gone_in_any_way_keeps_what_was_known(
    ledger: Ledger, way: str, tmp_path: Path
) -> None:
    """The real files: the folder is empty, holds other things, or is not there; and then it is back."""
    config, milestones = tmp_path / "config", tmp_path / "config" / "milestones"
    milestones.mkdir(parents=True)
    (config / "alertd.yaml").write_text(
        "timezone: UTC\nroute: {receiver: desk}\nreceivers: [{name: desk, notifiers: [{type: console}]}]\n"
    )
    text = (
        "timeline: t\ntitle: T\nsources: {m: {who: A. Minister}}\n"
        "milestones: [{id: m, title: It comes about, deadline: 2026-09-30, source: m}]\n"
    )
    (milestones / "t.yaml").write_text(text)
    load, now = make_loader(config), when("2026-09-24")
    await reconcile(ledger, load(), PassOptions(now=now))
    seen = read_signature(config)

    (milestones / "t.yaml").unlink()
    if way == "empty":
        (milestones / "README").write_text("nothing here")
    if way == "no folder":
        milestones.rmdir()
    gone = await reconcile(ledger, load(), PassOptions(now=now))
    changed = read_signature(config) != seen
    milestones.mkdir(exist_ok=True)
    (milestones / "t.yaml").write_text(text)
    back = await reconcile(ledger, load(), PassOptions(now=now))

    record = await ledger.read_record(M)
    assert record is not None
    assert not record.withdrawn
    assert changed
    assert (gone.kept, gone.withdrawn) == (("t",), [])
    assert (back.kept, back.changed) == ((), False)


async def test_one_file_of_several_that_is_deleted_is_withdrawn(ledger: Ledger) -> None:
    """Whoever deletes a file means it."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    stage.define(a_milestone(M, "2026-09-30"), a_milestone("u/n", "2026-09-30"))
    daemon = stage.daemon()
    await daemon.start()
    stage.define(a_milestone("u/n", "2026-09-30"))

    await daemon.reload()

    assert [one.get("milestone") for one in stage.events if one["event"] == "milestone.withdrawn"] == [M]
    assert replace(daemon.status, audit=None).problems == ()
