"""Feeds at a secret address, for programs that can show nothing else: ``/feeds/{secret}/all.ics``.

The secret is a token of the scope ``feed``. Any other token is refused here, valid or not: an address stands
in settings, histories and logs of others.
"""

from __future__ import annotations

from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.web.server.access import Endpoint, Visitor, needs, visitor_of
from alertd.web.server.authenticate import Doorkeeper, Shown
from alertd.web.server.refusal import Refusal

BY_ADDRESS = "address"
"""How such a visitor has come in."""


def by_secret(endpoint: Endpoint) -> Endpoint:
    """The same endpoint for whoever knows a secret."""

    @needs(Scope.PUBLIC)
    @wraps(endpoint)
    async def guarded(request: Request) -> Response:
        await _admit(request)
        return await endpoint(request)

    return guarded


def came_by_secret(request: Request) -> bool:
    """Whether a secret stands in the address that was asked for."""
    return visitor_of(request).how == BY_ADDRESS


async def _admit(request: Request) -> None:
    doorkeeper: Doorkeeper = request.state.doorkeeper
    stranger = visitor_of(request)
    try:
        shown = Shown(secret=request.path_params["secret"])
        one = await doorkeeper.check(shown, stranger.address, BY_ADDRESS)
    except Refusal as refusal:
        if refusal.status_code != 401:
            raise
        # Not 401: a calendar would ask its owner for a password that does not exist.
        raise Refusal(404, "there is no such feed; its secret may have been dropped") from None
    if one.scope is not Scope.FEED:
        raise Refusal(403, "only a token of the scope feed may stand in an address")
    request.state.visitor = Visitor(
        name=one.name, scope=one.scope, how=BY_ADDRESS, session=stranger.session, address=stranger.address
    )
