"""Test what SQLite adds to the contract: durability, other processes, and problems with the file."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Any

import pytest
from sqlalchemy import Connection, create_engine, event

from alertd.core.ledger.records import DeliveryState
from alertd.core.reason import SnoozedBy
from alertd.errors import LedgerBusy, LedgerError, LedgerUnavailable, SettingsError, UnreadableRow
from alertd.ports import Changes
from alertd.store import (
    candidates,
    lease_content,
    leasing,
    migrate,
    open_ledger,
    quarantine,
    queue,
    reading,
    waiting,
)
from alertd.store.database.base import Database
from alertd.store.database.checkpoints import CHANGES, LONGEST
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import ensure_schema
from alertd.store.sql import SqlLedger
from tests.contract.samples import HOUR, NOW, a_delivery, a_record, an_entry, an_owed, fill, take
from tests.nobody import a_folder, nobody

CHILD = Path(__file__).with_name("settling_child.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def start(path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a child process that settles deliveries in ``path``, and kill it at the end."""
    with ExitStack() as children:

        def start_child(name: str) -> subprocess.Popen[str]:
            command = [sys.executable, str(CHILD), str(path), name]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            children.enter_context(child)
            children.callback(child.kill)
            return child

        yield start_child


def lines_of(child: subprocess.Popen[str]) -> IO[str]:
    assert child.stdout is not None
    return child.stdout


async def with_database(path: Path, work: Callable[[Connection], Any]) -> Any:
    database = await open_database(f"sqlite:///{path}", 10)
    try:
        return await database.read(work)
    finally:
        await database.close()


def pragma(name: str) -> Callable[[Connection], Any]:
    return lambda connection: connection.exec_driver_sql(f"pragma {name}").scalar()


# -- the disk


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        # full: a commit is on disk when it returns
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 10_000),
    ],
)
async def test_connection_is_set_up_for_durability(path: Path, name: str, value: str | int) -> None:
    """Every connection has the settings that make commits durable."""
    assert await with_database(path, pragma(name)) == value


async def test_file_and_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    """New folders have mode 0700; the file and the write-ahead log have mode 0600."""
    path = tmp_path / "a" / "b" / "ledger.db"
    ledger = await open_ledger(f"sqlite:///{path}")
    await ledger.apply(Changes(records=(a_record(),)))

    made = (path.parents[1], path.parent, *path.parent.iterdir())
    modes = {one.name: one.stat().st_mode & 0o777 for one in made}
    await ledger.close()

    expected = {"a": 0o700, "b": 0o700}
    expected |= dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm"), 0o600)
    assert modes == expected


@pytest.mark.server
def test_what_was_settled_survives_a_kill(path: Path, start: Callable[[str], subprocess.Popen[str]]) -> None:
    """After a kill at any moment, everything that was reported as settled is on disk."""
    child = start("desk")
    told = [lines_of(child).readline().strip() for _ in range(20)]

    child.kill()
    told += lines_of(child).read().split()

    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select id from delivery where state = 'sent'").fetchall()
        damage = connection.execute("pragma integrity_check").fetchone()
    assert damage == ("ok",)
    assert set(told) <= {name for (name,) in rows}
    assert len(told) >= 20


async def test_in_memory_ledger_is_a_ledger(tmp_path: Path) -> None:
    """A SQLite ledger in memory works."""
    ledger = await open_ledger("sqlite://")
    await fill(ledger, an_owed())

    assert await ledger.find_due(NOW, 1) == [(an_owed(), a_record())]
    await ledger.close()


@pytest.mark.parametrize("apart", [False, True])
async def test_nothing_the_loop_asks_goes_through_all_rows(path: Path, apart: bool) -> None:
    """Every query of the daemon's loop uses an index, also while rows are set apart.

    So idle milestones cost no time.
    """
    aside = quarantine.Quarantine()
    for table in ("milestone", "owed", "delivery") if apart else ():
        aside.add(UnreadableRow(table, "x", "its zone is missing"))
    plans: list[str] = []
    search = candidates.Search(now=0, at=0, latest=0, lost=False, held=(), known=None)

    def ask(connection: Connection) -> None:
        asked: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
        queue.find_due(connection, NOW, 10)
        leasing.lease(
            connection, owner="", now=NOW, at=0, duration=HOUR, limit=9, per_channel=9, most={"a/b": 0}
        )
        waiting.find_next_wake(connection, NOW, 0, frozenset({"a/b"}))
        reading.read_upcoming(connection, 1)
        lease_content.read_members(connection, ["msg"], {})
        lease_content.read_first_after(connection, [("iraq/phase-2", "desk")], NOW)
        candidates.find_free(connection, search, ["msg"])
        candidates.find_lost(connection, search, 9, {})
        quarantine.inspect(connection, 0)
        for statement, values in asked.copy():
            steps = connection.exec_driver_sql(f"explain query plan {statement}", values).all()
            plans.extend(step.detail for step in steps)

    database = await open_database(f"sqlite:///{path}", 10)
    await ensure_schema(database, migrate=True)
    database.add_options(**{quarantine.OPTION: aside})
    await database.read(ask)
    await database.close()

    # The table is read in order, and only up to the first row.
    first_only = {"SCAN owed USING INDEX owed_wake", "SCAN delivery USING INDEX delivery_next"}
    tables = ("SCAN owed", "SCAN delivery", "SCAN milestone", "SCAN member")
    assert [step for step in plans if step.startswith(tables) and step not in first_only] == []
    assert any("owed_wake (wake_at<?)" in step for step in plans)


# -- others


@pytest.mark.server
def test_two_processes_write_at_once(path: Path, start: Callable[[str], subprocess.Popen[str]]) -> None:
    """Two processes can write at the same time without errors or lost data."""
    outputs = [lines_of(start(name)) for name in ("desk", "leads")]

    told = [output.readline().strip() for _ in range(20) for output in outputs]

    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select id, receiver from delivery where state = 'sent'").fetchall()
    assert set(told) <= {name for name, _ in rows}
    assert {receiver for _, receiver in rows} == {"desk", "leads"}
    assert "" not in told


async def test_two_nodes_lease_nothing_twice(path: Path) -> None:
    """Two nodes that use the same file lease every delivery once."""
    ledgers = [await open_ledger(f"sqlite:///{path}") for _ in range(3)]
    keys = [f"k{number}" for number in range(60)]
    await fill(ledgers[0], *map(an_owed, keys), deliveries=[a_delivery(key) for key in keys])

    taken = await asyncio.gather(*(take(ledger, limit=10) for ledger in ledgers for _ in range(4)))

    ids = [lease.delivery.id for leases in taken for lease in leases]
    assert sorted(ids) == sorted(a_delivery(key).id for key in keys)
    for ledger in ledgers:
        await ledger.close()


async def test_many_open_an_empty_file_at_once(path: Path) -> None:
    """When several processes open an empty file, one creates the tables and the others wait."""
    ledgers = await asyncio.gather(*(open_ledger(f"sqlite:///{path}") for _ in range(8)))

    await ledgers[0].apply(Changes(records=(a_record(),)))

    assert [await ledger.read_records() for ledger in ledgers] == [[a_record()]] * 8
    for ledger in ledgers:
        await ledger.close()


async def test_version_changes_when_another_writes(path: Path) -> None:
    """The version changes when another connection commits, without a query of any table."""
    ours, other = [await open_ledger(f"sqlite:///{path}") for _ in range(2)]
    before = await ours.read_version()
    assert await ours.read_version() == before

    await other.apply(Changes(records=(a_record(),)))

    assert await ours.read_version() != before
    for ledger in (ours, other):
        await ledger.close()


async def test_held_ledger_is_busy_and_does_nothing(path: Path) -> None:
    """A call fails as a whole if another writer keeps the lock too long, and can be repeated."""
    ledger = await open_ledger(f"sqlite:///{path}", busy_timeout_s=0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")

        with pytest.raises(LedgerBusy, match=r"ledger\.db is locked.*try again"):
            await fill(ledger, an_owed())
        assert await ledger.find_due(NOW, 1) == []

        other.execute("rollback")
    await fill(ledger, an_owed())
    assert len(await ledger.find_due(NOW, 1)) == 1
    await ledger.close()


async def test_waiting_for_another_writer_does_not_stop_the_loop(path: Path) -> None:
    """The event loop keeps running while a call waits for the lock."""
    waiting, reading = [await open_ledger(f"sqlite:///{path}") for _ in range(2)]
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        writes = asyncio.create_task(fill(waiting, an_owed()))

        assert await reading.find_due(NOW, 1) == []
        assert not writes.done()

        other.execute("rollback")
    await writes
    assert len(await reading.find_due(NOW, 1)) == 1
    for ledger in (waiting, reading):
        await ledger.close()


# -- what can be wrong


async def refused(attempt: Coroutine[Any, Any, SqlLedger]) -> str:
    """Open the ledger and return the text of the LedgerUnavailable that it raises."""
    with pytest.raises(LedgerUnavailable) as caught:
        await attempt
    assert caught.value.__cause__ is not None
    return str(caught.value)


async def test_folder_in_place_of_the_file(tmp_path: Path) -> None:
    """The error for a folder names the path and says that it must be a file."""
    text = await refused(open_ledger(f"sqlite:///{tmp_path}"))

    assert str(tmp_path) in text
    assert "must be a file" in text


def test_file_in_place_of_a_folder(tmp_path: Path) -> None:
    """The error says that a file is in the place of a folder."""
    (tmp_path / "file").write_text("")

    text = asyncio.run(refused(open_ledger(f"sqlite:///{tmp_path}/file/ledger.db")))

    assert f"{tmp_path}/file/ledger.db" in text
    assert "name a folder" in text


def test_file_that_is_no_database(path: Path) -> None:
    """A file that is not a SQLite database is rejected and left unchanged."""
    path.write_text("dear diary, " * 100)

    text = asyncio.run(refused(open_ledger(f"sqlite:///{path}")))

    assert "no SQLite database" in text
    assert path.read_text() == "dear diary, " * 100


def test_file_that_may_not_be_written() -> None:
    """The error names the missing permission."""
    with a_folder() as folder:
        path = folder / "ledger.db"
        asyncio.run(migrate(f"sqlite:///{path}"))
        path.chmod(0o400)
        with nobody(folder):
            text = asyncio.run(refused(written_to(f"sqlite:///{path}")))

    assert str(path) in text
    assert "let the user that alertd runs as write" in text


async def written_to(url: str) -> SqlLedger:
    ledger = await open_ledger(url)
    try:
        await ledger.apply(Changes(history=(an_entry(),)))
    finally:
        await ledger.close()
    return ledger


async def test_database_that_is_read_only(path: Path) -> None:
    """A read-only database is reported in the same way, also for root."""
    await (await open_ledger(f"sqlite:///{path}")).close()
    read_only = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False),
    )
    ledger = SqlLedger(Database(reader=read_only, writer=read_only, where=str(path)))

    with pytest.raises(LedgerUnavailable, match=r"ledger\.db.*let the user that alertd runs as write"):
        await ledger.apply(Changes(history=(an_entry(),)))
    await ledger.close()


async def test_full_disk_loses_nothing(path: Path) -> None:
    """A full disk rolls the transaction back, and the error says what to do."""
    database = await open_database(f"sqlite:///{path}", 10)
    await ensure_schema(database, migrate=True)
    ledger = SqlLedger(database)
    await fill(ledger, an_owed("k1"))
    await database.read(pragma("max_page_count = 1"))
    many = tuple(an_owed(f"many {number} {'x' * 100}") for number in range(2_000))

    with pytest.raises(LedgerUnavailable, match="free some space"):
        await ledger.apply(Changes(owed=many))

    assert await ledger.read_owed("iraq/phase-2") == [an_owed("k1")]
    await ledger.close()


async def test_snapshot_of_a_newer_alertd_is_set_apart(path: Path) -> None:
    """A snapshot that cannot be read is left out, and is named with its milestone's id."""
    ledger = await open_ledger(f"sqlite:///{path}")
    await ledger.apply(Changes(records=(a_record(),)))
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("""update milestone set snapshot = '{"v":99}'""")

    assert await ledger.read_records() == []
    (apart,) = await ledger.find_unreadable(100)
    assert (apart.table, apart.key) == ("milestone", "iraq/phase-2")
    assert "version 99" in apart.why
    await ledger.close()


async def test_closed_ledger_is_unavailable(path: Path) -> None:
    """Every call after close raises LedgerUnavailable."""
    ledger = await open_ledger(f"sqlite:///{path}")
    await ledger.close()

    with pytest.raises(LedgerUnavailable, match="closed"):
        await ledger.read_records()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://alertd:hunter2@[::1/alertd",
        "postgres://alertd:hunter2@db.example.org/alertd?no=such",
        "mysql://alertd:hunter2@db/alertd",
        "alertd:hunter2@db",
    ],
)
async def test_url_that_is_of_no_use_keeps_its_password(url: str) -> None:
    """An unusable URL is rejected with a suggestion, and its password is in no message."""
    with pytest.raises(SettingsError, match=r"it is (sqlite|postgresql)://") as caught:
        await open_ledger(url)

    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


async def test_error_does_not_hold_what_was_written(path: Path) -> None:
    """Neither an error nor its cause contains the content of a row."""
    ledger = await open_ledger(f"sqlite:///{path}")
    secret = an_owed(milestone="no/such", reason=SnoozedBy(by="hunter2"))

    with pytest.raises(LedgerError, match="refuses a row") as caught:
        await ledger.apply(Changes(owed=(secret,)))

    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"
    await ledger.close()


async def test_deliveries_keep_their_state_over_a_restart(path: Path) -> None:
    """A lease of an ended process keeps others away until the lease ends."""
    first = await open_ledger(f"sqlite:///{path}")
    await fill(first, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(first)
    await first.close()

    second = await open_ledger(f"sqlite:///{path}")

    assert await take(second, owner="node-2") == []
    assert await second.find_next_wake(NOW) == lease.until
    (again,) = await take(second, owner="node-2", now=lease.until)
    assert (again.fence, again.delivery.state) == (2, DeliveryState.READY)
    await second.close()


async def test_close_ends_each_connection_in_its_own_thread(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that another thread closes is not reset any more, which SQLAlchemy would log."""
    url = f"sqlite:///{path}"
    await migrate(url)

    for _ in range(20):  # the two threads meet in about half of the attempts
        ledger = await open_ledger(url)
        await ledger.read(list_tables)
        await ledger.read_aside(list_tables)
        await ledger.close()

    assert caplog.messages == []


async def test_thread_of_its_own_writes_the_log_into_the_file(path: Path) -> None:
    """So no commit has to do that. The log does not grow without a limit while there are more commits."""
    ledger = await open_ledger(f"sqlite:///{path}")
    log = path.with_name(f"{path.name}-wal")
    wrote: set[str] = set()
    sizes: list[int] = []

    def note(thread: str) -> None:
        wrote.add(thread)

    for number in range(60):
        records = tuple(a_record(f"t/m{number}-{index}") for index in range(CHANGES // 2))
        await ledger.apply(Changes(records=records))
        # The thread has ended what it has begun, so that the next commit finds that.
        checkpoints = ledger._database.checkpoints
        assert checkpoints is not None
        await asyncio.wrap_future(checkpoints._thread.submit(lambda: note(threading.current_thread().name)))
        sizes.append(log.stat().st_size)

    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as without_log:
        (written,) = without_log.execute("select count(*) from milestone").fetchone()
    assert written > 50 * CHANGES // 2
    assert wrote == {"alertd-checkpoints"}
    assert max(sizes) < 4_400 * LONGEST
    assert max(sizes[30:]) <= max(sizes[:30]) * 1.2
    await ledger.close()


def list_tables(connection: Connection) -> int:
    return len(connection.exec_driver_sql("select name from sqlite_schema").all())
