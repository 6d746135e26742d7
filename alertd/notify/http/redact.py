"""What a remote end says of us, made fit to be kept: one line, short, and without secrets.

A server may echo a request's URL or headers in its answer, so every text that comes from outside goes
through here before it becomes part of an Outcome.
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
"""Shorter texts are not hidden: hiding ``a`` would only spoil the sentence, and it is no secret."""

HIDDEN = "[hidden]"

_URL = re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/@\"'<>]*@)?([^\s/?#\"'<>]*)([^\s\"'<>]*)", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def quote(raw: bytes | str, hidden: Iterable[str] = ()) -> str:
    """At most ``MAX_QUOTE`` characters of ``raw`` on one line; URLs keep their scheme and host only.

    Args:
        raw: what came from outside; bytes are read as UTF-8, whatever they are.
        hidden: secrets that must not be in it.
    """
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    text = bare_urls(text)
    # What is shown is cut only after the hiding: half a secret is one too.
    for secret in sorted({one for one in hidden if len(one) >= MIN_SECRET}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = " ".join(_UNPRINTABLE.sub(" ", text).split())
    return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 1] + "…"


def bare_urls(text: str) -> str:
    """``text`` with all URLs in it cut down to scheme and host."""
    return _URL.sub(lambda found: found[1] + found[2] + ("/…" if found[3] else ""), text)


def origin(url: str) -> str:
    """``https://example.org``: all that may be shown of a URL."""
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


def secrets_in(url: str) -> tuple[str, ...]:
    """The parts of a URL that may be secret, each as written and decoded: everything but scheme and host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return (url,)
    whole = url.partition(parts.netloc)[2] if parts.netloc else url
    pieces = [whole, parts.path, parts.query, parts.fragment, parts.username or "", parts.password or ""]
    pieces += parts.path.split("/")
    pieces += [value for pair in parts.query.split("&") for value in (pair, pair.partition("=")[2])]
    return tuple(dict.fromkeys(one for piece in pieces for one in (piece, unquote(piece)) if one))


def why_unreachable(error: BaseException) -> str:
    """What reads after "cannot be reached: "; "" when no error of the machine lies beneath ``error``."""
    seen: BaseException | None = error
    for _ in range(10):
        # aiohttp and asyncio wrap the machine's own error and give it a text of theirs.
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
