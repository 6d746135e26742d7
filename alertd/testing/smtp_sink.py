"""A real SMTP server on the loopback interface that records the mail it gets and fails by a script."""

# ruff: noqa: ARG002, N802  aiosmtpd sets the names and arguments of what it calls

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One accepted mail: its envelope, and its bytes as they came."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=SMTP_POLICY)
        assert isinstance(parsed, EmailMessage)  # noqa: S101  the policy makes it one
        return parsed


@dataclass(slots=True, kw_only=True)
class SmtpSink:
    """An async context manager.

    Attributes:
        tls: ``""``, ``"starttls"`` (offered and required) or ``"implicit"``.
        login: the user and password that the server requires; None: the server requires no login.
        utf8: whether it offers SMTPUTF8 (RFC 6531).
        answers: scripted replies that replace the normal ones, by the command's name (``EHLO``,
            ``AUTH``, ``RSET``, ``QUIT``) or ``greeting``; looked at each time, so a test can change it.
        mail_from: the reply to MAIL, such as ``451 4.7.1 later``; "" accepts.
        rcpt_to: the replies to RCPT, by address; read for each command.
        data: the reply to DATA, after the mail was read and not recorded.
        drop: ``"greeting"`` (closes at once), the name of a command (closes when it comes), ``"data"``
            (closes once the mail was read) or ``"hang"`` (never answers once the mail was read).
        context: for TLS; by default one with a certificate of its own.
        port: known once it has been entered.
        ca_pem: the CA certificate that a client must trust, with TLS.
        mails: the mails that were accepted, or read before the connection was closed.
        connections: the number of connections made.
        commands: the commands' names in the order in which they came, of all connections.
    """

    tls: str = ""
    login: tuple[str, str] | None = None
    utf8: bool = False
    answers: dict[str, str] = field(default_factory=dict)
    mail_from: str = ""
    rcpt_to: Mapping[str, str] = field(default_factory=dict)
    data: str = ""
    drop: str = ""
    mails: list[Mail] = field(default_factory=list)
    context: ssl.SSLContext | None = None
    ca_pem: bytes = b""
    port: int = 0
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    _open: set[asyncio.BaseTransport] = field(default_factory=set)
    _server: asyncio.Server | None = None
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> SmtpSink:
        context = self._context() if self.tls else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: self._session(context),
            "127.0.0.1",
            0,
            ssl=context if self.tls == "implicit" else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        assert self._server is not None  # noqa: S101
        self._server.close()
        self.hang_up()
        await self._server.wait_closed()

    def hang_up(self) -> None:
        """Close every connection, as a relay does with one that was idle for too long."""
        for transport in list(self._open):
            transport.close()

    def _context(self) -> ssl.SSLContext:
        if self.context is not None:
            return self.context
        import trustme

        ca = trustme.CA()
        self.ca_pem = ca.cert_pem.bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(context)
        return context

    def _session(self, context: ssl.SSLContext | None) -> asyncio.Protocol:
        if self.drop == "greeting" or "greeting" in self.answers:
            return _Closer(self.answers.get("greeting", ""))
        return _Session(
            self,
            _Handler(self),
            hostname="sink.example",
            loop=asyncio.get_running_loop(),
            tls_context=context if self.tls == "starttls" else None,
            require_starttls=self.tls == "starttls",
            auth_require_tls=self.tls == "starttls",
            authenticator=self._authenticate if self.login else None,
            enable_SMTPUTF8=self.utf8,
        )

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        assert self.login is not None  # noqa: S101
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.login, handled=False, auth_data=given[0])


class _Session(SMTP):
    """One connection. Before aiosmtpd obeys a command, the script may answer it or break off."""

    def __init__(self, sink: SmtpSink, handler: object, **options: Any) -> None:
        super().__init__(handler, **options)
        self._sink = sink
        for name, obey in list(self._smtp_methods.items()):
            self._smtp_methods[name] = self._follow_script(name, obey)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        is_new = self._original_transport is None  # aiosmtpd calls this again after STARTTLS
        super().connection_made(transport)
        self._sink._open.add(transport)
        self._sink.connections += is_new

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._sink._open.discard(self.transport)
        super().connection_lost(error)

    def _follow_script(
        self, name: str, obey: Callable[[str], Awaitable[None]]
    ) -> Callable[[str], Awaitable[None]]:
        async def answer(arg: str) -> None:
            self._sink.commands.append(name)
            if self._sink.drop == name and self.transport is not None:
                self.transport.close()
            elif name in self._sink.answers:
                await self.push(self._sink.answers[name])
            else:
                await obey(arg)

        return answer


class _Closer(asyncio.Protocol):
    def __init__(self, greeting: str) -> None:
        self._greeting = greeting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101
        if self._greeting:
            transport.write(f"{self._greeting}\r\n".encode())
        transport.close()


class _Handler:
    """What aiosmtpd calls; the names are its own."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink

    async def handle_MAIL(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self._sink.login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if self._sink.mail_from:
            return self._sink.mail_from
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self._sink.rcpt_to:
            return self._sink.rcpt_to[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        sink = self._sink
        if sink.data:
            return sink.data
        sink.mails.append(
            Mail(
                sender=envelope.mail_from,
                recipients=tuple(envelope.rcpt_tos),
                raw=envelope.content,
                encrypted=session.ssl is not None or sink.tls == "implicit",
                user=session.auth_data or "",
            )
        )
        if sink.drop == "data":
            server.transport.abort()
        if sink.drop == "hang":
            await sink._closing.wait()
        return "250 OK"
