"""Read the settings of the mail relay."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from alertd.core.config import Smtp
from alertd.core.network import is_this_machine
from alertd.definitions.config.keys import SMTP
from alertd.definitions.reading.keys import PATH
from alertd.definitions.reading.nodes import Node
from alertd.definitions.reading.reader import Reader, quote
from alertd.definitions.reading.terms import read_span

RELAY, SUBMISSION, SUBMISSIONS = 25, 587, 465
"""Ports: SMTP relay (RFC 5321), submission (RFC 6409), submission with implicit TLS (RFC 8314)."""

_FILES = ("password_file", "ca_file", "client_cert_file", "client_key_file")
_LIMITS = {"host": 255, "username": 320, **dict.fromkeys(_FILES, PATH)}


def read_smtp(reader: Reader, node: Node) -> Smtp:
    """Read the section ``smtp``. A value with a problem is replaced by its default."""
    values = reader.read_mapping(node, SMTP) or {}
    read: dict[str, Any] = {}
    for key, value in values.items():
        match key:
            case "port":
                read[key] = reader.read_integer(value, 1, 65_535)
            case "starttls" | "tls" | "insecure_auth":
                read[key] = reader.read_flag(value)
            case "timeout":
                timeout = read_span(reader, value, least=timedelta(seconds=1))
                read["timeout_s"] = None if timeout is None else timeout.total_seconds()
            case "from":
                read["sender"] = _read_sender(reader, value)
            case _:
                read[key] = reader.read_text(value, _LIMITS[key])
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
    """Make sure that the password is sent over TLS.

    TLS is not required if the relay is on this machine or the file has ``insecure_auth: true``.
    """
    if "starttls" not in values and not read.get("tls"):
        read["starttls"] = True
    secured = read.get("starttls") or read.get("tls") or read.get("insecure_auth")
    if not secured and not is_this_machine(read.get("host") or "localhost"):
        advice = "remove starttls: false, or say insecure_auth: true"
        reader.refuse(values["username"], f"the password would cross the network in the clear; {advice}")


def _read_sender(reader: Reader, node: Node) -> str | None:
    sender = reader.read_text(node, 320)
    if sender is None:
        return None
    address = sender.rpartition("<")[2].removesuffix(">") if sender.endswith(">") else sender
    local, _, domain = address.rpartition("@")
    if not local or not domain or any(char.isspace() for char in address):
        advice = "write one such as alertd@example.org or Name <alertd@example.org>"
        reader.refuse(node, f"{quote(sender)}: not an address; {advice}")
        return None
    return sender
