"""Only `alertd run` and `alertd migrate` change the schema of a ledger that an older alertd uses."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command

from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import make_alembic_config
from alertd.store.schema import REVISIONS
from tests.cli.stage import Staged, run, staged, write_folder
from tests.cli.test_plan import CONFIG, TIMELINE

OLDER = REVISIONS[-2]
M = "iraq/phase-2"

# Each command that opens the ledger, and what it prints on an older one.
COMMANDS = [
    ("status",),
    ("history", M),
    ("ack", M),
    ("snooze", M, "--until", "7d"),
    ("done", M),
    ("cancel", M),
    ("reopen", M),
    ("retry", "msg_x"),
    ("prune",),
]


@pytest.fixture
def stage(tmp_path: Path) -> Staged:
    return staged(tmp_path, write_folder(tmp_path / "config", CONFIG, iraq=TIMELINE))


def path_of(stage: Staged) -> Path:
    return Path(stage.url.partition(":///")[2])


def revision_of(stage: Staged) -> str:
    with closing(sqlite3.connect(path_of(stage))) as ledger:
        return str(ledger.execute("select version_num from alembic_version").fetchone()[0])


def make_older(stage: Staged) -> None:
    async def downgrade() -> None:
        database = await open_database(stage.url, 10)
        await database.write(lambda connection: command.downgrade(make_alembic_config(connection), OLDER))
        await database.close()

    stage.daemon_at(datetime(2026, 9, 30, 6, tzinfo=UTC))
    asyncio.run(downgrade())


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_command_leaves_an_older_ledger_as_it_is(stage: Staged, words: tuple[str, ...]) -> None:
    """The command names the version to use, and upgrades nothing."""
    make_older(stage)

    ran = run(*words, *stage.args)

    assert ran.code == 1
    assert f"is at revision {OLDER}, of alertd 0.1.0" in ran.err
    assert "alertd migrate" in ran.err
    assert revision_of(stage) == OLDER
    assert [*path_of(stage).parent.glob("*before*")] == []


def test_doctor_reports_an_older_ledger(stage: Staged) -> None:
    """The doctor says that the ledger is older, and upgrades nothing."""
    make_older(stage)

    ran = run("doctor", *stage.args)

    assert f"is at revision {OLDER}, of alertd 0.1.0" in " ".join(ran.out.split())
    assert revision_of(stage) == OLDER


def test_explain_leaves_an_older_ledger_out(stage: Staged) -> None:
    """`alertd explain` explains the files, warns that it cannot read the ledger, and upgrades nothing."""
    make_older(stage)

    ran = run("explain", M, *stage.args)

    assert ran.code == 0
    assert f"is at revision {OLDER}, of alertd 0.1.0" in ran.err
    assert revision_of(stage) == OLDER


def test_backup_of_an_older_ledger_is_a_copy_of_it(stage: Staged, tmp_path: Path) -> None:
    """A backup needs no upgrade, neither of the ledger nor of the copy."""
    make_older(stage)

    made = run("backup", str(tmp_path / "copy"), "--database", stage.url)

    assert made.code == 0, made.err
    assert revision_of(stage) == OLDER


def test_migrate_names_the_copy(stage: Staged) -> None:
    """`alertd migrate` says where the copy is, and what happens to an older daemon."""
    make_older(stage)

    ran = run("migrate", "--database", stage.url)

    assert ran.code == 0, ran.err
    # The output is wrapped, also within the path.
    said = "".join(ran.out.split())
    assert f"wasatrevision{OLDER}andisat{REVISIONS[-1]}now." in said
    assert f".before-{REVISIONS[-1]}isacopyfrombefore." in said
    assert "Adaemonofanolderalertdexits:startthenewone." in said
    assert revision_of(stage) == REVISIONS[-1]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_command_creates_no_ledger(stage: Staged, words: tuple[str, ...]) -> None:
    """Without a ledger, the command says so and creates no file."""
    ran = run(*words, *stage.args)

    assert ran.code == 1
    assert "there is no ledger" in ran.err
    assert [path.name for path in path_of(stage).parent.iterdir()] == ["config"]
