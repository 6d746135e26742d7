"""Finds the IP address of the client of a request, also behind reverse proxies."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from alertd.core.network import Address, Block

MAX_HOPS = 10


def find_peer(request: HTTPConnection) -> str:
    """Return the address of the peer of the TCP connection."""
    return request.client.host if request.client else ""


def is_among(address: str, blocks: Iterable[Block]) -> bool:
    """Whether an address is in one of the networks. Text that is not an address is in none."""
    found = _read(address)
    return found is not None and any(found in block for block in blocks if block.version == found.version)


def find_origin(request: HTTPConnection, proxies: Iterable[Block]) -> str:
    """Return the address of the client: the nearest one that is not a trusted proxy.

    Each proxy appends the address of its own peer to X-Forwarded-For. The entries before the first untrusted
    address can be forged, so they are ignored.
    """
    blocks, here = tuple(proxies), find_peer(request)
    hops = [hop.strip() for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    for hop in reversed(hops[-MAX_HOPS:]):
        if not is_among(here, blocks) or _read(hop) is None:
            break
        here = str(_read(hop))
    return here


def _read(text: str) -> Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
