"""A row of the ledger that this node cannot read, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alertd.core.words import format_count

TABLES = (
    "milestone", "owed", "delivery", "member", "attempt", "history", "next_digest", "remembered", "node",
)  # fmt: skip
"""The tables whose rows can be set apart."""

MAX_NAMED = 3
"""How many rows one sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A row that is set apart, because this node cannot read it.

    The row stays in the ledger as it is. Work that needs the row waits until the row can be read again.

    Attributes:
        table: the table of the row.
        key: the primary key of the row, as text.
        why: why the row cannot be read, in one line.
        zone: the time zone that this machine's time zone database lacks; "" if something else is wrong.
    """

    table: str
    key: str
    why: str
    zone: str = ""

    def __str__(self) -> str:
        """A sentence without its full stop."""
        return f"{self.table} {self.key}: {self.why}"


def advise(row: Unreadable) -> str:
    """Say what a person can do about a row, in a sentence."""
    if row.zone:
        return (
            f"Install a time zone database that has {row.zone}, or give the milestone another zone in its "
            "timeline file and reload."
        )
    match row.table:
        case "milestone" | "owed" | "next_digest":
            kept = {
                "milestone": ", except the columns standing and done_on, which hold what people did",
                "owed": ", except the column state if it says neither pending nor cancelled",
            }
            return (
                "alertd writes the row again from the definition files if they define it and are sound"
                f"{kept.get(row.table, '')}; "
                "otherwise fix it with SQL, or put a backup of the ledger in its place."
            )
        case "node" | "remembered":
            return "Delete the row with SQL: alertd can do without it, and writes it anew when it needs it."
        case _:
            return "Fix the row with SQL, or put a backup of the ledger in its place."


def summarize_unreadable(rows: Sequence[Unreadable]) -> str:
    """Name the rows that are set apart, with the way out for the first, in a sentence without its full stop.

    Args:
        rows: at least one.
    """
    shown = "; ".join(str(row) for row in rows[:MAX_NAMED])
    more = f"; and {len(rows) - MAX_NAMED:,} more" if len(rows) > MAX_NAMED else ""
    are = f"{format_count(len(rows), 'row')} {'is' if len(rows) == 1 else 'are'}"
    return f"{are} set apart: {shown}{more}. {advise(rows[0]).removesuffix('.')}"
