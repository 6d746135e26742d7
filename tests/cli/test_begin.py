"""The commands that work without a daemon and a ledger: ``init``, ``schema``, ``send-test``, ``--help``."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from alertd import __version__
from alertd.cli.starter import make_starter_files
from tests.cli.stage import SHIPPED, run, write_folder


def test_init_writes_valid_files(tmp_path: Path) -> None:
    """init writes a folder in which check finds no problem, and which has a next reminder."""
    folder = tmp_path / "new" / "folder"

    ran = run("init", folder)

    assert ran.code == 0
    assert ran.lines[:2] == [f"wrote {folder}/alertd.yaml", f"wrote {folder}/milestones/example.yaml"]
    checked = run("check", "--strict", "--config", folder)
    assert checked.code == 0
    assert "Next reminder: " in checked.out


def test_the_starter_is_valid_on_any_day(tmp_path: Path) -> None:
    """The starter files are valid on whichever day init writes them, month ends included."""
    for number in range(0, 800, 23):
        day = date(2027, 1, 1) + timedelta(days=number)
        files = make_starter_files(day)
        write_folder(tmp_path, files["alertd.yaml"], example=files["milestones/example.yaml"])
        assert run("check", "--config", tmp_path).code == 0, day


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    """If one of the files exists, init writes no file."""
    (tmp_path / "milestones").mkdir()
    mine = tmp_path / "milestones" / "example.yaml"
    mine.write_text("mine", encoding="utf-8")

    ran = run("init", tmp_path)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"alertd: {mine} is there already; nothing was written\n"
    assert mine.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "alertd.yaml").exists()


@pytest.mark.parametrize(("which", "file"), [("config", "alertd"), ("timeline", "timeline")])
def test_schema_prints_the_published_schema(which: str, file: str) -> None:
    """schema prints the schema that config/schema/ contains."""
    kept = (SHIPPED / "schema" / f"{file}.schema.json").read_text(encoding="utf-8")

    assert run("schema", which).out == kept
    assert json.loads(kept)["type"] == "object"


def test_send_test_prints_each_outcome(tmp_path: Path) -> None:
    """send-test prints the result of each notifier, and exits with 1 unless all accepted the message."""
    config = (
        "route: {receiver: desk}\nreceivers:\n"
        "  - {name: desk, notifiers: [{type: console}]}\n"
        '  - {name: gone, notifiers: [{type: webhook, url: "http://127.0.0.1:9/"}]}\n'
        "  - {name: none}\n"
    )
    folder = write_folder(tmp_path, config)

    desk = run("send-test", "desk", "--config", folder)
    gone = run("send-test", "gone", "--config", folder)
    none = run("send-test", "none", "--config", folder)

    assert desk.code == 0
    assert desk.lines[-1] == "desk/console: accepted"
    assert gone.code == 1
    assert gone.lines[-1].startswith("gone/webhook: ")
    assert (none.code, none.out) == (1, "none has no notifier: nothing was sent\n")


def test_the_version() -> None:
    """--version prints the version and nothing else."""
    assert run("--version").out == f"alertd {__version__}\n"


def test_wrong_usage_exits_2() -> None:
    """An unknown command, a missing argument and no command at all are wrong usage."""
    assert run("remind").code == 2
    assert run("explain").code == 2
    assert run("snooze", "x").code == 2
    assert run().code == 2


def test_help_loads_nothing_heavy() -> None:
    """--help is fast because it imports no HTTP client, no database library and no pydantic."""
    code = (
        "import sys\nfrom alertd.cli import make_app\n"
        "try:\n    make_app()(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'httpx', 'aiohttp', 'sqlalchemy', 'pydantic', 'yaml', 'icalendar', 'dateutil', 'asyncio'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")


def test_python_m_alertd() -> None:
    """``python -m alertd`` runs the command ``alertd``."""
    ran = subprocess.run(
        [sys.executable, "-m", "alertd", "--version"], capture_output=True, text=True, check=False
    )

    assert ran.stdout == f"alertd {__version__}\n"


def test_a_wrong_environment_variable_is_one_line() -> None:
    """An environment variable with a wrong value is reported in one line on stderr, with exit code 1."""
    ran = run("check", ALERTD_LOG_FORMAT="xml")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("alertd: ALERTD_LOG_FORMAT='xml'")
    assert len(ran.err.splitlines()) == 1
