"""Decisions about due reminders: which go out, which wait, which are superseded, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from alertd.core.ledger.records import Record, ReminderState, ScheduledReminder
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.planning.decide import Decisions, Rules, decide, find_objection
from alertd.core.reason import (
    AcknowledgedBy,
    CancelledBy,
    DoneOn,
    MuteInterval,
    PlainReason,
    Reason,
    SnoozedBy,
    TooLate,
)
from alertd.core.routing.route import Muted
from tests.core.builders import (
    CATCH_UP,
    MINISTER,
    REUTERS,
    at,
    claim,
    contested,
    done_on,
    due_at,
    milestone,
    move,
    owed,
    record,
    utc,
)

MADE = milestone(claim("2026-09", MINISTER))
WINDOW = "2026-09-01/2026-10-01"
OLD = milestone(claim("2026-08", MINISTER))
NOW = at("2026-10-08T09:00")
CANCELLED = MilestoneStatus(cancelled=True, cancelled_by="Amal")
ACKED = MilestoneStatus(ack_until=NOW + timedelta(days=1), ack_windows=(WINDOW,), ack_by="Amal")
SNOOZED = MilestoneStatus(snooze_until=NOW + timedelta(days=1), snooze_by="Amal")
MOVE = move(OLD, MADE)
WEEKEND = MuteInterval(interval="weekend")


def rules(muted_until: datetime | None = None, *, notifiers: tuple[str, ...] = ("console",)) -> Rules:
    def muted(_owed: ScheduledReminder, _record: Record, now: datetime) -> Muted | None:
        if muted_until is None or now >= muted_until:
            return None
        return Muted(until=muted_until, by=WEEKEND)

    return Rules(catch_up=CATCH_UP, notifiers={"desk": notifiers, "leads": notifiers}, muted=muted)


def decided(
    *members: ScheduledReminder,
    status: MilestoneStatus = NO_ACTIONS,
    made: Milestone = MADE,
    now: datetime = NOW,
    by: Rules | None = None,
) -> Decisions:
    about = record(made, status)
    return decide([(one, about) for one in members], now, by or rules())


def states(found: Decisions) -> dict[str, tuple[str, Reason | None]]:
    return {verdict.key: (verdict.state.value, verdict.reason) for verdict in found.verdicts}


def test_what_is_due_is_bound() -> None:
    """A due reminder becomes a delivery for each notifier of its receiver, ready at once."""
    member = owed(MADE, "+7d")

    found = decided(member, by=rules(notifiers=("slack", "email")))

    assert [(one.channel, one.members, one.bound_at, one.next_at) for one in found.deliveries] == [
        ("desk/slack", (member.key,), NOW, NOW),
        ("desk/email", (member.key,), NOW, NOW),
    ]
    assert states(found) == {member.key: ("bound", None)}


def test_only_the_tightest_goes_out() -> None:
    """Of the reminders missed while alertd was off, only the last is sent. The others are superseded."""
    members = [owed(MADE, offset) for offset in ("-1d", "0d", "+1d", "+7d")]

    found = decided(*members)

    assert [state for state, _ in states(found).values()] == ["superseded"] * 3 + ["bound"]
    assert found.deliveries[0].members == (members[-1].key,)


def test_the_tightest_is_of_each_receiver() -> None:
    """A reminder to a receiver does not supersede a reminder to another receiver."""
    early, late = owed(MADE, "+1d", receiver="leads"), owed(MADE, "+7d")

    found = decided(early, late)

    assert [one.receiver for one in found.deliveries] == ["leads", "desk"]


def test_two_at_one_instant_both_go_out() -> None:
    """Reminders of two windows that are due at the same instant share a delivery."""
    made = milestone(claim("2026-09-30", MINISTER), claim("2026-10-06", REUTERS))
    members = (
        owed(made, "0d", of="2026-09-30"),
        owed(made, "-7d", due_at(made, "0d", "2026-09-30"), of="2026-10-06"),
    )

    found = decided(*members, made=made, now=members[0].at)

    assert len(found.deliveries) == 1
    assert set(found.deliveries[0].members) == {one.key for one in members}


def test_what_is_older_than_the_catch_up_expires() -> None:
    """A reminder late by exactly the catch-up time is sent, and one that is a second later expires."""
    member = owed(MADE, "+7d")

    in_time = decided(member, now=member.at + CATCH_UP)
    too_late = decided(member, now=member.at + CATCH_UP + timedelta(seconds=1))

    assert states(in_time) == {member.key: ("bound", None)}
    assert states(too_late) == {member.key: ("expired", TooLate(days=35))}


def test_what_expired_overtakes_nothing() -> None:
    """All reminders that are too old expire, and none is superseded."""
    members = [owed(MADE, offset) for offset in ("-1d", "+1d")]

    found = decided(*members, now=at("2027-10-08T09:00"))

    assert {state for state, _ in states(found).values()} == {"expired"}


def test_news_never_expires() -> None:
    """A message about a move is sent however late it is."""
    member = owed(MADE, "moved", NOW - timedelta(days=400), move=MOVE)

    assert states(decided(member)) == {member.key: ("bound", None)}


def test_muted_is_deferred_and_sent_once_afterwards() -> None:
    """A muted reminder stays pending until the mute ends, and is then sent with the reason."""
    member = owed(MADE, "+7d")
    end = NOW + timedelta(days=2)

    (waits,) = decided(member, by=rules(end)).verdicts
    waiting = replace(member, wake_at=end, reason=waits.reason)
    sent = decided(waiting, now=end, by=rules(end))

    assert (waits.state, waits.wake_at, waits.reason) == (
        ReminderState.PENDING, end, WEEKEND,
    )  # fmt: skip
    assert states(sent) == {member.key: ("bound", WEEKEND)}
    assert len(sent.deliveries) == 1


def test_of_what_a_mute_held_back_the_last_is_sent() -> None:
    """At the end of a mute, only the last of the deferred reminders is sent."""
    end = at("2026-10-08T09:00")
    early = owed(MADE, "+1d", wake_at=end, reason=WEEKEND)
    late = owed(MADE, "+7d")

    found = decided(early, late, now=end)

    assert [state for state, _ in states(found).values()] == ["superseded", "bound"]


def test_the_wait_does_not_count_as_age() -> None:
    """A reminder muted for longer than the catch-up time is sent at the end of the mute."""
    end = NOW + timedelta(days=100)
    member = owed(MADE, "+7d", wake_at=end)

    assert states(decided(member, now=end)) == {member.key: ("bound", None)}


def test_snoozed_is_deferred() -> None:
    """A snoozed reminder stays pending until the snooze ends, with the name of the person."""
    member = owed(MADE, "+7d")

    (found,) = decided(member, status=SNOOZED).verdicts

    assert (found.state, found.wake_at, found.reason) == (
        ReminderState.PENDING, SNOOZED.snooze_until, SnoozedBy(by="Amal"),
    )  # fmt: skip


def test_a_snooze_that_is_over_holds_nothing() -> None:
    """From the end of a snooze on, reminders are sent."""
    member = owed(MADE, "+7d")

    found = decided(member, status=replace(SNOOZED, snooze_until=NOW))

    assert states(found) == {member.key: ("bound", None)}


def test_a_snooze_ends_in_a_mute() -> None:
    """A reminder may have to wait for a mute after a snooze, and its reason is then the mute."""
    member = owed(MADE, "+7d", reason=SnoozedBy(by="Amal"), wake_at=NOW)

    (found,) = decided(member, by=rules(NOW + timedelta(hours=1))).verdicts

    assert (found.state, found.reason) == (ReminderState.PENDING, WEEKEND)


def test_news_is_overtaken_by_no_reminder() -> None:
    """A message about a move is sent beside a later reminder, and supersedes none."""
    moved, reminder = owed(MADE, "moved", NOW - timedelta(days=20), move=MOVE), owed(MADE, "+7d")

    found = decided(moved, reminder)

    assert {state for state, _ in states(found).values()} == {"bound"}
    assert len(found.deliveries) == 1


def test_news_waits_for_a_mute_and_for_no_snooze() -> None:
    """A snooze defers reminders and not the message about a move."""
    moved = owed(MADE, "moved", NOW, move=MOVE)

    snoozed = decided(moved, status=SNOOZED)
    muted = decided(moved, by=rules(NOW + timedelta(days=1)))

    assert states(snoozed) == {moved.key: ("bound", None)}
    assert [one.state for one in muted.verdicts] == [ReminderState.PENDING]


def test_a_receiver_without_a_notifier() -> None:
    """A reminder to a receiver without notifiers is suppressed with that reason."""
    member = owed(MADE, "+7d")

    found = decided(member, by=rules(notifiers=()))

    assert (found.deliveries, states(found)) == (
        (), {member.key: ("suppressed", PlainReason.NO_NOTIFIER)},
    )  # fmt: skip


def test_every_one_that_is_looked_at_has_a_verdict() -> None:
    """Every reminder gets a verdict."""
    members = [owed(MADE, offset) for offset in ("-90d", "-7d", "+1d", "+7d")]

    found = decided(*members)

    assert {one.key for one in found.verdicts} == {one.key for one in members}
    assert all(one.reason for one in found.verdicts if one.state is not ReminderState.BOUND)


TOLD = owed(MADE, "moved", NOW, move=MOVE)
REMINDER = owed(MADE, "+7d")
FINISHED = owed(MADE, "done", NOW)
CONTESTED = contested()

# the reminder, the record, why it must not be sent any more
UNWANTED: list[tuple[str, ScheduledReminder, Record, Reason | None]] = [
    ("open", REMINDER, record(MADE), None),
    ("withdrawn", REMINDER, record(MADE, withdrawn=True), PlainReason.WITHDRAWN),
    ("cancelled", REMINDER, record(MADE, CANCELLED), CancelledBy(by="Amal")),
    ("done", REMINDER, record(MADE, done_on("2026-10-03")), DoneOn(on=date(2026, 10, 3))),
    ("acked", REMINDER, record(MADE, ACKED), AcknowledgedBy(by="Amal")),
    ("ack expired", REMINDER, record(MADE, replace(ACKED, ack_until=NOW)), None),
    # an acknowledgement covers certain windows and is not in force for others
    (
        "ack of another date",
        REMINDER,
        record(MADE, replace(ACKED, ack_windows=("2026-08-01/2026-09-01",))),
        None,
    ),
    ("ack of one of two", owed(CONTESTED, "+7d", of="2026-09"), record(CONTESTED, ACKED), None),
    (
        "ack of more than there is",
        REMINDER,
        record(MADE, replace(ACKED, ack_windows=("2026-08-01/2026-09-01", WINDOW))),
        AcknowledgedBy(by="Amal"),
    ),
    ("the date moved", owed(OLD, "+7d"), record(MADE), PlainReason.DEADLINE_MOVED),
    # news of a move: stopped by the next move, and by done or cancelled
    ("moved", TOLD, record(MADE), None),
    ("moved and acked", TOLD, record(MADE, ACKED), None),
    ("moved again", TOLD, record(OLD), PlainReason.MOVED_AGAIN),
    ("moved and became contested", TOLD, record(CONTESTED), PlainReason.MOVED_AGAIN),
    ("moved and done", TOLD, record(MADE, done_on("2026-10-03")), DoneOn(on=date(2026, 10, 3))),
    ("moved and withdrawn", TOLD, record(MADE, withdrawn=True), PlainReason.WITHDRAWN),
    # news that the milestone is done: stopped only when it is reopened
    ("told done", FINISHED, record(MADE, done_on("2026-10-03")), None),
    ("told done of another date", FINISHED, record(OLD, done_on("2026-10-03")), None),
    ("reopened", FINISHED, record(MADE), PlainReason.REOPENED),
]


@pytest.mark.parametrize(
    ("member", "about", "expected"), [row[1:] for row in UNWANTED], ids=[row[0] for row in UNWANTED]
)
def test_unwanted(member: ScheduledReminder, about: Record, expected: Reason | None) -> None:
    """People's actions and moves stop reminders that must not be sent, each with its reason."""
    assert find_objection(member, about, NOW) == expected


def test_what_is_unwanted_is_suppressed_with_the_reason() -> None:
    """The verdict has the reason, and a suppressed reminder supersedes none."""
    stale = owed(OLD, "+28d", NOW)
    current = owed(MADE, "+1d")

    found = decided(stale, current)

    assert states(found) == {
        stale.key: ("suppressed", PlainReason.DEADLINE_MOVED),
        current.key: ("bound", None),
    }


def test_a_year_old_import_makes_no_flood() -> None:
    """Ten thousand imported milestones of last year are recorded, and none of them is sent."""
    made = [milestone("2025-09-30", id=f"old/{number}") for number in range(1000)]
    due = [
        (owed(one, offset, utc("2025-10-01T06:00")), record(one)) for one in made for offset in ("0d", "+1d")
    ]

    found = decide(due, NOW, rules())

    assert found.deliveries == ()
    assert {one.state for one in found.verdicts} == {ReminderState.EXPIRED}
