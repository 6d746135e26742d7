"""Golden files of mails: headers, both bodies with links that act, and the calendar file.

`ALERTD_UPDATE_GOLDEN=1 make test ARGS=tests/notify/test_email_golden.py` writes tests/golden/email/ again.
"""

import os
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from alertd.core.message.message import Message
from alertd.notify.email.address import parse_mailbox
from alertd.notify.email.message import Letterhead, build_mail
from alertd.notify.render.clean import clean_message
from alertd.testing import SAMPLES, sample_message, with_links

GOLDEN = Path(__file__).parent.parent / "golden" / "email"
LETTERHEAD = Letterhead(
    sender=parse_mailbox("Deadlines <alertd@example.org>"),
    to=(parse_mailbox("Jürgen <desk@example.org>"), parse_mailbox("lead@example.org")),
    reply_to=parse_mailbox("lead@example.org"),
    unsubscribe="admin@example.org",
    host="example.org",
)
ENDINGS = {"text/plain": "txt", "text/html": "html", "text/calendar": "ics"}


def parts(message: Message) -> dict[str, str]:
    """Return the parts of a mail, by the suffix of their golden file."""
    mail = message_from_bytes(build_mail(clean_message(message), LETTERHEAD, message.at), policy=SMTP)
    assert isinstance(mail, EmailMessage)
    found = {"headers.txt": "".join(f"{name}: {value}\n" for name, value in mail.items())}
    for part in mail.walk():
        if ending := ENDINGS.get(part.get_content_type()):
            content = part.get_content().replace("\r\n", "\n")
            # Remove the blank lines that templates leave.
            found[ending] = re.sub(r"\n\s*\n+", "\n", content) if ending == "html" else content
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_each_mail_looks_as_it_did_when_somebody_last_looked(name: str) -> None:
    found = {f"{name}.{ending}": text for ending, text in parts(with_links(sample_message(name))).items()}

    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for file, text in found.items():
            (GOLDEN / file).write_text(text, encoding="utf-8")
    assert found == {path.name: path.read_text(encoding="utf-8") for path in GOLDEN.glob(f"{name}.*")}


def test_no_golden_file_is_left_over() -> None:
    assert {path.name.partition(".")[0] for path in GOLDEN.iterdir()} == set(SAMPLES)
