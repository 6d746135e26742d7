"""Parses mail addresses: international display names and domains, and local parts beyond ASCII.

Rules that hold here:
- one text is one address: a comma, a comment or a line break cannot turn it into two addresses or a header;
- a domain is kept in its ASCII form (IDNA 2008, RFC 5891), so only a local part can require SMTPUTF8 (RFC
  6531).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import getaddresses
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from alertd.notify.render.clean import clean_line

if TYPE_CHECKING:
    from email.headerregistry import Address

MAX_LOCAL = 64
"""The longest local part in octets (RFC 5321, section 4.5.3.1.1)."""

_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One mail address.

    Attributes:
        name: the display name; "" for none.
        local: the part before the ``@``.
        domain: in ASCII; an international domain is written ``xn--...``.
    """

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """The address as SMTP commands write it."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        return not self.local.isascii()

    @property
    def shown(self) -> Address:
        """The address for a header.

        The library quotes the name, and encodes it where necessary (RFC 2047).
        """
        from email.headerregistry import Address

        return Address(self.name, self.local, self.domain)


def parse_mailbox(text: str) -> Mailbox:
    """Parse ``desk@example.org`` or ``Desk <desk@example.org>``.

    Raises:
        ValueError: the text is not exactly one address. The error's text continues a sentence that begins
            with the option's name.
    """
    parsed = getaddresses([text])
    if clean_line(text) != text or len(parsed) != 1:
        raise _refused()
    name, address = parsed[0]
    local, _, domain = address.rpartition("@")
    if not (_LOCAL.fullmatch(local) and local.isprintable()) or len(local.encode()) > MAX_LOCAL:
        raise _refused()
    if not domain.isascii():
        domain = encode_domain(domain)
    if not _DOMAIN.fullmatch(domain):
        raise _refused()
    return Mailbox(name=clean_line(name, 200), local=local, domain=domain)


def find_mail_domain(sender: str) -> str:
    """Return the sender's domain, which Message-IDs and calendar entries use because it rarely changes.

    Args:
        sender: an address, or ``Name <address>``.
    """
    address = sender.rpartition("<")[2].rstrip("> ")
    return address.rpartition("@")[2] or "localhost"


def encode_domain(domain: str) -> str:
    """Return a domain in its ASCII form: ``xn--bcher-kva.example`` (IDNA 2008, UTS 46).

    Raises:
        ValueError: the text cannot be a domain.
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
    """Return ``text`` if it is one address, else raise ValueError."""
    parse_mailbox(text)
    return text


MailAddress = Annotated[str, AfterValidator(check_address)]
