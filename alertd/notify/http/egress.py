"""Opens every connection that alertd makes to a receiver: the place where addresses are checked.

Rules that hold here:
- what is checked is the very address that is connected to, after its name was resolved and however it was
  spelt; there is no second look-up that could say something else (DNS rebinding);
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
"""How long an address is tried when there are others, in seconds."""

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]
"""From a name to addresses; raises OSError."""


class AddressRefused(AlertdError, OSError):
    """An address is not connected to; the text is a clause about it."""


class Egress:
    """What may be connected to. One for the process, for HTTP and mail alike.

    Attributes:
        network: the policy; replaced when the configuration is.
        resolve: from a name to addresses.
    """

    def __init__(self, network: Network | None = None, resolve: Resolve | None = None) -> None:
        self.network = network or Network()
        self.resolve = resolve or Resolver()

    def open(self, address: str) -> socket.socket:
        """A socket that is about to be connected to ``address``, and to nothing else.

        Raises:
            AddressRefused: it may not be.
            OSError: there is no socket to be had.
        """
        verdict = judge(address, self.network)
        if not verdict.allowed:
            raise AddressRefused(verdict.reason)
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        return sock

    async def addresses(self, host: str) -> tuple[str, ...]:
        """What ``host`` leads to, without asking anybody when it is a spelling of an address.

        Raises:
            OSError: it leads nowhere.
        """
        literal = numeric(host)
        found = (literal,) if literal else await self.resolve(host)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "a name without addresses")
        return found

    async def connect(self, host: str, port: int) -> socket.socket:
        """Connected to one of the host's addresses, tried in their order.

        Raises:
            AddressRefused: none of them may be connected to.
            OSError: none of those that may be answers, or the name does not resolve.
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
    """What a refused address means for a delivery: an address stays what it is, a name may be mended."""
    told = f"{where} is not connected to: {reason}"
    return Rejected(reason=told) if numeric(host) else Retry(reason=told)


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


class Resolver:
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
