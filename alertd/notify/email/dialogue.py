"""Hands one mail over an open connection to a relay that takes or refuses each recipient on its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alertd.notify.email.address import Mailbox

if TYPE_CHECKING:
    import aiosmtplib

MAX_NAMED = 5
"""How many refused recipients a reason names."""

NOT_OFFERED = 553
"""What a relay would say to an address that it cannot read (RFC 6531, section 3.5)."""

Build = Callable[[Collection[str]], bytes]
"""From the addresses that must not stand in its headers to the mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRefusal:
    """What was said of one recipient."""

    address: str
    code: int
    text: str

    @property
    def for_now(self) -> bool:
        return 400 <= self.code < 500

    def __str__(self) -> str:
        return f"{self.address} ({self.code} {self.text})" if self.text else f"{self.address} ({self.code})"


@dataclass(slots=True, kw_only=True)
class MailTransfer:
    """How far one try came.

    Attributes:
        taken: addresses for which the relay answers from now on; empty until it took the mail itself.
        in_data: the mail was being written, or was written and not yet answered.
    """

    taken: frozenset[str] = frozenset()
    refused: list[RecipientRefusal] = field(default_factory=list)
    in_data: bool = False


async def hand_over(
    client: aiosmtplib.SMTP,
    sender: Mailbox,
    recipients: Sequence[Mailbox],
    build: Build,
    handing: MailTransfer,
) -> None:
    """MAIL, a RCPT for each, and DATA when one was taken; ``handing`` says how far it came.

    An address beyond ASCII is told to a relay that offers SMTPUTF8 (RFC 6531) and is refused otherwise: then
    it stands in no header either, so that the others get the mail.

    Raises:
        aiosmtplib.SMTPException, OSError: it ended before, or the relay refused the sender or the mail.
    """
    import aiosmtplib

    extended = client.supports_extension("smtputf8")
    unreadable = () if extended else [one.address for one in recipients if one.needs_utf8]
    why = "the relay offers no SMTPUTF8"
    if sender.needs_utf8 and not extended:
        raise aiosmtplib.SMTPSenderRefused(NOT_OFFERED, why, sender.address)
    handing.refused = [RecipientRefusal(address=one, code=NOT_OFFERED, text=why) for one in unreadable]
    rest = [one for one in recipients if one.address not in unreadable]
    if not rest:
        return
    mail = build(unreadable)
    options = [] if mail.isascii() and all(map(_is_plain, (sender, *rest))) else ["SMTPUTF8", "BODY=8BITMIME"]
    encoding = "utf-8" if options else "ascii"
    await client.mail(sender.address, options=options, encoding=encoding)
    accepted = []
    for one in rest:
        try:
            await client.rcpt(one.address, encoding=encoding)
            accepted.append(one.address)
        except aiosmtplib.SMTPRecipientRefused as error:
            if error.code == 421:
                raise  # the relay is about to close the connection (RFC 5321, section 3.8)
            handing.refused.append(RecipientRefusal(address=one.address, code=error.code, text=error.message))
    if not accepted:
        return
    # An old way to say that these are too many at once (RFC 5321, section 4.5.3.1.10).
    handing.refused = [_of_many(one) for one in handing.refused]
    handing.in_data = True
    try:
        await client.data(mail)
    except aiosmtplib.SMTPDataError:
        handing.in_data = False
        raise
    handing.in_data = False
    handing.taken = frozenset(accepted)


def named(refused: Sequence[RecipientRefusal]) -> str:
    """Who was refused and with what words."""
    shown = ", ".join(map(str, refused[:MAX_NAMED]))
    rest = len(refused) - MAX_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def _is_plain(mailbox: Mailbox) -> bool:
    return not mailbox.needs_utf8


def _of_many(refusal: RecipientRefusal) -> RecipientRefusal:
    if refusal.code != 552:
        return refusal
    return RecipientRefusal(address=refusal.address, code=452, text=refusal.text)
