"""A receiver of webhooks in a process of its own, which answers 200 as fast as Python can, or after a while.

``GET /-/report`` tells what has arrived since ``GET /-/reset?delay=SECONDS``, and ``GET /-/count`` how many.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from bench.kit.process import Stuck, python, start_child

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Arrivals:
    """What has arrived since the last reset."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.first = self.last = 0.0
        self.count = self.connections = self.bytes = 0
        self.times: dict[str, list[float]] = {}

    def add(self, path: str, size: int) -> None:
        self.last = time.time()
        self.first = self.first or self.last
        self.count += 1
        self.bytes += size
        self.times.setdefault(path, []).append(self.last)

    def to_json(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "first": self.first,
            "last": self.last,
            "connections": self.connections,
            "bytes": self.bytes,
            "times": self.times,
        }


class SinkProtocol(asyncio.Protocol):
    """Reads requests of one connection, whose bodies have a length."""

    arrivals = Arrivals()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.is_counted = False

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self._answer(head.split(b" ", 2)[1].decode("latin-1"), length)

    def _answer(self, path: str, length: int) -> None:
        cls = type(self)
        if path.startswith("/-/"):
            if path.startswith("/-/reset"):
                cls.arrivals = Arrivals(float(path.partition("delay=")[2] or 0))
            arrivals = cls.arrivals
            found = arrivals.to_json() if path == "/-/report" else {"count": arrivals.count}
            body = json.dumps(found).encode()
            self._write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            return
        if not self.is_counted:
            self.is_counted = True
            cls.arrivals.connections += 1
        cls.arrivals.add(path, length)
        if cls.arrivals.delay_s:
            asyncio.get_running_loop().call_later(cls.arrivals.delay_s, self._write, ANSWER)
        else:
            self._write(ANSWER)

    def _write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)  # type: ignore[attr-defined]  # a stream's transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What has arrived.

    Attributes:
        first: when the first request arrived, in seconds since the epoch. last: the last one.
        connections: how many connections brought requests.
        bytes: of all bodies.
        times: when each request arrived, by path.
    """

    count: int
    first: float
    last: float
    connections: int
    bytes: int
    times: dict[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """A sink under way."""

    port: int
    child: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reset(self, delay_s: float = 0.0) -> None:
        self._get(f"/-/reset?delay={delay_s}")

    def report(self) -> Report:
        return Report(**self._get("/-/report"))

    def wait_for(self, count: int, limit_s: float = 120.0) -> Report:
        """Wait until ``count`` requests have arrived. Asks seldom, since asking takes time from the sink."""
        ends = time.perf_counter() + limit_s
        while (arrived := self._get("/-/count")["count"]) < count:
            if time.perf_counter() > ends:
                raise Stuck(f"{arrived} of {count} requests arrived within {limit_s:g} s")
            time.sleep(0.1)
        return self.report()

    def _get(self, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


@contextmanager
def start_sink() -> Iterator[Sink]:
    with start_child(python("-m", "bench.kit.sink"), output=subprocess.PIPE) as child:
        assert child.stdout is not None
        yield Sink(port=int(child.stdout.readline()), child=child)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(SinkProtocol, "127.0.0.1", 0, backlog=500)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve())
