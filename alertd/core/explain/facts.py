"""Plans, records and explanations for programs, as plain values for JSON.

Instants are texts in UTC, and windows are half-open. This module declares each shape once, and the
description of the API is made from these declarations. A later version may add members to a shape, but never
removes any within ``v1`` of the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict

from alertd.core.explain.explanation import Explanation
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Record,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.message.claims import make_claim_lines
from alertd.core.message.reasons import describe_hold, describe_reason
from alertd.core.milestones.fields import FieldFacts, collect_field_values, make_field_facts
from alertd.core.milestones.milestone import Milestone, Rank, State, compute_state, is_contested
from alertd.core.milestones.status import MilestoneStatus
from alertd.core.planning.plan import Planned
from alertd.core.reason import AwaitedDigest
from alertd.core.shape import Count, Doc, Instant

CauseText = Annotated[
    str, Doc("Why the message exists: opens, approaching, due, overdue, moved, done, and others.")
]
LabelTexts = dict[str, str]


class ClaimFacts(TypedDict):
    """One deadline as its sources give it."""

    deadline: Annotated[str, Doc("The deadline in canonical EDTF.")]
    phrase: Annotated[str, Doc("The deadline as people read it: by September 2026.")]
    rank: Rank
    live: Annotated[bool, Doc("False for a claim that never reminds.")]
    status: Annotated[str, Doc("How far away or how long past its window is, in words.")]
    sources: Annotated[list[str], Doc("The ids of its sources in the file.")]
    note: str
    derived: Annotated[str, Doc("How a relative deadline was computed; empty for any other.")]
    window: Annotated[str, Doc("The id of its window; empty when it has none.")]
    begins: Annotated[Instant | None, Doc("The first instant of the window; null when it has none.")]
    ends: Annotated[Instant | None, Doc("The first instant after the window; null when it has none.")]


class StandingFacts(TypedDict):
    """The actions of people that are in force."""

    acknowledged_until: Instant | None
    acknowledged_by: str
    snoozed_until: Instant | None
    snoozed_by: str
    done_on: Annotated[str, Doc(format="date")] | None
    done_by: str
    evidence: str
    cancelled: bool
    cancelled_by: str


class MilestoneFacts(FieldFacts):
    """A milestone at one instant."""

    milestone: Annotated[str, Doc("Its full id, timeline/name.")]
    timeline: str
    title: str
    file: str
    timezone: str
    at: Annotated[Instant, Doc("The instant that the other members describe.")]
    state: State
    contested: Annotated[bool, Doc("Its live claims of the best rank have different windows.")]
    tentative: Annotated[bool, Doc("It is agreed but not signed.")]
    revision: Annotated[int, Doc("Raised each time that its dates change.", minimum=1)]
    changed_at: Instant
    claims: list[ClaimFacts]
    standing: StandingFacts


class PlannedFacts(TypedDict):
    """A reminder that is planned for one receiver."""

    at: Annotated[Instant, Doc("When it is sent.")]
    milestone: Annotated[str, Doc("The full id of its milestone.")]
    cause: CauseText
    offset: Annotated[str, Doc("Which reminder it is, such as -7d, 0d, +1d or opens.")]
    deadline: Annotated[str, Doc("The deadline in canonical EDTF.")]
    sources: Annotated[list[str], Doc("The ids of the sources that give this deadline.")]
    receiver: str
    key: Annotated[str, Doc("What tells this reminder from all others; it is in no message.")]
    due: NotRequired[Annotated[Instant, Doc("When it is due; there only when it is sent later.")]]
    digest: NotRequired[Annotated[str, Doc("The digest that it waits for.")]]
    muted_by: NotRequired[Annotated[str, Doc("What else it waits for.")]]


class ReminderFacts(PlannedFacts):
    """A reminder to one receiver, planned or past, and the route by which it goes."""

    route: Annotated[str, Doc("The path of the route in alertd.yaml.")]
    matchers: list[str]
    group: LabelTexts
    overtaken: NotRequired[Annotated[bool, Doc("A later reminder is due by now, so this one is not sent.")]]
    state: NotRequired[ReminderState]
    reason: NotRequired[str]
    told_at: NotRequired[Instant | None]


class EntryFacts(TypedDict):
    """Something that happened to a milestone."""

    type: Literal["entry"]
    at: Instant
    milestone: str
    kind: str
    by: Annotated[str, Doc("Who did it; empty for alertd itself.")]
    why: str
    facts: LabelTexts


class CarriedFacts(TypedDict):
    """An occurrence that a delivery carries."""

    milestone: str
    cause: CauseText
    offset: str
    at: Instant
    key: str


class AttemptFacts(TypedDict):
    """One try to send a delivery."""

    number: Count
    at: Instant
    took_ms: Count
    outcome: Annotated[str, Doc("sent, retry, unknown or rejected")]
    reason: str


class DeliveryFacts(TypedDict):
    """What goes, or went, to one notifier of one receiver in one message."""

    type: Literal["delivery"]
    at: Annotated[Instant, Doc("When it was settled, or else written down.")]
    id: str
    channel: Annotated[str, Doc("receiver/notifier")]
    state: DeliveryState
    reason: str
    bound_at: Annotated[Instant, Doc("When it was written down.")]
    next_at: Annotated[Instant | None, Doc("When it is tried next; null once it is settled.")]
    settled_at: Instant | None
    fallback_for: Annotated[str, Doc("The delivery that failed and that this one replaces; empty for none.")]
    notice: Annotated[str, Doc("The headline of a notice to the operator; empty for any other.")]
    digest: Annotated[str, Doc("The name of the digest that it is; empty for any other.")]
    carries: list[CarriedFacts]
    attempts: list[AttemptFacts]


PolicyFacts = TypedDict(
    "PolicyFacts",
    {
        "name": str,
        "from": Annotated[str, Doc("Where the policy is written, in words.")],
    },
)
PolicyFacts.__doc__ = "A policy, and where it is written."


class ExplanationFacts(FieldFacts):
    """Everything that ``alertd explain`` says of a milestone."""

    milestone: str
    title: str
    file: str
    timezone: str
    at: Instant
    state: State
    contested: bool
    tentative: bool
    policy: PolicyFacts
    claims: list[ClaimFacts]
    reminders: list[ReminderFacts]
    next: PlannedFacts | None
    kept: NotRequired[bool]
    instances: NotRequired[list[str]]
    deliveries: NotRequired[list[DeliveryFacts]]
    history: NotRequired[list[EntryFacts]]


def format_utc(at: datetime) -> str:
    """Format an aware instant as ``2026-09-23T06:00:00Z``, with a fraction of a second if there is one."""
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def format_utc_or_none(at: datetime | None) -> str | None:
    return None if at is None else format_utc(at)


def make_planned_facts(planned: Planned) -> PlannedFacts:
    """Make the facts about a planned reminder. ``due`` and the rule are present only if it is deferred."""
    occurrence = planned.occurrence
    facts: PlannedFacts = {
        "at": format_utc(planned.at),
        "milestone": occurrence.milestone,
        "cause": occurrence.cause.value,
        "offset": occurrence.offset,
        "deadline": occurrence.stated.claims[0].deadline.edtf,
        "sources": list(occurrence.stated.source_ids),
        "receiver": planned.receiver,
        "key": planned.key,
    }
    if planned.muted_by:
        facts["due"] = format_utc(occurrence.at)
        if isinstance(planned.muted_by, AwaitedDigest):
            facts["digest"] = planned.muted_by.digest
        else:
            facts["muted_by"] = describe_hold(planned.muted_by)
    return facts


def make_entry_facts(entry: HistoryEntry) -> EntryFacts:
    """Make the facts about an entry of a milestone's history."""
    return {
        "type": "entry",
        "at": format_utc(entry.at),
        "milestone": entry.milestone,
        "kind": entry.kind,
        "by": entry.by,
        "why": entry.why,
        "facts": dict(entry.facts),
    }


def make_delivery_facts(
    delivery: Delivery, attempts: Sequence[Attempt], members: Sequence[ScheduledReminder]
) -> DeliveryFacts:
    """Make the facts about a delivery, its attempts and the reminders that it carries."""
    return {
        "type": "delivery",
        "at": format_utc(delivery.settled_at or delivery.bound_at),
        "id": delivery.id,
        "channel": delivery.channel,
        "state": delivery.state,
        "reason": describe_reason(delivery.reason),
        "bound_at": format_utc(delivery.bound_at),
        "next_at": format_utc_or_none(delivery.next_at if delivery.settled_at is None else None),
        "settled_at": format_utc_or_none(delivery.settled_at),
        "fallback_for": delivery.fallback_for,
        "notice": delivery.notice.headline if delivery.notice else "",
        "digest": delivery.edition.name if delivery.edition else "",
        "carries": [
            {
                "milestone": member.milestone,
                "cause": member.cause.value,
                "offset": member.offset,
                "at": format_utc(member.at),
                "key": member.key,
            }
            for member in members
        ],
        "attempts": [
            {
                "number": attempt.number,
                "at": format_utc(attempt.at),
                "took_ms": attempt.took_ms,
                "outcome": attempt.outcome,
                "reason": describe_reason(attempt.reason),
            }
            for attempt in attempts
        ],
    }


def make_explanation_facts(found: Explanation, others: Sequence[str]) -> ExplanationFacts:
    """Make the facts of an explanation.

    Args:
        others: ids of the next instances of the milestone's series.
    """
    milestone = found.milestone
    facts: ExplanationFacts = {
        "milestone": milestone.id,
        "title": milestone.title,
        "file": found.file,
        "timezone": milestone.zone.key,
        **make_field_facts(collect_field_values(milestone)),  # type: ignore[typeddict-item]  # no field is optional
        "at": format_utc(found.at),
        "state": found.state,
        "contested": is_contested(milestone),
        "tentative": milestone.tentative,
        "policy": {"name": milestone.policy.name, "from": found.policy_from},
        "claims": make_claim_facts(milestone, found.at, found.done_on),
        "reminders": [_make_reminder_facts(planned, found) for planned in found.reminders],
        "next": make_planned_facts(found.next) if found.next else None,
    }
    if found.is_kept:
        facts["kept"] = True
    if others:
        facts["instances"] = list(others)
    if found.done is not None:
        facts["deliveries"] = [make_delivery_facts(*carried) for carried in found.done.deliveries]
        facts["history"] = [make_entry_facts(entry) for entry in found.done.history]
    return facts


def make_record_facts(record: Record, now: datetime) -> MilestoneFacts:
    """Make the facts about a milestone at ``now``, an aware UTC instant."""
    milestone, status = record.milestone, record.status
    return {
        "milestone": milestone.id,
        "timeline": milestone.timeline,
        "title": milestone.title,
        **make_field_facts(collect_field_values(milestone)),
        "file": record.file,
        "timezone": milestone.zone.key,
        "at": format_utc(now),
        "state": compute_state(milestone, status, now),
        "contested": is_contested(milestone),
        "tentative": milestone.tentative,
        "revision": record.revision,
        "changed_at": format_utc(record.changed_at),
        "claims": make_claim_facts(milestone, now, status.done_on),
        "standing": make_status_facts(status, now),
    }


def make_status_facts(status: MilestoneStatus, now: datetime) -> StandingFacts:
    """Make the facts about the actions of people that are in force at ``now``, an aware UTC instant."""
    acknowledged = status.ack_until is not None and now < status.ack_until
    snoozed = status.snooze_until is not None and now < status.snooze_until
    return {
        "acknowledged_until": format_utc_or_none(status.ack_until) if acknowledged else None,
        "acknowledged_by": status.ack_by if acknowledged else "",
        "snoozed_until": format_utc_or_none(status.snooze_until) if snoozed else None,
        "snoozed_by": status.snooze_by if snoozed else "",
        "done_on": status.done_on.isoformat() if status.done_on else None,
        "done_by": status.done_by,
        "evidence": status.evidence,
        "cancelled": status.cancelled,
        "cancelled_by": status.cancelled_by,
    }


def make_claim_facts(milestone: Milestone, at: datetime, done_on: date | None) -> list[ClaimFacts]:
    """Make the facts about all claims of a milestone.

    Args:
        at: the instant that the statuses describe, an aware UTC instant.
        done_on: the local date on which the milestone was done; None if it is not done.
    """
    return [
        {
            "deadline": line.edtf,
            "phrase": line.phrase,
            "rank": Rank(line.rank),
            "live": line.live,
            "status": line.status,
            "sources": [account.id for account in line.accounts],
            "note": line.note,
            "derived": line.derived,
            "window": line.window_id,
            "begins": format_utc_or_none(line.begins),
            "ends": format_utc_or_none(line.ends),
        }
        for line in make_claim_lines(milestone, at, "", done_on)
    ]


def _make_reminder_facts(planned: Planned, found: Explanation) -> ReminderFacts:
    owed = found.done.owed.get(planned.key) if found.done else None
    # mypy assumes that an unpacked PlannedFacts might hold further keys, such as those that are optional
    # here.
    facts: ReminderFacts = {
        **make_planned_facts(planned),  # type: ignore[typeddict-item]
        "route": planned.match.path,
        "matchers": [str(matcher) for matcher in planned.match.matchers],
        "group": dict(planned.group),
    }
    if planned.key in found.overtaken:
        facts["overtaken"] = True
    if owed is not None:
        facts["state"] = owed.state
        facts["reason"] = describe_reason(owed.reason)
        facts["told_at"] = format_utc_or_none(owed.told_at)
    return facts
