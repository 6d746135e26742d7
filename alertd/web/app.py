"""Makes the application: the routes, and the layers that a request passes before it comes to one."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.routing import BaseRoute, Route

from alertd.web.feeds.cache import Kept
from alertd.web.pages.cache import Shelf
from alertd.web.pages.live import Live
from alertd.web.routes import routes
from alertd.web.server.access import scope_of
from alertd.web.server.context import Site
from alertd.web.server.errors import HANDLERS
from alertd.web.server.failures import Failures
from alertd.web.server.gate import Gate
from alertd.web.server.headers import Headers
from alertd.web.server.hosts import Hosts

MAX_BODY = 64 * 1024
"""Bytes of a request's body: forms and small JSON, no uploads."""


def make_app(site: Site, more: Iterable[BaseRoute] = ()) -> Starlette:
    """The application.

    Args:
        more: further routes, for tests.

    Raises:
        TypeError: a route does not say who may use it.
    """
    every = [*routes(), *more]
    for route in every:
        if not isinstance(route, Route) or scope_of(route.endpoint) is None:
            raise TypeError(
                f"{route}: its endpoint does not say who may use it; see alertd.web.server.access.needs"
            )
    app = Starlette(
        routes=every,
        middleware=[
            Middleware(Headers, site=site),
            Middleware(Failures, site=site),
            Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY),
            Middleware(Hosts, site=site),
            Middleware(Gate, site=site),
        ],
        exception_handlers=HANDLERS,
    )
    app.state.site = site
    app.state.shelf = Shelf(site)
    app.state.live = Live(site)
    app.state.feeds = Kept(site)
    return app
