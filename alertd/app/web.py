"""Builds the web server of a daemon, and closes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from alertd.app.ledger import open_ledger
from alertd.app.notifiers import send_test
from alertd.errors import LedgerError
from alertd.system.settings import Settings

if TYPE_CHECKING:
    from alertd.app.access_files import AccessFiles
    from alertd.core.access import Web
    from alertd.engine.daemon import Daemon
    from alertd.engine.deps import Dependencies
    from alertd.notify.http.client import HttpClient
    from alertd.ports import Ledger
    from alertd.system.telemetry import Log
    from alertd.web.app import Serving
    from alertd.web.metrics import Metrics

WEB_CLOSE_S = 2.0
"""How long the web server may take to close when the daemon has ended. The daemon has closed it before."""


async def build_web(
    settings: Settings,
    daemon: Daemon,
    deps: Dependencies,
    *,
    book: Ledger,
    http: HttpClient,
    files: AccessFiles,
    metrics: Metrics,
) -> Serving:
    """Build the web server, which has a connection to the ledger of its own."""
    from alertd.system.descriptors import raise_descriptor_limit
    from alertd.web.app import Serving
    from alertd.web.server.context import DEFAULT_WEB, OutboundServices, Site
    from alertd.web.server.limits import derive_limits

    def web_in_force() -> Web:
        found = daemon.definitions
        return found.config.web if found and found.config else DEFAULT_WEB

    site = Site(
        # Each connection to a ledger in memory would be a ledger of its own.
        ledger=book if settings.database_url() == "sqlite://" else await open_ledger(settings, create=False),
        clock=deps.clock,
        log=deps.log,
        node=deps.node,
        started_at=deps.clock.now(),
        definitions=lambda: daemon.definitions,
        daemon_status=lambda: daemon.status,
        find=files.find,
        kept=files.kept,
        signer=files.make_signer(web_in_force),
        metrics=metrics,
        outbound=OutboundServices(
            http=http,
            secret=files.read_secret,
            send_test=lambda config, receiver: send_test(
                config, settings.config, receiver, secret=files.read_secret
            ),
        ),
    )
    return Serving(settings.address, site, limits=derive_limits(raise_descriptor_limit()))


async def close_web(web: Serving, log: Log) -> None:
    """Stop the web server, and give up its ledger if that does not answer."""
    from alertd.system.telemetry import Event

    try:
        async with asyncio.timeout(WEB_CLOSE_S):
            await web.close()
        await web.site.ledger.close()
    except (TimeoutError, LedgerError) as error:
        log.error(Event.LEDGER_FAILED, reason=str(error) or "the web server cannot be closed")
