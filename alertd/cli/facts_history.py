"""What the ledger holds, for programs: history entries and deliveries as plain values."""

from __future__ import annotations

from collections.abc import Sequence

from alertd.cli.paper import utc_or_none, utc_text
from alertd.core.ledger import Attempt, Delivery, HistoryEntry, Owed


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
    delivery: Delivery, attempts: Sequence[Attempt], members: Sequence[Owed]
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
