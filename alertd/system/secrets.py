"""Reads secrets from files. Each send reads them again, so that a rotated secret needs no restart."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from alertd.system.regular_file import SecretUnreadable, read_regular_file

__all__ = ["MAX_SECRET_BYTES", "SECRETS", "SecretUnreadable", "file_paths", "secret_files"]

MAX_SECRET_BYTES = 64 * 1024
SECRETS = "secrets"
"""The folder for secrets in the configuration folder. Only root can read it; see deploy/alertd.service."""


def secret_files(folder: Path, environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that reads the secret named by the value of a ``*_file`` option.

    A file name without a folder is searched for in these places, in this order:

    - ``$CREDENTIALS_DIRECTORY`` (systemd.exec(5), "Credentials"), as ``<name>`` and as ``alertd_<name>``;
    - the configuration folder;
    - its ``secrets/`` folder, which root reads directly; the service gets these files as credentials.

    Other relative paths start at the configuration folder. One line break at the end is not part of the
    secret.

    Args:
        folder: the configuration folder.
        environ: the process's environment.

    The function raises:
        SecretUnreadable: the file does not exist or cannot be read, or it is empty, too long or not UTF-8.
    """

    def read(name: str) -> str:
        for path in _candidates(name, folder, environ.get("CREDENTIALS_DIRECTORY", "")):
            try:
                raw = read_regular_file(path, MAX_SECRET_BYTES + 1)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError as error:
                if path == folder / SECRETS / name:
                    continue  # only root reads this folder: the service gets its files as credentials
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
    """Return a function that finds the file named by the value of a ``*_file`` option, in the same places.

    If no such file exists, the function returns the path in the configuration folder, so that opening the
    file fails with an error that names this path.
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
        # `from None`, because the text of the original error would quote the contents.
        raise SecretUnreadable(f"secret file {name!r}: is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    # Most users of a secret remove the spaces around it. Of blank text nothing would be left to compare with.
    if not text.strip():
        raise SecretUnreadable(f"secret file {name!r}: is empty")
    return text
