"""Clients that open many connections, or are slow, keep nobody else out. All by real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from alertd.core.access import Scope
from alertd.system.descriptors import raise_descriptor_limit
from alertd.web.metrics import UNSERVED
from alertd.web.server.access import require_scope
from alertd.web.server.context import find_site
from alertd.web.server.limits import LEAST_REQUESTS, MOST_REQUESTS, Closed, Limits, derive_limits
from tests.web.stage import Stage, a_stage

LIMIT_S = 10.0
FEW = Limits(requests=20, reserve=8)
"""By one address: 10 requests, and 14 connections. In all: 28 connections."""

QUICK = Limits(head_s=0.1, body_s=0.1, stall_s=0.1, idle_s=0.1, linger_s=0.1)
PROXY = "proxies: [127.0.0.0/8]"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /t/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost: loc"


@require_scope(Scope.PUBLIC)
async def wait(request: Request) -> Response:
    """Answer when the server stops."""

    async def stream() -> AsyncIterator[str]:
        yield "begun\n"
        await find_site(request).closing.wait()

    return StreamingResponse(stream())


@require_scope(Scope.PUBLIC)
async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


@require_scope(Scope.PUBLIC)
async def flood(_: Request) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b"x" * 65_536

    return StreamingResponse(stream())


@require_scope(Scope.PUBLIC)
async def huge(_: Request) -> Response:
    return PlainTextResponse(b"x" * 32 * 1024 * 1024)


ROUTES = [
    Route("/t/wait", wait),
    Route("/t/echo", echo, methods=["POST"]),
    Route("/t/flood", flood),
    Route("/t/huge", huge),
]


class Clients:
    """Raw connections, each with what it has sent first."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, sent: bytes = b"", address: str = "127.0.0.1") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(address, 0))
        self._writers.append(writer)
        writer.write(sent)
        await writer.drain()
        return reader

    async def begin(self, address: str = "127.0.0.1") -> asyncio.StreamReader:
        """Send a request that stays in progress."""
        reader = await self.connect(b"GET /t/wait HTTP/1.1\r\nHost: localhost\r\n\r\n", address)
        await read_to(reader, b"begun")
        return reader

    async def ask(self, path: str, address: str = "127.0.0.1") -> int:
        """Return the status of the answer to a GET request."""
        sent = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        reader = await self.connect(sent, address)
        async with asyncio.timeout(LIMIT_S):
            return int((await reader.readline()).split()[1])

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


async def read_to(reader: asyncio.StreamReader, mark: bytes) -> None:
    async with asyncio.timeout(LIMIT_S):
        await reader.readuntil(mark)


async def read_end(reader: asyncio.StreamReader) -> bytes:
    """Return what arrives until the server closes the connection, or resets it."""
    received = b""
    async with asyncio.timeout(LIMIT_S):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65_536):
                received += piece
    return received


def count(stage: Stage, why: Closed) -> float:
    return stage.site.metrics.registry.get_sample_value("alertd_web_unserved_total", {"why": why}) or 0.0


@contextlib.asynccontextmanager
async def a_server(folder: Path, limits: Limits = FEW, web: str = "") -> AsyncIterator[tuple[Stage, Clients]]:
    async with a_stage(folder, web, routes=ROUTES, limits=limits) as stage:
        clients = Clients(stage.port)
        try:
            yield stage, clients
        finally:
            clients.close()


@pytest.mark.parametrize("sent", [b"", b"G", HALF, GET])
@pytest.mark.parametrize("web", ["", PROXY])
async def test_many_silent_connections_keep_nobody_out(tmp_path: Path, sent: bytes, web: str) -> None:
    """The oldest silent one gives way; it was silent before it sent anything, and is between its requests."""
    async with a_server(tmp_path, web=web) as (stage, clients):
        readers = [await clients.connect(sent) for _ in range(200)]
        statuses = [await clients.ask(path) for path in ("/healthz", "/")]
        await read_end(readers[0])

        assert statuses == [200, 200]
        assert count(stage, Closed.EVICTED) >= 170
        crowded = [event for event in stage.events if event["event"] == "listener.crowded"]
        assert [event["limit"] for event in crowded] == ["connections"]
        assert crowded[0]["address"] == ("" if web else "127.0.0.1")


async def test_a_flood_of_one_address_costs_only_that_address(tmp_path: Path) -> None:
    """Silent connections of others stay open."""
    async with a_server(tmp_path) as (stage, clients):
        other = await clients.connect(HALF, "127.0.0.2")
        for _ in range(200):
            await clients.connect(HALF, "127.0.0.3")
        await clients.ask("/healthz")

        assert not other.at_eof()
        assert count(stage, Closed.EVICTED) == 200 - FEW.connections_per_network


async def test_a_request_in_progress_is_not_closed_for_a_new_connection(tmp_path: Path) -> None:
    async with a_server(tmp_path) as (_, clients):
        busy = await clients.begin()
        for _ in range(200):
            await clients.connect(HALF)
        status = await clients.ask("/")

        assert status == 200
        assert not busy.at_eof()


async def test_health_is_answered_when_all_places_for_requests_are_taken(tmp_path: Path) -> None:
    """One address has its half, the others the rest; silent connections come on top."""
    async with a_server(tmp_path) as (stage, clients):
        for address in ("127.0.0.2", "127.0.0.3"):
            for _ in range(FEW.requests_per_network):
                await clients.begin(address)
        for number in range(100):
            await clients.connect(HALF, f"127.0.1.{number + 1}")
        statuses = [
            await clients.ask(path, address)
            for address in ("127.0.0.1", "127.0.0.2")
            for path in ("/healthz", "/readyz", "/", "/metrics")
        ]

        assert statuses == [200, 200, 503, 503] * 2
        assert count(stage, Closed.BUSY) == 4


async def test_one_address_gets_half_of_the_requests_and_a_proxy_all(tmp_path: Path) -> None:
    found = []
    for web in ("", PROXY):
        async with a_server(tmp_path, web=web) as (_, clients):
            for _ in range(FEW.requests_per_network):
                await clients.begin()
            found.append([await clients.ask("/"), await clients.ask("/", "127.0.0.2")])

    assert found == [[503, 200], [200, 200]]


async def test_a_place_is_free_again_when_its_request_has_ended(tmp_path: Path) -> None:
    async with a_server(tmp_path) as (_, clients):
        statuses = [await clients.ask("/healthz") for _ in range(FEW.connections * 2)]

        assert set(statuses) == {200}


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        # Nothing, half a head, half a body, and half a second request.
        (b"", b""),
        (HALF, b""),
        (
            POST + b"Content-Length: 9\r\n\r\nhalf",
            b"",
        ),
        (
            POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhal",
            b"",
        ),
        (GET + HALF, b"ok\n"),
    ],
)
async def test_a_request_that_takes_too_long_is_cut_off(tmp_path: Path, sent: bytes, answer: bytes) -> None:
    async with a_server(tmp_path, QUICK) as (stage, clients):
        received = await read_end(await clients.connect(sent))

        assert received.endswith(answer)
        assert count(stage, Closed.LATE) == 1
        assert [event for event in stage.events if event["level"] in ("warning", "error")] == []


async def test_bytes_that_arrive_one_by_one_do_not_extend_the_time(tmp_path: Path) -> None:
    async with a_server(tmp_path, QUICK) as (stage, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.wait([ended], timeout=0.01)

        ended = asyncio.ensure_future(read_end(reader))
        dripping = asyncio.create_task(drip())
        await ended
        dripping.cancel()
        writer.close()

        assert count(stage, Closed.LATE) == 1


@pytest.mark.parametrize("path", ["/t/flood", "/t/huge"])
async def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path, path: str) -> None:
    """Whether the handler waits for the client, or has long returned."""
    async with a_server(tmp_path, QUICK) as (stage, clients):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with asyncio.timeout(LIMIT_S):
            while not count(stage, Closed.LATE):
                await clients.ask("/healthz")
        await read_end(reader)
        writer.close()

        assert count(stage, Closed.LATE) == 1


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (
            POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "malformed",
        ),
        (
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd",
            "malformed",
        ),
        (b"GET /t/wait HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "malformed"),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 40_000, "malformed"),
        (GET + b"nonsense\r\n\r\n", "malformed"),
        (
            POST + b"Content-Length: 9\r\n\r\nhalf",
            "disconnected",
        ),
    ],
)
async def test_what_a_client_can_cause_at_will_is_one_debug_line(
    tmp_path: Path, sent: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No traceback, neither of alertd nor of a library, and a count."""
    async with a_server(tmp_path) as (stage, clients):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(sent)
        await writer.drain()
        if why == "disconnected":
            writer.close()
        await read_end(reader)
        async with asyncio.timeout(LIMIT_S):
            while not count(stage, Closed(why)):
                await clients.ask("/healthz")

        told = [event for event in stage.events if event["event"] != "listener.opened"]
        assert [(event["event"], event["level"], event["why"]) for event in told] == [
            ("request.aborted", "debug", why)
        ]
        assert [record.getMessage() for record in caplog.records if record.name != "httpx"] == []
        assert sum(count(stage, name) for name in Closed) == 1
        writer.close()


async def test_a_request_for_an_upgrade_is_answered_without_a_word_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_server(tmp_path) as (stage, _):
        headers = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABk"}
        answer = await stage.client().get("/healthz", headers=headers)

        assert answer.text == "ok\n"
        assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_every_reason_has_its_metric() -> None:
    assert set(UNSERVED) == {why.value for why in Closed}


@pytest.mark.parametrize(
    ("descriptors", "requests"),
    [(64, LEAST_REQUESTS), (256, 32), (1_024, 128), (4_096, 512), (1_048_576, MOST_REQUESTS)],
)
def test_the_server_gets_a_share_of_the_open_files(descriptors: int, requests: int) -> None:
    assert derive_limits(descriptors).requests == requests


def test_the_soft_limit_of_open_files_is_raised_and_never_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        raised = raise_descriptor_limit(600)
        kept = raise_descriptor_limit(300)
        now = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert (raised, kept, now) == (600, 600, (600, before[1]))
