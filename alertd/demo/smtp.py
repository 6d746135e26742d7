"""A small SMTP server on the loopback interface: RFC 5321 without extensions but SIZE and 8BITMIME.

It keeps what it is sent and relays nothing. Lines end in CRLF and in nothing else, so that no mail can hide
another behind a bare line feed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MAX_MAIL = 1 << 20
MAX_LINE = 4096
MAX_RECIPIENTS = 100
MAX_COMMANDS = 1_000
"""Of one connection."""

_PATH = re.compile(rb"(?:FROM|TO):\s*<([^<>\s]*)>(?:\s.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One accepted mail, its bytes as they came, dots unstuffed."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes


@dataclass(slots=True, kw_only=True)
class SmtpServer:
    """What was accepted, in order; ``port`` is known while it serves."""

    port: int = 0
    mails: list[Envelope] = field(default_factory=list)


@asynccontextmanager
async def smtp_server() -> AsyncIterator[SmtpServer]:
    """Serve on a free port of 127.0.0.1 until the block is left."""
    kept = SmtpServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Session(kept.mails, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it went away, or sent what is no SMTP
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=MAX_LINE)
    kept.port = server.sockets[0].getsockname()[1]
    async with server:
        yield kept


class _Session:
    """One connection."""

    def __init__(
        self, mails: list[Envelope], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._mails = mails
        self._reader = reader
        self._writer = writer
        self._sender: str | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self._say("220 demo.invalid ESMTP alertd demo")
        for _ in range(MAX_COMMANDS):
            verb, _, rest = (await self._line()).partition(b" ")
            match verb.upper():
                case b"QUIT":
                    await self._say("221 2.0.0 bye")
                    return
                case b"DATA":
                    await self._data()
                case other:
                    await self._say(self._answer(other, rest))
        await self._say("421 4.7.0 too many commands")

    def _answer(self, verb: bytes, rest: bytes) -> str:
        match verb:
            case b"EHLO":
                self._reset()
                return f"250-demo.invalid\r\n250-8BITMIME\r\n250 SIZE {MAX_MAIL}"
            case b"HELO":
                self._reset()
                return "250 demo.invalid"
            case b"RSET":
                self._reset()
                return "250 2.0.0 forgotten"
            case b"NOOP":
                return "250 2.0.0 nothing done"
            case b"MAIL":
                return self._mail(rest)
            case b"RCPT":
                return self._rcpt(rest)
            case _:
                return "502 5.5.1 not implemented"

    def _mail(self, rest: bytes) -> str:
        path = _PATH.fullmatch(rest)
        if self._sender is not None:
            return "503 5.5.1 one mail at a time"
        if path is None or not rest.upper().startswith(b"FROM"):
            return "501 5.5.4 MAIL FROM:<address>"
        self._sender = path[1].decode("latin-1")
        return "250 2.1.0 ok"

    def _rcpt(self, rest: bytes) -> str:
        path = _PATH.fullmatch(rest)
        if self._sender is None:
            return "503 5.5.1 MAIL comes first"
        if path is None or not path[1] or not rest.upper().startswith(b"TO"):
            return "501 5.5.4 RCPT TO:<address>"
        if len(self._recipients) == MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        self._recipients.append(path[1].decode("latin-1"))
        return "250 2.1.5 ok"

    async def _data(self) -> None:
        if self._sender is None or not self._recipients:
            await self._say("503 5.5.1 RCPT comes first")
            return
        await self._say("354 end with a line that holds a dot")
        lines: list[bytes] = []
        size = 0
        while (line := await self._line()) != b".":
            size += len(line) + 2
            if size <= MAX_MAIL:
                lines.append(line.removeprefix(b"."))
        if size > MAX_MAIL:
            answer = f"552 5.3.4 more than {MAX_MAIL} bytes"
        else:
            raw = b"".join(line + b"\r\n" for line in lines)
            self._mails.append(Envelope(sender=self._sender, recipients=tuple(self._recipients), raw=raw))
            answer = "250 2.0.0 kept"
        self._reset()
        await self._say(answer)

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []

    async def _line(self) -> bytes:
        return (await self._reader.readuntil(b"\r\n"))[:-2]

    async def _say(self, answer: str) -> None:
        self._writer.write(answer.encode("ascii") + b"\r\n")
        await self._writer.drain()
