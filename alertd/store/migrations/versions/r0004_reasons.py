"""Expand: reasons as codes with details beside their words; and why an occurrence goes where it goes.

The words stay in ``reason``: people read them with SQL and search in them, and an alertd of the version
before reads nothing else. This migration gives each sentence in a ledger its code. A sentence without a code
is kept whole, as ``other``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

AT_ONCE = 2_000
"""Rows that are read and written together."""

Coded = tuple[str, dict[str, Any]]

_PLAIN: Mapping[str, str] = {
    "the milestone was withdrawn": "withdrawn",
    "it was reopened": "reopened",
    "the acknowledgement holds no more": "acknowledgement_ended",
    "the deadline moved": "deadline_moved",
    "it moved again": "moved_again",
    "it moved again within the damping time": "moved_while_damped",
    "it moved while it was closed": "moved_while_closed",
    "the moved message says where it stands": "told_by_move",
    "it was due before it was in the policy": "new_in_policy",
    "owed no more": "not_owed",
    "the receiver has no notifier": "no_notifier",
    "the receiver has no notifier that follows": "no_follower",
    "overtaken by a newer one": "overtaken",
}
_PLAIN_OF_DELIVERIES: Mapping[str, str] = {
    "nothing of it is true any more": "nothing_left",
    "alertd was stopped before an answer came": "interrupted",
    "its lease was too old to send on it": "lease_too_old",
}
_WITH_NAME: Mapping[str, tuple[str, str]] = {
    "muted by mute_time_intervals: ": ("mute_interval", "interval"),
    "muted by quiet: ": ("quiet_hours", "hours"),
    "waits for the digest ": ("digest", "digest"),
    "acknowledged by ": ("acknowledged", "by"),
    "snoozed by ": ("snoozed", "by"),
    "cancelled by ": ("cancelled", "by"),
}
_OUTSIDE = "muted by active_time_intervals: not in "
_SENT_AGAIN = "sent again by "
_STOPPED = "stopped: "
_GIVEN_UP = "given up: "
_DONE = re.compile(r"done on ([0-9]{4}-[0-9]{2}-[0-9]{2})")
_LATE = re.compile(r"([0-9]{1,6}) days late( when it was loaded)?")
_STOPPED_SINCE = re.compile(
    r"since ([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2})Z nothing is sent there, when (.*)", re.DOTALL
)
_NO_ANSWER = re.compile(r"no answer within ([0-9]{1,6}) s")
_FAILED = re.compile(r"the notifier failed: ([A-Za-z_][A-Za-z0-9_]*)")
_NOT_CONFIGURED = re.compile(r"([^ ]{1,200}) is not configured any more")


def upgrade() -> None:
    for table in ("owed", "delivery", "attempt"):
        for name in ("reason_code", "reason_details"):
            op.add_column(table, sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("owed", sa.Column("grounds", sa.Text(), nullable=True))
    connection = op.get_bind()
    _convert(connection, "owed", ("key",))
    _convert(connection, "delivery", ("id",))
    _convert(connection, "attempt", ("delivery", "number"))


def downgrade() -> None:
    op.drop_column("owed", "grounds")
    for table in ("owed", "delivery", "attempt"):
        for name in ("reason_code", "reason_details"):
            op.drop_column(table, name)


def _convert(connection: sa.Connection, name: str, key: tuple[str, ...]) -> None:
    """Give each sentence of a table its code, :data:`AT_ONCE` rows at a time in the order of the key."""
    names = (*key, "state", "reason") if name != "attempt" else (*key, "reason")
    table = sa.table(name, *(sa.column(column) for column in (*names, "reason_code", "reason_details")))
    places = [table.c[column] for column in key]
    statement = (
        sa.update(table)
        .where(*(table.c[column] == sa.bindparam(f"its_{column}") for column in key))
        .values(reason_code=sa.bindparam("code"), reason_details=sa.bindparam("details"))
    )
    after: tuple[Any, ...] | None = None
    while True:
        query = sa.select(*(table.c[column] for column in names)).where(table.c.reason != "")
        if after is not None:
            query = query.where(sa.tuple_(*places) > sa.tuple_(*after))
        found = connection.execute(query.order_by(*places).limit(AT_ONCE)).mappings().all()
        if not found:
            return
        rows = []
        for row in found:
            try:
                code, details = _convert_row(name, row)
            except Exception:  # noqa: S112  a damaged row stays as it is; the ledger sets it apart
                continue
            packed = json.dumps(details, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            rows.append(
                {f"its_{column}": row[column] for column in key}
                | {"code": code, "details": packed if details else ""}
            )
        if rows:
            connection.execute(statement, rows)
        after = tuple(found[-1][column] for column in key)


def _convert_row(name: str, row: Mapping[Any, Any]) -> Coded:
    match name:
        case "owed":
            return convert_owed(row["reason"])
        case "delivery":
            return convert_delivery(row["reason"], row["state"])
        case _:
            return convert_attempt(row["reason"])


def convert_owed(text: str) -> Coded:
    """The code and the details of what an occurrence had for a reason."""
    return _known(text) or ("other", {"text": text})


def convert_delivery(text: str, state: str) -> Coded:
    """The same for a delivery: when it was tried, what is no sentence of alertd is an answer from outside."""
    if state in ("superseded", "suppressed"):
        if text in _PLAIN_OF_DELIVERIES:
            return _PLAIN_OF_DELIVERIES[text], {}
        return _members(text) or ("other", {"text": text})
    if text.startswith(_SENT_AGAIN):
        return "sent_again", {"by": text.removeprefix(_SENT_AGAIN)}
    if text.startswith(_STOPPED):
        return _stopped(text.removeprefix(_STOPPED))
    if text.startswith(_GIVEN_UP):
        code, details = convert_attempt(text.removeprefix(_GIVEN_UP))
        return "given_up", {"last": {"code": code, **({"details": details} if details else {})}}
    return convert_attempt(text)


def _known(text: str) -> Coded | None:
    if text in _PLAIN:
        return _PLAIN[text], {}
    if text == "a later one is due too":
        return "later_reminder", {"key": "", "offset": ""}
    if text.startswith(_OUTSIDE):
        return "outside_intervals", {"intervals": text.removeprefix(_OUTSIDE).split(", ")}
    if match := _DONE.fullmatch(text):
        return "done", {"on": match[1]}
    if match := _LATE.fullmatch(text):
        return "too_late_at_load" if match[2] else "too_late", {"days": int(match[1])}
    for start, (code, detail) in _WITH_NAME.items():
        if text.startswith(start):
            return code, {detail: text.removeprefix(start)}
    return None


def convert_attempt(text: str) -> Coded:
    """The same for an attempt."""
    if text in _PLAIN_OF_DELIVERIES:
        return _PLAIN_OF_DELIVERIES[text], {}
    if match := _NO_ANSWER.fullmatch(text):
        return "no_answer", {"within_s": int(match[1])}
    if match := _FAILED.fullmatch(text):
        return "notifier_failed", {"error": match[1]}
    if match := _NOT_CONFIGURED.fullmatch(text):
        return "not_configured", {"channel": match[1]}
    if text.startswith(_STOPPED):
        return _stopped(text.removeprefix(_STOPPED))
    return "answered", {"text": text}


def _stopped(text: str) -> Coded:
    if match := _STOPPED_SINCE.fullmatch(text):
        return "channel_stopped", {"answer": match[3], "since": f"{match[1]}T{match[2]}:00+00:00"}
    return "channel_stopped", {"answer": text}


def _members(text: str) -> Coded | None:
    """``iraq/phase-2 -7d: acknowledged by ada; iraq/phase-2 -1d: ...``, when each part can be read."""
    members = []
    for part in text.split("; "):
        place, colon, why = part.partition(": ")
        milestone, space, offset = place.partition(" ")
        known = _known(why) if colon and space and "/" in milestone and " " not in offset else None
        if known is None:
            return None
        code, details = known
        members.append(
            {
                "milestone": milestone,
                "offset": offset,
                "why": {"code": code, **({"details": details} if details else {})},
            }
        )
    return "members_unwanted", {"members": members}
