"""The units: each line explained, nothing that systemd does not know, and no more exposed than is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs_console import steps
from tests.docs_pages import ROOT, blocks, codes, tables
from tests.systemd.unit import REFERENCE, UNITS, analyzer, directives, exposures, told_exposures

SERVICE, TEMPLATE = ROOT / "deploy/alertd.service", ROOT / "deploy/alertd@.service"
ANALYZER = analyzer()
THRESHOLD = 12
"""Ten times the exposure level that is not to be passed."""

needs_analyzer = pytest.mark.skipif(
    ANALYZER is None, reason="needs systemd-analyze of systemd 250 or later: Debian's package systemd"
)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZER is not None
    return subprocess.run(
        [ANALYZER[0], *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


def test_each_line_is_explained() -> None:
    told = [codes(row[0])[0] for table in tables(REFERENCE.read_text()) for row in table.rows]

    assert set(directives(SERVICE)) <= set(told)
    assert len(directives(SERVICE)) > 50


def test_no_line_is_explained_that_is_not_there() -> None:
    whole = REFERENCE.read_text()
    left, told = whole.index("## What is left"), whole.index("## Start, reload, end")
    absent = whole.index("## What is not in it"), whole.index("## At the start")
    text = whole[:left] + whole[told : absent[0]] + whole[absent[1] :]

    explained = [codes(row[0])[0] for table in tables(text) for row in table.rows]

    assert explained == directives(SERVICE)


def test_the_template_is_the_unit_with_folders_of_its_own() -> None:
    """Two instances share nothing, not even an address to listen at."""
    own = ("%E/alertd", "%S/alertd", "%t/alertd", "/etc/default/alertd", "User=alertd", "Directory=alertd")
    made = []
    for line in directives(SERVICE):
        text = line
        for place in own:
            text = text.replace(place, f"{place}-%i")
        made.append(text)
    made[made.index("Description=alertd, reminders for deadlines")] += " (%i)"
    made.insert(made.index("Type=notify") + 1, "Environment=ALERTD_LISTEN=off")

    assert directives(TEMPLATE) == made


@needs_analyzer
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_knows_every_line(unit: Path, tmp_path: Path) -> None:
    """The command is not installed here: it is looked for where this Python has it."""
    command = Path(sys.executable).with_name("alertd")
    text = unit.read_text()
    for before in ("=alertd ", "=-alertd "):
        text = text.replace(before, before.replace("alertd", str(command)))
    copy = tmp_path / unit.name.replace("@", "@second")
    copy.write_text(text)

    said = analyze("verify", "--man=no", copy)

    assert (said.returncode, said.stdout) == (0, "")


@needs_analyzer
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_is_no_more_exposed_than_is_said(unit: Path) -> None:
    said = analyze("security", "--no-pager", "--offline=true", f"--threshold={THRESHOLD}", unit)
    level = sum(int(one.replace(".", "")) for one in told_exposures().values())

    assert said.returncode == 0, said.stdout
    assert exposures(said.stdout) == told_exposures()
    assert f"has **{said.stdout.rpartition(': ')[2].split()[0]}**" in REFERENCE.read_text()
    assert level <= THRESHOLD + 1  # each is rounded


def test_the_transcript_is_of_the_page_as_it_is() -> None:
    """It is written by `make test-systemd ALERTD_UPDATE_GOLDEN=1`."""
    page = ROOT / "docs/howto/systemd.md"
    without_package = page.read_text().index("## Without the package")
    asked = [
        step.command
        for block in blocks(page, "shellsession")
        for step in steps(block, "# ")
        if block.start < without_package
    ]
    (transcript,) = blocks(ROOT / "docs/first-five-minutes.md", "shellsession")

    assert [step.command for step in steps(transcript, "# ")] == asked
