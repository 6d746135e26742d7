"""Check the schema's revision and upgrade an old schema.

The check is cheap because it runs at every start. Alembic is imported only for an upgrade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from alertd.errors import LedgerBusy, SchemaTooNew, SchemaTooOld
from alertd.store.database.base import Database
from alertd.store.database.dialect import WRITERS, is_shared, lock_revision
from alertd.store.schema import REVISIONS

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = REVISIONS[-1]
"""The revision that this version of alertd needs."""

MIGRATION_TRIES = 10

LOCK_LIMIT_S = 2
"""How long each try of a migration waits for writers, in seconds. New writers wait during this time."""


async def ensure_schema(database: Database, *, migrate: bool) -> None:
    """Check the schema, and upgrade it if it is old and ``migrate`` is true.

    Raises:
        SchemaTooNew: a newer version of alertd has upgraded the schema.
        SchemaTooOld: the schema is old and ``migrate`` is false.
        LedgerBusy: other processes were writing during every try.
    """
    found = await database.read(read_revision)
    if found == HEAD:
        return
    _refuse(found, database.where, migrate=migrate)
    for left in reversed(range(MIGRATION_TRIES)):
        try:
            await database.write(lambda connection: _upgrade(connection, database.where))
            return
        except LedgerBusy:
            if not left:
                raise


def read_revision(connection: Connection) -> str:
    """Return the database's revision, or ``""`` for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("select version_num from alembic_version")).scalar() or "")


def hold_schema(connection: Connection, where: str) -> None:
    """Check the schema's revision, and block migrations until this transaction ends.

    Raises:
        SchemaTooNew, SchemaTooOld: the schema has been migrated since the ledger was opened.
    """
    found = lock_revision(connection)
    if found != HEAD:
        _refuse(found, where, migrate=False)


def _refuse(found: str, where: str, *, migrate: bool) -> None:
    if found and found not in REVISIONS:
        raise SchemaTooNew(
            f"{where} is at revision {found!r}, unknown to this alertd: a newer one has migrated it; "
            f"run that one, or put back a backup from before"
        )
    if not migrate:
        said = f"is at revision {found}" if found else "has no tables yet"
        raise SchemaTooOld(f"{where} {said}, this alertd needs {HEAD}; run `alertd migrate`")


def _upgrade(connection: Connection, where: str) -> None:
    if is_shared(connection):
        # The exclusive lock waits until the current writers have ended. New writers wait for the migration
        # and then find the new revision.
        connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_LIMIT_S}s'")
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({WRITERS})")
    # Another process may have done the upgrade before this one got the lock.
    found = read_revision(connection)
    _refuse(found, where, migrate=True)
    if found != HEAD:
        from alembic import command

        command.upgrade(make_alembic_config(connection), "head")


def make_alembic_config(connection: Connection) -> Config:
    """Return a configuration with which Alembic runs migrations in the transaction of ``connection``."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "alertd.store:migrations")
    return config
