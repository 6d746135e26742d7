"""``alertd history``: list the history of milestones and deliveries, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd.cli.loading import run_to_end
from alertd.cli.options import ConfigOption, DatabaseOption, FormatOption, OutputFormat
from alertd.cli.paper import show, write_rows

if TYPE_CHECKING:
    from datetime import datetime

    from alertd.core.ledger.records import Attempt, Delivery, HistoryEntry, ScheduledReminder
    from alertd.system.settings import Settings

    Sending = tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]
    HistoryRow = HistoryEntry | Sending


STATE_STYLE = {
    "ready": "yellow",
    "sent": "green",
    "dead": "bold red",
    "superseded": "dim",
    "suppressed": "dim",
}
"""Rich styles by the value of a :class:`alertd.core.ledger.records.DeliveryState`."""

MOST_MEMBERS = 5


def history(
    milestone: Annotated[
        str | None,
        typer.Argument(metavar="[MILESTONE]", help="List only this milestone.", show_default=False),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="List at most this many, the newest.")
    ] = 50,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    form: FormatOption = OutputFormat.TEXT,
) -> None:
    """List what happened and what was sent, the newest first.

    The list has loaded and moved dates, actions of people, and deliveries with the outcome of each attempt.
    """
    from alertd.cli.loading import read_settings

    settings = read_settings(config, database)
    found, zones, name = run_to_end(_read_rows(settings, milestone, limit))
    if form is OutputFormat.TEXT:
        show(render_history(found, zones, name))
        return
    from alertd.core.explain.facts import make_delivery_facts, make_entry_facts

    write_rows(
        (make_delivery_facts(*row) if isinstance(row, tuple) else make_entry_facts(row) for row in found),
        form,
    )


async def _read_rows(
    settings: Settings, milestone: str | None, limit: int
) -> tuple[list[HistoryRow], dict[str, ZoneInfo], str]:
    from alertd.cli.loading import find_milestone, list_unreadable_milestones, open_ledger

    async with open_ledger(settings) as ledger:
        records = await ledger.read_records()
        name = milestone or ""
        if name:
            unreadable = await list_unreadable_milestones(ledger)
            if name not in unreadable and await ledger.read_record(name) is None:
                name = find_milestone(name, [*(record.id for record in records), *unreadable])
        found: list[HistoryRow] = [
            *await ledger.read_history(name, limit),
            *await ledger.find_deliveries(milestone=name, limit=limit),
        ]
    found.sort(key=row_time, reverse=True)
    return found[:limit], {record.id: record.milestone.zone for record in records}, name


def row_time(row: HistoryRow) -> datetime:
    """Return the aware instant under which the row is listed."""
    if isinstance(row, tuple):
        return row[0].settled_at or row[0].bound_at
    return row.at


def render_history(
    found: Sequence[HistoryRow], zones: Mapping[str, ZoneInfo], milestone: str
) -> RenderableType:
    """Render the rows by day, newest first.

    Args:
        zones: the time zones of milestones, by milestone id.
        milestone: the milestone that the history is limited to; "" for all. Times are shown in the
            milestone's zone, or in UTC for all milestones.
    """
    from alertd.core.explain.words import format_day_heading
    from alertd.core.time.instant import UTC_ZONE

    zone = zones.get(milestone, UTC_ZONE)
    if not found:
        return Text("Nothing has happened yet.")
    blocks: list[RenderableType] = []
    for day, members in groupby(found, key=lambda row: row_time(row).astimezone(zone).date()):
        blocks.append(Text.assemble((format_day_heading(day), "bold"), (f"  {zone.key}", "dim")))
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=5, no_wrap=True)
        table.add_column(width=12, no_wrap=True)
        table.add_column(ratio=1, overflow="fold")
        for row in members:
            kind, what = (
                _render_delivery(*row)
                if isinstance(row, tuple)
                else _render_entry(row, zones.get(row.milestone))
            )
            table.add_row(f"{row_time(row).astimezone(zone):%H:%M}", kind, what)
        blocks.extend((Padding(table, (0, 0, 0, 2)), Text()))
    return Group(*blocks[:-1])


def _render_entry(entry: HistoryEntry, zone: ZoneInfo | None) -> tuple[Text, Text]:
    from alertd.core.explain.words import KINDS, make_entry_lines

    what = Text(entry.milestone)
    for line in make_entry_lines(entry, zone):
        what.append("\n" + line)
    return Text(KINDS.get(entry.kind, entry.kind), "magenta" if entry.kind == "moved" else "cyan"), what


def _render_delivery(
    delivery: Delivery, attempts: Sequence[Attempt], members: Sequence[ScheduledReminder]
) -> tuple[Text, Text]:
    from alertd.core.explain.words import describe_offset, describe_state
    from alertd.core.ledger.records import DeliveryState
    from alertd.core.message.digest import name_digest
    from alertd.core.message.reasons import describe_reason
    from alertd.core.words import format_count

    what = Text(delivery.channel)
    if delivery.fallback_for:
        what.append(f", in place of {delivery.fallback_for}")
    what.append(f"  {delivery.id}", "dim")
    if delivery.notice is not None:
        what.append(f"\n{delivery.notice.headline}")
    if delivery.edition is not None:
        what.append(f"\n{name_digest(delivery)}")
    for member in members[:MOST_MEMBERS]:
        what.append(f"\n{member.milestone}, {describe_offset(member.offset)}")
    if len(members) > MOST_MEMBERS:
        what.append(f"\nand {format_count(len(members) - MOST_MEMBERS, 'other')}")
    if delivery.state is not DeliveryState.SENT and (why := describe_reason(delivery.reason)):
        what.append(f"\n{why}")
    if len(attempts) > 1 or delivery.state is not DeliveryState.SENT:
        for attempt in attempts:
            what.append(f"\n{_attempt_line(attempt)}", "dim")
    return Text(describe_state(delivery), STATE_STYLE[delivery.state]), what


def _attempt_line(attempt: Attempt) -> str:
    from alertd.core.message.reasons import describe_reason

    why = describe_reason(attempt.reason)
    reason = f": {why}" if why else ""
    at = f"{attempt.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"attempt {attempt.number}, {at}, {attempt.took_ms:,} ms, {attempt.outcome}{reason}"
