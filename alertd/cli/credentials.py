"""``alertd token`` and ``alertd user``: who may come in to the web server, in the files for that."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.options import ConfigOption

if TYPE_CHECKING:
    from alertd.web.server.credentials import Credential


class CredentialAction(StrEnum):
    """What is to be done."""

    NEW = "new"
    LIST = "list"
    DROP = "drop"


class GrantedScope(StrEnum):
    """What somebody may do; each includes those before it."""

    FEED = "feed"
    READ = "read"
    ACT = "act"
    ADMIN = "admin"

    @property
    def verb(self) -> str:
        return "subscribe" if self is GrantedScope.FEED else self.value


_What = Annotated[CredentialAction, typer.Argument(show_default=False, help="new, list or drop")]
_Name = Annotated[str, typer.Argument(metavar="[NAME]", show_default=False)]
_Scope = Annotated[GrantedScope, typer.Option("--scope", help="What it may do: feed, read, act or admin.")]
_File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="PATH",
        help="The file.  [default: the one that alertd.yaml names]",
        show_default=False,
    ),
]


def token(
    what: _What,
    name: _Name = "",
    scope: _Scope = GrantedScope.READ,
    file: _File = None,
    config: ConfigOption = None,
) -> None:
    """Make, list or drop tokens of the web server.

    A new one is printed once and kept nowhere: its hash is appended to the file. The daemon sees a change of
    the file with the next request.
    """
    from alertd.core.access import SCOPES
    from alertd.web.server.credentials import add, new_token

    path = _path("tokens_file", file, config)
    if what is not CredentialAction.NEW:
        _list_or_drop(what, path, name, are_tokens=True)
        return
    made, one = new_token(name, SCOPES[scope])
    add(path, one)
    typer.echo(made)
    where = " as part of an address, /feeds/TOKEN/all.ics" if scope is GrantedScope.FEED else ""
    typer.echo(
        f"{name} may {scope.verb} with it{where}; it is not shown again. Its hash is in {path}.", err=True
    )


def user(
    what: _What,
    name: _Name = "",
    scope: _Scope = GrantedScope.READ,
    file: _File = None,
    config: ConfigOption = None,
) -> None:
    """Make, list or drop people with passwords.

    The password of a new one is asked for, or read from standard input when that is no terminal.
    """
    from alertd.core.access import SCOPES
    from alertd.web.server.credentials import add, new_user

    path = _path("users_file", file, config)
    if what is not CredentialAction.NEW:
        _list_or_drop(what, path, name, are_tokens=False)
        return
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    add(path, new_user(name, SCOPES[scope], password))
    typer.echo(f"{name} may {scope.verb}; the password's hash is in {path}.")


def _path(key: str, file: Path | None, config: Path | None) -> Path:
    """The file itself, or the one that ``web.auth`` names."""
    if file is not None:
        return file
    import os

    from alertd import app
    from alertd.cli.loading import settings_of
    from alertd.errors import CredentialsError
    from alertd.system.secrets import file_paths

    settings = settings_of(config)
    found = app.definitions(settings).config
    auth = found.web.access if found else None
    name = getattr(auth, key) if auth else ""
    if not name:
        raise CredentialsError(f"alertd.yaml names no web.auth.{key}; add it, or name a file by --file")
    return file_paths(settings.config, os.environ)(name)


def _list_or_drop(what: CredentialAction, path: Path, name: str, *, are_tokens: bool) -> None:
    from alertd.errors import CredentialsError
    from alertd.web.server.credentials import drop, read

    if what is CredentialAction.DROP:
        drop(path, name)
        typer.echo(f"{name} is dropped from {path}.")
        return
    try:
        found, problems = read(path)
    except FileNotFoundError:
        found, problems = [], []
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from error
    for one in found:
        typer.echo(_row(one) if one.is_token is are_tokens else f"{_row(one)}  (belongs into another file)")
    for problem in problems:
        typer.echo(f"{path}: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def _row(one: Credential) -> str:
    return f"{one.name}  {one.scope.word}"
