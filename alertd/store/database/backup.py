"""Copy a ledger in SQLite while it is in use, and restore such a copy.

For PostgreSQL, an error names the tools to use: pg_dump and pg_restore.
"""

from __future__ import annotations

import filecmp
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url

from alertd.errors import LedgerUnavailable, SettingsError
from alertd.store.schema import REVISIONS

ELSEWHERE = (
    "the ledger is in PostgreSQL: copy it with pg_dump --format=custom, and put it back with pg_restore"
)


def backup(url: str, target: Path) -> int:
    """Copy the ledger at ``url`` into the new file ``target`` and return the copy's size in bytes.

    The copy is the snapshot of the moment when copying starts. Other processes can write meanwhile.
    When this function returns, the copy has passed an integrity check and is on disk. Only its owner can read
    it.

    Raises:
        SettingsError: the ledger is in PostgreSQL, or ``target`` exists.
        LedgerUnavailable: the ledger does not exist or cannot be copied.
    """
    source = _parse_path(url)
    if not source.is_file():
        raise LedgerUnavailable(f"there is no ledger at {source}")
    if target.exists():
        raise SettingsError(f"{target} is there already; nothing was written")
    with open_part(target, f"{source} cannot be copied to {target}") as part:
        _copy(source, part)
        _check(part)
        settle(part, target)
    return target.stat().st_size


def restore(source: Path, url: str) -> Path | None:
    """Replace the ledger at ``url`` with a copy that :func:`backup` made.

    The previous ledger is renamed to ``*.replaced``.

    Returns:
        The new path of the previous ledger, or None if there was none.

    Raises:
        SettingsError: the ledger is in PostgreSQL, or the ``*.replaced`` file of an earlier restore exists.
        LedgerUnavailable: ``source`` is not a ledger, a newer version of alertd made it, or another process
            (most likely the daemon) has the current ledger open.
    """
    target = _parse_path(url)
    try:
        _check(source)
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"{source} is no copy of a ledger: {error}") from error
    kept = target.with_name(f"{target.name}.replaced")
    if kept.exists():
        raise SettingsError(f"{kept} is there from an earlier time; move it away first")
    with open_part(target, f"{source} cannot be put back as {target}") as part:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(source, part)
        there = target.exists()
        if there:
            _fold_log(target)
            os.replace(target, kept)
        settle(part, target)
    return kept if there else None


MOST_COPIES = 9
"""How many copies with the same label :func:`keep_copy` keeps beside a ledger."""


def keep_copy(ledger: Path, label: str) -> Path:
    """Copy a SQLite ledger to ``*.LABEL`` beside it, for its owner and with its mode. Nothing is overwritten.

    If that file exists, the copy gets a number: ``*.LABEL.2``. A copy that already exists with the same bytes
    is not made a second time, so that a start that fails again and again does not fill the disk.

    The caller must hold the ledger's write lock.

    Returns:
        The path of the copy, which is on disk.

    Raises:
        LedgerUnavailable: the ledger cannot be copied, or there are too many copies.
    """
    names = [f"{ledger.name}.{label}", *(f"{ledger.name}.{label}.{n}" for n in range(2, MOST_COPIES + 1))]
    kept = [path for path in map(ledger.with_name, names) if path.exists()]
    target = next((path for path in map(ledger.with_name, names) if path not in kept), None)
    if target is None:
        raise LedgerUnavailable(f"{kept[0]} and {len(kept) - 1} more copies exist; move them away first")
    with open_part(target, f"{ledger} cannot be copied to {target}") as part:
        _copy(ledger, part)
        same = next((path for path in kept if filecmp.cmp(part, path, shallow=False)), None)
        if same is not None:
            return same
        own = ledger.stat()
        part.chmod(own.st_mode & 0o777)
        # Only root can give a file away, and only root has to: `alertd migrate` may run as root.
        with suppress(PermissionError):
            os.chown(part, own.st_uid, own.st_gid)
        settle(part, target)
    return target


def _parse_path(url: str) -> Path:
    if url.startswith(("postgresql://", "postgres://")):
        raise SettingsError(ELSEWHERE)
    name = make_url(url).database
    if not name or name == ":memory:":
        raise SettingsError("a ledger in memory is nothing to copy")
    return Path(name)


def _copy(source: Path, target: Path) -> None:
    with closing(open_read_only(source)) as there:
        # SQLite restarts a backup when another connection has committed since the previous step, so frequent
        # commits would restart it forever. This read transaction keeps one snapshot for the whole copy, and
        # does not block writers because the ledger has a write-ahead log. A locked ledger raises an error at
        # the select, whereas Connection.backup would retry without end.
        there.execute("begin")
        there.execute("select count(*) from sqlite_schema").fetchone()
        copy_connection(there, target)


def copy_connection(source: sqlite3.Connection, target: Path) -> None:
    """Copy what ``source`` sees into the new file ``target``, which only its owner can read.

    The caller must have begun a read transaction on ``source``.
    """
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        # Without a write-ahead log, the copy is a single file, so it can be moved safely.
        copy.execute("pragma journal_mode = delete")


def open_read_only(path: Path) -> sqlite3.Connection:
    """Connect to the existing ledger at ``path`` for reading."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    connection.execute("pragma query_only = on")
    return connection


def _check(path: Path) -> None:
    """Raise sqlite3.Error or LedgerUnavailable unless ``path`` is an intact ledger of a known revision."""
    if not path.is_file():
        raise LedgerUnavailable(f"there is no file {path}")
    with closing(open_read_only(path)) as connection:
        (verdict,) = connection.execute("pragma integrity_check(1)").fetchone()
        if verdict != "ok":
            raise LedgerUnavailable(f"{path} is damaged: {verdict}")
        (revision,) = connection.execute("select version_num from alembic_version").fetchone()
    if revision not in REVISIONS:
        raise LedgerUnavailable(f"{path} is at revision {revision}, of a newer alertd than this one")


def _fold_log(path: Path) -> None:
    """Merge the write-ahead log into the database file.

    Raises:
        LedgerUnavailable: another process has the database open.
    """
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            (mode,) = connection.execute("pragma journal_mode = delete").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            # Nobody knows whether its log belongs to it, so a person has to decide.
            raise LedgerUnavailable(
                f"{path} is damaged: {error}; move it away, with {path.name}-wal and {path.name}-shm"
            ) from error
        if "locked" not in str(error):
            raise
        mode = "wal"
    if mode == "wal":
        raise LedgerUnavailable(f"{path} is in use; stop the daemon first")


@contextmanager
def open_part(target: Path, failure: str) -> Iterator[Path]:
    """Yield a path for the unfinished ``target`` and delete that file at the end.

    Raises:
        LedgerUnavailable: in place of sqlite3.Error, with ``failure`` as its start, and of OSError.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"{failure}: {error}") from error
    except OSError as error:
        raise LedgerUnavailable(f"{target} cannot be written: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            part.unlink()


def settle(part: Path, target: Path) -> None:
    """Rename ``part`` to ``target``. File and directory are synced to disk when this returns."""
    _sync(part)
    os.replace(part, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
