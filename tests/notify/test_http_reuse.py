"""The HTTP client keeps connections, and makes once what is the same for every request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from alertd.notify.http.client import HttpClient
from alertd.notify.http.redact import find_secrets
from alertd.notify.http.reply import Reply
from alertd.notify.http.target import MAX_TARGETS, Targets
from alertd.testing import Answer, HttpSink
from tests.calls import counting

IN_FLIGHT = 8


async def post_many(client: HttpClient, url: str, number: int) -> list[Reply]:
    """Post ``number`` requests, of which at most ``IN_FLIGHT`` are under way."""
    left, replies = iter(range(number)), list[Reply]()

    async def post_in_turn(numbers: Iterator[int]) -> None:
        for _ in numbers:
            answer = await client.post(url, b"{}", {"accept-encoding": "identity"})
            assert isinstance(answer, Reply)
            replies.append(answer)

    await asyncio.gather(*(post_in_turn(left) for _ in range(IN_FLIGHT)))
    return replies


@pytest.mark.parametrize(
    "answer",
    [
        Answer(),
        Answer(body=b""),
        Answer(status=503, headers={"Retry-After": "1"}, body=b"later"),
        Answer(status=302, headers={"Location": "/elsewhere"}),
        # Nearly as much as is read of an answer, so that it arrives in several pieces.
        Answer(body=b"x" * 60_000),
    ],
    ids=["ok", "empty", "refused", "redirect", "long"],
)
async def test_a_thousand_posts_need_as_many_connections_as_are_in_flight(answer: Answer) -> None:
    client = HttpClient()

    async with HttpSink(answer) as sink:
        replies = await post_many(client, f"{sink.url}/hook", 1_000)
        await client.aclose()

    assert {reply.status for reply in replies} == {answer.status}
    assert len(sink.requests) == 1_000
    assert sink.connections <= IN_FLIGHT


async def test_connections_with_tls_are_kept_too() -> None:
    async with HttpSink(tls=True) as sink:
        client = HttpClient(sink.client_tls)
        await post_many(client, f"{sink.url}/hook", 100)
        await client.aclose()

    assert len(sink.requests) == 100
    assert sink.connections <= IN_FLIGHT


async def test_a_post_builds_no_headers_of_httpx() -> None:
    client = HttpClient()
    async with HttpSink() as sink:
        url = f"{sink.url}/hook/secret?token=abcdef"
        await post_many(client, url, 1)

        with counting(httpx.Headers.__init__) as headers:
            await post_many(client, url, 50)
        await client.aclose()

    assert headers.count == 0


async def test_a_url_is_parsed_once() -> None:
    client = HttpClient()
    async with HttpSink() as sink:
        url = f"{sink.url}/hook/secret?token=abcdef"

        with counting(httpx.URL.__init__) as urls, counting(find_secrets) as secrets:
            await post_many(client, url, 50)
        await client.aclose()

    # httpx copies the URL into each request, without parsing it. `find_secrets` is asked about the proxy too.
    assert urls.count <= 1 + 50
    assert secrets.count == 2


def test_only_so_many_targets_are_kept() -> None:
    """A notifier whose URLs differ with each message fills no memory."""
    targets = Targets()
    first = targets.find("https://example.org/0", "")

    for number in range(MAX_TARGETS):
        targets.find(f"https://example.org/{number}", "")
    assert targets.find("https://example.org/0", "") is first

    targets.find("https://example.org/another", "")
    assert targets.find("https://example.org/0", "") is not first
