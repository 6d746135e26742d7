"""``alertd reload``: the daemon reads its files again, and what it says of them."""

from __future__ import annotations

from typing import Annotated

import typer

from alertd.cli.options import ConfigOption, DatabaseOption
from alertd.cli.paper import say


def reload(
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when it is done, and say how it went.")
    ] = False,
    within: Annotated[
        float, typer.Option("--within", metavar="SECONDS", min=1, max=3600, help="How long to wait for that.")
    ] = 60.0,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Have the daemon read its files again.

    With --wait, exits 1 when a file has a problem: each is one line, file:line:column: message. What was in
    force before goes on.
    """
    from alertd.cli.loading import settings_of
    from alertd.engine.control import ask

    settings = settings_of(config, database)
    how = ask(settings.control_path(), settings.config, wait=wait, within_s=within)
    if how is None:
        say("The daemon was asked to reload.")
        return
    for problem in how.problems:
        typer.echo(problem, err=True)
    if not how.accepted:
        typer.echo("alertd: refused; the configuration before it goes on", err=True)
    elif how.problems:
        typer.echo("alertd: files with a problem stay as they were; everything else is live", err=True)
    if how.problems or not how.accepted:
        raise typer.Exit(1)
    say("The configuration is live.")
