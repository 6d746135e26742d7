"""Where a request comes from, when there may be proxies between."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from alertd.core.network import Address, Block

MAX_HOPS = 10


def peer_of(request: HTTPConnection) -> str:
    """Who is connected to us."""
    return request.client.host if request.client else ""


def is_among(address: str, blocks: Iterable[Block]) -> bool:
    """Whether an address is in one of the networks; what is no address is in none."""
    found = _read(address)
    return found is not None and any(found in block for block in blocks if block.version == found.version)


def origin_of(request: HTTPConnection, proxies: Iterable[Block]) -> str:
    """The first address, seen from here, that is none of our proxies'.

    Each proxy writes whom it heard from at the end of X-Forwarded-For. What stands before the first that is
    no proxy of ours was written by others, who may write what they like.
    """
    blocks, here = tuple(proxies), peer_of(request)
    told = [one.strip() for line in request.headers.getlist("x-forwarded-for") for one in line.split(",")]
    for one in reversed(told[-MAX_HOPS:]):
        if not is_among(here, blocks) or _read(one) is None:
            break
        here = str(_read(one))
    return here


def _read(text: str) -> Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
