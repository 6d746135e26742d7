"""``alertd doctor``: what goes wrong in practice, looked at one by one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ConfigOption, DatabaseOption, FormatOption, OutputFormat
from alertd.cli.paper import show, write_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from alertd.cli.ailments import Diagnosis
    from alertd.system.settings import Settings


def doctor(
    config: ConfigOption = None, database: DatabaseOption = None, form: FormatOption = OutputFormat.TEXT
) -> None:
    """Look for what goes wrong in practice.

    The clock, the zone database, the ledger and its disk, secret files, whether receivers can be connected
    to, milestones that nobody is told about, receivers that nothing leads to, traps of time zones. Nothing
    is sent. Exits 1 when something is wrong.
    """
    from dataclasses import asdict

    from alertd.cli.ailments import Severity
    from alertd.cli.loading import settings_of

    found = finished(_examined(settings_of(config, database)))
    if form is OutputFormat.TEXT:
        show(page(found))
    else:
        write_rows((asdict(one) for one in found), form)
    if any(one.verdict is Severity.WRONG for one in found):
        raise typer.Exit(1)


async def _examined(settings: Settings) -> list[Diagnosis]:
    from alertd import app
    from alertd.cli import ailments, examine
    from alertd.cli.loading import has_ledger, open_ledger
    from alertd.errors import AlertdError
    from alertd.notify.http.egress import Egress
    from alertd.system.clock import SystemClock
    from alertd.system.secrets import file_paths, secret_files

    well, wrong = ailments.Severity.WELL, ailments.Severity.WRONG
    definitions = app.definitions(settings)
    found = [examine.clock(), examine.zone_database(), *examine.disk(settings.database_url())]
    if has_ledger(settings):
        try:
            async with open_ledger(settings) as book:
                found += await examine.ledger(book, SystemClock())
        except AlertdError as error:
            found.append(ailments.Diagnosis(topic="ledger", verdict=wrong, text=str(error)))
    for problem in definitions.problems:
        found.append(ailments.Diagnosis(topic="files", verdict=wrong, text=str(problem), mend="alertd check"))
    if not definitions.problems:
        text = f"{settings.config} is in order"
        found.append(ailments.Diagnosis(topic="files", verdict=well, text=text))
    if definitions.config is not None:
        read = secret_files(settings.config, os.environ)
        found += examine.secrets(definitions.config, file_paths(settings.config, os.environ), read)
        found += await examine.receivers(definitions.config, Egress(definitions.config.network), read)
        milestones = app.milestones(definitions)
        found += ailments.of_definitions(definitions.config, milestones.values(), app.now())
    return found


def page(found: list[Diagnosis]) -> RenderableType:
    """A line each: a mark, what was looked at, what was seen, and below it what to do."""
    from rich.table import Table
    from rich.text import Text

    from alertd.cli.ailments import Severity
    from alertd.core.words import sentence

    marks = {Severity.WELL: ("✓", "green"), Severity.NOTE: ("!", "yellow"), Severity.WRONG: ("✗", "bold red")}
    table = Table.grid(padding=(0, 2, 0, 0))
    for one in found:
        text = Text(sentence(one.text))
        if one.mend:
            text.append(f"\n{sentence(one.mend)}", "dim")
        table.add_row(Text(*marks[one.verdict]), Text(one.topic, "bold"), text)
    return table
