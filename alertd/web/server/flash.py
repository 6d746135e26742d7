"""Passes a flash message through a redirect: the next page shows what has just been done.

The redirect has the effect that reloading the page does not repeat the action. The message is in the address.
It is signed, so that other sites cannot make our pages show a text, and it expires after some minutes.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse

from alertd.web.server.context import Site, find_site
from alertd.web.server.signing import encode_base64url

LASTS_S = 600
"""How long a flash message is shown if the page is reloaded, in seconds."""

MAX_TOLD = 4096
"""The longest flash message that is read, signed and encoded, in characters."""
_PURPOSE = "told"


def redirect(site: Site, path: str, text: str, **more: str) -> RedirectResponse:
    """Redirect to a path of this site, whose page then shows ``text``; ``more`` is added to its query."""
    said = f"{encode_base64url(text.encode())}.{_now_s(site)}"
    query = urlencode({"told": f"{said}.{site.signer.sign(_PURPOSE, said)}", **more})
    return RedirectResponse(f"{site.link(path)}?{query}", 303)


def read_flash(request: Request) -> str:
    """Return the flash message of a request; "" if there is none, or if it is expired or not signed by us."""
    site, given = find_site(request), request.query_params.get("told", "")
    said, _, signature = given.rpartition(".")
    text, dot, at = said.partition(".")
    if not dot or len(given) > MAX_TOLD or not site.signer.verify(_PURPOSE, said, signature):
        return ""
    if not 0 <= _now_s(site) - int(at) < LASTS_S:
        return ""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (NotBase64, UnicodeDecodeError):
        return ""


def _now_s(site: Site) -> int:
    return int(site.clock.now().timestamp())
