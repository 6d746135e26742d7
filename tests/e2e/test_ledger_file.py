"""What happens to the ledger's file while the real daemon runs, and when a newer alertd comes."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import make_alembic_config
from alertd.store.schema import REVISIONS
from tests.contract.test_ledger_file import damage
from tests.e2e.stage import Stage, a_stage, in_a_minute

pytestmark = pytest.mark.long

YEARS_AHEAD = "2099-09-30T12:00"
OLDER, HEAD = REVISIONS[-2:]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        made.write_config()
        made.write_timeline(m=YEARS_AHEAD)
        yield made


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as ledger:
        return str(ledger.execute("select version_num from alembic_version").fetchone()[0])


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute("update alembic_version set version_num = ?", [revision])


async def test_daemon_upgrades_an_older_ledger_after_a_copy(stage: Stage) -> None:
    """A start with an older ledger copies it, upgrades it, and logs both."""
    daemon = await stage.start()
    await daemon.stop()
    database = await open_database(stage.database, 10)
    await database.write(lambda connection: command.downgrade(make_alembic_config(connection), OLDER))
    await database.close()

    daemon = await stage.start()
    status = await daemon.stop()

    copy = stage.ledger.with_name(f"ledger.sqlite3.before-{HEAD}")
    migrated = await daemon.until("ledger.migrated")
    assert (migrated["before"], migrated["after"], migrated["copy"]) == (OLDER, HEAD, str(copy))
    assert (revision_of(copy), revision_of(stage.ledger), status) == (OLDER, HEAD, 0)


async def test_start_with_a_current_ledger_copies_nothing(stage: Stage) -> None:
    """Neither the first start, which creates the ledger, nor the next one makes a copy."""
    daemons = []
    for _ in range(2):
        daemons.append(await stage.start())
        await daemons[-1].stop()

    assert [daemon.count("ledger.migrated") for daemon in daemons] == [0, 0]
    assert [*stage.ledger.parent.glob("*before*")] == []


async def test_older_daemon_ends_when_a_newer_has_migrated_its_file(stage: Stage) -> None:
    """It stops writing, says why, and ends with 78; it does not start again, and its commands say why."""
    daemon = await stage.start()

    set_revision(stage.ledger, "9999")
    ended = await daemon.ended()
    again = await stage.spawn()
    refused = await again.ended()
    said = await stage.said("done", "t/m")

    assert (ended, refused) == (78, 78)
    for one in (daemon, again):
        assert "9999" in (await one.until("ledger.upgraded"))["reason"]
    assert b"a newer one has migrated it" in said
    assert revision_of(stage.ledger) == "9999"


async def test_deleted_ledger_is_put_back_and_the_next_start_repeats_nothing(stage: Stage) -> None:
    """The daemon ends with 74 and says why; the next one goes on with what the first has sent."""
    stage.write_config(more=f"  - name: ops\n    notifiers: [{stage.hook('/ops')}]\noperator: ops\n")
    stage.write_timeline(m=in_a_minute(0))
    daemon = await stage.start()
    await daemon.until("delivery.sent")

    for ending in ("", "-wal", "-shm"):
        os.unlink(f"{stage.ledger}{ending}")
    displaced = await daemon.until("ledger.displaced")
    rescued = await daemon.until("ledger.rescued")
    status = await daemon.ended()
    again = await stage.start()
    stopped = await again.stop()

    assert (status, stopped) == (74, 0)
    assert displaced["reason"] == f"{stage.ledger} was deleted while the daemon was using it"
    assert rescued["in_place"] is True
    assert [one.path for one in stage.requests] == ["/hook", "/ops"]
    assert again.count("delivery.bound") == 0


@pytest.mark.parametrize("put", [os.replace, shutil.copyfile])
async def test_restored_backup_is_not_overwritten(stage: Stage, put: Callable[[str, Path], object]) -> None:
    """A file that an operator moves or copies to the ledger's path is used from the next start on."""
    daemon = await stage.start()
    await stage.command("backup", f"{stage.ledger}.backup")
    await stage.command("done", "t/m")

    put(f"{stage.ledger}.backup", stage.ledger)
    rescued = await daemon.until("ledger.rescued")
    status = await daemon.ended()
    explained = await stage.command("history", "t/m")

    assert (status, rescued["in_place"]) == (74, False)
    assert "done" not in explained
    with closing(sqlite3.connect(rescued["copy"])) as copy:
        assert copy.execute("select count(*) from milestone where standing like '%done%'").fetchone() == (1,)


async def test_start_on_a_ledger_that_cannot_be_opened_says_what_to_do(stage: Stage) -> None:
    """It ends with 65, and says that a backup must be restored."""
    stage.ledger.write_bytes(b"\xa5" * 8192)

    daemon = await stage.spawn()
    (status, damaged) = await daemon.ended(), await daemon.until("ledger.damaged")

    assert status == 65
    assert "put a backup in its place" in damaged["reason"]


async def test_start_on_a_damaged_page_goes_on(stage: Stage) -> None:
    """The daemon is ready, reports the damage, and ends as usual."""
    await (await stage.start()).stop()
    damage(stage.ledger, "milestone")

    daemon = await stage.start()
    damaged = await daemon.until("ledger.damaged")
    status = await daemon.stop()

    assert "malformed" in damaged["reason"]
    assert status == 0
