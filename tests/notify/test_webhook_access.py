"""Webhooks: credentials, rotation of secrets, and proxies."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.network import Network, Reach
from alertd.notify.http.egress import Egress
from alertd.notify.webhook.notifier import WebhookNotifier, WebhookOptions
from alertd.testing import Answer, FixedClock, HttpSink, notifier_env, sample_message

CANARY = "canary-5f0c9b"
OLD = "whsec_" + base64.b64encode(b"former" * 6).decode()
NEW = "whsec_" + base64.b64encode(b"current" * 5).decode()


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as server:
        yield server


async def posted(
    options: dict[str, Any], secrets: dict[str, str] | None = None, **surroundings: Any
) -> Outcome:
    env = notifier_env(secrets=secrets, **surroundings)
    try:
        made = WebhookNotifier(WebhookOptions.model_validate(options), env)
        return await made.send(sample_message(), {})
    finally:
        await env.http.aclose()


# -- credentials


@pytest.mark.parametrize(
    ("options", "secrets", "name", "value"),
    [
        (
            {"basic": {"username": "ada", "password": CANARY}}, {},
            "authorization", "Basic " + base64.b64encode(f"ada:{CANARY}".encode()).decode(),
        ),
        (
            {"basic": {"username": "ada", "password_file": "p"}}, {"p": f"größe:{CANARY}"},
            "authorization", "Basic " + base64.b64encode(f"ada:größe:{CANARY}".encode()).decode(),
        ),
        ({"bearer": CANARY}, {}, "authorization", f"Bearer {CANARY}"),
        ({"bearer_file": "t"}, {"t": f"{CANARY}\n"}, "authorization", f"Bearer {CANARY}"),
        ({"headers": {"Authorization": f"Token {CANARY}"}}, {}, "authorization", f"Token {CANARY}"),
        ({"headers_file": {"X-Key": "k"}}, {"k": CANARY}, "x-key", CANARY),
        ({"headers": {"X-Key": CANARY}, "headers_file": {"X-B": "k"}}, {"k": "b"}, "x-key", CANARY),
    ],
)  # fmt: skip
async def test_credentials_are_sent_and_hidden_when_they_are_echoed(
    sink: HttpSink, options: dict[str, Any], secrets: dict[str, str], name: str, value: str
) -> None:
    told = secrets.get("p", CANARY)
    sink.answers = [Answer(status=401, body=f"no: {value} {told}".encode())]

    outcome = await posted({"url": sink.url, **options}, secrets)

    assert sink.requests[0].headers[name] == value
    assert isinstance(outcome, Rejected)
    assert CANARY not in outcome.reason
    assert value not in outcome.reason
    assert CANARY not in repr(WebhookOptions.model_validate({"url": sink.url, **options}))


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        ({}, "secret file 'k': not found"),
        ({"k": f"{CANARY}\r\nX-Evil: 1"}, "is no value of the header X-Key: not printable ASCII"),
    ],
)
async def test_a_credential_that_cannot_be_sent_is_tried_again_and_not_quoted(
    sink: HttpSink, secrets: dict[str, str], why: str
) -> None:
    outcome = await posted({"url": sink.url, "headers_file": {"X-Key": "k"}}, secrets)

    assert isinstance(outcome, Retry)
    assert why in outcome.reason
    assert CANARY not in outcome.reason
    assert sink.requests == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"bearer": "a", "bearer_file": "b"}, "bearer and bearer_file exclude each other"),
        ({"bearer": f"{CANARY}\n"}, "the header Authorization holds what is not printable ASCII"),
        ({"basic": {"username": "a"}}, "password or password_file is required"),
        ({"basic": {"username": "a:b", "password": CANARY}}, "a username holds no colon"),
        ({"basic": {"username": "", "password": CANARY}}, "at least 1 character"),
        ({"basic": {"username": "a", "password": CANARY, "realm": "x"}}, "Extra inputs"),
        (
            {"bearer": CANARY, "basic": {"username": "a", "password": "b"}},
            "Authorization is said twice: by basic and by bearer",
        ),
        (
            {"bearer": CANARY, "headers": {"authorization": "x"}},
            "Authorization is said twice: by bearer and by headers",
        ),
        ({"headers": {"X-A": "1"}, "headers_file": {"x-a": "f"}}, "x-a is in headers and in headers_file"),
        ({"headers_file": {"Webhook-Signature": "f"}}, "set by alertd alone"),
        ({"headers": {"ce-id": "1"}}, "set by alertd alone"),
        ({"headers": {"Idempotency-Key": "1"}}, "set by alertd alone"),
        ({"proxy": f"https://p.example/{CANARY}"}, "is not a proxy's URL"),
        ({"proxy": f"socks5://p.example:{CANARY}"}, "is not an http or https URL"),
        ({"proxy": "http://p.example", "proxy_file": "f"}, "proxy and proxy_file exclude each other"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_quoting_a_secret(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookOptions.model_validate({"url": "https://a.example/", **options})

    assert why in str(caught.value)
    assert CANARY not in str(caught.value)


# -- rotating a secret


async def test_a_secret_is_rotated_without_a_gap(sink: HttpSink) -> None:
    """The old secret; both, the new one first; the new secret: a receiver that knows either can verify."""
    clock = FixedClock(datetime.now(UTC))  # noqa: TID251  the reference library looks at the machine's clock
    held = {"new": NEW, "old": OLD}
    signed = []
    for files in (["old"], ["new", "old"], ["new"]):
        await posted({"url": sink.url, "secret_file": files}, held, clock=clock)
        request = sink.requests[-1]
        signed.append(request.headers["webhook-signature"].split())
        for name, secret in held.items():
            if name in files:
                Webhook(secret).verify(request.body, dict(request.headers))
            else:
                with pytest.raises(WebhookVerificationError):
                    Webhook(secret).verify(request.body, dict(request.headers))

    (old,), both, (new,) = signed
    assert both == [new, old]


# -- proxies


class Tunnel:
    """A real proxy: CONNECT opens a tunnel to the target. ``asked`` records the requests."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[str] = []
        self._status = status
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Tunnel":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            writer.write(f"HTTP/1.1 {self._status} Scripted\r\ncontent-length: 0\r\n\r\n".encode())
            if self._status == 200:
                host, _, port = head.split(" ")[1].rpartition(":")
                there, back = await asyncio.open_connection(host, int(port))
                with contextlib.closing(back):
                    await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


async def test_plain_http_goes_to_the_proxy_with_the_whole_url(sink: HttpSink) -> None:
    """alertd does not look up the target's name, because the proxy does."""
    outcome = await posted(
        {"url": "http://hook.invalid/a?b=1", "proxy": sink.url.replace("//", "//ada:s%40@")}
    )

    assert outcome == Sent(note="HTTP 200")
    (request,) = sink.requests
    assert request.path == "http://hook.invalid/a?b=1"
    assert request.headers["host"] == "hook.invalid"
    assert request.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"ada:s@").decode()
    assert json.loads(request.body)["data"]["id"] == sample_message().id


async def test_https_goes_through_a_tunnel_and_the_proxy_reads_nothing() -> None:
    async with HttpSink(tls=True) as target, Tunnel() as proxy:
        outcome = await posted(
            {"url": f"{target.url}/{CANARY}", "proxy_file": "p", "bearer": CANARY},
            {"p": proxy.url},
            tls=target.client_tls,
        )

    assert outcome == Sent(note="HTTP 200")
    assert target.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    (asked,) = proxy.asked
    assert asked.startswith(f"CONNECT {target.url.removeprefix('https://')} HTTP/1.1\r\n")
    assert CANARY not in asked


async def test_a_target_that_nobody_vouches_for_gets_nothing_through_a_proxy_either() -> None:
    async with HttpSink(tls=True) as target, Tunnel() as proxy:
        outcome = await posted({"url": target.url, "proxy": proxy.url})

    assert isinstance(outcome, Retry)
    assert "its certificate is not trusted" in outcome.reason
    assert target.requests == []


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_that_refuses_the_tunnel_is_named_and_nothing_was_written(status: int) -> None:
    async with Tunnel(status) as proxy:
        outcome = await posted({"url": f"https://hook.invalid/{CANARY}", "proxy": proxy.url})

    assert outcome == Retry(
        reason=f"https://hook.invalid by way of {proxy.url} cannot be reached: the proxy answered {status}"
    )


async def test_a_proxy_that_asks_who_we_are_is_no_answer_of_the_target(sink: HttpSink) -> None:
    sink.answers = [Answer(status=407, body=b"")]

    outcome = await posted({"url": "http://hook.invalid/", "proxy": sink.url})

    assert outcome == Retry(
        reason=f"http://hook.invalid by way of {sink.url} cannot be reached: the proxy answered 407"
    )


async def test_a_proxy_that_is_not_there_is_named(sink: HttpSink) -> None:
    await sink.__aexit__(None, None, None)

    outcome = await posted(
        {"url": "https://hook.invalid/", "proxy": f"{sink.url.replace('//', f'//a:{CANARY}@')}"}
    )

    assert outcome == Retry(
        reason=f"https://hook.invalid by way of {sink.url} cannot be reached: Connection refused"
    )
    await sink.__aenter__()


async def test_the_network_policy_is_applied_to_the_proxy_and_not_to_the_target(sink: HttpSink) -> None:
    public = Egress(Network(policy=Reach.PUBLIC))
    options = {"url": "http://169.254.169.254/latest", "proxy": sink.url}

    refused = await posted(options, egress=public)
    through = await posted(options)

    assert isinstance(refused, Rejected)
    assert refused.reason.startswith(
        f"http://169.254.169.254 by way of {sink.url} is not connected to: 127.0.0.1 is"
    )
    # The proxy itself decides what it connects to.
    assert through == Sent(note="HTTP 200")
    assert sink.requests[0].path == "http://169.254.169.254/latest"
