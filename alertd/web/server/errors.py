"""Answers a refused or failed request: with a page for browsers, with JSON (RFC 9457) for programs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, NotRequired
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ExceptionHandler
from typing_extensions import TypedDict

from alertd.core.shape import Doc
from alertd.errors import LedgerError, UnreadableRow
from alertd.system.telemetry import Event
from alertd.web.server.access import SAFE, find_principal
from alertd.web.server.context import find_site
from alertd.web.server.render import render_page

PROBLEM = "application/problem+json"


class WrongFieldFacts(TypedDict):
    """A parameter or a field that cannot be as it was given."""

    field: str
    reason: str


class ProblemFacts(TypedDict):
    """Why a request was refused or failed (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Doc("The reason, for people.")]
    errors: NotRequired[list[WrongFieldFacts]]


def wants_html(request: Request) -> bool:
    """Whether the client is a browser: it accepts HTML."""
    return "text/html" in request.headers.get("accept", "")


def is_api(request: Request) -> bool:
    """Whether the request is for the API."""
    return request.url.path.startswith("/api/")


async def answer_refusal(request: Request, error: Exception) -> Response:
    """Answer an HTTPException, whether our code or Starlette has raised it."""
    assert isinstance(error, HTTPException)  # noqa: S101  it is registered for nothing else
    headers, principal = dict(error.headers or {}), find_principal(request)
    if error.status_code == 403 and principal.name:
        find_site(request).log.warning(
            Event.ACCESS_REFUSED,
            name=principal.name,
            how=principal.how,
            address=principal.address,
            reason=error.detail,
        )
    auth = find_site(request).web.access
    if error.status_code == 401:
        if wants_html(request) and request.method in SAFE and (auth.tokens_file or auth.users_file):
            site = find_site(request)
            back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(site.link(f"/login?next={quote(back, safe='/')}"), 303)
        # Browsers were redirected to the login form above: for Basic they would open a dialog of their own.
        headers["www-authenticate"] = f'{"Basic" if auth.users_file else "Bearer"} realm="alertd"'
    return answer(request, error.status_code, error.detail, headers)


async def answer_ledger_failure(request: Request, error: Exception) -> Response:
    """Answer 503, because the ledger or a row of it cannot be used now. The daemon logs that itself."""
    find_site(request).log.debug(Event.LEDGER_FAILED, reason=str(error))
    if isinstance(error, UnreadableRow):
        reason = f"{error}; everything else can be used, and `alertd status` says what to do"
        return answer(request, 503, reason, {"retry-after": "60"})
    return answer(request, 503, "the ledger cannot be used now; try again soon", {"retry-after": "5"})


def answer(request: Request, status: int, reason: str, headers: dict[str, str]) -> Response:
    """Answer with a reason, in the format that the client accepts."""
    title = HTTPStatus(status).phrase
    response: Response
    if is_api(request) or "application/json" in request.headers.get("accept", ""):
        facts: ProblemFacts = {"type": "about:blank", "title": title, "status": status, "detail": reason}
        response = JSONResponse(facts, status, media_type=PROBLEM)
    elif wants_html(request) and "principal" in request.state:
        response = render_page(request, "error.html", status, title=title, reason=reason)
    else:
        response = PlainTextResponse(f"{reason}\n", status)
    response.headers.update(headers)
    return response


HANDLERS: dict[type[Exception], ExceptionHandler] = {
    HTTPException: answer_refusal,
    LedgerError: answer_ledger_failure,
}
