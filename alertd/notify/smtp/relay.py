"""Opens connections to the mail relay, with TLS and login, and keeps them briefly for the next mail.

Rules that hold here:
- STARTTLS is either required or not used: an attacker could suppress an optional STARTTLS;
- `egress.py` checks every address before it is connected to; the certificate must match the relay's name;
- a kept connection is tested with RSET before it is used again, and a connection that was opened with
  another password or other certificates is not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alertd.core.config import Smtp
from alertd.notify.http.egress import Egress
from alertd.notify.http.tls import SYSTEM, Tls, make_context
from alertd.notify.http.transcript import Transcript

if TYPE_CHECKING:
    import aiosmtplib


IDLE_S = 10.0
"""How long an unused connection is kept, in seconds. Relays wait 300 (RFC 5321, section 4.5.3.2.7)."""

MAX_IDLE = 16
"""The most unused connections that are kept: as many as one channel has in use at a time.

With fewer, each group of mails that ends together would close connections that the next group opens again.
"""

GOODBYE_S = 2.0
"""How long alertd waits for the answer to QUIT, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a connection is opened. Mails with equal logins can share a connection.

    Attributes:
        tls: the files of the TLS context; None for an unencrypted connection.
        greeting: the domain by which alertd introduces itself.
    """

    smtp: Smtp
    password: str
    tls: Tls | None
    greeting: str


@dataclass(slots=True)
class _Kept:
    client: aiosmtplib.SMTP
    login: Login
    timer: asyncio.TimerHandle


class Relay:
    """The connection pool of a process to its relay. Event loops, threads and processes share no pool.

    Attributes:
        transcript: records the dialogue for a person who tests a receiver; None in a daemon.
    """

    def __init__(
        self,
        idle_s: float = IDLE_S,
        transcript: Transcript | None = None,
        system: ssl.SSLContext | None = None,
    ) -> None:
        """
        Args:
            system: trusts the certificates of the system; None: a context is made when it is needed.
        """
        self._idle_s = idle_s
        self._system = system
        self.transcript = transcript
        self._kept: list[_Kept] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._context: tuple[Tls, ssl.SSLContext] | None = None

    async def connect(self, login: Login, egress: Egress) -> aiosmtplib.SMTP:
        """Return a connection that is ready for MAIL: a kept one if the relay still answers on it, else a new
        one.

        Raises:
            TlsUnusable, AddressRefused, OSError, aiosmtplib.SMTPException: no connection could be opened.
        """
        while (client := self._take(login)) is not None:
            if await _is_alive(client):
                return client
            client.close()
        return await self._open(login, egress)

    def keep(self, client: aiosmtplib.SMTP, login: Login) -> None:
        """Keep the connection for the next mail. alertd closes it when it is unused for :data:`IDLE_S`."""
        if not client.is_connected:
            return
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._part, client)
        self._kept.append(_Kept(client, login, timer))
        if len(self._kept) > MAX_IDLE:
            self._part(self._kept[0].client)

    async def aclose(self) -> None:
        """Close the kept connections. Safe to call again, and while other connections are in use."""
        for kept in list(self._kept):
            self._part(kept.client)
        await asyncio.gather(*self._leaving)

    def _take(self, login: Login) -> aiosmtplib.SMTP | None:
        for kept in list(reversed(self._kept)):
            if kept.login != login:
                self._part(kept.client)
                continue
            self._forget(kept)
            return kept.client
        return None

    def _part(self, client: aiosmtplib.SMTP) -> None:
        for kept in [entry for entry in self._kept if entry.client is client]:
            self._forget(kept)
        task = asyncio.get_running_loop().create_task(_quit(client))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _forget(self, kept: _Kept) -> None:
        kept.timer.cancel()
        self._kept.remove(kept)

    async def _open(self, login: Login, egress: Egress) -> aiosmtplib.SMTP:
        smtp = login.smtp
        client = self._client(
            hostname=smtp.host,
            local_hostname=login.greeting,
            timeout=smtp.timeout_s,
            use_tls=smtp.tls,
            start_tls=False,  # done below: the library falls back to HELO after any refusal of EHLO
            tls_context=self._tls_context(login.tls) if login.tls else None,
        )
        try:
            client.sock = await egress.connect(smtp.host, smtp.port)
            await client.connect()
            await _introduce(client)
            if smtp.starttls:
                await client.starttls()
                await _introduce(client)  # an attacker may have forged the capabilities sent before TLS
            if smtp.username:
                await client.login(smtp.username, login.password)
        except BaseException:
            client.close()
            raise
        return client

    def _client(self, **options: Any) -> aiosmtplib.SMTP:
        if self.transcript is not None:
            from alertd.notify.smtp.watched import WatchedSmtp

            return WatchedSmtp(self.transcript, **options)
        import aiosmtplib

        return aiosmtplib.SMTP(**options)

    def _tls_context(self, tls: Tls) -> ssl.SSLContext:
        """Return the TLS context, made once: reading the trust store takes longer than sending a mail."""
        if tls == SYSTEM and self._system is not None:
            return self._system
        if self._context is None or self._context[0] != tls:
            self._context = (tls, make_context(tls))
        return self._context[1]


async def _introduce(client: aiosmtplib.SMTP) -> None:
    """Send EHLO to learn the relay's capabilities, or HELO if it has no EHLO (RFC 5321, section 3.2)."""
    import aiosmtplib

    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code not in (500, 502, 504):
            raise
        await client.helo()


async def _is_alive(client: aiosmtplib.SMTP) -> bool:
    """Return whether the relay still answers. RSET also discards the state of the previous mail."""
    import aiosmtplib

    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        return False
    return True


async def _quit(client: aiosmtplib.SMTP) -> None:
    import aiosmtplib

    transport = client.transport
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        async with asyncio.timeout(GOODBYE_S):
            await client.quit()
    client.close()
    # TLS would wait for the relay's close_notify, longer than the event loop of a command lives.
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
