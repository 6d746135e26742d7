"""Says in our own words why a connection could not be made: the libraries' words may hold a URL."""

from __future__ import annotations

import os
import socket
import ssl

from alertd.notify.http.redact import quote


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
