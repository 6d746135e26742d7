"""The HTTP client: certificates, limits, independence from the environment, and the cost of its import."""

import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from alertd.core.ledger.outcome import Retry
from alertd.notify.http.client import MAX_BODY, HttpClient
from alertd.notify.http.redact import find_origin, find_secrets, quote
from alertd.notify.http.reply import Reply, parse_retry_after
from alertd.testing import Answer, HttpSink

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


async def post(client: HttpClient, url: str, timeout_s: float = 10) -> Reply | Retry:
    try:
        answer = await client.post(url, b"{}", {"accept-encoding": "identity"}, timeout_s=timeout_s)
    finally:
        await client.aclose()
    assert isinstance(answer, Reply | Retry)
    return answer


async def test_a_server_that_is_vouched_for_is_spoken_to() -> None:
    async with HttpSink(tls=True) as sink:
        answer = await post(HttpClient(sink.client_tls), sink.url)

    assert isinstance(answer, Reply)
    assert answer.body == b"ok"
    assert answer.whole


async def test_a_server_that_nobody_vouches_for_gets_nothing() -> None:
    async with HttpSink(tls=True) as sink:
        answer = await post(HttpClient(), sink.url)

    assert isinstance(answer, Retry)
    assert answer.reason.startswith(f"{sink.url} cannot be reached: its certificate is not trusted")
    assert not answer.unknown
    assert sink.requests == []


async def test_a_certificate_for_another_name_is_refused() -> None:
    async with HttpSink(tls=True) as sink:
        answer = await post(HttpClient(sink.client_tls), sink.url.replace("localhost", "127.0.0.1"))

    assert isinstance(answer, Retry)
    assert "its certificate is not trusted" in answer.reason


async def test_a_server_that_speaks_no_tls_gets_nothing() -> None:
    async with HttpSink() as sink:
        answer = await post(HttpClient(), sink.url.replace("http:", "https:"), timeout_s=0.3)

    assert isinstance(answer, Retry)
    assert not answer.unknown
    assert sink.requests == []


async def test_connections_are_kept_and_cookies_are_not() -> None:
    client = HttpClient()
    async with HttpSink(Answer(headers={"Set-Cookie": "a=1"})) as sink:
        for _ in range(3):
            await client.post(f"{sink.url}/x", b"{}", {})
        await client.aclose()
        await client.aclose()

    assert len(sink.requests) == 3
    assert sink.connections == 1
    assert not any("cookie" in request.headers for request in sink.requests)


@pytest.mark.parametrize(
    ("login", "headers", "expected"),
    [
        ("user:secret", {}, "Basic dXNlcjpzZWNyZXQ="),
        # Percent-encoded in the URL.
        ("user:p%40ss%3A", {}, "Basic dXNlcjpwQHNzOg=="),
        ("us%zzer", {}, "Basic dXMlenplcjo="),
        ("größe:x", {}, "Basic Z3LDtsOfZTp4"),
        # A header of the caller wins.
        ("user:secret", {"Authorization": "Bearer abc"}, "Bearer abc"),
    ],
)
async def test_a_login_in_the_url_is_sent_as_a_header(
    login: str, headers: dict[str, str], expected: str
) -> None:
    client = HttpClient()
    async with HttpSink() as sink:
        answer = await client.post(sink.url.replace("//", f"//{login}@") + "/x", b"{}", headers)
        await client.aclose()

    assert isinstance(answer, Reply)
    assert sink.requests[0].headers["authorization"] == expected
    assert sink.requests[0].path == "/x"


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with HttpSink() as sink:
        answer = await post(HttpClient(), sink.url)

    assert isinstance(answer, Reply)


async def test_of_a_huge_answer_only_the_beginning_is_kept() -> None:
    async with HttpSink(Answer(body=b"x" * 10_000_000)) as sink:
        answer = await post(HttpClient(), sink.url)

    assert isinstance(answer, Reply)
    assert len(answer.body) == MAX_BODY
    assert not answer.whole


def test_a_client_that_posts_nothing_makes_no_tls_context() -> None:
    def never() -> ssl.SSLContext:
        raise AssertionError("made without need")

    HttpClient(never)


def test_importing_the_notifiers_does_not_import_the_client_library() -> None:
    program = (
        "import sys, alertd.notify.console, alertd.notify.email.notifier\n"
        "import alertd.notify.slack.notifier, alertd.notify.webhook.notifier\n"
        "print(sorted({'aiohttp', 'httpx', 'aiosmtplib', 'jinja2', 'rich'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", timedelta(seconds=120)),
        ("1.2", timedelta(seconds=2)),
        # Zero seconds are the same as no Retry-After.
        ("0", None),
        # An absurd number is limited here, and again by the scheduler of retries.
        ("9999999999", timedelta(seconds=10**9)),
        ("99999999999999999999", None),
        ("-5", None),
        ("Tue, 24 Nov 2026 06:02:00 GMT", timedelta(minutes=2)),
        ("Tue, 24 Nov 2026 09:02:00 +0300", timedelta(minutes=2)),
        ("Tue, 24 Nov 2026 05:58:00 GMT", None),
        ("Tue, 24 Nov 99999 06:02:00 GMT", None),
        ("", None),
        ("nan", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(value: str, expected: timedelta | None) -> None:
    assert parse_retry_after(value, NOW) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:pw@hooks.example:8443/T0/B0?x=1#y", "https://hooks.example:8443"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]"),
        ("https://a.example:99999/", "an address that is no URL"),
        ("nothing", "an address without a host"),
    ],
)
def test_of_a_url_only_scheme_and_host_are_shown(url: str, expected: str) -> None:
    assert find_origin(url) == expected


def test_every_part_of_a_url_is_hidden_when_it_is_echoed() -> None:
    url = "https://user:password@h.example/services/T0SECRET/B%2DSECRET?token=t0ken99&b=1"

    said = quote(
        "no T0SECRET, B-SECRET, t0ken99 or password for /services/T0SECRET/B%2DSECRET?token=t0ken99&b=1",
        find_secrets(url),
    )

    assert said == "no [hidden], [hidden], [hidden] or [hidden] for [hidden]"


async def test_a_header_with_a_line_break_is_not_sent() -> None:
    """Otherwise what is written into a header could begin another header, or another request."""
    client = HttpClient()
    async with HttpSink() as sink:
        for value in ("a\r\nb: c", "a\nb: c", "a\rb", "a\0b"):
            with pytest.raises(ValueError, match="line break"):
                await client.post(sink.url, b"{}", {"x-note": value})
        answer = await client.post(sink.url, b"{}", {"x-note": "a"})
        await client.aclose()

    assert isinstance(answer, Reply)
    assert [request.headers["x-note"] for request in sink.requests] == ["a"]
