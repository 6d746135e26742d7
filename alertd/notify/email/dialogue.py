"""Transfers one mail over an open SMTP connection, and records the relay's answer for each recipient."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alertd.notify.email.address import Mailbox

if TYPE_CHECKING:
    import aiosmtplib

MAX_NAMED = 5
"""The most refused recipients that a reason names."""

NOT_OFFERED = 553
"""The reply code that alertd records itself for an address beyond ASCII, when the relay has no SMTPUTF8
(RFC 6531, section 3.5)."""

Build = Callable[[Collection[str]], bytes]
"""Builds the mail. The argument lists the addresses that the headers must not contain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRefusal:
    """The relay's refusal of one recipient."""

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
    """The progress of one attempt.

    Attributes:
        taken: addresses that the relay has taken responsibility for; empty until the relay has accepted DATA.
        in_data: whether DATA has begun and the relay has not answered yet.
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
    """Send MAIL, a RCPT for each recipient and, if the relay accepts at least one, DATA.

    If the relay has no SMTPUTF8 (RFC 6531), a recipient with an address beyond ASCII is refused and left out
    of the headers, so that the remaining recipients still get the mail.

    Args:
        handing: records the progress, also when an error is raised.

    Raises:
        aiosmtplib.SMTPException, OSError: the connection failed, or the relay refused the sender or the mail.
    """
    import aiosmtplib

    extended = client.supports_extension("smtputf8")
    unreadable = () if extended else [mailbox.address for mailbox in recipients if mailbox.needs_utf8]
    why = "the relay offers no SMTPUTF8"
    if sender.needs_utf8 and not extended:
        raise aiosmtplib.SMTPSenderRefused(NOT_OFFERED, why, sender.address)
    handing.refused = [
        RecipientRefusal(address=address, code=NOT_OFFERED, text=why) for address in unreadable
    ]
    rest = [mailbox for mailbox in recipients if mailbox.address not in unreadable]
    if not rest:
        return
    mail = build(unreadable)
    options = [] if mail.isascii() and all(map(_is_plain, (sender, *rest))) else ["SMTPUTF8", "BODY=8BITMIME"]
    encoding = "utf-8" if options else "ascii"
    await client.mail(sender.address, options=options, encoding=encoding)
    accepted = []
    for mailbox in rest:
        try:
            await client.rcpt(mailbox.address, encoding=encoding)
            accepted.append(mailbox.address)
        except aiosmtplib.SMTPRecipientRefused as error:
            if error.code == 421:
                raise  # the relay is about to close the connection (RFC 5321, section 3.8)
            handing.refused.append(
                RecipientRefusal(address=mailbox.address, code=error.code, text=error.message)
            )
    if not accepted:
        return
    # Old relays reply 552 instead of 452 to "too many recipients" (RFC 5321, section 4.5.3.1.10).
    handing.refused = [_correct_552(refusal) for refusal in handing.refused]
    handing.in_data = True
    try:
        await client.data(mail)
    except aiosmtplib.SMTPDataError:
        handing.in_data = False
        raise
    handing.in_data = False
    handing.taken = frozenset(accepted)


def name_refusals(refused: Sequence[RecipientRefusal]) -> str:
    """Return the refused addresses with the relay's replies, shortened to :data:`MAX_NAMED`."""
    shown = ", ".join(map(str, refused[:MAX_NAMED]))
    rest = len(refused) - MAX_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def _is_plain(mailbox: Mailbox) -> bool:
    return not mailbox.needs_utf8


def _correct_552(refusal: RecipientRefusal) -> RecipientRefusal:
    if refusal.code != 552:
        return refusal
    return RecipientRefusal(address=refusal.address, code=452, text=refusal.text)
