"""Mail: what arrives at a real SMTP server, and how each way to fail ends."""

import re
from dataclasses import replace
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pydantic import ValidationError

from alertd.core.config import Smtp
from alertd.core.message import Message
from alertd.core.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.email import EmailNotifier, EmailOptions
from alertd.testing import SAMPLES, SmtpSink, notifier_env, sample_message

TO = ["Desk <desk@example.org>", "lead@example.org"]


async def send(
    sink: SmtpSink, message: Message | None = None, secrets: dict[str, str] | None = None, **smtp: object
) -> Outcome:
    relay = Smtp(
        host="localhost" if sink.tls else "127.0.0.1", port=sink.port, sender="alertd <alertd@example.org>"
    )
    env = notifier_env(smtp=replace(relay, **smtp), secrets=secrets)  # type: ignore[arg-type]
    notifier = EmailNotifier(EmailOptions.model_validate({"to": TO, "reply_to": "desk@example.org"}), env)
    return await notifier.send(message or sample_message(), {})


async def test_the_headers_say_what_it_is_and_where_it_belongs() -> None:
    message = sample_message("contested")
    async with SmtpSink() as sink:
        outcome = await send(sink, message)

    assert outcome == Sent()
    (mail,) = sink.mails
    assert mail.sender == "alertd@example.org"
    assert mail.recipients == ("desk@example.org", "lead@example.org")
    headers = mail.message
    assert headers["From"] == "alertd <alertd@example.org>"
    assert headers["To"] == "Desk <desk@example.org>, lead@example.org"
    assert headers["Reply-To"] == "desk@example.org"
    assert headers["Subject"] == message.subject
    assert headers["Message-ID"] == f"<{message.id}@alertd.example>"
    assert re.fullmatch(r"<thread_[0-9A-Za-z]{22}@alertd\.example>", headers["References"])
    assert headers["In-Reply-To"] == headers["References"]
    assert parsedate_to_datetime(headers["Date"]) == message.at
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Auto-Response-Suppress"] == "All"
    assert headers["X-Alertd-Id"] == message.id
    assert headers["X-Alertd-Cause"] == "overdue"
    assert headers["X-Alertd-Milestone"] == "iraq-coalition-withdrawal/phase-2"


async def test_mails_of_one_milestone_are_one_thread_and_a_digest_is_none() -> None:
    async with SmtpSink() as sink:
        for name in ("contested", "moved", "approaching", "many"):
            await send(sink, sample_message(name))

    contested, moved, other, many = (mail.message["References"] for mail in sink.mails)
    assert contested == moved
    assert other != contested
    assert many is None


async def test_a_retry_is_the_same_mail() -> None:
    async with SmtpSink() as sink:
        for attempt in (1, 2):
            await send(sink, sample_message("contested", attempt=attempt))

    assert sink.mails[0].raw == sink.mails[1].raw


class _Page(HTMLParser):
    """What a browser would load or run, and what a person would read."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("href", "src", "background") or name.startswith("on"):
                self.loaded.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", SAMPLES)
async def test_both_parts_say_the_same_and_load_nothing(name: str) -> None:
    message = sample_message(name)
    async with SmtpSink() as sink:
        await send(sink, message)

    mail = sink.mails[0].message
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    page = _Page()
    page.feed(html.get_content())
    assert page.loaded == []
    assert not page.tags & {"script", "img", "iframe", "object", "form", "link", "base"}
    assert all(url.startswith(("https://", "http://")) for url in page.links)
    read = " ".join(page.text.split())
    for part in (" ".join(text.get_content().split()), read):
        assert message.id in part
        for item in message.items:
            assert item.title in part
            assert item.phrase in part
            assert item.headline in part
            assert item.late in part
        for line in message.lines:
            assert line in part
    assert max(map(len, sink.mails[0].raw.split(b"\r\n"))) <= 100


HOSTILE = [
    # Another header, another recipient, the end of the headers.
    "a\r\nBcc: evil@example.org\r\n\r\nbody",
    "a\u2028Bcc: evil@example.org",
    # Markup, and the end of an attribute.
    "<script>alert(1)</script><img src=x onerror=alert(1)>\" onload='x'",
    "{{ message.id }} {% raw %}",
    "\U0001f480 \u202e ملف \udc80",
    "x" * 100_000,
    "\n.\n",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_text_can_end_a_header_or_run_a_script(text: str) -> None:
    message = sample_message("contested")
    item = replace(
        message.items[0], title=text, milestone=text, headline=text, details=(text,), url="javascript:1"
    )
    item = replace(item, claims=tuple(replace(one, phrase=text, note=text) for one in item.claims))
    async with SmtpSink() as sink:
        outcome = await send(sink, replace(message, subject=text, items=(item,)))

    assert outcome == Sent()
    (mail,) = sink.mails
    assert mail.recipients == ("desk@example.org", "lead@example.org")
    assert mail.message["Bcc"] is None
    assert mail.message["X-Alertd-Id"] == message.id
    _, html = mail.message.iter_parts()
    page = _Page()
    page.feed(html.get_content())
    assert page.loaded == []
    assert not page.tags & {"script", "img"}
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998


async def test_long_ids_stay_whole_in_their_headers() -> None:
    item = replace(sample_message().items[0], milestone="timeline/" + "m" * 150)
    async with SmtpSink() as sink:
        await send(sink, sample_message(items=(item,)))

    assert f"X-Alertd-Milestone: {item.milestone}\r\n".encode() in sink.mails[0].raw


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_over_tls_with_a_password(tmp_path: Path, mode: str) -> None:
    async with SmtpSink(tls=mode, login=("alertd", "canary-pass")) as sink:
        (tmp_path / "ca.pem").write_bytes(sink.ca_pem)
        outcome = await send(
            sink,
            secrets={"smtp_password": "canary-pass"},
            username="alertd",
            password_file="smtp_password",
            ca_file=str(tmp_path / "ca.pem"),
            starttls=mode == "starttls",
            tls=mode == "implicit",
        )

    assert outcome == Sent()
    assert sink.mails[0].encrypted
    assert sink.mails[0].user == "alertd"


async def test_a_relay_that_offers_no_starttls_gets_nothing() -> None:
    async with SmtpSink() as sink:
        outcome = await send(sink, starttls=True)

    assert isinstance(outcome, Retry)
    assert not outcome.unknown
    assert sink.mails == []


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async with SmtpSink(tls="starttls") as sink:
        outcome = await send(sink, starttls=True)

    assert isinstance(outcome, Retry)
    assert "its certificate is not trusted" in outcome.reason
    assert sink.mails == []


async def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    async with SmtpSink(tls="starttls", login=("alertd", "right")) as sink:
        (tmp_path / "ca.pem").write_bytes(sink.ca_pem)
        outcome = await send(
            sink,
            secrets={"smtp_password": "canary-pass"},
            username="alertd",
            password_file="smtp_password",
            ca_file=str(tmp_path / "ca.pem"),
            starttls=True,
        )

    assert isinstance(outcome, Rejected)
    assert "answered 535" in outcome.reason
    assert "canary" not in outcome.reason


async def test_a_password_never_crosses_the_network_in_the_clear() -> None:
    env = notifier_env(smtp=Smtp(host="relay.invalid", username="alertd", sender="alertd@example.org"))
    notifier = EmailNotifier(EmailOptions.model_validate({"to": TO}), env)

    outcome = await notifier.send(sample_message(), {})

    assert outcome == Retry(
        reason="the password would cross the network in the clear: set smtp.starttls or smtp.tls"
    )


@pytest.mark.parametrize(
    ("sink", "outcome"),
    [
        # Greylisted.
        (
            SmtpSink(mail_from="451 4.7.1 try again later"),
            Retry(reason="answered 451: 4.7.1 try again later"),
        ),
        (
            SmtpSink(mail_from="550 5.1.8 no such sender"),
            Rejected(reason="answered 550: 5.1.8 no such sender"),
        ),
        # Taken, and then thought better of.
        (SmtpSink(data="452 4.3.1 disk full"), Retry(reason="answered 452: 4.3.1 disk full")),
        (SmtpSink(data="554 5.7.1 spam"), Rejected(reason="answered 554: 5.7.1 spam")),
        # Nobody there; somebody there.
        (
            SmtpSink(rcpt_to={"desk@example.org": "550 5.1.1 no", "lead@example.org": "550 5.1.1 no"}),
            Rejected(reason="answered 550: 5.1.1 no"),
        ),
        # Of two refusals the one that may pass counts.
        (
            SmtpSink(rcpt_to={"desk@example.org": "550 5.1.1 no", "lead@example.org": "450 4.2.1 full"}),
            Retry(reason="answered 450: 4.2.1 full"),
        ),
        (SmtpSink(rcpt_to={"desk@example.org": "550 5.1.1 no"}), Sent(note="1 of 2 recipients were refused")),
    ],
)
async def test_each_refusal_of_the_relay_has_its_outcome(sink: SmtpSink, outcome: Outcome) -> None:
    async with sink:
        actual = await send(sink)
        where = f"mail relay 127.0.0.1:{sink.port}"

    if isinstance(outcome, Retry | Rejected):
        outcome = replace(outcome, reason=f"{where} {outcome.reason}")
    assert actual == outcome


@pytest.mark.parametrize(
    ("drop", "unknown"),
    [
        # Before anything was said: it cannot have arrived.
        ("greeting", False),
        # After the whole mail was read: it may have.
        ("data", True),
        ("hang", True),
    ],
)
async def test_whether_it_may_have_arrived_depends_on_when_the_line_broke(
    drop: str, *, unknown: bool
) -> None:
    async with SmtpSink(drop=drop) as sink:
        outcome = await send(sink, timeout_s=0.5 if drop == "hang" else 10.0)

    assert isinstance(outcome, Retry)
    assert outcome.unknown is unknown


@pytest.mark.parametrize(
    "to",
    [
        [],
        ["nobody"],
        ["a@example.org, b@example.org"],
        ["a@example.org\r\nBcc: b@example.org"],
        ["größe@example.org"],
        ["a@-example.org"],
        ["a@example.org"] * 51,
    ],
)
def test_what_is_no_address_is_refused(to: list[str]) -> None:
    with pytest.raises(ValidationError):
        EmailOptions.model_validate({"to": to})
