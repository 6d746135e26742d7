"""The real daemon as a process of its own, asked over HTTP."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from alertd.core.access import Scope
from alertd.web.server.credentials import add, new_token
from tests.e2e.stage import Process, Stage, a_stage, in_a_minute
from tests.web.stage import NO_TLS

ANYWHERE = "127.0.0.1:0"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        yield made


async def url_of(daemon: Process) -> str:
    opened = await daemon.until("listener.opened")
    return f"http://{opened['addresses'][0]}"


def a_token(stage: Stage) -> str:
    """One that may read, in the file that the daemon looks at."""
    token, one = new_token("ada", Scope.READ)
    add(stage.config / "tokens", one)
    return token


async def test_daemon_answers_beside_what_it_sends(stage: Stage) -> None:
    """What it has sent is counted, it says that it is ready, and it ends with its server."""
    stage.write_config()
    stage.write_timeline(m=in_a_minute(0))

    daemon = await stage.start(ALERTD_LISTEN=ANYWHERE)
    url = await url_of(daemon)
    await daemon.until("delivery.sent")
    async with httpx.AsyncClient(base_url=url, verify=NO_TLS) as client:
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
        page = await client.get("/", headers={"Accept": "text/html"})
        metrics = (await client.get("/metrics")).text
        status = await daemon.stop()

    assert (alive.status_code, ready.status_code, page.status_code, status) == (200, 200, 200, 0)
    told = {
        (sample.name, sample.labels.get("outcome", "")): sample.value
        for family in parse(metrics)
        for sample in family.samples
    }
    assert told["alertd_deliveries_total", "sent"] == 1
    assert told["alertd_ready", ""] == 1
    assert told["alertd_delivery_lateness_seconds_count", ""] == 1
    assert daemon.garbage == []
    assert daemon.count("listener.closed") == 1


async def test_used_port_costs_no_reminder(stage: Stage) -> None:
    """It is said, it is a finding, and what is due goes out all the same."""
    stage.write_config()
    stage.write_timeline(m=in_a_minute(1))
    async with asyncio.timeout(20):
        taken = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with taken:
        address = f"127.0.0.1:{taken.sockets[0].getsockname()[1]}"

        daemon = await stage.start(ALERTD_LISTEN=address)
        failed, found = await daemon.until("listener.failed"), await daemon.until("audit.failed")
        await stage.until(lambda: len(stage.requests) == 1)
        status = await daemon.stop()

    assert failed["reason"] == f"cannot listen on {address}: Address already in use"
    assert found["finding"] == f"unheard: {failed['reason']}"
    assert status == 0


async def test_reload_changes_who_may_come_in(stage: Stage) -> None:
    """Without a restart, and for a token that is made while it runs."""
    stage.write_config()
    daemon = await stage.start(ALERTD_LISTEN=ANYWHERE)
    async with httpx.AsyncClient(base_url=await url_of(daemon), verify=NO_TLS) as client:
        before = await client.get("/")

        stage.write_config(more="web: {auth: {tokens_file: tokens}}\n")
        daemon.signal(signal.SIGHUP)
        await daemon.until("config.loaded", 2)
        token = a_token(stage)
        without = await client.get("/")
        shown = await client.get("/", headers={"Authorization": f"Bearer {token}"})

    assert (before.status_code, without.status_code, shown.status_code) == (200, 401, 200)
    assert token not in json.dumps(daemon.events)


@pytest.mark.parametrize("text", [None, "", "# web:\n"], ids=["missing", "empty", "comments"])
async def test_access_rules_outlast_the_file_they_stand_in(stage: Stage, text: str | None) -> None:
    """A running daemon whose alertd.yaml is missing or has no content still asks for a login."""
    stage.write_config(more="web: {auth: {tokens_file: tokens}}\n")
    token = a_token(stage)
    daemon = await stage.start(ALERTD_LISTEN=ANYWHERE)
    async with httpx.AsyncClient(base_url=await url_of(daemon), verify=NO_TLS) as client:
        if text is None:
            (stage.config / "alertd.yaml").unlink()
        else:
            stage.write("alertd.yaml", text)
        daemon.signal(signal.SIGHUP)
        await daemon.until("config.refused")

        without = await client.get("/")
        shown = await client.get("/", headers={"Authorization": f"Bearer {token}"})

    assert (without.status_code, shown.status_code) == (401, 200)


async def test_own_secret_lies_beside_the_ledger(stage: Stage) -> None:
    """So that a session outlives a restart."""
    stage.write_config(more="web: {auth: {tokens_file: tokens}}\n")
    token = a_token(stage)
    statuses = []
    async with httpx.AsyncClient(verify=NO_TLS) as browser:
        for number in range(2):
            daemon = await stage.start(ALERTD_LISTEN=ANYWHERE)
            url = await url_of(daemon)
            if number == 0:
                form = await browser.get(f"{url}/login")
                csrf = form.text.partition('name="csrf" value="')[2].partition('"')[0]
                await browser.post(f"{url}/login", data={"csrf": csrf, "secret": token})
            statuses.append((await browser.get(f"{url}/")).status_code)
            await daemon.stop()

    assert statuses == [200, 200]
    assert stage.ledger.with_name("web.key").stat().st_mode & 0o777 == 0o600
