"""Makes the ASGI application: the routes, and the middleware that a request passes first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.routing import BaseRoute, Route

from alertd.core.access import Web
from alertd.core.config import Config
from alertd.core.planning.audit import AuditFinding
from alertd.system.settings import Address
from alertd.web.feeds.cache import FeedCache
from alertd.web.pages.live import Live
from alertd.web.routes import list_routes
from alertd.web.server.access import find_scope
from alertd.web.server.context import Site
from alertd.web.server.errors import HANDLERS
from alertd.web.server.limits import Limits
from alertd.web.server.listener import WebListener
from alertd.web.server.middleware import (
    AuthenticationMiddleware,
    FailuresMiddleware,
    SecurityHeadersMiddleware,
    TrustedHostMiddleware,
)
from alertd.web.server.static import preload
from alertd.web.timeline.cache import MilestoneCache

DEFAULT_LIMITS = Limits()
MAX_BODY = 64 * 1024
"""The largest request body, in bytes. The site takes forms and small JSON, and no uploads."""


def make_app(site: Site, more: Iterable[BaseRoute] = ()) -> Starlette:
    """Make the application.

    Args:
        more: additional routes, for tests.

    Raises:
        TypeError: an endpoint does not declare the scope that it needs.
    """
    every = [*list_routes(), *more]
    for route in every:
        if not isinstance(route, Route) or find_scope(route.endpoint) is None:
            raise TypeError(
                f"{route}: its endpoint does not say who may use it; see alertd.web.server.access.needs"
            )
    app = Starlette(
        routes=every,
        middleware=[
            Middleware(SecurityHeadersMiddleware, site=site),
            Middleware(FailuresMiddleware, site=site),
            Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY),
            Middleware(TrustedHostMiddleware, site=site),
            Middleware(AuthenticationMiddleware, site=site),
        ],
        exception_handlers=HANDLERS,
    )
    preload()
    app.state.site = site
    app.state.cache = MilestoneCache(site)
    app.state.live = Live(site)
    app.state.feeds = FeedCache(site)
    return app


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
        self.site = site
        self.listener = WebListener(
            address,
            lambda: make_app(site, more),
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
