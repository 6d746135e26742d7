"""Convert the rows of the smaller tables: digests, fingerprints, attempts, history, notifiers' state, nodes.

The rules are those of :mod:`alertd.store.rows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from alertd.core.ledger import fingerprint as fingerprints
from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import Attempt, HistoryEntry
from alertd.core.ledger.snapshot import check_text, check_texts
from alertd.core.routing.digest import NextDigest
from alertd.ports import NodeReport
from alertd.store.rows import (
    Fields,
    check_count,
    check_flag,
    decode_reason,
    dump_json,
    encode_reason,
    from_micros,
    load_json,
    make_unreadable,
    to_micros,
)
from alertd.store.rules import make_entry_key


def encode_digest(digest: NextDigest) -> Fields:
    return {
        "key": digest.key,
        "receiver": digest.receiver,
        "name": digest.name,
        "at": to_micros(digest.at),
        "since": to_micros(digest.since),
    }


def decode_digest(row: Row[Any]) -> NextDigest:
    try:
        return NextDigest(
            key=check_text(row.key),
            receiver=check_text(row.receiver),
            name=check_text(row.name),
            at=from_micros(row.at),
            since=from_micros(row.since),
        )
    except Exception as error:
        raise make_unreadable("next_digest", row.key, error) from error


def encode_fingerprint(fingerprint: TimelineFingerprint) -> Fields:
    """Return the columns but ``records``, which is counted when the row is written."""
    return {
        "timeline": fingerprint.timeline,
        "file": fingerprint.file,
        "content": fingerprint.content,
        "environment": fingerprint.environment,
        "reconciled_at": to_micros(fingerprint.reconciled_at),
        "details": dump_json(fingerprints.pack_details(fingerprint)),
    }


def decode_fingerprint(row: Row[Any]) -> TimelineFingerprint:
    try:
        check_texts(row.timeline, row.file, row.content, row.environment)
        return TimelineFingerprint(
            timeline=row.timeline,
            file=row.file,
            content=row.content,
            environment=row.environment,
            reconciled_at=from_micros(row.reconciled_at),
            **fingerprints.unpack_details(load_json(row.details)),
        )
    except Exception as error:
        raise make_unreadable("fingerprint", row.timeline, error) from error


def encode_attempt(attempt: Attempt) -> Fields:
    return {
        "delivery": attempt.delivery,
        "number": attempt.number,
        "at": to_micros(attempt.at),
        "took_ms": attempt.took_ms,
        "outcome": attempt.outcome,
        **encode_reason(attempt.reason),
    }


def decode_attempt(row: Row[Any]) -> Attempt:
    try:
        return Attempt(
            delivery=check_text(row.delivery),
            number=check_count(row.number),
            at=from_micros(row.at),
            took_ms=check_count(row.took_ms),
            outcome=check_text(row.outcome),
            reason=decode_reason(row),
        )
    except Exception as error:
        raise make_unreadable("attempt", (row.delivery, row.number), error) from error


def encode_entry(entry: HistoryEntry) -> Fields:
    return {
        "entry": make_entry_key(entry),
        "milestone": entry.milestone,
        "at": to_micros(entry.at),
        "kind": entry.kind,
        "by": entry.by,
        "why": entry.why,
        "facts": dump_json(dict(entry.facts)),
    }


def decode_entry(row: Row[Any]) -> HistoryEntry:
    try:
        return HistoryEntry(
            milestone=check_text(row.milestone),
            at=from_micros(row.at),
            kind=check_text(row.kind),
            by=check_text(row.by),
            why=check_text(row.why),
            facts=_decode_texts(row.facts),
        )
    except Exception as error:
        raise make_unreadable("history", row.seq, error) from error


def encode_state(milestone: str, channel: str, state: Mapping[str, str]) -> Fields:
    return {"milestone": milestone, "channel": channel, "state": dump_json(dict(state))}


def decode_state(row: Row[Any]) -> Mapping[str, str]:
    try:
        return _decode_texts(row.state)
    except Exception as error:
        raise make_unreadable("remembered", (row.milestone, row.channel), error) from error


def encode_node(node: NodeReport) -> Fields:
    return {
        "node": node.node,
        "version": node.version,
        "started_at": to_micros(node.started_at),
        "seen_at": to_micros(node.seen_at),
        "config_id": node.config_id,
        "problems": dump_json(node.problems),
        "receivers": dump_json(node.receivers),
        "stopped": node.stopped,
        "findings": dump_json(node.findings),
        "paused": dump_json(node.paused),
    }


def decode_node(row: Row[Any]) -> NodeReport:
    try:
        return NodeReport(
            node=check_text(row.node),
            version=check_text(row.version),
            started_at=from_micros(row.started_at),
            seen_at=from_micros(row.seen_at),
            config_id=check_text(row.config_id),
            problems=_decode_list(row.problems),
            receivers=_decode_list(row.receivers),
            stopped=check_flag(row.stopped),
            findings=_decode_list(row.findings),
            paused=_decode_list(row.paused),
        )
    except Exception as error:
        raise make_unreadable("node", row.node, error) from error


def _decode_texts(text: str) -> Mapping[str, str]:
    found: dict[str, str] = load_json(text)
    for name, value in found.items():
        check_text(name)
        check_text(value)
    return found


def _decode_list(text: str) -> tuple[str, ...]:
    found = load_json(text)
    if not isinstance(found, list):
        raise TypeError(f"{found!r} is no list")
    return tuple(check_text(value) for value in found)
