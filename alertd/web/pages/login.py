"""Serves ``/login`` and ``/logout``: a form takes a token, or a name and a password, and begins a session."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alertd.core.access import Scope
from alertd.system.telemetry import Event
from alertd.web.server.access import RequestRefused, find_principal, require_scope
from alertd.web.server.authenticate import Authenticator, PresentedCredential
from alertd.web.server.context import find_site
from alertd.web.server.render import render_page

MAX_FIELD = 1024


@require_scope(Scope.PUBLIC)
async def login(request: Request) -> Response:
    """Show the login form, or log in when it is sent (``/login``)."""
    site, back = find_site(request), "/"
    auth = site.web.access
    if not (auth.tokens_file or auth.users_file):
        raise RequestRefused(404, "nobody logs in here: web.auth names no tokens and no users")
    if request.method != "POST":
        return _render_form(request, 200, choose_next(request.query_params.get("next", "")), "")
    form = await request.form()
    name, secret, back = (str(form.get(key, "")).strip()[:MAX_FIELD] for key in ("name", "secret", "next"))
    authenticator: Authenticator = request.state.authenticator
    try:
        credential = await authenticator.check(
            PresentedCredential(name=name, secret=secret), find_principal(request).address, "form"
        )
    except RequestRefused as refusal:
        answer = _render_form(request, refusal.status_code, choose_next(back), refusal.detail)
        answer.headers.update(refusal.headers or {})
        return answer
    authenticator.end(find_principal(request).session)
    request.state.jar.keep(authenticator.begin(credential))
    site.log.info(Event.LOGIN_PASSED, name=credential.name, address=find_principal(request).address)
    return RedirectResponse(site.link(choose_next(back)), 303)


@require_scope(Scope.PUBLIC)
async def logout(request: Request) -> Response:
    """End the session of this browser (``/logout``)."""
    authenticator: Authenticator = request.state.authenticator
    authenticator.end(find_principal(request).session)
    request.state.jar.forget()
    answer = RedirectResponse(find_site(request).link("/login"), 303)
    answer.headers["clear-site-data"] = '"cookies", "storage"'
    return answer


def choose_next(text: str) -> str:
    """Return the path to open after the login. Anything but a path of this site becomes ``/``."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    is_path = text.startswith("/") and not text.startswith("//") and not parts.scheme and not parts.netloc
    return text if is_path and text.isascii() and text.isprintable() and "\\" not in text else "/"


def _render_form(request: Request, status: int, back: str, refusal: str) -> Response:
    auth = find_site(request).web.access
    return render_page(
        request,
        "login.html",
        status,
        next=back,
        refusal=refusal,
        has_tokens=bool(auth.tokens_file),
        has_users=bool(auth.users_file),
    )
