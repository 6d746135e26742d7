"""The status decides about a malformed answer, and an answer whose head does not end decides nothing."""

import asyncio
import gc
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.notify.http.client import HttpClient
from alertd.notify.http.head import Head, read_head
from alertd.notify.http.reply import Answer, judge_answer
from alertd.notify.http.transcript import Transcript
from alertd.testing import Answer as Scripted
from alertd.testing import HttpSink
from alertd.testing.http_sink import Fault

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

MALFORMED: dict[str, Scripted] = {
    # RFC 9112, section 4: a client ignores the reason phrase.
    "reason in Latin-1": Scripted(raw=(b"HTTP/1.1 200 Tr\xe8s bien\r\n" + TWO + b"\r\nok",)),
    "reason of control characters": Scripted(raw=(b"HTTP/1.1 200 \x01\xff\x00\x7f\r\n" + TWO + b"\r\nok",)),
    "reason of 9,000 bytes": Scripted(raw=(b"HTTP/1.1 200 " + b"x" * 9_000 + b"\r\n" + TWO + b"\r\nok",)),
    "minor version 9": Scripted(raw=(b"HTTP/1.9 200 OK\r\n" + TWO + b"\r\nok",)),
    # RFC 9110, section 5.4: a client may limit the headers that it reads.
    "header line of 9,000 bytes": Scripted(raw=(OK + b"X: " + b"y" * 9_000 + b"\r\n\r\nok",)),
    "header name of 9,000 bytes": Scripted(raw=(OK + b"y" * 9_000 + b": x\r\n\r\nok",)),
    "300 headers": Scripted(raw=(OK + b"X: y\r\n" * 300 + TWO + b"\r\nok",)),
    # RFC 9112, section 5: malformed header lines.
    "folded header with a control character": Scripted(raw=(OK + b"X: y\r\n \x00z\r\n\r\nok",)),
    "first header line folded": Scripted(raw=(OK + b" X: y\r\n" + TWO + b"\r\nok",)),
    "header value with NUL": Scripted(raw=(OK + b"X: a\x00b\r\n" + TWO + b"\r\nok",)),
    "header name with a space": Scripted(raw=(OK + b"X Y: z\r\n" + TWO + b"\r\nok",)),
    "header name in Latin-1": Scripted(raw=(OK + b"X\xe8: z\r\n" + TWO + b"\r\nok",)),
    "header line without a colon": Scripted(raw=(OK + b"nonsense\r\n" + TWO + b"\r\nok",)),
    # RFC 9112, section 6: the body's length is invalid.
    "length that is no number": Scripted(raw=(OK + b"Content-Length: two\r\n\r\nok",)),
    "two lengths": Scripted(raw=(OK + b"Content-Length: 3\r\n" + TWO + b"\r\nok",)),
    "a length and chunks": Scripted(raw=(OK + TWO + CHUNKED + b"2\r\nok\r\n0\r\n\r\n",)),
    "more than the length": Scripted(raw=(OK + TWO + b"\r\nok, really",)),
    # RFC 9112, section 7.1: malformed chunks.
    "malformed chunk with the head": Scripted(raw=(OK + CHUNKED + b"zz\r\nok\r\n",)),
    "malformed chunk after the head": Scripted(raw=(OK + CHUNKED, b"zz\r\nok\r\n")),
    "malformed chunk after a chunk": Scripted(raw=(OK + CHUNKED + b"2\r\nok\r\n", b"zz\r\n")),
    # RFC 9112, section 8: the head is complete, and the body is not.
    "closed in the body": Scripted(raw=(OK + TWO + b"\r\no",)),
    "reset in the body": Scripted(raw=(OK + TWO + b"\r\no",), fault=Fault.RESET),
    "reset before the body": Scripted(raw=(OK + TWO + b"\r\n",), fault=Fault.RESET),
    "body that never ends": Scripted(raw=(OK + TWO + b"\r\no",), fault=Fault.HANG),
    "gzip that is none": Scripted(raw=(OK + b"Content-Encoding: gzip\r\n" + TWO + b"\r\nok",)),
    # An interim answer comes first, and is malformed.
    "malformed interim answer": Scripted(
        raw=(b"HTTP/1.1 103 Early\r\nX Y: z\r\n\r\n" + OK + TWO + b"\r\nok",)
    ),
}

INCOMPLETE: dict[str, Scripted] = {
    # RFC 9112, section 8: without the end of the head, the client cannot know what the answer means.
    "no status": Scripted(raw=(b"HTTP/1.1 20",)),
    "reason that never ends": Scripted(raw=(b"HTTP/1.1 200 O",), fault=Fault.HANG),
    "reason in Latin-1 that never ends": Scripted(raw=(b"HTTP/1.1 200 Tr\xe8s",), fault=Fault.HANG),
    "headers that never end": Scripted(raw=(OK + b"X: y\r\n",), fault=Fault.HANG),
    "closed after the status line": Scripted(raw=(OK,)),
    "closed in the headers": Scripted(raw=(OK + b"Content-Le",)),
    "closed before the empty line": Scripted(raw=(OK + TWO,)),
    "reset after the status line": Scripted(raw=(OK,), fault=Fault.RESET),
    "reset in the headers": Scripted(raw=(OK + TWO + b"X: y",), fault=Fault.RESET),
    # Only an interim answer is complete.
    "closed after an interim answer": Scripted(raw=(b"HTTP/1.1 103 Early\r\n\r\n" + OK,)),
    # This is no HTTP/1.
    "another protocol": Scripted(raw=(b"SSH-2.0-OpenSSH_9.2\r\n\r\n",)),
    "another version": Scripted(raw=(b"HTTP/2 200 OK\r\n\r\n",)),
}


async def post(answer: Scripted) -> Answer:
    """Return the answer. A malformed answer must not wait for the deadline; one that never ends must."""
    timeout_s = 0.3 if answer.fault is Fault.HANG else 10.0
    async with HttpSink(answer) as sink, asyncio.timeout(5):
        client = HttpClient()
        client.transcript = Transcript()
        try:
            return await client.post(f"{sink.url}/canary", b"{}", {}, timeout_s=timeout_s)
        finally:
            await client.aclose()


def with_status(answer: Scripted, status: int) -> Scripted:
    return replace(answer, raw=tuple(piece.replace(b" 200 ", b" %d " % status) for piece in answer.raw))


@pytest.mark.parametrize("status", [200, 410, 503])
@pytest.mark.parametrize("name", MALFORMED)
async def test_the_status_decides_about_a_malformed_answer(name: str, status: int) -> None:
    """A message that was accepted is not sent again; 410 stops the channel, and 503 is no lost connection."""
    answer = with_status(MALFORMED[name], status)

    outcome = judge_answer(await post(answer), NOW)

    match status:
        case 200:
            assert outcome == Sent(note="HTTP 200")
        case 410:
            assert isinstance(outcome, Rejected)
            assert outcome.gone
        case _:
            assert isinstance(outcome, Retry)
            assert "answered 503" in outcome.reason
            assert not outcome.unknown


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_answer_leaves_nothing_in_the_log(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The outcome says what happened, so the log contains no warning and no traceback of a library."""
    answer = MALFORMED[name]

    await post(answer)
    gc.collect()

    assert [line.getMessage() for line in caplog.records if line.levelno >= logging.INFO] == []


async def test_of_a_malformed_answer_the_valid_headers_are_read() -> None:
    """The receiver's wait is honoured even if another header is malformed."""
    head = b"HTTP/1.1 503 Busy\r\nX Y: z\r\nRetry-After: 120\r\n"
    answer = Scripted(raw=(head + b"\r\n",))

    outcome = judge_answer(await post(answer), NOW)

    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(minutes=2)


@pytest.mark.parametrize("status", [b"000", b"099", b"600", b"999"])
async def test_an_invalid_status_rejects_nothing(status: bytes) -> None:
    """It counts as 5xx (RFC 9110, section 15), so a broken gateway makes no message dead."""
    outcome = judge_answer(
        await post(Scripted(raw=(b"HTTP/1.1 " + status + b" ?\r\n" + TWO + b"\r\nok",))), NOW
    )

    assert isinstance(outcome, Retry)


async def test_the_status_decides_over_tls_too() -> None:
    answer = Scripted(raw=(OK + b"X Y: z\r\n" + TWO + b"\r\nok",))
    async with HttpSink(answer, tls=True) as sink:
        client = HttpClient(sink.client_tls)
        outcome = judge_answer(await client.post(sink.url, b"{}", {}), NOW)
        await client.aclose()

    assert outcome == Sent(note="HTTP 200")


@pytest.mark.parametrize(
    ("scheme", "field", "answered"),
    [
        ("http", b"", "407"),
        ("http", b"X Y: z\r\n", "407"),
        ("http", b"X: " + b"y" * 9_000 + b"\r\n", "407"),
        ("https", b"", "407"),
        # The answer to CONNECT is aiohttp's own affair.
        ("https", b"X Y: z\r\n", "something that is not HTTP"),
        ("https", b"X: " + b"y" * 9_000 + b"\r\n", "something that is not HTTP"),
    ],
)
async def test_a_malformed_407_is_the_answer_of_the_proxy(scheme: str, field: bytes, answered: str) -> None:
    """The target has received nothing, so alertd tries again."""
    answer = Scripted(raw=(b"HTTP/1.1 407 Identifiez-vous, s'il vous pla\xeet\r\n" + field + b"\r\n",))
    async with HttpSink(answer) as proxy:
        client = HttpClient()
        outcome = await client.post(f"{scheme}://127.0.0.1:9/x", b"{}", {}, proxy=proxy.url)
        await client.aclose()

    assert isinstance(outcome, Retry)
    assert outcome.reason.endswith(f"cannot be reached: the proxy answered {answered}")
    assert not outcome.unknown


@pytest.mark.parametrize("status", [200, 410, 503])
@pytest.mark.parametrize("name", INCOMPLETE)
async def test_an_answer_whose_head_is_incomplete_decides_nothing(name: str, status: int) -> None:
    """The receiver may break off because it failed, so the message is sent again under the same id."""
    answer = await post(with_status(INCOMPLETE[name], status))

    assert isinstance(answer, Retry)
    assert answer.unknown


async def test_the_status_of_an_earlier_answer_does_not_count() -> None:
    """A connection that is kept starts each request without an answer."""
    async with HttpSink(Scripted(), Scripted(fault=Fault.RESET)) as sink:
        client = HttpClient()
        first = judge_answer(await client.post(sink.url, b"{}", {}), NOW)
        second = judge_answer(await client.post(sink.url, b"{}", {}), NOW)
        await client.aclose()

    assert sink.connections == 1
    assert isinstance(first, Sent)
    assert isinstance(second, Retry)
    assert second.unknown


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (OK + b"X: y\r\n\r\nok", Head(status=200, headers={"x": "y"}, whole=True)),
        # Lines may end with LF, and an empty line may come first (RFC 9112, section 2.2).
        (b"\r\nHTTP/1.0 200\nX: y\n\nok", Head(status=200, headers={"x": "y"}, whole=True)),
        # The last value counts; a line in the body is no header.
        (OK + b"X: y\r\nx: z\r\n\r\nx: body\r\n", Head(status=200, headers={"x": "z"}, whole=True)),
        # An incomplete line is no header: the value may go on.
        (OK + b"Retry-After: 12", Head(status=200)),
        (b"HTTP/1.1 101 Switching\r\n\r\n", Head(status=101, whole=True)),
        (b"HTTP/1.1 100\r\n\r\n" + OK, Head(status=200)),
        (b"HTTP/1.1 100\r\nX: y\r\n", None),
        # A status has three digits, and something follows it.
        (b"HTTP/1.1 200", None),
        (b"HTTP/1.1 2000 OK\r\n", None),
        (b"HTTP/1.1 099 OK\r\n", None),
        (b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n", None),
        (b"", None),
    ],
)
def test_a_head_is_read_from_its_status_to_its_empty_line(received: bytes, expected: Head | None) -> None:
    assert read_head(received) == expected
