"""``/feeds/...``: the deadlines as a calendar, and what was sent and moved as an Atom feed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.ledger.records import DeliveryState, Record
from alertd.core.routing.matcher import Matcher, MatchOp, parse_matcher
from alertd.errors import MatcherError
from alertd.notify.email.address import ascii_domain, mail_domain
from alertd.web.feeds.atom import MOST, FeedAddress, document, told_of_moved, told_of_sent
from alertd.web.feeds.cache import DigestBuild, FeedCache, answer
from alertd.web.feeds.calendar import CalendarContext, CalendarRequest, calendar
from alertd.web.server.access import Endpoint, Principal, RequestRefused, needs, visitor_of
from alertd.web.server.authenticate import Authenticator, PresentedCredential
from alertd.web.server.context import Site, site_of

CALENDAR = "text/calendar; charset=utf-8"
ATOM = "application/atom+xml; charset=utf-8"
MAX_LABELS = 20
MAX_LABEL = 200


@needs(Scope.FEED)
async def ics(request: Request) -> Response:
    """``/feeds/all.ics`` and ``/feeds/timelines/{timeline}.ics``."""
    site, timeline = site_of(request), request.path_params.get("timeline", "")
    asked = CalendarRequest(timeline=timeline, labels=_labels(request), rings=_rings(request))

    async def make(now: datetime) -> tuple[bytes, datetime | None]:
        touched = await site.ledger.touched(timeline)
        if timeline and not touched:
            raise _unknown(timeline)
        around = CalendarContext(now=now, host=_host(site), base=site.web.external_url)
        # In a thread, since the loop is the daemon's: no reminder waits while somebody reads.
        made = await asyncio.to_thread(calendar, touched, asked, around)
        return made.content, made.fresh_until

    name = "\n".join(("ics", timeline, str(asked.rings), *map(str, asked.labels)))
    return await _answer(request, name, make, CALENDAR)


@needs(Scope.FEED)
async def atom(request: Request) -> Response:
    """``/feeds/all.atom`` and ``/feeds/timelines/{timeline}.atom``."""
    site, timeline = site_of(request), request.path_params.get("timeline", "")
    # A reader that finds where a document stands may hand it on: a secret is not in it.
    path = "" if came_by_secret(request) else request.url.path

    async def make(_now: datetime) -> tuple[bytes, datetime | None]:
        return await _document(site, timeline, path), None

    return await _answer(request, f"atom\n{timeline}\n{path}", make, ATOM)


async def _answer(request: Request, name: str, make: DigestBuild, kind: str) -> Response:
    kept: FeedCache = request.app.state.feeds
    feed = await kept.feed(name, make)
    # It may be kept, and is asked for each time: what has moved is seen with the next look.
    cache = "private, no-cache"
    return answer(request, feed.content, kind=kind, etag=feed.etag, cache=cache, modified=feed.modified)


async def _document(site: Site, timeline: str, path: str) -> bytes:
    ledger, prefix = site.ledger, f"{timeline}/" if timeline else ""
    found = await ledger.deliveries(state=DeliveryState.SENT, text=prefix, limit=MOST)
    # A text is found within ids too.
    sent = [one for one in found if not prefix or any(owed.milestone.startswith(prefix) for owed in one[2])]
    moved = await ledger.history(limit=MOST, timeline=timeline, kind="moved")
    carried = [owed.milestone for _, _, members in sent for owed in members]
    records = await ledger.records_of([*carried, *(one.milestone for one in moved)])
    title = await _title(site, timeline, records.values())
    place = FeedAddress(
        timeline=timeline,
        title=title,
        host=_host(site),
        base=site.web.external_url,
        path=path,
        since=site.started_at,
    )
    entries = [told_of_sent(one, records) for one in sent]
    entries += [told_of_moved(one, records.get(one.milestone)) for one in moved]
    return await asyncio.to_thread(document, entries, place)


async def _title(site: Site, timeline: str, records: Iterable[Record]) -> str:
    """What the feed is called. Raises Refusal when there is no such timeline."""
    if not timeline:
        return "Reminders and moves"
    for record in records:
        if record.milestone.timeline == timeline and record.milestone.timeline_title:
            return record.milestone.timeline_title
    definitions = site.definitions()
    titles = {one.id: one.title for one in definitions.timelines} if definitions else {}
    if timeline not in titles and timeline not in await site.ledger.timelines():
        raise _unknown(timeline)
    return titles.get(timeline) or timeline


def _unknown(timeline: str) -> RequestRefused:
    return RequestRefused(404, f"no timeline {timeline[:200]!r} is known")


def _host(site: Site) -> str:
    """The domain that ids are made of, the same as in mails: an entry of either is one in a calendar."""
    return ascii_domain(mail_domain(site.config.smtp.sender)) if site.config else "localhost"


def _rings(request: Request) -> bool:
    given = request.query_params.get("alarms", "yes")
    if given not in ("yes", "no"):
        raise RequestRefused(400, "alarms is yes or no")
    return given == "yes"


def _labels(request: Request) -> tuple[Matcher, ...]:
    """What ``?label=country=iraq`` asks for, all of which must match; their order is nothing."""
    given = request.query_params.getlist("label")
    if len(given) > MAX_LABELS or any(len(one) > MAX_LABEL for one in given):
        raise RequestRefused(
            400, f"more than {MAX_LABELS} labels, or one of more than {MAX_LABEL} characters"
        )
    try:
        found = [parse_matcher(one) for one in given]
    except MatcherError as error:
        raise RequestRefused(
            400, f"the label {error.text[:MAX_LABEL]!r} cannot be read: {error.reason}"
        ) from None
    if any(one.op in (MatchOp.REGEX, MatchOp.NOT_REGEX) for one in found):
        # Whoever writes the configuration is trusted with expressions; whoever reads a feed is not.
        raise RequestRefused(400, "a label is asked for by = or !=, as in country=iraq")
    return tuple(sorted(found, key=str))


BY_ADDRESS = "address"
"""How such a visitor has come in."""


def by_secret(endpoint: Endpoint) -> Endpoint:
    """The same endpoint for whoever knows a secret."""

    @needs(Scope.PUBLIC)
    @wraps(endpoint)
    async def guarded(request: Request) -> Response:
        await _admit(request)
        return await endpoint(request)

    return guarded


def came_by_secret(request: Request) -> bool:
    """Whether a secret stands in the address that was asked for."""
    return visitor_of(request).how == BY_ADDRESS


async def _admit(request: Request) -> None:
    doorkeeper: Authenticator = request.state.doorkeeper
    stranger = visitor_of(request)
    try:
        shown = PresentedCredential(secret=request.path_params["secret"])
        one = await doorkeeper.check(shown, stranger.address, BY_ADDRESS)
    except RequestRefused as refusal:
        if refusal.status_code != 401:
            raise
        # Not 401: a calendar would ask its owner for a password that does not exist.
        raise RequestRefused(404, "there is no such feed; its secret may have been dropped") from None
    if one.scope is not Scope.FEED:
        raise RequestRefused(403, "only a token of the scope feed may stand in an address")
    request.state.visitor = Principal(
        name=one.name, scope=one.scope, how=BY_ADDRESS, session=stranger.session, address=stranger.address
    )
