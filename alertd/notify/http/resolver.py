"""Looks names up, so that a name server that does not answer holds up nobody else.

Rules that hold here:
- one look-up a name is under way at a time, however many ask for it;
- each has a thread of its own, which ends when the system gives up: a shared pool of them would be full of
  those that wait, and would have to be waited for at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable

MAX_LOOKUPS = 64
"""As many as there are sends in flight."""

Lookup = Callable[[str], tuple[str, ...]]
"""From a name to its addresses; may block. Raises OSError."""


def system_lookup(host: str) -> tuple[str, ...]:
    """What the operating system says, in its order; no IPv6 addresses where there is no IPv6."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as error:
        # Its encoding refuses an empty label, and one of more than 63 characters.
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def numeric(host: str) -> str:
    """The address that ``host`` is a spelling of, such as ``127.1`` or ``0x7f000001``; "" for a name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""
    return str(found[0][4][0])


class Names:
    """From a name to its addresses. Of one event loop."""

    def __init__(self, lookup: Lookup = system_lookup, most: int = MAX_LOOKUPS) -> None:
        self._lookup = lookup
        self._most = most
        self._underway: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def __call__(self, host: str) -> tuple[str, ...]:
        """Raises OSError; socket.gaierror when there is no such name or nobody knows."""
        future = self._underway.get(host)
        if future is None:
            if len(self._underway) >= self._most:
                raise OSError(f"{self._most} names are being looked up already")
            loop = asyncio.get_running_loop()
            future = self._underway[host] = loop.create_future()
            threading.Thread(target=self._look_up, args=(loop, host), name=f"dns {host}", daemon=True).start()
        # Who stops waiting does not stop it for the others.
        return await asyncio.shield(future)

    def _look_up(self, loop: asyncio.AbstractEventLoop, host: str) -> None:
        found: tuple[str, ...] | OSError
        try:
            found = self._lookup(host)
        except OSError as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._settle, host, found)

    def _settle(self, host: str, found: tuple[str, ...] | OSError) -> None:
        future = self._underway.pop(host)
        if future.cancelled():
            return
        if isinstance(found, OSError):
            future.set_exception(found)
            future.exception()  # perhaps nobody waits any more, and that is no fault
        else:
            future.set_result(found)
