"""The plan for people: one block a day and zone, one row a reminder, whoever gets it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd.core.explain.words import day_heading, held_back, stated_words, when_words
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.recurrence import series_of
from alertd.core.planning.plan import Planned
from alertd.core.time.instant import to_wall
from alertd.core.words import count, instant_text, offset_words

CAUSE_STYLE = {
    Cause.OPENS: "cyan",
    Cause.APPROACHING: "green",
    Cause.DUE: "bold yellow",
    Cause.OVERDUE: "red",
    Cause.MOVED: "magenta",
    Cause.DONE: "green",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One reminder at one instant, with all who get it."""

    wall: datetime
    zone: str
    title: str
    planned: Planned
    receivers: tuple[str, ...]


def plan_table(
    planned: Sequence[Planned],
    milestones: Iterable[Milestone],
    begin: datetime,
    end: datetime,
    after: Sequence[Planned],
) -> RenderableType:
    """Everything in [begin, end), by local day.

    Args:
        milestones: by which a title is found; those of a series not expanded.
        after: what comes first after the range; looked at when nothing is in it.
    """
    by_id = {milestone.id: milestone for milestone in milestones}
    rows = list(_rows(planned, by_id))
    begun: dict[tuple[date, str], datetime] = {}
    for row in rows:  # by instant: where a local day has its first reminder
        begun.setdefault((row.wall.date(), row.zone), row.planned.at)
    rows.sort(key=lambda row: (row.wall.date(), begun[row.wall.date(), row.zone], row.zone))
    width = max((len(name) for row in rows for name in row.receivers), default=0)
    blocks: list[RenderableType] = []
    for (day, zone), members in groupby(rows, key=lambda row: (row.wall.date(), row.zone)):
        blocks.append(_heading(day, zone))
        blocks.append(Padding(_table(list(members), min(max(width, 8), 18)), (0, 0, 1, 2)))
    blocks.append(_footer(planned, rows, begin, end, after))
    return Group(*blocks)


def _rows(planned: Sequence[Planned], by_id: dict[str, Milestone]) -> Iterator[_Row]:
    """Receivers of the same reminder at the same instant share a row."""
    same: dict[tuple[datetime, str, str, str, str], list[Planned]] = {}
    for one in planned:
        occurrence = one.occurrence
        window = occurrence.stated.window.id
        same.setdefault((one.at, occurrence.milestone, window, occurrence.offset, one.muted_by), []).append(
            one
        )
    for members in same.values():
        first = members[0]
        zone = first.occurrence.stated.window.zone
        _, at_sign, day = first.occurrence.milestone.partition("@")
        yield _Row(
            wall=to_wall(first.at, zone),
            zone=zone.key,
            title=by_id[series_of(first.occurrence.milestone)].title + (f" ({day})" if at_sign else ""),
            planned=first,
            receivers=tuple(dict.fromkeys(one.receiver for one in members)),
        )


def _heading(day: date, zone: str) -> Text:
    return Text.assemble((day_heading(day), "bold"), (f"  {zone}", "dim"))


def _table(rows: Sequence[_Row], receiver_width: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=5, no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(width=14)
    table.add_column(width=receiver_width, overflow="fold")
    for row in rows:
        occurrence = row.planned.occurrence
        what = Text(row.title)
        what.append("\n" + stated_words(occurrence.stated), "dim")
        if row.planned.muted_by:
            what.append("\n" + held_back(row.planned), "yellow")
        when = Text(when_words(occurrence.offset), CAUSE_STYLE[occurrence.cause])
        table.add_row(f"{row.wall:%H:%M}", what, when, "\n".join(row.receivers))
    return table


def _footer(
    planned: Sequence[Planned], rows: Sequence[_Row], begin: datetime, end: datetime, after: Sequence[Planned]
) -> Text:
    between = f"from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    if rows:
        about = len({one.occurrence.milestone for one in planned})
        return Text(f"{count(len(rows), 'reminder')} about {count(about, 'milestone')} {between}.")
    text = f"No reminder is due {between}."
    if not after:
        return Text(f"{text} Nor in the 400 days after it.")
    first = after[0].occurrence
    at = instant_text(after[0].at, first.stated.window.zone)
    return Text(f"{text}\nThe next one is {first.milestone}, {at}, {offset_words(first.offset)}.")
