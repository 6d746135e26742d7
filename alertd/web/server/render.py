"""Renders pages: one environment of templates, everything escaped, and what every page knows."""

from __future__ import annotations

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from alertd import __version__
from alertd.core.access import Scope
from alertd.web.actions.forms import forms_of
from alertd.web.server.access import visitor_of
from alertd.web.server.context import site_of
from alertd.web.server.flash import told_of
from alertd.web.server.static import asset_path


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates of ``alertd/web/templates``; a name that is not given is an error and not a gap."""
    made = Environment(
        loader=PackageLoader("alertd.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["forms_of"] = forms_of
    return made


def page(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """An answer made of a template.

    Beside ``values`` a template has: ``site``, ``visitor``, ``link(path)`` for links within the site,
    ``asset(name)`` for a file of ``static/``, ``csrf()`` for the hidden field of a form that changes things,
    ``may(scope)`` such as ``may("act")``, ``told()``, what has just been done, ``forms_of(record, site,
    visitor)`` for what can be said of a milestone, ``version``, and ``here``, the path that was asked for.
    """
    site, visitor = site_of(request), visitor_of(request)

    def csrf() -> str:
        if visitor.session.is_new:
            request.state.jar.keep(visitor.session)
        return visitor.session.csrf

    html = (
        environment()
        .get_template(template)
        .render(
            site=site,
            visitor=visitor,
            link=site.link,
            asset=lambda name: site.link(asset_path(name)),
            csrf=csrf,
            may=lambda word: visitor.scope >= Scope[word.upper()],
            told=lambda: told_of(request),
            version=__version__,
            here=request.url.path,
            **values,
        )
    )
    return HTMLResponse(html, status)
