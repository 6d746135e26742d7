"""The man pages: made of the reference, whole, with nothing in them that troff takes for a request."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from alertd.cli import make_app
from alertd.definitions.config.keys import CONFIG
from alertd.definitions.timeline.keys import MILESTONE

ROOT = Path(__file__).parents[2]
REQUESTS = {".TH", ".ad", ".SH", ".SS", ".PP", ".TP", ".IP", ".EX", ".EE", ".in"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, ROOT / "tools" / "man-pages", folder], check=True)
    return {path.name: path.read_text() for path in folder.iterdir()}


def words(page: str) -> str:
    """The text as it is read."""
    return re.sub(r"\\f[BIR]", "", page).replace("\\-", "-").replace("\\&", "").replace("\\(aq", "'")


def test_there_are_three(pages: dict[str, str]) -> None:
    assert set(pages) == {"alertd.1", "alertd.8", "alertd.yaml.5"}


def test_every_command_has_its_part(pages: dict[str, str]) -> None:
    group = typer.main.get_command(make_app())
    assert isinstance(group, TyperGroup)

    parts = re.findall(r"^\.SS (.*)$", words(pages["alertd.1"]), re.M)

    assert {f"alertd {name}" for name in group.commands} <= set(parts)


def test_every_key_of_both_files_is_there(pages: dict[str, str]) -> None:
    told = set(words(pages["alertd.yaml.5"]).splitlines())

    assert set(CONFIG.keys) | set(MILESTONE.keys) <= told


@pytest.mark.parametrize("name", ["alertd.1", "alertd.8", "alertd.yaml.5"])
def test_nothing_is_taken_for_a_request(pages: dict[str, str], name: str) -> None:
    lines = pages[name].splitlines()

    assert lines[0].startswith('.TH "ALERTD')
    assert {line.split()[0] for line in lines if line.startswith((".", "'"))} <= REQUESTS
    assert not re.search(r"\\(?![-e&]|f[BIR]|\((?:aq|ga|bu)|\s)", pages[name])
