"""Defines the context of a request handler: the ledger, the clock, the definitions, and the daemon's state.

Every handler gets it from :func:`find_site`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from starlette.requests import HTTPConnection

from alertd.core.access import Web
from alertd.core.config import Config, Definitions
from alertd.core.ledger.outcome import Outcome
from alertd.engine.status import DaemonStatus
from alertd.notify.http.client import HttpClient
from alertd.ports import ActionLedger, ChangeFeed, Clock, Closable, LedgerReader, TimelineReader
from alertd.system.kept_files import KeptFiles
from alertd.system.telemetry import Log
from alertd.web.metrics import Metrics
from alertd.web.server.signing import Signer

SLACK_ANSWERS = ("https://hooks.slack.com/", "https://hooks.slack-gov.com/")
"""The prefixes of the addresses at which Slack takes answers to a click. No other address is contacted."""

Tested = Sequence[tuple[str, Outcome]]
"""The outcome of a test message for each channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundServices:
    """The means of the site to send messages.

    Attributes:
        secret: reads the file of a ``*_file`` option; raises SecretUnreadable.
        send_test: sends a test message to each notifier of a receiver, once.
        slack_answers: :data:`SLACK_ANSWERS`, or the address of a fake in tests.
        testing: held while a test runs, so that only one runs at a time.
    """

    http: HttpClient
    secret: Callable[[str], str]
    send_test: Callable[[Config, str], Awaitable[Tested]]
    slack_answers: tuple[str, ...] = SLACK_ANSWERS
    testing: asyncio.Lock = field(default_factory=asyncio.Lock)


DEFAULT_WEB = Web()


class SiteLedger(LedgerReader, TimelineReader, ActionLedger, ChangeFeed, Closable, Protocol):
    """The roles of the ledger that the site needs: it reads, and records what people do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The context that all request handlers share.

    Attributes:
        ledger: a connection of its own, so that a long read of a page delays no reminder.
        definitions: returns the definitions in force; None until the first ones are loaded.
        daemon_status: returns the present state of the daemon.
        find: returns the path of the file that a ``*_file`` key names.
        signer: the signer.
        metrics: the daemon's counters.
        outbound: the means to send messages; None if the site cannot send any.
        closing: set when the server stops, so that open streams end.
        kept: keeps the last good content of the files that access depends on.
    """

    ledger: SiteLedger
    clock: Clock
    log: Log
    node: str
    started_at: datetime
    definitions: Callable[[], Definitions | None]
    daemon_status: Callable[[], DaemonStatus]
    find: Callable[[str], Path]
    signer: Signer
    metrics: Metrics
    outbound: OutboundServices | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    kept: KeptFiles = field(default_factory=KeptFiles)

    @property
    def config(self) -> Config | None:
        """The content of ``alertd.yaml`` that is in force."""
        found = self.definitions()
        return found.config if found else None

    @property
    def web(self) -> Web:
        """The section ``web`` of the configuration."""
        config = self.config
        return config.web if config else DEFAULT_WEB

    def link(self, path: str) -> str:
        """Return the link from a page to a path of this site."""
        return f"{self.web.root}{path}"

    def address(self, path: str) -> str:
        """Return the full address of a path of this site; "" if ``external_url`` is not set."""
        external = self.web.external_url
        return f"{external}{path}" if external else ""


def find_site(request: HTTPConnection) -> Site:
    """Return the context of the application that handles a request."""
    site: Site = request.app.state.site
    return site
