"""Defines routes for tests that echo the principal, one for each scope."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alertd.core.access import Scope
from alertd.web.server.access import find_principal, require_scope


async def say(request: Request) -> Response:
    principal = find_principal(request)
    return PlainTextResponse(f"{principal.name} {principal.scope.word} {principal.how} {principal.address}")


ROUTES = [
    Route("/t/public", require_scope(Scope.PUBLIC)(say), methods=["GET", "POST"]),
    Route("/t/read", require_scope(Scope.READ)(say), methods=["GET", "POST"]),
    Route("/t/act", require_scope(Scope.ACT)(say), methods=["GET", "POST"]),
    Route("/t/admin", require_scope(Scope.ADMIN)(say), methods=["GET", "POST"]),
    Route("/t/signed", require_scope(Scope.PUBLIC, from_elsewhere=True)(say), methods=["POST"]),
]
