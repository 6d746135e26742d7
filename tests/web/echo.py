"""Defines routes for tests that echo the principal, one for each scope."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alertd.core.access import Scope
from alertd.web.server.access import needs, visitor_of


async def say(request: Request) -> Response:
    visitor = visitor_of(request)
    return PlainTextResponse(f"{visitor.name} {visitor.scope.word} {visitor.how} {visitor.address}")


ROUTES = [
    Route("/t/public", needs(Scope.PUBLIC)(say), methods=["GET", "POST"]),
    Route("/t/read", needs(Scope.READ)(say), methods=["GET", "POST"]),
    Route("/t/act", needs(Scope.ACT)(say), methods=["GET", "POST"]),
    Route("/t/admin", needs(Scope.ADMIN)(say), methods=["GET", "POST"]),
    Route("/t/signed", needs(Scope.PUBLIC, from_elsewhere=True)(say), methods=["POST"]),
]
