"""Opens every connection that alertd makes to a receiver, after checking the address.

Rules that hold here:
- the address that is checked is the address that is connected to: names are resolved first, every spelling
  of an address is normalized, and no second look-up could return another address (DNS rebinding);
- a refusal names the address and the setting, and never the URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable

from alertd.core.ledger.outcome import Rejected, Retry
from alertd.core.network import Network, judge
from alertd.errors import AlertdError

ADDRESS_S = 10.0
"""Time limit for connecting to one address, in seconds, when the host has other addresses to try."""

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]
"""Resolves a name to its addresses; raises OSError."""


class AddressRefused(AlertdError, OSError):
    """The configuration does not allow connecting to an address.

    The text is a clause that gives the reason.
    """


class Egress:
    """Opens connections that the network policy allows. The process has one, for HTTP and mail alike.

    Attributes:
        network: the policy. alertd replaces it when it applies a new configuration.
        resolve: resolves a name to its addresses.
    """

    def __init__(self, network: Network | None = None, resolve: Resolve | None = None) -> None:
        self.network = network or Network()
        self.resolve = resolve or Resolver()

    def open(self, address: str) -> socket.socket:
        """Return an unconnected socket that may be connected to ``address``, and to no other address.

        Raises:
            AddressRefused: the policy does not allow the address.
            OSError: the operating system did not create a socket.
        """
        verdict = judge(address, self.network)
        if not verdict.allowed:
            raise AddressRefused(verdict.reason)
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        return sock

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of ``host``. An address in any spelling is normalized, without a name look-up.

        Raises:
            OSError: the name does not resolve.
        """
        literal = numeric(host)
        found = (literal,) if literal else await self.resolve(host)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "a name without addresses")
        return found

    async def connect(self, host: str, port: int) -> socket.socket:
        """Return a socket that is connected to the first of the host's addresses that accepts.

        Raises:
            AddressRefused: the policy allows none of the addresses.
            OSError: no allowed address accepted, or the name does not resolve.
        """
        found = await self.addresses(host)
        refused = failed = None
        for address in found:
            try:
                sock = self.open(address)
            except AddressRefused as error:
                refused = error
                continue
            try:
                async with asyncio.timeout(ADDRESS_S if len(found) > 1 else None):
                    await asyncio.get_running_loop().sock_connect(sock, (address, port))
                return sock
            except OSError as error:
                sock.close()
                failed = error
            except BaseException:
                sock.close()
                raise
        raise failed or refused or OSError("no address was tried")


def refusal(where: str, host: str, reason: str) -> Retry | Rejected:
    """Return a refused address as a delivery's outcome.

    A literal address will be refused again, so the message is rejected. A name may resolve to an allowed
    address later, so alertd retries.
    """
    told = f"{where} is not connected to: {reason}"
    return Rejected(reason=told) if numeric(host) else Retry(reason=told)


MAX_LOOKUPS = 64
"""Equals the number of sends that may run at the same time."""

Lookup = Callable[[str], tuple[str, ...]]
"""Resolves a name to its addresses; may block. Raises OSError."""


def system_lookup(host: str) -> tuple[str, ...]:
    """Return the addresses from the operating system, in its order; without IPv6 if the machine has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as error:
        # The codec raises UnicodeError for an empty label and for a label of more than 63 characters.
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def numeric(host: str) -> str:
    """Return the normal form of an address in any spelling (``127.1``, ``0x7f000001``); "" for a name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""
    return str(found[0][4][0])


class Resolver:
    """Resolves names to addresses. A resolver belongs to one event loop."""

    def __init__(self, lookup: Lookup = system_lookup, limit: int = MAX_LOOKUPS) -> None:
        self._lookup = lookup
        self._limit = limit
        self._underway: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def __call__(self, host: str) -> tuple[str, ...]:
        """Return the addresses of ``host``.

        Raises:
            socket.gaierror: the name does not exist, or no name server answered.
            OSError: too many look-ups are in progress, or the look-up could not be made.
        """
        future = self._underway.get(host)
        if future is None:
            if len(self._underway) >= self._limit:
                raise OSError(f"{self._limit} names are being looked up already")
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            try:
                threading.Thread(
                    target=self._look_up, args=(loop, host), name=f"dns {host}", daemon=True
                ).start()
            except RuntimeError as error:
                raise OSError("the system starts no more threads") from error
            self._underway[host] = future
        # A caller that is cancelled must not cancel the look-up for the remaining callers.
        return await asyncio.shield(future)

    def _look_up(self, loop: asyncio.AbstractEventLoop, host: str) -> None:
        found: tuple[str, ...] | OSError
        try:
            found = self._lookup(host)
        except OSError as error:
            found = error
        except Exception as error:  # whatever it is, the look-up ends, or the name would never resolve again
            found = OSError(f"the look-up failed ({type(error).__name__})")
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._settle, host, found)

    def _settle(self, host: str, found: tuple[str, ...] | OSError) -> None:
        future = self._underway.pop(host)
        if future.cancelled():
            return
        if isinstance(found, OSError):
            future.set_exception(found)
            future.exception()  # mark as retrieved: if no caller waits any more, asyncio would log an error
        else:
            future.set_result(found)
