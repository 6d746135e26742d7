"""Signs texts with keys that are derived from one secret.

Each purpose has its own key, so that a signature for one purpose is not valid for another. To allow rotation,
there can be several secrets, one on each line: the first signs, and all of them verify.

A signature is HMAC-SHA256 (RFC 2104). A key is derived by one block of HKDF-Expand (RFC 5869, section 2.3).
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
from alertd.system.kept_files import FileUse, KeptFiles
from alertd.system.regular_file import read_regular_file
from alertd.system.secrets import MAX_SECRET_BYTES, SecretUnreadable

LEAST_SECRET = 32
"""The fewest characters of a secret, so that it cannot be guessed."""


class Signer:
    """A signer: makes and verifies signatures.

    Args:
        secret: returns the secrets, one on each line. It is called for each use, so that a signature is no
            longer valid once its secret has been removed from the file.
    """

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "Signer()"

    def derive_key(self, purpose: str) -> bytes:
        """Derive the key that signs for a purpose, 32 bytes."""
        return self.derive_keys(purpose)[0]

    def derive_keys(self, purpose: str) -> tuple[bytes, ...]:
        """Derive the keys that verify for a purpose. The first of them signs."""
        info = f"alertd/{purpose}".encode() + b"\x01"
        return tuple(hmac.digest(secret, info, hashlib.sha256) for secret in self._secret().splitlines())

    def sign(self, purpose: str, text: str) -> str:
        """Sign ``text``: return 43 characters of base64url."""
        return _signature(self.derive_key(purpose), text)

    def verify(self, purpose: str, text: str, signature: str) -> bool:
        """Whether ``signature`` is valid for ``text``; takes the same time whether it is or not."""
        given = signature.encode()
        made = (_signature(key, text).encode() for key in self.derive_keys(purpose))
        # Compare all keys even after a match, so that the time is the same.
        fits = [hmac.compare_digest(expected, given) for expected in made]
        return any(fits)


def _signature(key: bytes, text: str) -> str:
    return encode_base64url(hmac.digest(key, text.encode(), hashlib.sha256))


def encode_base64url(raw: bytes) -> str:
    """Encode as base64url without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


OWN = "web.key"


def new_secret() -> str:
    """Make a new random secret of 256 bits."""
    return secrets.token_urlsafe(LEAST_SECRET)


class SiteSecret:
    """Returns the secret, and reads its file again after each change.

    Args:
        web: returns the section ``web`` of the configuration in force.
        find: returns the path of a file that the configuration names.
        folder: the folder for a secret file that alertd makes; None to use ``shared`` instead.
        shared: the secret in the shared ledger; "" for a new secret that is valid until this process ends.
        kept: keeps the last good content of the file.
    """

    def __init__(
        self,
        web: Callable[[], Web],
        find: Callable[[str], Path],
        folder: Path | None,
        shared: str = "",
        kept: KeptFiles | None = None,
    ) -> None:
        self._web = web
        self._find = find
        self._folder = folder
        self._shared = shared.encode()
        self._kept = KeptFiles() if kept is None else kept
        self._has_own = False

    def __call__(self) -> bytes:
        """Return the secrets, one on each line, each of at least 32 bytes.

        Raises:
            SecretUnreadable: the file cannot be read or made, or a secret is too short, and there is no
                earlier content.
        """
        named = self._web().secret_file
        if not named and self._folder is None:
            self._shared = self._shared or new_secret().encode()
            return self._shared
        return self._kept.read(make_signing_use(named), lambda: self.load(named))

    def load(self, named: str) -> bytes:
        """Read the secrets from their file.

        Args:
            named: the name in ``web.secret_file``; "" for the file that alertd makes.

        Raises:
            SecretUnreadable: the file cannot be read or made, or a secret is too short.
        """
        path = self._find_file(named)
        try:
            raw = read_regular_file(path, MAX_SECRET_BYTES + 1).strip()
        except OSError as error:
            raise SecretUnreadable(f"secret file {path.name!r}: {error.strerror}") from error
        self._has_own = self._has_own or not named
        if len(raw) > MAX_SECRET_BYTES:
            raise SecretUnreadable(f"secret file {path.name!r}: longer than {MAX_SECRET_BYTES} bytes")
        if min((len(line.strip()) for line in raw.splitlines()), default=0) < LEAST_SECRET:
            raise SecretUnreadable(
                f"secret file {path.name!r}: a line has fewer than {LEAST_SECRET} characters"
            )
        return raw

    def _find_file(self, named: str) -> Path:
        if named:
            return self._find(named)
        try:
            return self._make_own()
        except OSError as error:  # such as a folder that may not be entered
            raise SecretUnreadable(f"secret file {OWN!r}: {error.strerror}") from error

    def _make_own(self) -> Path:
        assert self._folder is not None  # noqa: S101  for mypy: __call__ has checked it
        path = self._folder / OWN
        # A file that disappears later may be on a disk that is gone. A new secret would end every session.
        if not self._has_own and not path.exists():
            draft = path.with_name(f".{OWN}.{os.getpid()}")
            try:
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                    file.write(f"{new_secret()}\n")
                # A hard link is atomic, and fails if another process was faster. Then its file is used.
                os.link(draft, path)
            except FileExistsError:
                pass
            except OSError as error:
                raise SecretUnreadable(f"secret file {OWN!r}: {error.strerror}") from error
            finally:
                draft.unlink(missing_ok=True)
        return path


def make_signing_use(named: str) -> FileUse:
    """Return the use of the file of secrets that ``web.secret_file`` names, or, for "", of alertd's own."""
    return FileUse("signing secret", named or OWN)
