"""Caches the feeds, so that a feed is made again only when something in it may have changed.

Rules that hold here:
- A feed is not made again while the ledger and the timeline files are unchanged and no alarm has passed.
- One feed is made at a time, and making feeds takes at most a tenth of the time. A large feed may therefore
  be a few minutes old.
- The same content has the same ETag on all nodes, because calendar programs revalidate by ETag.
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

from alertd.web.server.context import Site
from alertd.web.timeline.cache import REST, read_mark

MAX_KEPT_BYTES = 16 * 1024 * 1024
"""The most content that the cache holds."""

DigestBuild = Callable[[datetime], Awaitable[tuple[bytes, datetime | None]]]
"""Makes a feed as of an instant; returns its content, and until when it is valid (None: until a change)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A cached feed.

    Attributes:
        modified: when this node first had this content, in whole seconds.
        fresh_until: until when the feed is valid if nothing changes; None for no limit.
        mark: the state of the ledger and the timeline files from which the feed was made.
    """

    content: bytes
    etag: str
    modified: datetime
    fresh_until: datetime | None
    mark: object


class FeedCache:
    """The cache of the feeds, by name. The least recently made feeds are evicted first."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = asyncio.Lock()
        self._feeds: OrderedDict[str, Feed] = OrderedDict()
        self._rests_until_s = 0.0

    async def feed(self, name: str, make: DigestBuild) -> Feed:
        """Return the feed of that name from the cache, or make it.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        async with self._turn:
            clock, last = self._site.clock, self._feeds.get(name)
            now, mark = clock.now(), (await read_mark(self._site), self._site.definitions())
            is_fresh = last and last.mark == mark and (last.fresh_until is None or now <= last.fresh_until)
            if last is None or not (is_fresh or clock.monotonic() < self._rests_until_s):
                began_s = clock.monotonic()
                content, fresh_until = await make(now)
                last = _update(last, content, fresh_until, mark, now)
                ended_s = clock.monotonic()
                self._rests_until_s = ended_s + REST * (ended_s - began_s)
                self._keep(name, last)
            return last

    def _keep(self, name: str, feed: Feed) -> None:
        self._feeds[name] = feed
        self._feeds.move_to_end(name)
        while (
            len(self._feeds) > 1 and sum(len(kept.content) for kept in self._feeds.values()) > MAX_KEPT_BYTES
        ):
            self._feeds.popitem(last=False)


def answer(
    request: Request, content: bytes, *, kind: str, etag: str, cache: str, modified: datetime | None = None
) -> Response:
    """Answer with the content, or with 304 if the client has it already (RFC 9110, section 13.2.2).

    Args:
        kind: the media type.
        cache: the Cache-Control header (RFC 9111, section 5.2.2).
        modified: the time of the last change, in whole seconds; None if that is unknown.
    """
    headers = {"etag": etag, "cache-control": cache}
    if modified is not None:
        headers["last-modified"] = format_datetime(modified, usegmt=True)
    if _client_has(request, etag, modified):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


def make_etag(content: bytes) -> str:
    """Make a strong ETag: equal for equal bytes only."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _update(
    last: Feed | None, content: bytes, fresh_until: datetime | None, mark: object, now: datetime
) -> Feed:
    etag, modified = make_etag(content), now.replace(microsecond=0)
    if last is not None and last.etag == etag:
        return replace(last, fresh_until=fresh_until, mark=mark)
    if last is not None:
        # Last-Modified counts whole seconds, so two versions within one second must still differ.
        modified = max(modified, last.modified + timedelta(seconds=1))
    return Feed(content=content, etag=etag, modified=modified, fresh_until=fresh_until, mark=mark)


def _client_has(request: Request, etag: str, modified: datetime | None) -> bool:
    tags = request.headers.get("if-none-match")
    if tags is not None:
        # Accept weak tags too, because a proxy that compresses weakens the tag (RFC 9110, section 13.1.2).
        given = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return etag in given or "*" in given
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except ValueError:
        return False
    return modified is not None and since.tzinfo is not None and modified <= since
