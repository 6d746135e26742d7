"""`alertd demo`: the true daemon, real servers, and two years and five months in half a minute."""

from __future__ import annotations

import asyncio
from typing import TextIO

INTERRUPTED = 130
"""128 and SIGINT, as shells have it."""


def run(out: TextIO, seconds: float = 30.0) -> int:
    """Show it on ``out``. 0 when all that was promised was kept, 1 when not, 130 when it was interrupted.

    Args:
        seconds: how long it takes, about; 0 is as fast as the machine can.
    """
    from alertd.demo.whole import show_all

    try:
        return asyncio.run(show_all(out, seconds))
    except KeyboardInterrupt:
        out.write("\nStopped. The servers are closed and the temporary folder is gone.\n")
        return INTERRUPTED
