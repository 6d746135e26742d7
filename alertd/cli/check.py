"""``alertd check``: list the problems in the definition files, or summarize the files if there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.options import ConfigOption, FormatOption, OutputFormat
from alertd.cli.paper import say, write_rows, write_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from alertd.core.config import Config, Definitions
    from alertd.core.milestones.milestone import Milestone


def check(
    *,
    config: ConfigOption = None,
    form: FormatOption = OutputFormat.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as problems.")] = False,
) -> None:
    """Say what is wrong in the files, or what they hold.

    Each problem is one line, file:line:column: message. Exits 1 when there is one.
    """
    from alertd import app
    from alertd.cli.loading import read_settings
    from alertd.system.collector import pause_collector

    with pause_collector():
        definitions = app.load_definitions(read_settings(config))
        milestones = app.resolve_milestones(definitions) if not definitions.problems else {}
        warnings = find_warnings(definitions, milestones)
        match form:
            case OutputFormat.TEXT:
                _print(definitions, milestones, warnings, app.now())
            case OutputFormat.JSON:
                write_value(_check_facts(definitions, milestones, warnings, app.now()))
            case OutputFormat.JSONL:
                write_rows(_problem_rows(definitions), form)
    if definitions.problems or definitions.config is None or (strict and warnings):
        raise typer.Exit(1)


def find_warnings(definitions: Definitions, milestones: Mapping[str, Milestone]) -> list[str]:
    """Return one line for each definition that is valid but probably a mistake."""
    from alertd.core.milestones.milestone import list_live_claims, list_operative_windows

    files = {timeline.id: timeline.file for timeline in definitions.timelines}
    found = []
    for milestone in milestones.values():
        if any(stated.window.ends is not None for stated in list_operative_windows(milestone)):
            continue
        where = files.get(milestone.timeline, milestone.timeline)
        if not list_live_claims(milestone):
            found.append(f"{where}: {milestone.id} has no live claim: it never reminds")
        else:
            found.append(f"{where}: {milestone.id} has no end: it is never due")
    if definitions.unconfigured is not None:
        found.append(str(definitions.unconfigured))
    if definitions.config is not None:
        found.extend(_find_unused_receivers(definitions.config))
        found.extend(_find_dead_routes(definitions.config))
    return found


def _find_dead_routes(config: Config) -> list[str]:
    from alertd.core.routing.dead import find_dead_routes

    return [
        f"alertd.yaml:{dead.route.line}:{dead.route.column}: {dead.route.path} is never used: {dead.why}"
        for dead in find_dead_routes(config.route)
    ]


def _find_unused_receivers(config: Config) -> list[str]:
    used = {config.operator, config.fallback_receiver, *_route_receivers(config)}
    silent = [name for name, receiver in config.receivers.items() if not receiver.notifiers]
    return [
        *(
            f"alertd.yaml: no route leads to the receiver {name}"
            for name in config.receivers
            if name not in used
        ),
        *(f"alertd.yaml: the receiver {name} has no notifier: nothing is sent" for name in silent),
    ]


def _route_receivers(config: Config) -> set[str]:
    found, routes = set(), [config.route]
    while routes:
        route = routes.pop()
        found.add(route.receiver)
        routes.extend(route.routes)
    return found


def _print(
    definitions: Definitions, milestones: Mapping[str, Milestone], warnings: list[str], now: datetime
) -> None:
    for problem in definitions.problems:
        typer.echo(str(problem))
    if definitions.problems or definitions.config is None:
        return
    for warning in warnings:
        typer.echo(f"warning: {warning}")
    say(_summarize(definitions, milestones, definitions.config, now))


def _summarize(
    definitions: Definitions, milestones: Mapping[str, Milestone], config: Config, now: datetime
) -> str:
    from alertd.cli.plan import find_next_planned
    from alertd.core.words import format_count, format_instant, join_with_and, phrase_offset

    parts = [
        format_count(len(definitions.timelines), "timeline"),
        format_count(len(milestones), "milestone"),
        format_count(len(config.receivers), "receiver"),
    ]
    coming = find_next_planned(milestones.values(), config.route, now)
    if not coming:
        return f"No problems: {join_with_and(parts)}. No reminder is due in the next 400 days."
    first = coming[0]
    occurrence = first.occurrence
    at = format_instant(first.at, occurrence.stated.window.zone)
    more = f", and {len(coming) - 1} more at that time" if len(coming) > 1 else ""
    return (
        f"No problems: {join_with_and(parts)}.\n"
        f"Next reminder: {at}, {occurrence.milestone}, {phrase_offset(occurrence.offset)}, "
        f"to {first.receiver}{more}."
    )


def _check_facts(
    definitions: Definitions, milestones: Mapping[str, Milestone], warnings: list[str], now: datetime
) -> dict[str, object]:
    from alertd.cli.plan import find_next_planned
    from alertd.core.explain.facts import format_utc_or_none

    config = definitions.config
    is_sound = not definitions.problems
    coming = find_next_planned(milestones.values(), config.route, now) if config and is_sound else ()
    return {
        "ok": is_sound and config is not None,
        "problems": _problem_rows(definitions),
        "warnings": warnings,
        "timelines": len(definitions.timelines),
        "milestones": sum(timeline.count for timeline in definitions.timelines),
        "receivers": sorted(config.receivers) if config else [],
        "next": format_utc_or_none(coming[0].at) if coming else None,
    }


def _problem_rows(definitions: Definitions) -> list[dict[str, object]]:
    return [
        {"file": problem.file, "line": problem.line, "column": problem.column, "message": problem.message}
        for problem in definitions.problems
    ]
