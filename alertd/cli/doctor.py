"""``alertd doctor``: check for common problems, and report each result."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from alertd.cli.loading import run_to_end
from alertd.cli.options import ConfigOption, DatabaseOption, FormatOption, OutputFormat
from alertd.cli.paper import Facts, show, write_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from alertd.cli.findings import Finding
    from alertd.system.settings import Settings


def doctor(
    config: ConfigOption = None, database: DatabaseOption = None, form: FormatOption = OutputFormat.TEXT
) -> None:
    """Check for common problems.

    The checks are about the clock, the zone database, the ledger and its disk, secret files, connections to
    receivers, milestones without reminders, receivers without routes, and time zones. Nothing is sent. Exits
    1 if something is wrong.
    """
    from alertd.cli.findings import FindingVerdict
    from alertd.cli.loading import read_settings

    found = run_to_end(_examine(read_settings(config, database)))
    if form is OutputFormat.TEXT:
        show(render_findings(found))
    else:
        write_rows((_finding_facts(finding) for finding in found), form)
    if any(finding.verdict is FindingVerdict.WRONG for finding in found):
        raise typer.Exit(1)


async def _examine(settings: Settings) -> list[Finding]:
    from alertd import app
    from alertd.cli.examine import (
        check_clock,
        check_disk,
        check_ledger,
        check_receivers,
        check_secrets,
        check_zone_database,
    )
    from alertd.cli.findings import Finding, FindingVerdict, check_definitions
    from alertd.cli.loading import has_ledger, open_ledger
    from alertd.errors import AlertdError
    from alertd.notify.http.egress import Egress
    from alertd.system.clock import SystemClock
    from alertd.system.secrets import file_paths, secret_files

    well, note, wrong = FindingVerdict.WELL, FindingVerdict.NOTE, FindingVerdict.WRONG
    definitions = app.load_definitions(settings)
    found = [
        check_clock(),
        check_zone_database(),
        *check_disk(settings.database_url()),
    ]
    if has_ledger(settings):
        try:
            async with open_ledger(settings) as ledger:
                found += await check_ledger(ledger, SystemClock())
        except AlertdError as error:
            found.append(Finding(topic="ledger", verdict=wrong, text=str(error)))
    for problem in definitions.problems:
        found.append(Finding(topic="files", verdict=wrong, text=str(problem), fix="alertd check"))
    if definitions.unconfigured is not None:
        found.append(Finding(topic="files", verdict=note, text=str(definitions.unconfigured)))
    elif not definitions.problems:
        text = f"{settings.config} is in order"
        found.append(Finding(topic="files", verdict=well, text=text))
    if definitions.config is not None and definitions.unconfigured is None and not definitions.kept_text:
        text = "alertd.yaml has a secret in it, so no copy is kept to start with while the file is broken"
        found.append(Finding(topic="files", verdict=note, text=text, fix="put secrets into secret files"))
    if definitions.config is not None:
        read = secret_files(settings.config, os.environ)
        found += check_secrets(definitions.config, file_paths(settings.config, os.environ), read)
        found += await check_receivers(definitions.config, Egress(definitions.config.network), read)
        milestones = app.resolve_milestones(definitions)
        found += check_definitions(definitions.config, milestones.values(), app.now())
    return found


def _finding_facts(finding: Finding) -> Facts:
    return {
        "topic": finding.topic,
        "verdict": finding.verdict,
        "text": finding.text,
        "mend": finding.fix,
    }


def render_findings(found: list[Finding]) -> RenderableType:
    """Render each finding as a mark, its topic and its text, with the fix on the next line."""
    from rich.table import Table
    from rich.text import Text

    from alertd.cli.findings import FindingVerdict
    from alertd.core.words import make_sentence

    marks = {
        FindingVerdict.WELL: ("✓", "green"),
        FindingVerdict.NOTE: ("!", "yellow"),
        FindingVerdict.WRONG: ("✗", "bold red"),
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in found:
        text = Text(make_sentence(finding.text))
        if finding.fix:
            text.append(f"\n{make_sentence(finding.fix)}", "dim")
        table.add_row(Text(*marks[finding.verdict]), Text(finding.topic, "bold"), text)
    return table
