"""``/login`` and ``/logout``: a form takes a token, or a name and a password, and begins a session."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alertd.core.access import Scope
from alertd.system.telemetry import Event
from alertd.web.server.access import RequestRefused, needs, visitor_of
from alertd.web.server.authenticate import Authenticator, PresentedCredential
from alertd.web.server.context import site_of
from alertd.web.server.render import page

MAX_FIELD = 1024


@needs(Scope.PUBLIC)
async def login(request: Request) -> Response:
    """The form, and what is sent with it."""
    site, back = site_of(request), "/"
    auth = site.web.access
    if not (auth.tokens_file or auth.users_file):
        raise RequestRefused(404, "nobody logs in here: web.auth names no tokens and no users")
    if request.method != "POST":
        return _form(request, 200, next_of(request.query_params.get("next", "")), "")
    form = await request.form()
    name, secret, back = (str(form.get(key, "")).strip()[:MAX_FIELD] for key in ("name", "secret", "next"))
    keeper: Authenticator = request.state.doorkeeper
    try:
        one = await keeper.check(
            PresentedCredential(name=name, secret=secret), visitor_of(request).address, "form"
        )
    except RequestRefused as refusal:
        answer = _form(request, refusal.status_code, next_of(back), refusal.detail)
        answer.headers.update(refusal.headers or {})
        return answer
    keeper.end(visitor_of(request).session)
    request.state.jar.keep(keeper.begin(one))
    site.log.info(Event.LOGIN_PASSED, name=one.name, address=visitor_of(request).address)
    return RedirectResponse(site.link(next_of(back)), 303)


@needs(Scope.PUBLIC)
async def logout(request: Request) -> Response:
    """Ends the session in this browser."""
    keeper: Authenticator = request.state.doorkeeper
    keeper.end(visitor_of(request).session)
    request.state.jar.forget()
    answer = RedirectResponse(site_of(request).link("/login"), 303)
    answer.headers["clear-site-data"] = '"cookies", "storage"'
    return answer


def next_of(text: str) -> str:
    """Where to go after the login: a path of this site, whatever was asked for."""
    parts = urlsplit(text)
    is_path = text.startswith("/") and not text.startswith("//") and not parts.scheme and not parts.netloc
    return text if is_path and text.isascii() and text.isprintable() and "\\" not in text else "/"


def _form(request: Request, status: int, back: str, refusal: str) -> Response:
    auth = site_of(request).web.access
    return page(
        request,
        "login.html",
        status,
        next=back,
        refusal=refusal,
        has_tokens=bool(auth.tokens_file),
        has_users=bool(auth.users_file),
    )
