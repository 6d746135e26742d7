"""Finds the IP address of the client of a request, also behind reverse proxies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from alertd.core.network import Address, Block

MAX_HOPS = 10
"""How many entries of X-Forwarded-For are read, from its end."""

_PORT = r"(?::(?:[0-9]{0,5}|_[A-Za-z0-9._-]+))"
_BRACKETED = re.compile(rf"\[([^\[\]]*)\]{_PORT}?")
_WITH_PORT = re.compile(rf"(.+){_PORT}")


def find_peer(request: HTTPConnection) -> str:
    """Return the address of the peer of the TCP connection."""
    return request.client.host if request.client else ""


def is_among(address: str, blocks: Iterable[Block]) -> bool:
    """Whether an address is in one of the networks. Text that is not an address is in none."""
    found = parse_address(address)
    return found is not None and any(found in block for block in blocks if block.version == found.version)


def find_origin(request: HTTPConnection, proxies: Iterable[Block]) -> str:
    """Return the address of the client: the nearest one that is not a trusted proxy.

    Each proxy appends the address of its own peer to X-Forwarded-For. The entries before the first untrusted
    address can be forged, so they are ignored. If an entry contains no address, the trusted proxy that sent
    the entry counts as the client.

    The header Forwarded is not read. A proxy that sets only X-Forwarded-For passes on the Forwarded header of
    its client, who can write any address there.
    """
    blocks, peer = tuple(proxies), find_peer(request)
    here = str(parse_address(peer) or peer)
    lines = request.headers.getlist("x-forwarded-for")
    entries = [entry.strip() for line in lines for entry in line.split(",")]
    # A recipient ignores the empty elements of a list (RFC 9110, section 5.6.1.2).
    for entry in reversed([entry for entry in entries if entry][-MAX_HOPS:]):
        hop = _parse_node(entry)
        if not is_among(here, blocks) or hop is None:
            break
        here = str(hop)
    return here


def parse_address(text: str) -> Address | None:
    """Parse an address. Its zone is dropped, and an IPv4-mapped address becomes the IPv4 address."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _parse_node(text: str) -> Address | None:
    """Parse an entry of X-Forwarded-For: an address, perhaps with a port, in brackets or in quotes.

    The forms are those of a node in RFC 7239, section 6, and also an IPv6 address without brackets. If the
    end of such an address can be a port or a part of the address, it is read as a part of the address.

    Returns:
        None if the entry contains no address, such as ``unknown`` and obfuscated identifiers.
    """
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        return parse_address(bracketed[1])
    found, with_port = parse_address(text), _WITH_PORT.fullmatch(text)
    return parse_address(with_port[1]) if found is None and with_port is not None else found
