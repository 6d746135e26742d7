"""Reads and writes the files of tokens and of users."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from alertd.core.access import Auth
from alertd.errors import CredentialsError
from alertd.notify.secret import MAX_SECRET_BYTES
from alertd.system.telemetry import Event, Log
from alertd.web.server.credentials import Credential, parse


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
