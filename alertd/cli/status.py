"""``alertd status``: whether all is well, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ConfigOption, DatabaseOption, FormatOption, OutputFormat
from alertd.cli.paper import show, write_rows, write_value

if TYPE_CHECKING:
    from alertd.engine.health import Health
    from alertd.system.settings import Settings


def status(
    config: ConfigOption = None, database: DatabaseOption = None, form: FormatOption = OutputFormat.TEXT
) -> None:
    """Say whether all is well, what is next and what failed.

    Exits 1 when something is wrong: no daemon has been seen for five minutes, daemons run different files or
    versions, a file has a problem, a reminder is late, or a delivery died in the last seven days.
    """
    from alertd.cli.loading import settings_of
    from alertd.engine.health import health_facts

    health = finished(_read(settings_of(config, database)))
    match form:
        case OutputFormat.TEXT:
            from alertd.cli.show_status import status_page

            show(status_page(health))
        case OutputFormat.JSON:
            write_value(health_facts(health))
        case OutputFormat.JSONL:
            write_rows([health_facts(health)], form)
    if health.wrong:
        raise typer.Exit(1)


async def _read(settings: Settings) -> Health:
    from alertd import app
    from alertd.cli.loading import open_ledger
    from alertd.engine.health import health_of

    async with open_ledger(settings) as book:
        return await health_of(book, app.now())
