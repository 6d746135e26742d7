"""The command ``alertd``: registers the subcommands, and turns errors into exit codes.

Exit code 0 means success, 1 a problem and 2 wrong usage. An AlertdError is printed as one line on stderr, and
a DefinitionsError as one line for each problem. The user or the surroundings caused such an error, so a
traceback would not help. Any other exception is a bug and keeps its traceback.

Only the module of the command that is run is imported, since the daemon keeps in memory what it has imported.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from alertd import __version__
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


_COMMANDS: dict[str, dict[str, str]] = {
    "Run": {"run": "run", "reload": "run", "demo": "run", "migrate": "ledger"},
    "Look": {"check": "check", "plan": "plan", "explain": "explain", "routes": "routes"},
    "What was done": {"status": "status", "history": "history", "doctor": "doctor"},
    "Say": {"ack": "act", "snooze": "act", "done": "act", "cancel": "act", "reopen": "act"},
    "Send": {"preview": "preview", "send-test": "send", "retry": "send", "notifiers": "notifiers"},
    "Let in": {"token": "credentials", "user": "credentials"},
    "Keep": {"backup": "ledger", "restore": "ledger", "prune": "ledger"},
    "Begin": {"init": "starter", "schema": "starter"},
}
"""By panel of the help: each command, with the module of ``alertd.cli`` that has the function of its name."""


def make_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """Make the command line.

    Args:
        arguments: what the user has typed. If a command or ``--version`` comes first, all other commands are
            left out, and their modules are not imported. By default, all commands are there.
    """
    app = typer.Typer(
        name="alertd",
        cls=_Group,
        no_args_is_help=True,
        add_completion=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    known = {name for commands in _COMMANDS.values() for name in commands}
    needed = known if not {"--version", *known}.intersection(arguments[:1]) else {arguments[0]}
    for panel, commands in _COMMANDS.items():
        for name, module in commands.items():
            if name in needed:
                _add_command(app, panel, name, import_module(f"alertd.cli.{module}"))
    return app


def _add_command(app: typer.Typer, panel: str, name: str, module: ModuleType) -> None:
    command = getattr(module, name.replace("-", "_"))
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name, rich_help_panel=panel)
    else:
        app.command(name, help=_unwrapped(command), rich_help_panel=panel)(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alertd {__version__}")
        raise typer.Exit


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


def main() -> None:
    """Run the command line. This is the entry point of the ``alertd`` script."""
    # If the terminal's encoding lacks a character such as "–", a replacement is printed instead of an error.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        make_app(sys.argv[1:])()
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
