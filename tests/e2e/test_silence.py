"""`alertd status` on a real daemon that cannot answer, or that has gone without a word."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, a_stage

pytestmark = pytest.mark.long

YEARS_AHEAD = "2099-09-30T12:00"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        made.write_config()
        made.write_timeline(m=YEARS_AHEAD)
        yield made


async def test_daemon_that_is_blocked_is_not_well(stage: Stage) -> None:
    """Its last report is seconds old and says that all is well; its loop does not turn."""
    daemon = await stage.start()
    before = await stage.command("status")

    daemon.signal(signal.SIGSTOP)
    blocked = " ".join((await stage.command("status", status=1)).split())
    daemon.signal(signal.SIGCONT)
    after = await stage.command("status")

    assert before.startswith("All is well.")
    assert "has not answered for 3 s: it is stuck." in blocked
    assert after.startswith("All is well.")
    assert await daemon.stop() == 0


async def test_daemon_that_was_killed_is_not_running(stage: Stage) -> None:
    """At once, although its last report is seconds old; and one that runs instead of it is well."""
    daemon = await stage.start()

    await daemon.kill()
    killed = await stage.command("status", status=1)
    again = await stage.start()
    after = await stage.command("status")

    assert killed.startswith("✗ No daemon is running: the last was seen ")
    assert after.startswith("All is well.")
    assert await again.stop() == 0


async def test_daemon_says_what_it_found_when_the_ledger_cannot_be_read(stage: Stage, tmp_path: Path) -> None:
    """The command fails by the ledger, and what the daemon knows of itself is not lost with that."""
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        daemon = await stage.start(ALERTD_LISTEN=address, **runtime)
        damaged = tmp_path / "damaged.sqlite3"
        damaged.write_text("This is no database.")
        ours, stage.database = stage.database, f"sqlite:///{damaged}"

        said = (await stage.said("status", **runtime)).decode()

        stage.database = ours
    assert f"found: unheard: cannot listen on {address}" in said
    assert said.splitlines()[-1].startswith(f"alertd: {damaged}: ")
    assert await daemon.stop() == 0
