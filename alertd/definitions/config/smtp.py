"""Read how mail is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from alertd.core.config import Smtp
from alertd.core.network import is_this_machine
from alertd.definitions.config.keys import SMTP
from alertd.definitions.reading.keys import PATH
from alertd.definitions.reading.nodes import Node
from alertd.definitions.reading.reader import Reader, shown
from alertd.definitions.reading.terms import span

RELAY, SUBMISSION, SUBMISSIONS = 25, 587, 465
"""The ports of SMTP (RFC 5321), of submission with a login (RFC 6409), and of that over TLS (RFC 8314)."""

_FILES = ("password_file", "ca_file", "client_cert_file", "client_key_file")
_LIMITS = {"host": 255, "username": 320, **dict.fromkeys(_FILES, PATH)}


def smtp(reader: Reader, node: Node) -> Smtp:
    """The mail relay; what has a problem is left at its default."""
    values = reader.mapping(node, SMTP) or {}
    read: dict[str, Any] = {}
    for key, value in values.items():
        match key:
            case "port":
                read[key] = reader.integer(value, 1, 65_535)
            case "starttls" | "tls" | "insecure_auth":
                read[key] = reader.flag(value)
            case "timeout":
                timeout = span(reader, value, least=timedelta(seconds=1))
                read["timeout_s"] = None if timeout is None else timeout.total_seconds()
            case "from":
                read["sender"] = _sender(reader, value)
            case _:
                read[key] = reader.text(value, _LIMITS[key])
    if read.get("tls") and read.get("starttls"):
        reader.refuse(values["starttls"], "tls and starttls exclude each other; remove one of them")
    if read.get("client_key_file") and "client_cert_file" not in values:
        reader.refuse(values["client_key_file"], "client_key_file is nothing without client_cert_file")
    if read.get("username"):
        _protect_login(reader, values, read)
    if read.get("port") is None:
        read["port"] = SUBMISSIONS if read.get("tls") else SUBMISSION if read.get("username") else RELAY
    return Smtp(**{key: value for key, value in read.items() if value is not None})


def _protect_login(reader: Reader, values: Mapping[str, Node], read: dict[str, Any]) -> None:
    """A password is sent under TLS, unless the relay is on this machine or the file says otherwise."""
    if "starttls" not in values and not read.get("tls"):
        read["starttls"] = True
    secured = read.get("starttls") or read.get("tls") or read.get("insecure_auth")
    if not secured and not is_this_machine(read.get("host") or "localhost"):
        advice = "remove starttls: false, or say insecure_auth: true"
        reader.refuse(values["username"], f"the password would cross the network in the clear; {advice}")


def _sender(reader: Reader, node: Node) -> str | None:
    sender = reader.text(node, 320)
    if sender is None:
        return None
    address = sender.rpartition("<")[2].removesuffix(">") if sender.endswith(">") else sender
    local, _, domain = address.rpartition("@")
    if not local or not domain or any(char.isspace() for char in address):
        advice = "write one such as alertd@example.org or Name <alertd@example.org>"
        reader.refuse(node, f"{shown(sender)}: not an address; {advice}")
        return None
    return sender
