"""Decides whether a request may do what it asks: the principal, the scopes, and the protection against CSRF.

Rules that hold here:
- Each endpoint declares the scope that it needs with :func:`require_scope`. The application refuses to start
  with an endpoint that declares none.
- A request that changes something must come from this site. It carries the CSRF token of its form, or its
  body is JSON, which no HTML form can send.
- A request with a token in the Authorization header needs no CSRF token, because a browser never adds that
  header by itself.
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
    """The principal of a request: who sent it, and with which scope.

    Attributes:
        name: the name of the token or the person; "" for an anonymous request.
        how: the way of authentication: ``token``, ``session``, ``password``, ``proxy``, ``nothing``, or
            ``address`` for a feed with a secret in its address.
        session: the session of the browser; a new one if the browser has sent none.
        address: the client's IP address, as reported by the trusted proxies.
    """

    name: str
    scope: Scope
    how: str
    session: Session
    address: str

    @property
    def by(self) -> str:
        """The name of the actor, for the history."""
        return self.name or f"somebody at {self.address}"


def find_principal(request: HTTPConnection) -> Principal:
    """Return the principal who sent a request."""
    principal: Principal = request.state.principal
    return principal


def require_scope(scope: Scope, *, from_elsewhere: bool = False) -> Callable[[Endpoint], Endpoint]:
    """Declare the scope that a principal needs to use an endpoint, and protect the endpoint against CSRF.

    Args:
        scope: the least scope that is allowed in.
        from_elsewhere: other sites and programs may send POST requests to the endpoint, so there is no CSRF
            check. The endpoint verifies a signature itself.
    """

    def guarded(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def guard(request: Request) -> Response:
            principal = find_principal(request)
            refuse_less_than(request, scope)
            if request.method not in SAFE and not from_elsewhere and principal.how != "token":
                await _refuse_forged(request, principal)
            return await endpoint(request)

        guard.scope = scope  # type: ignore[attr-defined]
        return guard

    return guarded


def refuse_less_than(request: Request, scope: Scope) -> None:
    """Refuse a request whose principal has less than ``scope``.

    Raises:
        RequestRefused: 403 for a known principal, 401 for an anonymous request.
    """
    principal = find_principal(request)
    if principal.scope < scope:
        raise RequestRefused(403 if principal.name else 401, f"this needs the scope {scope.word}")


def find_media_type(request: Request) -> str:
    """Return the media type of a request's body, in lower case and without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def find_scope(endpoint: object) -> Scope | None:
    """Return the scope that an endpoint needs; None if the endpoint does not declare one."""
    return getattr(endpoint, "scope", None)


def refuse_other_sites(request: Request) -> None:
    """Refuse a request that another site made the browser send.

    Raises:
        RequestRefused: 403, because of the Sec-Fetch-Site header, or of the Origin header in older browsers.
    """
    site, kind = request.headers.get("sec-fetch-site"), find_media_type(request)
    if site is not None:
        # No script can change this header in a browser that sends it (Fetch Metadata, section 2.2).
        if site != "same-origin":
            raise RequestRefused(403, "the request comes from another site")
    else:
        origin = request.headers.get("origin", "")
        # Under our referrer policy, a browser sends "null" with the forms of this site too. With JSON, "null"
        # means a script of another site.
        own = (request.headers.get("host", "").lower(), "" if kind == JSON else "null")
        if origin and (_find_host(origin) or origin) not in own:
            raise RequestRefused(403, "the request comes from another site")


def _find_host(origin: str) -> str:
    """Return the host and the port of an origin in lower case; "" if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def _refuse_forged(request: Request, principal: Principal) -> None:
    """Refuse a request that another site may have made the browser send. Raises RequestRefused (403)."""
    refuse_other_sites(request)
    kind = find_media_type(request)
    if kind == JSON:
        # No HTML form can send JSON. A script of another site needs a CORS preflight, which is never granted.
        return
    token = request.headers.get(CSRF_HEADER, "")
    if not token and kind == FORM:
        given = (await request.form()).get(CSRF_FIELD, "")
        token = given if isinstance(given, str) else ""
    if not principal.session.verifies(token):
        raise RequestRefused(403, "the form is too old, or was not sent from this site; open the page again")


class RequestRefused(HTTPException):
    """A refusal of a request: an HTTP status, and a reason in lower case without a full stop."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason, dict(headers or {}))
