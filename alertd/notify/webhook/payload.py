"""The body of a webhook: every fact of a message as JSON, for programs.

Within a version, names are only ever added. Instants are ISO 8601 in UTC with ``Z``. A window is half-open;
an end that it does not have is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from alertd.core.ledger.records import Move, Value
from alertd.core.message.message import Account, ClaimLine, Item, Kind, Message

VERSION = 1


def body_of(message: Message) -> bytes:
    """UTF-8, one line, keys in a fixed order: the same message gives the same bytes.

    How often it was tried is not in it. A retry is composed anew, so that its numbers of days are true:
    ``data.composed`` and what counts from it may differ under the same id; ``timestamp`` may not.
    """
    return json_bytes(payload_of(message))


def json_bytes(value: object) -> bytes:
    """Compact JSON, all of it ASCII."""
    # Half a surrogate pair, or a line separator, passes every parser as an escape.
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def payload_of(message: Message) -> dict[str, Any]:
    """The body as values. ``data.id`` is the delivery's id, the same as in the header."""
    return {
        "version": VERSION,
        "type": type_of(message),
        "timestamp": instant(message.since),
        "data": {
            "id": message.id,
            "composed": instant(message.at),
            "receiver": message.receiver,
            "channel": message.channel,
            "subject": message.subject,
            "intro": message.intro,
            "page": message.page,
            "lines": list(message.lines),
            "items": [item_of(item) for item in message.items],
        },
    }


def type_of(message: Message) -> str:
    """``milestone.`` and the cause, or what else it is: ``milestones.digest``, ``alertd.notice``."""
    match message.kind:
        case Kind.SINGLE:
            return f"milestone.{message.items[0].cause.value}"
        case Kind.MANY:
            return "milestones.many"
        case Kind.DIGEST:
            return "milestones.digest"
        case Kind.NOTICE:
            return "alertd.notice"
        case Kind.TEST:
            return "alertd.test"


def instant(at: datetime | None) -> str | None:
    """``2026-11-24T06:00:00Z``; fractions only when there are any."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def item_of(item: Item) -> dict[str, Any]:
    """One milestone of the body."""
    return {
        "milestone": item.milestone,
        "timeline": item.timeline,
        "timeline_title": item.timeline_title,
        "title": item.title,
        "description": item.description,
        "url": item.url,
        "labels": _sorted(item.labels),
        "cause": item.cause.value,
        "offset": item.offset,
        "state": item.state.name.lower(),
        "contested": item.contested,
        "tentative": item.tentative,
        "revision": item.revision,
        "zone": item.zone,
        "tone": item.tone.value,
        "badge": item.badge,
        "phrase": item.phrase,
        "headline": item.headline,
        "details": list(item.details),
        "contradiction": item.contradiction,
        "moved": _move(item.move),
        "done": _done(item),
        "late": item.late,
        "next": item.next,
        "why": item.why,
        "claims": [_claim(claim) for claim in item.claims],
        "keys": list(item.keys),
        "section": item.section,
        "page": item.page,
        "actions": [
            {"kind": action.kind, "label": action.label, "url": action.url} for action in item.actions
        ],
    }


def _move(move: Move | None) -> dict[str, Any] | None:
    if move is None:
        return None
    return {"from": [_value(value) for value in move.before], "to": [_value(value) for value in move.after]}


def _value(value: Value) -> dict[str, Any]:
    return {
        "phrase": value.phrase,
        "edtf": value.edtf,
        "accounts": list(value.accounts),
        "sources": list(value.source_ids),
    }


def _done(item: Item) -> dict[str, str] | None:
    if item.done_on is None:
        return None
    return {"on": item.done_on.isoformat(), "evidence": item.evidence}


def _claim(claim: ClaimLine) -> dict[str, Any]:
    return {
        "phrase": claim.phrase,
        "edtf": claim.edtf,
        "window": {"begins": instant(claim.begins), "ends": instant(claim.ends)},
        "status": claim.status,
        "days": claim.days,
        "rank": claim.rank,
        "live": claim.live,
        "headline": claim.headline,
        "note": claim.note,
        "derived": claim.derived,
        "accounts": [_account(account) for account in claim.accounts],
    }


def _account(account: Account) -> dict[str, str]:
    return {
        "id": account.id,
        "who": account.who,
        "brief": account.brief,
        "publisher": account.publisher,
        "published": account.published,
        "url": account.url,
    }


def _sorted(labels: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(labels.items()))
