"""Makes, stores and compares tokens and passwords.

A line of a file is ``NAME SCOPE HASH``. A token has 256 random bits and cannot be guessed at any speed, so a
plain SHA-256 hash is enough. A password is chosen by a person, so its hash must be slow: it is scrypt's
(RFC 7914), at the cost that OWASP's Password Storage Cheat Sheet gives for 16 MB of memory.
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
from functools import partial
from pathlib import Path
from typing import NamedTuple

from alertd.core.access import SCOPES, Auth, Scope
from alertd.errors import CredentialsError
from alertd.system.kept_files import FileUse, KeptFiles
from alertd.system.regular_file import SecretUnreadable, read_regular_file
from alertd.system.secrets import MAX_SECRET_BYTES
from alertd.system.telemetry import Event, Log

PREFIX = "alertd_"
"""The beginning of each token, by which secret scanners recognise leaked tokens."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
LEAST_PASSWORD, MOST_PASSWORD = 12, 128
"""The lengths of a password in characters.

OWASP ASVS 5.0 (6.2.1, 6.2.9) requires at least 8, recommends more, and requires that 64 are accepted.
"""

NOBODY = "# nobody"
"""The content of a file without credentials. An empty file may be half replaced."""

_COST, _BLOCK, _LANES = 1 << 14, 8, 5
_MEMORY = 64 * 1024 * 1024
_TOKEN, _PASSWORD = "sha256", "scrypt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One line of a credentials file.

    Attributes:
        hash: ``sha256:HEX`` for a token; ``scrypt:SALT:HASH``, both in base64, for a password.
    """

    name: str
    scope: Scope
    hash: str = field(repr=False)

    @property
    def is_token(self) -> bool:
        return self.hash.startswith(f"{_TOKEN}:")

    @property
    def proof(self) -> str:
        """The fingerprint to which a session is bound. It changes when the token or the password changes."""
        return hashlib.sha256(f"{self.name} {self.hash}".encode()).hexdigest()[:32]

    @property
    def line(self) -> str:
        """The line of the file."""
        return f"{self.name} {self.scope.word} {self.hash}"

    def is_shown_by(self, secret: str) -> bool:
        """Whether ``secret`` is this token or password.

        Checking a password takes about 50 ms, and releases the GIL.
        """
        scheme, *parts = self.hash.split(":")
        if scheme == _TOKEN:
            return hmac.compare_digest(_make_fingerprint(secret), parts[0])
        return hmac.compare_digest(_hash_password(secret, b64decode(parts[0])), b64decode(parts[1]))


UNKNOWN_USER = Credential(name="unknown", scope=Scope.PUBLIC, hash=f"{_PASSWORD}:{'A' * 22}==:{'A' * 43}=")
"""The password of an unknown user is compared with this one, so that the answer takes equally long."""


def new_token(name: str, scope: Scope) -> tuple[str, Credential]:
    """Make a new random token and its line. Raises CredentialsError if the name is invalid."""
    _check_name(name)
    token = PREFIX + secrets.token_urlsafe(32)
    return token, Credential(name=name, scope=scope, hash=f"{_TOKEN}:{_make_fingerprint(token)}")


def new_user(name: str, scope: Scope, password: str) -> Credential:
    """Make the line of a user. Raises CredentialsError if the name or the password is invalid."""
    _check_name(name)
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise CredentialsError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")
    salt = secrets.token_bytes(16)
    hashed = ":".join(b64encode(part).decode() for part in (salt, _hash_password(password, salt)))
    return Credential(name=name, scope=scope, hash=f"{_PASSWORD}:{hashed}")


def parse(line: str) -> Credential:
    """Read one line of a file. Raises CredentialsError, whose message does not contain the line."""
    parts = line.split()
    if len(parts) != 3:
        raise CredentialsError("not NAME SCOPE HASH")
    name, scope, hashed = parts
    _check_name(name)
    if scope not in SCOPES:
        raise CredentialsError(f"{scope[:20]!r}: not a scope; there is {', '.join(SCOPES)}")
    if not re.fullmatch(f"{_TOKEN}:[0-9a-f]{{64}}", hashed) and not _is_password_hash(hashed):
        raise CredentialsError("not a hash that `alertd token` or `alertd user` writes")
    return Credential(name=name, scope=SCOPES[scope], hash=hashed)


def _is_password_hash(hashed: str) -> bool:
    scheme, *parts = hashed.split(":")
    try:
        return scheme == _PASSWORD and [len(b64decode(part, validate=True)) for part in parts] == [16, 32]
    except NotBase64:
        return False


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise CredentialsError(
            f"{name[:70]!r}: not a name; it has a-z, 0-9, dashes and underscores, at most 63"
        )


def _make_fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _hash_password(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=32)


class _Looks(NamedTuple):
    """What tells whether a file has changed since it was read."""

    path: Path
    is_token: bool
    modified_ns: int
    size: int
    inode: int


class CredentialFiles:
    """The credentials in the files.

    A dropped token is invalid as soon as the file is read again. A line that cannot be read is ignored and
    logged. A file that is missing, unreadable, too long, blank, cut off in its last line, or without a line
    that can be read may be half replaced, so its last good content stays in use. A file with only comments
    has no credentials. An empty file never says that: an editor makes one before it writes, and a full disk
    leaves one.

    Args:
        find: returns the path of a file that the configuration names.
        kept: keeps the last good content of each file.
    """

    def __init__(self, find: Callable[[str], Path], log: Log, kept: KeptFiles | None = None) -> None:
        self._find = find
        self._log = log
        self._kept = KeptFiles() if kept is None else kept
        self._seen: dict[str, tuple[_Looks, Mapping[str, Credential]]] = {}
        self._logged: dict[str, frozenset[str]] = {}

    def read_tokens(self, auth: Auth) -> Mapping[str, Credential]:
        """Return the tokens by name."""
        return self._read(auth.tokens_file, is_token=True)

    def read_users(self, auth: Auth) -> Mapping[str, Credential]:
        """Return the users by name."""
        return self._read(auth.users_file, is_token=False)

    async def catch_up(self, auth: Auth) -> None:
        """Read the files again before a decision, so that a token that was just made or dropped counts."""
        await self._kept.catch_up(self.list_uses(auth).keys())

    def list_uses(self, auth: Auth) -> dict[FileUse, Callable[[], Mapping[str, Credential]]]:
        """Return the files that the configuration names, each with the function that reads it."""
        return {
            make_credentials_use(name, is_token=is_token): partial(self.load, name, is_token=is_token)
            for name, is_token in ((auth.tokens_file, True), (auth.users_file, False))
            if name
        }

    def load(self, name: str, *, is_token: bool) -> Mapping[str, Credential]:
        """Read a file, if it has changed since it was last read.

        Raises:
            SecretUnreadable: the file cannot be used.
        """
        path = self._find(name)
        try:
            stat = os.stat(path)
            looks = _Looks(path, is_token, stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if name in self._seen and self._seen[name][0] == looks:
                return self._seen[name][1]
            raw = read_regular_file(path, MAX_SECRET_BYTES + 1)
            _refuse_partial(raw)
        except OSError as error:
            self._log_problems(name, [error.strerror or "cannot be read"])
            raise SecretUnreadable(f"{name}: {error.strerror or 'cannot be read'}") from error
        except SecretUnreadable as error:
            self._log_problems(name, [str(error)])
            raise SecretUnreadable(f"{name}: {error}") from error
        found, problems = _parse_lines(raw)
        misplaced = [credential.name for credential in found if credential.is_token is not is_token]
        self._log_problems(
            name, [*problems, *(f"{other}: it belongs into the other file" for other in misplaced)]
        )
        if problems and not found:
            raise SecretUnreadable(f"{name}: {problems[0]}")
        self._seen[name] = (
            looks,
            {credential.name: credential for credential in found if credential.is_token is is_token},
        )
        return self._seen[name][1]

    def _read(self, name: str, *, is_token: bool) -> Mapping[str, Credential]:
        if not name:
            return {}
        use = make_credentials_use(name, is_token=is_token)
        try:
            return self._kept.read(use, partial(self.load, name, is_token=is_token))
        except SecretUnreadable:
            return {}

    def _log_problems(self, name: str, problems: Sequence[str]) -> None:
        found = frozenset(problems)
        for problem in sorted(found - self._logged.get(name, frozenset())):
            self._log.error(Event.CREDENTIALS_REFUSED, reason=f"{name}: {problem}")
        self._logged[name] = found


def make_credentials_use(name: str, *, is_token: bool) -> FileUse:
    """Return the use of a file of tokens or of users."""
    return FileUse("tokens" if is_token else "users", name)


def read(path: Path) -> tuple[list[Credential], list[str]]:
    """Read a file: the valid lines, and a description of each problem. Raises OSError."""
    raw = read_regular_file(path, MAX_SECRET_BYTES + 1)
    return ([], [_TOO_LONG]) if len(raw) > MAX_SECRET_BYTES else _parse_lines(raw)


_TOO_LONG = f"longer than {MAX_SECRET_BYTES} bytes"


def _parse_lines(raw: bytes) -> tuple[list[Credential], list[str]]:
    found: dict[str, Credential] = {}
    problems = []
    for number, line in enumerate(raw.decode(errors="replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            credential = parse(line)
            if credential.name in found:
                raise CredentialsError(f"{credential.name!r}: the second of that name")
            found[credential.name] = credential
        except CredentialsError as error:
            problems.append(f"line {number}: {error}")
    return list(found.values()), problems


def _refuse_partial(raw: bytes) -> None:
    """Refuse a file that may be half replaced.

    Raises:
        SecretUnreadable: the file is too long, has no content, or is cut off in its last line.
    """
    if len(raw) > MAX_SECRET_BYTES:
        raise SecretUnreadable(_TOO_LONG)
    if not raw.strip():
        raise SecretUnreadable(f"is empty; write a comment, such as {NOBODY}, to have no credentials")
    lines = raw.decode(errors="replace").splitlines()
    if not raw.endswith((b"\n", b"\r")) and _is_cut(lines[-1]):
        raise SecretUnreadable(f"line {len(lines)} ends in the middle")


def _is_cut(line: str) -> bool:
    """Return whether a line without a line break at its end is not whole."""
    if not line.strip() or line.lstrip().startswith("#"):
        return False
    try:
        parse(line)
    except CredentialsError:
        return True
    return False


def add(path: Path, credential: Credential) -> None:
    """Append a credential to a file. A new file is readable by its owner only.

    Raises:
        CredentialsError: the file has that name already, or cannot be written.
    """
    try:
        before = ""
        if path.exists():
            if any(other.name == credential.name for other in read(path)[0]):
                raise CredentialsError(
                    f"{credential.name!r}: there is one of that name in {path}; drop it first"
                )
            # Without a line break at its end, the last line and the new one would become one.
            before = "\n" if path.read_bytes()[-1:] not in (b"", b"\n") else ""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(os.open(path, flags, 0o600), "a", encoding="utf-8") as file:
            file.write(f"{before}{credential.line}\n")
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from error


def drop(path: Path, name: str) -> None:
    """Remove a credential from a file. The file is replaced atomically, and keeps its owner and its mode.

    After the last credential, a comment says that there is none, because an empty file may be half replaced.

    Raises:
        CredentialsError: the file does not have that name, or cannot be written.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.split()[:1] != [name]]
        if len(kept) == len(lines):
            raise CredentialsError(f"{name!r}: there is none of that name in {path}")
        stat = path.stat()
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(kept if any(line.strip() for line in kept) else [f"{NOBODY}\n"])
            os.fchmod(file.fileno(), stat.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), stat.st_uid, stat.st_gid)
        draft.replace(path)
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from error
