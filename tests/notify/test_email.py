"""Mail: what arrives at a real SMTP server, and the outcome of each failure."""

import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from enum import StrEnum
from html.parser import HTMLParser
from typing import Any

import pytest
from pydantic import ValidationError

from alertd.core.config import Smtp
from alertd.core.ledger.outcome import Outcome, Sent
from alertd.core.message.message import Message
from alertd.notify.email.notifier import EmailNotifier, EmailOptions
from alertd.testing import SAMPLES, SmtpSink, notifier_env, sample_message, with_links
from alertd.testing.contract import CANARY, Rig, Trouble
from tests.notify.contract import OwnContract

TO = ["Desk <desk@example.org>", "lead@example.org"]


async def send(
    sink: SmtpSink,
    message: Message | None = None,
    secrets: dict[str, str] | None = None,
    options: dict[str, object] | None = None,
    **smtp: object,
) -> Outcome:
    relay = Smtp(
        host="localhost" if sink.tls else "127.0.0.1", port=sink.port, sender="alertd <alertd@example.org>"
    )
    wanted = {"to": TO, "reply_to": "desk@example.org", **(options or {})}
    env = notifier_env(smtp=replace(relay, **smtp), secrets=secrets)  # type: ignore[arg-type]
    notifier = EmailNotifier(EmailOptions.model_validate(wanted), env)
    try:
        return await notifier.send(message or sample_message(), {})
    finally:
        await notifier.aclose()


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
    assert headers["X-Alertd-Timeline"] == "iraq-coalition-withdrawal"
    assert headers["X-Alertd-State"] == "passed by some"
    assert headers["X-Alertd-Contested"] == "yes"
    assert headers["List-Id"] == (
        "Withdrawal of the US-led coalition from Iraq <iraq-coalition-withdrawal.alertd.alertd.example>"
    )
    assert headers["List-Unsubscribe"] is None
    assert headers["Precedence"] is None


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


def bodies(mail: EmailMessage) -> tuple[EmailMessage, EmailMessage]:
    """Return the text body and the HTML body, of which a mail reader shows one."""
    first = next(mail.iter_parts()) if mail.get_content_type() == "multipart/mixed" else mail
    assert first.get_content_type() == "multipart/alternative"
    text, html = first.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(html, EmailMessage)
    return text, html


class _Page(HTMLParser):
    """The resources that a browser would load or run, and the text that a person would read."""

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
    text, html = bodies(mail)
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
        message.items[0],
        title=text,
        milestone=text,
        headline=text,
        details=(text,),
        fields={"url": "javascript:1"},
    )
    item = replace(item, claims=tuple(replace(claim, phrase=text, note=text) for claim in item.claims))
    async with SmtpSink() as sink:
        outcome = await send(sink, replace(message, subject=text, items=(item,)))

    assert outcome == Sent()
    (mail,) = sink.mails
    assert mail.recipients == ("desk@example.org", "lead@example.org")
    assert mail.message["Bcc"] is None
    assert mail.message["X-Alertd-Id"] == message.id
    _, html = bodies(mail.message)
    page = _Page()
    page.feed(html.get_content())
    assert page.loaded == []
    assert not page.tags & {"script", "img"}
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998


def _everywhere(value: Any, evil: str) -> Any:
    """Return ``value`` with every text replaced by ``evil``, except values of enums."""
    if isinstance(value, StrEnum):
        return value
    if isinstance(value, str):
        return evil
    if isinstance(value, tuple):
        return tuple(_everywhere(element, evil) for element in value)
    if isinstance(value, Mapping):
        return {evil: evil}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: _everywhere(getattr(value, field.name), evil) for field in fields(value)}
        )
    return value


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\0"], ids=ascii)
@pytest.mark.parametrize("name", ["contested", "moved", "digest", "notice"])
async def test_a_line_break_in_any_field_of_a_message_makes_no_header(name: str, line_break: str) -> None:
    honest = with_links(sample_message(name))
    evil = f"x{line_break}Bcc: evil@example.org{line_break}X-Evil: 1{line_break}{line_break}<script>"
    message = _everywhere(honest, evil)
    # Values that alertd makes or checks itself: an id in base62, and a zone that the file's reader checks.
    message = replace(message, id=honest.id, items=tuple(replace(item, zone="UTC") for item in message.items))
    async with SmtpSink() as sink:
        outcomes = [await send(sink, sample) for sample in (honest, message)]

    assert outcomes == [Sent(), Sent()]
    usual, attacked = (mail.message for mail in sink.mails)
    assert set(attacked.keys()) <= set(usual.keys())
    assert "Bcc" not in attacked
    assert sink.mails[1].recipients == ("desk@example.org", "lead@example.org")
    assert [part.get_content_type() for part in attacked.walk()] == [
        part.get_content_type() for part in usual.walk()
    ]


async def test_a_mail_about_many_is_not_cut_off() -> None:
    """Gmail shows about 102 kB. The overview lists all milestones; the most urgent come with full details."""
    message = with_links(sample_message("digest"))
    items = tuple(
        replace(item, title=f"{item.title} {number}", milestone=f"{item.milestone}-{number}")
        for item in message.items
        for number in range(14)
    )
    async with SmtpSink() as sink:
        await send(sink, replace(message, items=items))

    text, html = bodies(sink.mails[0].message)
    shown = html.get_content()
    assert len(shown.encode()) < 102_000
    for item in items[:50]:
        assert item.title in shown
        assert item.milestone in text.get_content()
    assert "25 more stand in the list above." in shown
    assert "and 20 more, not listed here" in shown


async def test_links_that_act_are_in_both_parts() -> None:
    message = with_links(sample_message("contested"))
    async with SmtpSink() as sink:
        await send(sink, message)

    text, html = bodies(sink.mails[0].message)
    page = _Page()
    page.feed(html.get_content())
    wanted = [action.url for action in message.items[0].actions] + [message.items[0].page, message.page]
    assert len(wanted) == 5
    for url in wanted:
        assert url in page.links
        assert url in text.get_content().split()


@pytest.mark.parametrize(
    ("named", "page", "expected"),
    [
        ("", False, None),
        ("", True, "<https://alertd.example/unsubscribe>"),
        ("https://example.org/mail?of=desk", False, "<https://example.org/mail?of=desk>"),
        (
            "admin@example.org",
            True,
            "<mailto:admin@example.org?subject=unsubscribe%20desk>, <https://alertd.example/unsubscribe>",
        ),
    ],
)
async def test_who_wants_no_more_is_told_where_to_turn_to(
    named: str, page: bool, expected: str | None
) -> None:
    """No one-click unsubscribe, because a mail scanner could trigger it and end reminders (RFC 8058)."""
    message = sample_message()
    async with SmtpSink() as sink:
        await send(sink, with_links(message) if page else message, options={"unsubscribe": named})

    headers = sink.mails[0].message
    assert headers["List-Unsubscribe"] == expected
    assert headers["List-Unsubscribe-Post"] is None


@pytest.mark.parametrize(
    "named", ["http://example.org", "javascript:1", "nobody", "A <a@b.org>", "https://a b"]
)
def test_what_is_no_way_out_is_refused(named: str) -> None:
    with pytest.raises(ValidationError):
        EmailOptions.model_validate({"to": TO, "unsubscribe": named})


async def test_each_sample_has_a_list() -> None:
    """A mail about one timeline has the timeline's list, every other mail has alertd's own."""
    async with SmtpSink() as sink:
        for name in ("approaching", "many", "notice"):
            await send(sink, sample_message(name))

    assert [mail.message["List-Id"] for mail in sink.mails] == [
        "Servers that must be upgraded <servers.alertd.alertd.example>",
        "<alertd.alertd.example>",
        "<alertd.alertd.example>",
    ]


async def test_long_ids_stay_whole_in_their_headers() -> None:
    item = replace(sample_message().items[0], milestone="timeline/" + "m" * 150)
    async with SmtpSink() as sink:
        await send(sink, sample_message(items=(item,)))

    assert f"X-Alertd-Milestone: {item.milestone}\r\n".encode() in sink.mails[0].raw


class EmailRig(Rig):
    def __init__(self, sink: SmtpSink, timeout_s: float) -> None:
        smtp = Smtp(
            host="127.0.0.1", port=sink.port, sender="alertd@example.org", username="alertd",
            password_file="smtp_password", timeout_s=timeout_s,
        )  # fmt: skip
        env = notifier_env(smtp=smtp, secrets={"smtp_password": CANARY})
        super().__init__("email", {"to": ["desk@example.org"]}, env)
        self.sink = sink

    def seen(self) -> str:
        return "\n".join(self.bodies())

    def bodies(self) -> Sequence[str]:
        return [mail.raw.decode("ascii") for mail in self.sink.mails]


LOGIN = ("alertd", CANARY)


def smtp_script(trouble: Trouble) -> SmtpSink:
    match trouble:
        case Trouble.LATER:
            return SmtpSink(login=LOGIN, data=f"451 4.3.0 {CANARY}")
        case Trouble.NEVER:
            return SmtpSink(login=LOGIN, data=f"554 5.7.1 {CANARY}")
        case Trouble.HANGS_UP:
            return SmtpSink(login=LOGIN, drop="data")
        case Trouble.HANGS:
            return SmtpSink(login=LOGIN, drop="hang")
        case Trouble.NONE | Trouble.NOBODY:
            return SmtpSink(login=LOGIN)


class TestContract(OwnContract):
    type_name = "email"

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        async with contextlib.AsyncExitStack() as stack:
            sink = await stack.enter_async_context(smtp_script(trouble))
            rig = EmailRig(sink, self.timeout_s(trouble))
            if trouble is Trouble.NOBODY:
                await sink.__aexit__(None, None, None)
            stack.push_async_callback(rig.notifier.aclose)
            yield rig
