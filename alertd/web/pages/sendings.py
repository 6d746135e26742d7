"""Deliveries as the pages show them: in words, with links to what they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from alertd.core.explain.words import local_text, state_words, when_words
from alertd.core.ledger.records import Attempt, Delivery, DeliveryState, Record, ScheduledReminder
from alertd.core.message.digest import digest_words
from alertd.core.words import capital, listing

LOOKS = {"superseded": "dropped", "suppressed": "dropped"}
"""What looks like what, beside what looks like itself."""

MOST_ABOUT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A milestone that a delivery carries reminders of."""

    milestone: str
    title: str
    which: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine:
    """One attempt."""

    number: int
    at: datetime
    when: str
    took: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One delivery.

    Attributes:
        state: in words: ``retrying`` for what is ready and was tried.
        look: the name of its icon and colour.
        about: what it carries, in the order in which it does.
        subject: what a notice or a digest is called; "" for reminders.
        at: when it ended, or was written down.
        again: when it is tried again; "" when it is not.
    """

    id: str
    receiver: str
    channel: str
    state: str
    look: str
    about: Sequence[About]
    subject: str
    at: datetime
    when: str
    again: str
    reason: str
    fallback_for: str
    tries: Sequence[AttemptLine]


def sendings_of(
    found: Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]],
    records: Mapping[str, Record],
    zone: ZoneInfo,
) -> list[Sending]:
    """Deliveries as the ledger gives them, in the same order.

    Args:
        records: by full id, for their titles.
        zone: what times are told in.
    """
    return [_sending(*one, records, zone) for one in found]


def _sending(
    delivery: Delivery,
    tries: Sequence[Attempt],
    members: Sequence[ScheduledReminder],
    records: Mapping[str, Record],
    zone: ZoneInfo,
) -> Sending:
    state = state_words(delivery)
    at = delivery.settled_at or delivery.bound_at
    waits = delivery.state is DeliveryState.READY
    subject = delivery.notice.headline if delivery.notice else capital(digest_words(delivery))
    return Sending(
        id=delivery.id,
        receiver=delivery.receiver,
        channel=delivery.channel,
        state=state,
        look=LOOKS.get(state, state),
        about=_about(members, records),
        subject=subject,
        at=at,
        when=local_text(at, zone),
        again=local_text(delivery.next_at, zone) if waits else "",
        reason=delivery.reason if delivery.state is not DeliveryState.SENT else "",
        fallback_for=delivery.fallback_for,
        tries=[_tried(one, zone) for one in tries],
    )


def _about(members: Sequence[ScheduledReminder], records: Mapping[str, Record]) -> list[About]:
    slots: dict[str, list[str]] = {}
    for one in members:
        slots.setdefault(one.milestone, []).append(when_words(one.offset))
    return [
        About(
            milestone=name,
            title=records[name].milestone.title if name in records else name,
            which=listing(list(dict.fromkeys(which))),
        )
        for name, which in slots.items()
    ]


def _tried(one: Attempt, zone: ZoneInfo) -> AttemptLine:
    return AttemptLine(
        number=one.number,
        at=one.at,
        when=local_text(one.at, zone),
        took=f"{one.took_ms:,} ms",
        outcome=one.outcome,
        reason=one.reason,
    )
