"""While a file cannot be read, nothing that it may hold is withdrawn, and the operator learns why."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from alertd.app import make_loader
from alertd.definitions.reading.yaml import MAX_BYTES
from alertd.engine.daemon import Daemon
from alertd.engine.reconcile import reconcile
from alertd.engine.reconcile_pass import PassOptions, Report
from alertd.ports import Ledger
from tests.engine.test_daemon import Stage, turns
from tests.engine.test_vanished import heard
from tests.engine.test_vanished_config import CONFIG, stage_at, start
from tests.nobody import a_folder, nobody
from tests.scene import a_ledger, when

NOW = when("2026-09-24")
M = "t/m"
TEXT = """
timeline: t
title: T
sources: {m: {who: A. Minister}}
milestones:
  - {id: m, title: It comes about, deadline: 2026-09-30, source: m}
  - {id: n, title: It follows, deadline: 2026-10-31, source: m}
"""
OTHER = TEXT.replace("timeline: t", "timeline: u")


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder with the timelines t and u."""
    (tmp_path / "config" / "milestones").mkdir(parents=True)
    (tmp_path / "config" / "alertd.yaml").write_text(CONFIG)
    (tmp_path / "config" / "milestones" / "t.yaml").write_text(TEXT)
    (tmp_path / "config" / "milestones" / "u.yaml").write_text(OTHER)
    return tmp_path / "config"


def misspell_the_key(path: Path) -> None:
    path.write_text(TEXT.replace("timeline: t", "timline: t"))


def leave_a_bracket_open(path: Path) -> None:
    path.write_text(TEXT.replace("source: m}\n", "source: m\n", 1))


def state_the_timeline_and_break_the_rest(path: Path) -> None:
    path.write_text(TEXT.replace("title: T", "titel: T"))


def break_a_milestone(path: Path) -> None:
    path.write_text(TEXT.replace("2026-10-31", "soon"))


def write_half(path: Path) -> None:
    path.write_text(TEXT[:9])


def empty(path: Path) -> None:
    path.write_text("")


def comment_out(path: Path) -> None:
    path.write_text(TEXT.replace("\n", "\n# "))


def write_binary(path: Path) -> None:
    path.write_bytes(b"\xff\x00" * 100)


def make_too_long(path: Path) -> None:
    path.write_text(TEXT + "#" * MAX_BYTES)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("..data/t.yaml")


def link_out_of_the_folder(path: Path) -> None:
    path.symlink_to("/etc/hosts")


def make_a_folder(path: Path) -> None:
    path.mkdir()


def make_a_pipe(path: Path) -> None:
    os.mkfifo(path)


BREAKS = [
    misspell_the_key,
    leave_a_bracket_open,
    state_the_timeline_and_break_the_rest,
    break_a_milestone,
    write_half,
    empty,
    comment_out,
    write_binary,
    make_too_long,
    link_to_nothing,
    link_out_of_the_folder,
    make_a_folder,
    make_a_pipe,
]


async def reload(ledger: Ledger, folder: Path) -> Report:
    return await reconcile(ledger, make_loader(folder)(), PassOptions(now=NOW))


async def is_in_force(ledger: Ledger, milestone: str = M) -> bool:
    record = await ledger.read_record(milestone)
    assert record is not None
    return not record.withdrawn


@pytest.mark.parametrize("break_file", BREAKS)
async def test_renamed_file_that_is_broken_withdraws_nothing(
    ledger: Ledger, folder: Path, break_file: Callable[[Path], None]
) -> None:
    """Nothing happens until the file is corrected: then it is as if the file had only been renamed."""
    await reload(ledger, folder)
    (folder / "milestones" / "t.yaml").unlink()
    new = folder / "milestones" / "renamed.yaml"
    break_file(new)

    broken = await reload(ledger, folder)
    new.rmdir() if new.is_dir() and not new.is_symlink() else new.unlink()
    new.write_text(TEXT)
    corrected = await reload(ledger, folder)

    assert (broken.withdrawn, broken.cancelled, broken.kept) == ([], 0, ("t",))
    assert broken.holders == ("milestones/renamed.yaml",)
    assert (corrected.withdrawn, corrected.kept, corrected.moved, corrected.owed) == ([], (), [], 0)
    assert [entry.kind for entry in await ledger.read_history(M)] == ["loaded"]


async def test_renamed_file_that_may_not_be_read_withdraws_nothing(ledger: Ledger) -> None:
    with a_folder() as root:
        folder = root / "config"
        (folder / "milestones").mkdir(parents=True)
        (folder / "alertd.yaml").write_text(CONFIG)
        (folder / "milestones" / "t.yaml").write_text(TEXT)
        (folder / "milestones" / "u.yaml").write_text(OTHER)
        await reload(ledger, folder)
        with nobody(root):
            (folder / "milestones" / "t.yaml").rename(folder / "milestones" / "renamed.yaml")
            (folder / "milestones" / "renamed.yaml").chmod(0)
            report = await reload(ledger, folder)

    assert (report.withdrawn, report.kept) == ([], ("t",))


async def test_broken_file_of_another_timeline_holds_only_that(ledger: Ledger, folder: Path) -> None:
    """Whoever deletes a file means it, whatever is wrong with a file that says what it holds."""
    await reload(ledger, folder)
    (folder / "milestones" / "t.yaml").unlink()
    (folder / "milestones" / "u.yaml").write_text(OTHER.replace("title: T", "titel: T"))

    report = await reload(ledger, folder)

    assert report.withdrawn == ["t/m", "t/n"]
    assert report.kept == ()
    assert await is_in_force(ledger, "u/m")


async def test_deleted_file_is_withdrawn_once_nothing_is_broken(ledger: Ledger, folder: Path) -> None:
    await reload(ledger, folder)
    (folder / "milestones" / "t.yaml").unlink()
    empty(folder / "milestones" / "new.yaml")
    before = await reload(ledger, folder)

    (folder / "milestones" / "new.yaml").unlink()
    after = await reload(ledger, folder)

    assert before.withdrawn == []
    assert after.withdrawn == ["t/m", "t/n"]


async def test_second_file_of_the_same_timeline_keeps_the_milestones_of_the_first(
    ledger: Ledger, folder: Path
) -> None:
    """A copy whose id was not changed yet comes first by its name, so the original is the broken file."""
    await reload(ledger, folder)
    copy = folder / "milestones" / "a-copy.yaml"
    copy.write_text(TEXT[: TEXT.index("  - {id: n")].replace("id: m,", "id: other,"))

    both = await reload(ledger, folder)
    kept = [await is_in_force(ledger, name) for name in ("t/m", "t/n")]
    copy.write_text(copy.read_text().replace("timeline: t", "timeline: v"))
    corrected = await reload(ledger, folder)

    assert both.withdrawn == []
    assert kept == [True, True]
    assert corrected.withdrawn == ["t/other"]


async def test_deadline_counts_from_a_milestone_that_is_kept_without_a_file(
    ledger: Ledger, folder: Path
) -> None:
    (folder / "milestones" / "v.yaml").write_text(
        "timeline: v\ntitle: V\nmilestones: [{id: m, title: It follows, after: t/m + 7d, source: s}]\n"
        "sources: {s: {who: A. Minister}}\n"
    )
    await reload(ledger, folder)
    (folder / "milestones" / "t.yaml").unlink()
    misspell_the_key(folder / "milestones" / "renamed.yaml")

    report = await reload(ledger, folder)

    assert report.withdrawn == []
    assert await is_in_force(ledger, "v/m")


async def stage_with_renamed_file(ledger: Ledger, folder: Path) -> tuple[Stage, Daemon]:
    stage = stage_at(ledger, folder, "2026-09-24")
    daemon = await start(stage)
    (folder / "milestones" / "t.yaml").unlink()
    misspell_the_key(folder / "milestones" / "renamed.yaml")
    await daemon.reload()
    await daemon.reload()
    return stage, daemon


async def test_operator_hears_once_what_is_kept_and_why(ledger: Ledger, folder: Path) -> None:
    """Log, status, audit and one notice name the timeline and the file. Reminders go on."""
    stage, daemon = await stage_with_renamed_file(ledger, folder)
    stage.clock.advance(when("2026-09-29T10:00"))  # type: ignore[attr-defined]
    await daemon.reload()
    await turns(daemon)

    problems, findings = await heard(ledger, daemon)

    said = (
        "1 timeline without a file stays as before (t), because milestones/renamed.yaml cannot be read and "
        "may hold it; correct the file, or remove it"
    )
    assert said in problems
    assert findings == (
        "vanished: milestones/renamed.yaml cannot be read and may hold timelines that have no file, and t "
        "stays as it was",
    )
    assert [event["problem"] for event in stage.events if event["event"] == "files.vanished"] == [said]
    notices = [sent.message.lines for sent in stage.told if sent.channel == "ops/hook" and sent.message.lines]
    assert notices.count((said,)) == 1
    assert [line.rpartition(" ")[2] for line in stage.lines() if " t/m " in line][-1] == "-1d"
    assert daemon.status.is_well


async def test_correction_ends_it(ledger: Ledger, folder: Path) -> None:
    stage, daemon = await stage_with_renamed_file(ledger, folder)

    (folder / "milestones" / "renamed.yaml").write_text(TEXT)
    await daemon.reload()

    assert await heard(ledger, daemon) == ((), ())
    assert stage.names("files.vanished", "files.returned", "milestone.withdrawn") == [
        "files.vanished",
        "files.returned",
    ]
