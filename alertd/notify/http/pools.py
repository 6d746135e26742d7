"""Keeps one HTTP client for each set of certificates and proxy, and replaces clients that are out of date.

Otherwise an open connection would outlive the network policy that now forbids it, or the certificate that
was replaced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from alertd.core.network import Network
from alertd.notify.http.tls import Tls


class Closeable(Protocol):
    async def aclose(self) -> None: ...


C = TypeVar("C", bound=Closeable)


@dataclass(slots=True, kw_only=True)
class _Pool(Generic[C]):
    """A client and the circumstances under which it was made.

    Attributes:
        users: the number of requests in progress.
        retired: whether the client was replaced. A retired client is closed when no request uses it.
    """

    client: C
    tls: Tls
    network: Network
    users: int = 0
    retired: bool = False

    async def close_if_unused(self) -> None:
        if self.retired and not self.users:
            await self.client.aclose()


class Pools(Generic[C]):
    """One client for each set of certificate files and each proxy.

    A client is replaced when the contents of the files or the network policy have changed.
    """

    def __init__(self, make: Callable[[Tls, str], C]) -> None:
        self._make = make
        self._pools: dict[object, _Pool[C]] = {}

    @asynccontextmanager
    async def client(self, tls: Tls, network: Network, proxy: str = "") -> AsyncIterator[C]:
        """Lend a client for one request with this TLS, network policy and proxy.

        Raises what ``make`` raises.
        """
        key = tls.files, proxy
        pool = self._pools.get(key)
        if pool is None or (pool.tls, pool.network) != (tls, network):
            made = _Pool(client=self._make(tls, proxy), tls=tls, network=network)
            self._pools[key], old = made, pool
            pool = made
            if old is not None:
                old.retired = True
                await old.close_if_unused()
        pool.users += 1
        try:
            yield pool.client
        finally:
            pool.users -= 1
            await pool.close_if_unused()

    async def aclose(self) -> None:
        """Close all clients. Safe to call twice."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.client.aclose()
