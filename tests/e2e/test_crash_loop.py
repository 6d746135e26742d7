"""A message that ends the real daemon each time: all others arrive, and this one is given up and reported."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from alertd.engine.delivery import MAX_LOST_LEASES
from tests.e2e.stage import Process, Stage, a_stage, body, in_a_minute

pytestmark = pytest.mark.long

SENT = "delivery.sent"
CULPRIT = "culprit"
KILLS = f"message=$(cat); case $message in *t/{CULPRIT}*) kill -9 $PPID; exit;; esac; echo $ALERTD_MILESTONE"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        yield made


def write_files(stage: Stage, arrived: Path) -> None:
    """A receiver whose command kills the daemon on one message, and notes the milestone of any other."""
    command = json.dumps(["sh", "-c", f"{KILLS} >> {arrived}"])
    receivers = "".join(
        f"  - {{name: {name}, notifiers: [{stage.hook(f'/{name}')}]}}\n" for name in ("spare", "ops")
    )
    more = f"{receivers}fallback_receiver: spare\noperator: ops\n"
    stage.write_config(f"{{type: exec, command: {command}}}", more=more)
    stage.write_timeline(**dict.fromkeys((CULPRIT, "a", "b", "c", "d"), in_a_minute(0)))


def end_leases(stage: Stage) -> None:
    """Let five minutes pass for the leases, and nothing else."""
    with closing(sqlite3.connect(stage.ledger)) as ledger, ledger:
        ledger.execute("update delivery set lease_until = lease_until - 300 * 1000000")


async def run_until(daemon: Process, event: str, times: int) -> bool:
    """Wait until the daemon has logged an event so many times, or has ended. Returns whether it ended."""
    await daemon.bell.until(
        lambda: daemon.count(event) >= times or daemon.inner.returncode is not None, lambda: daemon.events
    )
    return daemon.inner.returncode is not None


async def test_message_that_kills_the_daemon_is_set_apart(stage: Stage, tmp_path: Path) -> None:
    """After a few ends it goes to the fallback and the operator hears; the status shows it before that."""
    arrived = tmp_path / "arrived"
    write_files(stage, arrived)

    for _ in range(MAX_LOST_LEASES):
        daemon = await stage.spawn()
        assert await daemon.ended() == -9
        end_leases(stage)
    shown = await stage.command("status", status=1)
    daemon = await stage.start()
    await stage.until(lambda: {"/spare", "/ops"} <= {one.path for one in stage.requests})
    await daemon.until("delivery.died")
    again = await daemon.until("lease.lost")
    await daemon.stop()

    assert f"The process ended {MAX_LOST_LEASES} times while alertd was sending msg_" in shown
    assert again["lost"] >= 1
    assert set(arrived.read_text().split()) == {"t/a", "t/b", "t/c", "t/d"}
    (spare,) = [one for one in stage.requests if one.path == "/spare"]
    assert [item["milestone"] for item in body(spare)["data"]["items"]] == [f"t/{CULPRIT}"]
    (notice,) = [one for one in stage.requests if one.path == "/ops"]
    assert "alertd ended 4 times in a row while it was sending this message" in notice.body.decode()
    assert "delivery.died" in {event["event"] for event in daemon.events}
