"""The HTTP protocol of one connection: uvicorn's, with time limits and a place among all connections.

uvicorn limits only how long a connection may be idle after an answer. Without further limits, a client that
sends half a request, or does not read its answer, keeps a connection for ever.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from alertd.web.server.limits import REPORTED, Closed, Connections, Limits


class _Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    STALLED = auto()
    """The client has to read, so that the handler can go on with the answer."""
    FLUSHING = auto()
    """The client has to read the rest of an answer that is complete."""
    IDLE = auto()
    """The next request."""
    CLOSING = auto()


class LimitedProtocol(H11Protocol):
    """One connection, which closes itself when the client is too slow.

    Args:
        connections: all connections of the server.
    """

    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self._open = connections
        self._phase: _Phase | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_lost = False

    @property
    def address(self) -> str:
        """The address of the client, or of the proxy before it."""
        return self.client[0] if self.client else ""

    def abort(self) -> None:
        """Close the connection at once, without sending what is left."""
        self._leave()
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._enter(_Phase.HEAD)
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._leave()
        self._open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update(_Phase.HEAD)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update(_Phase.HEAD if self.conn.trailing_data[0] else _Phase.IDLE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._update(_Phase.IDLE)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._update(_Phase.IDLE)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._update(_Phase.IDLE)

    def shutdown(self) -> None:
        super().shutdown()
        self._update(_Phase.IDLE)

    def send_400_response(self, msg: str) -> None:
        """Answer 400 to bytes that are not HTTP, unless the answer has begun. The handler gets no more."""
        self._report(Closed.MALFORMED)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _update(self, between: _Phase) -> None:
        """Find the phase.

        Args:
            between: the phase if no request is in progress.
        """
        if self.transport.is_closing():
            self._enter(_Phase.CLOSING)
        elif not self._has_request():
            self._enter(_Phase.FLUSHING if self.flow.write_paused else between)
        elif self.flow.write_paused:
            self._enter(_Phase.STALLED)
        else:
            self._enter(_Phase.BODY if self.cycle.more_body else _Phase.ANSWER)

    def _has_request(self) -> bool:
        # Before the first request, uvicorn's cycle is None, against its annotation.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _enter(self, phase: _Phase) -> None:
        # A phase that goes on keeps its deadline, however often a byte arrives.
        if phase is self._phase or self._is_lost:
            return
        self._leave()
        self._phase = phase
        limit_s = _find_limit(phase, self._open.limits)
        if limit_s is not None:
            self._deadline = self.loop.call_later(limit_s, self._end_late)
        if phase in (_Phase.BODY, _Phase.ANSWER, _Phase.STALLED):
            self._open.mark_busy(self)
        else:
            self._open.mark_silent(self)

    def _leave(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_late(self) -> None:
        if self._phase is not _Phase.IDLE:
            self._report(Closed.LATE)
        self.abort()

    def _report(self, closed: Closed) -> None:
        """Report why no request is served here, once: the handler may notice it too."""
        if self.scope is not None:
            self.scope[REPORTED] = True  # type: ignore[literal-required]
        self._open.report(closed)


def _find_limit(phase: _Phase, limits: Limits) -> float | None:
    match phase:
        case _Phase.HEAD:
            return limits.head_s
        case _Phase.BODY:
            return limits.body_s
        case _Phase.STALLED | _Phase.FLUSHING:
            return limits.stall_s
        case _Phase.IDLE:
            return limits.idle_s
        case _Phase.CLOSING:
            return limits.linger_s
        case _Phase.ANSWER:
            return None
