"""No secret leaves its place: every notifier fails in every way, and all that was written is searched.

Each secret holds a canary: in URLs (user, path, query), headers, signing secrets, passwords, keys, given in
the file and in files of their own; and the servers echo what they are told.
"""

import base64
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from alertd.testing import Answer, Fault, HttpSink, SmtpSink
from tests.e2e.stage import Process, Stage, a_stage, in_a_minute

pytestmark = pytest.mark.long

CANARY = "canary5f0c9b"
BASIC = base64.b64encode(f"user:{CANARY}".encode()).decode()
PASSWORD = f"{CANARY}pass"
PLAIN = base64.b64encode(f"\0alertd\0{PASSWORD}".encode()).decode()
ECHO = f"no {CANARY} for Basic {BASIC} in http://u:{CANARY}@h.example/{CANARY}?k={CANARY} {CANARY}".encode()
SCRIPTS = {
    "accepts": Answer(),
    "later": Answer(status=503, body=ECHO, headers={"Retry-After": CANARY, "X-Echo": CANARY}),
    "never": Answer(status=403, body=ECHO),
    "html": Answer(status=200, body=b"<html>" + ECHO),
    "redirects": Answer(status=302, headers={"Location": f"http://u:{CANARY}@h.example/{CANARY}?{CANARY}"}),
    "elsewhere": Answer(status=307, headers={"Location": f"/{CANARY}"}),
    "resets": Answer(fault=Fault.RESET),
    "breaks": Answer(status=500, body=ECHO, fault=Fault.RESET_IN_BODY),
    "hangs": Answer(fault=Fault.HANG),
    "garbage": Answer(fault=Fault.GARBAGE),
}


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def servers() -> AsyncIterator[dict[str, str]]:
    """Where each way to fail is, as scheme, host and port."""
    async with contextlib.AsyncExitStack() as stack:
        places = {}
        for name, answer in SCRIPTS.items():
            sink = await stack.enter_async_context(HttpSink(answer))
            places[name] = sink.url
        untrusted = await stack.enter_async_context(HttpSink(tls=True))
        yield places | {
            "untrusted": untrusted.url,
            "no-tls": places["later"].replace("http:", "https:"),
            "nobody": f"http://127.0.0.1:{closed_port()}",
            "metadata": "http://169.254.169.254",
            "spelt": "http://2852039166",
        }


def with_secrets(place: str) -> str:
    scheme, _, host = place.partition("://")
    return f"{scheme}://user:{CANARY}@{host}/services/{CANARY}?token={CANARY}"


def notifiers(stage: Stage, places: dict[str, str]) -> Iterator[str]:
    """One of each type for each way to fail, its secrets in the file and in files of their own by turns."""
    headers = f"headers: {{Authorization: 'Bearer {CANARY}', X-Key: {CANARY}}}"
    for name, place in places.items():
        url = with_secrets(place)
        stage.write(f"url-{name}", url + "\n")
        stage.write(f"secret-{name}", f"{CANARY}\n")
        inline = f"url: '{url}', secret: {CANARY}, {headers}"
        in_files = f"url_file: url-{name}, secret_file: secret-{name}, {headers}"
        yield f"{{type: webhook, name: w-{name}, {inline}, timeout: 0.7}}"
        yield f"{{type: webhook, name: f-{name}, {in_files}, timeout: 0.7}}"
        yield f"{{type: slack, name: s-{name}, webhook_url: '{url}', timeout: 0.7, rate: 100/s}}"
    # A file that holds no URL, one that is no text, one that is a key and no CA; one that is not there.
    stage.write("no-url", f"{CANARY}\n")
    (stage.config / "no-text").write_bytes(b"\xff" + CANARY.encode())
    stage.write("key.pem", _key())
    yield "{type: webhook, name: no-url, url_file: no-url}"
    yield "{type: slack, name: no-text, webhook_url_file: no-text}"
    url = f"{places['later']}/{CANARY}"
    yield f"{{type: webhook, name: no-ca, url: '{url}', ca_file: key.pem}}"
    yield f"{{type: slack, name: no-key, webhook_url: '{url}', client_cert_file: key.pem}}"
    yield f"{{type: webhook, name: no-file, url: '{url}', secret_file: nowhere}}"
    yield "{type: console}"


def _key() -> str:
    """A private key; its lines are canaries too."""
    return trustme.CA().issue_cert("a.example").private_key_pem.bytes().decode()


def canaries(stage: Stage) -> list[bytes]:
    """What must be nowhere: as it is, and as SMTP and basic authentication write it."""
    key = (stage.config / "key.pem").read_text().splitlines()[1]
    in_base64 = base64.b64encode(PASSWORD.encode()).decode()
    return [one.encode() for one in (CANARY, BASIC, PLAIN, in_base64, key)]


def written(stage: Stage) -> bytes:
    """The ledger's files, byte by byte: what was deleted too, and what is not yet checkpointed."""
    # Beside them is the control socket, which holds nothing.
    files = [one for one in stage.ledger.parent.glob(f"{stage.ledger.name}*") if one.is_file()]
    assert files
    return b"".join(file.read_bytes() for file in files)


def said(daemon: Process) -> bytes:
    return "\n".join([daemon.printed, *map(repr, daemon.events), *daemon.garbage]).encode()


RELAYS = {
    "never": (
        SmtpSink(login=("alertd", PASSWORD), data=f"554 5.7.1 no {PASSWORD} here"),
        "answered 554",
    ),
    "later": (SmtpSink(login=("alertd", PASSWORD), mail_from=f"451 4.7.1 {PLAIN} again?"), "answered 451"),
    "drops": (SmtpSink(login=("alertd", PASSWORD), drop="data"), "broke off"),
    "wrong password": (SmtpSink(login=("alertd", "another")), "refused the login: 535"),
}


def config(stage: Stage, listed: list[str], port: int) -> str:
    """Two receivers, since there are more notifiers than one may have; both are told everything."""
    stage.write("smtp_password", f"{PASSWORD}\n")
    # To this machine: the relay of the test offers no TLS.
    login = "username: alertd, password_file: smtp_password, starttls: false"
    smtp = f"{{host: 127.0.0.1, port: {port}, from: a@example.org, {login}}}"
    first, second = ("".join(f"      - {one}\n" for one in half) for half in (listed[::2], listed[1::2]))
    return (
        "route: {receiver: desk, routes: [{receiver: desk, continue: true}, {receiver: rest}]}\n"
        f"operator: desk\nsmtp: {smtp}\nreceivers:\n"
        f"  - name: desk\n    notifiers:\n{first}  - name: rest\n    notifiers:\n{second}"
    )


async def all_that_is_written(stage: Stage, text: str, channels: int) -> tuple[dict[str, bytes], set[str]]:
    """The output of everything once each channel has had an end, and the reasons that were logged."""
    stage.write("alertd.yaml", text)
    stage.write_timeline(m=in_a_minute(0))
    daemon = await stage.start(ALERTD_LOG_LEVEL="debug")
    await daemon.bell.until(
        lambda: len({one["channel"] for one in daemon.events if _is_an_end(one)}) >= channels,
        lambda: [one for one in daemon.events if _is_an_end(one)],
    )
    # A configuration that is wrong where the secrets are.
    stage.write("alertd.yaml", text.replace("http://user:", "htp://user:").replace("smtp:", "smtpp:"))
    daemon.signal(signal.SIGHUP)
    await daemon.until("config.refused")
    commands = (
        "status", "status --format json", "history", "history --format json --limit 1000",
        "explain t/m", "explain t/m --format json", "check",
    )  # fmt: skip
    outputs = {name: await stage.said(*name.split()) for name in commands}
    stage.write("alertd.yaml", text)
    for command in ("send-test desk", "send-test rest", "plan --format jsonl", "check"):
        outputs[f"{command}, mended"] = await stage.said(*command.split())
    outputs["ledger"] = written(stage)
    assert await daemon.stop() == 0
    outputs |= {"log": said(daemon), "ledger, closed": written(stage)}
    return outputs, {one["reason"] for one in daemon.events if "reason" in one}


def _is_an_end(event: dict[str, object]) -> bool:
    return event["event"] in ("delivery.sent", "delivery.retried", "delivery.died")


def leaks(stage: Stage, outputs: dict[str, bytes]) -> set[tuple[str, str]]:
    return {(name, one.decode()) for name, said in outputs.items() for one in canaries(stage) if one in said}


async def test_no_webhook_s_secret_is_in_the_log_the_ledger_or_any_output(tmp_path: Path) -> None:
    """After every webhook and Slack has failed in every way, and after a configuration was refused."""
    async with a_stage(tmp_path) as stage, servers() as places:
        listed = [*notifiers(stage, places)]
        outputs, reasons = await all_that_is_written(stage, config(stage, listed, 9), len(listed))
        found = leaks(stage, outputs)

    assert found == set()
    # And it was there to be told.
    assert any("[hidden]" in reason for reason in reasons)
    for shown in ("answered 403", "is link-local", "a redirect to", "not trusted", "broke off"):
        assert any(shown in reason for reason in reasons), (shown, reasons)
        assert shown.encode() in outputs["history --format json --limit 1000"]
        assert shown.encode() in outputs["ledger"]


@pytest.mark.parametrize("relay", RELAYS)
async def test_no_password_is_in_the_log_the_ledger_or_any_output(tmp_path: Path, relay: str) -> None:
    """After the relay has refused the mail, in its own words."""
    sink, shown = RELAYS[relay]
    async with a_stage(tmp_path) as stage, sink:
        stage.write("key.pem", _key())
        listed = ["{type: email, to: [desk@example.org]}", "{type: console}"]
        outputs, reasons = await all_that_is_written(stage, config(stage, listed, sink.port), len(listed))
        found = leaks(stage, outputs)

    assert found == set()
    assert any(shown in reason for reason in reasons), reasons
    assert shown.encode() in outputs["history"]
