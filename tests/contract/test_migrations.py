"""Test that migrations produce the schema, and that no process writes to a schema that it does not know."""

import asyncio
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from alertd.errors import LedgerUnavailable, SchemaTooNew, SchemaTooOld
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


async def run_all_migrations(url: str) -> None:
    """Run every migration on an empty database. alertd itself creates the tables of a new one directly."""
    database = await open_database(url, 10)
    await database.write(lambda connection: command.upgrade(make_alembic_config(connection), "head"))
    await database.close()


async def test_migrations_lead_to_the_schema(url: str) -> None:
    """Alembic finds no difference between the migrated database and schema.py."""
    await run_all_migrations(url)
    database = await open_database(url, 10)

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []
    await database.close()


async def test_migrations_lead_to_the_very_statements_of_a_new_ledger(tmp_path: Path) -> None:
    """The partial indexes and the autoincrement, which Alembic does not compare, are the same too."""
    migrated, new = tmp_path / "migrated.db", tmp_path / "new.db"
    await run_all_migrations(f"sqlite:///{migrated}")
    assert (await migrate(f"sqlite:///{new}"))[1:] == ("", HEAD, None)

    assert read_statements(new) == read_statements(migrated)
    assert revision_of(new) == revision_of(migrated)


def read_statements(path: Path) -> dict[str, str]:
    """Return the statement of each table and index, without differences in spaces and capitals."""
    query = "select name, sql from sqlite_schema where name not like 'sqlite_%'"
    with closing(sqlite3.connect(path)) as ledger:
        found = ledger.execute(query).fetchall()
    return {name: re.sub(r"\s*([(),])\s*|\s+", r" \1 ", sql).lower() for name, sql in found}


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
    assert (await migrate(url))[1:3] == ("", HEAD)
    ledger = await open_ledger(url)
    await ledger.apply(Changes(records=(a_record(),)))
    await ledger.close()

    assert (await migrate(url))[1:3] == (HEAD, HEAD)

    ledger = await open_ledger(url, create=False)
    assert await ledger.read_records() == [a_record()]
    await ledger.close()


async def test_newer_schema_is_refused(path: Path, url: str) -> None:
    """A ledger with a newer schema can be neither opened nor migrated."""
    await migrate(url)
    with closing(sqlite3.connect(path)) as newer, newer:
        newer.execute("update alembic_version set version_num = '9999'")

    for attempt in (open_ledger(url), open_ledger(url, create=False), migrate(url)):
        with pytest.raises(SchemaTooNew, match=r"ledger\.db is at revision '9999'.*newer"):
            await attempt


def test_empty_file_is_refused_when_nothing_may_be_created(path: Path, url: str) -> None:
    """An empty file is rejected as too old and gets no tables."""
    path.touch()

    with pytest.raises(SchemaTooOld, match=r"ledger\.db has no tables yet.*alertd migrate"):
        asyncio.run(open_ledger(url, create=False))

    with closing(sqlite3.connect(path)) as left:
        assert left.execute("select count(*) from sqlite_master").fetchone() == (0,)


async def test_missing_file_is_not_created_when_nothing_may_be_created(path: Path, url: str) -> None:
    """A missing ledger is an error, and no file is created."""
    with pytest.raises(LedgerUnavailable, match=r"there is no ledger at .*ledger\.db"):
        await open_ledger(url, create=False)

    assert [*path.parent.iterdir()] == []


# -- an older ledger


async def write_older(url: str) -> str:
    """Write a ledger with a record, at the revision before the last. Returns that revision."""
    ledger = await open_ledger(url)
    await ledger.apply(Changes(records=(a_record(),)))
    await ledger.close()
    older = REVISIONS[-2]
    database = await open_database(url, 10)
    await database.write(lambda connection: command.downgrade(make_alembic_config(connection), older))
    await database.close()
    return older


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as ledger:
        return str(ledger.execute("select version_num from alembic_version").fetchone()[0])


def titles_of(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as ledger:
        return ledger.execute("select id from milestone").fetchall()


@pytest.mark.parametrize("create", [False, True])
async def test_opening_an_older_ledger_leaves_it_as_it_is(path: Path, url: str, create: bool) -> None:
    """An older ledger is not upgraded when it is opened, and the error names the version to use."""
    older = await write_older(url)

    with pytest.raises(SchemaTooOld, match=rf"revision {older}, of alertd 0\.1\.0.*`alertd migrate`"):
        await open_ledger(url, create=create)

    assert revision_of(path) == older
    assert [*path.parent.glob("*before*")] == []


def test_older_ledger_is_copied_before_it_is_migrated(path: Path, url: str) -> None:
    """The copy is beside the ledger, holds what the ledger held, and has the ledger's mode."""
    older = asyncio.run(write_older(url))
    path.chmod(0o640)

    upgrade = asyncio.run(migrate(url))

    copy = path.with_name(f"ledger.db.before-{HEAD}")
    assert upgrade == (str(path), older, HEAD, copy)
    assert (revision_of(copy), titles_of(copy)) == (older, [("iraq/phase-2",)])
    assert (revision_of(path), titles_of(path)) == (HEAD, [("iraq/phase-2",)])
    assert copy.stat().st_mode & 0o777 == 0o640
    assert [*path.parent.glob(".*")] == []


async def test_copy_is_not_overwritten(path: Path, url: str) -> None:
    """A second upgrade keeps the first copy, and adds another unless that would be the same."""
    await write_older(url)
    await migrate(url)
    copy = path.with_name(f"ledger.db.before-{HEAD}")
    first = copy.read_bytes()

    shutil.copy(copy, path)
    again = await migrate(url)
    shutil.copy(copy, path)
    with closing(sqlite3.connect(path)) as changed, changed:
        changed.execute("delete from milestone")
    other = await migrate(url)

    assert copy.read_bytes() == first
    assert again.copy == copy
    assert other.copy == path.with_name(f"{copy.name}.2")
    assert titles_of(other.copy) == []


@pytest.mark.server
def test_older_ledger_is_not_migrated_when_it_cannot_be_copied(path: Path, url: str) -> None:
    """A full disk ends the upgrade with an error, and nothing has changed."""
    older = asyncio.run(write_older(url))
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("pragma wal_checkpoint(truncate)")
    # The kernel refuses to write behind 64 KiB of a file, which is less than the ledger has.
    program = (
        "import asyncio, resource, sys\n"
        "from alertd.errors import LedgerUnavailable\n"
        "from alertd.store import migrate\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    asyncio.run(migrate(sys.argv[1]))\n"
        "except LedgerUnavailable as error:\n"
        "    sys.exit(str(error))\n"
    )

    done = subprocess.run([sys.executable, "-c", program, url], check=False, capture_output=True, text=True)

    assert done.returncode == 1
    assert f"cannot be copied to {path}.before-{HEAD}" in done.stderr
    assert f"it stays at revision {older}" in done.stderr
    assert revision_of(path) == older
    assert [*path.parent.glob("*before*")] == []


@pytest.mark.server
def test_new_or_current_ledger_opens_without_alembic(url: str) -> None:
    """Alembic, which would double the time of a start, is not needed for a new or a current ledger."""
    program = (
        "import asyncio, sys\n"
        "from alertd.store import migrate, open_ledger\n"
        "async def main():\n"
        "    await migrate(sys.argv[1])\n"
        "    ledger = await open_ledger(sys.argv[1])\n"
        "    await ledger.close()\n"
        "asyncio.run(main())\n"
        "sys.exit('alembic' in sys.modules)\n"
    )

    assert subprocess.run([sys.executable, "-c", program, url], check=False).returncode == 0
