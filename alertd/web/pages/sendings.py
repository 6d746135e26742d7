"""Describes deliveries for the pages: in words, with links to the milestones that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from alertd.core.explain.words import describe_offset, describe_state, format_local
from alertd.core.ledger.records import Attempt, Delivery, DeliveryState, Record, ScheduledReminder
from alertd.core.message.digest import name_digest
from alertd.core.message.reasons import describe_reason
from alertd.core.words import capitalize, join_with_and

LOOKS = {"superseded": "dropped", "suppressed": "dropped"}
"""The look of a state, where it differs from the name of the state."""

MOST_ABOUT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A milestone of which a delivery carries reminders."""

    milestone: str
    title: str
    which: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine:
    """One attempt to send a delivery, described."""

    number: int
    at: datetime
    when: str
    took: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One delivery, described.

    Attributes:
        state: the state in words, such as ``retrying`` for a ready delivery that has been tried.
        look: the name of the icon and the colour.
        about: the milestones that it carries, in the order of the message.
        subject: the headline of a notice or a digest; "" for reminders.
        at: when it was settled; until then, when it was created.
        again: the time of the next attempt, in words; "" if there is none.
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


def make_sendings(
    found: Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]],
    records: Mapping[str, Record],
    zone: ZoneInfo,
) -> list[Sending]:
    """Describe deliveries, in the order in which the ledger returns them.

    Args:
        records: the records of the milestones by full id, for their titles.
        zone: the time zone in which times are shown.
    """
    return [_make_sending(*delivery, records, zone) for delivery in found]


def _make_sending(
    delivery: Delivery,
    tries: Sequence[Attempt],
    members: Sequence[ScheduledReminder],
    records: Mapping[str, Record],
    zone: ZoneInfo,
) -> Sending:
    state = describe_state(delivery)
    at = delivery.settled_at or delivery.bound_at
    waits = delivery.state is DeliveryState.READY
    subject = delivery.notice.headline if delivery.notice else capitalize(name_digest(delivery))
    return Sending(
        id=delivery.id,
        receiver=delivery.receiver,
        channel=delivery.channel,
        state=state,
        look=LOOKS.get(state, state),
        about=_make_about(members, records),
        subject=subject,
        at=at,
        when=format_local(at, zone),
        again=format_local(delivery.next_at, zone) if waits else "",
        reason=describe_reason(delivery.reason) if delivery.state is not DeliveryState.SENT else "",
        fallback_for=delivery.fallback_for,
        tries=[_make_tried(attempt, zone) for attempt in tries],
    )


def _make_about(members: Sequence[ScheduledReminder], records: Mapping[str, Record]) -> list[About]:
    slots: dict[str, list[str]] = {}
    for reminder in members:
        slots.setdefault(reminder.milestone, []).append(describe_offset(reminder.offset))
    return [
        About(
            milestone=name,
            title=records[name].milestone.title if name in records else name,
            which=join_with_and(list(dict.fromkeys(which))),
        )
        for name, which in slots.items()
    ]


def _make_tried(attempt: Attempt, zone: ZoneInfo) -> AttemptLine:
    return AttemptLine(
        number=attempt.number,
        at=attempt.at,
        when=format_local(attempt.at, zone),
        took=f"{attempt.took_ms:,} ms",
        outcome=attempt.outcome,
        reason=describe_reason(attempt.reason),
    )
