"""Bounds the connections and the requests of the web server, so that it cannot stop the reminders.

Rules that hold here:
- a new connection is always accepted. If there are too many, the connection that has been silent for longest
  is closed: it has sent no whole head of a request, or waits for the next one;
- a connection with a request in progress is not closed for a new one. Their number is bounded when a request
  arrives: further requests get 503;
- health checks are answered beyond that bound, from a reserve. Otherwise a busy server would fail its
  liveness probe, and the restart would stop the reminders;
- one address cannot use up more than half, unless it is a trusted proxy's, who speaks for many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from alertd.core.network import Block
from alertd.system.telemetry import Event, Log
from alertd.web.server.authenticate import find_network
from alertd.web.server.origin import is_among

if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = frozenset({"/healthz", "/readyz"})
"""The paths that are answered from the reserve."""

REPORTED = "alertd.reported"
"""The key in the scope of a request about which :meth:`Connections.report` was called."""

MOST_REQUESTS, LEAST_REQUESTS = 512, 16
LOGGED_EVERY_S = 60.0


class Closed(StrEnum):
    """Why the server did not serve a client; a label of ``alertd_web_unserved_total``."""

    EVICTED = "evicted"
    """The connection was silent, and others needed its place."""
    LATE = "late"
    """The client took too long to send a request or to read the answer."""
    BUSY = "busy"
    """Too many requests were in progress, so the client got 503."""
    MALFORMED = "malformed"
    """The client did not send HTTP."""
    DISCONNECTED = "disconnected"
    """The client closed the connection before alertd had answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of the web server.

    Attributes:
        requests: the most requests in progress.
        reserve: how many more connections are open, which wait for a request or carry a health check.
        head_s: how long the head of a request may take, in seconds.
        body_s: how long the body of a request may take.
        idle_s: how long a connection may wait for its next request.
        stall_s: how long a client may read nothing of an answer.
        linger_s: how long a connection that is closed may take to send what is left.
    """

    requests: int = MOST_REQUESTS
    reserve: int = 32
    head_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 15.0
    stall_s: float = 30.0
    linger_s: float = 5.0

    @property
    def connections(self) -> int:
        """The most open connections."""
        return self.requests + self.reserve

    @property
    def requests_per_network(self) -> int:
        return self.requests // 2

    @property
    def connections_per_network(self) -> int:
        return self.requests_per_network + self.reserve // 2


def derive_limits(descriptors: int) -> Limits:
    """Return the limits for a process that may open this many files.

    The server takes at most an eighth of them for requests. As much again is accepted for a moment when a
    whole backlog arrives at once. The rest is for sending, the ledger and files.
    """
    return Limits(requests=max(LEAST_REQUESTS, min(MOST_REQUESTS, descriptors // 8)))


class Connection(Protocol):
    """A connection as :class:`Connections` sees it."""

    @property
    def address(self) -> str:
        """The address of the client, or of the proxy before it."""

    def abort(self) -> None:
        """Close the connection at once."""


@dataclass(slots=True)
class _Peer:
    """The connections and requests of one network: of an IPv4 address or of a /64 of IPv6.

    Attributes:
        silent: begins with the connection that has been silent for longest.
    """

    network: str
    open: int = 0
    requests: int = 0
    silent: dict[Connection, None] = field(default_factory=dict)


class Connections:
    """The open connections of a server, and how many requests are in progress.

    Args:
        proxies: returns the networks of the trusted proxies.
        count: counts what was not served, for the metrics.
    """

    def __init__(
        self,
        limits: Limits,
        proxies: Callable[[], Iterable[Block]],
        count: Callable[[Closed], None],
        log: Log,
    ) -> None:
        self.limits = limits
        self._proxies = proxies
        self._count = count
        self._log = log
        self._open: dict[Connection, _Peer] = {}
        self._silent: dict[Connection, None] = {}
        self._peers: dict[str, _Peer] = {}
        self._requests = 0
        self._logged_at: float | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        """Add a connection, which is silent at first. If there are too many, close a silent one."""
        peer = self._find_peer(connection.address)
        peer.open += 1
        self._open[connection] = peer
        self.mark_silent(connection)
        if peer.open > self.limits.connections_per_network and not self._is_proxy(connection.address):
            self._evict(peer.silent, peer.network)
        elif len(self._open) > self.limits.connections:
            self._evict(self._silent, "")

    def discard(self, connection: Connection) -> None:
        """Remove a connection that was closed. Safe to call twice."""
        self.mark_busy(connection)
        peer = self._open.pop(connection, None)
        if peer is not None:
            peer.open -= 1
            self._forget(peer)

    def mark_silent(self, connection: Connection) -> None:
        """Note that the connection has no request in progress. Nothing changes if it was silent before."""
        peer = self._open.get(connection)
        if peer is not None:
            self._silent.setdefault(connection)
            peer.silent.setdefault(connection)

    def mark_busy(self, connection: Connection) -> None:
        """Note that a request is in progress."""
        peer = self._open.get(connection)
        if peer is not None:
            self._silent.pop(connection, None)
            peer.silent.pop(connection, None)

    def report(self, closed: Closed) -> None:
        """Count and log that a client was not served. Any client can cause this at will: no warning."""
        self._count(closed)
        self._log.debug(Event.REQUEST_ABORTED, why=closed)

    @contextmanager
    def request(self, address: str, path: str) -> Iterator[bool]:
        """Count a request while the context is entered. Yields whether it may be served."""
        peer = self._find_peer(address)
        spare = self.limits.reserve // 2 if path in HEALTH else 0
        here = peer.requests >= self.limits.requests_per_network + spare // 2
        if self._requests >= self.limits.requests + spare or (here and not self._is_proxy(address)):
            self._count(Closed.BUSY)
            self._warn("requests", peer.network if here else "")
            self._forget(peer)
            yield False
            return
        self._requests += 1
        peer.requests += 1
        try:
            yield True
        finally:
            self._requests -= 1
            peer.requests -= 1
            self._forget(peer)

    def _evict(self, silent: dict[Connection, None], network: str) -> None:
        # The newest connection is silent, so there is always one.
        oldest = next(iter(silent))
        self.discard(oldest)
        oldest.abort()
        self._count(Closed.EVICTED)
        self._warn("connections", network)

    def _warn(self, what: str, network: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._logged_at is None or now_s - self._logged_at >= LOGGED_EVERY_S:
            self._logged_at = now_s
            self._log.warning(
                Event.LISTENER_CROWDED,
                limit=what,
                address=network,
                connections=len(self._open),
                requests=self._requests,
            )

    def _find_peer(self, address: str) -> _Peer:
        network = find_network(address)
        return self._peers.setdefault(network, _Peer(network))

    def _forget(self, peer: _Peer) -> None:
        if not peer.open and not peer.requests:
            self._peers.pop(peer.network, None)

    def _is_proxy(self, address: str) -> bool:
        return is_among(address, self._proxies())


class RequestLimit:
    """Middleware that answers 503 when too many requests are in progress."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app = app
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        with self._connections.request(client[0] if client else "", scope["path"]) as may_be_served:
            if may_be_served:
                await self._app(scope, receive, send)
                return
        headers = {"connection": "close", "retry-after": "5", "cache-control": "no-store"}
        response = PlainTextResponse("too many requests at once; try again soon\n", 503, headers)
        await response(scope, receive, send)
