"""What a request handler is given: ledger, clock, the definitions in force, and how the daemon stands.

Every handler finds it by :func:`site_of`; nothing here knows a route.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from starlette.requests import HTTPConnection

from alertd.core.access import Web
from alertd.core.config import Config, Definitions
from alertd.core.ledger.outcome import Outcome
from alertd.engine.status import DaemonStatus
from alertd.notify.http.client import HttpClient
from alertd.ports import Clock, Ledger
from alertd.system.telemetry import Log
from alertd.web.metrics import Metrics
from alertd.web.server.signing import Signer

SLACK_ANSWERS = ("https://hooks.slack.com/", "https://hooks.slack-gov.com/")
"""What the addresses begin with to which answers to a click are posted: to no other place."""

Tested = Sequence[tuple[str, Outcome]]
"""How each notifier fared, by channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundServices:
    """See the module.

    Attributes:
        secret: what a ``*_file`` option's file holds; raises SecretUnreadable.
        send_test: sends a test message to each notifier of a receiver, once.
        slack_answers: as :data:`SLACK_ANSWERS`; another one in tests.
        testing: held while a test is under way: one at a time.
    """

    http: HttpClient
    secret: Callable[[str], str]
    send_test: Callable[[Config, str], Awaitable[Tested]]
    slack_answers: tuple[str, ...] = SLACK_ANSWERS
    testing: asyncio.Lock = field(default_factory=asyncio.Lock)


DEFAULT_WEB = Web()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """See the module.

    Attributes:
        ledger: the web's own connection to it: a long look holds no reminder up.
        definitions: those in force, or None before any were taken.
        daemon_status: returns the state of the daemon at the moment.
        find: where the file is that a ``*_file`` key names.
        keys: what is signed is signed with these.
        metrics: what was counted.
        outward: by what others are reached; None: nobody is.
        closing: set once the server is to end: a stream that goes on ends then.
    """

    ledger: Ledger
    clock: Clock
    log: Log
    node: str
    started_at: datetime
    definitions: Callable[[], Definitions | None]
    daemon_status: Callable[[], DaemonStatus]
    find: Callable[[str], Path]
    keys: Signer
    metrics: Metrics
    outward: OutboundServices | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def config(self) -> Config | None:
        """``alertd.yaml`` as it is in force."""
        found = self.definitions()
        return found.config if found else None

    @property
    def web(self) -> Web:
        """Its section ``web``."""
        config = self.config
        return config.web if config else DEFAULT_WEB

    def link(self, path: str) -> str:
        """A path of this server as a page links to it."""
        return f"{self.web.root}{path}"

    def address(self, path: str) -> str:
        """The same for elsewhere, in full; "" when ``external_url`` is not set."""
        external = self.web.external_url
        return f"{external}{path}" if external else ""


def site_of(request: HTTPConnection) -> Site:
    """The site that a request came to."""
    site: Site = request.app.state.site
    return site
