"""Builds the mail itself: headers and both bodies, as bytes that a retry can make again.

Rules that hold here:
- no text can end a header: everything in one went through :func:`alertd.notify.clean.line`;
- the Message-ID is the delivery's id, so a mail that was sent twice can be told by it;
- what threads mails of one milestone is a digest, and holds nothing that a person wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any

from alertd.core.message import Kind, Message
from alertd.core.occurrence import digest
from alertd.notify.clean import line
from alertd.notify.email_body import render_html
from alertd.notify.text import render_text

MAX_LINE = 998
"""The longest line that a mail may have, without its line break (RFC 5322, section 2.1.1)."""

LONGEST_WORD = 60


class _Policy(EmailPolicy):
    """The library's SMTP policy, but that a header with a long word of ASCII stays on one line.

    The library would encode such a word (RFC 2047), and what looks for an id in a header would not find it.
    """

    def fold(self, name: str, value: Any) -> str:
        text = str(value)
        longest = max(map(len, text.split()), default=0)
        if text.isascii() and longest > LONGEST_WORD and len(name) + 2 + len(text) <= MAX_LINE:
            return f"{name}: {text}{self.linesep}"
        folded: str = super().fold(name, value)
        return folded

    def fold_binary(self, name: str, value: Any) -> bytes:
        return self.fold(name, value).encode("ascii", "surrogateescape")


# For the bodies too: lines of quoted-printable have at most 76 characters (RFC 2045, section 6.7).
_POLICY = _Policy(linesep="\r\n", max_line_length=76)


def build_mail(
    message: Message, *, sender: str, to: Sequence[str], reply_to: str, host: str, now: datetime
) -> bytes:
    """The mail as it goes over the wire.

    Args:
        message: fit to be shown.
        sender, to, reply_to: addresses, perhaps with names; ``reply_to`` may be "".
        host: the domain of the Message-ID.
        now: the instant of this attempt, for ``Date``.
    """
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = line(sender)
    mail["To"] = ", ".join(line(one) for one in to)
    if reply_to:
        mail["Reply-To"] = line(reply_to)
    mail["Subject"] = line(message.subject)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.id}@{host}>"
    root = thread_root(message, host)
    if root:
        mail["In-Reply-To"] = root
        mail["References"] = root
    # Keeps holiday replies away: RFC 3834, section 5, and what Exchange looks at instead.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    for name, value in _facts(message).items():
        mail[name] = line(value, 500)
    mail.set_content(render_text(message), cte="quoted-printable")
    mail.add_alternative(render_html(message), subtype="html", cte="quoted-printable")
    # The library would draw one at random. No quoted-printable text can hold this one: `=_` is no code of it.
    mail.set_boundary(f"=_{message.id}")
    return mail.as_bytes()


def thread_root(message: Message, host: str) -> str:
    """The Message-ID that all mails about one milestone answer to, though no such mail exists; "" for others.

    A thread needs no mail at its root (jwz.org/doc/threading.html): no node must remember what another sent.
    """
    if message.kind is not Kind.SINGLE:
        return ""
    return f"<thread_{digest('thread', message.receiver, message.items[0].milestone)}@{host}>"


def _facts(message: Message) -> dict[str, str]:
    """What a filter may want to go by."""
    facts = {"X-Alertd-Id": message.id, "X-Alertd-Kind": message.kind.value}
    causes = dict.fromkeys(item.cause.value for item in message.items)
    if causes:
        facts["X-Alertd-Cause"] = ", ".join(causes)
    if message.kind is Kind.SINGLE:
        facts["X-Alertd-Milestone"] = message.items[0].milestone
    return facts
