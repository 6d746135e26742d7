"""Renders pages from templates, with everything escaped and with the values that every page needs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse

from alertd import __version__
from alertd.core.access import Scope
from alertd.web.server.access import find_principal
from alertd.web.server.context import find_site
from alertd.web.server.flash import read_flash
from alertd.web.server.forms import list_forms
from alertd.web.server.static import asset_path

if TYPE_CHECKING:
    from jinja2 import Environment


@lru_cache(maxsize=1)
def make_environment() -> Environment:
    """Make the environment of ``alertd/web/templates``, in which an undefined name is an error."""
    # The first page imports it. Many daemons serve only health checks and metrics.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("alertd.web"),
        auto_reload=False,  # looks at no file once a template is compiled
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["list_forms"] = list_forms
    return made


def render_page(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Render a template as a response.

    Besides ``values``, a template has these names:
    - ``site``, ``principal`` and ``version``;
    - ``link(path)``, the address of a path of this site, and ``here``, the path of the request;
    - ``asset(name)``, the address of a file of ``static/``;
    - ``csrf()``, the token for the hidden field of a form that changes something;
    - ``may(scope)``, whether the principal has a scope, such as ``may("act")``;
    - ``flash()``, the flash message;
    - ``list_forms(record, site, principal)``, the forms of the actions on a milestone.
    """
    site, principal = find_site(request), find_principal(request)

    def csrf() -> str:
        if principal.session.is_new:
            request.state.jar.keep(principal.session)
        return principal.session.csrf

    html = (
        make_environment()
        .get_template(template)
        .render(
            site=site,
            principal=principal,
            link=site.link,
            asset=lambda name: site.link(asset_path(name)),
            csrf=csrf,
            may=lambda word: principal.scope >= Scope[word.upper()],
            flash=lambda: read_flash(request),
            version=__version__,
            here=request.url.path,
            **values,
        )
    )
    return HTMLResponse(html, status)
