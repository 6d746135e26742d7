"""Who asks, what they may do, and what every route says of it.

Rules that hold here:
- a route says which scope it needs, by :func:`needs`; an application with one that does not is not made;
- what changes something comes from this site itself, and carries the token of the form it was sent from, or
  is JSON, which no form can send; who shows a token in the Authorization header, which no browser adds by
  itself, needs none of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.web.server.session import Session

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"

R = TypeVar("R", bound=Response)
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks.

    Attributes:
        name: of the token or the person; "" for who shows nothing.
        how: ``token``, ``session``, ``password``, ``proxy``, or ``nothing``.
        session: what the browser keeps; new for one that has kept nothing.
        address: where the request comes from, as far as it can be known.
    """

    name: str
    scope: Scope
    how: str
    session: Session
    address: str

    @property
    def by(self) -> str:
        """Who acted, for the history."""
        return self.name or f"somebody at {self.address}"


def visitor_of(request: HTTPConnection) -> Principal:
    """Who sent a request."""
    visitor: Principal = request.state.visitor
    return visitor


def needs(scope: Scope, *, from_elsewhere: bool = False) -> Callable[[Endpoint], Endpoint]:
    """What a visitor must be allowed to do, to be let in to an endpoint.

    Args:
        from_elsewhere: it takes a POST from other sites or programs, and verifies a signature itself.
    """

    def guarded(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def guard(request: Request) -> Response:
            visitor = visitor_of(request)
            refuse_less_than(request, scope)
            if request.method not in SAFE and not from_elsewhere and visitor.how != "token":
                await _refuse_forged(request, visitor)
            return await endpoint(request)

        guard.scope = scope  # type: ignore[attr-defined]
        return guard

    return guarded


def refuse_less_than(request: Request, scope: Scope) -> None:
    """Refuse a visitor who may not do so much."""
    visitor = visitor_of(request)
    if visitor.scope < scope:
        raise RequestRefused(403 if visitor.name else 401, f"this needs the scope {scope.word}")


def kind_of(request: Request) -> str:
    """The media type of a request's body, without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def scope_of(endpoint: object) -> Scope | None:
    """What an endpoint needs; None when its author has not said."""
    return getattr(endpoint, "scope", None)


def refuse_other_sites(request: Request) -> None:
    """Refuse what a browser says that another site had it send."""
    site, kind = request.headers.get("sec-fetch-site"), kind_of(request)
    if site is not None:
        # A browser that says this cannot be made to say otherwise (Fetch Metadata, section 2.2).
        if site != "same-origin":
            raise RequestRefused(403, "the request comes from another site")
    else:
        origin = request.headers.get("origin", "")
        # "null" is what a browser sends from our own forms too, under their referrer policy; from a script it
        # is another site's.
        own = (request.headers.get("host", "").lower(), "" if kind == JSON else "null")
        if origin and (urlsplit(origin).netloc.lower() or origin) not in own:
            raise RequestRefused(403, "the request comes from another site")


async def _refuse_forged(request: Request, visitor: Principal) -> None:
    """Refuse what another site may have had the visitor's browser send."""
    refuse_other_sites(request)
    kind = kind_of(request)
    if kind == JSON:
        # No form of another site can send it, and no script without asking us first, which we never grant.
        return
    token = request.headers.get(CSRF_HEADER, "")
    if not token and kind == FORM:
        given = (await request.form()).get(CSRF_FIELD, "")
        token = given if isinstance(given, str) else ""
    if not visitor.session.verifies(token):
        raise RequestRefused(403, "the form is too old, or was not sent from this site; open the page again")


class RequestRefused(HTTPException):
    """An answer with a status and a reason for people, a clause in lower case without its full stop."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason, dict(headers or {}))
