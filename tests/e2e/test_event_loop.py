"""The daemon does everything on both event loops: asyncio's own and uvloop."""

import importlib.util
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.stage import Stage, a_stage, in_a_minute

pytestmark = pytest.mark.long

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
LOOPS = ["asyncio", pytest.param("uvloop", marks=pytest.mark.skipif(not HAS_UVLOOP, reason="no uvloop"))]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        yield made


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("loop", LOOPS)
async def test_sockets_processes_mails_and_signals(stage: Stage, tmp_path: Path, loop: str) -> None:
    """Webhooks, mails, a command of its own, the control socket, the page, and signals."""
    told, port = tmp_path / "told", find_free_port()
    script = tmp_path / "tell"
    script.write_text(f"#!/bin/sh\ncat > {told}.new && mv {told}.new {told}\n")
    script.chmod(0o755)
    stage.write_config(
        stage.hook(),
        "{type: email, to: [desk@example.org]}",
        f"{{type: exec, command: ['{script}']}}",
    )
    stage.write_timeline(m=in_a_minute(1))

    daemon = await stage.start(ALERTD_EVENT_LOOP=loop, ALERTD_LISTEN=f"127.0.0.1:{port}")
    await daemon.until("delivery.sent", 3)
    assert b"The configuration is live" in await stage.said("reload", "--wait")
    daemon.signal(signal.SIGHUP)
    await daemon.until("config.loaded", 3)
    async with httpx.AsyncClient(trust_env=False) as browser:
        ready = await browser.get(f"http://127.0.0.1:{port}/readyz")
    status = await daemon.stop()

    assert status == 0
    assert daemon.garbage == []
    assert daemon.events[0]["event"] == "daemon.started"
    assert daemon.events[0]["loop"] == loop
    assert ready.status_code == 200
    assert (len(stage.requests), len(stage.mails)) == (1, 1)
    assert "It comes about" in told.read_text()


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_hundred_webhooks_need_few_connections(stage: Stage, loop: str) -> None:
    """What is due at once is posted on connections that are kept."""
    stage.write_config()
    stage.write_timeline(**{f"m{number}": in_a_minute(1) for number in range(100)})

    daemon = await stage.start(ALERTD_EVENT_LOOP=loop)
    await daemon.until("delivery.sent", 100)
    await daemon.stop()

    assert len(stage.requests) == 100
    assert stage.http.connections <= 16
