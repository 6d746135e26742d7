"""`alertd status` on a real daemon that cannot answer, or that has gone without a word."""

from __future__ import annotations

import signal
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
