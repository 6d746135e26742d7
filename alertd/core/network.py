"""The addresses that alertd may connect to, as one explicit table, and the verdict on a single address.

Rules that this module guards:
- the narrowest block of the table that contains an address decides, and the table contains every address;
- for an IPv6 address that embeds an IPv4 address, both addresses are judged and the stricter verdict applies;
- no setting allows an address of tier ``never``;
- Python's ``is_global`` is not used. CPython 3.11 reports that the NAT64 form of 127.0.0.1 and 224.0.0.1 are
  global, and the results change between patch releases.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from alertd.errors import NetworkError

Address = IPv4Address | IPv6Address
Block = IPv4Network | IPv6Network


class Reach(StrEnum):
    """Which addresses alertd may connect to: internal and public addresses, or only public addresses."""

    INTERNAL = "internal"
    PUBLIC = "public"


class Tier(StrEnum):
    """The kind of the addresses in a block."""

    PUBLIC = "public"
    INTERNAL = "internal"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The value of ``network`` in ``alertd.yaml``.

    Attributes:
        policy: which addresses alertd may connect to.
        allow: internal addresses to which alertd may connect although the policy is ``public``.
    """

    policy: Reach = Reach.INTERNAL
    allow: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """One block of the table.

    Attributes:
        block: the addresses.
        tier: the kind of the addresses.
        words: a description of the addresses for people. It follows the word "is".
        why: the document that defines the block, or the service that uses it.
    """

    block: Block
    tier: Tier
    words: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressVerdict:
    """Whether alertd may connect to an address. The reason is a clause about the address."""

    allowed: bool
    reason: str


def _row(block: str, tier: Tier, words: str, why: str) -> NetworkRow:
    return NetworkRow(block=ip_network(block), tier=tier, words=words, why=why)


_N, _I, _P = Tier.NEVER, Tier.INTERNAL, Tier.PUBLIC

TABLE: tuple[NetworkRow, ...] = (
    # IPv4. The RFCs are those in IANA's registry of special-purpose addresses.
    _row("0.0.0.0/0", _P, "public", "whatever is not below"),
    _row("0.0.0.0/8", _N, "unspecified", "RFC 791: this network; Linux takes 0.0.0.0 for the machine itself"),
    _row("10.0.0.0/8", _I, "private", "RFC 1918"),
    _row("100.64.0.0/10", _I, "shared", "RFC 6598: behind a carrier's NAT; VPNs use it too"),
    _row("100.100.100.200/32", _N, "a cloud's metadata service", "Alibaba Cloud"),
    _row("127.0.0.0/8", _I, "loopback", "RFC 1122: the machine itself"),
    _row("168.63.129.16/32", _N, "a cloud's metadata service", "Azure's WireServer; a public address"),
    _row("169.254.0.0/16", _N, "link-local", "RFC 3927; 169.254.169.254 is most clouds' metadata service"),
    _row("172.16.0.0/12", _I, "private", "RFC 1918"),
    _row("192.0.0.0/24", _N, "reserved", "RFC 6890: protocols; 192.0.0.192 is Oracle Classic's metadata"),
    _row("192.0.2.0/24", _I, "for documentation", "RFC 5737"),
    _row("192.88.99.0/24", _N, "reserved", "RFC 7526: what was the anycast of 6to4 relays"),
    _row("192.168.0.0/16", _I, "private", "RFC 1918"),
    _row("198.18.0.0/15", _I, "for benchmarks", "RFC 2544; some VPNs answer every name from here"),
    _row("198.51.100.0/24", _I, "for documentation", "RFC 5737"),
    _row("203.0.113.0/24", _I, "for documentation", "RFC 5737"),
    _row("224.0.0.0/4", _N, "multicast", "RFC 5771"),
    _row("240.0.0.0/4", _N, "reserved", "RFC 1112"),
    _row("255.255.255.255/32", _N, "broadcast", "RFC 919"),
    # IPv6. Only 2000::/3 is assigned as global unicast (RFC 4291, section 2.4, and IANA's registry).
    _row("::/0", _N, "reserved", "RFC 4291: not given out"),
    _row("2000::/3", _P, "public", "RFC 4291: global unicast, but for what is below"),
    _row("::/128", _N, "unspecified", "RFC 4291; Linux takes it for the machine itself"),
    _row("::1/128", _I, "loopback", "RFC 4291: the machine itself"),
    _row("100::/64", _N, "reserved", "RFC 6666: discarded"),
    _row("100:0:0:1::/64", _N, "reserved", "RFC 9780: a dummy prefix"),
    _row("2001::/23", _N, "reserved", "RFC 2928: protocols, but for what is below"),
    _row("2001:2::/48", _I, "for benchmarks", "RFC 5180"),
    _row("2001:db8::/32", _I, "for documentation", "RFC 3849"),
    _row("3fff::/20", _I, "for documentation", "RFC 9637"),
    _row("5f00::/16", _N, "reserved", "RFC 9602: segment routing; no host is there"),
    _row("fc00::/7", _I, "unique local", "RFC 4193: private"),
    _row("fd00:42::42/128", _N, "a cloud's metadata service", "Scaleway"),
    _row("fd00:100::100:200/128", _N, "a cloud's metadata service", "Alibaba Cloud"),
    _row("fd00:a9fe:a9fe::1/128", _N, "a cloud's metadata service", "Akamai, once Linode"),
    _row("fd00:c1::a9fe:a9fe/128", _N, "a cloud's metadata service", "Oracle Cloud"),
    _row("fd00:ec2::/32", _N, "a cloud's metadata service", "AWS: metadata, pod identity, DNS, time"),
    _row("fd20:ce::254/128", _N, "a cloud's metadata service", "Google Cloud"),
    _row("fe80::/10", _N, "link-local", "RFC 4291; fe80::a9fe:a9fe is OpenStack's metadata service"),
    _row("fec0::/10", _I, "site-local", "RFC 3879: private, and given up"),
    _row("ff00::/8", _N, "multicast", "RFC 4291"),
    # IPv6 addresses that embed IPv4 addresses. A public row applies only if the embedded address is public.
    _row("::/96", _P, "IPv4-compatible", "RFC 4291, given up: IPv4 in the last 32 bits"),
    _row("::ffff:0:0/96", _P, "IPv4-mapped", "RFC 4291: IPv4 in the last 32 bits"),
    _row("::ffff:0:0:0/96", _P, "IPv4-translated", "RFC 2765: IPv4 in the last 32 bits"),
    _row("64:ff9b::/96", _P, "NAT64", "RFC 6052: IPv4 in the last 32 bits"),
    _row("64:ff9b:1::/48", _I, "NAT64 of a network of its own", "RFC 8215: IPv4 in one of four places"),
    _row("2001::/32", _P, "Teredo", "RFC 4380: the server's IPv4, and the client's, inverted"),
    _row("2002::/16", _P, "6to4", "RFC 3056: IPv4 in bits 16 to 47"),
)  # fmt: skip

_BY_WIDTH = sorted(TABLE, key=lambda row: -row.block.prefixlen)
_NOTHING = IPv4Network("0.0.0.0/8")
_32 = 0xFFFF_FFFF


def judge(address: str, network: Network) -> AddressVerdict:
    """Decide whether alertd may connect to one address.

    Args:
        address: the text of the address. A scope such as ``%eth0`` is ignored. A text that is not an address
            is refused.
        network: the setting to apply.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return AddressVerdict(allowed=False, reason="what its name leads to is no IP address")
    judged = [(meant, find_row(meant)) for meant in (found, *extract_embedded(found))]
    for meant, row in judged:
        if row.tier is Tier.NEVER:
            reason = f"{_describe(found, meant, row)}, which is always refused"
            return AddressVerdict(allowed=False, reason=reason)
    for meant, row in judged:
        if row.tier is Tier.INTERNAL and network.policy is Reach.PUBLIC and not _is_named(meant, network):
            why = "which network: public refuses unless network.allow names it"
            return AddressVerdict(allowed=False, reason=f"{_describe(found, meant, row)}, {why}")
    meant, row = judged[-1]
    return AddressVerdict(allowed=True, reason=_describe(found, meant, row))


def find_row(found: Address | Block) -> NetworkRow:
    """Return the row with the narrowest block that contains the whole of an address or a block."""
    block = ip_network(found)
    return next(row for row in _BY_WIDTH if _holds(row.block, block))


def extract_embedded(found: Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that an IPv6 address embeds, and that a packet to it can reach."""
    if isinstance(found, IPv4Address):
        return ()
    bits = int(found)
    match find_row(found).words:
        case "IPv4-compatible" | "IPv4-mapped" | "IPv4-translated" | "NAT64":
            within = [bits]
        case "6to4":
            within = [bits >> 80]
        case "Teredo":
            within = [bits >> 64, ~bits]
        case "NAT64 of a network of its own":
            return _read_local_nat64(bits)
        case _:
            # ISATAP (RFC 5214, section 6.1): in any network, after 00-00-5E-FE or 02-00-5E-FE.
            within = [bits] if bits >> 32 & _32 in (0x0000_5EFE, 0x0200_5EFE) else []
    return tuple(IPv4Address(number & _32) for number in within)


def parse_block(text: str) -> Block:
    """Parse an address or a network for ``allow``.

    Raises:
        NetworkError: the text is neither an address nor a network, or no setting can allow the addresses.
    """
    try:
        block = ip_network(text, strict=False)
    except ValueError:
        raise NetworkError(
            text, "not an address or a network", "write one such as 10.0.0.0/8 or fd12:3456::7"
        ) from None
    if "/" in text and ip_address(text.partition("/")[0]) != block.network_address:
        raise NetworkError(text, "an address within a network", f"write {block}, or the address alone")
    row = find_row(block)
    if row.tier is Tier.NEVER:
        raise NetworkError(text, f"{row.words}, which is always refused", "remove it")
    if isinstance(block, IPv6Network) and extract_embedded(block.network_address) and row.tier is Tier.PUBLIC:
        raise NetworkError(text, "stands for IPv4 addresses", "write those")
    return block


def _read_local_nat64(bits: int) -> tuple[IPv4Address, ...]:
    """Return every IPv4 address that a NAT64 address with a local prefix can embed.

    The prefix can have 48, 56, 64 or 96 bits, and only the owner of the network knows which. Bits 64 to 71
    are skipped. Most wrong prefix lengths give an address in 0.0.0.0/8, to which no packet is sent. Such an
    address is returned only if there is no other address.

    Source: RFC 6052 section 2.2.
    """
    front, back = bits >> 64 & 0xFFFF, bits >> 16 & 0xFF_FFFF_FFFF
    readings = (front << 16 | back >> 24, (front & 0xFF) << 24 | back >> 16, back >> 8, bits)
    found = tuple(IPv4Address(number & _32) for number in readings)
    return tuple(address for address in found if address not in _NOTHING) or found[-1:]


def _holds(outer: Block, inner: Block) -> bool:
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def _is_named(address: Address, network: Network) -> bool:
    return any(_holds(block, ip_network(address)) for block in network.allow)


def _describe(found: Address, meant: Address, row: NetworkRow) -> str:
    if meant == found:
        return f"{meant} is {row.words} ({row.block})"
    return f"{found} stands for {meant}, {row.words} ({row.block})"


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine, so that data sent to it does not cross a network.

    Args:
        host: a host name or the text of an address.
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
