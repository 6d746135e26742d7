"""A daemon that starts while ``alertd.yaml`` is broken goes on with the configuration in the ledger."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.app import OptionModels, make_loader
from alertd.core.access import Scope
from alertd.core.config import Config
from alertd.definitions.config.read import read_config
from alertd.definitions.files import read_signature
from alertd.engine.daemon import Daemon
from alertd.errors import DefinitionsError
from alertd.ports import Ledger
from tests.engine.test_daemon import Stage, turns
from tests.engine.test_vanished import heard
from tests.engine.test_vanished_config import CONFIG, TIMELINE, start, write_config
from tests.nobody import a_folder, nobody
from tests.scene import StepClock, a_ledger, when

LATER = "2026-09-29T10:00"
FAULT = (
    "configuration: alertd.yaml has a problem; the configuration that node-1 accepted on 2026-09-24 00:00Z "
    "is in force"
)


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def make_folder(above: Path) -> Path:
    """A configuration folder with a timeline and its configuration."""
    (above / "config" / "milestones").mkdir(parents=True)
    (above / "config" / "milestones" / "t.yaml").write_text(TIMELINE)
    write_config(above / "config", CONFIG)
    return above / "config"


def stage_at(ledger: Ledger, folder: Path, at: str, node: str = "node-1") -> Stage:
    stage = Stage(ledger, StepClock(when(at)), node)
    load = make_loader(folder)
    stage.world = replace(stage.world, load=load, load_with=load, signature=lambda: read_signature(folder))
    return stage


def config_of(daemon: Daemon) -> Config:
    assert daemon.definitions is not None
    assert daemon.definitions.config is not None
    return daemon.definitions.config


def misspell_a_key(path: Path) -> None:
    path.write_text(CONFIG.replace("route:", "rout:"))


def leave_a_bracket_open(path: Path) -> None:
    path.write_text(CONFIG[:-3])


def name_no_receiver(path: Path) -> None:
    path.write_text(CONFIG.replace("{receiver: desk}", "{receiver: nobody}"))


def write_binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("..data/alertd.yaml")


def make_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def misname(path: Path) -> None:
    path.rename(path.with_name("alertd.yml"))


def replace_the_milestones_by_a_file(path: Path) -> None:
    (path.parent / "milestones" / "t.yaml").unlink()
    (path.parent / "milestones").rmdir()
    (path.parent / "milestones").write_text("")


def lose_the_milestones_too(path: Path) -> None:
    misspell_a_key(path)
    (path.parent / "milestones").rename(path.parent / "moved")


def link_the_milestones_to_nothing(path: Path) -> None:
    lose_the_milestones_too(path)
    (path.parent / "milestones").symlink_to("current/milestones")


@pytest.mark.parametrize(
    "break_file",
    [
        misspell_a_key,
        lose_the_milestones_too,
        link_the_milestones_to_nothing,
        leave_a_bracket_open,
        name_no_receiver,
        write_binary,
        link_to_nothing,
        make_a_pipe,
        make_a_folder,
        misname,
        replace_the_milestones_by_a_file,
    ],
)
async def test_start_with_a_broken_file_goes_on_with_the_kept_configuration(
    ledger: Ledger, folder: Path, break_file: Callable[[Path], None]
) -> None:
    """Reminders go to the same receivers, the access rules are the same, and nothing is withdrawn."""
    before = await start(stage_at(ledger, folder, "2026-09-24"))
    break_file(folder / "alertd.yaml")
    stage = stage_at(ledger, folder, LATER)

    daemon = await start(stage)

    web = config_of(daemon).web
    assert config_of(daemon) == config_of(before)
    assert (web.access.tokens_file, web.access.anonymous) == ("tokens", Scope.PUBLIC)
    assert [line.rpartition(" ")[2] for line in stage.lines()] == ["-1d"]
    assert stage.lines("console") == []
    assert "milestone.withdrawn" not in stage.names()


async def test_file_that_may_not_be_read_is_broken_too(ledger: Ledger) -> None:
    with a_folder() as root:
        folder = make_folder(root)
        await start(stage_at(ledger, folder, "2026-09-24"))
        with nobody(root):
            (folder / "alertd.yaml").chmod(0)
            daemon = await start(stage_at(ledger, folder, LATER))

    assert list(config_of(daemon).receivers) == ["desk", "ops"]


async def test_log_status_audit_and_operator_hear_of_it_until_it_is_corrected(
    ledger: Ledger, folder: Path
) -> None:
    """The watchdog does not, since a restart would change nothing."""
    await start(stage_at(ledger, folder, "2026-09-24"))
    misspell_a_key(folder / "alertd.yaml")
    stage = stage_at(ledger, folder, LATER)
    daemon = await start(stage)
    during = await heard(ledger, daemon)
    is_well = daemon.status.is_well
    await daemon._status.refresh(None)
    line = daemon._status.line

    refused = await daemon.reload()
    still = await heard(ledger, daemon)
    write_config(folder, CONFIG.replace("tokens_file: tokens", "tokens_file: others"))
    accepted = await daemon.reload()

    problem = "alertd.yaml:2:1: 'rout': no such key in alertd.yaml; did you mean route?"
    assert during == still == ((problem,), (FAULT,))
    assert is_well
    assert FAULT.removeprefix("configuration: ") in line
    assert [event["problem"] for event in stage.events if event["event"] == "config.kept"] == [problem]
    assert (problem,) in [sent.message.lines for sent in stage.told if sent.channel == "ops/hook"]
    assert (refused, accepted) == (False, True)
    assert await heard(ledger, daemon) == ((), ())
    assert config_of(daemon).web.access.tokens_file == "others"


async def test_timelines_that_changed_meanwhile_are_read(ledger: Ledger, folder: Path) -> None:
    """Only ``alertd.yaml`` is replaced by what is kept, so new dates count."""
    await start(stage_at(ledger, folder, "2026-09-24"))
    misspell_a_key(folder / "alertd.yaml")
    (folder / "milestones" / "t.yaml").write_text(TIMELINE.replace("2026-09-30", "2026-10-31"))
    stage = stage_at(ledger, folder, LATER)

    await start(stage)

    assert "milestone.moved" in stage.names()


@pytest.mark.parametrize("text", [None, "", "# route: {receiver: desk}\n"])
async def test_start_without_a_configuration_is_refused(
    ledger: Ledger, folder: Path, text: str | None
) -> None:
    """That is no accident of a moment, so a person decides."""
    await start(stage_at(ledger, folder, "2026-09-24"))
    write_config(folder, text)

    with pytest.raises(DefinitionsError):
        await stage_at(ledger, folder, LATER).daemon().start()


async def test_start_without_the_folder_is_refused(ledger: Ledger, folder: Path, tmp_path: Path) -> None:
    await start(stage_at(ledger, folder, "2026-09-24"))

    with pytest.raises(DefinitionsError):
        await stage_at(ledger, tmp_path / "elsewhere", LATER).daemon().start()


async def test_start_with_a_broken_file_on_a_new_ledger_is_refused(ledger: Ledger, folder: Path) -> None:
    misspell_a_key(folder / "alertd.yaml")

    with pytest.raises(DefinitionsError, match="no such key"):
        await stage_at(ledger, folder, LATER).daemon().start()


async def test_configuration_that_was_never_accepted_is_not_kept(ledger: Ledger, folder: Path) -> None:
    """What counts is the last one that was accepted, not the last one that was read."""
    daemon = await start(stage_at(ledger, folder, "2026-09-24"))
    write_config(folder, CONFIG.replace("tokens_file: tokens", "tokens_file: others"))
    await daemon.reload()
    misspell_a_key(folder / "alertd.yaml")
    await daemon.reload()

    later = await start(stage_at(ledger, folder, LATER))

    assert config_of(later).web.access.tokens_file == "others"


@pytest.mark.parametrize(
    "secret",
    [
        "receivers: [{name: desk, notifiers: [{type: webhook, url: 'https://h.example/c4nary'}]}]",
        "receivers: [{name: desk, notifiers: [{type: webhook, url_file: u, secret: c4nary-of-the-tests}]}]",
        "receivers: [{name: desk, notifiers: [{type: webhook, url_file: u, headers: {X-Key: c4nary}}]}]",
        "heartbeat_url: https://h.example/c4nary",
    ],
)
async def test_secret_is_not_written_into_the_ledger(ledger: Ledger, folder: Path, secret: str) -> None:
    """Such a configuration is not kept, and an older one with other access rules is not kept either."""
    daemon = await start(stage_at(ledger, folder, "2026-09-24"))
    before = await ledger.read_kept_config()
    write_config(folder, secret + "\nweb: {auth: {tokens_file: tokens}}\n")
    accepted = await daemon.reload()

    assert accepted
    assert before is not None
    assert await ledger.read_kept_config() is None
    misspell_a_key(folder / "alertd.yaml")
    with pytest.raises(DefinitionsError):
        await stage_at(ledger, folder, LATER).daemon().start()


async def test_follower_does_not_replace_what_the_leader_keeps(ledger: Ledger, folder: Path) -> None:
    """In a rolling deployment the nodes' files differ. The next leader keeps its own configuration."""
    leader = await start(stage_at(ledger, folder, "2026-09-24", "a"))
    write_config(folder, CONFIG.replace("tokens_file: tokens", "tokens_file: others"))
    stage = stage_at(ledger, folder, "2026-09-24", "b")
    follower = await start(stage)
    kept = await ledger.read_kept_config()

    await leader._status.retire()
    await follower._lease.ask()
    await follower._planner.reconcile_again(reconsider=True)
    after = await ledger.read_kept_config()

    assert kept is not None
    assert after is not None
    assert ("tokens_file" in kept.text, "others" in kept.text, kept.node) == (True, False, "a")
    assert ("others" in after.text, after.node) == (True, "b")


def test_kept_text_means_the_same_and_has_no_comments() -> None:
    """A comment may quote a former secret. Every scalar stays the text that it was."""
    sound = CONFIG + (
        "# secret: whsec_c4nary\n"
        "policies:\n"
        "  default: {at: 09:00, before: [1d], on_day: true, contested: each}\n"
        "time_intervals:\n"
        "  - name: 'it''s \"weekend\" 😀 \\ é'\n"
        "    time_intervals: [{weekdays: [saturday], times: [{start_time: '00:00', end_time: 24:00}]}]\n"
    )
    models = OptionModels()
    read = read_config(sound.encode(), models)
    assert read.config is not None, read.problems

    again = read_config(read.kept_text.encode(), models)

    assert "c4nary" not in read.kept_text
    assert again.config == read.config
    assert again.kept_text == read.kept_text


async def test_unchanged_configuration_is_written_once(ledger: Ledger, folder: Path) -> None:
    stage = stage_at(ledger, folder, "2026-09-24")
    daemon = await start(stage)
    first = await ledger.read_kept_config()
    stage.clock.advance(when(LATER))  # type: ignore[attr-defined]

    await daemon.reload()
    await turns(daemon)

    assert await ledger.read_kept_config() == first
