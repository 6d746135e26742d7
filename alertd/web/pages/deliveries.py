"""Serves ``/deliveries``, the list of deliveries, and the page of each delivery with its message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    Lease,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.message.compose import ItemContext, compose
from alertd.core.message.message import Message
from alertd.core.planning.decide import NEWS, find_live_members
from alertd.notify.render.clean import clean_message
from alertd.notify.render.text import render_text
from alertd.web.pages.sendings import MOST_ABOUT, make_sendings
from alertd.web.server.access import RequestRefused, require_scope
from alertd.web.server.computing import compute
from alertd.web.server.context import Site, find_site
from alertd.web.server.render import render_page
from alertd.web.server.status import describe_status, find_zone

PER_PAGE = 50
MAX_TEXT = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_NEXT = 20
"""For how many milestones of a delivery the next reminder is looked up."""

FolderContents = tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]


@require_scope(Scope.READ)
async def deliveries(request: Request) -> Response:
    """List the deliveries, the newest first, filtered by state, receiver and text (``/deliveries``)."""
    site, params = find_site(request), request.query_params
    text = " ".join(params.get("text", "").split())[:MAX_TEXT]
    state = next((known for known in DeliveryState if known.value == params.get("state")), None)
    receiver = params.get("receiver", "")[:MAX_TEXT]
    before = _read_cursor(params.get("before", ""))
    found = await site.ledger.find_deliveries(
        state=state, receiver=receiver, text=text, before=before, limit=PER_PAGE + 1
    )
    shown = found[:PER_PAGE]
    carried = dict.fromkeys(owed.milestone for _, _, members in shown for owed in members[: 2 * MOST_ABOUT])
    records = await site.ledger.read_records_by_id(list(carried))
    page_status = await describe_status(site, site.clock.now())
    asked = {"text": text, "state": state.value if state else "", "receiver": receiver}
    asked = {name: value for name, value in asked.items() if value}

    def href(**more: str) -> str:
        return "?" + urlencode({name: value for name, value in {**asked, **more}.items() if value})

    names = set(site.config.receivers if site.config else ()) | ({receiver} if receiver else set())
    return await compute(
        render_page,
        request,
        "deliveries.html",
        sendings=make_sendings(shown, records, find_zone(site)),
        most_about=MOST_ABOUT,
        text=text,
        state=asked.get("state", ""),
        states=[known.value for known in DeliveryState],
        receiver=receiver,
        receivers=sorted(names),
        href=href,
        newest=href() if before else "",
        older=href(before=_make_cursor(shown[-1][0])) if len(found) > PER_PAGE else "",
        is_narrow=bool(asked),
        zone=find_zone(site),
        page_status=page_status,
    )


@require_scope(Scope.READ)
async def delivery(request: Request) -> Response:
    """Show a delivery, its attempts and its message (``/deliveries/{name}``)."""
    site, name = find_site(request), request.path_params["name"]
    found = await site.ledger.find_deliveries(delivery=name, limit=1)
    if not found:
        raise RequestRefused(404, f"no delivery {name[:200]!r} is known")
    shown_delivery, _, members = found[0]
    shown = shown_delivery.edition.overview if shown_delivery.edition else ()
    names = list(dict.fromkeys([*(owed.milestone for owed in members), *shown]))
    records = await site.ledger.read_records_by_id(names)
    message, composed_at = await _compose_message(site, found[0], records)
    page_status = await describe_status(site, site.clock.now())

    def render() -> Response:
        return render_page(
            request,
            "delivery.html",
            delivery=shown_delivery,
            sending=make_sendings(found, records, find_zone(site))[0],
            subject=message.subject if message else "",
            text=render_text(clean_message(message)) if message else "",
            composed_at=composed_at,
            zone=find_zone(site),
            page_status=page_status,
        )

    return await compute(render)


async def _compose_message(
    site: Site, found: FolderContents, records: Mapping[str, Record]
) -> tuple[Message | None, datetime]:
    """Compose the message of a delivery, and return it with the instant as of which it is composed.

    The ledger keeps no text, so the message is composed from the present records, as each attempt does. A
    finished delivery is composed as of its last attempt. The message is None if nothing is left to send, or
    if a milestone has been deleted.
    """
    delivery, tries, members = found
    config, now = site.config, site.clock.now()
    is_over = delivery.state is not DeliveryState.READY
    at = tries[-1].at if is_over and tries else now
    if config is None or any(owed.milestone not in records for owed in members):
        return None, at
    lease = Lease(delivery=delivery, owner="", fence=0, until=at, owed=tuple(members), records=records)
    if delivery.state is DeliveryState.SENT:
        said = tuple(owed for owed in members if owed.told_at is not None) or tuple(members)
    elif is_over:
        said = tuple(members)
    else:
        said, _ = find_live_members(lease, now)
    if not said and delivery.notice is None and delivery.edition is None:
        return None, at
    around = ItemContext(route=config.route, upcoming=await _find_upcoming(site, delivery, said, at))
    return await compute(compose, lease, said, at, around), at


async def _find_upcoming(
    site: Site, delivery: Delivery, said: Sequence[ScheduledReminder], at: datetime
) -> dict[str, ScheduledReminder]:
    """Find the next reminder of each milestone after the delivery, by full id."""
    found = {}
    for name in list(dict.fromkeys(owed.milestone for owed in said))[:MOST_NEXT]:
        later = [
            owed
            for owed in await site.ledger.read_owed(name)
            if owed.receiver == delivery.receiver
            and owed.cause not in NEWS
            and owed.at > at
            and owed.state in (ReminderState.PENDING, ReminderState.BOUND)
        ]
        if later:
            found[name] = later[0]
    return found


def _make_cursor(delivery: Delivery) -> str:
    """Make the cursor of the page that begins after a delivery, for its address."""
    return f"{round((delivery.bound_at - EPOCH) / timedelta(microseconds=1))}-{delivery.id}"


def _read_cursor(text: str) -> tuple[datetime, str] | None:
    micros, dash, name = text.partition("-")
    if not dash or not micros.isascii() or not micros.isdigit() or len(micros) > 17:
        return None
    return EPOCH + timedelta(microseconds=int(micros)), name[:MAX_TEXT]
