"""Makes TLS contexts, which trust the system's CAs or a private CA, with or without a client certificate.

Rules that hold here:
- certificates and host names are always verified; no option turns that off;
- a context is made once, and again when one of its files has changed, but not at each send. In a daemon a
  thread does that (:class:`TlsLoader`), because a disk may hang;
- no error's text quotes a file's contents.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from alertd.errors import AlertdError


class TlsUnusable(AlertdError):
    """A certificate file or key file cannot be used. The text names the file."""


class TlsFiles(Protocol):
    """Options that name certificate files."""

    @property
    def ca_file(self) -> str: ...
    @property
    def client_cert_file(self) -> str: ...
    @property
    def client_key_file(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Which certificates to trust and to present. Equal values lead to the same context.

    Attributes:
        ca: a file with the certificates to trust instead of the system's.
        cert: the file with the client certificate; None for no client certificate.
        key: the file with its private key; None if ``cert`` contains the key.
        stamp: the files' inode numbers, sizes and modification times, to notice changes.
        context: the context made of the files; None: it is made when it is needed.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    stamp: tuple[tuple[int, int, int], ...] = ()
    context: ssl.SSLContext | None = field(default=None, compare=False, repr=False)

    @property
    def files(self) -> tuple[Path | None, Path | None, Path | None]:
        return self.ca, self.cert, self.key


SYSTEM = Tls()
"""Trust the operating system's certificates, and present no client certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTlsFiles:
    """The names by which options refer to certificate files; "" for a file that they do not name."""

    ca_file: str
    client_cert_file: str
    client_key_file: str

    @classmethod
    def copy(cls, options: TlsFiles) -> NamedTlsFiles:
        """Copy the names out of options."""
        return cls(
            ca_file=options.ca_file,
            client_cert_file=options.client_cert_file,
            client_key_file=options.client_key_file,
        )

    def __bool__(self) -> bool:
        return bool(self.ca_file or self.client_cert_file or self.client_key_file)

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.ca_file, self.client_cert_file, self.client_key_file)))


class TlsLoader:
    """Loads certificate files with their context, and again when one of the files has changed.

    Args:
        find: returns a file's path by the value of its option.
    """

    def __init__(self, files: NamedTlsFiles, find: Callable[[str], Path]) -> None:
        self._files = files
        self._find = find
        self._last = SYSTEM

    def load(self) -> Tls:
        """Return the files with a context. Blocks. Raises TlsUnusable."""
        found = find_tls(self._files, self._find)
        if found != self._last:
            self._last = replace(found, context=make_context(found))
        return self._last


def find_tls(options: TlsFiles, find: Callable[[str], Path]) -> Tls:
    """Return the files that the options name, with their current stamps.

    Args:
        find: returns a file's path by the value of its option.

    Raises:
        TlsUnusable: a file does not exist or cannot be accessed.
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
    """Make a TLS context from the files.

    Args:
        trusted: makes the context if no CA file is given; by default one that trusts the system's CAs.

    Raises:
        TlsUnusable: a file cannot be read or used, or the key is encrypted or does not match the certificate.
    """
    if tls.context is not None:
        return tls.context
    try:
        context = ssl.create_default_context(cafile=tls.ca) if tls.ca else trusted()
    except OSError as error:
        raise TlsUnusable(f"ca_file {str(tls.ca)!r}: {_why(error)}") from error
    # Set explicitly, because OpenSSL's configuration may allow older versions.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert is None:
        return context
    try:
        # Without a password callback, OpenSSL would ask for the password on the terminal.
        context.load_cert_chain(tls.cert, tls.key, password=lambda: b"")
    except OSError as error:
        raise TlsUnusable(f"client_cert_file {str(tls.cert)!r} and its key: {_why(error)}") from error
    return context


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable ({error.reason or 'encrypted, or not PEM'})"
    return os.strerror(error.errno).lower() if error.errno else "cannot be read"
