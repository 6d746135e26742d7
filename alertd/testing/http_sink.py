"""A real HTTP server on the loopback interface, which records requests and gives scripted answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import TracebackType

LONGEST = 64 * 2**20
"""The most bytes of an endless body, in case a client never stops reading."""


class Fault(Enum):
    """A fault in an answer.

    HANG: the server reads the request and does not answer. HANG_IN_BODY: it sends the head and half of the
    body, and then nothing. RESET: it resets the connection instead of answering. RESET_IN_BODY: it resets the
    connection after the head and half of the body. GARBAGE: it sends something other than HTTP. ENDLESS: it
    repeats the body up to :data:`LONGEST` bytes.
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
    """One scripted answer.

    Attributes:
        raw: the exact bytes to send instead of a head and a body, in pieces that arrive apart. Afterwards the
            server closes the connection; with HANG it keeps the connection open, and with RESET it resets it.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    fault: Fault = Fault.NONE
    raw: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it arrived; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpSink:
    """An HTTP server as an async context manager. The last scripted answer is repeated for all further
    requests.

    Args:
        tls: True for TLS with a new CA and certificate, or a context to use.

    Attributes:
        requests: the requests in order of arrival.
        connections: how many connections clients have opened.
        answers: the answers that are still to be given; a test may replace them at any time.
        written: how many bytes of ENDLESS bodies were sent.
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
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """The server's URL without a path, such as ``http://127.0.0.1:40001``. Known once the server runs."""
        return f"https://localhost:{self._port}" if self._tls else f"http://127.0.0.1:{self._port}"

    def client_tls(self) -> ssl.SSLContext:
        """Return a context that trusts this server. Only for a server with ``tls=True``."""
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
        # A connection that outlives its server is cancelled with its event loop, and asyncio in Python 3.11
        # then prints a traceback: close every connection, and wait until its coroutine has ended.
        for writer in self._open.values():
            writer.close()
        if self._open:
            await asyncio.wait(self._open)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  asyncio makes a task of each connection
        self._open[task] = writer
        task.add_done_callback(self._open.pop)
        try:
            while (received := await _read(reader)) is not None:
                self.requests.append(received)
                answer, *rest = self.answers
                self.answers = rest or [answer]
                if not await self._answer(answer, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a client may disconnect at any time
        finally:
            writer.close()

    async def _answer(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        """Give the answer. Return whether the connection stays open."""
        for piece in answer.raw:
            writer.write(piece)
            await writer.drain()
            await self._pause()
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
            case Fault.NONE if answer.raw:
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

    async def _pause(self) -> None:
        """Wait briefly, so that the client reads what was sent before anything else arrives."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), 0.01)

    async def _go_on(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(replace(answer, headers={**answer.headers, "content-length": str(LONGEST)})))
        while self.written < LONGEST:
            writer.write(answer.body)
            await writer.drain()  # raises when the client has disconnected
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
    """Close with RST instead of FIN, by lingering for zero seconds (socket(7), SO_LINGER)."""
    if writer.is_closing():
        return  # the client has disconnected
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
