"""A real SMTP server on loopback that keeps receipts, and that misbehaves as it is told."""

from __future__ import annotations

import re
from typing import Any

from alertd.testing import SmtpSink
from alertd.testing.smtp_sink import Mail
from tests.torture.receipts import ACCEPTED, Receipt, Receipts, now_s

ITEM = re.compile(r"\bItem (\w+)-(m\d+) comes about")


class _Kept(list[Mail]):
    """Where the server puts what it has read: on the disk, before it answers or breaks off."""

    def __init__(self, receipts: Receipts, sink: SmtpSink) -> None:
        super().__init__()
        self._receipts = receipts
        self._sink = sink

    def append(self, mail: Mail) -> None:
        message: Any = mail.message
        text = message.get_body(("plain",)).get_content()
        found = dict.fromkeys(f"{timeline}/{name}" for timeline, name in ITEM.findall(text))
        self._receipts.write(
            Receipt(
                at=now_s(),
                receiver=mail.recipients[0].partition("@")[0],
                id=str(message["Message-ID"]).partition("@")[0].lstrip("<"),
                attempt=0,
                pid=0,
                milestones=tuple(found),
                answer="no answer" if self._sink.drop else ACCEPTED,
                text="" if found else text,
            )
        )


def mail_sink(receipts: Receipts) -> SmtpSink:
    """A server whose mails become receipts; its other attributes say how it misbehaves."""
    sink = SmtpSink()
    sink.mails = _Kept(receipts, sink)
    return sink
