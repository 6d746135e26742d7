"""``/unsubscribe``: says who decides on who is told. Mails name it in their header ``List-Unsubscribe``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.web.server.access import needs
from alertd.web.server.render import page


@needs(Scope.PUBLIC)
async def unsubscribe(request: Request) -> Response:
    """It changes nothing and asks for no login: whoever gets mails need not be one who may read here."""
    return page(request, "unsubscribe.html")
