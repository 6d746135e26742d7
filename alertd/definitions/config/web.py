"""Read the web server's settings: its addresses and who has access."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from alertd.core.access import NO_AUTH, SCOPES, Auth, MetricsFor, Web
from alertd.core.network import Block, is_this_machine
from alertd.definitions.config.keys import AUTH, MAX_EMBED, MAX_HOSTS, MAX_PROXIES, WEB
from alertd.definitions.reading.keys import NAME, PATH
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader, quote
from alertd.definitions.reading.terms import read_link
from alertd.errors import NetworkError

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_SITE = re.compile(rf"https?://{_HOST.pattern}(:[0-9]{{1,5}})?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_MEANING = ("host", "cookie", "authorization", "origin", "forwarded", "x-forwarded-for")
"""Headers that cannot name the user, because they have another meaning or any client can send them."""


def read_web(reader: Reader, node: Node) -> Web:
    """Read the section ``web``. A value with a problem is replaced by its default."""
    values = reader.read_mapping(node, WEB) or {}
    read: dict[str, Any] = {}
    for key, value in values.items():
        match key:
            case "external_url":
                read[key] = _read_external_url(reader, value)
            case "auth":
                read[key] = _read_auth(reader, value, "proxies" in values)
            case "hosts":
                hosts = [_read_host(reader, item) for item in reader.read_items(value, "hosts", MAX_HOSTS)]
                read[key] = tuple(filter(None, hosts))
            case "proxies":
                blocks = reader.read_items(value, "proxies", MAX_PROXIES)
                found = (reader.parse(block, _parse_block) for block in blocks)
                read[key] = tuple(block for block in found if block is not None)
            case "embed":
                sites = [_read_site(reader, item) for item in reader.read_items(value, "embed", MAX_EMBED)]
                read[key] = tuple(filter(None, sites))
            case "metrics":
                read[key] = reader.read_choice(value, MetricsFor)
            case "metrics_per_milestone":
                read[key] = reader.read_flag(value)
            case _:
                read[key] = reader.read_text(value, PATH)
    made = Web(**{key: value for key, value in read.items() if value is not None})
    _require_auth(reader, values, made)
    return made


def _require_auth(reader: Reader, values: Mapping[str, Node], made: Web) -> None:
    """Require ``web.auth`` if other machines can reach the server by a name.

    A name means that others can reach it, even if the server itself listens only for a proxy on this machine.
    """
    if "auth" in values:
        return
    for key, names in (("external_url", (made.external_host,)), ("hosts", made.hosts)):
        if any(name and not is_this_machine(name) for name in names):
            advice = "add auth with a tokens_file, or auth: none when everybody may do everything"
            reader.refuse(
                values[key], f"others reach the server by this, and web.auth says nothing; {advice}"
            )
            return


def _read_auth(reader: Reader, node: Node, has_proxies: bool) -> Auth | None:
    if isinstance(node, Scalar) and node.text:
        if node.text == "none":
            return NO_AUTH
        advice = "write auth: none, or a mapping such as {tokens_file: tokens}"
        reader.refuse(node, f"{quote(node.text)}: not a way to show who one is; {advice}")
        return None
    values = reader.read_mapping(node, AUTH)
    if values is None:
        return None
    read: dict[str, Any] = {}
    for key, value in values.items():
        match key:
            case "proxy_header":
                read[key] = _read_header(reader, value)
            case "proxy_scope" | "anonymous":
                read[key] = reader.look_up(value, SCOPES, "")
            case _:
                read[key] = reader.read_text(value, PATH)
    if not values:
        reader.refuse(node, "auth says nothing; write auth: none, or add a tokens_file")
    if "proxy_header" in values and not has_proxies:
        reader.refuse(values["proxy_header"], "anybody could send that header; add web.proxies")
    if "proxy_scope" in values and "proxy_header" not in values:
        reader.refuse(values["proxy_scope"], "proxy_scope is nothing without proxy_header")
    return Auth(**{key: value for key, value in read.items() if value is not None})


def _read_external_url(reader: Reader, node: Node) -> str | None:
    value = read_link(reader, node)
    if value is None:
        return None
    scheme, _, rest = value.partition("://")
    place, slash, path = rest.partition("/")
    if re.search(r"[?#@\\]", rest):
        # The message leaves the value out because it may contain a password.
        reader.refuse(node, "more than a scheme, a host, a port and a path; remove the rest")
        return None
    return f"{scheme}://{place.lower()}{slash}{path}".rstrip("/")


def _read_host(reader: Reader, node: Node) -> str | None:
    value = reader.read_text(node, NAME)
    if value is None:
        return None
    name = value.lower().strip("[]").removesuffix(".")
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    if not _HOST.fullmatch(name):
        advice = "write one such as alertd.example.org, without scheme and port"
        reader.refuse(node, f"{quote(value)}: not a host name; {advice}")
        return None
    return name


def _read_site(reader: Reader, node: Node) -> str | None:
    """Read the origin of a site that may embed pages.

    The value is copied into the Content-Security-Policy header (CSP level 3, section 2.3.1, host-source).
    """
    value = reader.read_text(node, NAME)
    if value is None:
        return None
    site = value.lower().removesuffix("/")
    if not _SITE.fullmatch(site):
        advice = "write one such as https://wiki.example.org, without a path"
        reader.refuse(node, f"{quote(value)}: not a site; {advice}")
        return None
    return site


def _read_header(reader: Reader, node: Node) -> str | None:
    value = reader.read_text(node, NAME)
    if value is None:
        return None
    if not _HEADER.fullmatch(value) or value.lower() in _OWN_MEANING:
        reader.refuse(
            node, f"{quote(value)}: not a header that says who asks; write one such as X-Remote-User"
        )
        return None
    return value.lower()


def _parse_block(text: str) -> Block:
    try:
        return ip_network(text)
    except ValueError:
        advice = "write one such as 127.0.0.1 or 10.0.0.0/8"
        raise NetworkError(text, "not an address or a network", advice) from None
