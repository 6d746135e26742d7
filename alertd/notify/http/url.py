"""Checks whether a text is a URL that alertd can post to, and separates a URL from its user and password."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote, urlsplit, urlunsplit

MAX_URL = 2_000

_ODD = re.compile(r"[^\x21-\x7e]")


def check_url(url: str) -> None:
    """Raise ValueError unless the text is an http or https URL.

    The error's text continues a sentence that begins with "the URL", and does not quote the URL. Only ASCII
    is accepted: a host in its DNS form (``xn--...``), a path percent-encoded (``%C3%A9``).
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


def split_login(url: str) -> tuple[str, dict[str, str]]:
    """Return the URL without user and password, and the header that carries them instead (RFC 7617).

    Raises:
        ValueError: the text is not a URL.
    """
    parts = urlsplit(url)
    login, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = login.partition(":")
    header = {"authorization": encode_basic_login(unquote(user), unquote(password))}
    return urlunsplit(parts._replace(netloc=place)), header


def encode_basic_login(user: str, password: str) -> str:
    """Return the value of ``Authorization`` for a user and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def check_proxy(url: str) -> None:
    """Raise ValueError unless the text is a proxy's URL: with the scheme http and without a path."""
    check_url(url)
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("is not a proxy's URL such as http://proxy.example.org:3128")


def build_proxy_login(url: str) -> dict[str, str]:
    """Return the header with the user and password in a proxy's URL, if any (RFC 9110, section 11.7.2)."""
    _, login = split_login(url)
    return {"proxy-authorization": login["authorization"]} if login else {}
