"""The schema's revision: told cheaply at every start, brought up to date by Alembic when it is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from alertd.errors import LedgerBusy, SchemaTooNew, SchemaTooOld
from alertd.store.database.base import Database
from alertd.store.database.dialect import WRITERS, is_shared, writers_revision
from alertd.store.schema import REVISIONS

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = REVISIONS[-1]


MIGRATION_TRIES = 10
LOCK_LIMIT_S = 2
"""How long a migration waits for writers at a time: while it does, they wait behind it."""


async def ensure_schema(database: Database, *, migrate: bool) -> None:
    """Return when the schema is the one that this alertd needs.

    Raises:
        SchemaTooNew: a newer alertd has migrated it.
        SchemaTooOld: it is behind, and ``migrate`` is false.
        LedgerBusy: others have been writing to it all the time.
    """
    found = await database.read(revision)
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


def revision(connection: Connection) -> str:
    """The revision that the database is at; ``""`` when it has never been migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("select version_num from alembic_version")).scalar() or "")


def hold_schema(connection: Connection, where: str) -> None:
    """Return when this alertd may write: nobody migrates before this transaction ends.

    Raises:
        SchemaTooNew, SchemaTooOld: somebody has, since the ledger was opened.
    """
    found = writers_revision(connection)
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
        # Alone: whoever is writing ends first, whoever comes waits, and then sees another revision.
        connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_LIMIT_S}s'")
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({WRITERS})")
    # Looked at again now that nobody else can write: another process may have done it in the meantime.
    found = revision(connection)
    _refuse(found, where, migrate=True)
    if found != HEAD:
        from alembic import command

        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> Config:
    """What Alembic's commands take: our migrations, to be run in the transaction of ``connection``."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "alertd.store:migrations")
    return config
