"""``alertd history``: what happened to milestones and what was sent, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ConfigOption, DatabaseOption, FormatOption, OutputFormat
from alertd.cli.paper import show, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from alertd.core.ledger.records import Attempt, Delivery, HistoryEntry, ScheduledReminder
    from alertd.system.settings import Settings

    Sending = tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]
    Happening = HistoryEntry | Sending


def history(
    milestone: Annotated[
        str | None, typer.Argument(metavar="[MILESTONE]", help="Of this one alone.", show_default=False)
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="At most so many, the newest.")
    ] = 50,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    form: FormatOption = OutputFormat.TEXT,
) -> None:
    """List what happened and what was sent, the newest first.

    Dates loaded and moved, what people said, deliveries and how each attempt ended.
    """
    from alertd.cli.loading import settings_of

    settings = settings_of(config, database)
    found, zones, name = finished(_read(settings, milestone, limit))
    if form is OutputFormat.TEXT:
        from alertd.cli.show_history import history_page

        show(history_page(found, zones, name))
        return
    from alertd.core.explain.facts import delivery_facts, entry_facts

    write_rows((delivery_facts(*one) if isinstance(one, tuple) else entry_facts(one) for one in found), form)


async def _read(
    settings: Settings, milestone: str | None, limit: int
) -> tuple[list[Happening], dict[str, ZoneInfo], str]:
    from alertd.cli.loading import find_milestone, open_ledger

    async with open_ledger(settings) as book:
        records = await book.records()
        name = milestone or ""
        if name and await book.record(name) is None:
            name = find_milestone(name, [record.id for record in records])
        found: list[Happening] = [
            *await book.history(name, limit),
            *await book.deliveries(milestone=name, limit=limit),
        ]
    found.sort(key=when, reverse=True)
    return found[:limit], {record.id: record.milestone.zone for record in records}, name


def when(happening: Happening) -> datetime:
    """The instant that it is listed under."""
    if isinstance(happening, tuple):
        return happening[0].settled_at or happening[0].bound_at
    return happening.at
