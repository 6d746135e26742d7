"""``/deliveries``: what was sent, what is tried again, what is dead; and one of them with its message."""

from __future__ import annotations

import asyncio
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
from alertd.core.planning.decide import NEWS, live_members
from alertd.notify.render.clean import fit
from alertd.notify.render.text import render_text
from alertd.web.pages.sendings import MOST_ABOUT, sendings_of
from alertd.web.pages.status import standing_of, zone_of
from alertd.web.server.access import RequestRefused, needs
from alertd.web.server.context import Site, site_of
from alertd.web.server.render import page

PER_PAGE = 50
MAX_TEXT = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_NEXT = 20
"""Of so many milestones it is looked up when their next reminder comes."""

FolderContents = tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]


@needs(Scope.READ)
async def deliveries(request: Request) -> Response:
    """``/deliveries``."""
    site, params = site_of(request), request.query_params
    text = " ".join(params.get("text", "").split())[:MAX_TEXT]
    state = next((one for one in DeliveryState if one.value == params.get("state")), None)
    receiver = params.get("receiver", "")[:MAX_TEXT]
    before = _read_place(params.get("before", ""))
    found = await site.ledger.deliveries(
        state=state, receiver=receiver, text=text, before=before, limit=PER_PAGE + 1
    )
    shown = found[:PER_PAGE]
    carried = dict.fromkeys(owed.milestone for _, _, members in shown for owed in members[: 2 * MOST_ABOUT])
    records = await site.ledger.records_of(list(carried))
    standing = await standing_of(site, site.clock.now())
    asked = {"text": text, "state": state.value if state else "", "receiver": receiver}
    asked = {name: value for name, value in asked.items() if value}

    def href(**more: str) -> str:
        return "?" + urlencode({name: value for name, value in {**asked, **more}.items() if value})

    names = set(site.config.receivers if site.config else ()) | ({receiver} if receiver else set())
    return await asyncio.to_thread(
        page,
        request,
        "deliveries.html",
        sendings=sendings_of(shown, records, zone_of(site)),
        most_about=MOST_ABOUT,
        text=text,
        state=asked.get("state", ""),
        states=[one.value for one in DeliveryState],
        receiver=receiver,
        receivers=sorted(names),
        href=href,
        newest=href() if before else "",
        older=href(before=_place(shown[-1][0])) if len(found) > PER_PAGE else "",
        is_narrow=bool(asked),
        zone=zone_of(site),
        standing=standing,
    )


@needs(Scope.READ)
async def delivery(request: Request) -> Response:
    """``/deliveries/{name}``."""
    site, name = site_of(request), request.path_params["name"]
    found = await site.ledger.deliveries(delivery=name, limit=1)
    if not found:
        raise RequestRefused(404, f"no delivery {name[:200]!r} is known")
    one, _, members = found[0]
    shown = one.edition.overview if one.edition else ()
    names = list(dict.fromkeys([*(owed.milestone for owed in members), *shown]))
    records = await site.ledger.records_of(names)
    message, composed_at = await _message(site, found[0], records)
    standing = await standing_of(site, site.clock.now())

    def rendered() -> Response:
        return page(
            request,
            "delivery.html",
            delivery=one,
            sending=sendings_of(found, records, zone_of(site))[0],
            subject=message.subject if message else "",
            text=render_text(fit(message)) if message else "",
            composed_at=composed_at,
            zone=zone_of(site),
            standing=standing,
        )

    return await asyncio.to_thread(rendered)


async def _message(
    site: Site, found: FolderContents, records: Mapping[str, Record]
) -> tuple[Message | None, datetime]:
    """What it says, composed anew as each attempt does, and as of when; None when it says nothing any more.

    No attempt's own text is kept. For what was sent it is as of that instant; from what the ledger holds now.
    """
    one, tries, members = found
    config, now = site.config, site.clock.now()
    is_over = one.state is not DeliveryState.READY
    at = tries[-1].at if is_over and tries else now
    if config is None or any(owed.milestone not in records for owed in members):
        return None, at
    lease = Lease(delivery=one, owner="", fence=0, until=at, owed=tuple(members), records=records)
    if one.state is DeliveryState.SENT:
        said = tuple(owed for owed in members if owed.told_at is not None) or tuple(members)
    elif is_over:
        said = tuple(members)
    else:
        said, _ = live_members(lease, now)
    if not said and one.notice is None and one.edition is None:
        return None, at
    around = ItemContext(route=config.route, upcoming=await _upcoming(site, one, said, at))
    return await asyncio.to_thread(compose, lease, said, at, around), at


async def _upcoming(
    site: Site, one: Delivery, said: Sequence[ScheduledReminder], at: datetime
) -> dict[str, ScheduledReminder]:
    """The reminder of each milestone that comes after it."""
    found = {}
    for name in list(dict.fromkeys(owed.milestone for owed in said))[:MOST_NEXT]:
        later = [
            owed
            for owed in await site.ledger.owed(name)
            if owed.receiver == one.receiver
            and owed.cause not in NEWS
            and owed.at > at
            and owed.state in (ReminderState.PENDING, ReminderState.BOUND)
        ]
        if later:
            found[name] = later[0]
    return found


def _place(one: Delivery) -> str:
    """Where a page ends, for the address of the next one."""
    return f"{round((one.bound_at - EPOCH) / timedelta(microseconds=1))}-{one.id}"


def _read_place(text: str) -> tuple[datetime, str] | None:
    micros, dash, name = text.partition("-")
    if not dash or not micros.isascii() or not micros.isdigit() or len(micros) > 17:
        return None
    return EPOCH + timedelta(microseconds=int(micros)), name[:MAX_TEXT]
