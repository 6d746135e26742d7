"""Runs the web server of a daemon. Its application is made when the first request comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from alertd.core.access import Web
from alertd.core.config import Config
from alertd.core.planning.audit import AuditFinding
from alertd.system.settings import Address
from alertd.system.worker_threads import run_aside
from alertd.web.server.context import Site
from alertd.web.server.limits import Limits
from alertd.web.server.listener import WebListener

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

DEFAULT_LIMITS = Limits()


class OnDemandApp:
    """An ASGI application that is made at the first request, so that its modules take no memory before.

    A thread makes it, because the imports take a moment and the loop sends reminders meanwhile.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: ASGIApp | None = None
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        async with self._turn:
            if self._made is None:
                self._made = await run_aside(self._make)
        await self._made(scope, receive, send)


class Serving:
    """The web server of a daemon, which listens as the configuration in force requires.

    Args:
        address: the address to listen on; None to listen nowhere.
        more: additional routes, for tests.
        limits: the limits of connections and requests.
    """

    def __init__(
        self,
        address: Address | None,
        site: Site,
        more: Iterable[BaseRoute] = (),
        *,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        def make() -> ASGIApp:
            from alertd.web.application import make_app

            return make_app(site, more)

        self.site = site
        self.listener = WebListener(
            address,
            lambda: OnDemandApp(make),
            site.log,
            site.closing,
            limits=limits,
            count=site.metrics.count_unserved,
        )
        self._web = Web()
        self._is_open = False
        self._refreshing: asyncio.Task[None] | None = None

    def use(self, config: Config) -> None:
        """Apply a configuration. Before :meth:`open`, only bind the address; afterwards, answer on it too."""
        self._web = config.web
        if self._is_open:
            self._refresh()
        else:
            self.listener.bind(config.web)

    async def open(self) -> None:
        """Start to answer requests."""
        self._is_open = True
        await self.listener.refresh(self._web)

    def findings(self) -> Sequence[AuditFinding]:
        """Return the findings for the self-audit. If the listener has failed, start another try."""
        found = self.listener.findings()
        if found and self._is_open:
            self._refresh()
        return found

    async def settled(self) -> None:
        """Wait until the work that :meth:`use` or :meth:`findings` has started is finished."""
        if self._refreshing is not None:
            await self._refreshing

    async def close(self) -> None:
        """Finish the open requests and stop the server."""
        await self.listener.close()
        await self.settled()

    def _refresh(self) -> None:
        # Keep a reference, so that the task is not garbage-collected. The listener runs one task at a time.
        self._refreshing = asyncio.create_task(self.listener.refresh(self._web))
