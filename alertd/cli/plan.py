"""``alertd plan``: everything that will be sent in a range of time, from the files alone."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.options import ConfigOption, OutputFormat
from alertd.cli.paper import show, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from alertd.core.config import Config
    from alertd.core.milestones.milestone import Milestone
    from alertd.core.planning.plan import Planned

DEFAULT_DAYS = 90


class PlanFormat(StrEnum):
    """How the plan is written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    ICS = "ics"


def plan(
    *,
    config: ConfigOption = None,
    since: Annotated[
        str, typer.Option("--from", metavar="T", help="First instant: date, time, instant or now.")
    ] = "now",
    until: Annotated[
        str,
        typer.Option("--to", metavar="T", help="End, not included; or how long after --from, such as 1y."),
    ] = f"{DEFAULT_DAYS}d",
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="What dates in --from and --to are read in.")
    ] = "UTC",
    milestone: Annotated[
        list[str] | None,
        typer.Option(
            "--milestone", metavar="ID", help="Only this one; can be given again.", show_default=False
        ),
    ] = None,
    receiver: Annotated[
        list[str] | None,
        typer.Option(
            "--receiver", metavar="NAME", help="Only to this one; can be given again.", show_default=False
        ),
    ] = None,
    form: Annotated[PlanFormat, typer.Option("--format", help="ics is a calendar file.")] = PlanFormat.TEXT,
) -> None:
    """List every reminder that will be sent in a range of time.

    Needs no daemon and no database: it supposes that nothing is acknowledged and that the daemon was up all
    along. The range is half-open: what is due at --to is not in it.
    """
    from alertd import app
    from alertd.cli.loading import find_receiver, settings_of, sound_definitions
    from alertd.core.planning import plan as planning

    begin, end = _range(since, until, timezone, app.now())
    definitions, settled = sound_definitions(settings_of(config))
    wanted = [find_receiver(name, settled) for name in receiver or ()]
    milestones = app.milestones(definitions)
    chosen, only = _chosen(milestones, milestone or [])
    planned = [
        one
        for one in planning.plan(chosen, settled.route, begin, end)
        if (not wanted or one.receiver in wanted) and (not only or _is_of(one, only))
    ]
    _write(planned, chosen, settled, form, begin=begin, end=end)


def _write(
    planned: Sequence[Planned],
    milestones: Sequence[Milestone],
    config: Config,
    form: PlanFormat,
    *,
    begin: datetime,
    end: datetime,
) -> None:
    from alertd.core.explain.facts import planned_facts

    match form:
        case PlanFormat.JSON:
            write_rows((planned_facts(one) for one in planned), OutputFormat.JSON)
        case PlanFormat.JSONL:
            for one in planned:
                typer.echo(json.dumps(planned_facts(one), ensure_ascii=False))
        case PlanFormat.ICS:
            from alertd import app
            from alertd.cli.plan_ics import calendar_of

            typer.echo(calendar_of(planned, milestones, app.now()), nl=False)
        case PlanFormat.TEXT:
            from alertd.cli.show_plan import plan_table
            from alertd.cli.upcoming import next_planned

            after = () if planned else next_planned(milestones, config.route, end)
            show(plan_table(planned, milestones, begin, end, after))


def _range(since: str, until: str, timezone: str, now: datetime) -> tuple[datetime, datetime]:
    from alertd.cli.moments import read_moment, read_zone

    zone = read_zone(timezone, "--timezone")
    begin = read_moment(since, "--from", zone=zone, now=now)
    end = read_moment(until, "--to", zone=zone, now=begin)
    if end <= begin:
        raise typer.BadParameter(f"{until} is not after --from {since}", param_hint="--to")
    return begin, end


def _chosen(milestones: dict[str, Milestone], names: list[str]) -> tuple[list[Milestone], set[str]]:
    """The milestones to plan, and of the series among them the instances that were asked for by name."""
    from alertd.cli.loading import find_milestone
    from alertd.core.milestones.recurrence import series_of

    if not names:
        return list(milestones.values()), set()
    found = {}
    only = set()
    for name in names:
        series = find_milestone(series_of(name), milestones)
        found[series] = milestones[series]
        only.add(series + name[len(series_of(name)) :])
    return list(found.values()), only


def _is_of(planned: Planned, only: set[str]) -> bool:
    from alertd.core.milestones.recurrence import series_of

    return planned.occurrence.milestone in only or series_of(planned.occurrence.milestone) in only
