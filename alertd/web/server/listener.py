"""Listens: the socket, the HTTP server on it, and what is said when there can be none.

Reminders come first: an address that is in use, or may not be listened on, ends no daemon. It is logged, it
is a finding of the self-audit, and it is tried again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

from alertd.core.access import Web, may_listen
from alertd.core.planning.audit import AuditFault, AuditFinding
from alertd.system.settings import Address
from alertd.system.telemetry import Event, Log

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

DRAIN_S = 5
"""What is being answered has so long to end when the daemon does."""

KEEP_ALIVE_S = 15
BACKLOG = 128
MAX_CONNECTIONS = 512
MAX_HEAD = 32 * 1024
"""Bytes of a request's line and headers."""


class Listener:
    """One address, or none.

    Args:
        address: None: nothing is ever listened on.
        make: the application; called when it is first needed.
        closing: set when the server ends.
    """

    def __init__(
        self,
        address: Address | None,
        make: Callable[[], ASGIApp],
        log: Log,
        closing: asyncio.Event,
    ) -> None:
        self._address = address
        self._make = make
        self._log = log
        self._closing = closing
        self._web = Web()
        self._failure = ""
        self._sockets: list[socket.socket] = []
        self._server: uvicorn.Server | None = None
        self._turn = asyncio.Lock()

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is listened on, ``host:port`` each."""
        return tuple(_shown(one) for one in self._sockets)

    def findings(self) -> Sequence[AuditFinding]:
        """For the self-audit: nothing listens, although it should."""
        if not self._failure:
            return ()
        return (AuditFinding(fault=AuditFault.UNHEARD, detail=self._failure),)

    def bind(self, web: Web) -> None:
        """Take the address, as far as it may be had under ``web``. Nothing is answered yet."""
        self._web = web
        if self._address is None or self._sockets or self._closing.is_set():
            return
        try:
            self._sockets = _bound(self._address)
        except OSError as error:
            self._fail(f"cannot listen on {self._address}: {error.strerror or error}")
            return
        if reason := self._refusal():
            self._release()
            self._fail(f"does not listen on {self._address}: {reason}")

    async def look(self, web: Web) -> None:
        """Open or close, as ``web`` wants it now; what could not be had is tried again."""
        async with self._turn:
            self._web = web
            if self._server is not None and (reason := self._refusal()):
                await self._end()
                self._fail(f"does not listen on {self._address}: {reason}")
            self.bind(web)
            if self._sockets and self._server is None:
                self._server = await _served(self._make(), self._sockets)
                self._failure = ""
                self._log.info(Event.LISTENER_OPENED, addresses=list(self.addresses))

    async def close(self) -> None:
        """Answer what was asked, and listen no more. Safe to call twice."""
        self._closing.set()
        async with self._turn:
            await self._end()

    def _refusal(self) -> str:
        on_loopback = all(ip_address(one.getsockname()[0]).is_loopback for one in self._sockets)
        return may_listen(self._web, on_loopback=on_loopback).refusal

    def _fail(self, reason: str) -> None:
        if reason != self._failure:
            self._log.error(Event.LISTENER_FAILED, reason=reason)
        self._failure = reason

    async def _end(self) -> None:
        if self._server is not None:
            await self._server.shutdown(self._sockets)
            self._server = None
            self._log.info(Event.LISTENER_CLOSED)
        self._release()

    def _release(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.close()
        self._sockets = []


def _bound(address: Address) -> list[socket.socket]:
    """A socket for each address that the name has. Raises OSError."""
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    made: list[socket.socket] = []
    port = address.port
    try:
        for family, kind, proto, _, where in dict.fromkeys(found):
            one = socket.socket(family, kind, proto)
            made.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # Else it would take the same port of IPv4 too, in which another socket is bound.
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Port 0 is any that is free: the same one for every address.
            one.bind((where[0], port, *where[2:]))
            port = one.getsockname()[1]
            one.listen(BACKLOG)
            one.setblocking(False)
    except OSError:
        for one in made:
            one.close()
        raise
    return made


async def _served(app: ASGIApp, sockets: list[socket.socket]) -> uvicorn.Server:
    """A server that answers on them, within this loop. It hears no signal and has no turn of its own."""
    import uvicorn

    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    config.load()
    server = uvicorn.Server(config)
    # What its main loop does each tenth of a second, the date and the stop, is done elsewhere here.
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets)
    return server


def _shown(one: socket.socket) -> str:
    host, port = one.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
