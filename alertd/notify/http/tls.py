"""Makes TLS contexts: the system's trust or a private CA's, with a client certificate or without.

Rules that hold here:
- certificates and names are always verified; there is no switch;
- a context is made once and again when a file has changed, not at each send;
- no text of an error quotes a file.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from alertd.errors import AlertdError


class TlsUnusable(AlertdError):
    """A file of certificates or a key cannot be used; the text names it."""


class TlsFiles(Protocol):
    """Options that name the files."""

    @property
    def ca_file(self) -> str: ...
    @property
    def client_cert_file(self) -> str: ...
    @property
    def client_key_file(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What to trust and what to show. Equal when it makes the same context.

    Attributes:
        ca: trusted instead of what the system trusts.
        stamp: of the files as they were.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    stamp: tuple[tuple[int, int, int], ...] = ()

    @property
    def files(self) -> tuple[Path | None, Path | None, Path | None]:
        return self.ca, self.cert, self.key


SYSTEM = Tls()
"""What the operating system trusts, and no certificate of our own."""


def tls_of(options: TlsFiles, find: Callable[[str], Path]) -> Tls:
    """The files as they are now.

    Raises:
        TlsUnusable: one is not there.
    """
    named = {
        "ca_file": options.ca_file,
        "client_cert_file": options.client_cert_file,
        "client_key_file": options.client_key_file,
    }
    if not any(named.values()):
        return SYSTEM
    paths = {key: find(name) if name else None for key, name in named.items()}
    stamp = []
    for key, path in paths.items():
        if path is None:
            continue
        try:
            found = os.stat(path)
        except OSError as error:
            raise TlsUnusable(f"{key} {named[key]!r}: {_why(error)}") from error
        stamp.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return Tls(
        ca=paths["ca_file"],
        cert=paths["client_cert_file"],
        key=paths["client_key_file"],
        stamp=tuple(stamp),
    )


def make_context(
    tls: Tls, trusted: Callable[[], ssl.SSLContext] = ssl.create_default_context
) -> ssl.SSLContext:
    """A context of those files.

    Args:
        trusted: makes one that trusts what the system trusts.

    Raises:
        TlsUnusable: a file holds nothing usable, or the key is another certificate's, or is encrypted.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca) if tls.ca else trusted()
    except OSError as error:
        raise TlsUnusable(f"ca_file {str(tls.ca)!r}: {_why(error)}") from error
    # Not left to OpenSSL's configuration, which may say less.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert is None:
        return context
    try:
        # Without a password of ours OpenSSL would ask for one on the terminal.
        context.load_cert_chain(tls.cert, tls.key, password=lambda: b"")
    except OSError as error:
        raise TlsUnusable(f"client_cert_file {str(tls.cert)!r} and its key: {_why(error)}") from error
    return context


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable ({error.reason or 'encrypted, or not PEM'})"
    return os.strerror(error.errno).lower() if error.errno else "cannot be read"
