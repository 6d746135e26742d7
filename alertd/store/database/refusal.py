"""What went wrong in the database, as an error of ours that says what would mend it, and no password."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from alertd.errors import LedgerBusy, LedgerError, LedgerUnavailable

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_MENDS = {
    sqlite3.SQLITE_READONLY: "let the user that alertd runs as write to the file and to its folder",
    sqlite3.SQLITE_PERM: "let the user that alertd runs as write to the file and to its folder",
    sqlite3.SQLITE_CANTOPEN: "it must be a file, in a folder that the user alertd runs as may write to",
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or failing",
    sqlite3.SQLITE_CORRUPT: "it is damaged: put a backup in its place",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: name another file, or put a backup in its place",
}

# PostgreSQL's SQLSTATEs: those of two transactions in each other's way, and of a wait that was too long.
_COLLISIONS = frozenset({"40001", "40P01"})
_WAITED = frozenset({"55P03", "57014", *_COLLISIONS})
_STATE_MENDS = {
    "25006": "it is a standby: name all servers, with target_session_attrs=read-write",
    "42501": "let its user use the schema and write to the tables",
    "42P01": "run `alertd migrate`",
    "53100": "free some space on its disk",
}


def refusal(error: SQLAlchemyError, where: str) -> LedgerError:
    """The error of ours for one of SQLAlchemy's.

    Args:
        where: the database, without a password.
    """
    if not isinstance(error, DBAPIError) or error.orig is None:
        return LedgerError(f"{where}: {_one_line(error)}")
    cause = error.orig
    if isinstance(error, IntegrityError):
        return LedgerError(f"{where} refuses a row: {_one_line(cause)}")
    code, state = getattr(cause, "sqlite_errorcode", 0) & 0xFF, _state(cause)
    if code in _BUSY or state in _WAITED:
        return LedgerBusy(f"{where} is locked: another process has been writing to it for long; try again")
    mend = _MENDS.get(code, "") or _STATE_MENDS.get(state, "")
    return LedgerUnavailable(f"{where}: {_one_line(cause)}" + (f"; {mend}" if mend else ""))


def is_collision(error: SQLAlchemyError) -> bool:
    """Whether another transaction was in the way, which is over by now: the same may be tried at once."""
    return isinstance(error, DBAPIError) and _state(error.orig) in _COLLISIONS


def _state(cause: BaseException | None) -> str:
    return getattr(cause, "sqlstate", None) or ""


def _one_line(error: BaseException) -> str:
    # PostgreSQL's details quote the row.
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return " ".join(str(primary or error).split())
