"""Reads secrets from files, anew at each send, so that a rotated one is used without a restart."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from alertd.errors import AlertdError

MAX_SECRET_BYTES = 64 * 1024
SECRETS = "secrets"
"""The folder of secrets in the configuration folder, for root alone; see deploy/alertd.service."""


class SecretUnreadable(AlertdError):
    """A file that should hold a secret cannot be read; the text names the file and never its content."""


def secret_files(folder: Path, environ: Mapping[str, str]) -> Callable[[str], str]:
    """A function from the value of a ``*_file`` option to what the file holds.

    A bare name is looked for in ``$CREDENTIALS_DIRECTORY`` (systemd.exec(5), "Credentials"), there also as
    ``alertd_<name>``, then in the configuration folder, and then in its ``secrets/``, which the service hands
    over as credentials and root reads where they lie. Other relative paths start at the configuration folder.
    One line break at the end is not part of the secret.

    Args:
        folder: the configuration folder.
        environ: the process's environment.

    The function raises:
        SecretUnreadable: there is no such file, or it cannot be read, or it is empty, too big or no UTF-8.
    """

    def read(name: str) -> str:
        for path in _candidates(name, folder, environ.get("CREDENTIALS_DIRECTORY", "")):
            try:
                with path.open("rb") as file:
                    raw = file.read(MAX_SECRET_BYTES + 1)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError as error:
                if path == folder / SECRETS / name:
                    continue  # what the service may not see there is handed to it, or is not for it
                raise SecretUnreadable(f"secret file {name!r}: {error.strerror}") from error
            except OSError as error:
                raise SecretUnreadable(
                    f"secret file {name!r}: {error.strerror or 'cannot be read'}"
                ) from error
            return _text(name, raw)
        raise SecretUnreadable(
            f"secret file {name!r}: not found among the credentials, "
            f"in the configuration folder or in its {SECRETS}/"
        )

    return read


def file_paths(folder: Path, environ: Mapping[str, str]) -> Callable[[str], Path]:
    """A function from the value of a ``*_file`` option to the file's path, looked for as secrets are.

    It gives the place in the configuration folder when there is no such file: who opens it says so.
    """

    def find(name: str) -> Path:
        places = _candidates(name, folder, environ.get("CREDENTIALS_DIRECTORY", ""))
        return next((place for place in places if os.path.exists(place)), folder / name)

    return find


def _candidates(name: str, folder: Path, credentials: str) -> tuple[Path, ...]:
    path = Path(name)
    if not name or path.name != name:
        return (folder / path,)  # an absolute path replaces the folder
    granted = (Path(credentials) / name, Path(credentials) / f"alertd_{name}") if credentials else ()
    return (*granted, folder / name, folder / SECRETS / name)


def _text(name: str, raw: bytes) -> str:
    if len(raw) > MAX_SECRET_BYTES:
        raise SecretUnreadable(f"secret file {name!r}: longer than {MAX_SECRET_BYTES} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        # Without its cause: that one's text would quote the content.
        raise SecretUnreadable(f"secret file {name!r}: is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretUnreadable(f"secret file {name!r}: is empty")
    return text
