"""``alertd plan``: list every reminder that will be sent in a range of time, from the files alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd.cli.options import ConfigOption, OutputFormat
from alertd.cli.paper import show, write_rows

if TYPE_CHECKING:
    from alertd.core.config import Config
    from alertd.core.milestones.milestone import Milestone
    from alertd.core.planning.plan import Planned
    from alertd.core.reason import Hold
    from alertd.core.routing.route import Route

DEFAULT_DAYS = 90
"""How many days a plan covers when --to is not given."""

CAUSE_STYLE = {
    "opens": "cyan",
    "approaching": "green",
    "due": "bold yellow",
    "overdue": "red",
    "moved": "magenta",
    "done": "green",
}
"""Rich styles by the value of a :class:`alertd.core.milestones.occurrence.Cause`."""

LOOK_AHEAD = timedelta(days=400)
"""How far after the range the next reminder is searched for."""


class PlanFormat(StrEnum):
    """The output format of the plan."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    ICS = "ics"


def plan(
    *,
    config: ConfigOption = None,
    since: Annotated[
        str, typer.Option("--from", metavar="T", help="The start: a date, a time, an instant or now.")
    ] = "now",
    until: Annotated[
        str,
        typer.Option("--to", metavar="T", help="The end, excluded; or a duration after --from, such as 1y."),
    ] = f"{DEFAULT_DAYS}d",
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="The time zone of dates in --from and --to.")
    ] = "UTC",
    milestone: Annotated[
        list[str] | None,
        typer.Option(
            "--milestone", metavar="ID", help="List only this milestone; repeatable.", show_default=False
        ),
    ] = None,
    receiver: Annotated[
        list[str] | None,
        typer.Option(
            "--receiver", metavar="NAME", help="List only this receiver; repeatable.", show_default=False
        ),
    ] = None,
    form: Annotated[
        PlanFormat, typer.Option("--format", help="The format; ics is a calendar file.")
    ] = PlanFormat.TEXT,
) -> None:
    """List every reminder that will be sent in a range of time.

    The command works without a daemon and without a database. It assumes that nothing is acknowledged and
    that the daemon was always running. The range is half-open: it excludes reminders that are due at --to.
    """
    from alertd import app
    from alertd.cli.loading import find_receiver, load_sound_definitions, read_settings
    from alertd.core.planning import plan as planning
    from alertd.system.collector import pause_collector

    begin, end = _read_range(since, until, timezone, app.now())
    with pause_collector():
        definitions, configuration = load_sound_definitions(read_settings(config))
        wanted = [find_receiver(name, configuration) for name in receiver or ()]
        milestones = app.resolve_milestones(definitions)
        chosen, only = _choose_milestones(milestones, milestone or [])
        planned = [
            reminder
            for reminder in planning.plan(chosen, configuration.route, begin, end)
            if (not wanted or reminder.receiver in wanted) and (not only or _is_about(reminder, only))
        ]
        _write(planned, chosen, configuration, form, begin=begin, end=end)


def _write(
    planned: Sequence[Planned],
    milestones: Sequence[Milestone],
    config: Config,
    form: PlanFormat,
    *,
    begin: datetime,
    end: datetime,
) -> None:
    from alertd.core.explain.facts import make_planned_facts

    match form:
        case PlanFormat.JSON | PlanFormat.JSONL:
            write_rows((make_planned_facts(reminder) for reminder in planned), OutputFormat(form.value))
        case PlanFormat.ICS:
            from alertd import app
            from alertd.cli.plan_ics import build_calendar

            typer.echo(build_calendar(planned, milestones, app.now()), nl=False)
        case PlanFormat.TEXT:
            after = () if planned else find_next_planned(milestones, config.route, end)
            show(render_plan(planned, milestones, begin, end, after))


def _read_range(since: str, until: str, timezone: str, now: datetime) -> tuple[datetime, datetime]:
    from alertd.cli.options import read_moment, read_zone

    zone = read_zone(timezone, "--timezone")
    begin = read_moment(since, "--from", zone=zone, now=now)
    end = read_moment(until, "--to", zone=zone, now=begin)
    if end <= begin:
        raise typer.BadParameter(f"{until} is not after --from {since}", param_hint="--to")
    return begin, end


def _choose_milestones(
    milestones: dict[str, Milestone], names: list[str]
) -> tuple[list[Milestone], set[str]]:
    """Return the milestones to plan, and the ids that the output is limited to.

    Args:
        milestones: all milestones by full id.
        names: the names that the user typed; none means all milestones, without a limit.
    """
    from alertd.cli.loading import find_milestone
    from alertd.core.milestones.recurrence import get_series_id

    if not names:
        return list(milestones.values()), set()
    found = {}
    only = set()
    for name in names:
        series = find_milestone(get_series_id(name), milestones)
        found[series] = milestones[series]
        only.add(series + name[len(get_series_id(name)) :])
    return list(found.values()), only


def _is_about(planned: Planned, only: set[str]) -> bool:
    from alertd.core.milestones.recurrence import get_series_id

    return planned.occurrence.milestone in only or get_series_id(planned.occurrence.milestone) in only


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A reminder at an instant, with all receivers that get it.

    Attributes:
        wall: the reminder's date and time in the milestone's zone, without a zone.
        zone: the IANA name of the milestone's zone.
    """

    wall: datetime
    zone: str
    title: str
    planned: Planned
    receivers: tuple[str, ...]


def render_plan(
    planned: Sequence[Planned],
    milestones: Iterable[Milestone],
    begin: datetime,
    end: datetime,
    after: Sequence[Planned],
) -> RenderableType:
    """Render the reminders from ``begin`` up to, but not including, ``end``, by local day and zone.

    Args:
        milestones: the milestones that supply titles; recurring ones are not expanded.
        after: the first reminders after the range; they are shown when the range has no reminder.
    """
    by_id = {milestone.id: milestone for milestone in milestones}
    rows = list(_group_rows(planned, by_id))
    begun: dict[tuple[date, str], datetime] = {}
    for row in rows:  # rows are in order of their instants, so the first row of a local day is its earliest
        begun.setdefault((row.wall.date(), row.zone), row.planned.at)
    rows.sort(key=lambda row: (row.wall.date(), begun[row.wall.date(), row.zone], row.zone))
    width = max((len(name) for row in rows for name in row.receivers), default=0)
    blocks: list[RenderableType] = []
    for (day, zone), members in groupby(rows, key=lambda row: (row.wall.date(), row.zone)):
        blocks.append(_render_heading(day, zone))
        blocks.append(Padding(_render_table(list(members), min(max(width, 8), 18)), (0, 0, 1, 2)))
    blocks.append(_render_footer(planned, rows, begin, end, after))
    return Group(*blocks)


def _group_rows(planned: Sequence[Planned], by_id: dict[str, Milestone]) -> Iterator[_Row]:
    """Yield one row for each reminder and instant, with all its receivers."""
    from alertd.core.milestones.recurrence import get_series_id
    from alertd.core.time.instant import to_wall

    same: dict[tuple[datetime, str, str, str, Hold | None], list[Planned]] = {}
    for reminder in planned:
        occurrence = reminder.occurrence
        window = occurrence.stated.window.id
        same.setdefault(
            (reminder.at, occurrence.milestone, window, occurrence.offset, reminder.muted_by), []
        ).append(reminder)
    for members in same.values():
        first = members[0]
        zone = first.occurrence.stated.window.zone
        _, at_sign, day = first.occurrence.milestone.partition("@")
        yield _Row(
            wall=to_wall(first.at, zone),
            zone=zone.key,
            title=by_id[get_series_id(first.occurrence.milestone)].title + (f" ({day})" if at_sign else ""),
            planned=first,
            receivers=tuple(dict.fromkeys(reminder.receiver for reminder in members)),
        )


def _render_heading(day: date, zone: str) -> Text:
    from alertd.core.explain.words import format_day_heading

    return Text.assemble((format_day_heading(day), "bold"), (f"  {zone}", "dim"))


def _render_table(rows: Sequence[_Row], receiver_width: int) -> Table:
    from alertd.core.explain.words import describe_delay, describe_offset, describe_stated

    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=5, no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(width=14)
    table.add_column(width=receiver_width, overflow="fold")
    for row in rows:
        occurrence = row.planned.occurrence
        what = Text(row.title)
        what.append("\n" + describe_stated(occurrence.stated), "dim")
        if row.planned.muted_by:
            what.append("\n" + describe_delay(row.planned), "yellow")
        when = Text(describe_offset(occurrence.offset), CAUSE_STYLE[occurrence.cause])
        table.add_row(f"{row.wall:%H:%M}", what, when, "\n".join(row.receivers))
    return table


def _render_footer(
    planned: Sequence[Planned], rows: Sequence[_Row], begin: datetime, end: datetime, after: Sequence[Planned]
) -> Text:
    from alertd.core.words import format_count, format_instant, phrase_offset

    between = f"from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    if rows:
        about = len({reminder.occurrence.milestone for reminder in planned})
        return Text(
            f"{format_count(len(rows), 'reminder')} about {format_count(about, 'milestone')} {between}."
        )
    text = f"No reminder is due {between}."
    if not after:
        return Text(f"{text} Nor in the 400 days after it.")
    first = after[0].occurrence
    at = format_instant(after[0].at, first.stated.window.zone)
    return Text(f"{text}\nThe next one is {first.milestone}, {at}, {phrase_offset(first.offset)}.")


def find_next_planned(milestones: Collection[Milestone], route: Route, now: datetime) -> tuple[Planned, ...]:
    """Return all reminders of the first instant after ``now`` that has any.

    The result is () if no reminder is due within LOOK_AHEAD.
    """
    from alertd.core.planning import plan as planning

    return planning.plan_next(milestones, route, now, now + LOOK_AHEAD)
