"""What a page says once something was done and the browser was sent on to it: no reload does it twice.

It goes in the address, signed, so that nobody makes our pages say what they like; and it is soon forgotten.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse

from alertd.web.server.context import Site, site_of
from alertd.web.server.signing import encoded

LASTS_S = 600
MAX_TOLD = 4096
_PURPOSE = "told"


def sent_on(site: Site, path: str, text: str, **more: str) -> RedirectResponse:
    """To a path of this site, which then says ``text``."""
    said = f"{encoded(text.encode())}.{_now_s(site)}"
    query = urlencode({"told": f"{said}.{site.keys.sign(_PURPOSE, said)}", **more})
    return RedirectResponse(f"{site.link(path)}?{query}", 303)


def told_of(request: Request) -> str:
    """What it is sent on with; "" for nothing, or nothing of ours."""
    site, given = site_of(request), request.query_params.get("told", "")
    said, _, signature = given.rpartition(".")
    text, dot, at = said.partition(".")
    if not dot or len(given) > MAX_TOLD or not site.keys.verify(_PURPOSE, said, signature):
        return ""
    if not 0 <= _now_s(site) - int(at) < LASTS_S:
        return ""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (NotBase64, UnicodeDecodeError):
        return ""


def _now_s(site: Site) -> int:
    return int(site.clock.now().timestamp())
