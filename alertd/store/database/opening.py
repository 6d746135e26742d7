"""Open the database that a URL names: choose between SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from alertd.errors import SettingsError
from alertd.store.database.base import Database

FORMS = "it is sqlite:///path/to/alertd.db or postgresql://user@host/database"


async def open_database(url: str, busy_timeout_s: float, *, create: bool = True) -> Database:
    """Return the database at ``url``. Connections are opened when they are first used.

    Args:
        busy_timeout_s: how long a statement waits for a lock, in seconds.
        create: whether to create a SQLite file that is missing.

    Raises:
        SettingsError: ``url`` is not a URL, or names a kind of database that alertd does not support.
        LedgerUnavailable: the SQLite file is missing, or cannot be created.
    """
    if url.startswith(("postgresql://", "postgres://")):
        from alertd.store.database.postgres import open_postgres

        return open_postgres(url, busy_timeout_s)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The message leaves the URL out because it may contain a password.
        raise SettingsError(f"the database is no URL: {FORMS}") from error
    if parsed.get_backend_name() != "sqlite":
        kind = parsed.get_backend_name()
        raise SettingsError(f"a database of the kind {kind!r} is not supported: {FORMS}")
    from alertd.store.database.sqlite import open_sqlite

    return await open_sqlite(parsed, busy_timeout_s, create=create)
