"""The tables that runs write into pages of the documentation, between markers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.torture.nodes import ROOT
from tests.torture.one import Row

COMMAND = "make torture"
COLUMNS = (
    "what was done",
    "faults",
    "owed",
    "accepted",
    "dead, told",
    "lost",
    "early",
    "copies, and why",
    "s",
)


def replace_table(page: Path, command: str, table: str) -> str:
    """Return the page's text with the table of this run. The command stands in the markers around it."""
    begin, end = (f"<!-- {word}: made by `{command}` -->" for word in ("begin", "end"))
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{page.name} has lost the marks around its table")
    return f"{before}{begin}\n\n{table}\n{end}{after}"


def describe_run() -> str:
    """Return the date of this run, and the commit that it ran on."""
    return f"Run of {datetime.now(UTC):%Y-%m-%d}, commit `{_commit()}`"


def write_table(rows: Sequence[Row], seed: str) -> str:
    """Return the table of a run of the torture."""
    lines = [
        f"{describe_run()}, seed `{seed}`.",
        "",
        f"| scenario | {' | '.join(COLUMNS)} |",
        f"| --- | {' | '.join('---' for _ in COLUMNS)} |",
        *(_line(row) for row in rows),
    ]
    ran = [row for row in rows if not row.skipped]
    lines.append("")
    lines.append(
        f"{len(ran)} scenarios: {sum(row.owed for row in ran):,} reminders owed, "
        f"{sum(row.lost for row in ran)} lost, {sum(row.early for row in ran)} early, "
        f"{sum(row.copies.total() for row in ran)} copies, each explained."
    )
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    if row.skipped:
        return f"| `{row.name}` | {row.done} | skipped: {row.skipped} |" + " |" * (len(COLUMNS) - 2)
    faults = ", ".join(f"{number} {what}" for what, number in row.counted.items())
    copies = "; ".join(f"{number} {why}" for why, number in sorted(row.copies.items())) or "none"
    cells = (
        f"`{row.name}`", row.done, faults, row.owed, row.accepted, row.dead, row.lost, row.early, copies,
        f"{row.seconds:.0f}",
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
