"""Runs the real web server on a real socket over a real ledger. Tests set the state of the daemon."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.routing import BaseRoute

from alertd.core.access import SCOPES
from alertd.core.config import Config, Definitions
from alertd.core.planning.audit import Audit
from alertd.definitions.config.read import read_config
from alertd.engine.status import DaemonStatus
from alertd.ports import Ledger
from alertd.system.secrets import file_paths
from alertd.system.settings import Address
from alertd.web.app import DEFAULT_LIMITS, Serving
from alertd.web.metrics import Metrics
from alertd.web.server.context import OutboundServices, Site
from alertd.web.server.credentials import add, new_token, new_user
from alertd.web.server.limits import Limits
from alertd.web.server.signing import Signer
from tests.scene import StepClock, a_ledger, a_log, when

NOW = when("2026-09-01T12:00")
SECRET = b"a secret of the tests, not of anybody else"
PASSWORD = "correct horse battery"
HOME = Address(host="127.0.0.1", port=0)
EVERYWHERE = Address(host="0.0.0.0", port=0)
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The server speaks plain HTTP. Without this context, each client would load the certificates of all CAs."""
TOKENS = "auth: {tokens_file: tokens}"


@dataclass
class Stage:
    """The server under test.

    Attributes:
        events: the log entries.
        daemon_status: the state of the daemon; tests replace it.
    """

    folder: Path
    ledger: Ledger
    clock: StepClock
    events: list[dict[str, Any]]
    site: Site
    serving: Serving
    daemon_status: DaemonStatus
    definitions: Definitions | None = None
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.serving.listener.addresses[0].rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"http://{self.serving.listener.addresses[0]}"

    def configure(self, web: str = "") -> Config:
        """Put a configuration in force with the section ``web``, in YAML flow style without its braces."""
        read = read_config(f"web: {{{web}}}\n".encode(), {}, None)
        assert read.config is not None, read.problems
        self.definitions = Definitions(config=read.config)
        return read.config

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Make a client that keeps cookies and does not follow redirects."""
        made = httpx.AsyncClient(**{"base_url": self.url, "verify": NO_TLS, **options})
        self._clients.append(made)
        return made

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Send a GET request with a new client."""
        return await self.client().get(path, headers=headers)

    def token(self, name: str, scope: str) -> str:
        """Add a token to the file ``tokens``, and return it."""
        made, credential = new_token(name, SCOPES[scope])
        add(self.folder / "tokens", credential)
        return made

    def user(self, name: str, scope: str) -> None:
        """Add a user with the password PASSWORD to the file ``users``."""
        add(self.folder / "users", new_user(name, SCOPES[scope], PASSWORD))

    async def log_in(self, secret: str, **fields: str) -> tuple[httpx.AsyncClient, httpx.Response]:
        """Send the login form with a new client, and return the client and the answer."""
        browser = self.client()
        form = await browser.get("/login")
        sent = {"csrf": csrf_of(form.text), "secret": secret, **fields}
        return browser, await browser.post("/login", data=sent)

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()
        await self.serving.close()


@asynccontextmanager
async def a_stage(
    folder: Path,
    web: str = "",
    *,
    routes: Iterable[BaseRoute] = (),
    address: Address = HOME,
    at: datetime = NOW,
    outbound: OutboundServices | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[Stage]:
    """Run the server while the context is entered."""
    async with a_ledger("file", folder) as ledger:
        clock = StepClock(at)
        log, events = a_log()
        site = Site(
            ledger=ledger,
            clock=clock,
            log=log,
            node="node-1",
            started_at=at,
            definitions=lambda: stage.definitions,
            daemon_status=lambda: stage.daemon_status,
            find=file_paths(folder, {}),
            signer=Signer(lambda: SECRET),
            metrics=Metrics(at),
            outbound=outbound,
        )
        serving = Serving(address, site, routes, limits=limits)
        daemon_status = DaemonStatus(leads=True, is_well=True, audit=Audit(at=at))
        stage = Stage(folder, ledger, clock, events, site, serving, daemon_status)
        serving.use(stage.configure(web))
        await serving.open()
        try:
            yield stage
        finally:
            await stage.close()


def csrf_of(page: str) -> str:
    """Return the CSRF token of a page's form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]
