"""`alertd send-test` shows the dialogue without secrets, whatever the receiver answers."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alertd.testing import Answer, Fault, HttpSink, SmtpSink
from alertd.testing.contract import CANARY
from tests.cli.stage import Ran, run, write_folder

LOGIN = ("alertd", CANARY)
HOOK = (
    "{{type: webhook, name: hook, url: '{http}/{canary}?key={canary}', secret_file: secret, "
    "headers: {{X-Key: {canary}}}, basic: {{username: ada, password: {canary}}}}}"
)
MAIL = "{{type: email, to: [desk@example.org, lead@example.org]}}"
SMTP = "smtp: {{host: localhost, port: {smtp}, from: alertd@example.org"
SECURE = ", username: alertd, password_file: password, starttls: true, ca_file: ca.pem}}\n"


def tried(folder: Path, notifier: str, sink: HttpSink, relay: SmtpSink | None = None, *more: str) -> Ran:
    """Run the command with real servers, in a thread, because the command has its own event loop."""

    async def trying() -> Ran:
        async with sink:
            if relay is None:
                return await asyncio.to_thread(run, "send-test", "desk", "--config", written(), *more)
            async with relay:
                return await asyncio.to_thread(run, "send-test", "desk", "--config", written(relay), *more)

    def written(relay: SmtpSink | None = None) -> Path:
        config = f"receivers: [{{{{name: desk, notifiers: [{notifier}]}}}}]\nroute: {{{{receiver: desk}}}}\n"
        if relay is not None:
            config += SMTP + (SECURE if relay.tls else "}}\n")
            (folder / "ca.pem").write_bytes(relay.ca_pem)
        (folder / "secret").write_text(f"{CANARY}-in-a-file", encoding="utf-8")
        (folder / "password").write_text(CANARY, encoding="utf-8")
        told = {"http": sink.url, "canary": CANARY, "smtp": relay.port if relay else 0}
        return write_folder(folder, config.format(**told))

    return asyncio.run(trying())


def test_the_request_and_the_answer_are_shown(tmp_path: Path) -> None:
    sink = HttpSink(Answer(status=202, headers={"X-Trace": "7"}, body=b"queued"))

    ran = tried(tmp_path, HOOK, sink)

    (request,) = sink.requests
    assert ran.code == 0
    assert ran.lines[0] == "> POST /… HTTP/1.1"
    assert f"> webhook-id: {request.headers['webhook-id']}" in ran.lines
    assert f"> webhook-signature: {request.headers['webhook-signature']}" in ran.lines
    assert "> authorization: [hidden]" in ran.lines
    assert "> x-key: [hidden]" in ran.lines
    assert '>   "type": "alertd.test",' in ran.lines
    assert ran.lines[-4:] == ["< x-trace: 7", "<", "< queued", "desk/hook: accepted (HTTP 202)"]
    assert CANARY not in ran.out + ran.err


ECHOES: dict[str, Callable[[str], Answer]] = {
    "plain": lambda secret: Answer(status=403, body=f"no {secret}".encode()),
    "json": lambda secret: Answer(status=400, body=json.dumps({"you": secret}).encode()),
    "url": lambda secret: Answer(status=404, body=f"no http://u:{secret}@x.example/{secret}".encode()),
    "header": lambda secret: Answer(status=500, headers={"X-Echo": secret, "Set-Cookie": secret}),
    "redirect": lambda secret: Answer(status=302, headers={"Location": f"http://x.example/{secret}"}),
    "long": lambda secret: Answer(status=400, body=(b"x" * 480 + secret.encode()) * 50),
    "lines": lambda secret: Answer(status=400, body=f"{secret}\n".encode() * 50),
    "broken": lambda secret: Answer(status=400, body=f"{secret * 9}".encode(), fault=Fault.RESET_IN_BODY),
    "controls": lambda secret: Answer(status=400, body=f"\x1b]0;{secret}\x07\r\n\u202e".encode()),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_no_echo_brings_a_secret_out(echo: Callable[[str], Answer], tmp_path: Path) -> None:
    ran = tried(tmp_path, HOOK, HttpSink(echo(CANARY)))

    assert ran.code == 1
    assert CANARY not in ran.out + ran.err
    assert "\x1b" not in ran.out
    assert len(ran.lines) < 100
    assert max(map(len, ran.lines)) < 600


def test_a_secret_in_a_body_is_hidden(tmp_path: Path) -> None:
    """ntfy has the topic in the JSON, and Telegram has the token in the path."""
    ntfy = "{{type: ntfy, server: '{http}', topic: {canary}, token: tk_{canary}}}"
    telegram = "{{type: telegram, api_url: '{http}', token: '1:{canary}', chat: '1'}}"

    ran = tried(tmp_path, f"{ntfy}, {telegram}", HttpSink(Answer(body=CANARY.encode())))

    assert ran.code == 1
    assert '>   "topic": "[hidden]",' in ran.lines
    assert CANARY not in ran.out + ran.err


def test_a_form_is_shown_field_by_field_without_its_secrets(tmp_path: Path) -> None:
    sms = (
        "{{type: sms, api_url: '{http}', account: AC1, token: {canary}, from: desk, to: ['+4915112345678']}}"
    )

    ran = tried(tmp_path, sms, HttpSink(Answer(status=403, body=CANARY.encode())))

    assert ran.code == 1
    assert "> To: +4915112345678" in ran.lines
    assert "> Body: Test message from alertd" in ran.lines
    assert "> authorization: [hidden]" in ran.lines
    assert CANARY not in ran.out + ran.err


def test_the_key_and_the_token_in_a_url_are_not_shown(tmp_path: Path) -> None:
    chat = "{{type: google_chat, url: '{http}/v1/spaces/A/messages?key={canary}&token={canary}%3D'}}"

    ran = tried(tmp_path, chat, HttpSink(Answer(status=403, body=f"no {CANARY}= here".encode())))

    assert ran.code == 1
    assert ran.lines[0] == "> POST /… HTTP/1.1"
    assert CANARY not in ran.out + ran.err


def test_what_was_not_written_is_not_shown(tmp_path: Path) -> None:
    sink = HttpSink(Answer())

    tried(tmp_path, HOOK, sink)

    gone = run("send-test", "desk", "--config", tmp_path)  # the server has stopped

    assert gone.code == 1
    assert not [line for line in gone.lines if line.startswith(">")]
    assert gone.lines[0].startswith("* http://127.0.0.1:")
    assert "cannot be reached" in gone.lines[-1]


def test_brief_is_one_line_a_notifier(tmp_path: Path) -> None:
    ran = tried(tmp_path, HOOK, HttpSink(Answer(status=410)), None, "--brief")

    assert ran.code == 1
    assert len(ran.lines) == 1
    assert ran.lines[0].startswith("desk/hook: rejected: ")


def test_the_dialogue_with_a_relay_is_shown(tmp_path: Path) -> None:
    ran = tried(tmp_path, MAIL, HttpSink(), SmtpSink(tls="starttls", login=LOGIN))

    assert ran.code == 0
    verbs = [line.split()[1] for line in ran.lines if line.startswith("> ")]
    assert verbs[:8] == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "RCPT", "DATA"]
    assert "> AUTH PLAIN [hidden]" in ran.lines
    assert "* encrypted from here on" in ran.lines
    assert "> Subject: Test message from alertd" in ran.lines
    assert ran.lines[-2:] == ["< 250 OK", "desk/email: accepted"]
    assert CANARY not in ran.out + ran.err


@pytest.mark.parametrize(
    ("relay", "ending"),
    [
        # One of two recipients is accepted: the mail was sent, but the test has not passed.
        (SmtpSink(rcpt_to={"lead@example.org": "550 5.1.1 nobody"}), "accepted, but not by all: "),
        (SmtpSink(rcpt_to={"lead@example.org": "451 4.2.1 later"}), "accepted by some, and failed for now"),
        (SmtpSink(data=f"554 5.7.1 {CANARY}"), "rejected: "),
        (SmtpSink(mail_from="451 4.7.1 later"), "failed for now: "),
        (SmtpSink(answers={"greeting": "554 5.3.2 not today"}), "failed for now: "),
        (SmtpSink(drop="data"), "failed for now: "),
    ],
    ids=["one refused", "one later", "refused", "later", "no greeting", "broken off"],
)
def test_less_than_all_is_exit_1(relay: SmtpSink, ending: str, tmp_path: Path) -> None:
    ran = tried(tmp_path, MAIL, HttpSink(), relay)

    assert ran.code == 1
    assert ran.lines[-1].startswith(f"desk/email: {ending}")
    assert [line for line in ran.lines if line.startswith("< ")]


@pytest.mark.parametrize("method", ["LOGIN", "CRAM-MD5"])
def test_no_way_to_log_in_shows_the_password(method: str, tmp_path: Path) -> None:
    """The relay offers one method and echoes everything that it gets."""
    greeting = f"250-sink.example\r\n250 AUTH {method}"
    relay = SmtpSink(tls="starttls", login=LOGIN, answers={"EHLO": greeting, "AUTH": f"535 5.7.8 {CANARY}"})

    ran = tried(tmp_path, MAIL, HttpSink(), relay)

    assert ran.code == 1
    assert CANARY not in ran.out + ran.err
