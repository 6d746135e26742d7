"""Feeds as they were made last: whoever asks again gets the same, as long as nothing has happened.

Rules that hold here:
- while neither the ledger nor the files have changed, and no alarm has passed, nothing is made anew;
- making them takes at most a tenth of the time, one at a time: a large one is some minutes old by then;
- the same content has the same ETag, on all nodes; it is what a calendar asks with.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import Response

from alertd.web.pages.cache import REST, mark_of
from alertd.web.server.context import Site

MAX_KEPT_BYTES = 16 * 1024 * 1024

DigestBuild = Callable[[datetime], Awaitable[tuple[bytes, datetime | None]]]
"""Makes one as of now; with it until when it stays the same, None for as long as nothing happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One of them.

    Attributes:
        modified: when this node first had it so, to the second.
        mark: of the ledger and the files when it was made.
    """

    content: bytes
    etag: str
    modified: datetime
    fresh_until: datetime | None
    mark: object


class FeedCache:
    """See the module."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = asyncio.Lock()
        self._feeds: OrderedDict[str, Feed] = OrderedDict()
        self._rests_until_s = 0.0

    async def feed(self, name: str, make: DigestBuild) -> Feed:
        """The one of that name.

        Raises:
            LedgerError: it cannot be read.
        """
        async with self._turn:
            clock, last = self._site.clock, self._feeds.get(name)
            now, mark = clock.now(), (await mark_of(self._site), self._site.definitions())
            is_fresh = last and last.mark == mark and (last.fresh_until is None or now <= last.fresh_until)
            if last is None or not (is_fresh or clock.monotonic() < self._rests_until_s):
                began_s = clock.monotonic()
                content, fresh_until = await make(now)
                last = _after(last, content, fresh_until, mark, now)
                ended_s = clock.monotonic()
                self._rests_until_s = ended_s + REST * (ended_s - began_s)
                self._keep(name, last)
            return last

    def _keep(self, name: str, feed: Feed) -> None:
        self._feeds[name] = feed
        self._feeds.move_to_end(name)
        while len(self._feeds) > 1 and sum(len(one.content) for one in self._feeds.values()) > MAX_KEPT_BYTES:
            self._feeds.popitem(last=False)


def answer(
    request: Request, content: bytes, *, kind: str, etag: str, cache: str, modified: datetime | None = None
) -> Response:
    """The content, or 304 for whoever has it (RFC 9110, section 13.2.2).

    Args:
        kind: its media type.
        cache: for how long, and by whom, it may be kept (RFC 9111, section 5.2.2).
        modified: when it changed last, to the second; None: that is not known.
    """
    headers = {"etag": etag, "cache-control": cache}
    if modified is not None:
        headers["last-modified"] = format_datetime(modified, usegmt=True)
    if _has_it(request, etag, modified):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


def etag_of(content: bytes) -> str:
    """A strong one: the same for the same bytes alone."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _after(
    last: Feed | None, content: bytes, fresh_until: datetime | None, mark: object, now: datetime
) -> Feed:
    etag, modified = etag_of(content), now.replace(microsecond=0)
    if last is not None and last.etag == etag:
        return replace(last, fresh_until=fresh_until, mark=mark)
    if last is not None:
        # Two that were made within a second must not look like one.
        modified = max(modified, last.modified + timedelta(seconds=1))
    return Feed(content=content, etag=etag, modified=modified, fresh_until=fresh_until, mark=mark)


def _has_it(request: Request, etag: str, modified: datetime | None) -> bool:
    tags = request.headers.get("if-none-match")
    if tags is not None:
        # Weak ones too: a proxy that compresses makes them (RFC 9110, section 13.1.2).
        given = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return etag in given or "*" in given
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except ValueError:
        return False
    return modified is not None and since.tzinfo is not None and modified <= since
