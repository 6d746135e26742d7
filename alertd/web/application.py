"""Makes the ASGI application: the routes, and the middleware that a request passes first."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.routing import BaseRoute, Route

from alertd.web.feeds.cache import FeedCache
from alertd.web.pages.live import Live
from alertd.web.routes import list_routes
from alertd.web.server.access import find_scope
from alertd.web.server.context import Site
from alertd.web.server.errors import HANDLERS
from alertd.web.server.middleware import (
    AuthenticationMiddleware,
    FailuresMiddleware,
    SecurityHeadersMiddleware,
    TrustedHostMiddleware,
)
from alertd.web.server.static import preload
from alertd.web.timeline.cache import MilestoneCache

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
