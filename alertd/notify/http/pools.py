"""Keeps one HTTP client for each set of certificates and proxy, and replaces clients that are out of date.

Otherwise an open connection would outlive the network policy that now forbids it, or the certificate that
was replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from alertd.core.network import Network
from alertd.notify.http.tls import Tls


class Closeable(Protocol):
    async def aclose(self) -> None: ...


C = TypeVar("C", bound=Closeable)


@dataclass(slots=True, kw_only=True)
class Pool(Generic[C]):
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

    async def give_back(self) -> None:
        """End a use of the client."""
        self.users -= 1
        await self.close_if_unused()

    async def close_if_unused(self) -> None:
        if self.retired and not self.users:
            await self.client.aclose()


class Pools(Generic[C]):
    """One client for each set of certificate files and each proxy.

    A client is replaced when the contents of the files or the network policy have changed.
    """

    def __init__(self, make: Callable[[Tls, str], C]) -> None:
        self._make = make
        self._pools: dict[object, Pool[C]] = {}

    async def take(self, tls: Tls, network: Network, proxy: str = "") -> Pool[C]:
        """Lend a client for one request with this TLS, network policy and proxy.

        The caller gives it back (:meth:`Pool.give_back`). Raises what ``make`` raises.
        """
        key = tls.files, proxy
        pool = self._pools.get(key)
        if pool is not None and (pool.tls, pool.network) == (tls, network):
            pool.users += 1
            return pool
        made = Pool(client=self._make(tls, proxy), tls=tls, network=network, users=1)
        self._pools[key] = made
        if pool is not None:
            pool.retired = True
            await pool.close_if_unused()
        return made

    async def aclose(self) -> None:
        """Close all clients. Safe to call twice."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.client.aclose()
