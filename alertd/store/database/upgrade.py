"""Check the schema's revision and upgrade an old schema.

The check is cheap because it runs at every start. Alembic takes 10 MB of memory, so it is imported only for
an upgrade. A new SQLite database gets its tables from the schema, to which a test compares the migrations.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, inspect, text

from alertd import __version__
from alertd.errors import LedgerBusy, LedgerUnavailable, SchemaTooNew, SchemaTooOld
from alertd.store.database.base import Database
from alertd.store.database.dialect import WRITERS, is_shared, lock_revision
from alertd.store.schema import FIRST_VERSIONS, REVISIONS, metadata

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = REVISIONS[-1]
"""The revision that this version of alertd needs."""

MIGRATION_TRIES = 10

LOCK_LIMIT_S = 2
"""How long each try of a migration waits for writers, in seconds. New writers wait during this time."""

UPGRADE_LIMIT_S = 240.0
"""The time limit of an upgrade with its copy. The unit for systemd allows 5 minutes for a start."""


class Upgrade(NamedTuple):
    """What :func:`ensure_schema` did.

    Attributes:
        where: the database's name: a path, or a URL without user and password.
        before: the revision before; "" for a database without tables.
        after: the revision now.
        copy: the copy of a SQLite file that was made before the upgrade; None: nothing was copied.
    """

    where: str
    before: str
    after: str
    copy: Path | None = None


async def ensure_schema(database: Database, *, migrate: bool = False, create: bool = False) -> Upgrade:
    """Check the schema, and create or upgrade it if that is asked for.

    Args:
        migrate: whether to upgrade an older schema, and to create the tables of an empty database.
        create: whether to create the tables of an empty database.

    Raises:
        SchemaTooNew: a newer version of alertd has upgraded the schema.
        SchemaTooOld: the schema is older and ``migrate`` is false, or nothing may be created.
        LedgerBusy: other processes were writing during every try.
        LedgerUnavailable: the SQLite file cannot be copied, so nothing was upgraded.
    """

    def upgrade(connection: Connection) -> Upgrade:
        return _upgrade(connection, database.where, migrate=migrate, create=create)

    found = await database.read(read_revision)
    if found == HEAD:
        return Upgrade(database.where, found, HEAD)
    _refuse(found, database.where, migrate=migrate, create=create)
    for left in reversed(range(MIGRATION_TRIES)):
        try:
            return await database.write(upgrade, limit_s=UPGRADE_LIMIT_S)
        except LedgerBusy:
            if not left:
                raise
    raise AssertionError("unreachable")


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
        _refuse(found, where)


def _refuse(found: str, where: str, *, migrate: bool = False, create: bool = False) -> None:
    if found and found not in REVISIONS:
        raise SchemaTooNew(
            f"{where} is at revision {found!r}, unknown to this alertd: a newer one has migrated it; "
            f"run that one, or put back a backup from before"
        )
    if migrate or (create and not found):
        return
    if not found:
        raise SchemaTooOld(f"{where} has no tables yet, this alertd needs {HEAD}; run `alertd migrate`")
    raise SchemaTooOld(
        f"{where} is at revision {found}, of alertd {FIRST_VERSIONS[found]}; this is alertd {__version__}, "
        f"which needs {HEAD}: use the version that the daemon runs, or upgrade the ledger by `alertd migrate`"
    )


def _upgrade(connection: Connection, where: str, *, migrate: bool, create: bool) -> Upgrade:
    if is_shared(connection):
        # The exclusive lock waits until the current writers have ended. New writers wait for the migration
        # and then find the new revision.
        connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_LIMIT_S}s'")
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({WRITERS})")
    # Another process may have done the upgrade before this one got the lock.
    found = read_revision(connection)
    if found == HEAD:
        return Upgrade(where, found, HEAD)
    _refuse(found, where, migrate=migrate, create=create)
    if not found and not is_shared(connection):
        _create_tables(connection)
        return Upgrade(where, found, HEAD)
    # This transaction holds the write lock, so the copy is the ledger at the moment of the upgrade.
    copy = None if is_shared(connection) else _copy(where, found)
    from alembic import command

    command.upgrade(make_alembic_config(connection), "head")
    return Upgrade(where, found, HEAD, copy)


def _create_tables(connection: Connection) -> None:
    """Create what the migrations would create, and mark it as Alembic does."""
    metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(
        "create table alembic_version "
        "(version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num))"
    )
    connection.exec_driver_sql("insert into alembic_version (version_num) values (?)", (HEAD,))


def _copy(where: str, found: str) -> Path:
    from alertd.store.database.backup import keep_copy

    try:
        return keep_copy(Path(where), f"before-{HEAD}")
    except LedgerUnavailable as error:
        raise LedgerUnavailable(
            f"{error}; a ledger is upgraded only after it was copied, so it stays at revision {found}"
        ) from error


def make_alembic_config(connection: Connection) -> Config:
    """Return a configuration with which Alembic runs migrations in the transaction of ``connection``."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "alertd.store:migrations")
    return config
