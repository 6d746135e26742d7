"""The addresses that alertd may connect to: the table, address by address, and the forms of IPv4 in IPv6."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd.core.network import (
    TABLE,
    Network,
    NetworkRow,
    Reach,
    Tier,
    extract_embedded,
    find_row,
    judge,
    parse_block,
)
from alertd.errors import NetworkError

INTERNAL = Network()
PUBLIC = Network(policy=Reach.PUBLIC)

# These addresses come from IANA's registries of special-purpose addresses, multicast and the IPv6 address
# space, and from the documentation of the clouds' metadata services. They are not generated from the table.
NEVER = [
    # This network; on Linux 0.0.0.0 is the machine itself.
    "0.0.0.0", "0.1.2.3", "0.255.255.255",
    # Link-local. Metadata of AWS, Azure, Google, Oracle, OpenStack, DigitalOcean, Hetzner; AWS's task roles
    # and pod identity; Tencent; Scaleway.
    "169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "169.254.42.42",
    "169.254.255.255",
    # Metadata outside of it: Alibaba, Azure's WireServer, Oracle Classic.
    "100.100.100.200", "168.63.129.16", "192.0.0.192",
    # Protocols: DS-Lite, the dummy address, NAT64 discovery, PCP and TURN anycast.
    "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.9", "192.0.0.10",
    # The former anycast prefix of 6to4 relays.
    "192.88.99.1",
    # Multicast: this link, a source-specific one, a documentation one, one of an organisation.
    "224.0.0.1", "232.1.1.1", "233.252.0.16", "239.255.255.255",
    # Reserved, and broadcast.
    "240.0.0.1", "254.255.255.255", "255.255.255.255",
    # Unspecified; link-local, with a scope and OpenStack's metadata; multicast.
    "::", "fe80::1", "fe80::1%eth0", "febf::1", "fe80::a9fe:a9fe", "ff02::1", "ff0e::1",
    # Metadata: AWS and its pod identity, DNS and time; Google; Oracle; Scaleway; Linode; Alibaba.
    "fd00:ec2::254", "fd00:ec2::23", "fd00:ec2::253", "fd00:ec2::123", "fd20:ce::254", "fd00:c1::a9fe:a9fe",
    "fd00:42::42", "fd00:a9fe:a9fe::1", "fd00:100::100:200",
    # Discarded, dummy, protocols (PCP anycast, ORCHID), segment routing, unassigned.
    "100::1", "100:0:0:1::1", "2001:1::1", "2001:10::1", "5f00::1", "1000::1", "4000::1", "e000::1", "200::1",
]  # fmt: skip
INTERNAL_ONLY = [
    # Private, and behind a carrier's NAT.
    "10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
    "100.64.0.1", "100.127.255.255", "100.100.100.199", "100.100.100.201",
    # The machine itself.
    "127.0.0.1", "127.255.255.254", "::1",
    # Documentation and benchmarks: unused on the Internet, and used in laboratories.
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255", "2001:db8::1", "3fff::1",
    "2001:2::1",
    # Unique local, also beside a metadata service; site-local.
    "fc00::1", "fd12:3456:789a::1", "fd00:42::41", "fd20:ce::253", "fec0::1",
]  # fmt: skip
OPEN = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "168.63.129.15", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "2003::1", "2001:200::1", "3ffe::1",
]  # fmt: skip

# How each form embeds an IPv4 address, as text from the RFCs. The product shifts bits instead.
FORMS = {
    "mapped": lambda a, b, c, d: f"::ffff:{a}.{b}.{c}.{d}",
    "mapped in hex": lambda a, b, c, d: f"::ffff:{a:02x}{b:02x}:{c:02x}{d:02x}",
    "compatible": lambda a, b, c, d: f"::{a}.{b}.{c}.{d}",
    "translated": lambda a, b, c, d: f"::ffff:0:{a}.{b}.{c}.{d}",
    "NAT64": lambda a, b, c, d: f"64:ff9b::{a}.{b}.{c}.{d}",
    "local NAT64, /96": lambda a, b, c, d: f"64:ff9b:1::{a}.{b}.{c}.{d}",
    "local NAT64, /96 of a subnet": lambda a, b, c, d: f"64:ff9b:1:0:0:7:{a}.{b}.{c}.{d}",
    "local NAT64, /64": lambda a, b, c, d: f"64:ff9b:1:0:{a:x}:{b:02x}{c:02x}:{d:02x}00:0",
    "local NAT64, /56": lambda a, b, c, d: f"64:ff9b:1:{a:x}:{b:x}:{c:02x}{d:02x}::",
    "local NAT64, /48": lambda a, b, c, d: f"64:ff9b:1:{a:02x}{b:02x}:{c:x}:{d:02x}00::",
    "6to4": lambda a, b, c, d: f"2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1",
    "Teredo's client": lambda a, b, c, d: (
        f"2001:0:808:808:0:0:{a ^ 255:02x}{b ^ 255:02x}:{c ^ 255:02x}{d ^ 255:02x}"
    ),
    "Teredo's server": lambda a, b, c, d: f"2001:0:{a:02x}{b:02x}:{c:02x}{d:02x}:0:0:f7f7:f7f7",
    "ISATAP": lambda a, b, c, d: f"2606:4700::5efe:{a}.{b}.{c}.{d}",
    "ISATAP, universal": lambda a, b, c, d: f"2606:4700::200:5efe:{a}.{b}.{c}.{d}",
}


def in_form(form: str, address: str) -> str:
    return FORMS[form](*IPv4Address(address).packed)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("network", [INTERNAL, PUBLIC], ids=str)
def test_some_addresses_are_refused_under_every_policy(address: str, network: Network) -> None:
    """Link-local, metadata, unspecified, multicast, broadcast and reserved addresses are always refused."""
    verdict = judge(address, network)

    assert not verdict.allowed
    assert address.partition("%")[0] in verdict.reason
    assert verdict.reason.endswith("always refused")


@pytest.mark.parametrize("address", INTERNAL_ONLY)
def test_internal_addresses_are_reached_unless_only_public_ones_are_wanted(address: str) -> None:
    """Posting to one's own network needs no setting, and a refusal names the setting that would allow it."""
    refused = judge(address, PUBLIC)
    allowed = judge(address, Network(policy=Reach.PUBLIC, allow=(ip_network(address),)))

    assert judge(address, INTERNAL).allowed
    assert not refused.allowed
    assert "network: public refuses unless network.allow names it" in refused.reason
    assert allowed.allowed


@pytest.mark.parametrize("address", OPEN)
@pytest.mark.parametrize("network", [INTERNAL, PUBLIC], ids=str)
def test_public_addresses_are_reached_up_to_the_edges_of_the_others(address: str, network: Network) -> None:
    """No block is wider than its registration."""
    assert judge(address, network).allowed


@pytest.mark.parametrize("address", NEVER)
def test_nothing_opens_what_is_always_refused(address: str) -> None:
    """An allowed network does not open a refused network that it contains."""
    wide = tuple(ip_network(block) for block in ("0.0.0.0/0", "::/0", "fc00::/7", "64:ff9b:1::/48"))

    assert not judge(address, Network(policy=Reach.PUBLIC, allow=wide)).allowed


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "0x7f.1", "1.2.3.4.5", "::1::", "²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """A text that a system could read as an address is refused."""
    assert not judge(text, INTERNAL).allowed


REFUSED_V4 = [row for row in TABLE if row.tier is Tier.NEVER and row.block.version == 4]
INTERNAL_V4 = [row for row in TABLE if row.tier is Tier.INTERNAL and row.block.version == 4]


def addresses_of(rows: list[NetworkRow]) -> st.SearchStrategy[str]:
    def within(row: NetworkRow) -> st.SearchStrategy[str]:
        first, last = int(row.block[0]), int(row.block[-1])
        return st.integers(first, last).map(lambda bits: str(IPv4Address(bits)))

    return st.sampled_from(rows).flatmap(within)


@given(addresses_of(REFUSED_V4), st.sampled_from(sorted(FORMS)))
@example("0.0.0.1", "compatible")
@example("0.0.0.2", "compatible")
def test_a_refused_address_is_refused_in_every_form(address: str, form: str) -> None:
    """No form of IPv4 within IPv6 gets around the table."""
    written = in_form(form, address)
    if form.startswith("local NAT64") and address.startswith("0."):
        return  # no packet goes there, and a local prefix makes the address ambiguous
    if IPv6Address(written).is_loopback:
        return  # 0.0.0.1 in the compatible form is ::1, the loopback address of IPv6, and no IPv4 address
    assert not judge(written, INTERNAL).allowed


@given(addresses_of(INTERNAL_V4), st.sampled_from(sorted(FORMS)))
def test_an_internal_address_is_internal_in_every_form(address: str, form: str) -> None:
    """With ``public``, an internal IPv4 address is refused in every form."""
    assert not judge(in_form(form, address), PUBLIC).allowed


@pytest.mark.parametrize("form", FORMS)
def test_a_public_address_stays_public_in_every_form(form: str) -> None:
    """Hosts that reach IPv4 only by NAT64 can use the public prefix. A local prefix has to be allowed."""
    own = (ip_network("64:ff9b:1::/48"),) if form.startswith("local") else ()

    assert judge(in_form(form, "8.8.4.4"), Network(policy=Reach.PUBLIC, allow=own)).allowed
    assert judge(in_form(form, "8.8.4.4"), INTERNAL).allowed
    assert judge(in_form(form, "8.8.4.4"), PUBLIC).allowed is not bool(own)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_as_it_was_written(form: str) -> None:
    """The IPv4 address is found, and the reason names it."""
    address = in_form(form, "10.20.30.40")

    assert IPv4Address("10.20.30.40") in extract_embedded(IPv6Address(address))
    assert "10.0.0.0/8" in judge(address, INTERNAL).reason or form.startswith(("local", "Teredo", "ISATAP"))


def test_what_is_allowed_in_ipv4_is_allowed_when_it_is_mapped() -> None:
    """A dual-stack socket reports IPv4 addresses in this form."""
    network = Network(policy=Reach.PUBLIC, allow=(ip_network("10.0.0.0/8"),))

    assert judge("::ffff:10.1.2.3", network).allowed
    assert not judge("::ffff:192.168.1.1", network).allowed


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_every_address_has_a_row_and_public_never_reaches_further(address: IPv4Address | IPv6Address) -> None:
    """The table covers every address, and ``internal`` allows every address that ``public`` allows."""
    row = find_row(address)

    assert row.words
    assert row.why
    assert judge(str(address), INTERNAL).allowed or not judge(str(address), PUBLIC).allowed


def test_no_block_is_listed_twice() -> None:
    """Exactly one row decides."""
    blocks = [row.block for row in TABLE]

    assert len(set(blocks)) == len(blocks)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.0.0.7", "fd12:3456::7", "64:ff9b:1::/48", "127.0.0.0/8"])
def test_what_can_be_opened_can_be_allowed(text: str) -> None:
    """An address is parsed as a network with a single address."""
    assert parse_block(text) == ip_network(text)


@pytest.mark.parametrize("address", [address for address in NEVER if "%" not in address])
def test_what_cannot_be_opened_cannot_be_allowed(address: str) -> None:
    """A wrong entry is refused where it is written, and is not silently ignored."""
    with pytest.raises(NetworkError, match="always refused"):
        parse_block(address)
