"""``alertd run`` and ``alertd demo``: the daemon, and a look at what it does."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ConfigOption, DatabaseOption


def run(config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Run the daemon until it is told to stop.

    SIGHUP reads the files again, as does a change of one. SIGTERM finishes what is being sent.
    """
    from alertd import app
    from alertd.cli.loading import settings_of

    raise typer.Exit(finished(app.run(settings_of(config, database))))


def demo(
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=3600, help="How long it takes.")] = 30.0,
) -> None:
    """Watch years of reminders pass in half a minute.

    The shipped timeline, from September 2024 to January 2027: the true code under an accelerated clock,
    sending to sinks on this machine. Nobody else is told.
    """
    from alertd import demo as demonstration

    raise typer.Exit(demonstration.run(sys.stdout, seconds))
