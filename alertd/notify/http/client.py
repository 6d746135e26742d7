"""Sends HTTP requests. No other module does, so the HTTP library can be replaced in one place.

Rules that hold here:
- a remote failure is an Outcome, never an exception;
- the status decides as soon as the head of the answer has ended, whatever follows, and also if the head is
  malformed or exceeds a limit. A head that stops before its end decides nothing (RFC 9112, section 8);
- one deadline covers connecting, sending, and reading the answer;
- a URL is a secret: messages and logs contain only its scheme and host;
- alertd follows no redirect, keeps no cookie, and takes no proxy and no password from the environment;
- `egress.py` checks every address before it is connected to. With a proxy, that is the proxy's address; the
  proxy itself decides about the target's;
- a connection is closed when the network policy or the certificates change under which it was opened;
- each set of certificates has one client and one TLS context; most processes have one set. Both are made on
  first use, because importing and making them takes longer than everything else in `alertd --help`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import alertd
from alertd.core.ledger.outcome import Rejected, Retry
from alertd.notify.http.egress import AddressRefused, Egress, refusal
from alertd.notify.http.head import read_head
from alertd.notify.http.pools import Pools
from alertd.notify.http.record import AnswerRecord, RecordingProtocol
from alertd.notify.http.redact import explain_unreachable, find_origin, find_secrets
from alertd.notify.http.reply import Answer, Reply
from alertd.notify.http.tls import SYSTEM, Tls, TlsUnusable, make_context
from alertd.notify.http.transcript import Request, Transcript
from alertd.notify.http.url import build_proxy_login, split_login

if TYPE_CHECKING:
    import aiohttp
    import httpx
    from aiohttp.connector import Connection

TIMEOUT_S = 15.0
"""Standard Webhooks recommends 15 to 30 seconds ("Webhook Timeouts")."""

MAX_BODY = 64 * 1024
"""The most bytes of an answer that are read."""

MAX_CONNECTIONS = 100

STANDARD_HEADERS: Mapping[str, str] = {
    "accept-encoding": "identity",
    "user-agent": f"alertd/{alertd.__version__}",
}
"""What every notifier sends along, unless the operator sets another ``User-Agent``."""


@dataclass(slots=True)
class _Progress:
    """The progress of one request. The transport's tracing and its sockets record it.

    Attributes:
        written: whether the request's headers were sent, so that the receiver may have acted on the request.
        refused: the reason why the network policy refused an address; "" if it refused none.
        opened: whether an address was allowed and a socket for it was opened.
        answer: the beginning of the answer.
    """

    written: bool = False
    refused: str = ""
    opened: bool = False
    answer: AnswerRecord = field(default_factory=AnswerRecord)


_progress: ContextVar[_Progress] = ContextVar("alertd_http_progress")


class HttpClient:
    """Sends requests. Creating a client does no I/O. All coroutines of one event loop may share a client.

    Args:
        trusted: makes the TLS context for receivers without a CA of their own. The default trusts what the
            operating system trusts; OpenSSL lets ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` replace that.
        egress: opens the connections that the network policy allows.

    Attributes:
        transcript: records requests and answers for a person who tests a receiver; None in a daemon.
        system: the context that :meth:`preload` has made.
    """

    transcript: Transcript | None = None

    def __init__(
        self,
        trusted: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        egress: Egress | None = None,
    ) -> None:
        self.egress = egress or Egress()
        self._trusted = trusted
        self.system: ssl.SSLContext | None = None
        self._pools: Pools[httpx.AsyncClient] = Pools(self._make_client)

    def preload(self) -> None:
        """Read the certificates that the system trusts, once, so that no later call reads them. Blocks."""
        self.system = make_context(SYSTEM, self._trusted)

    async def post(
        self,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        method: str = "POST",
        timeout_s: float = TIMEOUT_S,
        hidden: Iterable[str] = (),
        tls: Tls = SYSTEM,
        proxy: str = "",
    ) -> Answer:
        """Send one request and read the answer.

        Args:
            url: absolute, http or https. A user and a password in the URL are sent as an ``Authorization``
                header unless ``headers`` has that header.
            headers: names and values without line breaks.
            method: ``PUT`` if the URL identifies the resource that is created.
            timeout_s: time limit for connecting, sending and reading the answer, in seconds.
            hidden: secrets in the request that an answer may echo. The secrets in the URL are hidden anyway.
            tls: which certificates to trust and to present.
            proxy: the URL of an HTTP proxy, perhaps with a user and a password.

        Returns:
            The reply, whatever its status. Without a reply, or after a proxy's 407: ``Retry``, with
            ``unknown`` when the receiver may have acted on the request. ``Rejected`` if ``url`` is invalid or
            contains an address that the network policy refuses.
        """
        try:
            place, login = split_login(url)
        except ValueError:
            return Rejected(reason=f"{find_origin(url)} is not a URL that can be posted to")
        hidden = tuple(hidden)
        concealed = (
            *find_secrets(url),
            *find_secrets(proxy),
            *hidden,
            *login.get("authorization", "").split(),
        )
        given = {**login, **{name.lower(): value for name, value in headers.items()}}
        # For https, the request that opens the tunnel carries the proxy's login.
        if proxy and urlsplit(url).scheme == "http":
            given |= build_proxy_login(proxy)
        progress = _Progress()
        token = _progress.set(progress)
        try:
            async with self._pools.client(tls, self.egress.network, proxy) as client:
                request = partial(client.build_request, method, place, content=content, headers=given)
                answer = await _send(
                    client, request, progress, url=url, proxy=proxy, timeout_s=timeout_s, hidden=concealed
                )
        except TlsUnusable as error:
            answer = Retry(reason=f"{find_origin(url)} cannot be reached: {error}")
        finally:
            _progress.reset(token)
        if proxy and isinstance(answer, Reply) and answer.status == 407:
            # Only a proxy answers 407, never the target (RFC 9110, section 15.5.8).
            over = f"{find_origin(url)} by way of {find_origin(proxy)}"
            answer = Retry(reason=f"{over} cannot be reached: the proxy answered 407")
        if self.transcript is not None:
            asked = Request(method=method, url=url, headers=given, content=content, hidden=hidden)
            self.transcript.add_exchange(asked if progress.written else None, answer, concealed)
        return answer

    async def aclose(self) -> None:
        """Close all connections. Safe to call twice."""
        await self._pools.aclose()

    def _make_client(self, tls: Tls, proxy: str) -> httpx.AsyncClient:
        trusted = self.system if tls == SYSTEM else None
        return _open_client(trusted or make_context(tls, self._trusted), self.egress, proxy)


async def _send(
    client: httpx.AsyncClient,
    request: Callable[[], httpx.Request],
    progress: _Progress,
    *,
    url: str,
    proxy: str,
    timeout_s: float,
    hidden: tuple[str, ...],
) -> Answer:
    import aiohttp
    import httpx

    where = find_origin(url)
    opened, over = (proxy, f"{where} by way of {find_origin(proxy)}") if proxy else (url, where)
    reply: Reply | None = None
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            response = await client.send(request(), stream=True)
            reply = _head(response, where, hidden)
            progress.answer.end_with(deadline)
            return await _read_body(response, reply)
    except TimeoutError:
        failed = Retry(reason=f"{where} did not answer within {timeout_s:g} s", unknown=progress.written)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Rejected(reason=f"{where} is not a URL that can be posted to")
    except (httpx.HTTPError, OSError) as error:
        if progress.refused and not progress.opened:
            return refusal(over, urlsplit(opened).hostname or "", progress.refused)
        failed = Retry(reason=_explain_no_answer(over, error, progress), unknown=progress.written)
    except aiohttp.ClientError:
        reason = f"{where} answered something that is not HTTP"
        if proxy and not progress.written:
            reason = f"{over} cannot be reached: the proxy answered something that is not HTTP"
        failed = Retry(reason=reason, unknown=progress.written)
    except Exception as error:
        if not progress.written:
            raise
        reason = f"{where} answered something that alertd cannot read ({type(error).__name__})"
        failed = Retry(reason=reason, unknown=True)
    # If the head has arrived, the status decides. Only the body is missing.
    return reply or _read_status(progress, where, hidden) or failed


def _open_client(tls: ssl.SSLContext, egress: Egress, proxy: str) -> httpx.AsyncClient:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx
    from httpx_aiohttp import AiohttpTransport

    # At level INFO, these libraries log whole URLs.
    for name in ("httpx", "httpcore", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    transport = AiohttpTransport(
        verify=tls,
        trust_env=False,
        client=lambda: _open_session(tls, egress),
        proxy=httpx.Proxy(split_login(proxy)[0], headers=build_proxy_login(proxy)) if proxy else None,
    )
    # httpx would keep cookies by default. Its timeouts apply to single steps; alertd's covers the whole
    # request.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        transport=transport,
        cookies=no_cookies,
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113
    )


def _open_session(tls: ssl.SSLContext, egress: Egress) -> aiohttp.ClientSession:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult

    class EgressResolver(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            return [
                ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
                for address in await egress.addresses(host)
            ]

        async def close(self) -> None:
            """Do nothing: the resolver holds no resources."""

    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        """Open a socket for the address that aiohttp connects to, even if the URL contains the address."""
        progress = _progress.get()
        try:
            sock = egress.open(info[4][0])
        except AddressRefused as refused:
            progress.refused = str(refused)
            raise
        progress.opened = True
        return sock

    class RecordingConnector(aiohttp.TCPConnector):
        """Hands out connections that record the beginning of the answer."""

        async def connect(
            self,
            req: aiohttp.ClientRequest,
            traces: list[Any],
            timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  the name that aiohttp uses
        ) -> Connection:
            connection = await super().connect(req, traces, timeout)
            _record_answer(connection, _progress.get().answer)
            return connection

    class AnyReasonResponse(aiohttp.ClientResponse):
        """A response without a reason phrase, because httpx-aiohttp fails on one that is not UTF-8."""

        async def start(self, connection: Connection) -> aiohttp.ClientResponse:
            response = await super().start(connection)
            self.reason = ""
            return response

    async def mark_written(*_: Any) -> None:
        _progress.get().written = True

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(mark_written)
    connector = RecordingConnector(
        ssl=tls, limit=MAX_CONNECTIONS, resolver=EgressResolver(), socket_factory=open_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        response_class=AnyReasonResponse,
        trace_configs=[trace],
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )


def _head(response: httpx.Response, where: str, hidden: tuple[str, ...]) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(
        origin=where, status=response.status_code, headers=headers, body=b"", whole=False, hidden=hidden
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


def _read_status(progress: _Progress, where: str, hidden: tuple[str, ...]) -> Reply | None:
    """Return a reply without a body, if the answer that the library could not read has a status that counts.

    The status counts if the head has ended, or if alertd stopped reading it because it is malformed or too
    long. Otherwise the receiver has not finished its head, and may not have finished the request either.
    """
    answer = progress.answer
    head = read_head(bytes(answer.received)) if progress.written else None
    if head is None or not (head.whole or answer.malformed):
        return None
    return Reply(origin=where, status=head.status, headers=head.headers, body=b"", whole=False, hidden=hidden)


async def _read_body(response: httpx.Response, head: Reply) -> Reply:
    """Return the reply with its body; at most ``MAX_BODY`` bytes are read."""
    body = bytearray()
    whole = False
    try:
        # Raw bytes: alertd requests no compression and decompresses nothing, so an answer cannot grow.
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BODY:
                break
        else:
            whole = True
    finally:
        await response.aclose()
    return replace(head, body=bytes(body[:MAX_BODY]), whole=whole)


def _explain_no_answer(where: str, error: Exception, progress: _Progress) -> str:
    if progress.written:
        return f"{where} broke off before it answered"
    refused = getattr(error.__cause__, "status", 0)  # the proxy's answer when it opens no tunnel
    why = f"the proxy answered {refused}" if refused else explain_unreachable(error)
    return f"{where} cannot be reached" + (f": {why}" if why else "")
