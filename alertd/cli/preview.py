"""``alertd preview``: what a reminder would look like, without sending it."""

from __future__ import annotations

import io
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ConfigOption, MilestoneArgument
from alertd.cli.paper import warn

if TYPE_CHECKING:
    from alertd.core.config import Config, Definitions
    from alertd.core.explain.rehearsal import Rehearsal


class PreviewFormat(StrEnum):
    """How a preview is shown."""

    TERMINAL = "terminal"
    HTML = "html"
    JSON = "json"


def preview(
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER", show_default=False)],
    milestone: MilestoneArgument,
    *,
    cause: Annotated[
        str,
        typer.Option(
            "--cause",
            metavar="CAUSE",
            help="opens, approaching, due, overdue, moved or done.",
            show_default=False,
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="T",
            help="Read then: the last one that was due by then.  [default: the next one, on time]",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        PreviewFormat,
        typer.Option("--format", help="terminal or html for people, json for the exact bodies."),
    ] = PreviewFormat.TERMINAL,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there.", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Show what each notifier of a receiver would send about a milestone. Nothing is sent.

    Works from the files alone: what the ledger knows is not looked at. Each body is what would be sent, to
    the byte, but for the secrets. Exits 1 when a notifier cannot show what it sends.
    """
    from alertd.cli import preview_show, trial
    from alertd.cli.loading import find_receiver, settings_of, usable_definitions

    settings = settings_of(config)
    definitions, settled = usable_definitions(settings)
    name = find_receiver(receiver, settled)
    rehearsal = _rehearsal(milestone, name, cause, (definitions, settled), at)
    if not settled.receivers[name].notifiers:
        warn(f"{name} has no notifier: nothing would be sent")
    if not rehearsal.is_routed:
        warn(f"no route leads this to {name}; `alertd explain {rehearsal.record.id}` says who gets it")
    if rehearsal.supposed:
        warn(rehearsal.supposed)
    # Only on a terminal does a console show colours.
    console = sys.stdout if form is PreviewFormat.TERMINAL and out is None else io.StringIO()
    shown = finished(trial.preview(settled, settings.config, rehearsal, console))
    if form is PreviewFormat.JSON:
        text = preview_show.as_json(shown)
    elif form is PreviewFormat.HTML:
        text = preview_show.as_html(shown, rehearsal)
    else:
        text = preview_show.as_text(shown)
    if out is None:
        typer.echo(text, nl=False, color=True)
    else:
        _write(out, text)
    if not all(each.bodies for each in shown):
        raise typer.Exit(1)


def _rehearsal(
    name: str, receiver: str, cause_name: str, found: tuple[Definitions, Config], at: str | None
) -> Rehearsal:
    from alertd import app
    from alertd.cli.loading import find_milestone
    from alertd.cli.moments import read_moment
    from alertd.core.explain.explanation import instance_of
    from alertd.core.explain.rehearsal import rehearsed
    from alertd.core.milestones.occurrence import Cause
    from alertd.core.milestones.recurrence import series_of
    from alertd.errors import UnknownMilestone

    if cause_name not in set(Cause):
        raise typer.BadParameter(f"{cause_name!r} is none; there is {', '.join(Cause)}", param_hint="--cause")
    cause = Cause(cause_name)
    definitions, settled = found
    known, now = app.milestones(definitions), app.now()
    full = find_milestone(series_of(name), known)
    series = known[full]
    moment = read_moment(at, "--at", zone=series.zone, now=now, at=series.policy.at) if at else None
    one, _ = instance_of(series, name, moment or now)
    if one is None:
        raise UnknownMilestone(f"{name}: the series has no such instance")
    made = rehearsed(one, receiver, cause, settled.route, at=moment, now=now)
    if made is None:
        raise typer.BadParameter(
            f"{one.id} never has a reminder {cause.value!r}; `alertd explain {one.id}` lists what it has",
            param_hint="--cause",
        )
    return made


def _write(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise typer.BadParameter(f"{path}: {why}", param_hint="--out") from None
    typer.echo(f"wrote {path}")
