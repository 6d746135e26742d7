"""Records the progress of each request and the beginning of its answer.

The beginning is for the case that the HTTP library cannot read the answer.

aiohttp has no option for this. The record is made with asyncio's public means: the protocol of a connection
is wrapped (``transport.set_protocol``).
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from alertd.notify.http.head import MAX_HEAD


class ParsingProtocol(Protocol):
    """What alertd needs of aiohttp's protocol: asyncio's methods, and the error of its parser."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def exception(self) -> BaseException | None: ...


@dataclass(slots=True, kw_only=True)
class AnswerRecord:
    """The beginning of one answer.

    Attributes:
        received: the first ``MAX_HEAD`` bytes.
        malformed: whether the library stopped reading, because the answer is malformed or exceeds a limit.
    """

    received: bytearray = field(default_factory=bytearray)
    malformed: bool = False
    _deadline: asyncio.Timeout | None = None

    def end_with(self, deadline: asyncio.Timeout) -> None:
        """End ``deadline`` at once when the answer is malformed.

        aiohttp does not report a malformed chunk to the reader of the body. The reader would wait until the
        deadline.
        """
        self._deadline = deadline
        if self.malformed:
            self.mark_malformed()

    def mark_malformed(self) -> None:
        self.malformed = True
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())


@dataclass(slots=True, kw_only=True)
class Progress:
    """The progress of one request. The transport records it.

    Attributes:
        written: whether the request's headers were sent, so that the receiver may have acted on the request.
        refused: the reason why the network policy refused an address; "" if it refused none.
        opened: whether an address was allowed and a socket for it was opened.
        answer: the beginning of the answer.
    """

    written: bool = False
    refused: str = ""
    opened: bool = False
    answer: AnswerRecord = field(default_factory=AnswerRecord)


progress: ContextVar[Progress] = ContextVar("alertd_http_progress")
"""The progress of the request that the current task makes."""


class RecordingProtocol(asyncio.Protocol):
    """Passes everything on to the library's protocol, and records what the receiver answers.

    Attributes:
        record: belongs to the request that uses the connection.
    """

    def __init__(self, inner: ParsingProtocol, record: AnswerRecord) -> None:
        self._inner = inner
        self.record = record

    def data_received(self, data: bytes) -> None:
        received = self.record.received
        received += data[: max(0, MAX_HEAD - len(received))]
        self._inner.data_received(data)
        if self._inner.exception() is not None and not self.record.malformed:
            self.record.mark_malformed()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()
