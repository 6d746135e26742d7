"""Serves ``/live``: tells browsers by server-sent events that something has changed, so that they reload.

One task polls the ledger for all browsers, and only while a browser is connected. The format is in the HTML
standard, section "Server-sent events".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from alertd.core.access import Scope
from alertd.errors import LedgerError
from alertd.web.server.access import RequestRefused, require_scope
from alertd.web.server.context import Site
from alertd.web.timeline.cache import read_mark

MOST_STREAMS = 64
LOOK_EVERY_S = 2.0
BEAT_EVERY_S = 20.0
"""How often an idle stream is kept alive, in seconds. Most proxies close a silent connection after 60 s."""

BEGIN = b"retry: 5000\nevent: begun\ndata: -\n\n"
CHANGED = b"event: changed\ndata: -\n\n"
BEAT = b": still here\n\n"


class Live:
    """The open streams, and the task that polls the ledger while there are any.

    Args:
        look_every_s, beat_every_s: shorter intervals for tests.
    """

    def __init__(
        self, site: Site, *, look_every_s: float = LOOK_EVERY_S, beat_every_s: float = BEAT_EVERY_S
    ) -> None:
        self._site = site
        self._look_every_s = look_every_s
        self._beat_every_s = beat_every_s
        self._listeners: set[asyncio.Event] = set()
        self._polling: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        return len(self._listeners) >= MOST_STREAMS

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the events for one browser, until it disconnects or the server stops."""
        heard = asyncio.Event()
        self._listeners.add(heard)
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())
        try:
            yield BEGIN
            while not self._site.closing.is_set():
                try:
                    await asyncio.wait_for(heard.wait(), self._beat_every_s)
                except TimeoutError:
                    yield BEAT
                    continue
                heard.clear()
                if not self._site.closing.is_set():
                    yield CHANGED
        finally:
            self._listeners.discard(heard)
            if not self._listeners and self._polling is not None:
                self._polling.cancel()
                self._polling = None

    async def _poll(self) -> None:
        closing = self._site.closing
        before = await self._read_mark("")
        while not closing.is_set():
            try:
                await asyncio.wait_for(closing.wait(), self._look_every_s)
            except TimeoutError:
                mark = await self._read_mark(before)
                if mark == before:
                    continue
                before = mark
            for heard in self._listeners:
                heard.set()

    async def _read_mark(self, otherwise: str) -> str:
        try:
            return await read_mark(self._site)
        except LedgerError:
            # The page itself shows that the ledger fails. While it fails, no change can be seen.
            return otherwise


@require_scope(Scope.READ)
async def live(request: Request) -> Response:
    """Open a stream of events (``/live``)."""
    streams: Live = request.app.state.live
    if streams.is_full:
        raise RequestRefused(503, "too many pages are kept up to date already; reload this one by hand")
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(streams.stream(), media_type="text/event-stream", headers=headers)
