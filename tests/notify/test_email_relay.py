"""The connection to the relay: the outcome of a failure in each phase, and keeping connections."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.core.config import Smtp
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.base import Env
from alertd.notify.email.notifier import EmailNotifier, EmailOptions
from alertd.notify.smtp.relay import MAX_IDLE, Relay
from alertd.testing import SmtpSink, notifier_env, sample_message

TO = ["Desk <desk@example.org>", "lead@example.org"]
PASSWORD = "canary-pass"


def env_for(sink: SmtpSink, secrets: dict[str, str] | None = None, **smtp: object) -> Env:
    relay = Smtp(
        host="localhost" if sink.tls else "127.0.0.1", port=sink.port, sender="alertd <alertd@example.org>"
    )
    return notifier_env(smtp=replace(relay, **smtp), secrets=secrets)  # type: ignore[arg-type]


def notifier_of(env: Env) -> EmailNotifier:
    return EmailNotifier(EmailOptions.model_validate({"to": TO}), env)


async def send(sink: SmtpSink, secrets: dict[str, str] | None = None, **smtp: object) -> Outcome:
    notifier = notifier_of(env_for(sink, secrets, **smtp))
    try:
        return await notifier.send(sample_message(), {})
    finally:
        await notifier.aclose()


def trusting(sink: SmtpSink, folder: Path, **more: object) -> dict[str, object]:
    """Return the ``smtp`` settings for a login at a relay under TLS."""
    path = folder / "ca.pem"
    path.write_bytes(sink.ca_pem)
    return {
        "secrets": {"smtp_password": PASSWORD},
        "username": "alertd",
        "password_file": "smtp_password",
        "ca_file": str(path),
        "starttls": sink.tls == "starttls",
        "tls": sink.tls == "implicit",
        **more,
    }


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_over_tls_with_a_password(tmp_path: Path, mode: str) -> None:
    async with SmtpSink(tls=mode, login=("alertd", PASSWORD)) as sink:
        outcome = await send(sink, **trusting(sink, tmp_path))  # type: ignore[arg-type]

    assert outcome == Sent()
    assert sink.mails[0].encrypted
    assert sink.mails[0].user == "alertd"


async def test_a_relay_that_offers_no_starttls_gets_nothing() -> None:
    async with SmtpSink() as sink:
        outcome = await send(sink, starttls=True)

    assert isinstance(outcome, Retry)
    assert not outcome.unknown
    assert "STARTTLS" in outcome.reason
    assert sink.mails == []
    assert "MAIL" not in sink.commands


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async with SmtpSink(tls="starttls") as sink:
        outcome = await send(sink, starttls=True)

    assert isinstance(outcome, Retry)
    assert "its certificate is not trusted" in outcome.reason
    assert sink.mails == []


async def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    """The mail is retried until the password is right, because each send reads the password anew."""
    async with SmtpSink(tls="starttls", login=("alertd", "right")) as sink:
        options = trusting(sink, tmp_path)
        wrong = await send(sink, **options)  # type: ignore[arg-type]
        right = await send(sink, **{**options, "secrets": {"smtp_password": "right"}})  # type: ignore[arg-type]

    assert isinstance(wrong, Retry)
    assert "refused the login: 535" in wrong.reason
    assert "canary" not in wrong.reason
    assert right == Sent()


@pytest.mark.parametrize(
    ("host", "smtp", "refused"),
    [
        ("relay.invalid", {}, True),
        ("10.1.2.3", {}, True),
        # With insecure_auth, and on this machine, the only problem is that no server listens.
        ("127.0.0.1", {"port": 9}, False),
        ("relay.invalid", {"insecure_auth": True}, False),
    ],
)
async def test_a_password_never_crosses_the_network_in_the_clear(
    host: str, smtp: dict[str, object], *, refused: bool
) -> None:
    """The daemon handles such an address even though `alertd check` refuses the file."""
    relay = Smtp(host=host, username="alertd", sender="alertd@example.org")
    notifier = notifier_of(notifier_env(smtp=replace(relay, **smtp)))  # type: ignore[arg-type]

    outcome = await notifier.send(sample_message(), {})

    assert isinstance(outcome, Retry)
    assert ("would cross the network in the clear" in outcome.reason) is refused


@pytest.mark.parametrize("mode", ["", "starttls", "implicit"])
@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        # The reply comes before MAIL and is about the relay, so the mail is retried.
        ({"answers": {"greeting": "421 4.3.2 busy"}}, Retry, "answered 421: 4.3.2 busy"),
        ({"answers": {"greeting": "554 5.3.2 no service"}}, Retry, "answered 554: 5.3.2 no service"),
        ({"answers": {"EHLO": "421 4.3.2 busy"}}, Retry, "answered 421: 4.3.2 busy"),
        ({"answers": {"EHLO": "550 5.7.1 not you"}}, Retry, "answered 550: 5.7.1 not you"),
        # The reply is about the mail.
        ({"mail_from": "451 4.7.1 greylisted"}, Retry, "answered 451: 4.7.1 greylisted"),
        ({"mail_from": "421 4.3.2 closing"}, Retry, "answered 421: 4.3.2 closing"),
        ({"mail_from": "550 5.1.8 no such sender"}, Rejected, "answered 550: 5.1.8 no such sender"),
        (
            {"mail_from": "530 5.7.0 log in first"},
            Retry,
            "refused mail without a login: 530 5.7.0 log in first",
        ),
        ({"answers": {"RCPT": "421 4.3.2 closing"}}, Retry, "answered 421: 4.3.2 closing"),
        ({"answers": {"DATA": "451 4.3.0 not now"}}, Retry, "answered 451: 4.3.0 not now"),
        ({"answers": {"DATA": "554 5.5.1 no"}}, Rejected, "answered 554: 5.5.1 no"),
        ({"data": "452 4.3.1 disk full"}, Retry, "answered 452: 4.3.1 disk full"),
        ({"data": "554 5.7.1 spam"}, Rejected, "answered 554: 5.7.1 spam"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
async def test_each_refusal_of_the_relay_has_its_outcome(
    tmp_path: Path, mode: str, script: dict[str, object], kind: type, said: str
) -> None:
    async with SmtpSink(tls=mode, **script) as sink:  # type: ignore[arg-type]
        options = trusting(sink, tmp_path, username="", password_file="") if mode else {}
        outcome = await send(sink, **options)  # type: ignore[arg-type]
        where = f"mail relay {'localhost' if mode else '127.0.0.1'}:{sink.port}"

    assert type(outcome) is kind
    assert getattr(outcome, "reason", "") == f"{where} {said}"
    assert not getattr(outcome, "unknown", False)
    assert sink.mails == []


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"STARTTLS": "454 4.7.0 no TLS now"}, "answered 454: 4.7.0 no TLS now"),
        ({"STARTTLS": "500 5.5.1 what"}, "answered 500: 5.5.1 what"),
        # A temporary error, a final error, a weak mechanism: the operator can fix each, so the mail is
        # retried.
        ({"AUTH": "454 4.7.0 cannot look it up"}, "answered 454: 4.7.0 cannot look it up"),
        ({"AUTH": "535 5.7.8 wrong"}, "refused the login: 535 5.7.8 wrong"),
        ({"AUTH": "534 5.7.9 too weak"}, "refused the login: 534 5.7.9 too weak"),
    ],
    ids=str,
)
async def test_a_relay_that_lets_nobody_in_keeps_the_mail_waiting(
    tmp_path: Path, answers: dict[str, str], said: str
) -> None:
    async with SmtpSink(tls="starttls", login=("alertd", PASSWORD), answers=answers) as sink:
        outcome = await send(sink, **trusting(sink, tmp_path))  # type: ignore[arg-type]

    assert outcome == Retry(reason=f"mail relay localhost:{sink.port} {said}")
    assert "MAIL" not in sink.commands


@pytest.mark.parametrize(
    ("drop", "unknown"),
    [
        # Before DATA the mail cannot have been delivered.
        ("greeting", False),
        ("EHLO", False),
        ("MAIL", False),
        ("RCPT", False),
        # From DATA on the mail may have been delivered.
        ("DATA", True),
        ("data", True),
        ("hang", True),
    ],
)
@pytest.mark.parametrize("mode", ["", "starttls", "implicit"])
async def test_whether_it_may_have_arrived_depends_on_when_the_line_broke(
    tmp_path: Path, mode: str, drop: str, *, unknown: bool
) -> None:
    async with SmtpSink(tls=mode, drop=drop) as sink:
        options = trusting(sink, tmp_path, username="", password_file="") if mode else {}
        outcome = await send(sink, timeout_s=0.5 if drop == "hang" else 10.0, **options)  # type: ignore[arg-type]

    assert isinstance(outcome, Retry)
    assert outcome.unknown is unknown
    assert "SSL" not in outcome.reason


async def test_nobody_there() -> None:
    async with SmtpSink() as sink:
        port = sink.port
    outcome = await send(sink)

    assert outcome == Retry(reason=f"mail relay 127.0.0.1:{port} cannot be used: Connection refused")


@pytest.mark.parametrize("said", ["250 " + "x" * 9_000, "nonsense"])
async def test_a_reply_to_the_mail_that_cannot_be_read_leaves_open_whether_it_arrived(said: str) -> None:
    async with SmtpSink(data=said) as sink:
        outcome = await send(sink)

    assert isinstance(outcome, Retry)
    assert outcome.unknown
    assert outcome.reason.endswith("answered something that is not SMTP, or too long")


async def test_a_reply_that_cannot_be_read_before_the_mail_says_that_nothing_arrived() -> None:
    async with SmtpSink(mail_from="250 " + "x" * 9_000) as sink:
        outcome = await send(sink)

    assert isinstance(outcome, Retry)
    assert not outcome.unknown


@pytest.mark.parametrize("script", [{"drop": "QUIT"}, {"answers": {"QUIT": "500 what"}}], ids=str)
async def test_who_cannot_say_goodbye_has_the_mail_all_the_same(script: dict[str, object]) -> None:
    async with SmtpSink(**script) as sink:  # type: ignore[arg-type]
        outcome = await send(sink)

    assert outcome == Sent()
    assert sink.commands[-1] == "QUIT"


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as made:
        yield made


async def test_mails_go_over_one_connection_whoever_sends_them(sink: SmtpSink) -> None:
    env = env_for(sink)
    desk, leads = notifier_of(env), notifier_of(env)

    outcomes = [await notifier.send(sample_message(), {}) for notifier in (desk, leads, desk)]
    await desk.aclose()
    await leads.aclose()

    assert outcomes == [Sent()] * 3
    assert sink.connections == 1
    assert [name for name in sink.commands if name in ("EHLO", "RSET", "DATA", "QUIT")] == [
        "EHLO", "DATA", "RSET", "DATA", "RSET", "DATA", "QUIT",
    ]  # fmt: skip


async def test_a_connection_that_the_relay_has_closed_is_made_again(sink: SmtpSink) -> None:
    notifier = notifier_of(env_for(sink))
    await notifier.send(sample_message(), {})
    sink.hang_up()

    outcome = await notifier.send(sample_message(), {})
    await notifier.aclose()

    assert outcome == Sent()
    assert sink.connections == 2


@pytest.mark.parametrize("answer", ["421 4.4.2 idle for too long", "500 what"])
async def test_a_connection_that_is_of_no_more_use_is_made_again(sink: SmtpSink, answer: str) -> None:
    notifier = notifier_of(env_for(sink))
    await notifier.send(sample_message(), {})
    sink.answers["RSET"] = answer

    outcome = await notifier.send(sample_message(), {})
    await notifier.aclose()

    assert outcome == Sent()
    assert sink.connections == 2


async def test_a_refused_mail_spoils_the_connection_for_no_other(sink: SmtpSink) -> None:
    notifier = notifier_of(env_for(sink))
    sink.data = "554 5.7.1 spam"
    refused = await notifier.send(sample_message(), {})
    sink.data = ""

    outcome = await notifier.send(sample_message(), {})
    await notifier.aclose()

    assert isinstance(refused, Rejected)
    assert outcome == Sent()
    assert sink.connections == 1


async def test_a_new_password_is_used_at_once(tmp_path: Path) -> None:
    """A connection that was opened with the old password is not used."""
    secrets = {"smtp_password": PASSWORD}
    async with SmtpSink(tls="starttls", login=("alertd", PASSWORD)) as sink:
        notifier = notifier_of(env_for(sink, **{**trusting(sink, tmp_path), "secrets": secrets}))  # type: ignore[arg-type]
        await notifier.send(sample_message(), {})
        secrets["smtp_password"] = "rotated"
        sink.login = ("alertd", "rotated")
        outcome = await notifier.send(sample_message(), {})
        await notifier.aclose()

    assert outcome == Sent()
    assert sink.connections == 2


async def test_a_connection_that_nobody_wants_is_given_back(sink: SmtpSink) -> None:
    """The connection is closed after a short time, because relays limit connections."""
    env = replace(env_for(sink), relay=Relay(idle_s=0.0))
    loop = asyncio.get_running_loop()
    await notifier_of(env).send(sample_message(), {})
    later: asyncio.Future[None] = loop.create_future()
    loop.call_later(0.0, later.set_result, None)
    await later  # this timer was set after the connection's

    client = await env.relay.connect(notifier_of(env)._login(), env.http.egress)
    client.close()
    await env.relay.aclose()

    assert sink.connections == 2
    assert "QUIT" in sink.commands


async def test_no_more_connections_are_kept_than_a_few(sink: SmtpSink) -> None:
    env = env_for(sink)
    notifier = notifier_of(env)
    open_ones = []
    login = notifier._login()
    for _ in range(MAX_IDLE + 2):
        open_ones.append(await env.relay.connect(login, env.http.egress))
    for client in open_ones:
        env.relay.keep(client, login)
    await env.relay.aclose()

    assert sink.connections == MAX_IDLE + 2
    assert not any(client.is_connected for client in open_ones)
    assert sink.commands.count("QUIT") == MAX_IDLE + 2


async def test_a_backlog_of_mails_needs_as_many_connections_as_are_in_flight(sink: SmtpSink) -> None:
    """Also when the mails end in groups, so that for a moment no connection is in use."""
    notifier, in_flight, message = notifier_of(env_for(sink)), 8, sample_message()

    for first in range(0, 496, in_flight):
        mails = [replace(message, id=f"msg_{first + number}") for number in range(in_flight)]
        outcomes = await asyncio.gather(*(notifier.send(mail, {}) for mail in mails))
        assert outcomes == [Sent()] * in_flight
    await notifier.aclose()

    assert len(sink.mails) == 496
    assert sink.connections <= in_flight
