"""A hostile server's answer has limited effects: the deadline, 64 KiB and one line of text."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel, ValidationError

from alertd.core.config import Smtp
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.email.notifier import EmailNotifier, EmailOptions
from alertd.notify.http.client import MAX_BODY, HttpClient
from alertd.notify.http.reply import Answer, Reply
from alertd.notify.registry import list_usable
from alertd.testing import Answer as Scripted
from alertd.testing import HttpSink, notifier_env, sample_message

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
FOR_EVER = 10_000_000


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """Yield the port of a server, which is cancelled at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has disconnected
        finally:
            tasks.discard(task)
            writer.close()

    made = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        made.close()
        await made.wait_closed()


async def drip(writer: asyncio.StreamWriter, piece: bytes, every_s: float = 0.01) -> None:
    """Send pieces for ever, with only a short wait between two of them."""
    never = asyncio.get_running_loop().create_future()
    for _ in range(FOR_EVER):
        writer.write(piece)
        await writer.drain()
        await asyncio.wait([never], timeout=every_s)


async def flood(writer: asyncio.StreamWriter, piece: bytes) -> None:
    for _ in range(FOR_EVER):
        writer.write(piece)
        await writer.drain()


async def post(port: int, timeout_s: float) -> tuple[Answer, float]:
    """Return the answer, and how long the request took in seconds."""
    loop = asyncio.get_running_loop()
    client = HttpClient()
    began = loop.time()
    try:
        answer = await client.post(f"http://127.0.0.1:{port}/canary", b"{}", {}, timeout_s=timeout_s)
        return answer, loop.time() - began
    finally:
        await client.aclose()


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("start", "piece", "kind"),
    [
        # The server drips within the status line, within a header, between headers, within a chunked body.
        (b"", b"H", Retry),
        (HEAD + b"X: ", b"y", Retry),
        (HEAD, b"X: y\r\n", Retry),
        # A status has arrived, and decides.
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b"y", Reply),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n", Reply),
        # The answer does not describe its body.
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"e" * 65_536, Reply),
        # Interim answers do not count as an answer.
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n", Retry),
    ],
)
async def test_an_answer_that_drips_is_cut_off_by_the_one_deadline(
    start: bytes, piece: bytes, kind: type
) -> None:
    """Each wait is short, and the deadline limits their sum."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        await drip(writer, piece)

    async with server(serve) as port:
        answer, took_s = await post(port, timeout_s=0.3)

    assert isinstance(answer, kind)
    assert took_s < 2
    if isinstance(answer, Reply):
        assert not answer.whole
    if isinstance(answer, Retry):
        assert answer.unknown


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        # An endless status line, header, list of headers, and body of every kind.
        (b"HTTP/1.1 200 ", b"x" * 65_536),
        (HEAD + b"X: ", b"y" * 65_536),
        (HEAD, b"X: y\r\n" * 10_000),
        (HEAD + b"Content-Length: 9000000000\r\n\r\n", b"y" * 65_536),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"y" * 65_536 + b"\r\n"),
        (HEAD + b"Connection: close\r\n\r\n", b"y" * 65_536),
    ],
)
async def test_of_an_answer_without_end_little_is_kept(start: bytes, piece: bytes) -> None:
    """The request ends well before the deadline and uses little memory."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        await flood(writer, piece)

    await post(9, timeout_s=1)  # do not count what is imported and created once
    async with server(serve) as port:
        tracemalloc.start()
        try:
            answer, _ = await post(port, timeout_s=10)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert isinstance(answer, Reply | Retry)
    assert "did not answer" not in getattr(answer, "reason", "")
    assert len(getattr(answer, "body", b"")) <= MAX_BODY
    assert peak < 8_000_000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip", "br", "zstd", "gzip, gzip"])
async def test_nothing_is_unpacked(coding: str) -> None:
    """A body that was compressed without being requested is not decompressed."""
    bomb = gzip.compress(bytes(100_000_000), 9)
    async with HttpSink(Scripted(body=bomb, headers={"Content-Encoding": coding})) as sink:
        client = HttpClient()
        tracemalloc.start()
        try:
            answer = await client.post(sink.url, b"{}", {"accept-encoding": "identity"})
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            await client.aclose()

    assert isinstance(answer, Reply)
    assert answer.body == bomb[:MAX_BODY]
    assert peak < 8_000_000
    assert sink.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("type_name", ["slack", "webhook"])
async def test_a_bomb_is_an_answer_like_any_other(type_name: str) -> None:
    """The send ends with an outcome whose reason is one line."""
    bomb = Scripted(
        status=400, body=gzip.compress(bytes(100_000_000), 9), headers={"Content-Encoding": "gzip"}
    )
    async with HttpSink(bomb) as sink:
        env = notifier_env()
        made = list_usable()[type_name].load()
        url = "webhook_url" if type_name == "slack" else "url"
        notifier = made(made.Options.model_validate({url: sink.url}), env)
        outcome = await notifier.send(sample_message(), {})
        await env.http.aclose()

    assert isinstance(outcome, Rejected)
    assert len(outcome.reason) < 300


async def mail(port: int, timeout_s: float) -> Outcome:
    smtp = Smtp(host="127.0.0.1", port=port, sender="alertd@example.org", timeout_s=timeout_s)
    notifier = EmailNotifier(
        EmailOptions.model_validate({"to": ["desk@example.org"]}), notifier_env(smtp=smtp)
    )
    return await notifier.send(sample_message(), {})


@pytest.mark.parametrize("piece", [b"220-hello\r\n" * 1000, b"2" * 65_536, b"220 x\r\n" * 1000])
async def test_a_relay_that_never_stops_talking_is_left(piece: bytes) -> None:
    """The length of the relay's reply is limited too."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await flood(writer, piece)

    async with server(serve) as port:
        tracemalloc.start()
        try:
            outcome = await mail(port, timeout_s=1)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert not isinstance(outcome, Sent)
    assert peak < 8_000_000


async def test_a_relay_that_drips_is_cut_off_by_the_one_deadline() -> None:
    """Each wait is short, and the deadline limits their sum."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await drip(writer, b"220-hello\r\n", every_s=0.05)

    async with server(serve) as port:
        began = asyncio.get_running_loop().time()
        outcome = await mail(port, timeout_s=0.3)
        took_s = asyncio.get_running_loop().time() - began

    assert outcome == Retry(reason=f"mail relay 127.0.0.1:{port} did not answer within 0.3 s")
    assert took_s < 2


BREAKS = ["\r\n", "\n", "\r", "\0", "\x0b", "\u2028", "\x85", "\r\n\r\n"]


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
def test_no_option_can_start_a_header(line_break: str) -> None:
    """A configuration with such a value is refused before anything is sent."""
    evil = f"a{line_break}X-Evil: 1"
    webhook, slack = (list_usable()[name].load().Options for name in ("webhook", "slack"))
    cases: list[tuple[type[BaseModel], dict[str, object]]] = [
        (webhook, {"url": "https://a.example", "headers": {"X-Key": evil}}),
        (webhook, {"url": "https://a.example", "headers": {evil: "1"}}),
        (webhook, {"url": f"https://a.example/{evil}"}),
        (slack, {"webhook_url": f"https://a.example/{evil}"}),
        (EmailOptions, {"to": [f"desk@example.org{line_break}Bcc: evil@example.org"]}),
        (EmailOptions, {"to": ["a@example.org"], "reply_to": f"a@example.org{line_break}X: 1"}),
    ]
    for model, options in cases:
        with pytest.raises(ValidationError) as refused:
            model.model_validate(options)
        assert evil not in str(refused.value)


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
async def test_no_secret_file_can_start_a_header(line_break: str) -> None:
    """A URL from a file is checked at each send.

    A password or a signing secret never becomes part of a line.
    """
    secrets = {"url": f"http://127.0.0.1:9/a{line_break}X-Evil: 1"}
    env = notifier_env(secrets=secrets)
    for name, key in (("webhook", "url_file"), ("slack", "webhook_url_file")):
        made = list_usable()[name].load()
        outcome = await made(made.Options.model_validate({key: "url"}), env).send(sample_message(), {})

        assert isinstance(outcome, Retry)
        assert "is not a URL" in outcome.reason
        assert "Evil" not in outcome.reason
    await env.http.aclose()


async def test_no_signing_secret_can_start_a_header() -> None:
    """A signature is base64, whatever the secret contains."""
    secrets = {"key": "whatever\r\nX-Evil: 1"}
    async with HttpSink() as sink:
        env = notifier_env(secrets=secrets)
        made = list_usable()["webhook"].load()
        options = made.Options.model_validate({"url": sink.url, "secret_file": "key"})
        outcome = await made(options, env).send(sample_message(), {})
        await env.http.aclose()

    assert isinstance(outcome, Sent)
    assert "x-evil" not in sink.requests[0].headers


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\0"], ids=ascii)
async def test_no_password_can_start_a_command(line_break: str) -> None:
    """SMTP transfers the password in base64."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            heard.append(line)
            if line.startswith(b"EHLO"):
                writer.write(b"250-sink\r\n250 AUTH PLAIN\r\n")
            else:
                writer.write(b"535 5.7.8 no\r\n")

    async with server(serve) as port:
        smtp = Smtp(
            host="127.0.0.1", port=port, sender="a@example.org", username=f"u{line_break}RSET",
            password_file="p", timeout_s=2,
        )  # fmt: skip
        env = notifier_env(smtp=smtp, secrets={"p": f"secret{line_break}MAIL FROM:<evil@example.org>"})
        options = EmailOptions.model_validate({"to": ["desk@example.org"]})
        outcome = await EmailNotifier(options, env).send(sample_message(), {})

    assert isinstance(outcome, Retry)
    assert "refused the login" in outcome.reason
    assert not any(line.startswith((b"MAIL", b"RSET")) for line in heard)
