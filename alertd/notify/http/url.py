"""Says whether a text is a URL that may be posted to, and takes the password out of one."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote, urlsplit, urlunsplit

MAX_URL = 2_000

_ODD = re.compile(r"[^\x21-\x7e]")


def check_url(url: str) -> None:
    """Raise ValueError, whose text reads after "the URL" and does not quote it, unless it is http or https.

    Other than ASCII is refused: a host's name is to be written as it is asked for (``xn--...``), a path as it
    is sent (``%C3%A9``).
    """
    if not url or len(url) > MAX_URL or _ODD.search(url):
        raise ValueError(f"is not a URL of at most {MAX_URL} ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is not an http or https URL with a host")


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """The URL without user and password, and the header that says them instead (RFC 7617).

    Raises:
        ValueError: it is no URL.
    """
    parts = urlsplit(url)
    login, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = login.partition(":")
    encoded = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
    return urlunsplit(parts._replace(netloc=place)), {"authorization": f"Basic {encoded}"}


def check_proxy(url: str) -> None:
    """The same for a proxy, which is spoken to in http and has no path."""
    check_url(url)
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("is not a proxy's URL such as http://proxy.example.org:3128")


def proxy_login(url: str) -> dict[str, str]:
    """The header that says a proxy's user and password (RFC 9110, section 11.7.2); none without them."""
    _, login = without_login(url)
    return {"proxy-authorization": login["authorization"]} if login else {}
