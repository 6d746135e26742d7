"""`alertd backup`, `restore` and `prune` on a real ledger, both in use and not in use."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from alertd import app
from alertd.ports import Ledger
from alertd.store import open_ledger
from tests.cli.stage import Staged, run, staged, write_folder
from tests.cli.test_plan import CONFIG, TIMELINE

SENT_AT = datetime(2026, 10, 1, 6, tzinfo=UTC)
COMMIT_LIMIT = 100_000
"""How many times another connection commits, at most, while a backup runs."""


@pytest.fixture
def stage(tmp_path: Path) -> Staged:
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG, iraq=TIMELINE))
    stage.daemon_at(datetime(2026, 9, 30, 6, tzinfo=UTC))
    return stage


def sent_ids(url: str) -> list[str]:
    async def read() -> list[str]:
        ledger: Ledger = await open_ledger(url)
        try:
            return sorted(delivery.id for delivery, _, _ in await ledger.find_deliveries())
        finally:
            await ledger.close()

    return asyncio.run(read())


def ledger_file(stage: Staged) -> Path:
    return Path(stage.url.partition(":///")[2])


def test_restore_restores_the_copied_ledger(stage: Staged, tmp_path: Path) -> None:
    """restore replaces the ledger by the copy, and keeps the replaced ledger beside it."""
    before = sent_ids(stage.url)
    made = run("backup", str(tmp_path / "copy"), "--database", stage.url)
    stage.daemon_at(SENT_AT)
    after = sent_ids(stage.url)

    back = run("restore", str(tmp_path / "copy"), "--database", stage.url)

    assert (made.code, back.code) == (0, 0), back.err
    assert set(before) < set(after)
    assert sent_ids(stage.url) == before
    kept = ledger_file(stage).with_name(ledger_file(stage).name + ".replaced")
    assert sent_ids(f"sqlite:///{kept}") == after
    assert ledger_file(stage).stat().st_mode & 0o777 == 0o600


def test_reminders_sent_after_the_copy_are_sent_again_with_the_same_ids(
    stage: Staged, tmp_path: Path
) -> None:
    """After a restore, the daemon sends later reminders again under their old ids."""
    run("backup", str(tmp_path / "copy"), "--database", stage.url)
    stage.daemon_at(SENT_AT)
    after = sent_ids(stage.url)

    run("restore", str(tmp_path / "copy"), "--database", stage.url)
    stage.daemon_at(SENT_AT)

    assert sent_ids(stage.url) == after


def test_backup_during_a_write_is_consistent(stage: Staged, tmp_path: Path) -> None:
    """A backup during a transaction contains none of its changes."""
    with closing(sqlite3.connect(ledger_file(stage), isolation_level=None)) as writer:
        writer.execute("begin immediate")
        writer.execute("update delivery set reason = 'half done'")

        made = run("backup", str(tmp_path / "copy"), "--database", stage.url)

        writer.execute("rollback")
    assert made.code == 0, made.err
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("select count(*) from delivery where reason = 'half done'").fetchone() == (0,)
    assert [path.name for path in tmp_path.glob("*copy*")] == ["copy"]
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


def commit_until(stop: Event, path: Path, started: Event) -> int:
    """Add 1 to the counters ``head`` and ``tail`` in each transaction and return the number of commits.

    The first and the last of many pages hold the counters. A writer that has to wait for a lock fails.
    """
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as writer:
        writer.execute("pragma synchronous = off")
        commits = 0
        try:
            while commits < COMMIT_LIMIT and not stop.is_set():
                writer.execute("begin immediate")
                writer.execute("update head set commits = commits + 1")
                writer.execute("update tail set commits = commits + 1")
                writer.execute("commit")
                commits += 1
                started.set()
        finally:
            started.set()
        return commits


def read_counters(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        (head,) = connection.execute("select commits from head").fetchone()
        (tail,) = connection.execute("select commits from tail").fetchone()
    return head, tail


def test_backup_ends_while_another_connection_keeps_committing(stage: Staged, tmp_path: Path) -> None:
    """A backup ends and copies one snapshot, although commits come faster than pages are copied."""
    before = sent_ids(stage.url)
    with closing(sqlite3.connect(ledger_file(stage))) as connection:
        connection.executescript(
            """
            create table head as select 0 as commits;
            create table bulk as select zeroblob(16 * 1024 * 1024) as content;
            create table tail as select 0 as commits;
            """
        )
    stop, started = Event(), Event()
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(commit_until, stop, ledger_file(stage), started)
        started.wait()
        try:
            made = run("backup", str(tmp_path / "copy"), "--database", stage.url)
        finally:
            stop.set()
        commits = writer.result()
    head, tail = read_counters(tmp_path / "copy")
    back = run("restore", str(tmp_path / "copy"), "--database", stage.url)

    assert (made.code, back.code) == (0, 0), made.err + back.err
    assert 1 <= head == tail <= commits < COMMIT_LIMIT
    assert read_counters(ledger_file(stage)) == (head, tail)
    assert sent_ids(stage.url) == before


def test_restore_refuses_a_ledger_in_use(stage: Staged, tmp_path: Path) -> None:
    """restore refuses to replace a ledger that a daemon has opened."""
    run("backup", str(tmp_path / "copy"), "--database", stage.url)
    before = sent_ids(stage.url)

    with closing(sqlite3.connect(ledger_file(stage))) as daemon:
        daemon.execute("select count(*) from delivery").fetchone()
        refused = run("restore", str(tmp_path / "copy"), "--database", stage.url)

    assert refused.code == 1
    assert "is in use; stop the daemon first" in refused.err
    assert sent_ids(stage.url) == before


def test_restore_names_what_to_do_with_a_damaged_ledger(stage: Staged, tmp_path: Path) -> None:
    """restore does not replace a ledger that is no database any more, and says what to move away."""
    run("backup", str(tmp_path / "copy"), "--database", stage.url)
    ledger_file(stage).write_bytes(b"\xa5" * 8192)

    refused = run("restore", str(tmp_path / "copy"), "--database", stage.url)
    ledger_file(stage).rename(tmp_path / "damaged")
    back = run("restore", str(tmp_path / "copy"), "--database", stage.url)

    assert refused.code == 1
    assert "is damaged: file is not a database; move it away, with ledger.sqlite3-wal" in refused.err
    assert back.code == 0, back.err
    assert sent_ids(stage.url)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no copy of a ledger"), (b"SQLite format 3\0" + b"\xff" * 5000, "no copy of a ledger")],
    ids=["empty", "garbage"],
)
def test_restore_refuses_a_file_that_is_no_ledger(
    stage: Staged, tmp_path: Path, content: bytes, said: str
) -> None:
    """restore refuses an empty file and a damaged database, and keeps the ledger."""
    (tmp_path / "copy").write_bytes(content)

    refused = run("restore", str(tmp_path / "copy"), "--database", stage.url)

    assert refused.code == 1
    assert said in refused.err
    assert sent_ids(stage.url)


def test_backup_overwrites_nothing(stage: Staged, tmp_path: Path) -> None:
    """backup refuses to overwrite a file."""
    (tmp_path / "copy").write_text("mine")

    refused = run("backup", str(tmp_path / "copy"), "--database", stage.url)

    assert refused.code == 1
    assert (tmp_path / "copy").read_text() == "mine"


def test_backup_of_postgresql_names_pg_dump(tmp_path: Path) -> None:
    """backup refuses a PostgreSQL ledger and names pg_dump."""
    refused = run("backup", str(tmp_path / "copy"), "--database", "postgresql://localhost/alertd")

    assert refused.code == 1
    assert "pg_dump" in refused.err


def test_prune_deletes_only_removed_milestones(stage: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    """prune deletes milestones that were removed long enough ago, and keeps the others."""
    (stage.folder / "milestones" / "iraq.yaml").unlink()
    other = TIMELINE.replace("timeline: iraq", "timeline: other")
    (stage.folder / "milestones" / "other.yaml").write_text(other)
    stage.daemon_at(SENT_AT)

    early = run("prune", "--older-than", "30d", *stage.args)
    monkeypatch.setattr(app, "now", lambda: datetime(2026, 12, 1, tzinfo=UTC))
    lately = run("prune", "--older-than", "90d", *stage.args)
    monkeypatch.setattr(app, "now", lambda: datetime(2029, 1, 1, tzinfo=UTC))
    late = run("prune", *stage.args)

    assert early.code == 2
    assert "forgot 0 milestones" in lately.out
    assert late.code == 0, late.err
    assert "forgot 0 milestones" not in late.out
    timelines = stage.with_ledger(lambda ledger: ledger.read_timelines())
    assert set(timelines) == {"other"}
