"""Lists every route of the site, in the order in which they are tried. New routes are added here.

Each endpoint declares with :func:`alertd.web.server.access.require_scope` which scope it needs.
"""

from __future__ import annotations

from starlette.routing import Route

from alertd.web.actions.link import act_by_link
from alertd.web.actions.pages import act, retry, send_test
from alertd.web.actions.slack import slack_interactive
from alertd.web.api.openapi import list_api_routes
from alertd.web.feeds.badge import badge, embed
from alertd.web.feeds.feeds import atom, guard_by_secret, ics
from alertd.web.health import healthz, readyz
from alertd.web.metrics_page import metrics
from alertd.web.pages.deliveries import deliveries, delivery
from alertd.web.pages.live import live
from alertd.web.pages.login import login, logout
from alertd.web.pages.milestone import milestone
from alertd.web.pages.unsubscribe import unsubscribe
from alertd.web.server.static import static
from alertd.web.timeline.page import timeline


def list_routes() -> list[Route]:
    """Return all routes."""
    return [
        Route("/", timeline),
        Route("/milestones/{timeline}/{name}", milestone),
        Route("/milestones/{timeline}/{name}/{kind}", act, methods=["GET", "POST"]),
        Route("/deliveries", deliveries),
        Route("/deliveries/{name}", delivery),
        Route("/deliveries/{name}/retry", retry, methods=["POST"]),
        Route("/send-test", send_test, methods=["POST"]),
        Route("/act/{token}", act_by_link, methods=["GET", "POST"]),
        Route("/slack/interactive", slack_interactive, methods=["POST"]),
        *list_api_routes(),
        *_make_feed_routes(),
        Route("/unsubscribe", unsubscribe),
        Route("/live", live),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/static/{name}", static),
    ]


def _make_feed_routes() -> list[Route]:
    """Make the routes of feeds, badges and countdowns.

    Each also exists below ``/feeds/{secret}``, for clients that cannot send a token in a header.
    """
    found = [
        ("/feeds", "/all.ics", ics),
        ("/feeds", "/all.atom", atom),
        ("/feeds", "/timelines/{timeline}.ics", ics),
        ("/feeds", "/timelines/{timeline}.atom", atom),
        ("", "/badges/{timeline}/{name}.svg", badge),
        ("", "/embed/{timeline}/{name}", embed),
    ]
    plain = [Route(f"{above}{path}", endpoint) for above, path, endpoint in found]
    return [
        *plain,
        *(Route(f"/feeds/{{secret}}{path}", guard_by_secret(endpoint)) for _, path, endpoint in found),
    ]
