"""Test that migrations produce the schema, and that no process writes to a schema that it does not know."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from alertd.errors import SchemaTooNew, SchemaTooOld
from alertd.ports import Changes
from alertd.store import migrate, open_ledger
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import HEAD, make_alembic_config
from alertd.store.schema import REVISIONS, metadata
from tests.contract.samples import a_record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


async def test_migrations_lead_to_the_schema(url: str) -> None:
    """Alembic finds no difference between the migrated database and schema.py."""
    await migrate(url)
    database = await open_database(url, 10)

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []
    await database.close()


async def test_migrations_lead_to_the_very_statements_of_the_schema(path: Path, url: str) -> None:
    """Partial indexes and autoincrement, which Alembic does not compare, are the same too."""
    await migrate(url)
    engine = create_engine("sqlite://")
    metadata.create_all(engine)

    query = "select name, sql from sqlite_master where name not like 'sqlite_%' and name not like '%alembic%'"
    with engine.connect() as made, closing(sqlite3.connect(path)) as migrated:
        expected = {name: _plain(sql) for name, sql in made.execute(text(query))}
        found = {name: _plain(sql) for name, sql in migrated.execute(query) if "alembic" not in (sql or "")}
    engine.dispose()

    assert found == expected


def _plain(sql: str) -> str:
    return " ".join(sql.split())


def test_known_revisions_are_the_migrations() -> None:
    """REVISIONS lists every migration in order."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(make_alembic_config(connection))
    engine.dispose()

    known = [script.revision for script in scripts.walk_revisions()]

    assert tuple(reversed(known)) == REVISIONS
    assert scripts.get_heads() == [HEAD]


async def test_migrating_twice_does_it_once(url: str) -> None:
    """A second migration does nothing and keeps the content."""
    assert (await migrate(url))[1:] == ("", HEAD)
    ledger = await open_ledger(url)
    await ledger.apply(Changes(records=(a_record(),)))
    await ledger.close()

    assert (await migrate(url))[1:] == (HEAD, HEAD)

    ledger = await open_ledger(url, migrate=False)
    assert await ledger.read_records() == [a_record()]
    await ledger.close()


async def test_newer_schema_is_refused(path: Path, url: str) -> None:
    """A ledger with a newer schema can be neither opened nor migrated."""
    await migrate(url)
    with closing(sqlite3.connect(path)) as newer, newer:
        newer.execute("update alembic_version set version_num = '9999'")

    for attempt in (open_ledger(url), open_ledger(url, migrate=False), migrate(url)):
        with pytest.raises(SchemaTooNew, match=r"ledger\.db is at revision '9999'.*newer"):
            await attempt


async def test_older_schema_is_refused_when_not_to_be_migrated(path: Path, url: str) -> None:
    """An empty file is rejected as too old and left unchanged if it must not be migrated."""
    with pytest.raises(SchemaTooOld, match=r"ledger\.db has no tables yet.*alertd migrate"):
        await open_ledger(url, migrate=False)

    with closing(sqlite3.connect(path)) as left:
        assert left.execute("select count(*) from sqlite_master").fetchone() == (0,)


@pytest.mark.server
def test_current_ledger_opens_without_alembic(url: str) -> None:
    """Opening a current ledger does not import Alembic, which would more than double the time of a start."""
    asyncio.run(migrate(url))
    program = (
        "import asyncio, sys\n"
        "from alertd.store import open_ledger\n"
        "async def main():\n"
        "    ledger = await open_ledger(sys.argv[1])\n"
        "    await ledger.close()\n"
        "asyncio.run(main())\n"
        "sys.exit('alembic' in sys.modules)\n"
    )

    assert subprocess.run([sys.executable, "-c", program, url], check=False).returncode == 0
