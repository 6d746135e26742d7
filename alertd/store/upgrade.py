"""The schema's revision: told cheaply at every start, brought up to date by Alembic when it is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from alertd.errors import SchemaTooNew, SchemaTooOld
from alertd.store.database import Database
from alertd.store.schema import REVISIONS

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = REVISIONS[-1]


async def ensure_schema(database: Database, *, migrate: bool) -> None:
    """Return when the schema is the one that this alertd needs.

    Raises:
        SchemaTooNew: a newer alertd has migrated it.
        SchemaTooOld: it is behind, and ``migrate`` is false.
    """
    found = await database.read(revision)
    if found == HEAD:
        return
    _refuse_newer(found, database.where)
    if not migrate:
        said = f"is at revision {found}" if found else "has no tables yet"
        raise SchemaTooOld(f"{database.where} {said}, this alertd needs {HEAD}; run `alertd migrate`")
    await database.write(lambda connection: _upgrade(connection, database.where))


def revision(connection: Connection) -> str:
    """The revision that the database is at; ``""`` when it has never been migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("select version_num from alembic_version")).scalar() or "")


def _refuse_newer(found: str, where: str) -> None:
    if found and found not in REVISIONS:
        raise SchemaTooNew(
            f"{where} is at revision {found!r}, unknown to this alertd: a newer one has migrated it; "
            f"run that one, or put back a backup from before"
        )


def _upgrade(connection: Connection, where: str) -> None:
    # Looked at again now that nobody else can write: another process may have done it in the meantime.
    found = revision(connection)
    _refuse_newer(found, where)
    if found != HEAD:
        from alembic import command

        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> Config:
    """What Alembic's commands take: our migrations, to be run in the transaction of ``connection``."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "alertd.store:migrations")
    return config
