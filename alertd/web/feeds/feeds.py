"""Serves ``/feeds/...``: the deadlines as a calendar, and sent reminders and moves as an Atom feed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.ledger.records import DeliveryState, Record
from alertd.core.routing.matcher import Matcher, MatchOp, parse_matcher
from alertd.errors import MatcherError
from alertd.notify.email.address import encode_domain, find_mail_domain
from alertd.web.feeds.atom import MOST, FeedAddress, describe_delivery, describe_move, make_document
from alertd.web.feeds.cache import DigestBuild, FeedCache, answer
from alertd.web.feeds.calendar import CalendarContext, CalendarRequest, make_calendar
from alertd.web.server.access import Endpoint, Principal, RequestRefused, find_principal, require_scope
from alertd.web.server.authenticate import Authenticator, PresentedCredential
from alertd.web.server.computing import compute
from alertd.web.server.context import Site, find_site

CALENDAR = "text/calendar; charset=utf-8"
ATOM = "application/atom+xml; charset=utf-8"
MAX_LABELS = 20
MAX_LABEL = 200


@require_scope(Scope.FEED)
async def ics(request: Request) -> Response:
    """Serve a calendar (``/feeds/all.ics`` and ``/feeds/timelines/{timeline}.ics``)."""
    site, timeline = find_site(request), request.path_params.get("timeline", "")
    asked = CalendarRequest(timeline=timeline, labels=_read_labels(request), rings=_read_rings(request))

    async def make(now: datetime) -> tuple[bytes, datetime | None]:
        touched = await site.ledger.read_activity(timeline)
        if timeline and not touched:
            raise _make_unknown(timeline)
        around = CalendarContext(now=now, host=_find_host(site), base=site.web.external_url)
        # In a thread, so that the event loop stays free for the daemon and no reminder is late.
        made = await compute(make_calendar, touched, asked, around)
        return made.content, made.fresh_until

    name = "\n".join(("ics", timeline, str(asked.rings), *map(str, asked.labels)))
    return await _answer(request, name, make, CALENDAR)


@require_scope(Scope.FEED)
async def atom(request: Request) -> Response:
    """Serve an Atom feed (``/feeds/all.atom`` and ``/feeds/timelines/{timeline}.atom``)."""
    site, timeline = find_site(request), request.path_params.get("timeline", "")
    # Feed readers may publish the address that a feed names as its own, so it must not contain a secret.
    path = "" if came_by_secret(request) else request.url.path

    async def make(_now: datetime) -> tuple[bytes, datetime | None]:
        return await _make_document(site, timeline, path), None

    return await _answer(request, f"atom\n{timeline}\n{path}", make, ATOM)


async def _answer(request: Request, name: str, make: DigestBuild, kind: str) -> Response:
    kept: FeedCache = request.app.state.feeds
    feed = await kept.feed(name, make)
    # Clients may cache the feed but must revalidate it each time, so that they see a move at once.
    cache = "private, no-cache"
    return answer(request, feed.content, kind=kind, etag=feed.etag, cache=cache, modified=feed.modified)


async def _make_document(site: Site, timeline: str, path: str) -> bytes:
    ledger, prefix = site.ledger, f"{timeline}/" if timeline else ""
    found = await ledger.find_deliveries(state=DeliveryState.SENT, text=prefix, limit=MOST)
    # The ledger also finds the text inside ids, so keep only the milestones of this timeline.
    sent = [
        delivery
        for delivery in found
        if not prefix or any(owed.milestone.startswith(prefix) for owed in delivery[2])
    ]
    moved = await ledger.read_history(limit=MOST, timeline=timeline, kind="moved")
    carried = [owed.milestone for _, _, members in sent for owed in members]
    records = await ledger.read_records_by_id([*carried, *(entry.milestone for entry in moved)])
    title = await _find_title(site, timeline, records.values())
    place = FeedAddress(
        timeline=timeline,
        title=title,
        host=_find_host(site),
        base=site.web.external_url,
        path=path,
        since=site.started_at,
    )
    entries = [describe_delivery(delivery, records) for delivery in sent]
    entries += [describe_move(entry, records.get(entry.milestone)) for entry in moved]
    return await compute(make_document, entries, place)


async def _find_title(site: Site, timeline: str, records: Iterable[Record]) -> str:
    """Find the title of a feed. Raises Refusal (404) if no timeline has that id."""
    if not timeline:
        return "Reminders and moves"
    for record in records:
        if record.milestone.timeline == timeline and record.milestone.timeline_title:
            return record.milestone.timeline_title
    definitions = site.definitions()
    titles = {definition.id: definition.title for definition in definitions.timelines} if definitions else {}
    if timeline not in titles and timeline not in await site.ledger.read_timelines():
        raise _make_unknown(timeline)
    return titles.get(timeline) or timeline


def _make_unknown(timeline: str) -> RequestRefused:
    return RequestRefused(404, f"no timeline {timeline[:200]!r} is known")


def _find_host(site: Site) -> str:
    """Return the domain in the ids of entries. Mails use the same one, so that clients match the entries."""
    return encode_domain(find_mail_domain(site.config.smtp.sender)) if site.config else "localhost"


def _read_rings(request: Request) -> bool:
    given = request.query_params.get("alarms", "yes")
    if given not in ("yes", "no"):
        raise RequestRefused(400, "alarms is yes or no")
    return given == "yes"


def _read_labels(request: Request) -> tuple[Matcher, ...]:
    """Read the matchers in ``?label=country=iraq``, sorted, since their order does not matter.

    Raises:
        RequestRefused: there are too many labels, or one is too long or malformed (400).
    """
    given = request.query_params.getlist("label")
    if len(given) > MAX_LABELS or any(len(label) > MAX_LABEL for label in given):
        raise RequestRefused(
            400, f"more than {MAX_LABELS} labels, or one of more than {MAX_LABEL} characters"
        )
    try:
        found = [parse_matcher(label) for label in given]
    except MatcherError as error:
        raise RequestRefused(
            400, f"the label {error.text[:MAX_LABEL]!r} cannot be read: {error.reason}"
        ) from None
    if any(matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX) for matcher in found):
        # Only the configuration may use regular expressions: a client could send one that takes forever.
        raise RequestRefused(400, "a label is asked for by = or !=, as in country=iraq")
    return tuple(sorted(found, key=str))


BY_ADDRESS = "address"
"""The ``how`` of a principal who came with the secret."""


def guard_by_secret(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint so that a request with a valid secret in its address may use it."""

    @require_scope(Scope.PUBLIC)
    @wraps(endpoint)
    async def admit_and_serve(request: Request) -> Response:
        await _admit(request)
        return await endpoint(request)

    return admit_and_serve


def came_by_secret(request: Request) -> bool:
    """Whether the address of the request contains a secret."""
    return find_principal(request).how == BY_ADDRESS


async def _admit(request: Request) -> None:
    authenticator: Authenticator = request.state.authenticator
    anonymous = find_principal(request)
    try:
        shown = PresentedCredential(secret=request.path_params["secret"])
        credential = await authenticator.check(shown, anonymous.address, BY_ADDRESS)
    except RequestRefused as refusal:
        if refusal.status_code != 401:
            raise
        # Not 401, because a calendar program would ask its user for a password, which does not exist.
        raise RequestRefused(404, "there is no such feed; its secret may have been dropped") from None
    if credential.scope is not Scope.FEED:
        raise RequestRefused(403, "only a token of the scope feed may stand in an address")
    request.state.principal = Principal(
        name=credential.name,
        scope=credential.scope,
        how=BY_ADDRESS,
        session=anonymous.session,
        address=anonymous.address,
    )
