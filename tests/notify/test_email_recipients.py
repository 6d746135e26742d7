"""Several recipients of one mail, each accepted or refused separately; and international addresses."""

import pytest
from pydantic import ValidationError

from alertd.core.config import Smtp
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.email.address import parse_mailbox
from alertd.notify.email.notifier import EmailNotifier, EmailOptions
from alertd.testing import SmtpSink, notifier_env, sample_message

ANN, BOB, CAT = "ann@example.org", "bob@example.org", "cat@example.org"
NOBODY = "550 5.1.1 no such user"
FULL = "452 4.2.2 mailbox full"


def notifier_for(sink: SmtpSink, sender: str = "alertd@example.org", **options: object) -> EmailNotifier:
    relay = Smtp(host="127.0.0.1", port=sink.port, sender=sender)
    wanted = options or {"to": [ANN, BOB, CAT]}
    return EmailNotifier(EmailOptions.model_validate(wanted), notifier_env(smtp=relay))


async def send(sink: SmtpSink, sender: str = "alertd@example.org", **options: object) -> Outcome:
    notifier = notifier_for(sink, sender, **options)
    try:
        return await notifier.send(sample_message(), {})
    finally:
        await notifier.aclose()


async def test_one_bad_address_does_not_stop_the_others() -> None:
    async with SmtpSink(rcpt_to={BOB: NOBODY}) as sink:
        outcome = await send(sink)

    said = f"mail relay 127.0.0.1:{sink.port} refused {BOB} ({NOBODY}); 2 of 3 have it"
    assert outcome == Sent(note=said, partly=said)
    assert [mail.recipients for mail in sink.mails] == [(ANN, CAT)]


async def test_who_has_it_does_not_get_it_again_when_the_others_are_tried_again() -> None:
    refusals = {BOB: FULL, CAT: NOBODY}
    async with SmtpSink(rcpt_to=refusals) as sink:
        notifier = notifier_for(sink)
        first = await notifier.send(sample_message(), {})
        again = await notifier.send(sample_message(), {})
        del refusals[BOB]
        last = await notifier.send(sample_message(), {})
        another = await notifier.send(sample_message("moved"), {})
        await notifier.aclose()

    where = f"mail relay 127.0.0.1:{sink.port}"
    waiting = Retry(reason=f"{where} refused {BOB} ({FULL}), {CAT} ({NOBODY}); 1 of 3 have it", partly=True)
    done = f"{where} refused {CAT} ({NOBODY}); 2 of 3 have it"
    assert [first, again, last] == [waiting, waiting, Sent(note=done, partly=done)]
    assert isinstance(another, Sent)
    assert [mail.recipients for mail in sink.mails] == [(ANN,), (BOB,), (ANN, BOB)]
    assert sink.mails[0].message["Message-ID"] == sink.mails[1].message["Message-ID"]
    assert sink.mails[1].message["To"] == f"{ANN}, {BOB}, {CAT}"


async def test_what_was_refused_after_all_was_taken_by_nobody() -> None:
    """A relay is responsible for a recipient only after it has accepted the mail."""
    async with SmtpSink(rcpt_to={BOB: NOBODY}, data="451 4.3.0 not now") as sink:
        notifier = notifier_for(sink)
        first = await notifier.send(sample_message(), {})
        sink.data = ""
        second = await notifier.send(sample_message(), {})
        await notifier.aclose()

    assert first == Retry(reason=f"mail relay 127.0.0.1:{sink.port} answered 451: 4.3.0 not now")
    assert isinstance(second, Sent)
    assert [mail.recipients for mail in sink.mails] == [(ANN, CAT)]


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [
        ({ANN: NOBODY, BOB: NOBODY, CAT: NOBODY}, Rejected),
        # If one refusal is temporary, the mail is retried.
        ({ANN: NOBODY, BOB: NOBODY, CAT: FULL}, Retry),
    ],
)
async def test_when_nobody_is_taken_it_is_no_part_of_anything(
    refusals: dict[str, str], expected: type
) -> None:
    async with SmtpSink(rcpt_to=refusals) as sink:
        outcome = await send(sink)

    assert type(outcome) is expected
    assert "have it" not in getattr(outcome, "reason", "")
    assert not getattr(outcome, "partly", False)
    assert sink.mails == []


async def test_too_many_at_once_are_tried_again_however_the_relay_says_it() -> None:
    """Old relays reply 552 to too many recipients (RFC 5321, section 4.5.3.1.10)."""
    async with SmtpSink(rcpt_to={CAT: "552 too many recipients"}) as sink:
        outcome = await send(sink)

    assert isinstance(outcome, Retry)
    assert outcome.partly


async def test_who_is_in_bcc_gets_it_and_is_seen_by_nobody() -> None:
    async with SmtpSink() as sink:
        await send(sink, to=[ANN], bcc=[BOB, ANN])
        await send(sink, bcc=[BOB])

    assert [mail.recipients for mail in sink.mails] == [(ANN, BOB), (BOB,)]
    assert [mail.message["To"] for mail in sink.mails] == [ANN, "undisclosed-recipients:;"]
    assert not any(b"bob" in mail.raw for mail in sink.mails)


async def test_names_in_any_script_reach_any_relay() -> None:
    async with SmtpSink() as sink:
        outcome = await send(
            sink,
            sender="Frühwarnung <alertd@bücher.example>",
            to=['"Müller, Jürgen" <jm@example.org>', "山田太郎 <yamada@例え.example>"],
        )

    assert outcome == Sent()
    (mail,) = sink.mails
    assert mail.raw.isascii()
    assert mail.sender == "alertd@xn--bcher-kva.example"
    assert mail.recipients == ("jm@example.org", "yamada@xn--r8jz45g.example")
    shown = [(address.display_name, address.addr_spec) for address in mail.message["To"].addresses]
    assert shown == [("Müller, Jürgen", "jm@example.org"), ("山田太郎", "yamada@xn--r8jz45g.example")]
    assert mail.message["From"].addresses[0].display_name == "Frühwarnung"


async def test_an_address_beyond_ascii_needs_a_relay_that_can_read_it() -> None:
    async with SmtpSink(utf8=True) as sink:
        outcome = await send(sink, to=["Größe <größe@example.org>", ANN])

    assert outcome == Sent()
    (mail,) = sink.mails
    assert mail.recipients == ("größe@example.org", ANN)
    assert "To: Größe <größe@example.org>, ann@example.org".encode() in mail.raw


async def test_where_the_relay_cannot_the_others_get_the_mail_without_it() -> None:
    async with SmtpSink() as sink:
        outcome = await send(sink, to=["größe@example.org", ANN])
        alone = await send(sink, to=["größe@example.org"])

    why = f"mail relay 127.0.0.1:{sink.port} refused größe@example.org (553 the relay offers no SMTPUTF8)"
    assert outcome == Sent(note=f"{why}; 1 of 2 have it", partly=f"{why}; 1 of 2 have it")
    assert alone == Rejected(reason=why)
    (mail,) = sink.mails
    assert mail.raw.isascii()
    assert mail.message["To"] == ANN


async def test_a_sender_beyond_ascii_needs_such_a_relay_too() -> None:
    async with SmtpSink() as sink:
        outcome = await send(sink, sender="größe@example.org", to=[ANN])

    assert isinstance(outcome, Rejected)
    assert "SMTPUTF8" in outcome.reason
    assert sink.mails == []


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("a@example.org", "a@example.org", ""),
        ("A <a@example.org>", "a@example.org", "A"),
        ('"Doe, Jane" <jane@example.org>', "jane@example.org", "Doe, Jane"),
        # IDNA 2008 keeps the sharp s. IDNA 2003 turned it into "ss", which is somebody else's domain.
        ("a@faß.example", "a@xn--fa-hia.example", ""),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example", ""),
        ("用户@例え.example", "用户@xn--r8jz45g.example", ""),
    ],
)
def test_what_is_an_address(text: str, address: str, name: str) -> None:
    mailbox = parse_mailbox(text)

    assert (mailbox.address, mailbox.name) == (address, name)


@pytest.mark.parametrize(
    "to",
    [
        [],
        ["nobody"],
        ["a@example.org, b@example.org"],
        ["a@example.org\r\nBcc: b@example.org"],
        ["a@-example.org"],
        ["a@xn--.ü"],
        ["a\u202eb@example.org"],
        ["a\u00a0b@example.org"],
        ["ä" * 33 + "@example.org"],
        ["x" * 65 + "@example.org"],
        ["<script>@example.org"],
        ["a@example.org"] * 51,
    ],
    ids=ascii,
)
def test_what_is_no_address_is_refused(to: list[str]) -> None:
    with pytest.raises(ValidationError):
        EmailOptions.model_validate({"to": to})
