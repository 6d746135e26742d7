"""What is planned, done and explained, for programs: plain values that JSON can hold.

Instants are UTC texts, windows half-open.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from alertd.core.deadline import window_of
from alertd.core.explain.explanation import Explanation
from alertd.core.ledger.records import Attempt, Delivery, HistoryEntry, Record, ScheduledReminder
from alertd.core.message.claims import claim_lines
from alertd.core.milestones.milestone import Milestone, is_contested, state_of
from alertd.core.milestones.status import MilestoneStatus
from alertd.core.planning.plan import Planned


def utc_text(at: datetime) -> str:
    """``2026-09-23T06:00:00Z``; a fraction of a second only where there is one."""
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def utc_or_none(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at)


def planned_facts(planned: Planned) -> dict[str, object]:
    """A line of the contract in design section 10; ``due``, and why, only where it is deferred."""
    one = planned.occurrence
    facts: dict[str, object] = {
        "at": utc_text(planned.at),
        "milestone": one.milestone,
        "cause": one.cause.value,
        "offset": one.offset,
        "deadline": one.stated.claims[0].deadline.edtf,
        "sources": list(one.stated.source_ids),
        "receiver": planned.receiver,
        "key": planned.key,
    }
    if planned.muted_by:
        facts |= {"due": utc_text(one.at)}
        kind, _, name = planned.muted_by.partition(": ")
        facts |= {"digest": name} if kind == "digest" else {"muted_by": planned.muted_by}
    return facts


def entry_facts(entry: HistoryEntry) -> dict[str, object]:
    """A thing that happened to a milestone."""
    return {
        "type": "entry",
        "at": utc_text(entry.at),
        "milestone": entry.milestone,
        "kind": entry.kind,
        "by": entry.by,
        "why": entry.why,
        "facts": dict(entry.facts),
    }


def delivery_facts(
    delivery: Delivery, attempts: Sequence[Attempt], members: Sequence[ScheduledReminder]
) -> dict[str, object]:
    """A delivery with its attempts and what it carries."""
    return {
        "type": "delivery",
        "at": utc_text(delivery.settled_at or delivery.bound_at),
        "id": delivery.id,
        "channel": delivery.channel,
        "state": delivery.state.value,
        "reason": delivery.reason,
        "bound_at": utc_text(delivery.bound_at),
        "next_at": utc_or_none(delivery.next_at if delivery.settled_at is None else None),
        "settled_at": utc_or_none(delivery.settled_at),
        "fallback_for": delivery.fallback_for,
        "notice": delivery.notice.headline if delivery.notice else "",
        "digest": delivery.edition.name if delivery.edition else "",
        "carries": [
            {
                "milestone": one.milestone,
                "cause": one.cause.value,
                "offset": one.offset,
                "at": utc_text(one.at),
                "key": one.key,
            }
            for one in members
        ],
        "attempts": [
            {
                "number": one.number,
                "at": utc_text(one.at),
                "took_ms": one.took_ms,
                "outcome": one.outcome,
                "reason": one.reason,
            }
            for one in attempts
        ],
    }


def explanation_facts(found: Explanation, others: Sequence[str]) -> dict[str, object]:
    """Everything that ``alertd explain`` says, as one object.

    Args:
        others: ids of the instances of its series that come next.
    """
    milestone = found.milestone
    facts: dict[str, object] = {
        "milestone": milestone.id,
        "title": milestone.title,
        "file": found.file,
        "timezone": milestone.zone.key,
        "labels": dict(milestone.labels),
        "at": utc_text(found.at),
        "state": found.state.value,
        "contested": is_contested(milestone),
        "tentative": milestone.tentative,
        "policy": {"name": milestone.policy.name, "from": found.policy_from},
        "claims": claims_facts(milestone, found.at, found.done_on),
        "reminders": [_reminder(one, found) for one in found.reminders],
        "next": planned_facts(found.next) if found.next else None,
    }
    if found.is_kept:
        facts["kept"] = True
    if others:
        facts["instances"] = list(others)
    if found.done is not None:
        facts["deliveries"] = [delivery_facts(*one) for one in found.done.deliveries]
        facts["history"] = [entry_facts(one) for one in found.done.history]
    return facts


def record_facts(record: Record, now: datetime) -> dict[str, object]:
    """A milestone as it stands at ``now``."""
    milestone, standing = record.milestone, record.standing
    return {
        "milestone": milestone.id,
        "timeline": milestone.timeline,
        "title": milestone.title,
        "description": milestone.description,
        "url": milestone.url,
        "file": record.file,
        "timezone": milestone.zone.key,
        "labels": dict(milestone.labels),
        "at": utc_text(now),
        "state": state_of(milestone, standing, now).value,
        "contested": is_contested(milestone),
        "tentative": milestone.tentative,
        "revision": record.revision,
        "changed_at": utc_text(record.changed_at),
        "claims": claims_facts(milestone, now, standing.done_on),
        "standing": standing_facts(standing, now),
    }


def standing_facts(standing: MilestoneStatus, now: datetime) -> dict[str, object]:
    """What people have said and what holds at ``now``."""
    acknowledged = standing.ack_until is not None and now < standing.ack_until
    snoozed = standing.snooze_until is not None and now < standing.snooze_until
    return {
        "acknowledged_until": utc_or_none(standing.ack_until) if acknowledged else None,
        "acknowledged_by": standing.ack_by if acknowledged else "",
        "snoozed_until": utc_or_none(standing.snooze_until) if snoozed else None,
        "snoozed_by": standing.snooze_by if snoozed else "",
        "done_on": standing.done_on.isoformat() if standing.done_on else None,
        "done_by": standing.done_by,
        "evidence": standing.evidence,
        "cancelled": standing.cancelled,
        "cancelled_by": standing.cancelled_by,
    }


def claims_facts(milestone: Milestone, at: datetime, done_on: date | None) -> list[dict[str, object]]:
    """All claims of a milestone, and where each stands."""
    windows = {
        (claim.deadline.edtf, claim.rank.value): window_of(claim.deadline, milestone.zone, claim.reading).id
        for claim in milestone.claims
    }
    return [
        {
            "deadline": line.edtf,
            "phrase": line.phrase,
            "rank": line.rank,
            "live": line.live,
            "status": line.status,
            "sources": [account.id for account in line.accounts],
            "note": line.note,
            "derived": line.derived,
            "window": windows.get((line.edtf, line.rank), ""),
            "begins": utc_or_none(line.begins),
            "ends": utc_or_none(line.ends),
        }
        for line in claim_lines(milestone, at, "", done_on)
    ]


def _reminder(one: Planned, found: Explanation) -> dict[str, object]:
    owed = found.done.owed.get(one.key) if found.done else None
    facts = planned_facts(one) | {
        "route": one.match.path,
        "matchers": [str(matcher) for matcher in one.match.matchers],
        "group": dict(one.group),
    }
    if one.key in found.overtaken:
        facts["overtaken"] = True
    if owed is not None:
        facts |= {"state": owed.state.value, "reason": owed.reason, "told_at": utc_or_none(owed.told_at)}
    return facts
