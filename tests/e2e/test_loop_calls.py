"""The loop of a real daemon opens no file of the configuration, the state or the credentials."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import alertd
from alertd import app
from alertd.core.access import SCOPES
from alertd.engine.control import ask
from alertd.system.settings import read_settings
from alertd.testing import HttpSink
from alertd.web.server.credentials import add, new_token
from tests.e2e.stage import Bell, Ringing, in_a_minute
from tests.web.stage import NO_TLS

LIMIT_S = 20.0

INSTALLED = (sys.prefix, sys.base_prefix, str(Path(alertd.__file__).parent))
"""Where the program itself is. Modules and templates of pages are read on the loop at their first use."""

SYSTEM: frozenset[str] = frozenset()
"""Files of the system that the loop opens: none. Zones are read with the definitions."""


class Watch:
    """Notes which thread opens or lists what. An audit hook cannot be removed, so all tests share it."""

    def __init__(self) -> None:
        self.root = ""
        self.calls: list[tuple[int, str, str]] = []
        self.elsewhere: list[tuple[int, str]] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.root and (event == "open" or event.startswith("os.")) and arguments:
            path = str(arguments[0])
            if path.startswith(self.root):
                self.calls.append((threading.get_ident(), event, path.removeprefix(self.root)))
            elif event in {"open", "os.listdir", "os.scandir"}:
                self.elsewhere.append((threading.get_ident(), path))

    @contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        """Note the calls for files below ``folder``."""
        self.root = str(folder)
        try:
            yield
        finally:
            self.root = ""


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def write_files(folder: Path, url: str) -> str:
    """Write a configuration that names a file of each kind. Returns a token."""
    (folder / "config" / "milestones").mkdir(parents=True)
    (folder / "config" / "alertd.yaml").write_text(
        "timezone: Asia/Kathmandu\n"
        "web: {external_url: 'http://127.0.0.1', auth: {tokens_file: tokens, users_file: users}}\n"
        "receivers:\n"
        "  - name: desk\n"
        "    notifiers:\n"
        "      - {type: webhook, url_file: hook, secret_file: key}\n"
        "      - {type: webhook, name: other, url_file: hook, format: template, template_file: body.j2}\n"
    )
    (folder / "config" / "hook").write_text(url)
    (folder / "config" / "key").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (folder / "config" / "body.j2").write_text('{"title": {{ subject }}}\n')
    (folder / "config" / "users").write_text("# nobody\n")
    write_timeline(folder, "It comes about")
    token, credential = new_token("bot", SCOPES["act"])
    add(folder / "config" / "tokens", credential)
    return token


def write_timeline(folder: Path, title: str) -> None:
    (folder / "config" / "milestones" / "t.yaml").write_text(
        "timeline: t\ntitle: T\nsources: {m: {who: A. Minister}}\n"
        "policy: {before: [1min], on_day: false, after: [], opens: false}\n"
        f"milestones: [{{id: m, title: {title}, deadline: '{in_a_minute(0)}', source: m}}]\n"
    )


async def test_loop_makes_no_call_to_the_file_system(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it sends, signs, authenticates, reloads and looks for changed files."""
    port, bell = find_free_port(), Bell()
    monkeypatch.setenv("ALERTD_LISTEN", f"127.0.0.1:{port}")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "run").mkdir()
    sink = HttpSink()
    sink.requests = Ringing(bell)
    async with sink:
        token = write_files(tmp_path, sink.url)
        settings = read_settings(
            config=tmp_path / "config", database=f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
        )
        running = asyncio.create_task(app.run(settings))
        socket_path = tmp_path / "run" / "control"
        async with asyncio.timeout(LIMIT_S):
            while not await asyncio.to_thread(os.path.exists, socket_path):
                await asyncio.to_thread(os.stat, tmp_path)
        with watch.over(tmp_path):
            await bell.until(lambda: len(sink.requests) >= 2)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS) as client:
                bearer = {"Authorization": f"Bearer {token}"}
                answers = [await client.get("/", headers=bearer), await client.get("/", headers={})]
                answers.append(await client.get("/login"))
                answers.append(await client.get("/", headers={"Authorization": "Bearer x"}))
                answers.append(await client.get("/metrics", headers=bearer))
            await asyncio.to_thread(write_timeline, tmp_path, "It came about")
            result = await asyncio.to_thread(ask, socket_path, settings.config, wait=True, within_s=LIMIT_S)
        os.kill(os.getpid(), 15)
        async with asyncio.timeout(LIMIT_S):
            status = await running

    on_loop = [call[1:] for call in watch.calls if call[0] == threading.get_ident()]
    assert on_loop == []
    elsewhere = {path for thread, path in watch.elsewhere if thread == threading.get_ident()}
    assert {path for path in elsewhere if not path.startswith(INSTALLED)} <= SYSTEM
    assert any(path.endswith("t.yaml") for _, _, path in watch.calls)
    assert [answer.status_code for answer in answers] == [200, 401, 200, 401, 200]
    assert result is not None
    assert result.accepted
    assert status == 0
