"""Builds the mail itself: headers, both bodies, dates for a calendar, as bytes that a retry can make again.

Rules that hold here:
- no text can end a header: everything in one went through :func:`alertd.notify.render.clean.line`;
- the Message-ID is the delivery's id, so a mail that was sent twice can be told by it;
- what threads mails of one milestone is a digest, and holds nothing that a person wrote;
- nothing is promised that alertd does not do: no List-Unsubscribe-Post (docs/decisions/0020).
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
from alertd.notify.render.clean import line
from alertd.notify.render.text import render_text

MAX_LINE = 998
"""The longest line that a mail may have, without its line break (RFC 5322, section 2.1.1)."""

LONGEST_WORD = 60

UNSUBSCRIBE_PATH = "unsubscribe"
"""Below alertd's own page: who decides what is sent to whom, and what a reader can do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What stands on every mail of one notifier.

    Attributes:
        to: who is seen to get it; empty when it is nobody.
        unsubscribe: an https URL, or an address; "" for none.
        host: the domain of Message-IDs, in ASCII.
        ics: whether dates for a calendar are enclosed.
    """

    sender: Mailbox
    to: Sequence[Mailbox]
    reply_to: Mailbox | None = None
    unsubscribe: str = ""
    host: str
    ics: bool = True


class _Policy(EmailPolicy):
    """The library's SMTP policy, but that ASCII is folded between words, and not at all with a long one.

    The library would encode a long word (RFC 2047), and what looks for an id in a header would not find it.
    And it would rather begin a text on the second line than fold it, which some readers show as a space.
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


# For the bodies too: lines of quoted-printable have at most 76 characters (RFC 2045, section 6.7).
_POLICY = _Policy(linesep="\r\n", max_line_length=76)


def build_mail(message: Message, letterhead: Letterhead, now: datetime) -> bytes:
    """The mail as it goes over the wire; ASCII, unless an address in it is not (RFC 6532).

    Args:
        message: fit to be shown.
        now: the instant of this attempt, for ``Date``.
    """
    seen = [letterhead.sender, *letterhead.to, *filter(None, [letterhead.reply_to])]
    mail = EmailMessage(policy=_POLICY.clone(utf8=any(one.needs_utf8 for one in seen)))
    mail["From"] = letterhead.sender.shown
    mail["To"] = [one.shown for one in letterhead.to] or "undisclosed-recipients:;"
    if letterhead.reply_to:
        mail["Reply-To"] = letterhead.reply_to.shown
    mail["Subject"] = line(message.subject)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.id}@{letterhead.host}>"
    root = thread_root(message, letterhead.host)
    if root:
        mail["In-Reply-To"] = root
        mail["References"] = root
    # Keeps holiday replies away: RFC 3834, section 5, and what Exchange looks at instead.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["List-Id"] = _list_id(message, letterhead.host)
    unsubscribe = _unsubscribe(message, letterhead)
    if unsubscribe:
        mail["List-Unsubscribe"] = unsubscribe
    for name, value in _facts(message).items():
        mail[name] = line(value, 500)
    mail.set_content(render_text(message), cte="quoted-printable")
    mail.add_alternative(render_html(message), subtype="html", cte="quoted-printable")
    # The library would draw one at random. No quoted-printable text can hold this one: `=_` is no code of it.
    mail.set_boundary(f"=_{message.id}")
    if letterhead.ics:
        _enclose_dates(mail, message, letterhead.host)
    return mail.as_bytes()


def thread_root(message: Message, host: str) -> str:
    """The Message-ID that all mails about one milestone answer to, though no such mail exists; "" for others.

    A thread needs no mail at its root (jwz.org/doc/threading.html): no node must remember what another sent.
    """
    if message.kind is not Kind.SINGLE:
        return ""
    return f"<thread_{fingerprint('thread', message.receiver, message.items[0].milestone)}@{host}>"


def _list_id(message: Message, host: str) -> str:
    """One list a timeline (RFC 2919); what belongs to none, or to several, is of alertd's own."""
    timelines = {item.timeline: item.timeline_title for item in message.items}
    if len(timelines) != 1:
        return f"<alertd.{host}>"
    ((timeline, title),) = timelines.items()
    label = quote(timeline.lower(), safe="-_.").replace("%", "_").strip(".")
    # A phrase (RFC 5322, section 3.2.5), quoted as a display name is.
    phrase = str(Address(line(title, 150), "x", "x")).rpartition(" <")[0]
    return f"{phrase} <{label}.alertd.{host}>".lstrip()


def _unsubscribe(message: Message, letterhead: Letterhead) -> str:
    """Where to turn to, the most direct first (RFC 2369, section 3.2)."""
    named = letterhead.unsubscribe
    if named and "://" not in named:
        address, receiver = quote(parse_mailbox(named).address, safe="@"), quote(message.receiver, safe="")
        named = f"mailto:{address}?subject=unsubscribe%20{receiver}"
    page = f"{message.page.rstrip('/')}/{UNSUBSCRIBE_PATH}" if message.page else ""
    return ", ".join(f"<{one}>" for one in (named, page) if one)


def _facts(message: Message) -> dict[str, str]:
    """What a filter may want to go by."""
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
    """The dates of a single milestone, for a calendar; none for what has no date."""
    if message.kind is not Kind.SINGLE:
        return
    from alertd.notify.render.ics import calendar_of, dated_of, entries_of

    entries = entries_of(dated_of(message.items[0]), message.at, host)
    if not entries:
        return
    mail.make_mixed(boundary=f"=_mixed_{message.id}")
    mail.add_attachment(
        calendar_of(entries).decode(), subtype="calendar", cte="quoted-printable",
        filename="deadline.ics", params={"method": "PUBLISH"},
    )  # fmt: skip
