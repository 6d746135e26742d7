"""``/live``: tells browsers that something has changed, by server-sent events; they fetch the page anew.

One look at the ledger serves all who listen, and nobody looks while nobody listens. Source of the format: the
HTML standard, "Server-sent events".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from alertd.core.access import Scope
from alertd.errors import LedgerError
from alertd.web.pages.cache import mark_of
from alertd.web.server.access import RequestRefused, needs
from alertd.web.server.context import Site

MOST_STREAMS = 64
LOOK_EVERY_S = 2.0
BEAT_EVERY_S = 20.0
"""A proxy cuts off what is silent for long, most of them after a minute."""

BEGIN = b"retry: 5000\nevent: begun\ndata: -\n\n"
CHANGED = b"event: changed\ndata: -\n\n"
BEAT = b": still here\n\n"


class Live:
    """Who listens, and the one who looks for them.

    Args:
        look_every_s, beat_every_s: for tests.
    """

    def __init__(
        self, site: Site, *, look_every_s: float = LOOK_EVERY_S, beat_every_s: float = BEAT_EVERY_S
    ) -> None:
        self._site = site
        self._look_every_s = look_every_s
        self._beat_every_s = beat_every_s
        self._listeners: set[asyncio.Event] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        return len(self._listeners) >= MOST_STREAMS

    async def stream(self) -> AsyncIterator[bytes]:
        """What one browser is sent, until it goes or the server ends."""
        heard = asyncio.Event()
        self._listeners.add(heard)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
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
            if not self._listeners and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        closing = self._site.closing
        before = await self._mark("")
        while not closing.is_set():
            try:
                await asyncio.wait_for(closing.wait(), self._look_every_s)
            except TimeoutError:
                mark = await self._mark(before)
                if mark == before:
                    continue
                before = mark
            for heard in self._listeners:
                heard.set()

    async def _mark(self, otherwise: str) -> str:
        try:
            return await mark_of(self._site)
        except LedgerError:
            # The page says so itself; here there is nothing new as long as nothing can be read.
            return otherwise


@needs(Scope.READ)
async def live(request: Request) -> Response:
    """``/live``."""
    streams: Live = request.app.state.live
    if streams.is_full:
        raise RequestRefused(503, "too many pages are kept up to date already; reload this one by hand")
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(streams.stream(), media_type="text/event-stream", headers=headers)
