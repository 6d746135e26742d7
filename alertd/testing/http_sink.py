"""A real HTTP server on the loopback interface that records what it gets and answers by a script."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import TracebackType

LONGEST = 64 * 2**20
"""Bytes of a body that has no end, for a client that reads on and on."""


class Fault(Enum):
    """What goes wrong with an answer.

    HANG: the request is read and nothing is answered; HANG_IN_BODY: the head and half of the body come.
    RESET: the connection is reset instead of an answer; RESET_IN_BODY: after the head and half of the body.
    GARBAGE: what is answered is not HTTP. ENDLESS: the body comes again and again, to :data:`LONGEST`.
    """

    NONE = auto()
    HANG = auto()
    HANG_IN_BODY = auto()
    RESET = auto()
    RESET_IN_BODY = auto()
    GARBAGE = auto()
    ENDLESS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One scripted answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    fault: Fault = Fault.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpSink:
    """An async context manager. The last answer of the script is given for all further requests.

    Args:
        tls: with a certificate of its own, or with the given context.

    Attributes:
        requests: what came, in order.
        connections: how many were opened.
        answers: what is still to be answered; may be replaced at any time.
        written: bytes of ENDLESS bodies that have left for a client.
    """

    def __init__(self, *answers: Answer, tls: bool | ssl.SSLContext = False) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.written = 0
        self.answers: Sequence[Answer] = answers or (Answer(),)
        self._tls = tls
        self._ca: object = None
        self._server: asyncio.Server | None = None
        self._port = 0
        self._closing = asyncio.Event()

    @property
    def url(self) -> str:
        """Such as ``http://127.0.0.1:40001``, without a path; known once it has been entered."""
        return f"https://localhost:{self._port}" if self._tls else f"http://127.0.0.1:{self._port}"

    def client_tls(self) -> ssl.SSLContext:
        """A context that trusts this server."""
        import trustme

        assert isinstance(self._ca, trustme.CA)  # noqa: S101  made with tls=True
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    async def __aenter__(self) -> HttpSink:
        context = self._tls if isinstance(self._tls, ssl.SSLContext) else None
        if self._tls is True:
            import trustme

            self._ca = ca = trustme.CA()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert("localhost").configure_cert(context)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        assert self._server is not None  # noqa: S101
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (received := await _read(reader)) is not None:
                self.requests.append(received)
                answer, *rest = self.answers
                self.answers = rest or [answer]
                if not await self._answer(answer, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, which is its right
        finally:
            writer.close()

    async def _answer(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        """Answer; False when the connection is to be closed."""
        match answer.fault:
            case Fault.HANG:
                await self._closing.wait()
                return False
            case Fault.RESET:
                _reset(writer)
                return False
            case Fault.GARBAGE:
                writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
                await writer.drain()
                return False
            case Fault.ENDLESS:
                await self._go_on(answer, writer)
                return False
            case Fault.NONE:
                writer.write(_head(answer) + answer.body)
                await writer.drain()
                return True
            case Fault.HANG_IN_BODY | Fault.RESET_IN_BODY:
                writer.write(_head(answer) + answer.body[: len(answer.body) // 2])
                await writer.drain()
                if answer.fault is Fault.HANG_IN_BODY:
                    await self._closing.wait()
                else:
                    _reset(writer)
                return False

    async def _go_on(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(replace(answer, headers={**answer.headers, "content-length": str(LONGEST)})))
        while self.written < LONGEST:
            writer.write(answer.body)
            await writer.drain()  # raises once the client has gone
            self.written += len(answer.body)


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    start, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = start.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method=method, path=path, headers=headers, body=body)


def _head(answer: Answer) -> bytes:
    headers = {"content-type": "text/plain", "content-length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN: lingering for zero seconds does that (socket(7), SO_LINGER)."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
