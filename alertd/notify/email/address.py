"""Reads mail addresses: names in any script, domains as DNS has them, local parts perhaps beyond ASCII.

Rules that hold here:
- one text is one address: no comma, no comment and no line break makes it two, or a header;
- a domain is kept as it is asked for (IDNA 2008, RFC 5891): only a local part can need SMTPUTF8 (RFC 6531).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.utils import getaddresses
from typing import Annotated

from pydantic import AfterValidator

from alertd.notify.render.clean import line

MAX_LOCAL = 64
"""The longest local part in octets (RFC 5321, section 4.5.3.1.1)."""

_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One address.

    Attributes:
        name: what a person sees; "" for none.
        domain: in ASCII, ``xn--...`` where it was written otherwise.
    """

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """What the relay is told."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        return not self.local.isascii()

    @property
    def shown(self) -> Address:
        """What a header says; the library quotes the name, and encodes it where it must (RFC 2047)."""
        return Address(self.name, self.local, self.domain)


def parse_mailbox(text: str) -> Mailbox:
    """Read ``desk@example.org`` or ``Desk <desk@example.org>``.

    Raises:
        ValueError: it is no such address; the text reads after the key's name.
    """
    parsed = getaddresses([text])
    if line(text) != text or len(parsed) != 1:
        raise _refused()
    name, address = parsed[0]
    local, _, domain = address.rpartition("@")
    if not (_LOCAL.fullmatch(local) and local.isprintable()) or len(local.encode()) > MAX_LOCAL:
        raise _refused()
    if not domain.isascii():
        domain = ascii_domain(domain)
    if not _DOMAIN.fullmatch(domain):
        raise _refused()
    return Mailbox(name=line(name, 200), local=local, domain=domain)


def mail_domain(sender: str) -> str:
    """The domain of Message-IDs, and of what stands in calendars: the sender's, which stays for years.

    Args:
        sender: an address, or ``Name <address>``.
    """
    address = sender.rpartition("<")[2].rstrip("> ")
    return address.rpartition("@")[2] or "localhost"


def ascii_domain(domain: str) -> str:
    """A domain as DNS has it: ``xn--bcher-kva.example``.

    Raises:
        ValueError: it cannot be one.
    """
    if domain.isascii():
        return domain
    import idna

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise _refused() from error


def _refused() -> ValueError:
    return ValueError("is not an address such as desk@example.org or Desk <desk@example.org>")


def check_address(text: str) -> str:
    """``text`` when it is one address. Raises ValueError when it is none."""
    parse_mailbox(text)
    return text


MailAddress = Annotated[str, AfterValidator(check_address)]
