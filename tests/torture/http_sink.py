"""A real HTTP server on loopback that keeps receipts, and that misbehaves as it is told, by path.

A receipt is on the disk before the answer begins. Each says which process sent the request: the kernel knows
whose the other end of the connection is.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.torture.receipts import ACCEPTED, Receipt, Receipts, now_s

HUGE = 10 * 1024 * 1024
DRIP_S = 0.2


class Mode(StrEnum):
    """What becomes of a request, once it has been read and its receipt is on the disk."""

    ACCEPTS = "accepts"
    CLOSES = "accepts, and closes the connection"
    HANGS = "hangs"
    RESETS = "resets"
    """The connection is reset before the answer."""
    RESETS_MID = "resets mid-response"
    """A status of 200 and half of the body have come by then."""
    DRIPS = "drips"
    """The head of the answer comes a byte at a time."""
    DRIPS_BODY = "drips its body"
    """A status of 200 comes at once, the body a byte at a time."""
    REDIRECTS = "redirects"
    HUGE = "answers with 10 MB"
    """A status of 200."""
    HUGE_ERROR = "answers 503 with 10 MB"
    REASON = "accepts with a reason phrase in Latin-1"
    MANY_HEADERS = "accepts with 300 headers"
    LONG_HEADER = "accepts with a header of 9,000 bytes"


ANSWERS = {
    Mode.ACCEPTS: ACCEPTED,
    Mode.CLOSES: ACCEPTED,
    Mode.DRIPS_BODY: ACCEPTED,
    Mode.RESETS_MID: ACCEPTED,
    Mode.HUGE: ACCEPTED,
    Mode.REASON: ACCEPTED,
    Mode.MANY_HEADERS: ACCEPTED,
    Mode.LONG_HEADER: ACCEPTED,
    Mode.HANGS: "no answer",
    Mode.RESETS: "no answer",
    Mode.DRIPS: "no answer in time",
    Mode.REDIRECTS: "302",
    Mode.HUGE_ERROR: "503",
}
"""What the receipt says. Whoever got a status of 200 was told that it was accepted."""

MALFORMED = {
    Mode.REASON: b"HTTP/1.1 200 Tr\xe8s bien\r\ncontent-length: 2\r\n\r\nok",
    Mode.MANY_HEADERS: b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"content-length: 2\r\n\r\nok",
    Mode.LONG_HEADER: b"HTTP/1.1 200 OK\r\nx: " + b"y" * 9_000 + b"\r\ncontent-length: 2\r\n\r\nok",
}
"""Whole answers that an HTTP library refuses to read."""


class HttpSink:
    """An async context manager.

    Attributes:
        modes: by path without the slash; what is not named accepts.
        hold_s: how long each answer is held back.
        trap: called with a receipt and ``read``, before the answer, or ``answered``, after it.
    """

    def __init__(self, receipts: Receipts) -> None:
        self.modes: dict[str, Mode] = {}
        self.hold_s = 0.0
        self.trap: Callable[[Receipt, str], None] | None = None
        self.port = 0
        self._receipts = receipts
        self._server: asyncio.Server | None = None
        self._closing = asyncio.Event()
        self._pids: Callable[[], Iterable[int]] = lambda: ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def watch(self, pids: Callable[[], Iterable[int]]) -> None:
        """Look among these processes for the sender of a request."""
        self._pids = pids

    async def __aenter__(self) -> HttpSink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=500)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pid = sender(writer.get_extra_info("peername")[1], self._pids())
        try:
            while (read := await _read(reader)) is not None:
                if not await self._take(*read, pid, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away or was killed, which is what this is about
        finally:
            writer.close()

    async def _take(
        self, path: str, headers: dict[str, str], body: bytes, pid: int, writer: asyncio.StreamWriter
    ) -> bool:
        mode = self.modes.get(path, Mode.ACCEPTS)
        receipt = _receipt(path, headers, body, pid, ANSWERS[mode])
        self._receipts.write(receipt)
        self._spring(receipt, "read")
        if self.hold_s:
            await self._pass(self.hold_s)
        goes_on = await self._answer(mode, writer)
        self._spring(receipt, "answered")
        return goes_on

    def _spring(self, receipt: Receipt, phase: str) -> None:
        if self.trap is not None:
            self.trap(receipt, phase)

    async def _answer(self, mode: Mode, writer: asyncio.StreamWriter) -> bool:
        """Answer; False when the connection is to be closed."""
        match mode:
            case Mode.ACCEPTS:
                writer.write(_head(200, 2) + b"ok")
                await writer.drain()
                return True
            case Mode.CLOSES:
                writer.write(_head(200, 2, "connection: close\r\n") + b"ok")
                await writer.drain()
            case Mode.REDIRECTS:
                writer.write(_head(302, 0, f"location: {self.url}/elsewhere\r\n"))
                await writer.drain()
                return True
            case Mode.REASON | Mode.MANY_HEADERS | Mode.LONG_HEADER:
                writer.write(MALFORMED[mode])
                await writer.drain()
            case Mode.HANGS:
                await self._closing.wait()
            case Mode.RESETS:
                _reset(writer)
            case Mode.RESETS_MID:
                writer.write(_head(200, 10) + b"hello")
                await writer.drain()
                _reset(writer)
            case Mode.DRIPS:
                await self._drip(writer, _head(200, 2) + b"ok")
            case Mode.DRIPS_BODY:
                writer.write(_head(200, 1000))
                await self._drip(writer, b"." * 1000)
            case Mode.HUGE | Mode.HUGE_ERROR:
                writer.write(_head(200 if mode is Mode.HUGE else 503, HUGE))
                for _ in range(HUGE // 65536):
                    writer.write(b"x" * 65536)
                    await writer.drain()
        return False

    async def _drip(self, writer: asyncio.StreamWriter, what: bytes) -> None:
        for index in range(len(what)):
            if self._closing.is_set():
                return
            writer.write(what[index : index + 1])
            await writer.drain()
            await self._pass(DRIP_S)

    async def _pass(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()


def sender(port: int, pids: Iterable[int]) -> int:
    """Which of the processes has the loopback connection that begins at ``port``; 0: none of them."""
    inode = next((one[9] for one in _connections() if one[1].endswith(f":{port:04X}")), "")
    for pid in pids:
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if os.readlink(descriptor) == f"socket:[{inode}]":
                        return pid
    return 0


def _connections() -> list[list[str]]:
    return [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]


def _receipt(path: str, headers: dict[str, str], body: bytes, pid: int, answer: str) -> Receipt:
    said: dict[str, Any] = json.loads(body)
    data = said["data"]
    if data["id"] != headers["webhook-id"]:
        raise AssertionError(f"two ids in one request: {data['id']} and {headers['webhook-id']}")
    return Receipt(
        at=now_s(),
        receiver=path,
        id=headers["webhook-id"],
        attempt=int(headers["alertd-attempt"]),
        pid=pid,
        milestones=tuple(item["milestone"] for item in data["items"]),
        answer=answer,
        text="" if data["items"] else " ".join((data["subject"], *data["lines"])),
    )


async def _read(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    start, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return start.split(" ")[1].strip("/"), headers, body


def _head(status: int, length: int, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Scripted\r\ncontent-length: {length}\r\n{more}\r\n".encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN: lingering for zero seconds does that (socket(7), SO_LINGER)."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
