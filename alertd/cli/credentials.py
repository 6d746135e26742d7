"""``alertd token`` and ``alertd user``: manage the files of credentials that the web server accepts."""

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
    """The operation on a credential file."""

    NEW = "new"
    LIST = "list"
    DROP = "drop"


class Permission(StrEnum):
    """The permission that a credential grants. Each permission includes all permissions before it."""

    FEED = "feed"
    READ = "read"
    ACT = "act"
    ADMIN = "admin"

    @property
    def verb(self) -> str:
        """The verb for messages such as "NAME may read"."""
        return "subscribe" if self is Permission.FEED else self.value


_CredentialAction = Annotated[CredentialAction, typer.Argument(show_default=False, help="new, list or drop")]
_Name = Annotated[str, typer.Argument(metavar="[NAME]", show_default=False)]
_Scope = Annotated[Permission, typer.Option("--scope", help="The permission: feed, read, act or admin.")]
_File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="PATH",
        help="The credential file.  [default: the file that alertd.yaml names]",
        show_default=False,
    ),
]


def token(
    what: _CredentialAction,
    name: _Name = "",
    scope: _Scope = Permission.READ,
    file: _File = None,
    config: ConfigOption = None,
) -> None:
    """Create, list or drop tokens for the web server.

    A new one is printed once and kept nowhere: its hash is appended to the file. The daemon notices the
    changed file at the next request.
    """
    from alertd.core.access import SCOPES
    from alertd.web.server.credentials import add, new_token

    path = _path("tokens_file", file, config)
    if what is not CredentialAction.NEW:
        _list_or_drop(what, path, name, are_tokens=True)
        return
    made, credential = new_token(name, SCOPES[scope])
    add(path, credential)
    typer.echo(made)
    where = " as part of an address, /feeds/TOKEN/all.ics" if scope is Permission.FEED else ""
    typer.echo(
        f"{name} may {scope.verb} with it{where}; it is not shown again. Its hash is in {path}.", err=True
    )


def user(
    what: _CredentialAction,
    name: _Name = "",
    scope: _Scope = Permission.READ,
    file: _File = None,
    config: ConfigOption = None,
) -> None:
    """Create, list or drop users with passwords.

    The command asks for a new user's password, or reads it from standard input if that is not a terminal.
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
    """Return ``file`` if it is given, else the file that the key ``key`` of ``web.auth`` names.

    Raises:
        CredentialsError: alertd.yaml does not name the file.
    """
    if file is not None:
        return file
    import os

    from alertd import app
    from alertd.cli.loading import read_settings
    from alertd.errors import CredentialsError
    from alertd.system.secrets import file_paths

    settings = read_settings(config)
    found = app.load_definitions(settings).config
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
    for credential in found:
        typer.echo(
            _row(credential)
            if credential.is_token is are_tokens
            else f"{_row(credential)}  (belongs into another file)"
        )
    for problem in problems:
        typer.echo(f"{path}: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def _row(credential: Credential) -> str:
    return f"{credential.name}  {credential.scope.word}"
