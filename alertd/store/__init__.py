"""Store the ledger in memory, in SQLite or in PostgreSQL.

The functions here import SQLAlchemy only when they are called, so that code that uses the ledger in memory
does not load it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alertd.store.database.upgrade import Upgrade
    from alertd.store.sql import SqlLedger

BUSY_TIMEOUT_S = 10.0
"""How long a statement waits for another writer, in seconds."""


async def open_ledger(url: str, *, create: bool = True, busy_timeout_s: float = BUSY_TIMEOUT_S) -> SqlLedger:
    """Open the ledger at ``url``. Only :func:`migrate` upgrades the schema of a ledger that exists.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path``, ``sqlite://`` for a ledger in memory,
            or a libpq URI such as ``postgresql://user@host/database``.
        create: whether to create a missing ledger in SQLite. The file gets mode 0600, its missing folders
            get mode 0700. A ledger in PostgreSQL is created by :func:`migrate` alone.
        busy_timeout_s: how long a statement waits for another writer, in seconds.

    Raises:
        SettingsError: alertd does not support the database that ``url`` names.
        SchemaTooNew: a newer version of alertd has upgraded the schema.
        SchemaTooOld: the schema needs an upgrade, or the database has no tables and ``create`` is false.
        LedgerBusy: other processes keep the database locked.
        LedgerUnavailable: the database cannot be opened.
    """
    from alertd.store.database.opening import open_database
    from alertd.store.database.upgrade import ensure_schema
    from alertd.store.sql import SqlLedger

    database = await open_database(url, busy_timeout_s, create=create)
    try:
        await ensure_schema(database, create=create and not database.is_shared)
    except BaseException:
        await database.close()
        raise
    return SqlLedger(database)


async def migrate(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Upgrade:
    """Upgrade the schema of the database at ``url``. Other processes may use the database meanwhile.

    A SQLite file is copied first. The copy is beside the file, and holds what the ledger held when the
    upgrade began.

    Raises:
        SettingsError, SchemaTooNew, LedgerBusy: see :func:`open_ledger`.
        LedgerUnavailable: the database cannot be opened, or the file cannot be copied. Nothing was upgraded.
    """
    from alertd.store.database.opening import open_database
    from alertd.store.database.upgrade import ensure_schema

    database = await open_database(url, busy_timeout_s)
    try:
        return await ensure_schema(database, migrate=True)
    finally:
        await database.close()
