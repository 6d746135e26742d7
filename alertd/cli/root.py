"""The command ``alertd``: its subcommands, and what becomes of errors.

Exit 0 is well, 1 is a problem, 2 is wrong usage. An AlertdError is one clear line on stderr, or one a
problem, and never a traceback: it is about what somebody wrote or about the world. Anything else is a bug
and shows where it is.
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
    keep,
    migrate,
    notifiers,
    plan,
    preview,
    reload,
    routes,
    send,
    serve,
    starter,
    status,
)
from alertd.errors import AlertdError, DefinitionsError


class _Group(TyperGroup):
    """Turns an AlertdError into its line and exit 1."""

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
    """The docstring with its paragraphs on one line each: the terminal wraps them, wherever they were."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


_Command = Callable[..., None]
_COMMANDS: tuple[tuple[str, dict[str, _Command]], ...] = (
    ("Run", {"run": serve.run, "reload": reload.reload, "demo": serve.demo, "migrate": migrate.migrate}),
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
    ("Keep", {"backup": keep.backup, "restore": keep.restore, "prune": keep.prune}),
    ("Begin", {"init": starter.init, "schema": starter.schema}),
)

for _panel, _commands in _COMMANDS:
    for _name, _command in _commands.items():
        app.command(_name, help=_unwrapped(_command), rich_help_panel=_panel)(_command)

app.add_typer(routes.routes, name="routes", help="Who is told what.", rich_help_panel="Look")


def main() -> None:
    """The entry point."""
    # A terminal or a pipe with another encoding must not turn "–" into a traceback.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    finally:
        _let_go()


def _let_go() -> None:
    """Have what nobody reads any more go nowhere: Python would end with 120 for it, whatever was done."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
