"""Tokens and passwords: how they are made, written down, and compared.

A line of a file is ``NAME SCOPE HASH``. A token is random, 256 bits: of it a plain SHA-256 is kept, since
nobody guesses one, however fast. A password is a person's: of it scrypt's hash is kept (RFC 7914), at the
cost that OWASP's cheat sheet on storing passwords gives for 16 MB.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alertd.core.access import SCOPES, Auth, Scope
from alertd.errors import CredentialsError
from alertd.system.secrets import MAX_SECRET_BYTES
from alertd.system.telemetry import Event, Log

PREFIX = "alertd_"
"""Begins each token, so that programs that look for leaked ones know it."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
LEAST_PASSWORD, MOST_PASSWORD = 12, 128
"""OWASP ASVS 5.0, 6.2.1 and 6.2.9: at least eight, better more, and 64 at least are taken."""

_COST, _BLOCK, _LANES = 1 << 14, 8, 5
_MEMORY = 64 * 1024 * 1024
_TOKEN, _PASSWORD = "sha256", "scrypt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One line.

    Attributes:
        hash: ``sha256:HEX`` or ``scrypt:SALT:HASH``, both in base64.
    """

    name: str
    scope: Scope
    hash: str = field(repr=False)

    @property
    def is_token(self) -> bool:
        return self.hash.startswith(f"{_TOKEN}:")

    @property
    def proof(self) -> str:
        """What a session is bound to: another one once the token or the password is another one."""
        return hashlib.sha256(f"{self.name} {self.hash}".encode()).hexdigest()[:32]

    @property
    def line(self) -> str:
        """As it is written down."""
        return f"{self.name} {self.scope.word} {self.hash}"

    def is_shown_by(self, secret: str) -> bool:
        """Whether that is the token or the password. A password takes some 50 ms, and releases the GIL."""
        scheme, *parts = self.hash.split(":")
        if scheme == _TOKEN:
            return hmac.compare_digest(_digest(secret), parts[0])
        return hmac.compare_digest(_scrypt(secret, b64decode(parts[0])), b64decode(parts[1]))


NOBODY = Credential(name="nobody", scope=Scope.PUBLIC, hash=f"{_PASSWORD}:{'A' * 22}==:{'A' * 43}=")
"""Compared with where there is no such user, so that it takes as long."""


def new_token(name: str, scope: Scope) -> tuple[str, Credential]:
    """A token that nobody has had before, and its line. Raises CredentialsError."""
    _check_name(name)
    token = PREFIX + secrets.token_urlsafe(32)
    return token, Credential(name=name, scope=scope, hash=f"{_TOKEN}:{_digest(token)}")


def new_user(name: str, scope: Scope, password: str) -> Credential:
    """The line of somebody with a password. Raises CredentialsError."""
    _check_name(name)
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise CredentialsError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")
    salt = secrets.token_bytes(16)
    hashed = ":".join(b64encode(one).decode() for one in (salt, _scrypt(password, salt)))
    return Credential(name=name, scope=scope, hash=f"{_PASSWORD}:{hashed}")


def parse(line: str) -> Credential:
    """One line of a file. Raises CredentialsError, without the line in it."""
    parts = line.split()
    if len(parts) != 3:
        raise CredentialsError("not NAME SCOPE HASH")
    name, scope, hashed = parts
    _check_name(name)
    if scope not in SCOPES:
        raise CredentialsError(f"{scope[:20]!r}: not a scope; there is {', '.join(SCOPES)}")
    if not re.fullmatch(f"{_TOKEN}:[0-9a-f]{{64}}", hashed) and not _is_password(hashed):
        raise CredentialsError("not a hash that `alertd token` or `alertd user` writes")
    return Credential(name=name, scope=SCOPES[scope], hash=hashed)


def _is_password(hashed: str) -> bool:
    scheme, *parts = hashed.split(":")
    try:
        return scheme == _PASSWORD and [len(b64decode(one, validate=True)) for one in parts] == [16, 32]
    except NotBase64:
        return False


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise CredentialsError(
            f"{name[:70]!r}: not a name; it has a-z, 0-9, dashes and underscores, at most 63"
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=32)


class CredentialFiles:
    """What the files hold now: each is read again once it has changed; a token that is dropped is so at once.

    A line that cannot be read lets nobody in; a file that cannot be read, nobody of it. Both are logged.

    Args:
        find: where a file is that the configuration names.
    """

    def __init__(self, find: Callable[[str], Path], log: Log) -> None:
        self._find = find
        self._log = log
        self._seen: dict[str, tuple[object, Mapping[str, Credential]]] = {}
        self._said: frozenset[str] = frozenset()

    def tokens(self, auth: Auth) -> Mapping[str, Credential]:
        """By name."""
        return self._of(auth.tokens_file, is_token=True)

    def users(self, auth: Auth) -> Mapping[str, Credential]:
        """By name."""
        return self._of(auth.users_file, is_token=False)

    def _of(self, name: str, *, is_token: bool) -> Mapping[str, Credential]:
        if not name:
            return {}
        path = self._find(name)
        try:
            stat = os.stat(path)
            looks = (path, is_token, stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if name not in self._seen or self._seen[name][0] != looks:
                found, problems = read(path)
                wrong = [one.name for one in found if one.is_token is not is_token]
                problems = [*problems, *(f"{one}: it belongs into the other file" for one in wrong)]
                self._say(name, problems)
                self._seen[name] = (looks, {one.name: one for one in found if one.is_token is is_token})
        except OSError as error:
            self._say(name, [error.strerror or "cannot be read"])
            return {}
        return self._seen[name][1]

    def _say(self, name: str, problems: Sequence[str]) -> None:
        reasons = frozenset(f"{name}: {problem}" for problem in problems)
        for reason in sorted(reasons - self._said):
            self._log.error(Event.CREDENTIALS_REFUSED, reason=reason)
        others = frozenset(one for one in self._said if not one.startswith(f"{name}: "))
        self._said = others | reasons


def read(path: Path) -> tuple[list[Credential], list[str]]:
    """The lines of a file, and what is wrong with the others. Raises OSError."""
    with path.open("rb") as file:
        raw = file.read(MAX_SECRET_BYTES + 1)
    if len(raw) > MAX_SECRET_BYTES:
        return [], [f"longer than {MAX_SECRET_BYTES} bytes"]
    found: dict[str, Credential] = {}
    problems = []
    for number, line in enumerate(raw.decode(errors="replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            one = parse(line)
            if one.name in found:
                raise CredentialsError(f"{one.name!r}: the second of that name")
            found[one.name] = one
        except CredentialsError as error:
            problems.append(f"line {number}: {error}")
    return list(found.values()), problems


def add(path: Path, one: Credential) -> None:
    """Append a line; the file is made for its owner alone.

    Raises:
        CredentialsError: the name is taken, or the file cannot be written.
    """
    try:
        if path.exists() and any(other.name == one.name for other in read(path)[0]):
            raise CredentialsError(f"{one.name!r}: there is one of that name in {path}; drop it first")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(os.open(path, flags, 0o600), "a", encoding="utf-8") as file:
            file.write(f"{one.line}\n")
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from error


def drop(path: Path, name: str) -> None:
    """Take a line out; the file is replaced whole, with the owner and the mode that it had.

    Raises:
        CredentialsError: there is no such name, or the file cannot be written.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.split()[:1] != [name]]
        if len(kept) == len(lines):
            raise CredentialsError(f"{name!r}: there is none of that name in {path}")
        stat = path.stat()
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(kept)
            os.fchmod(file.fileno(), stat.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), stat.st_uid, stat.st_gid)
        draft.replace(path)
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from error
