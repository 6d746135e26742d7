"""Speaks HTTP: the only module that does, so that the library beneath can be changed in one place.

Rules that hold here:
- a remote failure is an Outcome, never an exception;
- one deadline covers connecting, sending, and reading the answer;
- a URL is a secret: what is said of it is its scheme and host;
- no redirect is followed, no proxy or password is taken from the environment, no cookie is kept;
- no address is connected to that `egress.py` has not passed, and no connection outlives the policy or the
  certificates it was made under; through a proxy that is the proxy's address, and the target's is its affair;
- one client and one TLS context for each set of certificates, mostly one for the process; made when they are
  first needed: importing and making them takes longer than everything else that `alertd --help` does.
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
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alertd.core.ledger.outcome import Rejected, Retry
from alertd.notify.http.egress import AddressRefused, Egress, refusal
from alertd.notify.http.pools import Pools
from alertd.notify.http.redact import origin, secrets_in, why_unreachable
from alertd.notify.http.tls import SYSTEM, Tls, TlsUnusable, make_context
from alertd.notify.http.transcript import Request, Transcript
from alertd.notify.http.url import proxy_login, without_login

if TYPE_CHECKING:
    import aiohttp
    import httpx

TIMEOUT_S = 15.0
"""Standard Webhooks asks for 15 to 30 seconds ("Webhook Timeouts")."""

MAX_BODY = 64 * 1024
"""The most bytes of an answer that are read."""

MAX_CONNECTIONS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        origin: scheme and host that answered.
        headers: names in lower case; of a repeated one the last value.
        body: its first ``MAX_BODY`` bytes, as they came.
        whole: False when the body was longer, broke off or did not end within the deadline.
        hidden: what must not be quoted from the body.
    """

    origin: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    whole: bool = True
    hidden: tuple[str, ...] = field(default=(), repr=False)


Answer = Reply | Retry | Rejected
"""``Retry`` and ``Rejected`` when there was no answer."""


@dataclass(slots=True)
class _Progress:
    """How far one request has come; filled in by the transport's tracing and its sockets.

    Attributes:
        refused: why an address was not connected to.
        opened: another one was tried.
    """

    written: bool = False
    refused: str = ""
    opened: bool = False


_progress: ContextVar[_Progress] = ContextVar("alertd_http_progress")


class HttpClient:
    """Posts. Made without I/O; safe to use from any number of coroutines of one event loop.

    Args:
        trusted: makes the TLS context of those who name no CA; by default of what the operating system trusts
            (which OpenSSL lets ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` replace).
        egress: what may be connected to.

    Attributes:
        transcript: where what is said is written down, for a person who tries a receiver; None in a daemon.
    """

    transcript: Transcript | None = None

    def __init__(
        self,
        trusted: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        egress: Egress | None = None,
    ) -> None:
        self.egress = egress or Egress()
        self._trusted = trusted
        self._pools: Pools[httpx.AsyncClient] = Pools(self._made)

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
        """Send one POST and read the answer.

        Args:
            url: absolute, http or https; its user and password are sent as a header unless one is given.
            headers: no names or values with line breaks.
            method: ``PUT`` for what is to be found under its own address.
            timeout_s: for all of it, in seconds.
            hidden: secrets in the request that an answer may echo; the URL's own are hidden anyway.
            tls: what to trust and what to show.
            proxy: the URL of an HTTP proxy to go through, perhaps with a user and a password.

        Returns:
            The reply, whatever its status, but for a proxy's 407. ``Retry`` when none came: with ``unknown``
            when the request had begun to be written, so that it may have been acted upon. ``Rejected`` for
            what is no URL, and for one that holds an address which may not be connected to.
        """
        try:
            place, login = without_login(url)
        except ValueError:
            return Rejected(reason=f"{origin(url)} is not a URL that can be posted to")
        hidden = tuple(hidden)
        concealed = (*secrets_in(url), *secrets_in(proxy), *hidden, *login.get("authorization", "").split())
        given = {**login, **{name.lower(): value for name, value in headers.items()}}
        if proxy and urlsplit(url).scheme == "http":  # else it is said where the tunnel is asked for
            given |= proxy_login(proxy)
        progress = _Progress()
        token = _progress.set(progress)
        try:
            async with self._pools.client(tls, self.egress.network, proxy) as client:
                request = partial(client.build_request, method, place, content=content, headers=given)
                answer = await _exchange(
                    client, request, progress, url=url, proxy=proxy, timeout_s=timeout_s, hidden=concealed
                )
        except TlsUnusable as error:
            answer = Retry(reason=f"{origin(url)} cannot be reached: {error}")
        finally:
            _progress.reset(token)
        if self.transcript is not None:
            asked = Request(method=method, url=url, headers=given, content=content, hidden=hidden)
            self.transcript.exchanged(asked if progress.written else None, answer, concealed)
        return answer

    async def aclose(self) -> None:
        """Close all connections. Safe to call twice."""
        await self._pools.aclose()

    def _made(self, tls: Tls, proxy: str) -> httpx.AsyncClient:
        return _client(make_context(tls, self._trusted), self.egress, proxy)


async def _exchange(
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

    where = origin(url)
    opened, over = (proxy, f"{where} by way of {origin(proxy)}") if proxy else (url, where)
    reply: Reply | None = None
    try:
        async with asyncio.timeout(timeout_s):
            response = await client.send(request(), stream=True)
            if proxy and response.status_code == 407:
                # The target never says so (RFC 9110, section 15.5.8).
                await response.aclose()
                return Retry(reason=f"{over} cannot be reached: the proxy answered 407")
            reply = _head(response, where, hidden)
            return await _with_body(response, reply)
    except TimeoutError:
        # The status has decided already; only the body is missing.
        return reply or Retry(
            reason=f"{where} did not answer within {timeout_s:g} s", unknown=progress.written
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Rejected(reason=f"{where} is not a URL that can be posted to")
    except (httpx.HTTPError, OSError) as error:
        if progress.refused and not progress.opened:
            return refusal(over, urlsplit(opened).hostname or "", progress.refused)
        return reply or Retry(reason=_no_answer(over, error, progress), unknown=progress.written)
    except aiohttp.ClientError:
        return reply or Retry(reason=f"{where} answered something that is not HTTP", unknown=progress.written)


def _client(tls: ssl.SSLContext, egress: Egress, proxy: str) -> httpx.AsyncClient:
    import httpx
    from httpx_aiohttp import AiohttpTransport

    # At INFO they log whole URLs.
    for name in ("httpx", "httpcore", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    transport = AiohttpTransport(
        verify=tls,
        trust_env=False,
        client=lambda: _session(tls, egress),
        proxy=httpx.Proxy(without_login(proxy)[0], headers=proxy_login(proxy)) if proxy else None,
    )
    # It would keep cookies of its own; and its timeouts are for each step, where ours covers them all.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        transport=transport,
        cookies=no_cookies,
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113
    )


def _session(tls: ssl.SSLContext, egress: Egress) -> aiohttp.ClientSession:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Resolver(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            return [
                ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
                for one in await egress.addresses(host)
            ]

        async def close(self) -> None:
            """Nothing is kept."""

    def opened(info: tuple[Any, ...]) -> socket.socket:
        """Called with the very address that is about to be connected to, also when the URL holds it."""
        progress = _progress.get()
        try:
            sock = egress.open(info[4][0])
        except AddressRefused as refused:
            progress.refused = str(refused)
            raise
        progress.opened = True
        return sock

    async def mark_written(*_: Any) -> None:
        _progress.get().written = True

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(mark_written)
    connector = aiohttp.TCPConnector(
        ssl=tls, limit=MAX_CONNECTIONS, resolver=Resolver(), socket_factory=opened
    )
    return aiohttp.ClientSession(
        connector=connector,
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


async def _with_body(response: httpx.Response, head: Reply) -> Reply:
    """The reply with as much of its body as is wanted; what comes after ``MAX_BODY`` bytes is not read."""
    body = bytearray()
    whole = False
    try:
        # Raw: what was not asked to be compressed is not unpacked, so no answer grows on the way in.
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BODY:
                break
        else:
            whole = True
    finally:
        await response.aclose()
    return replace(head, body=bytes(body[:MAX_BODY]), whole=whole)


def _no_answer(where: str, error: Exception, progress: _Progress) -> str:
    if progress.written:
        return f"{where} broke off before it answered"
    refused = getattr(error.__cause__, "status", 0)  # by a proxy that opens no tunnel
    why = f"the proxy answered {refused}" if refused else why_unreachable(error)
    return f"{where} cannot be reached" + (f": {why}" if why else "")
