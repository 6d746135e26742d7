"""Read how the web server is reached, and by whom."""

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
from alertd.definitions.reading.reader import Reader, shown
from alertd.definitions.reading.terms import link
from alertd.errors import NetworkError

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_SITE = re.compile(rf"https?://{_HOST.pattern}(:[0-9]{{1,5}})?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_MEANING = ("host", "cookie", "authorization", "origin", "forwarded", "x-forwarded-for")
"""Headers that cannot say who asks: they say something else, or anybody may send them."""


def web(reader: Reader, node: Node) -> Web:
    """The section ``web``; what has a problem is left at its default."""
    values = reader.mapping(node, WEB) or {}
    read: dict[str, Any] = {}
    for key, value in values.items():
        match key:
            case "external_url":
                read[key] = _external_url(reader, value)
            case "auth":
                read[key] = _auth(reader, value, "proxies" in values)
            case "hosts":
                hosts = [_host(reader, one) for one in reader.items(value, "hosts", MAX_HOSTS)]
                read[key] = tuple(filter(None, hosts))
            case "proxies":
                blocks = reader.items(value, "proxies", MAX_PROXIES)
                found = (reader.parsed(one, _block) for one in blocks)
                read[key] = tuple(one for one in found if one is not None)
            case "embed":
                sites = [_site(reader, one) for one in reader.items(value, "embed", MAX_EMBED)]
                read[key] = tuple(filter(None, sites))
            case "metrics":
                read[key] = reader.choice(value, MetricsFor)
            case "metrics_per_milestone":
                read[key] = reader.flag(value)
            case _:
                read[key] = reader.text(value, PATH)
    made = Web(**{key: value for key, value in read.items() if value is not None})
    _refuse_open_door(reader, values, made)
    return made


def _refuse_open_door(reader: Reader, values: Mapping[str, Node], made: Web) -> None:
    """What others reach by a name says who may come in, also where only a proxy of this machine is heard."""
    if "auth" in values:
        return
    for key, names in (("external_url", (made.external_host,)), ("hosts", made.hosts)):
        if any(name and not is_this_machine(name) for name in names):
            advice = "add auth with a tokens_file, or auth: none when everybody may do everything"
            reader.refuse(
                values[key], f"others reach the server by this, and web.auth says nothing; {advice}"
            )
            return


def _auth(reader: Reader, node: Node, has_proxies: bool) -> Auth | None:
    if isinstance(node, Scalar) and node.text:
        if node.text == "none":
            return NO_AUTH
        advice = "write auth: none, or a mapping such as {tokens_file: tokens}"
        reader.refuse(node, f"{shown(node.text)}: not a way to show who one is; {advice}")
        return None
    values = reader.mapping(node, AUTH)
    if values is None:
        return None
    read: dict[str, Any] = {}
    for key, value in values.items():
        match key:
            case "proxy_header":
                read[key] = _header(reader, value)
            case "proxy_scope" | "anonymous":
                read[key] = reader.one_of(value, SCOPES, "")
            case _:
                read[key] = reader.text(value, PATH)
    if not values:
        reader.refuse(node, "auth says nothing; write auth: none, or add a tokens_file")
    if "proxy_header" in values and not has_proxies:
        reader.refuse(values["proxy_header"], "anybody could send that header; add web.proxies")
    if "proxy_scope" in values and "proxy_header" not in values:
        reader.refuse(values["proxy_scope"], "proxy_scope is nothing without proxy_header")
    return Auth(**{key: value for key, value in read.items() if value is not None})


def _external_url(reader: Reader, node: Node) -> str | None:
    value = link(reader, node)
    if value is None:
        return None
    scheme, _, rest = value.partition("://")
    place, slash, path = rest.partition("/")
    if re.search(r"[?#@\\]", rest):
        # Not shown: it may hold a password.
        reader.refuse(node, "more than a scheme, a host, a port and a path; remove the rest")
        return None
    return f"{scheme}://{place.lower()}{slash}{path}".rstrip("/")


def _host(reader: Reader, node: Node) -> str | None:
    value = reader.text(node, NAME)
    if value is None:
        return None
    name = value.lower().strip("[]").removesuffix(".")
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    if not _HOST.fullmatch(name):
        advice = "write one such as alertd.example.org, without scheme and port"
        reader.refuse(node, f"{shown(value)}: not a host name; {advice}")
        return None
    return name


def _site(reader: Reader, node: Node) -> str | None:
    """It goes into a header as it is (CSP level 3, section 2.3.1, host-source)."""
    value = reader.text(node, NAME)
    if value is None:
        return None
    site = value.lower().removesuffix("/")
    if not _SITE.fullmatch(site):
        advice = "write one such as https://wiki.example.org, without a path"
        reader.refuse(node, f"{shown(value)}: not a site; {advice}")
        return None
    return site


def _header(reader: Reader, node: Node) -> str | None:
    value = reader.text(node, NAME)
    if value is None:
        return None
    if not _HEADER.fullmatch(value) or value.lower() in _OWN_MEANING:
        reader.refuse(
            node, f"{shown(value)}: not a header that says who asks; write one such as X-Remote-User"
        )
        return None
    return value.lower()


def _block(text: str) -> Block:
    try:
        return ip_network(text)
    except ValueError:
        advice = "write one such as 127.0.0.1 or 10.0.0.0/8"
        raise NetworkError(text, "not an address or a network", advice) from None
