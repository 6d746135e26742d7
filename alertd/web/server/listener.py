"""Listens on a socket and runs the HTTP server on it, and reports when that is not possible.

Reminders are more important than the pages, so an address that is in use or not allowed does not stop the
daemon. The failure is logged, is a finding of the self-audit, and the listener tries again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from math import ceil
from typing import TYPE_CHECKING

from alertd.core.access import Web, check_listening
from alertd.core.planning.audit import AuditFault, AuditFinding
from alertd.system.settings import Address
from alertd.system.telemetry import Event, Log
from alertd.web.server.limits import Closed, Connections, Limits, RequestLimit

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

DRAIN_S = 5
"""How many seconds open requests may take to finish when the server stops."""

BACKLOG = 64
"""How many connections wait to be accepted. All of them are accepted at once, before old ones are closed."""

MAX_HEAD = 32 * 1024
"""The largest request line with headers, in bytes."""


class WebListener:
    """The listener of one address.

    Args:
        address: the address to listen on; None to never listen.
        make: makes the application; called when the server first starts.
        closing: the listener sets it when the server stops, so that open streams end.
        limits: the limits of connections and requests.
        count: counts what was not served.
    """

    def __init__(
        self,
        address: Address | None,
        make: Callable[[], ASGIApp],
        log: Log,
        closing: asyncio.Event,
        *,
        limits: Limits,
        count: Callable[[Closed], None],
    ) -> None:
        self._address = address
        self._make = make
        self._log = log
        self._closing = closing
        self._limits = limits
        self._count = count
        self._web = Web()
        self._failure = ""
        self._sockets: list[socket.socket] = []
        self._server: uvicorn.Server | None = None
        self._turn = asyncio.Lock()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses on which the server listens, each as ``host:port``."""
        return tuple(_format_address(bound) for bound in self._sockets)

    def findings(self) -> Sequence[AuditFinding]:
        """Return the finding that the server cannot listen, for the self-audit; none if it listens."""
        if not self._failure:
            return ()
        return (AuditFinding(fault=AuditFault.UNHEARD, detail=self._failure),)

    def bind(self, web: Web) -> None:
        """Bind the sockets if ``web`` allows the address. The server does not answer yet."""
        self._web = web
        if self._address is None or self._sockets or self._closing.is_set():
            return
        try:
            self._sockets = _open_sockets(self._address)
        except OSError as error:
            self._fail(f"cannot listen on {self._address}: {error.strerror or error}")
            return
        if reason := self._find_refusal():
            self._release()
            self._fail(f"does not listen on {self._address}: {reason}")

    async def refresh(self, web: Web) -> None:
        """Start or stop the server as ``web`` requires, and try again to bind what could not be bound."""
        async with self._turn:
            self._web = web
            if self._server is not None and (reason := self._find_refusal()):
                await self._end()
                self._fail(f"does not listen on {self._address}: {reason}")
            self.bind(web)
            if self._sockets and self._server is None:
                connections = Connections(self._limits, lambda: self._web.proxies, self._count, self._log)
                self._server = await _start_server(self._make(), self._sockets, connections)
                self._failure = ""
                self._log.info(Event.LISTENER_OPENED, addresses=list(self.addresses))

    async def close(self) -> None:
        """Finish the open requests, then stop listening. Safe to call twice."""
        self._closing.set()
        async with self._turn:
            await self._end()

    def _find_refusal(self) -> str:
        on_loopback = all(ip_address(bound.getsockname()[0]).is_loopback for bound in self._sockets)
        return check_listening(self._web, on_loopback=on_loopback).refusal

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
        for bound in self._sockets:
            with suppress(OSError):
                bound.close()
        self._sockets = []


def _open_sockets(address: Address) -> list[socket.socket]:
    """Open a socket for each address of the host name. Raises OSError."""
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    made: list[socket.socket] = []
    port = address.port
    try:
        for family, kind, proto, _, where in dict.fromkeys(found):
            opened = socket.socket(family, kind, proto)
            made.append(opened)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # Without this option, the socket would also take the IPv4 port, which has its own socket.
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Port 0 means any free port. All addresses use the port that the first one got.
            opened.bind((where[0], port, *where[2:]))
            port = opened.getsockname()[1]
            opened.listen(BACKLOG)
            opened.setblocking(False)
    except OSError:
        for opened in made:
            opened.close()
        raise
    return made


async def _start_server(
    app: ASGIApp, sockets: list[socket.socket], connections: Connections
) -> uvicorn.Server:
    """Start a server on the sockets, in the present event loop. The server handles no signals."""
    import uvicorn

    from alertd.web.server.protocol import LimitedProtocol

    # uvicorn warns of each request that is not HTTP, and of each that asks for an upgrade. Any client could
    # fill the log with that.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        RequestLimit(app, connections),
        http=partial(LimitedProtocol, connections=connections),  # type: ignore[arg-type]
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=ceil(connections.limits.idle_s),
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    config.load()
    server = uvicorn.Server(config)
    # Uvicorn's main loop only sets the date and watches for a stop. We do both elsewhere.
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets)
    return server


def _format_address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
