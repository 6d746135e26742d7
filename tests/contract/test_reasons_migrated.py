"""The sentences that stand in a ledger become codes, and what no code stands for is kept whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, column, insert, table, text

from alertd.core.reason import (
    AcknowledgedBy,
    Answered,
    AwaitedDigest,
    ChannelStopped,
    DoneOn,
    GivenUp,
    LaterReminder,
    MembersUnwanted,
    MemberUnwanted,
    MuteInterval,
    NotConfigured,
    NotifierFailed,
    OtherReason,
    OutsideIntervals,
    PlainReason,
    QuietHours,
    Reason,
    SentAgainBy,
    SnoozedBy,
    TooLate,
    TooLateAtLoad,
    Unanswered,
    unpack_reason,
)
from alertd.store import migrate, open_ledger, rows, schema
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import HEAD, make_alembic_config
from alertd.store.migrations.versions import r0004_reasons
from tests.contract.samples import NOW, a_record
from tests.core.test_reason import WORDED

NEWER = {"rerouted", "unrecorded", "lease_lost", "leases_lost", "delivery_failed"}
"""Codes that came after the migration, so that no ledger has their words without them."""

LONG_AGO = datetime(2026, 9, 23, 9, tzinfo=UTC)

# what an occurrence had for a reason, what it is now
OWED: list[tuple[str, Reason | None]] = [
    ("", None),
    ("muted by mute_time_intervals: weekend", MuteInterval(interval="weekend")),
    ("muted by active_time_intervals: not in office, night", OutsideIntervals(intervals=("office", "night"))),
    (
        "muted by quiet: 22:00 to 07:00 and all Saturday (Europe/Berlin)",
        QuietHours(hours="22:00 to 07:00 and all Saturday (Europe/Berlin)"),
    ),
    ("waits for the digest every Monday at 08:00 (UTC)", AwaitedDigest(digest="every Monday at 08:00 (UTC)")),
    ("acknowledged by Ada: the first; and last", AcknowledgedBy(by="Ada: the first; and last")),
    ("snoozed by ada", SnoozedBy(by="ada")),
    ("done on 2026-10-03", DoneOn(on=date(2026, 10, 3))),
    ("a later one is due too", LaterReminder()),
    ("40 days late", TooLate(days=40)),
    ("38 days late when it was loaded", TooLateAtLoad(days=38)),
    ("the milestone was withdrawn", PlainReason.WITHDRAWN),
    ("it moved while it was closed", PlainReason.MOVED_WHILE_CLOSED),
    ("the receiver has no notifier that follows", PlainReason.NO_FOLLOWER),
    # what only a hand could have written
    ("muted by weekend", OtherReason(text="muted by weekend")),
    ("many days late", OtherReason(text="many days late")),
]
# the state of a delivery, its reason, what it is now
DELIVERIES: list[tuple[str, str, Reason | None]] = [
    ("ready", "", None),
    (
        "ready",
        "h.example answered 503: busy; later",
        Answered(text="h.example answered 503: busy; later"),
    ),
    ("ready", "sent again by ada", SentAgainBy(by="ada")),
    ("ready", "its lease was too old to send on it", PlainReason.LEASE_TOO_OLD),
    ("sent", "250 2.0.0 OK", Answered(text="250 2.0.0 OK")),
    ("dead", "given up: no answer within 120 s", GivenUp(last=Unanswered(within_s=120))),
    ("dead", "given up: given up: busy", GivenUp(last=Answered(text="given up: busy"))),
    ("dead", "desk/hook is not configured any more", NotConfigured(channel="desk/hook")),
    ("dead", "stopped: h.example answered 410", ChannelStopped(answer="h.example answered 410")),
    (
        "dead",
        "stopped: since 2026-09-23 09:00Z nothing is sent there, when h.example answered 410",
        ChannelStopped(answer="h.example answered 410", since=LONG_AGO),
    ),
    ("suppressed", "nothing of it is true any more", PlainReason.NOTHING_LEFT),
    (
        "suppressed",
        "iraq/phase-2 -7d: acknowledged by ada; iraq/phase-1 +1d: done on 2026-10-03",
        MembersUnwanted(
            members=(
                MemberUnwanted(milestone="iraq/phase-2", offset="-7d", why=AcknowledgedBy(by="ada")),
                MemberUnwanted(milestone="iraq/phase-1", offset="+1d", why=DoneOn(on=date(2026, 10, 3))),
            )
        ),
    ),
    # a name with a semicolon cannot be told from two parts
    (
        "suppressed",
        "iraq/phase-2 -7d: acknowledged by a; b",
        OtherReason(text="iraq/phase-2 -7d: acknowledged by a; b"),
    ),
]
# the reason of an attempt, what it is now
ATTEMPTS: list[tuple[str, Reason | None]] = [
    ("", None),
    ("the notifier failed: ValueError", NotifierFailed(error="ValueError")),
    ("alertd was stopped before an answer came", PlainReason.INTERRUPTED),
    ("acknowledged by the server", Answered(text="acknowledged by the server")),
]


async def test_the_sentences_of_a_ledger_become_codes(url: str) -> None:
    """What an alertd of the version before wrote is read as what it meant."""
    await write_as_before(url)

    assert (await migrate(url))[1:3] == ("0003", HEAD)

    ledger = await open_ledger(url)
    owed = {one.key: one for one in await ledger.read_owed("iraq/phase-2")}
    sent = {one.id: (one, tries) for one, tries, _ in await ledger.find_deliveries()}
    await ledger.close()
    assert [owed[f"k{number:02}"].reason for number in range(len(OWED))] == [row[1] for row in OWED]
    assert {one.grounds for one in owed.values()} == {None}
    assert [sent[f"msg_{number:02}"][0].reason for number in range(len(DELIVERIES))] == [
        row[2] for row in DELIVERIES
    ]
    assert [one.reason for one in sent["msg_00"][1]] == [row[1] for row in ATTEMPTS]


@pytest.mark.parametrize("damage", ["x'00ff'", "cast(x'ff' as text)"])
async def test_a_damaged_sentence_stops_no_migration(tmp_path: Path, damage: str) -> None:
    """A row whose sentence cannot be read stays as it is and is named; all others are converted."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    await write_as_before(url)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute(f"update owed set reason = {damage} where key = 'k01'")

    await migrate(url)

    ledger = await open_ledger(url)
    owed = {reminder.key: reminder.reason for reminder in await ledger.read_owed("iraq/phase-2")}
    apart = await ledger.find_unreadable(100)
    await ledger.close()
    assert owed == {f"k{number:02}": row[1] for number, row in enumerate(OWED) if number != 1}
    assert [(row.table, row.key) for row in apart] == [("owed", "k01")]


async def test_no_word_of_a_ledger_is_lost(url: str) -> None:
    """The words stay where they stood, and going back leaves what was there."""
    await write_as_before(url)
    await migrate(url)

    assert await words_of(url) == [row[0] for row in OWED]
    database = await open_database(url, 10)
    await database.write(lambda connection: command.downgrade(make_alembic_config(connection), "0003"))
    await database.close()
    assert await words_of(url) == [row[0] for row in OWED]


async def write_as_before(url: str) -> None:
    database = await open_database(url, 10)
    await database.write(_written_before)
    await database.close()


def _written_before(connection: Connection) -> None:
    command.upgrade(make_alembic_config(connection), "0003")
    at = rows.to_micros(NOW)
    record = rows.encode_record(a_record())
    connection.execute(insert(schema.milestone).values(record))
    names: tuple[str, ...] = (
        "key", "milestone", "receiver", "cause", "slot", "at", "wake_at", "grouping", "state", "reason",
    )  # fmt: skip
    connection.execute(
        insert(table("owed", *map(column, names))),
        [
            {
                "key": f"k{number:02}", "milestone": "iraq/phase-2", "receiver": "desk",
                "cause": "approaching",
                "slot": "-7d", "at": at, "wake_at": at, "grouping": "[]", "state": "pending",
                "reason": reason,
            }
            for number, (reason, _) in enumerate(OWED)
        ],
    )  # fmt: skip
    names = ("id", "receiver", "notifier", "channel", "bound_at", "next_at", "state", "reason")
    connection.execute(
        insert(table("delivery", *map(column, names))),
        [
            {
                "id": f"msg_{number:02}", "receiver": "desk", "notifier": "hook", "channel": "desk/hook",
                "bound_at": at, "next_at": at, "state": state, "reason": reason,
            }
            for number, (state, reason, _) in enumerate(DELIVERIES)
        ],
    )  # fmt: skip
    connection.execute(
        insert(table("attempt", *map(column, ("delivery", "number", "at", "took_ms", "outcome", "reason")))),
        [
            {
                "delivery": "msg_00",
                "number": number,
                "at": at,
                "took_ms": 1,
                "outcome": "retry",
                "reason": reason,
            }
            for number, (reason, _) in enumerate(ATTEMPTS)
        ],
    )


async def words_of(url: str) -> list[str]:
    database = await open_database(url, 10)
    try:
        return await database.read(
            lambda connection: [
                row.reason for row in connection.execute(text("select reason from owed order by key"))
            ]
        )
    finally:
        await database.close()


def test_every_sentence_of_today_is_read() -> None:
    """The conversion knows the words of every reason; only details that no sentence told are lost."""
    for reason, code, words in WORDED:
        if code in NEWER:
            continue
        expected = LaterReminder() if isinstance(reason, LaterReminder) else reason
        found = [
            r0004_reasons.convert_owed(words),
            r0004_reasons.convert_attempt(words),
            *(r0004_reasons.convert_delivery(words, state) for state in ("dead", "suppressed")),
        ]
        assert expected in [unpack_reason(code, details) for code, details in found], words
