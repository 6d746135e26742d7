"""Sends httpx's requests over aiohttp's connections, which the network policy allows and alertd records.

httpx-aiohttp's own conversions cost about as much as the request itself. Therefore :class:`Transport` makes
the conversions that alertd needs, and no others:

- a request's headers are passed on as they are. aiohttp adds ``Host``, ``Accept`` and ``Content-Length``;
- the answer's body arrives in the pieces in which it was received;
- all time limits are those of the caller, who cancels the request.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions

from alertd.notify.http.egress import AddressRefused, Egress
from alertd.notify.http.record import AnswerRecord, RecordingProtocol, progress
from alertd.notify.http.url import build_proxy_login, split_login

if TYPE_CHECKING:
    from aiohttp.connector import Connection

MAX_CONNECTIONS = 100

KEEP_ALIVE = ("connection", "keep-alive")
"""Asks servers to keep the connection that close it by default, as those of HTTP/1.0 do."""

# At level INFO, these libraries log whole URLs.
for _name in ("httpx", "httpcore", "aiohttp"):
    logging.getLogger(_name).setLevel(logging.WARNING)


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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the answer as soon as its head has ended."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = _open_session(self.ssl_context, self._egress)
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        headers.append(KEEP_ALIVE)
        content = await request.aread()
        try:
            answer = await self.client.request(
                request.method,
                str(request.url),
                headers=headers,
                data=content or None,
                allow_redirects=False,
                proxy=self._proxy,
                proxy_headers=self._proxy_login,
            )
        except Exception:
            with map_aiohttp_exceptions():
                raise
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))


class _Body(httpx.AsyncByteStream):
    """The body of an answer, neither decompressed nor put together."""

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
