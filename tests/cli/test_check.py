"""The output and the exit codes of ``alertd check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.stage import SHIPPED, run, write_folder

CONFIG = """\
route: {receiver: desk}
receivers:
  - {name: desk, notifiers: [{type: console}]}
"""

TIMELINE = """\
timeline: t
title: T
timezone: Asia/Baghdad
milestones:
  - {id: m, title: M, deadline: 2099-09}
"""


def test_valid_files_are_summarized(tmp_path: Path) -> None:
    """Without a problem check exits with 0, counts the definitions and names the next reminder."""
    ran = run("check", "--config", write_folder(tmp_path, CONFIG, t=TIMELINE))

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "No problems: 1 timeline, 1 milestone and 1 receiver. No reminder is due in the\nnext 400 days.\n"
    )


def test_the_shipped_configuration_is_valid() -> None:
    """The folder config/ has no problem and no warning."""
    ran = run("check", "--strict", "--config", SHIPPED)

    assert ran.code == 0
    assert ran.out.startswith("No problems: 1 timeline, 3 milestones")


def test_each_problem_is_a_line_with_its_position(tmp_path: Path) -> None:
    """check prints each problem of each file on stdout as file:line:column: message, and exits with 1."""
    bad = TIMELINE.replace("2099-09", "2099-13")
    folder = write_folder(tmp_path, CONFIG.replace("route", "rute"), a=bad, b="timeline: t\n")

    ran = run("check", "--config", folder)

    assert (ran.code, ran.err) == (1, "")
    assert [line.partition(": ")[0] for line in ran.lines] == sorted(
        line.partition(": ")[0] for line in ran.lines
    )
    places = {line.rsplit(":", 3)[0].partition(":")[0] for line in ran.lines}
    assert places == {"alertd.yaml", "milestones/a.yaml", "milestones/b.yaml"}
    assert "did you mean route?" in ran.out


def test_a_missing_folder(tmp_path: Path) -> None:
    """A missing folder is reported as one problem, not as a traceback."""
    ran = run("check", "--config", tmp_path / "none")

    assert ran.code == 1
    assert len(ran.lines) == 1


def test_warnings_exit_0_unless_strict(tmp_path: Path) -> None:
    """A valid definition that is probably a mistake is a warning. Only --strict makes check exit with 1."""
    timeline = TIMELINE.replace("deadline: 2099-09", "claims: [{deadline: 2099-09, rank: deprecated}]")
    endless = "  - {id: n, title: N, deadline: 2026-09/..}\n"
    config = CONFIG + "  - {name: spare}\n"
    folder = write_folder(tmp_path, config, t=timeline + endless)

    ran = run("check", "--config", folder)

    assert ran.code == 0
    assert ran.lines[:4] == [
        "warning: milestones/t.yaml: t/m has no live claim: it never reminds",
        "warning: milestones/t.yaml: t/n has no end: it is never due",
        "warning: alertd.yaml: no route leads to the receiver spare",
        "warning: alertd.yaml: the receiver spare has no notifier: nothing is sent",
    ]
    assert run("check", "--strict", "--config", folder).code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "the file is missing; "),
        ("", "the file has no content; "),
        ("# receivers follow\n", "the file has no content; "),
    ],
)
def test_configuration_without_content_is_a_warning(tmp_path: Path, text: str | None, said: str) -> None:
    """The defaults are right for a new installation only, so check warns about a file without content."""
    folder = write_folder(tmp_path, text or "", t=TIMELINE)
    if text is None:
        (folder / "alertd.yaml").unlink()

    ran = run("check", "--config", folder)

    assert ran.code == 0
    assert ran.lines[0].startswith(f"warning: alertd.yaml:1:1: {said}")
    assert ran.lines[1].startswith("No problems: ")
    assert run("check", "--strict", "--config", folder).code == 1

    (folder / "alertd.yaml").write_text("{}\n")

    assert run("check", "--strict", "--config", folder).code == 0


def test_json(tmp_path: Path) -> None:
    """--format json prints one object. --format jsonl prints one line for each problem."""
    folder = write_folder(tmp_path, CONFIG, t=TIMELINE.replace("title: M", "titel: M"))

    ran = run("check", "--config", folder, "--format", "json")
    rows = run("check", "--config", folder, "--format", "jsonl")

    assert (ran.code, rows.code) == (1, 1)
    facts = json.loads(ran.out)
    assert facts["ok"] is False
    assert facts["problems"] == [json.loads(line) for line in rows.lines]
    assert facts["problems"][0]["file"] == "milestones/t.yaml"
    assert facts["problems"][0]["line"] == 5


def test_a_route_that_can_never_match_is_a_warning(tmp_path: Path) -> None:
    """Each dead route is one warning with its line and column; with --strict it is a problem."""
    config = """\
route:
  receiver: desk
  routes:
    - {matchers: ['country="iraq"'], receiver: desk}
    - matchers: ['country="iraq"', 'cause="overdue"']
      receiver: desk
    - {matchers: ['severity="high"', 'severity="low"']}
receivers:
  - {name: desk, notifiers: [{type: console}]}
"""
    folder = write_folder(tmp_path, config, t=TIMELINE)

    ran, strict = run("check", "--config", folder), run("check", "--strict", "--config", folder)

    assert (ran.code, strict.code) == (0, 1)
    assert ran.lines[:2] == [
        "warning: alertd.yaml:5:7: route.routes[1] is never used: route.routes[0] comes first, has no "
        "`continue` and takes everything that this route matches",
        'warning: alertd.yaml:7:7: route.routes[2] is never used: no reminder has severity="high" and '
        'severity="low" at the same time',
    ]
