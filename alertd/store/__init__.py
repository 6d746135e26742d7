"""Store the ledger in memory, in SQLite or in PostgreSQL.

The functions here import SQLAlchemy only when they are called, so that code that uses the ledger in memory
does not load it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alertd.store.sql import SqlLedger

BUSY_TIMEOUT_S = 10.0
"""How long a statement waits for another writer, in seconds."""


async def open_ledger(
    url: str, *, migrate: bool | None = None, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> SqlLedger:
    """Open the ledger at ``url``.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path``, ``sqlite://`` for a ledger in memory,
            or a libpq URI such as ``postgresql://user@host/database``. A missing SQLite file is created with
            mode 0600, its missing folders with mode 0700.
        migrate: whether to upgrade an older schema. False raises SchemaTooOld instead. By default, alertd
            upgrades SQLite but not PostgreSQL, because other nodes may be using a PostgreSQL database.
        busy_timeout_s: how long a statement waits for another writer, in seconds.

    Raises:
        SettingsError: alertd does not support the database that ``url`` names.
        SchemaTooNew: a newer version of alertd has upgraded the schema.
        SchemaTooOld: the schema needs an upgrade and ``migrate`` is false.
        LedgerBusy: other processes keep the database locked.
        LedgerUnavailable: the database cannot be opened.
    """
    from alertd.store.database.opening import open_database
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
    """Upgrade the schema of the database at ``url``. Other processes may use the database meanwhile.

    Returns:
        The database's name, the revision before the upgrade (``""`` for an empty database), and the revision
        after it.

    Raises:
        SettingsError, SchemaTooNew, LedgerBusy, LedgerUnavailable: see :func:`open_ledger`.
    """
    from alertd.store.database.opening import open_database
    from alertd.store.database.upgrade import HEAD, ensure_schema, read_revision

    database = await open_database(url, busy_timeout_s)
    try:
        before = await database.read(read_revision)
        await ensure_schema(database, migrate=True)
    finally:
        await database.close()
    return database.where, before, HEAD
