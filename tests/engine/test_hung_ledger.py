"""A ledger whose disk hangs: the daemon ends all the same, the process exits, and ``status`` says so."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.cli.status import _read_health
from alertd.errors import LedgerUnavailable
from alertd.store import open_ledger
from alertd.store.sql import SqlLedger
from alertd.system.clock import SystemClock
from alertd.system.settings import read_settings
from tests.engine.test_daemon import LIMIT_S, Stage
from tests.engine.test_sender import turn_of_the_loop
from tests.scene import a_milestone

HANG = """
import asyncio, sys, threading
from alertd.errors import LedgerUnavailable
from alertd.store import open_ledger

async def main():
    ledger = await open_ledger(sys.argv[1])
    ledger._database.close_limit_s = 0.05
    began = threading.Event()
    def hang(connection):
        began.set()
        threading.Event().wait()
    task = asyncio.create_task(ledger.read(hang))
    await asyncio.to_thread(began.wait)
    try:
        await ledger.close()
    except LedgerUnavailable as error:
        print(error)

asyncio.run(main())
"""


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends the hang, so that no thread is left over."""
    event = threading.Event()
    yield event
    event.set()


@asynccontextmanager
async def hanging(ledger: SqlLedger, release: threading.Event) -> AsyncIterator[None]:
    """The ledger's thread hangs in a call, as on a disk that does not answer."""
    began = threading.Event()

    def hang(_connection: object) -> None:
        began.set()
        release.wait()

    task = asyncio.create_task(ledger.read(hang))
    await asyncio.to_thread(began.wait)
    yield
    release.set()
    await task


async def test_daemon_ends_while_its_ledger_hangs(tmp_path: Path, release: threading.Event) -> None:
    """The look and the stop are given up, and the log and the exit code say so."""
    ledger = await open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    stage = Stage(ledger, SystemClock())
    stage.world = replace(stage.world, drain_s=0.05, stop_s=0.05)
    stage.define(a_milestone("t/m", "2099-09-30"))
    daemon = stage.daemon()
    await daemon.start()
    async with hanging(ledger, release):
        running = asyncio.create_task(daemon.run())
        await turn_of_the_loop()
        daemon.stop()
        async with asyncio.timeout(LIMIT_S):
            await running

    assert daemon.hung
    assert [one["level"] for one in stage.events if one["event"] == "ledger.hung"] == ["critical"]
    assert stage.names()[-1] == "daemon.stopped"
    await ledger.close()


async def test_locked_ledger_is_no_hang(tmp_path: Path) -> None:
    """A process that holds the lock makes the daemon wait, and end as usual."""
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(f"sqlite:///{path}", busy_timeout_s=0.05)
    stage = Stage(ledger, SystemClock())
    stage.define(a_milestone("t/m", "2099-09-30"))
    daemon = stage.daemon()
    await daemon.start()

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        await daemon._end()

    assert not daemon.hung
    assert stage.names("ledger.hung", "daemon.stopped") == ["daemon.stopped"]


def test_process_exits_while_a_thread_of_the_ledger_hangs(tmp_path: Path) -> None:
    """Closing gives up, and the interpreter does not wait for the thread."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"

    ran = subprocess.run(
        [sys.executable, "-c", HANG, url], capture_output=True, text=True, timeout=30, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"{tmp_path / 'ledger.db'} cannot be closed: it does not answer\n"


async def test_status_has_a_time_limit(tmp_path: Path) -> None:
    """While another process keeps the whole file, reading waits for a lock; the limit is shorter."""
    path = tmp_path / "ledger.db"
    await (await open_ledger(f"sqlite:///{path}")).close()
    settings = read_settings(config=tmp_path, database=f"sqlite:///{path}")

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("pragma locking_mode = exclusive")
        other.execute("begin exclusive")
        with pytest.raises(LedgerUnavailable) as caught:
            await _read_health(settings, 0.05)
        other.execute("rollback")

    assert str(caught.value) == "the ledger has not answered for 0.05 s: its disk or its server may hang"
