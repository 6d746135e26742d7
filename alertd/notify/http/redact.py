"""Redacts texts from remote servers: one line, limited in length, without secrets.

A server may echo a request's URL or headers in its answer. Therefore every text from outside is redacted
before it becomes part of an Outcome.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

MAX_QUOTE = 200
"""The most characters of a remote text that are kept."""

MIN_SECRET = 6
"""Shorter texts are not redacted: hiding ``a`` would garble the sentence, and a real secret is longer."""

HIDDEN = "[hidden]"

_URL = re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/@\"'<>]*@)?([^\s/?#\"'<>]*)([^\s\"'<>]*)", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def quote(raw: bytes | str, hidden: Iterable[str] = ()) -> str:
    """Return ``raw`` on one line of at most ``MAX_QUOTE`` characters; URLs keep only their scheme and host.

    Args:
        raw: text from outside. Bytes are decoded as UTF-8; invalid bytes are replaced.
        hidden: secrets to redact.
    """
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    text = shorten_urls(text)
    # Redact before cutting: half a secret is a secret too.
    secrets = {secret for secret in hidden if len(secret) >= MIN_SECRET}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = " ".join(_UNPRINTABLE.sub(" ", text).split())
    return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 1] + "…"


def shorten_urls(text: str) -> str:
    """Return ``text`` with every URL in it reduced to its scheme and host."""
    return _URL.sub(lambda found: found[1] + found[2] + ("/…" if found[3] else ""), text)


def find_origin(url: str) -> str:
    """Return scheme and host, such as ``https://example.org``: the only parts of a URL that may be shown."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that is no URL"
    host = parts.hostname or ""
    return (
        f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
        if host
        else "an address without a host"
    )


def find_secrets(url: str) -> tuple[str, ...]:
    """Return all parts of a URL except its scheme and host, as written and decoded: each may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return (url,)
    whole = url.partition(parts.netloc)[2] if parts.netloc else url
    pieces = [whole, parts.path, parts.query, parts.fragment, parts.username or "", parts.password or ""]
    pieces += parts.path.split("/")
    pieces += [value for pair in parts.query.split("&") for value in (pair, pair.partition("=")[2])]
    return tuple(dict.fromkeys(form for piece in pieces for form in (piece, unquote(piece)) if form))


def explain_unreachable(error: BaseException) -> str:
    """Return a clause that continues "cannot be reached: "; "" if ``error`` wraps no system error."""
    seen: BaseException | None = error
    for _ in range(10):
        # aiohttp and asyncio wrap the operating system's error in an error with another text.
        while wrapped := getattr(seen, "os_error", None) or getattr(seen, "certificate_error", None):
            seen = wrapped
        if seen is None:
            break
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({quote(seen.verify_message)})"
        if isinstance(seen, ssl.SSLError):
            return f"no TLS ({quote(seen.reason or 'the handshake failed')})"
        if isinstance(seen, socket.gaierror):
            return "its name does not resolve"
        beneath = seen.__cause__ or seen.__context__
        if beneath is None and isinstance(seen, OSError) and seen.errno is not None:
            return os.strerror(seen.errno)
        seen = beneath
    return ""
