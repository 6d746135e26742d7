"""Connections to the mail relay: opened under TLS and logged in, and kept for a moment for the next mail.

Rules that hold here:
- STARTTLS is required or not used, never tried: what is merely tried, an attacker can prevent;
- no address is connected to that `egress.py` has not passed; the certificate is held to the relay's name;
- a kept connection is asked (RSET) before it is used, and one that was opened under another password or other
  certificates is not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiosmtplib
from aiosmtplib.response import SMTPResponse

from alertd.core.config import Smtp
from alertd.notify.http.egress import Egress
from alertd.notify.http.redact import HIDDEN
from alertd.notify.http.tls import Tls, make_context
from alertd.notify.http.transcript import Speaker, Transcript

if TYPE_CHECKING:
    import aiosmtplib


IDLE_S = 10.0
"""How long a connection is kept that nobody uses, in seconds. Relays wait 300 (RFC 5321, 4.5.3.2.7)."""

MAX_IDLE = 4
"""How many are kept."""

GOODBYE_S = 2.0
"""How long to wait for the answer to QUIT, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a connection is opened. Equal logins can share one.

    Attributes:
        tls: the files of the TLS context; None for a connection in the clear.
        greeting: what we call ourselves, a domain.
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
    """The connections of a process to its relay. Loops, threads and processes share none.

    Attributes:
        transcript: where what is said is written down, for a person who tries a receiver; None in a daemon.
    """

    def __init__(self, idle_s: float = IDLE_S, transcript: Transcript | None = None) -> None:
        self._idle_s = idle_s
        self.transcript = transcript
        self._kept: list[_Kept] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._context: tuple[Tls, ssl.SSLContext] | None = None

    async def connect(self, login: Login, egress: Egress) -> aiosmtplib.SMTP:
        """A connection on which MAIL may be said: one that was kept, else a new one.

        Raises:
            TlsUnusable, AddressRefused, OSError, aiosmtplib.SMTPException: there is none.
        """
        while (client := self._take(login)) is not None:
            if await _answers(client):
                return client
            client.close()
        return await self._open(login, egress)

    def keep(self, client: aiosmtplib.SMTP, login: Login) -> None:
        """Have it used again, or say goodbye when nobody wants it for :data:`IDLE_S`."""
        if not client.is_connected:
            return
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._part, client)
        self._kept.append(_Kept(client, login, timer))
        if len(self._kept) > MAX_IDLE:
            self._part(self._kept[0].client)

    async def aclose(self) -> None:
        """Say goodbye on those that are kept. Safe to call again, and while others are in use."""
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
        for kept in [one for one in self._kept if one.client is client]:
            self._forget(kept)
        task = asyncio.get_running_loop().create_task(_goodbye(client))
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
            start_tls=False,  # not here, where any refusal of EHLO would end in HELO
            tls_context=self._made(login.tls) if login.tls else None,
        )
        try:
            client.sock = await egress.connect(smtp.host, smtp.port)
            await client.connect()
            await _introduce(client)
            if smtp.starttls:
                await client.starttls()
                await _introduce(client)  # what it said before may have been another's word
            if smtp.username:
                await client.login(smtp.username, login.password)
        except BaseException:
            client.close()
            raise
        return client

    def _client(self, **options: Any) -> aiosmtplib.SMTP:
        if self.transcript is not None:
            from alertd.notify.email.relay import WatchedSmtp

            return WatchedSmtp(self.transcript, **options)
        import aiosmtplib

        return aiosmtplib.SMTP(**options)

    def _made(self, tls: Tls) -> ssl.SSLContext:
        """Made once: reading the trust store takes longer than sending a mail."""
        if self._context is None or self._context[0] != tls:
            self._context = (tls, make_context(tls))
        return self._context[1]


async def _introduce(client: aiosmtplib.SMTP) -> None:
    """EHLO, so that it is known what the relay can do; HELO for one that knows no EHLO (RFC 5321, 3.2)."""
    import aiosmtplib

    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code not in (500, 502, 504):
            raise
        await client.helo()


async def _answers(client: aiosmtplib.SMTP) -> bool:
    """Whether the relay still listens, with nothing left of the mail before."""
    import aiosmtplib

    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        return False
    return True


async def _goodbye(client: aiosmtplib.SMTP) -> None:
    import aiosmtplib

    transport = client.transport
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        async with asyncio.timeout(GOODBYE_S):
            await client.quit()
    client.close()
    # All has been said. TLS would wait for the other side to say so too, longer than a command's loop lives.
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


SAYS_MORE = 334
"""The relay waits for the next part of a login, which is a secret (RFC 4954, section 4)."""


class WatchedSmtp(aiosmtplib.SMTP):
    """The library's, but that each command and each answer is added to a transcript."""

    def __init__(self, transcript: Transcript, **options: Any) -> None:
        super().__init__(**options)
        self._transcript = transcript
        self._in_login = False

    async def connect(self, **options: Any) -> SMTPResponse:
        try:
            greeting = await super().connect(**options)
        except aiosmtplib.SMTPResponseException as error:
            self._heard(error.code, error.message)
            raise
        self._heard(greeting.code, greeting.message)
        return greeting

    async def execute_command(self, *args: bytes, **options: Any) -> SMTPResponse:
        said = b" ".join(args).decode("utf-8", "replace")
        if self._in_login:
            said = HIDDEN
        elif args[0].upper() == b"AUTH":
            said = " ".join([f"AUTH {args[1].decode('ascii', 'replace')}", *[HIDDEN] * (len(args) > 2)])
        self._transcript.add(Speaker.US, said)
        answer = await super().execute_command(*args, **options)
        self._in_login = answer.code == SAYS_MORE
        self._heard(answer.code, answer.message)
        return answer

    async def starttls(self, **options: Any) -> SMTPResponse:
        self._transcript.add(Speaker.US, "STARTTLS")
        try:
            answer = await super().starttls(**options)
        except aiosmtplib.SMTPResponseException as error:
            self._heard(error.code, error.message)
            raise
        self._heard(answer.code, answer.message)
        self._transcript.add(Speaker.ABOUT, "encrypted from here on")
        return answer

    async def data(self, message: str | bytes, /, **options: Any) -> SMTPResponse:
        mail = message.encode() if isinstance(message, str) else message
        self._transcript.add(Speaker.US, "DATA")
        self._transcript.add(Speaker.US, mail.decode("utf-8", "replace"))
        try:
            answer = await super().data(message, **options)
        except aiosmtplib.SMTPResponseException as error:
            self._heard(error.code, error.message)
            raise
        self._heard(answer.code, answer.message)
        return answer

    def _heard(self, code: int, text: str) -> None:
        self._transcript.add(Speaker.THEM, "\n".join(f"{code} {one}" for one in text.splitlines() or [""]))
