"""Speaks HTTP: the only module that does, so that the library beneath can be changed in one place.

Rules that hold here:
- a remote failure is an Outcome, never an exception;
- one deadline covers connecting, sending, and reading the answer;
- a URL is a secret: what is said of it is its scheme and host;
- no redirect is followed, no proxy or password is taken from the environment, no cookie is kept;
- one client and one TLS context for the process, made when they are first needed: importing and making them
  takes longer than everything else that `alertd --help` does.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

from alertd.core.outcome import Rejected, Retry
from alertd.notify.failure import why_unreachable
from alertd.notify.redact import origin, secrets_in

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
    """How far one request has come; filled in by the transport's tracing."""

    written: bool = False


_progress: ContextVar[_Progress] = ContextVar("alertd_http_progress")


class HttpClient:
    """Posts. Made without I/O; safe to use from any number of coroutines of one event loop.

    Args:
        tls: makes the TLS context; by default it trusts what the operating system trusts (which OpenSSL lets
            ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` replace).
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> None:
        self._tls = tls
        self._client: httpx.AsyncClient | None = None

    async def post(
        self,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        timeout_s: float = TIMEOUT_S,
        hidden: Iterable[str] = (),
    ) -> Answer:
        """Send one POST and read the answer.

        Args:
            url: absolute, http or https.
            headers: no names or values with line breaks.
            timeout_s: for all of it, in seconds.
            hidden: secrets in the request that an answer may echo; the URL's own are hidden anyway.

        Returns:
            The reply, whatever its status. ``Retry`` when none came: with ``unknown`` when the request had
            begun to be written, so that it may have been acted upon. ``Rejected`` for what is no URL.
        """
        import aiohttp
        import httpx

        where = origin(url)
        concealed = (*secrets_in(url), *hidden)
        progress = _Progress()
        token = _progress.set(progress)
        reply: Reply | None = None
        try:
            async with asyncio.timeout(timeout_s):
                request = self._opened().build_request("POST", url, content=content, headers=dict(headers))
                response = await self._opened().send(request, stream=True)
                reply = _head(response, where, concealed)
                return await _with_body(response, reply)
        except TimeoutError:
            # The status has decided already; only the body is missing.
            return reply or Retry(
                reason=f"{where} did not answer within {timeout_s:g} s", unknown=progress.written
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return Rejected(reason=f"{where} is not an http or https URL")
        except (httpx.HTTPError, OSError) as error:
            return reply or Retry(reason=_no_answer(where, error, progress), unknown=progress.written)
        except aiohttp.ClientError:
            return reply or Retry(
                reason=f"{where} answered something that is not HTTP", unknown=progress.written
            )
        finally:
            _progress.reset(token)

    async def aclose(self) -> None:
        """Close all connections. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = _client(self._tls())
        return self._client


def _client(tls: ssl.SSLContext) -> httpx.AsyncClient:
    import httpx
    from httpx_aiohttp import AiohttpTransport

    # At INFO they log whole URLs.
    for name in ("httpx", "httpcore", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    transport = AiohttpTransport(verify=tls, trust_env=False, client=lambda: _session(tls))
    # It would keep cookies of its own; and its timeouts are for each step, where ours covers them all.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        transport=transport,
        cookies=no_cookies,
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113
    )


def _session(tls: ssl.SSLContext) -> aiohttp.ClientSession:
    import aiohttp

    async def mark_written(*_: Any) -> None:
        _progress.get().written = True

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(mark_written)
    # Where addresses are checked after the name was resolved: aiohttp calls `socket_factory` with the very
    # address that it is about to connect to, also when the URL holds an address and no name.
    connector = aiohttp.TCPConnector(ssl=tls, limit=MAX_CONNECTIONS, socket_factory=None)
    return aiohttp.ClientSession(
        connector=connector, trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
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
    why = why_unreachable(error)
    return f"{where} cannot be reached" + (f": {why}" if why else "")
