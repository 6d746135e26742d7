"""The secret from which all keys are derived: the file that ``web.secret_file`` names, or one of our own.

Ours lies beside an embedded ledger, and is made when it is first needed. A shared ledger holds it itself, so
that all nodes have the same.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from alertd.core.access import Web
from alertd.notify.secret import MAX_SECRET_BYTES, SecretUnreadable
from alertd.web.server.signing import LEAST_SECRET

OWN = "web.key"


def new_secret() -> str:
    """One that nobody has had before, of 256 bits."""
    return secrets.token_urlsafe(LEAST_SECRET)


class SiteSecret:
    """Gives the secret; reads its file again when that has changed.

    Args:
        web: the section of the configuration in force.
        find: where a file is that it names.
        folder: where to keep one of our own; None: it is ``shared``.
        shared: what the ledger holds; "": one that ends with this process.
    """

    def __init__(
        self, web: Callable[[], Web], find: Callable[[str], Path], folder: Path | None, shared: str = ""
    ) -> None:
        self._web = web
        self._find = find
        self._folder = folder
        self._seen: tuple[object, bytes] = (None, b"")
        self._shared = (shared or new_secret()).encode()

    def __call__(self) -> bytes:
        """A line a secret, each of at least 32 bytes.

        Raises:
            SecretUnreadable: the file cannot be read or made, or holds too little.
        """
        named = self._web().secret_file
        if not named and self._folder is None:
            return self._shared
        path = self._find(named) if named else self._own()
        try:
            stat = os.stat(path)
            looks = (path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._seen[0] != looks:
                with path.open("rb") as file:
                    self._seen = (looks, file.read(MAX_SECRET_BYTES).strip())
        except OSError as error:
            raise SecretUnreadable(f"secret file {path.name!r}: {error.strerror}") from error
        if min(map(len, self._seen[1].splitlines()), default=0) < LEAST_SECRET:
            raise SecretUnreadable(
                f"secret file {path.name!r}: a line has fewer than {LEAST_SECRET} characters"
            )
        return self._seen[1]

    def _own(self) -> Path:
        assert self._folder is not None  # noqa: S101  for mypy: __call__ has asked
        path = self._folder / OWN
        if not path.exists():
            draft = path.with_name(f".{OWN}.{os.getpid()}")
            try:
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                    file.write(f"{new_secret()}\n")
                # Whole, or not at all; whoever was first has made it for all.
                os.link(draft, path)
            except FileExistsError:
                pass
            except OSError as error:
                raise SecretUnreadable(f"secret file {OWN!r}: {error.strerror}") from error
            finally:
                draft.unlink(missing_ok=True)
        return path
