"""Composes the message of a delivery: the milestone, its deadline as given, the time left and the sources.

alertd composes a message anew at each attempt, so that the numbers of days are right when it arrives. The id
and the members of the delivery stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from alertd.core.ledger.records import Delivery, Lease, ScheduledReminder
from alertd.core.message.digest import edit_digest
from alertd.core.message.headlines import cut_subject, make_subject, make_summary_subject
from alertd.core.message.item import ItemContext, make_item, rank_item
from alertd.core.message.message import Item, Kind, Message

__all__ = ["ItemContext", "compose", "make_test_message"]


def compose(
    lease: Lease, members: Sequence[ScheduledReminder], now: datetime, around: ItemContext
) -> Message:
    """Compose the message of a leased delivery.

    Args:
        members: the members that may still be sent. It is not empty unless the delivery is a notice or a
            digest.
        now: an aware UTC instant.
        around: the contents of the message that are not in the lease.
    """
    delivery = lease.delivery
    attempt, page = delivery.attempts + 1, around.links.home if around.links else ""
    if delivery.notice is not None:
        notice = delivery.notice
        return _make_message(
            delivery, Kind.NOTICE, notice.headline, now, attempt, lines=notice.lines, page=page
        )
    intro = _make_fallback_intro(delivery)
    if delivery.edition is not None:
        made = edit_digest(lease, delivery.edition, members, now, around)
        return _make_message(
            delivery,
            Kind.DIGEST,
            made.subject,
            now,
            attempt,
            items=made.items,
            lines=made.lines,
            intro=f"{intro} {made.intro}".strip(),
            page=page,
        )
    by_milestone: dict[str, list[ScheduledReminder]] = {}
    for owed in members:
        by_milestone.setdefault(owed.milestone, []).append(owed)
    items = sorted(
        (make_item(lease.records[name], owed, delivery, now, around) for name, owed in by_milestone.items()),
        key=rank_item,
    )
    if len(items) == 1:
        ((name, its_owed),) = by_milestone.items()
        subject = make_subject(items[0], lease.records[name].milestone, its_owed, now)
        return _make_message(
            delivery, Kind.SINGLE, subject, now, attempt, items=tuple(items), intro=intro, page=page
        )
    subject = make_summary_subject(items)
    return _make_message(
        delivery, Kind.MANY, subject, now, attempt, items=tuple(items), intro=intro, page=page
    )


def make_test_message(delivery: Delivery, now: datetime) -> Message:
    """Make the message that ``alertd send-test`` sends."""
    lines = (
        f"This is a test of {delivery.channel}. No deadline is behind it.",
        "If you can read this, reminders for this receiver will reach you.",
    )
    return _make_message(delivery, Kind.TEST, "Test message from alertd", now, 1, lines=lines)


def _make_message(
    delivery: Delivery,
    kind: Kind,
    subject: str,
    now: datetime,
    attempt: int,
    *,
    items: tuple[Item, ...] = (),
    lines: tuple[str, ...] = (),
    intro: str = "",
    page: str = "",
) -> Message:
    return Message(
        id=delivery.id,
        receiver=delivery.receiver,
        channel=delivery.channel,
        kind=kind,
        subject=cut_subject(subject),
        at=now,
        since=delivery.bound_at,
        attempt=attempt,
        intro=intro,
        page=page,
        items=items,
        lines=lines,
    )


def _make_fallback_intro(delivery: Delivery) -> str:
    if not delivery.fallback_for:
        return ""
    return f"You get this in place of {delivery.fallback_for}, which could not be reached."
