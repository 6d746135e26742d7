"""The history for people: a line each, and under a delivery what it carried and how its attempts went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd.cli.history import when
from alertd.core.explain.words import KINDS, day_heading, entry_lines, state_words, when_words
from alertd.core.ledger.records import Attempt, Delivery, DeliveryState, HistoryEntry, ScheduledReminder
from alertd.core.message.digest import digest_words
from alertd.core.words import count

if TYPE_CHECKING:
    from alertd.cli.history import Happening

UTC_ZONE = ZoneInfo("UTC")
STATE_STYLE = {
    DeliveryState.READY: "yellow",
    DeliveryState.SENT: "green",
    DeliveryState.DEAD: "bold red",
    DeliveryState.SUPERSEDED: "dim",
    DeliveryState.SUPPRESSED: "dim",
}
MOST_MEMBERS = 5


def history_page(found: Sequence[Happening], zones: Mapping[str, ZoneInfo], milestone: str) -> RenderableType:
    """By day, the newest first; local to the milestone where it is about one, else in UTC."""
    zone = zones.get(milestone, UTC_ZONE)
    if not found:
        return Text("Nothing has happened yet.")
    blocks: list[RenderableType] = []
    for day, members in groupby(found, key=lambda one: when(one).astimezone(zone).date()):
        blocks.append(Text.assemble((day_heading(day), "bold"), (f"  {zone.key}", "dim")))
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=5, no_wrap=True)
        table.add_column(width=12, no_wrap=True)
        table.add_column(ratio=1, overflow="fold")
        for one in members:
            kind, what = _delivery(*one) if isinstance(one, tuple) else _entry(one, zones.get(one.milestone))
            table.add_row(f"{when(one).astimezone(zone):%H:%M}", kind, what)
        blocks.extend((Padding(table, (0, 0, 0, 2)), Text()))
    return Group(*blocks[:-1])


def _entry(entry: HistoryEntry, zone: ZoneInfo | None) -> tuple[Text, Text]:
    what = Text(entry.milestone)
    for line in entry_lines(entry, zone):
        what.append("\n" + line)
    return Text(KINDS.get(entry.kind, entry.kind), "magenta" if entry.kind == "moved" else "cyan"), what


def _delivery(
    delivery: Delivery, attempts: Sequence[Attempt], members: Sequence[ScheduledReminder]
) -> tuple[Text, Text]:
    what = Text(delivery.channel)
    if delivery.fallback_for:
        what.append(f", in place of {delivery.fallback_for}")
    what.append(f"  {delivery.id}", "dim")
    if delivery.notice is not None:
        what.append(f"\n{delivery.notice.headline}")
    if delivery.edition is not None:
        what.append(f"\n{digest_words(delivery)}")
    for one in members[:MOST_MEMBERS]:
        what.append(f"\n{one.milestone}, {when_words(one.offset)}")
    if len(members) > MOST_MEMBERS:
        what.append(f"\nand {count(len(members) - MOST_MEMBERS, 'other')}")
    if delivery.reason and delivery.state is not DeliveryState.SENT:
        what.append(f"\n{delivery.reason}")
    if len(attempts) > 1 or delivery.state is not DeliveryState.SENT:
        for try_ in attempts:
            what.append(f"\n{_attempt(try_)}", "dim")
    return Text(state_words(delivery), STATE_STYLE[delivery.state]), what


def _attempt(attempt: Attempt) -> str:
    reason = f": {attempt.reason}" if attempt.reason else ""
    at = f"{attempt.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"attempt {attempt.number}, {at}, {attempt.took_ms:,} ms, {attempt.outcome}{reason}"
