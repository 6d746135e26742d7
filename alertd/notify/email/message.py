"""Builds the bytes of a mail: headers, text and HTML bodies, calendar file.

Rules that hold here:
- no text can end a header: :func:`alertd.notify.render.clean.clean_line` has cleaned every text in a header;
- the Message-ID is made from the delivery's id, so a mail that was sent twice can be recognized;
- the id that threads a milestone's mails is a fingerprint, which contains no text that a person wrote;
- the headers promise nothing that alertd does not do: no List-Unsubscribe-Post (docs/decisions/0020);
- a retry builds the same mail, except for its Date.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from alertd.core.message.message import Kind, Message
from alertd.core.milestones.occurrence import fingerprint
from alertd.notify.email.address import Mailbox, parse_mailbox
from alertd.notify.email.body import render_html
from alertd.notify.render.clean import clean_line
from alertd.notify.render.text import render_text

MAX_LINE = 998
"""The longest line that a mail may have, without its line break (RFC 5322, section 2.1.1)."""

LONGEST_WORD = 60

UNSUBSCRIBE_PATH = "unsubscribe"
"""Path below alertd's own page, where readers find out who decides who gets which messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """The headers that all mails of one notifier share.

    Attributes:
        to: the visible recipients; empty when all recipients are hidden.
        unsubscribe: an https URL, or an address; "" for none.
        host: the domain of Message-IDs, in ASCII.
        ics: whether a calendar file is attached.
    """

    sender: Mailbox
    to: Sequence[Mailbox]
    reply_to: Mailbox | None = None
    unsubscribe: str = ""
    host: str
    ics: bool = True


class _Policy(EmailPolicy):
    """The library's SMTP policy with another way of folding headers in ASCII.

    Headers are folded only between words, and a header with a long word is not folded. The library would
    encode a long word (RFC 2047), so that programs that search a header for an id would not find the id.
    The library would also start some texts on the second line, which some mail readers show as a space.
    """

    def fold(self, name: str, value: Any) -> str:
        text = str(value)
        if not text.isascii() or "=?" in text or len(name) + 2 + len(text) > MAX_LINE:
            folded: str = super().fold(name, value)
            return folded
        long = max(map(len, text.split()), default=0) > LONGEST_WORD
        width = MAX_LINE if long else self.max_line_length or MAX_LINE
        lines = textwrap.wrap(f"{name}: {text}", width, break_long_words=False, break_on_hyphens=False)
        return f"{self.linesep} ".join(lines) + self.linesep

    def fold_binary(self, name: str, value: Any) -> bytes:
        return self.fold(name, value).encode("utf-8" if self.utf8 else "ascii", "surrogateescape")


# The limit holds for the bodies too: a line of quoted-printable has at most 76 characters (RFC 2045, section
# 6.7).
_POLICY = _Policy(linesep="\r\n", max_line_length=76)


def build_mail(message: Message, letterhead: Letterhead, now: datetime) -> bytes:
    """Return the mail as it goes over the wire. The bytes are ASCII unless an address is not (RFC 6532).

    Args:
        message: a message that :func:`alertd.notify.render.clean.clean_message` has cleaned.
        now: the instant of this attempt, for ``Date``.
    """
    seen = [letterhead.sender, *letterhead.to, *filter(None, [letterhead.reply_to])]
    mail = EmailMessage(policy=_POLICY.clone(utf8=any(mailbox.needs_utf8 for mailbox in seen)))
    mail["From"] = letterhead.sender.shown
    mail["To"] = [mailbox.shown for mailbox in letterhead.to] or "undisclosed-recipients:;"
    if letterhead.reply_to:
        mail["Reply-To"] = letterhead.reply_to.shown
    mail["Subject"] = clean_line(message.subject)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.id}@{letterhead.host}>"
    root = make_thread_root(message, letterhead.host)
    if root:
        mail["In-Reply-To"] = root
        mail["References"] = root
    # Both headers suppress out-of-office replies: RFC 3834, section 5, and Exchange's own header.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["List-Id"] = _list_id(message, letterhead.host)
    unsubscribe = _unsubscribe(message, letterhead)
    if unsubscribe:
        mail["List-Unsubscribe"] = unsubscribe
    for name, value in _facts(message).items():
        mail[name] = clean_line(value, 500)
    mail.set_content(render_text(message), cte="quoted-printable")
    mail.add_alternative(render_html(message), subtype="html", cte="quoted-printable")
    # The library would choose a random boundary. `=_` never occurs in quoted-printable, so no body contains
    # this one.
    mail.set_boundary(f"=_{message.id}")
    if letterhead.ics:
        _enclose_dates(mail, message, letterhead.host)
    return mail.as_bytes()


def make_thread_root(message: Message, host: str) -> str:
    """Return the Message-ID that all mails about one milestone refer to; "" for other kinds of messages.

    No mail has this Message-ID. Mail readers build a thread without its root (jwz.org/doc/threading.html), so
    no node must remember which mails another node sent.
    """
    if message.kind is not Kind.SINGLE:
        return ""
    return f"<thread_{fingerprint('thread', message.receiver, message.items[0].milestone)}@{host}>"


def _list_id(message: Message, host: str) -> str:
    """Return the List-Id (RFC 2919): each timeline has its own list, and other mails share alertd's list."""
    timelines = {item.timeline: item.timeline_title for item in message.items}
    if len(timelines) != 1:
        return f"<alertd.{host}>"
    ((timeline, title),) = timelines.items()
    label = quote(timeline.lower(), safe="-_.").replace("%", "_").strip(".")
    # A phrase (RFC 5322, section 3.2.5), quoted like a display name.
    phrase = str(Address(clean_line(title, 150), "x", "x")).rpartition(" <")[0]
    return f"{phrase} <{label}.alertd.{host}>".lstrip()


def _unsubscribe(message: Message, letterhead: Letterhead) -> str:
    """Return the ways to unsubscribe, the most direct first (RFC 2369, section 3.2)."""
    named = letterhead.unsubscribe
    if named and "://" not in named:
        address, receiver = quote(parse_mailbox(named).address, safe="@"), quote(message.receiver, safe="")
        named = f"mailto:{address}?subject=unsubscribe%20{receiver}"
    page = f"{message.page.rstrip('/')}/{UNSUBSCRIBE_PATH}" if message.page else ""
    return ", ".join(f"<{way}>" for way in (named, page) if way)


def _facts(message: Message) -> dict[str, str]:
    """Return the headers that a reader's mail filter may use."""
    facts = {
        "X-Alertd-Id": message.id,
        "X-Alertd-Kind": message.kind.value,
        "X-Alertd-Receiver": message.receiver,
        "X-Alertd-Cause": ", ".join(dict.fromkeys(item.cause.value for item in message.items)),
        "X-Alertd-State": ", ".join(dict.fromkeys(item.state.value for item in message.items)),
        "X-Alertd-Timeline": ", ".join(dict.fromkeys(item.timeline for item in message.items)),
    }
    if message.kind is Kind.SINGLE:
        item = message.items[0]
        facts |= {
            "X-Alertd-Milestone": item.milestone,
            "X-Alertd-Offset": item.offset,
            "X-Alertd-Contested": "yes" if item.contested else "no",
        }
    return {name: value for name, value in facts.items() if value}


def _enclose_dates(mail: EmailMessage, message: Message, host: str) -> None:
    """Attach the dates of a single milestone as a calendar file; attach nothing if it has no date."""
    if message.kind is not Kind.SINGLE:
        return
    from alertd.notify.render.ics import build_calendar, build_entries, describe_item

    entries = build_entries(describe_item(message.items[0]), message.at, host)
    if not entries:
        return
    mail.make_mixed(boundary=f"=_mixed_{message.id}")
    mail.add_attachment(
        build_calendar(entries).decode(), subtype="calendar", cte="quoted-printable",
        filename="deadline.ics", params={"method": "PUBLISH"},
    )  # fmt: skip
