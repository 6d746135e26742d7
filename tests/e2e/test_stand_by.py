"""A second real daemon on the same SQLite ledger: it stands by, says so, and takes over."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, a_stage, in_a_minute

pytestmark = pytest.mark.long

YEARS_AHEAD = "2099-09-30T12:00"
DONE = "The configuration is live.\n"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        yield made


def find_free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_second_daemon_stands_by_and_says_so(stage: Stage) -> None:
    """In its log, to systemd and in the status, where all is well: this is how it is meant."""
    stage.write_config()
    stage.write_timeline(m=YEARS_AHEAD)
    first = await stage.start()
    second = await stage.start()

    awaited = await second.until("lead.awaited")
    ready = await second.until("daemon.ready")
    status = " ".join((await stage.command("status")).split())
    ended = [await first.stop(), await second.stop()]

    (leader,) = {event["node"] for event in first.events if event["event"] == "lead.taken"}
    assert (awaited["leader"], awaited["node"]) == (leader, ready_node(second.events))
    assert ready["status"].startswith(f"stands by; {leader} leads; nothing")
    assert status.startswith("All is well.")
    assert status.count("reconciles") == status.count("stands by") == 1
    assert [event["event"] for event in second.events if event["level"] == "error"] == []
    assert ended == [0, 0]


def ready_node(events: list[dict[str, object]]) -> object:
    return next(event["node"] for event in events if event["event"] == "daemon.started")


@pytest.mark.parametrize("killed", [False, True])
async def test_second_daemon_takes_over(stage: Stage, killed: bool) -> None:
    """With the files as they are by then, the port and the reloads; also from a leader that was killed."""
    port = find_free_port()
    stage.write_config()
    stage.write_timeline(m=YEARS_AHEAD)
    first = await stage.start(ALERTD_LISTEN=f"127.0.0.1:{port}")
    second = await stage.start(ALERTD_LISTEN=f"127.0.0.1:{port}")
    refused = await second.until("listener.failed")

    await (first.kill() if killed else first.stop())
    stage.write_timeline(m=in_a_minute(6))
    await second.until("lead.taken")
    await second.until("listener.opened")
    reloaded = await stage.command("reload", "--wait")
    await stage.until(lambda: len(stage.requests) == 1)
    await second.until("audit.passed")
    status = await stage.command("status")

    assert "Address already in use" in refused["reason"]
    assert reloaded == DONE
    assert status.startswith("All is well.")
    assert await second.stop() == 0
    left = [place.name for place in stage.ledger.parent.glob("*-control*")]
    assert left == ([f"{stage.ledger.name}-control"] if killed else [])
