"""``alertd run``, ``reload`` and ``demo``: run the daemon, have it reload its files, or show it at work."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from alertd.cli.options import ConfigOption, DatabaseOption
from alertd.cli.paper import say

SWITCH_EVERY_S = 0.0005
"""After how long a thread that computes, such as one that makes a page, lets another thread run. With
Python's own 5 ms, the loop and the ledger's thread would wait that long at each step of a delivery."""


def reload(
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the reload and report its result.")] = False,
    within: Annotated[
        float,
        typer.Option("--within", metavar="SECONDS", min=1, max=3600, help="How long to wait for the reload."),
    ] = 60.0,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Have the daemon read its files again.

    With --wait, exits 1 if a file has a problem. Each problem is one line, file:line:column: message. What
    was in force before goes on.
    """
    from alertd.cli.loading import read_settings
    from alertd.engine.control import ask

    settings = read_settings(config, database)
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


def run(config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Run the daemon until it is told to stop.

    SIGHUP reads the files again, as does a change of one. SIGTERM stops the daemon after the current sends.
    """
    import asyncio

    from alertd import app
    from alertd.cli.loading import read_settings
    from alertd.system.event_loop import find_loop_factory

    _open_missing_streams()
    sys.setswitchinterval(SWITCH_EVERY_S)
    settings = read_settings(config, database)
    with asyncio.Runner(loop_factory=find_loop_factory(settings.event_loop)) as runner:
        raise typer.Exit(runner.run(app.run(settings)))


def _open_missing_streams() -> None:
    """Open the null device for standard streams that were closed before the process started.

    Otherwise the event loop gets their numbers for its own files, and uvloop ends the process when it closes
    a file with such a number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one


def demo(
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=3600, help="How long the demo takes.")
    ] = 30.0,
) -> None:
    """Watch years of reminders pass in half a minute.

    The demo plays the shipped timeline from September 2024 to January 2027. It runs the real code under an
    accelerated clock, and sends to servers on this machine. Nobody else is told.
    """
    from alertd import demo as demonstration

    raise typer.Exit(demonstration.run(sys.stdout, seconds))
