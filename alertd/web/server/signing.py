"""Keys derived from one secret, one for each purpose: what is signed for one is worth nothing for another.

Of several secrets, a line each, the first signs and all of them verify, so that one can follow another
without ending what was signed.

A signature is HMAC-SHA256 (RFC 2104); keys are derived by HKDF's expand step of one block (RFC 5869, 2.3).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

from alertd.core.access import Web
from alertd.system.secrets import MAX_SECRET_BYTES, SecretUnreadable

LEAST_SECRET = 32
"""Characters of a secret; fewer could be guessed."""


class Signer:
    """Signs and verifies.

    Args:
        secret: read anew at each use, so that a changed file ends what was signed with the old one.
    """

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "Keys()"

    def of(self, purpose: str) -> bytes:
        """The key that signs for one purpose, 32 bytes."""
        return self.all_of(purpose)[0]

    def all_of(self, purpose: str) -> tuple[bytes, ...]:
        """Those that verify for one purpose, the one that signs first."""
        info = f"alertd/{purpose}".encode() + b"\x01"
        return tuple(hmac.digest(one, info, hashlib.sha256) for one in self._secret().splitlines())

    def sign(self, purpose: str, text: str) -> str:
        """The signature of ``text``: 43 characters of base64url."""
        return _signature(self.of(purpose), text)

    def verify(self, purpose: str, text: str, signature: str) -> bool:
        """Whether that is its signature; in constant time."""
        given = signature.encode()
        made = (_signature(key, text).encode() for key in self.all_of(purpose))
        fits = [hmac.compare_digest(one, given) for one in made]  # all of them, however soon one fits
        return any(fits)


def _signature(key: bytes, text: str) -> str:
    return encoded(hmac.digest(key, text.encode(), hashlib.sha256))


def encoded(raw: bytes) -> str:
    """Base64url without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


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
