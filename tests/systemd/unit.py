"""The units, what systemd-analyze says of one, and what docs/reference/unit.md says it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.docs_pages import ROOT, codes, section, tables

UNITS = tuple(sorted((ROOT / "deploy").glob("*.service")))
REFERENCE = ROOT / "docs/reference/unit.md"
_BAD = re.compile(r"^✗ (?P<name>\S+) .* (?P<exposure>[0-9]\.[0-9])\s*$", re.M)


def directives(unit: Path) -> list[str]:
    """Its lines as they are, but for comments and headings."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "["))]


def exposures(said: str) -> dict[str, str]:
    """What ``systemd-analyze security`` holds against a unit, each with its weight."""
    return {match["name"]: match["exposure"] for match in _BAD.finditer(said)}


def told_exposures() -> dict[str, str]:
    """The same, as the reference has it."""
    (table,) = tables(section("unit.md", "What is left"))
    return {codes(row[0])[0].replace("\\|", "|"): row[1] for row in table.rows}


def analyzer() -> tuple[str, int] | None:
    """``systemd-analyze`` and systemd's version; None where it is missing or older than 250."""
    found = shutil.which("systemd-analyze")
    if found is None:
        return None
    said = subprocess.run([found, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    version = int(re.search(r"systemd (\d+)", said)[1])  # type: ignore[index]
    return (found, version) if version >= 250 else None
