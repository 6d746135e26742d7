"""The command ``alertd``: registers the subcommands, and turns errors into exit codes.

Exit code 0 means success, 1 a problem and 2 wrong usage. An AlertdError is printed as one line on stderr, and
a DefinitionsError as one line for each problem. The user or the surroundings caused such an error, so a
traceback would not help. Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from alertd import __version__
from alertd.cli import (
    act,
    check,
    credentials,
    doctor,
    explain,
    history,
    ledger,
    notifiers,
    plan,
    preview,
    routes,
    run,
    send,
    starter,
    status,
)
from alertd.errors import AlertdError, DefinitionsError


class _Group(TyperGroup):
    """A command group that prints an AlertdError as a line on stderr and exits with 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DefinitionsError as error:
            for problem in error.problems:
                typer.echo(problem, err=True)
            raise typer.Exit(1) from None
        except AlertdError as error:
            typer.echo(f"alertd: {error}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="alertd",
    cls=_Group,
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alertd {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Reminders for deadlines that are imprecise, sourced, contested, and that move."""


def _unwrapped(command: Callable[..., None]) -> str:
    """Return the command's docstring with each paragraph on one line, so that the terminal can wrap it."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


_Command = Callable[..., None]
_COMMANDS: tuple[tuple[str, dict[str, _Command]], ...] = (
    ("Run", {"run": run.run, "reload": run.reload, "demo": run.demo, "migrate": ledger.migrate}),
    ("Look", {"check": check.check, "plan": plan.plan, "explain": explain.explain}),
    ("What was done", {"status": status.status, "history": history.history, "doctor": doctor.doctor}),
    (
        "Say",
        {"ack": act.ack, "snooze": act.snooze, "done": act.done, "cancel": act.cancel, "reopen": act.reopen},
    ),
    (
        "Send",
        {
            "preview": preview.preview,
            "send-test": send.send_test,
            "retry": send.retry,
            "notifiers": notifiers.notifiers,
        },
    ),
    ("Let in", {"token": credentials.token, "user": credentials.user}),
    ("Keep", {"backup": ledger.backup, "restore": ledger.restore, "prune": ledger.prune}),
    ("Begin", {"init": starter.init, "schema": starter.schema}),
)

for _panel, _commands in _COMMANDS:
    for _name, _command in _commands.items():
        app.command(_name, help=_unwrapped(_command), rich_help_panel=_panel)(_command)

app.add_typer(
    routes.routes, name="routes", help="Show and test the routes to receivers.", rich_help_panel="Look"
)


def main() -> None:
    """Run the command line. This is the entry point of the ``alertd`` script."""
    # If the terminal's encoding lacks a character such as "–", a replacement is printed instead of an error.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    finally:
        _discard_unread_output()


def _discard_unread_output() -> None:
    """Discard buffered output if its reader has closed the pipe.

    Otherwise Python fails to flush the output at shutdown, and exits with 120 instead of the command's code.
    """
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
