"""A copy of an embedded ledger while it is in use, and such a copy put back.

PostgreSQL has tools of its own for both, which know what they do; alertd points to them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import make_url

from alertd.errors import LedgerUnavailable, SettingsError
from alertd.store.schema import REVISIONS

PAGES = 256
"""Copied at a time; between two of them others may write."""

ELSEWHERE = (
    "the ledger is in PostgreSQL: copy it with pg_dump --format=custom, and put it back with pg_restore"
)


def backup(url: str, target: Path) -> int:
    """Copy the ledger at ``url`` into the file ``target``, which must not be there. Returns its bytes.

    The copy is one state of the ledger, whoever writes meanwhile (SQLite, "Online Backup API"). It is checked
    and on the disk when this returns, and it is its owner's alone.

    Raises:
        SettingsError: it is in PostgreSQL, or ``target`` is there.
        LedgerUnavailable: there is no ledger, or it cannot be copied.
    """
    source = _file(url)
    if not source.is_file():
        raise LedgerUnavailable(f"there is no ledger at {source}")
    if target.exists():
        raise SettingsError(f"{target} is there already; nothing was written")
    with _part_of(target, f"{source} cannot be copied to {target}") as part:
        _copy(source, part)
        _check(part)
        _settle(part, target)
    return target.stat().st_size


def restore(source: Path, url: str) -> Path | None:
    """Put a copy that :func:`backup` made back as the ledger at ``url``.

    What was there is kept beside it as ``*.replaced``. Returns where; None: there was nothing.

    Raises:
        SettingsError: the ledger is in PostgreSQL, or an earlier ``*.replaced`` is in the way.
        LedgerUnavailable: ``source`` is no copy of a ledger, or one of a newer alertd; or somebody, a
            daemon most likely, uses the ledger that is there.
    """
    target = _file(url)
    try:
        _check(source)
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"{source} is no copy of a ledger: {error}") from error
    kept = target.with_name(f"{target.name}.replaced")
    if kept.exists():
        raise SettingsError(f"{kept} is there from an earlier time; move it away first")
    with _part_of(target, f"{source} cannot be put back as {target}") as part:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(source, part)
        there = target.exists()
        if there:
            _alone(target)
            os.replace(target, kept)
        _settle(part, target)
    return kept if there else None


def _file(url: str) -> Path:
    if url.startswith(("postgresql://", "postgres://")):
        raise SettingsError(ELSEWHERE)
    name = make_url(url).database
    if not name or name == ":memory:":
        raise SettingsError("a ledger in memory is nothing to copy")
    return Path(name)


def _copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(_opened(source)) as there, closing(sqlite3.connect(target)) as copy:
        there.backup(copy, pages=PAGES)
        # In one file: nothing beside it can be forgotten when it is moved.
        copy.execute("pragma journal_mode = delete")


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    connection.execute("pragma query_only = on")
    return connection


def _check(path: Path) -> None:
    """Raise sqlite3.Error or LedgerUnavailable unless ``path`` is a whole ledger that this alertd can use."""
    if not path.is_file():
        raise LedgerUnavailable(f"there is no file {path}")
    with closing(_opened(path)) as connection:
        (verdict,) = connection.execute("pragma integrity_check(1)").fetchone()
        if verdict != "ok":
            raise LedgerUnavailable(f"{path} is damaged: {verdict}")
        (revision,) = connection.execute("select version_num from alembic_version").fetchone()
    if revision not in REVISIONS:
        raise LedgerUnavailable(f"{path} is at revision {revision}, of a newer alertd than this one")


def _alone(path: Path) -> None:
    """Fold the log into the file, which works only while nobody else has it open."""
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            (mode,) = connection.execute("pragma journal_mode = delete").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        mode = "wal"
    if mode == "wal":
        raise LedgerUnavailable(f"{path} is in use; stop the daemon first")


@contextmanager
def _part_of(target: Path, failure: str) -> Iterator[Path]:
    """Where ``target`` is made before it is moved into place; gone afterwards, however it went."""
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"{failure}: {error}") from error
    except OSError as error:
        raise LedgerUnavailable(f"{target} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _settle(part: Path, target: Path) -> None:
    """Move the file into place; it and its name are on the disk when this returns."""
    _sync(part)
    os.replace(part, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
