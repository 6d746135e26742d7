"""Serves ``/unsubscribe``, which mails name in ``List-Unsubscribe``: explains who decides who gets mail."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.web.server.access import require_scope
from alertd.web.server.render import render_page


@require_scope(Scope.PUBLIC)
async def unsubscribe(request: Request) -> Response:
    """Show the page. It changes nothing and needs no login: recipients of mail may have no account."""
    return render_page(request, "unsubscribe.html")
