"""The documentation is true: what it shows runs, loads or parses, and its links lead somewhere.

``ALERTD_UPDATE_GOLDEN=1`` writes the output that is shown anew, where nothing of it is left out.
"""

from __future__ import annotations

import asyncio
import configparser
import json
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from alertd.app import OptionModels
from alertd.cli import make_app
from alertd.core.config import Definitions
from alertd.core.ledger.outcome import Sent
from alertd.definitions.load import load
from alertd.notify.render.clean import clean_message
from alertd.notify.webhook.payload import build_payload
from alertd.notify.webhook.signature import decode_key, sign
from alertd.testing import notifier_env, sample_message
from tests.docs_console import ANYTHING, Desk, matches, steps
from tests.docs_pages import ROOT, Block, anchors, blocks, links, name_of, pages, prose

UPDATE = bool(os.environ.get("ALERTD_UPDATE_GOLDEN"))
# What root does in a `shellsession` is done by tests/systemd/.
LANGUAGES = {"console", "ini", "json", "python", "sh", "shellsession", "text", "toml", "yaml"}
# What needs a package of the reader's own is done by tests/kit/, with that package installed.
NEEDS_MORE = {ROOT / "docs" / "howto" / "write-a-notifier.md"}
RECEIVERS = "receivers: [{name: desk, notifiers: [{type: console}]}]\n"
TIMELINE = "timeline: example\ntitle: An example\n"

# This machine, this workplace, and where packages come from: none of a reader's business.
FORBIDDEN = re.compile(
    r"(?<![\w.])/(?:work|root|home|tmp)/|pypi|pythonhosted|npmjs|crates\.io|devpi", re.IGNORECASE
)


def of(*languages: str) -> list[Block]:
    return [block for page in pages() for block in blocks(page, *languages)]


def pages_with(language: str) -> list[Path]:
    return [page for page in pages() if blocks(page, language) and page not in NEEDS_MORE]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(folder=tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize("page", pages_with("console"), ids=name_of)
def test_commands_do_what_the_page_shows(page: Path, desk: Desk) -> None:
    """The commands of a page run one after another, in one folder."""
    for index in range(len(blocks(page, "console"))):
        block = blocks(page, "console")[index]
        wanted = ""
        for step in steps(block):
            printed = desk.run(step)
            shown = step.shown or (printed if UPDATE else "")
            if UPDATE and ANYTHING not in step.shown and not step.command.startswith("alertd run"):
                shown = printed
            wanted += (f"$ {step.command}\n" if step.command else "") + shown
            if shown:
                assert matches(shown, printed), f"{block}: {step.command}\n{printed}\nis not\n{shown}"
        if UPDATE and wanted != block.body:
            block.rewritten(wanted)


def test_the_readme_shows_the_plan() -> None:
    first = blocks(ROOT / "README.md", "console")[0]

    (step,) = steps(first)

    assert step.command.startswith("alertd plan")
    assert ANYTHING not in step.shown
    assert len(step.shown.splitlines()) > 5


@pytest.mark.parametrize("page", pages_with("yaml"), ids=name_of)
def test_definitions_load_without_a_problem(page: Path, tmp_path: Path) -> None:
    """A timeline is loaded with the configuration that the page showed last before it."""
    config = RECEIVERS
    for number, block in enumerate(blocks(page, "yaml")):
        folder = tmp_path / str(number)
        (folder / "milestones").mkdir(parents=True)
        if is_timeline(block.body):
            whole = block.body if block.body.startswith("timeline:") else TIMELINE + block.body
            (folder / "milestones" / "shown.yaml").write_text(whole, encoding="utf-8")
        else:
            config = completed(block.body)
        (folder / "alertd.yaml").write_text(config, encoding="utf-8")

        found = load(folder, OptionModels())

        assert not found.problems, f"{block}:\n" + "\n".join(str(one) for one in found.problems)
        assert_not_empty(found, block)


def is_timeline(body: str) -> bool:
    return body.startswith(("timeline:", "sources:", "milestones:"))


def completed(body: str) -> str:
    """A configuration with what a part of it leaves out: receivers, and a route when there are several."""
    keys = yaml.safe_load(body)
    if "receivers" not in keys:
        body += RECEIVERS
    elif len(keys["receivers"]) > 1 and "route" not in keys:
        body += f"route: {{receiver: {keys['receivers'][0]['name']}}}\n"
    return body


def assert_not_empty(found: Definitions, block: Block) -> None:
    assert found.config is not None
    if is_timeline(block.body):
        assert found.timelines[0].milestones


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_runs(block: Block) -> None:
    exec(compile(block.body, str(block), "exec"), {"__name__": "shown"})


def test_the_shown_receiver_takes_what_alertd_signs_and_nothing_else() -> None:
    (block,) = blocks(ROOT / "docs/howto/webhook.md", "python")
    shown: dict[str, object] = {}
    exec(block.body, shown)
    verify = shown["verify"]
    assert callable(verify)
    secret, at = "whsec_" + "c2VjcmV0" * 5, datetime(2026, 11, 24, 6, tzinfo=UTC)
    other = decode_key("whsec_" + "b3RoZXIh" * 5)
    headers = sign([other, decode_key(secret)], "msg_7", at, b"{}")

    assert verify(secret, headers, b"{}", at.timestamp()) == "msg_7"
    with pytest.raises(ValueError, match="not signed"):
        verify(secret, headers, b"{ }", at.timestamp())
    with pytest.raises(ValueError, match="too old"):
        verify(secret, headers, b"{}", at.timestamp() + 301)


def test_the_shown_notifier_sends(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "CONTRIBUTING.md", "python")
    shown: dict[str, object] = {}
    exec(block.body, shown)
    notifier_class = shown["FileNotifier"]
    message = sample_message("approaching")

    notifier = notifier_class(notifier_class.Options(path=str(tmp_path / "out")), notifier_env())  # type: ignore[attr-defined, operator]
    outcome = asyncio.run(notifier.send(message, {}))

    assert outcome == Sent()
    assert message.id in (tmp_path / "out").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_json_parses(block: Block) -> None:
    json.loads(block.body)


def test_the_shown_webhook_is_a_real_one() -> None:
    (block,) = blocks(ROOT / "docs/reference/webhook.md", "json")
    real = (
        json.dumps(build_payload(clean_message(sample_message("approaching"))), indent=2, ensure_ascii=False)
        + "\n"
    )

    if UPDATE:
        block.rewritten(real)
        return

    assert block.body == real


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_toml_parses(block: Block) -> None:
    tomllib.loads(block.body)


@pytest.mark.parametrize("block", of("ini"), ids=str)
def test_units_parse(block: Block) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)

    parser.read_string(block.body)

    assert "Unit" not in parser or parser["Service"]["Type"] == "notify"
    assert parser["Service"]


@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_shell_parses(block: Block) -> None:
    """What cannot be run here (it would need a relay, or a service) is at least a shell's language."""
    subprocess.run(["bash", "-n", "-c", block.body], check=True)


def test_commands_in_the_text_exist() -> None:
    """Each `alertd ...` in the prose and in shell blocks has a command and options that there are."""
    group = typer.main.get_command(make_app())
    assert isinstance(group, TyperGroup)
    told = [line for block in of("sh") for line in block.body.splitlines() if line.startswith("alertd ")]
    told += [code for page in pages() for code in re.findall(r"`(alertd [^`]+)`", prose(page))]

    for line in told:
        name, *arguments = shlex.split(line)[1:]
        if name == "COMMAND" or name.startswith("-"):
            continue
        command: Any = group.commands[name]
        while isinstance(command, TyperGroup) and arguments:
            command = command.commands[arguments.pop(0)]
        # What a command needs may be left out in prose; what is there must be right.
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        given = {one for one in arguments if one.startswith("--")}
        assert given <= known, line


def test_blocks_are_of_a_language_that_is_checked() -> None:
    assert {block.language for block in of()} <= LANGUAGES


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [
            (page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link
        ]

    assert set(pages()) <= reached


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_pages_name_no_place_that_readers_do_not_have(page: Path) -> None:
    assert not FORBIDDEN.search(page.read_text(encoding="utf-8"))
