"""Sends httpx's requests over aiohttp's connections, which the network policy allows and alertd records.

httpx-aiohttp's own conversions cost about as much as the request itself. Therefore :class:`Transport` makes
the conversions that alertd needs, and no others:

- a request's headers are passed on as they are. ``Host``, ``Accept`` and ``Content-Length`` are added;
- the answer's body arrives in the pieces in which it was received;
- all time limits are those of the caller, who cancels the request.

A POST without a proxy, which is almost every request, is written to one of aiohttp's connections at once, and
aiohttp's parser reads the answer. aiohttp's own way makes a request, a response and a task for each of them,
which cost more than everything else that a send needs. All other requests go that way.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http import HttpProcessingError
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions
from yarl import URL

from alertd.notify.http.egress import AddressRefused, Egress
from alertd.notify.http.record import AnswerRecord, RecordingProtocol, progress
from alertd.notify.http.target import MAX_TARGETS
from alertd.notify.http.url import build_proxy_login, split_login

if TYPE_CHECKING:
    from aiohttp.connector import Connection

MAX_CONNECTIONS = 100

SWITCHING = 101
"""The only status below 200 with which an answer ends (RFC 9110, section 15.2)."""

_SPECIAL = frozenset({"host", "accept", "content-length", "transfer-encoding", "expect"})
"""If the caller gives any of these headers, aiohttp decides what is sent."""

KEEP_ALIVE = ("connection", "keep-alive")
"""Asks servers to keep the connection that close it by default, as those of HTTP/1.0 do."""

# At level INFO, these libraries log whole URLs.
for _name in ("httpx", "httpcore", "aiohttp"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An answer of which the head has arrived. Whoever gets it closes the body."""

    status: int
    raw_headers: Sequence[tuple[bytes, bytes]]
    body: httpx.AsyncByteStream


class Transport(AiohttpTransport):
    """The connections that share one TLS context and one proxy.

    A transport follows no redirect, keeps no cookie and reads no setting of the environment.

    Args:
        proxy: the URL of an HTTP proxy, perhaps with a user and a password; "" for none.
    """

    def __init__(self, tls: ssl.SSLContext, egress: Egress, proxy: str = "") -> None:
        super().__init__(verify=tls, trust_env=False)
        self._egress = egress
        self._proxy = split_login(proxy)[0] if proxy else None
        self._proxy_login = build_proxy_login(proxy) if proxy else None
        self._blanks: dict[str, aiohttp.ClientRequest] = {}

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Received:
        """Send a request and return the answer as soon as its head has ended."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = _open_session(self.ssl_context, self._egress)
        is_plain = method == "POST" and content and self._proxy is None
        try:
            if is_plain and _SPECIAL.isdisjoint(headers):
                return await self._post(self.client, url, headers, content)
            answer = await self.client.request(
                method,
                url,
                headers=[*headers.items(), KEEP_ALIVE],
                data=content or None,
                allow_redirects=False,
                proxy=self._proxy,
                proxy_headers=self._proxy_login,
            )
        except Exception:
            with map_aiohttp_exceptions():
                raise
        return Received(status=answer.status, raw_headers=answer.raw_headers, body=_AnswerBody(answer))

    async def _post(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], content: bytes
    ) -> Received:
        """Write a request to a connection, and return the answer as soon as its head has ended."""
        connector = session.connector
        assert connector is not None  # noqa: S101  the session is open
        blank = self._find_blank(session, url)
        head = _write_head(blank, headers, len(content))
        connection = await connector.connect(blank, [], session.timeout)
        try:
            protocol = connection.protocol
            assert protocol is not None  # noqa: S101  the connection was not given back
            protocol.set_response_params(read_until_eof=True, auto_decompress=False)
            if protocol.transport is None or protocol.transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection was closed before the request")
            progress.get().written = True
            protocol.transport.write(head + content)
            message, payload = await protocol.read()
            while message.code // 100 == 1 and message.code != SWITCHING:
                message, payload = await protocol.read()
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientResponseError(
                blank.request_info, (), status=error.code, message=error.message, headers=error.headers
            ) from error
        except BaseException:
            connection.close()
            raise
        body = _Body(payload, connection)
        return Received(status=message.code, raw_headers=message.raw_headers, body=body)

    def _find_blank(self, session: aiohttp.ClientSession, url: str) -> aiohttp.ClientRequest:
        """Return a request to a URL without headers and content. It says where to connect to."""
        blank = self._blanks.get(url)
        if blank is None:
            if len(self._blanks) >= MAX_TARGETS:
                del self._blanks[next(iter(self._blanks))]
            blank = self._blanks[url] = aiohttp.ClientRequest(
                "POST", URL(url), loop=asyncio.get_running_loop(), session=session
            )
        return blank


def _write_head(blank: aiohttp.ClientRequest, headers: Mapping[str, str], size: int) -> bytes:
    """Return the head of a POST.

    Raises:
        ValueError: a header contains a line break.
    """
    lines = [
        f"POST {blank.url.raw_path_qs} HTTP/1.1",
        f"Host: {blank.headers['Host']}",
        "Accept: */*",
        *[f"{name}: {value}" for name, value in (*headers.items(), KEEP_ALIVE)],
        f"Content-Length: {size}",
    ]
    head = "\r\n".join(lines)
    if head.count("\r") != len(lines) - 1 or head.count("\n") != len(lines) - 1 or "\0" in head:
        raise ValueError("a header contains a line break")
    return f"{head}\r\n\r\n".encode()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, neither decompressed nor put together."""

    def __init__(self, payload: aiohttp.StreamReader, connection: Connection) -> None:
        self._payload = payload
        self._connection = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._payload.readany()
        except Exception:
            with map_aiohttp_exceptions():
                raise
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        self._connection.release()


class _AnswerBody(httpx.AsyncByteStream):
    """The same of an answer of aiohttp's own."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._answer.content.readany()
        except Exception:
            with map_aiohttp_exceptions():
                raise
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        self._answer.release()
        await self._answer.wait_for_close()


class _EgressResolver(AbstractResolver):
    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in await self._egress.addresses(host)
        ]

    async def close(self) -> None:
        """Do nothing: the resolver holds no resources."""


class _RecordingConnector(aiohttp.TCPConnector):
    """Hands out connections that record the beginning of the answer."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  the name that aiohttp uses
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        _record_answer(connection, progress.get().answer)
        return connection


class _RecordingRequest(aiohttp.ClientRequest):
    """Records that it was sent. The request that asks a proxy for a tunnel is of aiohttp's own class."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        progress.get().written = True
        return await super().send(conn)


def _open_session(tls: ssl.SSLContext, egress: Egress) -> aiohttp.ClientSession:
    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        """Open a socket for the address that aiohttp connects to, even if the URL contains the address."""
        current = progress.get()
        try:
            sock = egress.open(info[4][0])
        except AddressRefused as refused:
            current.refused = str(refused)
            raise
        current.opened = True
        return sock

    connector = _RecordingConnector(
        ssl=tls, limit=MAX_CONNECTIONS, resolver=_EgressResolver(egress), socket_factory=open_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        request_class=_RecordingRequest,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(),
    )


def _record_answer(connection: Connection, record: AnswerRecord) -> None:
    """Record what arrives on the connection from now on. A connection that is used again has a recorder."""
    transport = connection.transport
    if transport is None or connection.protocol is None:
        return
    protocol = transport.get_protocol()
    if isinstance(protocol, RecordingProtocol):
        protocol.record = record
    else:
        transport.set_protocol(RecordingProtocol(connection.protocol, record))
