"""The real daemon is restarted while ``alertd.yaml`` is broken, missing or a pipe."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from alertd.core.access import SCOPES
from alertd.web.server.credentials import add, new_token
from tests.e2e.stage import Stage, a_stage, in_a_minute
from tests.web.stage import NO_TLS


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        (made.config / "hook").write_text(made.http.url)
        made.write(
            "alertd.yaml",
            "route: {receiver: desk}\n"
            "receivers: [{name: desk, notifiers: [{type: webhook, url_file: hook}]}]\n"
            "web: {auth: {tokens_file: tokens}}\n",
        )
        made.write_timeline(m="2099-09-30T12:00")
        yield made


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.long
@pytest.mark.parametrize("way", ["half written", "pipe"])
async def test_daemon_goes_on_with_the_same_receivers_and_access_rules(stage: Stage, way: str) -> None:
    """What was 401 stays 401, the reminder goes to the same receiver, and `alertd status` fails."""
    token, credential = new_token("bot", SCOPES["read"])
    add(stage.config / "tokens", credential)
    daemon = await stage.start()
    await daemon.stop()
    stage.write_timeline(m="2099-09-30T12:00", n=in_a_minute(10))
    file = stage.config / "alertd.yaml"
    text = file.read_text()
    file.unlink()
    file.write_text(text[:50]) if way == "half written" else os.mkfifo(file)
    port = find_free_port()

    daemon = await stage.start(ALERTD_LISTEN=f"127.0.0.1:{port}")
    await stage.until(lambda: len(stage.requests) >= 1)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS) as client:
        anonymous = await client.get("/api/v1/milestones")
        known = await client.get("/api/v1/milestones", headers={"Authorization": f"Bearer {token}"})
    status = (await stage.said("status")).decode()
    file.unlink()
    stage.write("alertd.yaml", text)
    await stage.command("reload", "--wait")

    assert daemon.count("config.kept") == 1
    assert (anonymous.status_code, known.status_code) == (401, 200)
    assert "alertd.yaml" in status
    assert await daemon.stop() == 0


async def test_daemon_without_a_configuration_exits_with_78(stage: Stage) -> None:
    """A restart by systemd would not help: a person must say what is meant."""
    daemon = await stage.start()
    await daemon.stop()
    (stage.config / "alertd.yaml").unlink()

    daemon = await stage.spawn()

    assert await daemon.ended() == 78
    assert daemon.count("config.kept") == 0
