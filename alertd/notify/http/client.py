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
- each set of certificates has one transport and one TLS context; most processes have one set. Both are made
  on first use, because importing and making them takes longer than everything else in `alertd --help`;
- what is the same for each request to a URL is made once (`target.py`), and a request goes to its transport
  directly: httpx.AsyncClient would merge headers, cookies and URLs anew each time, which takes longer than
  the request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import alertd
from alertd.core.ledger.outcome import Rejected, Retry
from alertd.notify.http.egress import Egress, refusal
from alertd.notify.http.head import read_head
from alertd.notify.http.pools import Pools
from alertd.notify.http.record import Progress, progress
from alertd.notify.http.redact import explain_unreachable, find_origin
from alertd.notify.http.reply import Answer, Reply
from alertd.notify.http.target import Target, Targets
from alertd.notify.http.tls import SYSTEM, Tls, TlsUnusable, make_context
from alertd.notify.http.transcript import Request, Transcript

if TYPE_CHECKING:
    from alertd.notify.http.transport import Received, Transport

TIMEOUT_S = 15.0
"""Standard Webhooks recommends 15 to 30 seconds ("Webhook Timeouts")."""

MAX_BODY = 64 * 1024
"""The most bytes of an answer that are read."""

STANDARD_HEADERS: Mapping[str, str] = {
    "accept-encoding": "identity",
    "user-agent": f"alertd/{alertd.__version__}",
}
"""What every notifier sends along, unless the operator sets another ``User-Agent``."""


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
        self._targets = Targets()
        self._pools: Pools[Transport] = Pools(self._open_transport)

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
            target = self._targets.find(url, proxy)
        except ValueError:
            return Rejected(reason=f"{find_origin(url)} is not a URL that can be posted to")
        hidden = tuple(hidden)
        concealed = (*target.secrets, *hidden)
        given = {**target.headers, **{name.lower(): value for name, value in headers.items()}}
        current = Progress()
        token = progress.set(current)
        try:
            pool = await self._pools.take(tls, self.egress.network, proxy)
            try:
                answer = await _send(
                    pool.client,
                    target,
                    current,
                    method=method,
                    headers=given,
                    content=content,
                    timeout_s=timeout_s,
                    hidden=concealed,
                )
            finally:
                await pool.give_back()
        except TlsUnusable as error:
            answer = Retry(reason=f"{target.origin} cannot be reached: {error}")
        finally:
            progress.reset(token)
        if proxy and isinstance(answer, Reply) and answer.status == 407:
            # Only a proxy answers 407, never the target (RFC 9110, section 15.5.8).
            answer = Retry(reason=f"{target.over} cannot be reached: the proxy answered 407")
        if self.transcript is not None:
            asked = Request(method=method, url=url, headers=given, content=content, hidden=hidden)
            self.transcript.add_exchange(asked if current.written else None, answer, concealed)
        return answer

    async def aclose(self) -> None:
        """Close all connections. Safe to call twice."""
        await self._pools.aclose()

    def _open_transport(self, tls: Tls, proxy: str) -> Transport:
        from alertd.notify.http.transport import Transport

        trusted = self.system if tls == SYSTEM else None
        return Transport(trusted or make_context(tls, self._trusted), self.egress, proxy)


async def _send(
    transport: Transport,
    target: Target,
    current: Progress,
    *,
    method: str,
    headers: Mapping[str, str],
    content: bytes,
    timeout_s: float,
    hidden: tuple[str, ...],
) -> Answer:
    import aiohttp
    import httpx

    where, over = target.origin, target.over
    reply: Reply | None = None
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            received = await transport.send(method, target.place, headers, content)
            reply = _head(received, where, hidden)
            current.answer.end_with(deadline)
            return await _read_body(received, reply)
    except TimeoutError:
        failed = Retry(reason=f"{where} did not answer within {timeout_s:g} s", unknown=current.written)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Rejected(reason=f"{where} is not a URL that can be posted to")
    except (httpx.HTTPError, OSError) as error:
        if current.refused and not current.opened:
            return refusal(over, target.host, current.refused)
        failed = Retry(reason=_explain_no_answer(over, error, current), unknown=current.written)
    except aiohttp.ClientError:
        reason = f"{where} answered something that is not HTTP"
        if target.proxy and not current.written:
            reason = f"{over} cannot be reached: the proxy answered something that is not HTTP"
        failed = Retry(reason=reason, unknown=current.written)
    except Exception as error:
        if not current.written:
            raise
        reason = f"{where} answered something that alertd cannot read ({type(error).__name__})"
        failed = Retry(reason=reason, unknown=True)
    # If the head has arrived, the status decides. Only the body is missing.
    return reply or _read_status(current, where, hidden) or failed


def _head(received: Received, where: str, hidden: tuple[str, ...]) -> Reply:
    headers: dict[str, str] = {}
    for raw_name, raw_value in received.raw_headers:
        name, value = _decode(raw_name).lower(), _decode(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Reply(origin=where, status=received.status, headers=headers, body=b"", whole=False, hidden=hidden)


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _read_status(current: Progress, where: str, hidden: tuple[str, ...]) -> Reply | None:
    """Return a reply without a body, if the answer that the library could not read has a status that counts.

    The status counts if the head has ended, or if alertd stopped reading it because it is malformed or too
    long. Otherwise the receiver has not finished its head, and may not have finished the request either.
    """
    answer = current.answer
    head = read_head(bytes(answer.received)) if current.written else None
    if head is None or not (head.whole or answer.malformed):
        return None
    return Reply(origin=where, status=head.status, headers=head.headers, body=b"", whole=False, hidden=hidden)


async def _read_body(received: Received, head: Reply) -> Reply:
    """Return the reply with its body; at most ``MAX_BODY`` bytes are read."""
    body = bytearray()
    whole = False
    try:
        # Raw bytes: alertd requests no compression and decompresses nothing, so an answer cannot grow.
        async for chunk in received.body:
            body += chunk
            if len(body) > MAX_BODY:
                break
        else:
            whole = True
    finally:
        await received.body.aclose()
    return replace(head, body=bytes(body[:MAX_BODY]), whole=whole)


def _explain_no_answer(where: str, error: Exception, current: Progress) -> str:
    if current.written:
        return f"{where} broke off before it answered"
    refused = getattr(error.__cause__, "status", 0)  # the proxy's answer when it opens no tunnel
    why = f"the proxy answered {refused}" if refused else explain_unreachable(error)
    return f"{where} cannot be reached" + (f": {why}" if why else "")
