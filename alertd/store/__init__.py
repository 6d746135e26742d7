"""The ledger: in memory, which is the contract at its shortest, and in SQL.

What is heavy is imported when a ledger is opened, so that whoever only needs one in memory loads no database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alertd.store.sql import SqlLedger

BUSY_TIMEOUT_S = 10.0
"""How long to wait for another writer."""


async def open_ledger(
    url: str, *, migrate: bool | None = None, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> SqlLedger:
    """The ledger at ``url``, ready for use.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path``, or ``sqlite://`` for one that is
            forgotten. Missing folders are made with mode 0700, the file with 0600. Or
            ``postgresql://user@host/database``, as libpq reads it.
        migrate: bring an older schema up to date instead of refusing it. By default an embedded database
            is, and one that is shared is not: others may be using it.

    Raises:
        SettingsError: ``url`` names no database that alertd can use.
        SchemaTooNew, SchemaTooOld: its schema is not the one that this alertd needs.
        LedgerBusy, LedgerUnavailable: it cannot be opened now.
    """
    from alertd.store.database.base import open_database
    from alertd.store.database.upgrade import ensure_schema
    from alertd.store.sql import SqlLedger

    database = await open_database(url, busy_timeout_s)
    try:
        await ensure_schema(database, migrate=not database.is_shared if migrate is None else migrate)
    except BaseException:
        await database.close()
        raise
    return SqlLedger(database)


async def migrate(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> tuple[str, str, str]:
    """Bring the database at ``url`` up to date, while others use it.

    Returns its name, its revision before (``""``: it was empty), and after.

    Raises:
        SettingsError, SchemaTooNew, LedgerBusy, LedgerUnavailable: as for :func:`open_ledger`.
    """
    from alertd.store.database.base import open_database
    from alertd.store.database.upgrade import HEAD, ensure_schema, revision

    database = await open_database(url, busy_timeout_s)
    try:
        before = await database.read(revision)
        await ensure_schema(database, migrate=True)
    finally:
        await database.close()
    return database.where, before, HEAD
