"""The reminders of a milestone for people: when, to whom, by which route, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd.cli.show_plan import CAUSE_STYLE
from alertd.core.config import Config
from alertd.core.explain.explanation import Explanation
from alertd.core.explain.words import (
    Course,
    fate_of,
    held_back,
    labels_told,
    local_text,
    routes_told,
    state_words,
    stated_words,
    when_words,
)
from alertd.core.ledger.records import DeliveryState
from alertd.core.planning.plan import Planned
from alertd.core.words import count, listing

MOST_ROWS = 40
COURSE_STYLE = {Course.SENT: "green", Course.WAITING: "yellow", Course.DROPPED: "dim"}


def reminder_tables(found: Explanation) -> Iterator[RenderableType]:
    if not found.reminders:
        yield Text("It gets no reminder.")
        return
    zone = found.milestone.zone
    by_window = sorted(found.reminders, key=lambda one: (_end(one), one.occurrence.at, one.receiver))
    coming = found.next
    for _, members in groupby(by_window, key=lambda one: one.occurrence.stated.window.id):
        rows = list(members)
        yield Padding(Text(stated_words(rows[0].occurrence.stated), "underline"), (1, 0, 0, 0))
        yield _table(rows, found, zone, coming)


def _table(rows: Sequence[Planned], found: Explanation, zone: ZoneInfo, coming: Planned | None) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(min_width=14, overflow="fold")
    table.add_column(overflow="fold")
    table.add_column()
    skipped = max(0, len(rows) - MOST_ROWS)
    for row in rows[skipped:]:
        is_next = coming is not None and (row.at, row.occurrence) == (coming.at, coming.occurrence)
        past = row.at <= found.at
        which = Text(when_words(row.occurrence.offset), "dim" if past else CAUSE_STYLE[row.occurrence.cause])
        if row.muted_by:
            which.append("\n" + held_back(row), "yellow")
        when = f"{row.at.astimezone(zone):%a} {local_text(row.at, zone)}"
        table.add_row(
            "→" if is_next else "", Text(when, "dim" if past else ""), which, row.receiver, _fate(row, found)
        )
    if skipped:
        table.caption = f"and {count(skipped, 'earlier one')}"
        table.caption_justify = "left"
    return table


def _fate(row: Planned, found: Explanation) -> Text:
    fate = fate_of(row, found)
    return Text(fate.text, COURSE_STYLE[fate.course])


def route_lines(found: Explanation, config: Config) -> Iterator[RenderableType]:
    for told in routes_told(found, config):
        text = Text.assemble((told.receiver, "bold"), f" {told.text}")
        for line in told.more:
            text.append(f"\n  {line}")
        yield text
    if found.reminders:
        yield Text(labels_told(found), "dim")


def delivery_lines(found: Explanation) -> Iterator[RenderableType]:
    assert found.done is not None  # noqa: S101  the caller has looked
    zone = found.milestone.zone
    if not found.done.deliveries:
        yield Text("Nothing yet.")
    for delivery, attempts, members in found.done.deliveries:
        slots = [when_words(one.offset) for one in members if one.milestone == found.milestone.id]
        tries = f", {count(len(attempts), 'attempt')}" if len(attempts) > 1 else ""
        at = delivery.settled_at or delivery.next_at
        reason = (
            f": {delivery.reason}" if delivery.reason and delivery.state is not DeliveryState.SENT else ""
        )
        what = f"{state_words(delivery)}, {delivery.channel}, {listing(slots)}{tries}{reason}"
        yield Text(f"{local_text(at, zone)}  {what}")
        yield Text(f"  {delivery.id}", "dim")


def _end(planned: Planned) -> tuple[bool, float, str]:
    window = planned.occurrence.stated.window
    return (window.ends is None, window.ends.timestamp() if window.ends else 0.0, window.id)
