"""An ``alertd.yaml`` that is missing or has no content does not replace a configuration by the defaults."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.app import make_loader
from alertd.definitions.files import read_signature
from alertd.engine.daemon import Daemon
from alertd.errors import DefinitionsError
from alertd.ports import Ledger
from tests.engine.test_daemon import Stage, turns
from tests.scene import StepClock, a_ledger, when

CONFIG = """
route: {receiver: desk}
operator: ops
receivers:
  - {name: desk, notifiers: [{name: hook, type: console}]}
  - {name: ops, notifiers: [{name: hook, type: console}]}
web: {auth: {tokens_file: tokens}}
"""
TIMELINE = """
timeline: t
title: T
sources: {m: {who: A. Minister}}
milestones: [{id: m, title: It comes about, deadline: 2026-09-30, source: m}]
"""
MISSING = (
    "alertd.yaml:1:1: the file is missing; restore it, or, to run with the defaults, "
    "write a file that contains only {}"
)
EMPTY = "alertd.yaml:1:1: the file has no content; restore it, or, to run with the defaults, write {} into it"
VANISHED = pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, MISSING),
        ("", EMPTY),
        (" \n\n", EMPTY),
        # A byte order mark is no content.
        ("\ufeff# route:\n#   receiver: desk\n", EMPTY),
    ],
    ids=["missing", "empty", "blank", "comments"],
)


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder with a timeline and without ``alertd.yaml``."""
    (tmp_path / "config" / "milestones").mkdir(parents=True)
    (tmp_path / "config" / "milestones" / "t.yaml").write_text(TIMELINE)
    return tmp_path / "config"


def write_config(folder: Path, text: str | None) -> None:
    path = folder / "alertd.yaml"
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text, encoding="utf-8")


def stage_at(ledger: Ledger, folder: Path, at: str) -> Stage:
    """A stage whose daemons read the real files."""
    stage = Stage(ledger, StepClock(when(at)))
    stage.world = replace(stage.world, load=make_loader(folder), signature=lambda: read_signature(folder))
    return stage


async def start(stage: Stage) -> Daemon:
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    return daemon


@VANISHED
async def test_running_daemon_keeps_its_configuration(
    ledger: Ledger, folder: Path, text: str | None, problem: str
) -> None:
    """The receivers and the access rules stay in force; log, status and one notice say what to do."""
    write_config(folder, CONFIG)
    stage = stage_at(ledger, folder, "2026-09-24")
    daemon = await start(stage)
    assert daemon.definitions is not None
    before = daemon.definitions.config
    assert before is not None
    assert before.web.auth is not None

    write_config(folder, text)
    accepted = [await daemon.reload(), await daemon.reload()]
    stage.clock.advance(when("2026-09-29T10:00"))  # type: ignore[attr-defined]
    await turns(daemon)
    problems = (await ledger.read_nodes())[0].problems

    assert accepted == [False, False]
    assert daemon.definitions.config is before
    assert [line.rpartition(" ")[2] for line in stage.lines()] == ["-7d", "-1d"]
    assert stage.lines("console") == []
    assert problems == (problem,)
    assert [one["problem"] for one in stage.events if one["event"] == "config.refused"] == [problem] * 2
    assert [one.message.lines for one in stage.told if one.channel == "ops/hook"] == [(problem,)]


@VANISHED
async def test_start_with_timelines_in_the_ledger_is_refused(
    ledger: Ledger, folder: Path, text: str | None, problem: str
) -> None:
    """The daemon had a configuration before, so the defaults would be wrong."""
    write_config(folder, CONFIG)
    await start(stage_at(ledger, folder, "2026-09-24"))
    write_config(folder, text)
    stage = stage_at(ledger, folder, "2026-09-29T10:00")

    with pytest.raises(DefinitionsError) as refused:
        await stage.daemon().start()

    assert refused.value.problems == (problem,)
    assert stage.told == []


@pytest.mark.parametrize("rest", ["", "web: {}\n", "web: {external_url: 'http://localhost'}\n"])
async def test_running_daemon_keeps_access_rules_that_are_cut_off(
    ledger: Ledger, folder: Path, rest: str
) -> None:
    """A file that ends too early is valid, and would let everybody do everything. `auth: none` says so."""
    write_config(folder, CONFIG)
    stage = stage_at(ledger, folder, "2026-09-24")
    daemon = await start(stage)
    cut = CONFIG[: CONFIG.index("web:")]

    write_config(folder, cut + rest)
    refused = await daemon.reload()
    assert daemon.definitions is not None
    assert daemon.definitions.config is not None
    during = daemon.definitions.config.web.auth
    problems = (await ledger.read_nodes())[0].problems
    write_config(folder, cut + "web: {auth: none}\n")
    accepted = await daemon.reload()

    assert (refused, accepted) == (False, True)
    assert during is not None
    assert during.tokens_file == "tokens"
    assert problems == (
        "alertd.yaml:1:1: web.auth is missing, and was set before; restore it, or, to let everybody do "
        "everything, write web: {auth: none}",
    )


async def test_empty_mapping_puts_the_defaults_in_force(ledger: Ledger, folder: Path) -> None:
    """The advice in the problem works, in a running daemon and at a start."""
    write_config(folder, CONFIG)
    stage = stage_at(ledger, folder, "2026-09-24")
    daemon = await start(stage)
    write_config(folder, None)
    await daemon.reload()

    write_config(folder, "{}\n")
    accepted = await daemon.reload()

    assert accepted
    assert daemon.definitions is not None
    assert daemon.definitions.config is not None
    assert list(daemon.definitions.config.receivers) == ["console"]
    assert (await ledger.read_nodes())[0].problems == ()
    await start(stage_at(ledger, folder, "2026-09-24"))


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n"])
async def test_new_installation_runs_with_the_defaults(
    ledger: Ledger, folder: Path, text: str | None
) -> None:
    """With no timeline in the ledger, nothing is lost: reminders are printed, and reloads are accepted."""
    write_config(folder, text)
    stage = stage_at(ledger, folder, "2026-09-24")
    daemon = await start(stage)
    (folder / "milestones" / "u.yaml").write_text(TIMELINE.replace("timeline: t", "timeline: u"))

    accepted = await daemon.reload()

    assert accepted
    assert sorted(await ledger.read_timelines()) == ["t", "u"]
    assert "config.refused" not in stage.names()
