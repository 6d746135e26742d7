"""Keeps the results in ``docs/performance.json``, and makes the tables of ``docs/performance.md`` of them."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.kit.figure import Figure, format_value
from bench.kit.process import ROOT
from tests.postgres import programs

RESULTS = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
COLUMNS = ("before", "now")
"""Before the work on speed of November 2026, and now."""

PACKAGES = ("httpx", "httpx-aiohttp", "aiohttp", "SQLAlchemy", "psycopg", "pydantic", "PyYAML")
MARKED = "<!-- made by `make bench`: {} -->\n\n{}\n<!-- end -->"
GROWTH_TITLES = {
    "milestones": ("milestones", ""),
    "load_s": ("first load", "s"),
    "restart_s": ("restart", "s"),
    "reload_s": ("reload", "s"),
    "reload_cpu_s": ("its CPU", "s"),
    "plan_s": ("plan of a month", "s"),
    "wake_ms": ("wake-up", "ms"),
    "ledger_mb": ("ledger", "MB"),
    "memory_mb": ("resident", "MB"),
    "restarted_mb": ("after a restart", "MB"),
}


@dataclass(slots=True, kw_only=True)
class Results:
    """What was measured.

    Attributes:
        figures: by column and name. growth: rows by column. runs: when and on what, by column.
    """

    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)
    growth: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path = RESULTS) -> Results:
        if not path.exists():
            return cls()
        data = json.loads(path.read_text(encoding="utf-8"))
        figures = {
            column: {each["name"]: Figure.from_json(each) for each in found}
            for column, found in data["figures"].items()
        }
        return cls(figures=figures, growth=data["growth"], runs=data["runs"])

    def add(self, column: str, figure: Figure) -> None:
        self.figures.setdefault(column, {})[figure.name] = figure
        self.runs[column] = describe_machine()

    def write(self, path: Path = RESULTS) -> None:
        data = {
            "runs": self.runs,
            "figures": {
                column: [figure.to_json() for figure in found.values()]
                for column, found in self.figures.items()
            },
            "growth": self.growth,
        }
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def describe_machine() -> dict[str, str]:
    """Describe this machine and the versions that count."""
    from importlib.metadata import version

    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _ask("git", "rev-parse", "--short=10", "HEAD"),
        "processors": f"{os.cpu_count()} × {_read_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "versions": ", ".join(
            (
                f"Python {platform.python_version()}",
                f"SQLite {sqlite3.sqlite_version}",
                _read_postgres(),
                *(f"{name} {version(name)}" for name in PACKAGES),
            )
        ),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def write_page(results: Results, path: Path = PAGE) -> None:
    """Replace the tables of the page. Its sentences stay as they are."""
    text = path.read_text(encoding="utf-8")
    for name, made in (
        ("the machine", make_machine(results)),
        ("the figures", make_figures(results)),
        ("the growth", make_growth(results)),
    ):
        block = MARKED.format(name, made)
        pattern = re.compile(re.escape(MARKED.format(name, "\0")).replace("\0", ".*?"), re.DOTALL)
        text, times = pattern.subn(lambda _, block=block: block, text)  # type: ignore[misc]
        if times != 1:
            raise ValueError(f"{path.name} has {times} places for {name}")
    path.write_text(text, encoding="utf-8")


def make_machine(results: Results) -> str:
    lines = ["".join(f"| {cell} " for cell in ("", *filter(results.runs.get, COLUMNS))) + "|"]
    runs = [results.runs[column] for column in COLUMNS if column in results.runs]
    lines.append("| --- |" + " --- |" * len(runs))
    titles = {
        "date": "measured on",
        "commit": "commit",
        "processors": "processors",
        "memory": "memory",
        "system": "system",
        "versions": "versions",
        "load": "load average at the end",
    }
    for key, title in titles.items():
        lines.append(f"| {title} | " + " | ".join(run.get(key, "") for run in runs) + " |")
    return "\n".join(lines) + "\n"


def make_figures(results: Results) -> str:
    before, now = (results.figures.get(column, {}) for column in COLUMNS)
    lines = ["| | wanted | before | now | |", "| --- | --- | --- | --- | --- |"]
    for name in now | before:
        figure = now.get(name) or before[name]
        earlier = before.get(name)
        mark = {True: "reached", False: "**missed**", None: ""}[now[name].is_reached] if name in now else ""
        cells = (
            figure.label,
            figure.wanted,
            format_value(earlier.value, earlier.unit) if earlier else "",
            format_value(figure.value, figure.unit) if name in now else "",
            "; ".join(part for part in (mark, figure.note) if part),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def make_growth(results: Results) -> str:
    parts = []
    for column in COLUMNS:
        if column not in results.growth:
            continue
        parts += [
            f"{column.capitalize()}:",
            "",
            "| " + " | ".join(title for title, _ in GROWTH_TITLES.values()) + " |",
            "| " + " | ".join("---:" for _ in GROWTH_TITLES) + " |",
        ]
        for row in results.growth[column]:
            cells = (
                f"{int(row[key]):,}" if key == "milestones" else format_value(row[key], unit)
                for key, (_, unit) in GROWTH_TITLES.items()
            )
            parts.append("| " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts).rstrip("\n") + "\n"


def _read_processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _read_postgres() -> str:
    found = programs()
    asked = _ask(str(found / "postgres"), "--version") if found else ""
    return f"PostgreSQL {asked.split()[2]}" if asked else "no PostgreSQL"


def _ask(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    write_page(Results.read())
    sys.stdout.write(f"{PAGE.name} has the tables of {RESULTS.name}\n")
