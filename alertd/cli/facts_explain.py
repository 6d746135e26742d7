"""The explanation for programs: the same facts as plain values."""

from __future__ import annotations

from collections.abc import Sequence

from alertd.cli.facts_history import delivery_facts, entry_facts
from alertd.cli.paper import utc_or_none, utc_text
from alertd.cli.plan import facts_of
from alertd.cli.reasons import Explanation
from alertd.core.claims import claim_lines
from alertd.core.deadline import window_of
from alertd.core.milestone import is_contested
from alertd.core.plan import Planned


def explanation_facts(found: Explanation, others: Sequence[str]) -> dict[str, object]:
    """One object; instants are UTC, windows half-open."""
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
        "claims": _claims(found),
        "reminders": [_reminder(one, found) for one in found.reminders],
        "next": facts_of(found.next) if found.next else None,
    }
    if others:
        facts["instances"] = list(others)
    if found.done is not None:
        facts["deliveries"] = [delivery_facts(*one) for one in found.done.deliveries]
        facts["history"] = [entry_facts(one) for one in found.done.history]
    return facts


def _claims(found: Explanation) -> list[dict[str, object]]:
    windows = {
        (claim.deadline.edtf, claim.rank.value): window_of(
            claim.deadline, found.milestone.zone, claim.reading
        ).id
        for claim in found.milestone.claims
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
        for line in claim_lines(found.milestone, found.at, "", found.done_on)
    ]


def _reminder(one: Planned, found: Explanation) -> dict[str, object]:
    owed = found.done.owed.get(one.key) if found.done else None
    facts = facts_of(one) | {
        "route": one.match.path,
        "matchers": [str(matcher) for matcher in one.match.matchers],
        "group": dict(one.group),
    }
    if one.key in found.overtaken:
        facts["overtaken"] = True
    if owed is not None:
        facts |= {"state": owed.state.value, "reason": owed.reason, "told_at": utc_or_none(owed.told_at)}
    return facts
