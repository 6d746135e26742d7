"""Define the ledger's tables and list the revisions of its schema.

Rules for the tables:

- An instant is an integer, the microseconds since 1970-01-01 00:00 UTC. Such values are exact and sort by
  time.
- A value that is always read as a whole is JSON with sorted keys in a text column.
- The tables and their partial indexes are the same on SQLite and on PostgreSQL. The conditions of the indexes
  have only SQLite's name here, and both names in the migrations. With PostgreSQL's name, SQLAlchemy would
  import its dialect of PostgreSQL, which takes 2 MB of memory.
- Each change to a table needs a migration. A test compares the tables with the result of the migrations.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    or_,
    text,
)
from sqlalchemy.engine import Dialect

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""Every revision of the schema, the oldest first.

With this list, alertd finds out whether a database is up to date without an import of Alembic. A test
compares the list with the migrations.
"""

FIRST_VERSIONS = dict.fromkeys(REVISIONS, "0.1.0")
"""The first version of alertd whose ledger is at each revision; the changelog names each upgrade."""

metadata = MetaData()


class Flag(Boolean):
    """A truth value that is read as it is stored. Boolean would read any value of SQLite as true or false."""

    def result_processor(self, dialect: Dialect, coltype: Any) -> None:  # noqa: ARG002  the signature is given
        return None


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"))


def _instant(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _coded_reason() -> tuple[Column[str], Column[str]]:
    """The code of the reason whose words are in ``reason``, and its details as JSON: what is read back."""
    return _text("reason_code"), _text("reason_details")


def _maybe_instant(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=True)


milestone = Table(
    "milestone",
    metadata,
    Column("id", Text, primary_key=True),
    _text("timeline"),
    _text("file"),
    Column("revision", Integer, nullable=False),
    _instant("loaded_at"),
    _instant("changed_at"),
    Column("withdrawn", Flag, nullable=False),
    _text("standing"),
    Column("done_on", Text, nullable=True),
    # The column is not called "values" because that is a reserved word in SQL.
    _text("stated"),
    _text("snapshot"),
)
Index("milestone_timeline", milestone.c.timeline, milestone.c.withdrawn, milestone.c.file)
Index(
    "milestone_done",
    milestone.c.done_on,
    sqlite_where=milestone.c.done_on.is_not(None),
)

owed = Table(
    "owed",
    metadata,
    Column("key", Text, primary_key=True),
    Column("milestone", Text, ForeignKey("milestone.id"), nullable=False),
    _text("receiver"),
    _text("cause"),
    # The columns are not called "offset" and "group" because those are reserved words in SQL.
    _text("slot"),
    _text("window_id"),
    _instant("at"),
    _instant("wake_at"),
    _text("grouping"),
    _text("state"),
    Column("move", Text, nullable=True),
    _text("reason"),
    _maybe_instant("told_at"),
    *_coded_reason(),
    # Why it goes to its receiver, kept when it is bound.
    Column("grounds", Text, nullable=True),
)
# The value is a literal, not a bound parameter: a database uses a partial index only when the query repeats
# the condition of the index (SQLite, "Partial Indexes"; PostgreSQL, section 11.8).
IS_PENDING = owed.c.state == text("'pending'")
Index(
    "owed_wake",
    owed.c.wake_at,
    owed.c.milestone,
    owed.c.receiver,
    sqlite_where=IS_PENDING,
)
# The few reminders that wait longer than they are due in, for the end of a mute or a snooze.
_deferred = IS_PENDING & (owed.c.wake_at > owed.c.at)
Index("owed_deferred", owed.c.key, sqlite_where=_deferred)
# Each start looks for reminders that a clock that was ahead has recorded as expired.
_expired = owed.c.state == text("'expired'")
Index("owed_expired", owed.c.key, sqlite_where=_expired)
Index("owed_of", owed.c.milestone, owed.c.receiver, owed.c.state, owed.c.at)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    _text("receiver"),
    _text("notifier"),
    _text("channel"),
    _instant("bound_at"),
    _instant("next_at"),
    _text("state"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _text("reason"),
    Column("notice", Text, nullable=True),
    _text("fallback_for"),
    _maybe_instant("settled_at"),
    _text("lease_owner"),
    _maybe_instant("lease_until"),
    Column("fence", Integer, nullable=False, server_default=text("0")),
    Column("edition", Text, nullable=True),
    *_coded_reason(),
    # How many leases in a row have ended without a settlement. A lease that has run out is not counted until
    # the delivery is leased again.
    Column("lost_leases", Integer, nullable=False, server_default=text("0")),
    _maybe_instant("tried_from"),
    # The last lease was taken ahead and has not begun, so it cannot be lost.
    Column("ahead", Flag, nullable=False, server_default=false()),
)
IS_READY = delivery.c.state == text("'ready'")
_leased = IS_READY & delivery.c.lease_until.is_not(None)
Index(
    "delivery_ready",
    delivery.c.channel,
    delivery.c.next_at,
    delivery.c.id,
    sqlite_where=IS_READY,
)
Index(
    "delivery_next",
    delivery.c.next_at,
    delivery.c.lease_until,
    sqlite_where=IS_READY,
)
Index("delivery_leased", delivery.c.lease_until, sqlite_where=_leased)
HAS_LEASED = or_(delivery.c.lost_leases > text("0"), delivery.c.lease_until.is_not(None))
"""The delivery has a lease, has one that has run out, or has lost one."""
_lost = IS_READY & HAS_LEASED
Index("delivery_lost", delivery.c.next_at, sqlite_where=_lost)
Index("delivery_bound", delivery.c.bound_at, delivery.c.id)

member = Table(
    "member",
    metadata,
    Column("delivery", Text, ForeignKey("delivery.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("key", Text, ForeignKey("owed.key"), nullable=False),
)
Index("member_key", member.c.key)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery", Text, ForeignKey("delivery.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    _instant("at"),
    Column("took_ms", Integer, nullable=False),
    _text("outcome"),
    _text("reason"),
    *_coded_reason(),
)

history = Table(
    "history",
    metadata,
    Column("seq", Integer().with_variant(BigInteger, "postgresql"), primary_key=True, autoincrement=True),
    # A fingerprint of the entry. The unique constraint on it keeps the same entry from being appended twice.
    Column("entry", Text, nullable=False),
    _text("milestone"),
    _instant("at"),
    _text("kind"),
    _text("by"),
    _text("why"),
    _text("facts"),
    UniqueConstraint("entry", name="history_entry"),
    sqlite_autoincrement=True,
)
Index("history_of", history.c.milestone, history.c.at, history.c.seq)
Index("history_at", history.c.at, history.c.seq)

next_digest = Table(
    "next_digest",
    metadata,
    Column("key", Text, primary_key=True),
    _text("receiver"),
    _text("name"),
    _instant("at"),
    _instant("since"),
)

fingerprint = Table(
    "fingerprint",
    metadata,
    Column("timeline", Text, primary_key=True),
    _text("file"),
    _text("content"),
    _text("environment"),
    _instant("reconciled_at"),
    # How many milestones of the timeline the ledger had when the row was written. With another number, rows
    # have been lost since, and the row counts for nothing.
    Column("records", Integer, nullable=False),
    _text("details"),
)

remembered = Table(
    "remembered",
    metadata,
    Column("milestone", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    _text("state"),
)

node = Table(
    "node",
    metadata,
    Column("node", Text, primary_key=True),
    _text("version"),
    _instant("started_at"),
    _instant("seen_at"),
    _text("config_id"),
    _text("problems"),
    _text("receivers"),
    Column("stopped", Flag, nullable=False, server_default=false()),
    Column("findings", Text, nullable=False, server_default=text("'[]'")),
    Column("paused", Text, nullable=False, server_default=text("'[]'")),
)

lead = Table(
    "lead",
    metadata,
    # The task that the leader does. There is one such task: "reconcile".
    Column("name", Text, primary_key=True),
    _text("node"),
    Column("term", BigInteger, nullable=False),
    _instant("until"),
)
