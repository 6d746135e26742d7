"""Every route of the site, in the order in which they are tried: the one place to add another.

Each endpoint says by :func:`alertd.web.access.needs` who may use it.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alertd.core.web import Scope
from alertd.web.access import needs
from alertd.web.health import healthz, readyz
from alertd.web.login import login, logout
from alertd.web.metrics_page import metrics
from alertd.web.pages import page
from alertd.web.static import static


@needs(Scope.READ)
async def home(request: Request) -> Response:
    """``/``."""
    return page(request, "home.html")


def routes() -> list[Route]:
    """All of them."""
    return [
        Route("/", home),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/static/{name}", static),
    ]
