"""Test how a SQLite ledger in use notices that its file was taken away, how it is saved, and its pages."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from alertd.core.ledger.file import FileFault, FileLoss
from alertd.core.ledger.records import HistoryEntry
from alertd.errors import LedgerDamaged, LedgerUnavailable
from alertd.ports import Changes
from alertd.store import open_ledger
from alertd.store.ledger_file import SqliteLedgerFile
from alertd.store.sql import SqlLedger
from tests.contract.samples import a_record

LABEL = "rescued-20260901T060000Z"
PAGE = 4096
Work = Callable[[SqlLedger, SqliteLedgerFile], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


def use(path: Path, work: Work) -> None:
    """Run ``work`` on a ledger with a record, part of which is in the write-ahead log alone."""

    async def using() -> None:
        ledger = await open_ledger(f"sqlite:///{path}")
        file = ledger.watch_file()
        assert file is not None
        try:
            await ledger.apply(Changes(records=(a_record(),)))
            await work(ledger, file)
        finally:
            await file.close()
            await ledger.close()

    asyncio.run(using())


def titles_of(path: Path) -> list[str]:
    """What another process reads from the ledger at ``path``."""

    async def read() -> list[str]:
        ledger = await open_ledger(f"sqlite:///{path}", create=False)
        try:
            return [record.milestone.title for record in await ledger.read_records()]
        finally:
            await ledger.close()

    return asyncio.run(read())


def log_of(path: Path, ending: str = "-wal") -> Path:
    return path.with_name(path.name + ending)


def rescued_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.{LABEL}")


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        log_of(path, ending).unlink()


def delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def move(path: Path) -> None:
    path.rename(path.with_name("old.db"))


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replace(path: Path) -> None:
    """Put the backup in the place of the ledger, as ``mv`` does."""
    shutil.copy(path.parent.with_name("backup"), path.with_name("new"))
    path.with_name("new").rename(path)


def overwrite(path: Path) -> None:
    """Write the backup over the ledger, as ``cp`` does."""
    shutil.copyfile(path.parent.with_name("backup"), path)


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def delete_log(path: Path) -> None:
    log_of(path).unlink()


def delete_index(path: Path) -> None:
    log_of(path, "-shm").unlink()


def replace_log(path: Path) -> None:
    log_of(path).unlink()
    log_of(path).write_bytes(b"")


async def settle(path: Path, file: SqliteLedgerFile) -> None:
    """Compare the file before and after a checkpoint, as a daemon does every five seconds."""
    for _ in range(2):
        assert await file.find_loss() is None
        checkpoint(path)
    assert await file.find_loss() is None


def find(path: Path, change: Callable[[Path], None]) -> FileLoss | None:
    found: list[FileLoss | None] = []

    async def work(_ledger: SqlLedger, file: SqliteLedgerFile) -> None:
        await settle(path, file)
        change(path)
        found.append(await file.find_loss())

    use(path, work)
    return found[0]


@pytest.fixture
def backup(path: Path) -> None:
    """A ledger with a record of another title, as a copy in a single file."""

    async def work(ledger: SqlLedger, file: SqliteLedgerFile) -> None:
        await ledger.apply(Changes(records=(a_record(title="The backup"),)))
        shutil.move(await file.save("backup"), path.parent.with_name("backup"))

    use(path, work)
    delete_folder(path)


# -- what is noticed


@pytest.mark.usefixtures("backup")
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (delete, FileFault.DELETED),
        (delete_all, FileFault.DELETED),
        (delete_folder, FileFault.DELETED),
        (move, FileFault.MOVED),
        (move_folder, FileFault.MOVED),
        (replace, FileFault.REPLACED),
        (overwrite, FileFault.OVERWRITTEN),
        (truncate, FileFault.OVERWRITTEN),
        (delete_log, FileFault.LOG_LOST),
        (replace_log, FileFault.LOG_LOST),
        (delete_index, FileFault.LOG_LOST),
    ],
)
def test_file_that_is_taken_away_is_noticed(
    path: Path, change: Callable[[Path], None], fault: FileFault
) -> None:
    """The loss says what happened to which file."""
    loss = find(path, change)

    assert loss is not None
    assert loss.fault is fault
    assert loss.path.startswith(str(path))


def test_moved_file_is_found(path: Path) -> None:
    """The loss says where the file is now."""
    loss = find(path, move_folder)

    assert loss is not None
    assert loss.now_at == str(path.parent.with_name("elsewhere") / path.name)
    assert str(loss) == f"{path} was moved to {loss.now_at} while the daemon was using it"


def checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma wal_checkpoint(truncate)")


def move_and_back(path: Path) -> None:
    move(path)
    path.with_name("old.db").rename(path)


def link_folder(path: Path) -> None:
    """Move the folder, and leave a link in its place."""
    move_folder(path)
    path.parent.symlink_to(path.parent.with_name("elsewhere"))


def change_mode(path: Path) -> None:
    path.chmod(0o640)
    os.utime(path, (0, 0))


@pytest.mark.parametrize("change", [checkpoint, move_and_back, link_folder, change_mode])
def test_file_that_is_in_its_place_is_no_loss(path: Path, change: Callable[[Path], None]) -> None:
    """Neither a checkpoint nor other attributes or another way to the same file is a loss."""
    assert find(path, change) is None


def test_file_system_that_does_not_answer_is_no_loss(path: Path) -> None:
    """An error of the file system is an error, not a loss."""

    def loop(path: Path) -> None:
        move_folder(path)
        path.parent.symlink_to(path.parent)

    with pytest.raises(LedgerUnavailable, match=r"ledger\.db cannot be examined: Too many levels"):
        find(path, loop)


async def test_ledger_in_memory_has_no_file() -> None:
    """Nothing is looked after where there is no file."""
    ledger = await open_ledger("sqlite://")

    assert ledger.watch_file() is None
    await ledger.close()


def test_fresh_backup_over_the_ledger_is_noticed(path: Path) -> None:
    """A backup that was made a moment ago is noticed too, although nothing was written to the file since."""
    found: list[FileLoss | None] = []

    async def work(_ledger: SqlLedger, file: SqliteLedgerFile) -> None:
        await settle(path, file)
        shutil.copyfile(await file.save("backup"), path)
        found.append(await file.find_loss())

    use(path, work)

    assert found == [FileLoss(fault=FileFault.OVERWRITTEN, path=str(path))]


# -- what is saved


def rescue(path: Path, change: Callable[[Path], None]) -> bool:
    """Take the file away, write on, and save what the ledger holds. Returns whether it is back."""
    back: list[bool] = []

    async def work(ledger: SqlLedger, file: SqliteLedgerFile) -> None:
        await settle(path, file)
        change(path)
        await file.save(LABEL)
        await ledger.apply(Changes(records=(a_record(title="Written later"),)))
        back.append(await file.put_back(await file.save(LABEL)))

    use(path, work)
    return back[0]


@pytest.mark.parametrize(
    "change", [delete, delete_all, delete_folder, move, move_folder, delete_log, replace_log, delete_index]
)
def test_ledger_is_put_back(path: Path, change: Callable[[Path], None]) -> None:
    """The ledger is at its path again with all that was written, also after its file was gone."""
    assert rescue(path, change)

    assert titles_of(path) == ["Written later"]
    assert not rescued_of(path).exists()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("backup")
def test_file_of_somebody_else_is_left_alone(path: Path) -> None:
    """A file that was put in the ledger's place stays, and the ledger's log is not applied to it."""
    assert not rescue(path, replace)

    assert titles_of(path) == ["The backup"]
    assert titles_of(rescued_of(path)) == ["Written later"]


@pytest.mark.usefixtures("backup")
def test_content_of_somebody_else_is_left_alone(path: Path) -> None:
    """Content that was written over the ledger stays, and the ledger's log is not applied to it."""
    assert not rescue(path, overwrite)

    assert titles_of(path) == ["The backup"]
    assert rescued_of(path).exists()
    assert set(check_all(path, lambda _: None).values()) == {""}


def test_file_that_came_back_stays(path: Path) -> None:
    """A ledger that is in its place again is used as it is; the copy is kept."""
    back: list[bool] = []

    async def work(ledger: SqlLedger, file: SqliteLedgerFile) -> None:
        move(path)
        saved = await file.save(LABEL)
        path.with_name("old.db").rename(path)
        await ledger.apply(Changes(records=(a_record(title="Written later"),)))
        back.append(await file.put_back(saved))

    use(path, work)

    assert back == [True]
    assert titles_of(path) == ["Written later"]
    assert rescued_of(path).exists()


def test_file_without_its_log_is_kept_aside(path: Path) -> None:
    """What another process wrote to the file without its log is not lost."""
    rescue(path, delete_log)

    assert rescued_of(path).with_name(f"{rescued_of(path).name}.without-log").exists()


def test_ledger_that_cannot_be_saved_stays_open(path: Path) -> None:
    """Saving fails with an error that says why, and the open ledger still works."""
    titles: list[str] = []

    async def work(ledger: SqlLedger, file: SqliteLedgerFile) -> None:
        delete_folder(path)
        path.parent.write_text("a file in place of the folder")
        with pytest.raises(LedgerUnavailable, match=r"rescued.*cannot be written"):
            await file.save(LABEL)
        await ledger.apply(Changes(records=(a_record(title="Written later"),)))
        titles.extend(record.milestone.title for record in await ledger.read_records())

    use(path, work)

    assert titles == ["Written later"]


# -- its pages


def damage(path: Path, table: str) -> None:
    """Overwrite the first page of a table, as a failing disk does."""
    checkpoint(path)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        (page,) = ledger.execute("select rootpage from sqlite_schema where name = ?", [table]).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


def check_all(path: Path, change: Callable[[Path], None]) -> dict[str, str]:
    found: dict[str, str] = {}

    async def work(_ledger: SqlLedger, file: SqliteLedgerFile) -> None:
        change(path)
        for table in await file.list_tables():
            found[table] = await file.check(table)

    use(path, work)
    return found


def test_sound_pages_pass(path: Path) -> None:
    """Every table is checked, and nothing is found."""
    found = check_all(path, checkpoint)

    assert {"sqlite_schema", "milestone", "owed", "delivery", "attempt", "history"} <= set(found)
    assert set(found.values()) == {""}


def test_damaged_page_is_found_in_its_table(path: Path) -> None:
    """Only the table with the damaged page fails."""
    found = check_all(path, lambda path: damage(path, "history"))

    assert [table for table, damage in found.items() if damage] == ["history"]


def test_statement_on_a_damaged_page_is_recognized(path: Path) -> None:
    """A statement that needs the page raises LedgerDamaged with advice. Other statements work."""
    # A page that a connection has read already is in its cache, so the ledger is opened after the damage.
    check_all(path, checkpoint)
    damage(path, "milestone")

    with pytest.raises(LedgerDamaged, match=r"ledger\.db: .*damaged.*a backup"):
        titles_of(path)
    assert history_of(path) == []


def history_of(path: Path) -> list[HistoryEntry]:
    async def read() -> list[HistoryEntry]:
        ledger = await open_ledger(f"sqlite:///{path}", create=False)
        try:
            return [*await ledger.read_history()]
        finally:
            await ledger.close()

    return asyncio.run(read())
