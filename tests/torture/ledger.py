"""What the ledger says in the end, read by plain SQL: the other side of the books."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OWED = "select receiver, milestone, state, reason from owed"
DELIVERIES = "select id, channel, state, reason from delivery"
# The notice that counts the dead deliveries of a channel is sent when the hour ends, long after a run.
COUNTS = "notice like '%\"counts\"%'"
COUNTING = f"select id, notice from delivery where {COUNTS}"
MEMBERS = "select m.delivery, o.receiver, o.milestone from member m join owed o on o.key = m.key"
ATTEMPTS = "select delivery, number, outcome, reason from attempt"
OPEN = (
    "select (select count(*) from owed where state = 'pending') "
    f"+ (select count(*) from delivery where state = 'ready' and (notice is null or not {COUNTS}))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All that is there.

    Attributes:
        owed: state and reason by receiver and milestone.
        deliveries: channel, state and reason by id.
        members: what each delivery carries, as receiver and milestone.
        attempts: outcome and reason by delivery and number.
        counted: the channel whose dead deliveries a notice counts, by the id of the notice.
    """

    owed: Mapping[tuple[str, str], tuple[str, str]]
    deliveries: Mapping[str, tuple[str, str, str]]
    members: Mapping[str, Sequence[tuple[str, str]]]
    attempts: Mapping[tuple[str, int], tuple[str, str]]
    counted: Mapping[str, str] = field(default_factory=dict)


def books(url: str) -> Books:
    members: dict[str, list[tuple[str, str]]] = {}
    for delivery, receiver, milestone in rows(url, MEMBERS):
        members.setdefault(delivery, []).append((receiver, milestone))
    return Books(
        owed={(receiver, name): (state, reason) for receiver, name, state, reason in rows(url, OWED)},
        deliveries={name: (channel, state, reason) for name, channel, state, reason in rows(url, DELIVERIES)},
        members=members,
        attempts={(name, number): (outcome, why) for name, number, outcome, why in rows(url, ATTEMPTS)},
        counted={name: json.loads(notice)["counts"][0] for name, notice in rows(url, COUNTING)},
    )


def open_rows(url: str) -> int:
    """How many occurrences and deliveries are still to be seen to; -1 while the ledger cannot be read."""
    try:
        return int(rows(url, OPEN)[0][0])
    except Exception:  # whichever driver's: it is down, or not migrated yet
        return -1


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as connection:
            return connection.execute(statement).fetchall()
    import psycopg

    with psycopg.connect(url, connect_timeout=3) as server:
        return server.execute(statement.encode()).fetchall()
