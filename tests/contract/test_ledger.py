"""Test every promise of `alertd.ports.Ledger` on every ledger."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from alertd.core.ledger.records import CHANNEL, DeliveryState, Move, ReminderState, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import NO_ACTIONS, Action, ActionKind
from alertd.core.planning.audit import Waiting
from alertd.core.planning.decide import Decisions, Verdict
from alertd.core.reason import (
    Answered,
    CancelledBy,
    LaterReminder,
    MuteInterval,
    PlainReason,
    SnoozedBy,
    TooLate,
)
from alertd.errors import LeadLost, LedgerError, RefusedAction, UnknownDelivery, UnknownMilestone
from alertd.ports import KEEP_REPORTS, MOVES_READ, Changes, KeptConfig, Ledger, NodeReport
from alertd.testing.memory_ledger import MemoryLedger
from tests.contract.samples import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    a_delivery,
    a_notice,
    a_record,
    a_value,
    again,
    an_action,
    an_entry,
    an_owed,
    bind,
    bound,
    dead,
    fill,
    sent,
    take,
)


async def owed_by_key(ledger: Ledger, milestone: str = "iraq/phase-2") -> dict[str, ScheduledReminder]:
    return {one.key: one for one in await ledger.read_owed(milestone)}


# -- reconcile


async def test_empty_ledger_answers_everything_with_nothing(ledger: Ledger) -> None:
    """Every reader returns an empty answer before the first write."""
    assert await ledger.read_timelines() == {}
    assert await ledger.read_timeline("iraq") == ([], [])
    assert await ledger.read_done_dates() == {}
    assert await ledger.find_due(NOW, 10) == []
    assert await take(ledger) == []
    assert await ledger.settle(()) == frozenset()
    assert await ledger.bind(Decisions(deliveries=(), verdicts=()))
    assert await ledger.find_next_wake(NOW) is None
    assert await ledger.read_record("iraq/phase-2") is None
    assert await ledger.read_records() == []
    assert await ledger.read_owed("iraq/phase-2") == []
    assert await ledger.read_upcoming(10) == []
    assert await ledger.find_deliveries() == []
    assert await ledger.read_history() == []
    assert await ledger.read_nodes() == []
    assert await ledger.read_leader() == ""
    assert set((await ledger.count_rows()).values()) == {0}
    assert await ledger.read_size() >= 0


async def test_record_comes_back_equal(ledger: Ledger) -> None:
    """A record is read back unchanged: by its id, with its timeline and with all records."""
    record = a_record(revision=3, changed_at=NOW + timedelta(microseconds=1))

    await ledger.apply(Changes(records=(record,)))

    assert await ledger.read_record(record.id) == record
    assert await ledger.read_records() == [record]
    assert await ledger.read_timeline("iraq") == ([record], [])


async def test_owed_comes_back_equal(ledger: Ledger) -> None:
    """An occurrence is read back unchanged, whatever its values are."""
    move = Move(before=(a_value(),), after=(a_value(edtf="2026-12"), a_value(accounts=())))
    moved = an_owed(
        cause=Cause.MOVED, offset="moved", window_id="", move=move, group=(("a", '"'), ("b", "ä"))
    )

    await fill(ledger, moved)

    assert await ledger.read_owed("iraq/phase-2") == [moved]
    assert await ledger.find_due(NOW, 1) == [(moved, a_record())]


async def test_timelines_are_those_with_a_record_not_withdrawn(ledger: Ledger) -> None:
    """A timeline is listed with its file while it has a milestone that is not withdrawn."""
    records = (
        a_record("iraq/phase-1", withdrawn=True),
        a_record("iraq/phase-2"),
        a_record("gone/all", withdrawn=True),
    )

    await ledger.apply(Changes(records=records))

    assert await ledger.read_timelines() == {"iraq": "milestones/iraq.yaml"}


async def test_timeline_has_withdrawn_records_and_what_may_still_be_sent(ledger: Ledger) -> None:
    """Reading a timeline returns all its records, its pending reminders, and the moves that are held back."""
    held_back = an_owed(
        "k4", cause=Cause.MOVED, state=ReminderState.CANCELLED, reason=PlainReason.MOVED_WHILE_CLOSED
    )
    damped = replace(held_back, key="k5", reason=PlainReason.MOVED_WHILE_DAMPED)
    await fill(ledger, an_owed("k2", at=NOW + DAY), an_owed("k1"), an_owed("k3", milestone="other/one"))
    await fill(ledger, held_back, damped, an_owed("k6", state=ReminderState.EXPIRED))
    await ledger.apply(
        Changes(
            records=(a_record("iraq/phase-1", withdrawn=True),), cancelled=(("k1", PlainReason.NOT_OWED),)
        )
    )

    records, owed = await ledger.read_timeline("iraq")

    assert [record.id for record in records] == ["iraq/phase-1", "iraq/phase-2"]
    assert [(one.key, one.state) for one in owed] == [
        ("k4", ReminderState.CANCELLED),
        ("k2", ReminderState.PENDING),
    ]


async def test_reminders_are_read_by_key(ledger: Ledger) -> None:
    """Reading by key returns the reminders in any state, and nothing for a key that is unknown."""
    expired = an_owed("k2", state=ReminderState.EXPIRED)
    await fill(ledger, an_owed("k1", at=NOW + DAY), expired, an_owed("k3"))

    found = await ledger.read_reminders(["k1", "k2", "k2", "no"])

    assert found == [expired, an_owed("k1", at=NOW + DAY)]
    assert await ledger.read_reminders([]) == []


async def test_latest_tells_who_knows_what_and_does_not_grow(ledger: Ledger) -> None:
    """Of 200 reminders that were sent and 60 moves, the last of each receiver, window and state are read."""
    sent = [an_owed(f"s{n:03}", at=NOW + n * MINUTE, state=ReminderState.BOUND) for n in range(200)]
    told_last = replace(sent[3], key="told", told_at=NOW + 2 * DAY)
    moves = [
        an_owed(f"m{n:02}", at=NOW + n * MINUTE, cause=Cause.MOVED, offset="moved", window_id="")
        for n in range(60)
    ]
    others = [an_owed("leads", receiver="leads"), an_owed("window", window_id="2027/UTC")]
    await fill(ledger, *sent, told_last, *moves, *others, an_owed("k3", milestone="other/one"))

    found = await ledger.read_latest(["iraq/phase-2", "no/such"])

    assert {one.key for one in found} == {
        "told",
        "leads",
        "window",
        *(one.key for one in moves[-MOVES_READ:]),
    }


async def test_decisions_schedule_what_follows(ledger: Ledger) -> None:
    """The reminders that follow are written with the verdicts, and one that is bound already stays bound."""
    await fill(ledger, an_owed("k1"), an_owed("k2", state=ReminderState.BOUND))
    verdict = Verdict(key="k1", state=ReminderState.BOUND, reason=None)
    following = (an_owed("k2"), an_owed("k3", at=NOW + DAY))

    assert await ledger.bind(Decisions(verdicts=(verdict,), following=following))

    states = {key: one.state for key, one in (await owed_by_key(ledger)).items()}
    assert states == {
        "k1": ReminderState.BOUND,
        "k2": ReminderState.BOUND,
        "k3": ReminderState.PENDING,
    }


async def test_refused_decisions_schedule_nothing(ledger: Ledger) -> None:
    """When another node was faster, the reminders that follow are not written either."""
    await fill(ledger, an_owed("k1", state=ReminderState.BOUND))
    verdict = Verdict(key="k1", state=ReminderState.BOUND, reason=None)

    assert not await ledger.bind(Decisions(verdicts=(verdict,), following=(an_owed("k3"),)))

    assert [one.key for one in await ledger.read_owed("iraq/phase-2")] == ["k1"]


async def test_records_are_sorted_and_not_withdrawn(ledger: Ledger) -> None:
    """Records are sorted by id, and withdrawn records are left out."""
    await ledger.apply(Changes(records=(a_record("b/b"), a_record("a/a"), a_record("c/c", withdrawn=True))))

    assert [record.id for record in await ledger.read_records()] == ["a/a", "b/b"]


async def test_reload_leaves_the_standing_and_the_first_load_alone(ledger: Ledger) -> None:
    """Updating a record changes everything but its status and the time of its first load."""
    await fill(ledger)
    await ledger.act(an_action(ActionKind.DONE), ())
    later = NOW + DAY
    reloaded = a_record(
        title="They all leave",
        revision=2,
        values=(a_value(edtf="2026-12"),),
        file="milestones/other.yaml",
        withdrawn=True,
        loaded_at=later,
        changed_at=later,
    )

    await ledger.apply(Changes(records=(reloaded,)))

    found = await ledger.read_record("iraq/phase-2")
    assert found is not None
    assert found.status.done_on == NOW.date()
    assert found == replace(reloaded, loaded_at=NOW, status=found.status)
    assert await ledger.read_done_dates() == {"iraq/phase-2": NOW.date()}


CANCELLED, EXPIRED = ReminderState.CANCELLED, ReminderState.EXPIRED
SOON, LATER = NOW + HOUR, NOW + DAY
PENDING_AT_NOW = {"at": NOW, "wake_at": NOW}


@pytest.mark.parametrize(
    ("before", "found", "after"),
    [
        # pending: all times are updated
        ({}, {"at": LATER, "wake_at": LATER}, {"at": LATER, "wake_at": LATER}),
        # ... also to earlier times
        ({"at": LATER, "wake_at": LATER}, PENDING_AT_NOW, PENDING_AT_NOW),
        # ... a deferred occurrence is no longer deferred and loses its reason
        (
            {"wake_at": LATER, "reason": MuteInterval(interval="weekend")},
            {"at": SOON, "wake_at": SOON},
            {"at": SOON, "wake_at": SOON},
        ),
        # ... or is deferred, with a reason
        (
            {},
            {"wake_at": LATER, "reason": SnoozedBy(by="ada")},
            {"wake_at": LATER, "reason": SnoozedBy(by="ada")},
        ),
        # group and move are updated
        (
            {"move": Move(before=(), after=())},
            {"group": (("a", "b"),), "move": Move(before=(a_value(),), after=())},
            {"group": (("a", "b"),), "move": Move(before=(a_value(),), after=())},
        ),
        # cancelled: pending again
        (
            {"state": CANCELLED, "wake_at": LATER, "reason": PlainReason.DEADLINE_MOVED},
            {"at": SOON, "wake_at": SOON},
            {"at": SOON, "wake_at": SOON},
        ),
        # pending or cancelled: takes a final state if there is now a reason not to send it
        *(
            (
                {"state": state, "reason": CancelledBy(by="ada")},
                {"state": EXPIRED, "reason": TooLate(days=40)},
                {"state": EXPIRED, "reason": TooLate(days=40)},
            )
            for state in (ReminderState.PENDING, CANCELLED)
        ),
        # occurrences in other states are not changed
        *(
            (
                {"state": state, "reason": CancelledBy(by="ada")},
                {"at": LATER, "wake_at": LATER},
                {"state": state, "reason": CancelledBy(by="ada")},
            )
            for state in ReminderState
            if state not in (ReminderState.PENDING, CANCELLED)
        ),
    ],
)
async def test_owed_again(
    ledger: Ledger, before: dict[str, Any], found: dict[str, Any], after: dict[str, Any]
) -> None:
    """Reconciling updates pending and cancelled occurrences and never schedules an occurrence twice."""
    await fill(ledger, an_owed(**before))

    for _ in range(2):
        await ledger.apply(Changes(owed=(an_owed(**found),)))

    assert await ledger.read_owed("iraq/phase-2") == [an_owed(**after)]


async def test_action_writes_what_is_owed_as_a_reload_does(ledger: Ledger) -> None:
    """An action writes its occurrences by the same rules as reconciling."""
    waiting = an_owed("k1", wake_at=LATER, reason=SnoozedBy(by="ada"))
    await fill(ledger, waiting, an_owed("k2", state=EXPIRED))

    await ledger.act(an_action(ActionKind.SNOOZE), (replace(waiting, wake_at=SOON), an_owed("k2")))

    assert await ledger.read_owed("iraq/phase-2") == [
        replace(waiting, wake_at=SOON),
        an_owed("k2", state=EXPIRED),
    ]


async def test_only_what_is_pending_is_cancelled(ledger: Ledger) -> None:
    """A cancelled occurrence has its reason; bound and unknown occurrences are left unchanged."""
    await fill(ledger, an_owed("k1"), an_owed("k2"), deliveries=[a_delivery("k2")])

    await ledger.apply(
        Changes(
            cancelled=(
                ("k1", PlainReason.DEADLINE_MOVED),
                ("k2", PlainReason.NOT_OWED),
                ("k9", PlainReason.NOT_OWED),
            )
        )
    )

    assert await ledger.read_owed("iraq/phase-2") == [
        an_owed("k1", state=CANCELLED, reason=PlainReason.DEADLINE_MOVED),
        an_owed("k2", state=ReminderState.BOUND),
    ]


async def test_what_is_cancelled_and_owed_at_once_is_pending(ledger: Ledger) -> None:
    """An occurrence that is cancelled and scheduled in the same call ends up pending."""
    await fill(ledger, an_owed("k1"))

    await ledger.apply(Changes(owed=(an_owed("k1"),), cancelled=(("k1", PlainReason.DEADLINE_MOVED),)))

    assert await ledger.read_owed("iraq/phase-2") == [an_owed("k1")]


async def test_history_is_appended_and_nothing_is_said_twice(ledger: Ledger) -> None:
    """Entries are returned newest first, and a repeated call adds none."""
    first, second = an_entry(), an_entry(kind="moved", by="ada", why="Reuters", facts={"to": "2026-12"})
    later = an_entry(milestone="iraq/phase-1", at=NOW + DAY)
    changes = Changes(history=(later, first, second))

    for _ in range(2):
        await ledger.apply(changes)

    assert await ledger.read_history() == [later, second, first]
    assert await ledger.read_history("iraq/phase-2") == [second, first]
    assert await ledger.read_history(limit=1) == [later]


async def test_history_of_a_timeline_and_of_a_kind(ledger: Ledger) -> None:
    """The history of a timeline has no entries of timelines with a similar id, even with wildcards of SQL."""
    of_one = an_entry(milestone="i_q/a", at=NOW)
    moved = an_entry(milestone="i_q/a", at=NOW + DAY, kind="moved")
    others = [an_entry(milestone=name, at=NOW, kind="moved") for name in ("i_q2/a", "iraq/a")]
    await ledger.apply(Changes(history=(of_one, moved, *others)))

    assert await ledger.read_history(timeline="i_q") == [moved, of_one]
    assert await ledger.read_history(timeline="i_q", kind="moved") == [moved]
    assert await ledger.read_history(kind="loaded") == [of_one]
    assert await ledger.read_history("i_q/a", 1, kind="moved") == [moved]


async def test_touched_is_when_something_last_happened(ledger: Ledger) -> None:
    """Withdrawn records are included, and a record without a history has the time of its last change."""
    first, second = a_record("iraq/phase-1"), a_record("iraq/phase-2", withdrawn=True)
    other = a_record("iraq2/m")
    history = [an_entry(at=NOW + DAY), an_entry(at=NOW + 2 * DAY, kind="withdrawn")]
    await ledger.apply(Changes(records=(second, other, first), history=tuple(history)))

    of_iraq = [(first, first.changed_at), (second, NOW + 2 * DAY)]
    assert await ledger.read_activity("iraq") == of_iraq
    assert await ledger.read_activity() == [*of_iraq, (other, other.changed_at)]
    assert await ledger.read_activity("ira") == []


async def test_notice_is_written_once(ledger: Ledger) -> None:
    """A notice whose id exists is not written again, whatever its state is."""
    await ledger.apply(Changes(deliveries=(a_notice(),)))
    (lease,) = await take(ledger)
    await ledger.settle([sent(lease)])

    await ledger.apply(Changes(deliveries=(a_notice(bound_at=NOW + DAY),)))

    (delivery, attempts, members), *rest = await ledger.find_deliveries()
    assert (delivery.state, delivery.notice, delivery.bound_at) == (
        DeliveryState.SENT,
        a_notice().notice,
        NOW,
    )
    assert (len(attempts), members, rest) == (1, [], [])


async def test_refused_apply_writes_nothing(ledger: Ledger) -> None:
    """An occurrence without a record is rejected, together with all other changes of the call."""
    changes = Changes(
        records=(a_record("iraq/phase-1"),), owed=(an_owed(milestone="no/such"),), history=(an_entry(),)
    )

    with pytest.raises(LedgerError):
        await ledger.apply(changes)

    assert await ledger.read_records() == []
    assert await ledger.read_history() == []


# -- dispatch: due


async def test_due_is_what_is_pending_and_awake(ledger: Ledger) -> None:
    """An occurrence is due from its instant on, and is returned with its record."""
    await fill(ledger, an_owed())

    assert await ledger.find_due(NOW - timedelta(microseconds=1), 10) == []
    assert await ledger.find_due(NOW, 10) == [(an_owed(), a_record())]


async def test_due_comes_in_whole_sets(ledger: Ledger) -> None:
    """An awake occurrence is returned with all due ones of its milestone and receiver, even deferred ones."""
    deferred = an_owed("k1", at=NOW - HOUR, wake_at=NOW + DAY)
    awake = an_owed("k2")
    await fill(
        ledger,
        awake,
        deferred,
        an_owed("future", at=NOW + MINUTE),
        an_owed("settled", at=NOW - HOUR, state=EXPIRED),
        an_owed("asleep", receiver="leads", at=NOW - HOUR, wake_at=NOW + DAY),
    )

    assert [one for one, _ in await ledger.find_due(NOW, 1)] == [deferred, awake]


async def test_due_sets_come_oldest_first_and_limited(ledger: Ledger) -> None:
    """Sets are sorted by their earliest occurrence, deferred or not, and the limit never splits a set."""
    await fill(
        ledger,
        an_owed("b1", milestone="b/b", at=NOW - 2 * HOUR),
        an_owed("a1", milestone="a/a", at=NOW - 3 * HOUR, wake_at=NOW + DAY),
        an_owed("a2", milestone="a/a"),
        an_owed("c1", milestone="c/c", at=NOW - HOUR),
    )

    assert [one.key for one, _ in await ledger.find_due(NOW, 2)] == ["a1", "a2", "b1"]
    assert [one.key for one, _ in await ledger.find_due(NOW, 9)] == ["a1", "a2", "b1", "c1"]
    assert [one.key for one, _ in await ledger.find_due(NOW, 1, skip=1)] == ["b1"]
    assert await ledger.find_due(NOW, 9, skip=3) == []


# -- dispatch: bind


async def test_bind_writes_verdicts_and_deliveries(ledger: Ledger) -> None:
    """Binding writes each verdict with its reason, and each delivery with its members in order."""
    await fill(ledger, *(an_owed(key) for key in ("k1", "k2", "k3", "k4")))
    delivery = a_delivery("k2", "k1")
    verdicts = (
        bound("k1"),
        bound("k2"),
        Verdict(key="k3", state=ReminderState.SUPERSEDED, reason=LaterReminder(key="k9", offset="-1d")),
        Verdict(
            key="k4", state=ReminderState.PENDING, reason=MuteInterval(interval="weekend"), wake_at=NOW + DAY
        ),
    )

    assert await ledger.bind(Decisions(deliveries=(delivery,), verdicts=verdicts))

    assert await ledger.read_owed("iraq/phase-2") == [
        an_owed("k1", state=ReminderState.BOUND),
        an_owed("k2", state=ReminderState.BOUND),
        an_owed("k3", state=ReminderState.SUPERSEDED, reason=LaterReminder(key="k9", offset="-1d")),
        an_owed("k4", wake_at=NOW + DAY, reason=MuteInterval(interval="weekend")),
    ]
    (made, attempts, members), *rest = await ledger.find_deliveries()
    assert (made, attempts, rest) == (delivery, [], [])
    assert [one.key for one in members] == ["k2", "k1"]


@pytest.mark.parametrize("state", [state for state in ReminderState if state is not ReminderState.PENDING])
async def test_bind_is_all_or_nothing(ledger: Ledger, state: ReminderState) -> None:
    """Nothing is written if one of the occurrences is no longer pending."""
    await fill(ledger, an_owed("k1"), an_owed("k2", state=state))
    decisions = Decisions(deliveries=(a_delivery("k1", "k2"),), verdicts=(bound("k1"), bound("k2")))

    assert not await ledger.bind(decisions)

    assert await ledger.read_owed("iraq/phase-2") == [an_owed("k1"), an_owed("k2", state=state)]
    assert await ledger.find_deliveries() == []


async def test_bind_of_what_is_not_there_does_nothing(ledger: Ledger) -> None:
    """Binding an unknown occurrence writes nothing."""
    assert not await ledger.bind(Decisions(deliveries=(), verdicts=(bound("k9"),)))


async def test_binding_twice_binds_once(ledger: Ledger) -> None:
    """Binding the same decisions again changes nothing, because nothing is pending any more."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])

    assert not await ledger.bind(Decisions(deliveries=(a_delivery("k1"),), verdicts=(bound("k1"),)))

    assert len(await ledger.find_deliveries()) == 1


async def test_delivery_that_is_there_is_left_alone(ledger: Ledger) -> None:
    """A delivery whose id exists is left unchanged."""
    await fill(ledger, an_owed("k1"), an_owed("k2"), deliveries=[a_delivery("k1")])
    same = a_delivery("k1", bound_at=NOW + DAY, next_at=NOW + DAY)

    assert await ledger.bind(Decisions(deliveries=(same,), verdicts=(bound("k2"),)))

    ((delivery, _, _),) = await ledger.find_deliveries()
    assert delivery == a_delivery("k1")


# -- dispatch: lease


async def test_lease_holds_all_that_is_needed(ledger: Ledger) -> None:
    """A lease contains the delivery, its members in order, and their records."""
    await fill(
        ledger, an_owed("k1"), an_owed("k2", milestone="iraq/phase-1"), deliveries=[a_delivery("k2", "k1")]
    )

    (lease,) = await take(ledger)

    assert lease.delivery == a_delivery("k2", "k1")
    assert (lease.owner, lease.fence, lease.until) == ("node-1", 1, NOW + 5 * MINUTE)
    assert [(one.key, one.state) for one in lease.owed] == [
        ("k2", ReminderState.BOUND),
        ("k1", ReminderState.BOUND),
    ]
    assert lease.records == {name: a_record(name) for name in ("iraq/phase-1", "iraq/phase-2")}
    assert lease.overtaken == frozenset()
    assert lease.prior == {}


async def test_only_what_is_ready_and_its_time_has_come_is_leased(ledger: Ledger) -> None:
    """Deliveries with a later next try and settled deliveries are not leased."""
    later = a_delivery("k2", next_at=NOW + MINUTE)
    await fill(ledger, an_owed("k1"), an_owed("k2"), deliveries=[a_delivery("k1"), later])
    (lease,) = await take(ledger)
    await ledger.settle([sent(lease)])

    assert await take(ledger, now=NOW + MINUTE - timedelta(microseconds=1)) == []
    assert [one.delivery.id for one in await take(ledger, now=NOW + MINUTE)] == [later.id]


async def test_live_lease_keeps_others_away_until_it_ends(ledger: Ledger) -> None:
    """A lease keeps other nodes away until its end, and each new lease raises the fence by one."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    until = NOW + 5 * MINUTE
    await take(ledger, duration=5 * MINUTE)

    assert await take(ledger, owner="node-2", now=until - timedelta(microseconds=1)) == []
    (second,) = await take(ledger, owner="node-2", now=until, duration=HOUR)

    assert (second.owner, second.fence) == ("node-2", 2)


async def test_lease_that_a_clock_that_was_ahead_has_taken_keeps_nobody_away(ledger: Ledger) -> None:
    """A lease that ends later than any lease that is taken now, and five minutes more, is not live."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    await take(ledger, now=NOW + DAY, duration=5 * MINUTE)

    assert await take(ledger, owner="node-2", now=NOW + DAY - 5 * MINUTE) == []
    (second,) = await take(ledger, owner="node-2", now=NOW + DAY - 6 * MINUTE)

    assert (second.owner, second.fence) == ("node-2", 2)


async def test_lease_takes_the_oldest_first_within_its_limits(ledger: Ledger) -> None:
    """Leasing takes the oldest deliveries within the limits in total, by channel and by named channel."""
    keys = [f"k{number}" for number in range(1, 7)]
    made = [
        a_delivery("k1", notifier="a", next_at=NOW - MINUTE),
        a_delivery("k2", notifier="a", next_at=NOW - 5 * MINUTE),
        a_delivery("k3", notifier="a", next_at=NOW - 4 * MINUTE),
        a_delivery("k4", notifier="b", next_at=NOW - 3 * MINUTE),
        a_delivery("k5", notifier="c", next_at=NOW - 9 * MINUTE),
        a_delivery("k6", notifier="d", next_at=NOW - 2 * MINUTE),
    ]
    await fill(ledger, *(an_owed(key) for key in keys), deliveries=made)

    first = await take(ledger, limit=3, per_channel=2, most={"desk/c": 0, "no/such": 0})
    second = await take(ledger, limit=9, per_channel=1, most={"desk/c": 0})
    third = await take(ledger)

    assert [lease.delivery.members for lease in first] == [("k2",), ("k3",), ("k4",)]
    assert [lease.delivery.members for lease in second] == [("k6",), ("k1",)]
    assert [lease.delivery.members for lease in third] == [("k5",)]


@pytest.mark.parametrize("cause", [Cause.OPENS, Cause.APPROACHING, Cause.DUE, Cause.OVERDUE])
@pytest.mark.parametrize("by", [Cause.OPENS, Cause.APPROACHING, Cause.DUE, Cause.OVERDUE])
async def test_bound_reminder_overtakes_earlier_reminders(ledger: Ledger, cause: Cause, by: Cause) -> None:
    """A bound reminder overtakes earlier reminders of the same milestone and receiver."""
    await fill(
        ledger,
        an_owed("old", cause=cause),
        an_owed("new", at=NOW + HOUR, cause=by, window_id="another"),
        deliveries=[a_delivery("old"), a_delivery("new")],
    )

    overtaken = {lease.delivery.members: lease.overtaken for lease in await take(ledger)}

    assert overtaken == {("old",): {"old"}, ("new",): set()}


@pytest.mark.parametrize(
    ("old", "new", "overtakes"),
    [
        # news does not overtake reminders, and reminders do not overtake news
        (Cause.APPROACHING, {"cause": Cause.MOVED}, False),
        (Cause.APPROACHING, {"cause": Cause.DONE}, False),
        (Cause.MOVED, {"cause": Cause.OVERDUE}, False),
        (Cause.DONE, {"cause": Cause.OVERDUE}, False),
        # a move overtakes an earlier move; done is never overtaken
        (Cause.MOVED, {"cause": Cause.MOVED}, True),
        (Cause.DONE, {"cause": Cause.DONE}, False),
        # not for another receiver, another milestone or the same instant
        (Cause.DUE, {"receiver": "leads"}, False),
        (Cause.DUE, {"milestone": "iraq/phase-1"}, False),
        (Cause.DUE, {"at": NOW, "wake_at": NOW}, False),
    ],
)
async def test_what_overtakes_what(ledger: Ledger, old: Cause, new: dict[str, Any], overtakes: bool) -> None:
    """For a milestone and receiver, a later reminder overtakes reminders and a later move overtakes moves."""
    later = replace(an_owed("new", at=NOW + HOUR, cause=Cause.DUE), **new)
    await fill(ledger, an_owed("old", cause=old), later, deliveries=[a_delivery("old"), a_delivery("new")])

    overtaken = {lease.delivery.members: lease.overtaken for lease in await take(ledger)}

    assert overtaken[("old",)] == ({"old"} if overtakes else set())


async def test_reminder_that_is_not_bound_overtakes_nothing(ledger: Ledger) -> None:
    """A pending reminder overtakes none, so the earlier one can still be sent."""
    await fill(ledger, an_owed("old"), an_owed("new", at=NOW + HOUR), deliveries=[a_delivery("old")])

    (lease,) = await take(ledger)

    assert lease.overtaken == frozenset()


@pytest.mark.parametrize(("at", "key"), [(-MINUTE, "k1"), (timedelta(), "k2"), (DAY, None)])
async def test_lease_says_what_comes_next(ledger: Ledger, at: timedelta, key: str | None) -> None:
    """A lease has the next pending reminder of each member's milestone and receiver."""
    await fill(
        ledger,
        an_owed("old", at=NOW - DAY),
        an_owed("k1"),
        an_owed("k2", at=NOW + DAY),
        an_owed("x1", at=NOW + MINUTE, state=EXPIRED),
        an_owed("x2", at=NOW + MINUTE, receiver="leads"),
        an_owed("x3", at=NOW + MINUTE, milestone="a/a"),
        an_owed("x4", at=NOW + MINUTE, cause=Cause.MOVED),
        deliveries=[a_delivery("old", next_at=NOW - DAY)],
    )

    (lease,) = await take(ledger, now=NOW + at)

    assert {name: one.key for name, one in lease.upcoming.items()} == ({"iraq/phase-2": key} if key else {})


# -- dispatch: settle


async def test_accepted_delivery_is_settled(ledger: Ledger) -> None:
    """Settling writes state, reason, end, attempt and the members that were told."""
    await fill(ledger, an_owed("k1"), an_owed("k2"), deliveries=[a_delivery("k1", "k2")])
    (lease,) = await take(ledger)
    settlement = sent(lease, reason=Answered(text="thread 7"), told=("k1",))

    assert await ledger.settle([settlement]) == frozenset()

    ((delivery, attempts, members),) = await ledger.find_deliveries()
    assert delivery == a_delivery(
        "k1",
        "k2",
        state=DeliveryState.SENT,
        attempts=1,
        reason=Answered(text="thread 7"),
        settled_at=NOW + MINUTE,
    )
    assert attempts == [settlement.attempt]
    assert [one.told_at for one in members] == [NOW + MINUTE, None]
    assert await take(ledger, now=NOW + DAY) == []


async def test_only_the_first_telling_is_kept(ledger: Ledger) -> None:
    """``told_at`` is the time at which the first delivery with the occurrence was accepted."""
    pair = [a_delivery("k1"), a_delivery("k1", notifier="mail")]
    await fill(ledger, an_owed("k1"), deliveries=pair)
    first, second = await take(ledger)

    await ledger.settle([sent(first)])
    await ledger.settle([sent(second, at=NOW + HOUR)])

    assert (await owed_by_key(ledger))["k1"].told_at == NOW + MINUTE


async def test_ready_settlement_ends_the_lease(ledger: Ledger) -> None:
    """A delivery to retry can be leased from its next try on, even before the old lease would have ended."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger, duration=DAY)

    assert await ledger.settle([again(lease, next_at=NOW + 2 * MINUTE)]) == frozenset()

    assert await take(ledger, now=NOW + MINUTE) == []
    (second,) = await take(ledger, now=NOW + 2 * MINUTE, duration=DAY)
    assert (second.fence, second.delivery.attempts, second.delivery.reason) == (
        2,
        1,
        Answered(text="status 503"),
    )
    assert second.delivery.settled_at is None


async def test_settlement_without_an_attempt_counts_none(ledger: Ledger) -> None:
    """A settlement without an attempt leaves the number of attempts unchanged."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger)

    await ledger.settle(
        [sent(lease, state=DeliveryState.SUPPRESSED, attempt=None, told=(), reason=PlainReason.NOTHING_LEFT)]
    )

    ((delivery, attempts, _),) = await ledger.find_deliveries()
    assert (delivery.state, delivery.attempts, attempts) == (DeliveryState.SUPPRESSED, 0, [])


async def test_stale_settlement_is_refused(ledger: Ledger) -> None:
    """A settlement under a lost lease is rejected and reported; other settlements of the call are written."""
    pair = [a_delivery("k1"), a_delivery("k2")]
    await fill(ledger, an_owed("k1"), an_owed("k2"), deliveries=pair)
    leases = {lease.delivery.members: lease for lease in await take(ledger)}
    await ledger.settle([again(leases["k2",], next_at=NOW)])
    (newer,) = await take(ledger, owner="node-2")

    refused = await ledger.settle([sent(leases["k2",], follow_up=(a_notice(),)), sent(leases["k1",])])

    assert refused == {a_delivery("k2").id}
    states = {delivery.id: delivery.state for delivery, _, _ in await ledger.find_deliveries()}
    assert states == {a_delivery("k1").id: DeliveryState.SENT, a_delivery("k2").id: DeliveryState.READY}
    assert await ledger.settle([sent(newer)]) == frozenset()


async def test_expired_lease_that_nobody_took_over_still_settles(ledger: Ledger) -> None:
    """An expired lease can still settle if no other node has leased the delivery."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger, duration=MINUTE)

    assert await ledger.settle([sent(lease, at=NOW + DAY)]) == frozenset()


async def test_final_delivery_is_not_settled_again(ledger: Ledger) -> None:
    """A settled delivery keeps its final state."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger)
    await ledger.settle([sent(lease)])
    before = await ledger.find_deliveries()

    assert await ledger.settle([dead(lease)]) == {lease.delivery.id}

    assert await ledger.find_deliveries() == before


async def test_settlement_of_no_delivery_is_refused(ledger: Ledger) -> None:
    """Settling an unknown delivery is rejected."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger)
    stray = replace(lease, delivery=a_delivery("k9"))

    assert await ledger.settle([sent(stray)]) == {stray.delivery.id}


async def test_settling_twice_counts_once(ledger: Ledger) -> None:
    """A repeated settlement of a failed try leaves one attempt and the same next try."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger)

    await ledger.settle([again(lease)])
    before = await ledger.find_deliveries()
    await ledger.settle([again(lease)])

    assert await ledger.find_deliveries() == before
    assert before[0][0].attempts == 1


async def test_follow_up_is_written_with_the_settlement(ledger: Ledger) -> None:
    """Follow-up deliveries are written: the fallback's has the same members, a notice has none."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger)
    fallback = a_delivery("k1", receiver="ops", fallback_for="desk", bound_at=NOW + MINUTE)

    await ledger.settle([dead(lease, follow_up=(fallback, a_notice()))])

    leases = {one.delivery.id: one for one in await take(ledger)}
    assert set(leases) == {fallback.id, a_notice().id}
    assert leases[fallback.id].delivery == fallback
    assert [one.key for one in leases[fallback.id].owed] == ["k1"]
    assert leases[a_notice().id].delivery == a_notice()


async def test_notifier_is_handed_what_it_returned_last(ledger: Ledger) -> None:
    """The notifier gets the state that it returned last for the milestone and channel."""
    keys = ("k1", "k2", "k3", "k4")
    await fill(ledger, *(an_owed(key, at=NOW + HOUR) for key in keys), deliveries=[a_delivery("k1")])
    (first,) = await take(ledger)
    await ledger.settle([sent(first, remember={"iraq/phase-2": {"ts": "1"}, "iraq/other": {"ts": "x"}})])
    await bind(ledger, a_delivery("k2"))
    (second,) = await take(ledger)
    await ledger.settle([sent(second, remember={"iraq/phase-2": {"ts": "2"}})])
    await bind(ledger, a_delivery("k3"), a_delivery("k4", notifier="mail"))

    prior = {lease.delivery.members: lease.prior for lease in await take(ledger)}

    assert second.prior == {"iraq/phase-2": {"ts": "1"}}
    assert prior == {("k3",): {"iraq/phase-2": {"ts": "2"}}, ("k4",): {}}


async def test_what_is_remembered_of_a_channel_holds_for_all_its_milestones_until_somebody_retries(
    ledger: Ledger,
) -> None:
    """The state of a channel is passed to all deliveries of that channel, also notices, until a retry."""
    await fill(ledger, an_owed("k1"), an_owed("k2"), deliveries=[a_delivery("k1")])
    (first,) = await take(ledger)
    await ledger.settle([dead(first, remember={CHANNEL: {"stopped": "yes"}})])
    await bind(ledger, a_delivery("k2"), a_delivery("k2", notifier="mail"))

    prior = {lease.delivery.channel: lease.prior for lease in await take(ledger)}
    await ledger.retry(first.delivery.id, NOW, "ada")
    (again,) = await take(ledger)

    assert prior == {first.delivery.channel: {CHANNEL: {"stopped": "yes"}}, "desk/mail": {}}
    assert again.prior == {}


# -- dispatch: next wake


async def test_next_wake_is_the_earliest_that_may_be_to_do(ledger: Ledger) -> None:
    """The next wake-up is the earliest of all pending, ready and leased instants, even in the past."""
    await fill(
        ledger, an_owed("k1", at=NOW - DAY), an_owed("k2", wake_at=NOW + DAY), an_owed("k3", state=EXPIRED)
    )
    assert await ledger.find_next_wake(NOW) == NOW - DAY

    await bind(ledger, a_delivery("k1", next_at=NOW - HOUR))
    assert await ledger.find_next_wake(NOW) == NOW - HOUR

    (lease,) = await take(ledger, duration=5 * MINUTE)
    assert await ledger.find_next_wake(NOW) == NOW + 5 * MINUTE
    assert await ledger.find_next_wake(NOW + 5 * MINUTE) == NOW - HOUR

    await ledger.settle([again(lease, next_at=NOW + HOUR)])
    assert await ledger.find_next_wake(NOW) == NOW + HOUR

    (lease,) = await take(ledger, now=NOW + HOUR)
    await ledger.settle([sent(lease)])
    assert await ledger.find_next_wake(NOW) == NOW + DAY


async def test_next_wake_passes_over_channels_that_are_shut(ledger: Ledger) -> None:
    """Deliveries of a shut channel, ready or leased, do not count for the next wake-up."""
    await fill(
        ledger, an_owed("k1"), an_owed("k2"), deliveries=[a_delivery("k1"), a_delivery("k2", notifier="b")]
    )
    await take(ledger, limit=1)

    assert await ledger.find_next_wake(NOW, frozenset({"desk/hook", "desk/b"})) is None


# -- the self-audit


async def test_waiting_names_what_waits_longest(ledger: Ledger) -> None:
    """The answer has the earliest pending instant, the earliest free delivery and the last lease's end."""
    assert await ledger.find_waiting(NOW) == Waiting()
    made = [
        a_delivery("k1", notifier="a", next_at=NOW - HOUR),
        a_delivery("k2", notifier="b", next_at=NOW - MINUTE),
    ]
    await fill(ledger, an_owed("k1"), an_owed("k2"), an_owed("k3", wake_at=NOW + DAY), deliveries=made)

    free = await ledger.find_waiting(NOW)
    shut = await ledger.find_waiting(NOW, frozenset({"desk/a"}))
    await take(ledger, duration=5 * MINUTE)
    held = await ledger.find_waiting(NOW)

    assert free == Waiting(undecided=NOW + DAY, untaken=NOW - HOUR)
    assert shut == Waiting(undecided=NOW + DAY, untaken=NOW - MINUTE)
    assert held == Waiting(undecided=NOW + DAY, lease=NOW + 5 * MINUTE)


async def test_known_names_what_is_there(ledger: Ledger) -> None:
    """Existing keys of occurrences in any state and existing ids of deliveries are returned."""
    delivery = a_delivery("k1")
    await fill(ledger, an_owed("k1"), an_owed("k2", state=EXPIRED), deliveries=[delivery])

    found = await ledger.find_known(owed=["k1", "k2", "k9"], deliveries=[delivery.id, "msg_none"])

    assert found == {"k1", "k2", delivery.id}
    assert await ledger.find_known() == frozenset()


# -- people


@pytest.mark.parametrize(
    ("kind", "stands", "facts"),
    [
        (ActionKind.ACK, {"ack_until": NOW + DAY, "ack_by": "ada"}, {"until": "2026-09-02T06:00:00Z"}),
        (
            ActionKind.SNOOZE,
            {"snooze_until": NOW + DAY, "snooze_by": "ada"},
            {"until": "2026-09-02T06:00:00Z"},
        ),
        (
            ActionKind.DONE,
            {"done_on": date(2026, 9, 1), "done_by": "ada"},
            {"done_on": "2026-09-01", "evidence": "https://example.org/photo"},
        ),
        (ActionKind.CANCEL, {"cancelled": True, "cancelled_by": "ada"}, {}),
    ],
)
async def test_action_is_in_the_standing_and_in_the_history(
    ledger: Ledger, kind: ActionKind, stands: dict[str, Any], facts: dict[str, str]
) -> None:
    """Every reader sees an action, and the history keeps who did it and why."""
    await fill(ledger)

    after = await ledger.act(an_action(kind), ())

    assert {name: getattr(after.status, name) for name in stands} == stands
    assert await ledger.read_record("iraq/phase-2") == after
    assert await ledger.read_history("iraq/phase-2") == [
        an_entry(kind=kind.value, by="ada", why="she said so", facts=facts)
    ]


async def test_acknowledgement_is_given_for_the_windows_that_remind(ledger: Ledger) -> None:
    """An acknowledgement applies to the record's current windows, so it ends when the date moves."""
    await fill(ledger)

    after = await ledger.act(an_action(ActionKind.ACK), ())

    assert after.status.ack_windows == a_record().window_ids


async def test_done_makes_something_owed(ledger: Ledger) -> None:
    """The occurrences that an action schedules are written with it, by the rules of reconciling."""
    await fill(ledger)
    told = an_owed("done", cause=Cause.DONE, offset="done", window_id="")

    await ledger.act(an_action(ActionKind.DONE), (told,))

    assert await ledger.read_owed("iraq/phase-2") == [told]
    assert await ledger.read_done_dates() == {"iraq/phase-2": NOW.date()}


async def test_reopened_milestone_stands_as_if_nothing_was_said(ledger: Ledger) -> None:
    """A reopened milestone has no status, and the history has both actions."""
    await fill(ledger)
    await ledger.act(an_action(ActionKind.DONE), ())

    after = await ledger.act(an_action(ActionKind.REOPEN, at=NOW + HOUR), ())

    assert after.status == NO_ACTIONS
    assert await ledger.read_done_dates() == {}
    assert [entry.kind for entry in await ledger.read_history()] == ["reopen", "done"]


@pytest.mark.parametrize(
    "action",
    [
        # done already
        an_action(ActionKind.CANCEL, at=NOW + HOUR),
        # the end is not in the future, and the milestone is done
        an_action(ActionKind.ACK, at=NOW + DAY),
        # another date is another action
        an_action(ActionKind.DONE, done_on=date(2026, 8, 1)),
    ],
)
async def test_action_that_does_not_fit_is_refused(ledger: Ledger, action: Action) -> None:
    """A rejected action writes nothing."""
    await fill(ledger)
    done = await ledger.act(an_action(ActionKind.DONE), ())

    with pytest.raises(RefusedAction):
        await ledger.act(action, (an_owed(),))

    assert await ledger.read_record("iraq/phase-2") == done
    assert len(await ledger.read_history()) == 1
    assert await ledger.read_owed("iraq/phase-2") == []


async def test_same_action_again_does_nothing(ledger: Ledger) -> None:
    """A repeated call with the same arguments succeeds and changes nothing."""
    await fill(ledger)
    first = await ledger.act(an_action(ActionKind.DONE), ())

    assert await ledger.act(an_action(ActionKind.DONE), ()) == first

    assert len(await ledger.read_history()) == 1


async def test_action_on_an_unknown_milestone_is_refused(ledger: Ledger) -> None:
    """The error names the unknown milestone."""
    with pytest.raises(UnknownMilestone, match="no/such"):
        await ledger.act(an_action(ActionKind.ACK, milestone="no/such"), ())


async def test_dead_delivery_is_sent_again(ledger: Ledger) -> None:
    """A retried delivery is ready at once; the count of attempts continues and the history has the actor."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger, duration=DAY)
    await ledger.settle([dead(lease)])
    later = NOW + 2 * HOUR

    delivery = await ledger.retry(lease.delivery.id, later, "ada")

    assert (delivery.state, delivery.bound_at, delivery.next_at) == (DeliveryState.READY, later, later)
    assert (delivery.attempts, delivery.settled_at) == (1, None)
    (entry,) = await ledger.read_history("iraq/phase-2")
    assert (entry.kind, entry.by, entry.facts) == ("retry", "ada", {"delivery": lease.delivery.id})
    (second,) = await take(ledger, now=later)
    assert second.delivery == delivery


async def test_retry_takes_the_delivery_from_whoever_had_it(ledger: Ledger) -> None:
    """A settlement under a lease from before the retry is rejected."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger)
    await ledger.settle([dead(lease)])
    await ledger.retry(lease.delivery.id, NOW, "ada")

    assert await ledger.settle([dead(lease)]) == {lease.delivery.id}


async def test_retry_twice_is_retry_once(ledger: Ledger) -> None:
    """A repeated call with the same arguments changes nothing."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger)
    await ledger.settle([dead(lease)])

    first = await ledger.retry(lease.delivery.id, NOW, "ada")

    assert await ledger.retry(lease.delivery.id, NOW, "ada") == first
    assert len(await ledger.read_history()) == 1


async def test_only_a_dead_delivery_is_sent_again(ledger: Ledger) -> None:
    """Retrying a ready or sent delivery is rejected, and an unknown delivery raises UnknownDelivery."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    name = a_delivery("k1").id

    with pytest.raises(RefusedAction, match="ready"):
        await ledger.retry(name, NOW, "ada")
    (lease,) = await take(ledger)
    await ledger.settle([sent(lease)])
    with pytest.raises(RefusedAction, match="sent"):
        await ledger.retry(name, NOW, "ada")
    with pytest.raises(UnknownDelivery, match="msg_no"):
        await ledger.retry("msg_no", NOW, "ada")


# -- readers


async def test_owed_is_sorted_by_instant(ledger: Ledger) -> None:
    """All occurrences of a milestone, in any state, are sorted by their instant."""
    await fill(
        ledger, an_owed("k2", at=NOW + DAY), an_owed("k1", state=EXPIRED), an_owed("k3", milestone="a/a")
    )

    assert [one.key for one in await ledger.read_owed("iraq/phase-2")] == ["k1", "k2"]


async def test_coming_is_what_is_pending_by_when_it_wakes(ledger: Ledger) -> None:
    """Pending occurrences are sorted by the instant at which they wake."""
    await fill(
        ledger,
        an_owed("k1", wake_at=NOW + DAY),
        an_owed("k2", at=NOW + HOUR),
        an_owed("k3", at=NOW - HOUR, state=EXPIRED),
    )

    assert [one.key for one in await ledger.read_upcoming(10)] == ["k2", "k1"]
    assert [one.key for one in await ledger.read_upcoming(1)] == ["k2"]


async def test_deliveries_are_found_by_milestone_and_state(ledger: Ledger) -> None:
    """Deliveries are found by milestone and state, newest first and up to the limit."""
    old = a_delivery("k1", "k2", bound_at=NOW - DAY)
    new = a_delivery("k3")
    await fill(
        ledger,
        an_owed("k1"),
        an_owed("k2", milestone="a/a"),
        an_owed("k3", milestone="a/a"),
        deliveries=[old, new],
    )
    (lease, *_) = await take(ledger, limit=1)
    await ledger.settle([dead(lease)])

    async def ids(**wanted: Any) -> list[str]:
        return [delivery.id for delivery, _, _ in await ledger.find_deliveries(**wanted)]

    assert await ids() == [new.id, old.id]
    assert await ids(limit=1) == [new.id]
    assert await ids(milestone="iraq/phase-2") == [old.id]
    assert await ids(milestone="a/a") == [new.id, old.id]
    assert await ids(state=DeliveryState.DEAD) == [lease.delivery.id]
    assert await ids(state=DeliveryState.DEAD, milestone="no/such") == []


async def test_counts_are_by_state(ledger: Ledger) -> None:
    """Every state is counted, even if the count is 0."""
    await fill(
        ledger, an_owed("k1"), an_owed("k2"), an_owed("k3", state=EXPIRED), deliveries=[a_delivery("k1")]
    )

    counts = await ledger.count_rows()

    assert {name: many for name, many in counts.items() if many} == {
        "milestones": 1,
        "owed.pending": 1,
        "owed.bound": 1,
        "owed.expired": 1,
        "deliveries.ready": 1,
    }
    assert set(counts) == {
        "milestones",
        *(f"owed.{state}" for state in ReminderState),
        *(f"deliveries.{state}" for state in DeliveryState),
    }


# -- nodes


async def test_nodes_say_what_they_last_said(ledger: Ledger) -> None:
    """A report replaces the node's previous report, and the latest report comes first."""
    first = NodeReport(node="a", version="1", started_at=NOW, seen_at=NOW, receivers=("desk",))
    other = NodeReport(node="b", version="1", started_at=NOW, seen_at=NOW + MINUTE)
    newer = replace(first, seen_at=NOW + HOUR, config_id="c", problems=("iraq.yaml:1:1: no",), receivers=())

    for report in (first, other, newer):
        await ledger.report(report)

    assert await ledger.read_nodes() == [newer, other]


async def test_stopped_node_says_so(ledger: Ledger) -> None:
    """The report of a stopped daemon is kept and marked as stopped until the daemon starts again."""
    report = NodeReport(node="a", version="1", started_at=NOW, seen_at=NOW)
    await ledger.report(report)

    for _ in range(2):
        await ledger.retire("a")
    stopped = await ledger.read_nodes()
    await ledger.report(report)

    assert stopped == [replace(report, stopped=True)]
    assert await ledger.read_nodes() == [report]


async def test_nodes_that_are_long_gone_are_forgotten(ledger: Ledger) -> None:
    """Old reports are deleted, because each start of a daemon adds a node."""
    await ledger.report(NodeReport(node="a", version="1", started_at=NOW, seen_at=NOW))
    await ledger.report(NodeReport(node="b", version="1", started_at=NOW, seen_at=NOW + KEEP_REPORTS))
    both = await ledger.read_nodes()

    await ledger.report(NodeReport(node="b", version="1", started_at=NOW, seen_at=NOW + KEEP_REPORTS + DAY))

    assert [one.node for one in both] == ["b", "a"]
    assert [one.node for one in await ledger.read_nodes()] == ["b"]


# -- the lead


async def test_one_node_leads(ledger: Ledger) -> None:
    """A leader keeps its term while it renews in time; then another node can take over with a new term."""
    assert await ledger.read_leader() == ""
    assert await ledger.take_lead("a", NOW, duration=MINUTE) == 1
    assert await ledger.take_lead("a", NOW + MINUTE / 2, duration=MINUTE) == 1
    assert await ledger.take_lead("b", NOW + MINUTE, duration=MINUTE) is None
    assert await ledger.read_leader() == "a"

    assert await ledger.take_lead("b", NOW + MINUTE * 3 / 2, duration=MINUTE) == 2

    assert await ledger.read_leader() == "b"
    assert await ledger.take_lead("a", NOW + MINUTE * 3 / 2, duration=MINUTE) is None


async def test_late_leader_leads_on_while_nobody_took_over(ledger: Ledger) -> None:
    """A leader that renews too late keeps its term if no other node has taken over."""
    await ledger.take_lead("a", NOW, duration=MINUTE)

    assert await ledger.take_lead("a", NOW + DAY, duration=MINUTE) == 1


async def test_lead_of_the_dead_is_taken_at_once(ledger: Ledger) -> None:
    """A node can replace a dead leader at once, but only if the dead node is the leader."""
    await ledger.take_lead("a", NOW, duration=MINUTE)

    assert await ledger.take_lead("b", NOW, duration=MINUTE, instead_of="c") is None
    assert await ledger.take_lead("b", NOW, duration=MINUTE, instead_of="a") == 2


async def test_lead_that_a_clock_that_was_ahead_has_taken_is_free(ledger: Ledger) -> None:
    """A leader whose clock was a day ahead holds nobody up once the clock is right."""
    await ledger.take_lead("a", NOW + DAY, duration=MINUTE)

    assert await ledger.take_lead("b", NOW + DAY - 2 * MINUTE, duration=MINUTE) == 2

    assert await ledger.take_lead("a", NOW + DAY - 2 * MINUTE, duration=MINUTE) is None


async def test_lead_that_is_given_back_is_free(ledger: Ledger) -> None:
    """A daemon that stops gives up its own leadership, and the next leader has a new term."""
    await ledger.take_lead("a", NOW, duration=MINUTE)
    await ledger.retire("b")
    assert await ledger.take_lead("b", NOW, duration=MINUTE) is None

    await ledger.retire("a")

    assert await ledger.read_leader() == ""
    assert await ledger.take_lead("b", NOW, duration=MINUTE) == 2


async def test_lost_lead_writes_nothing(ledger: Ledger) -> None:
    """All changes of a node are rejected if another node has become the leader."""
    await ledger.take_lead("a", NOW, duration=MINUTE)
    await ledger.apply(Changes(records=(a_record("iraq/phase-1"),)), term=1)
    await ledger.take_lead("b", NOW + MINUTE, duration=MINUTE)

    with pytest.raises(LeadLost, match="term 1"):
        await ledger.apply(Changes(records=(a_record(),)), term=1)
    await ledger.apply(Changes(records=(a_record("iraq/phase-3"),)), term=2)

    assert [record.id for record in await ledger.read_records()] == ["iraq/phase-1", "iraq/phase-3"]


async def test_nobody_leads_without_having_asked(ledger: Ledger) -> None:
    """Changes under a term that no node has had are rejected."""
    with pytest.raises(LeadLost):
        await ledger.apply(Changes(records=(a_record(),)), term=1)


async def test_closing_twice_is_safe(ledger: Ledger) -> None:
    """A second close does nothing."""
    await ledger.close()
    await ledger.close()


async def test_a_ledger_on_a_disk_has_a_size(ledger: Ledger) -> None:
    """The size is a number of whole pages, and 0 for a ledger in memory."""
    await fill(ledger, an_owed())

    size = await ledger.read_size()

    assert size == 0 if isinstance(ledger, MemoryLedger) else size >= 4096


async def test_configuration_is_kept_as_the_leader_last_wrote_it(ledger: Ledger) -> None:
    """Without a text, none is kept. Who does not lead changes nothing."""
    first = KeptConfig(text='{"timezone": "UTC"} é\n', node="a", at=NOW)
    second = replace(first, text="{}", node="b", at=NOW + MINUTE)
    term = await ledger.take_lead("a", NOW, duration=MINUTE)
    assert term is not None

    found = [await ledger.read_kept_config()]
    for kept in (first, first, second, replace(second, text="")):
        await ledger.keep_config(kept, term=term)
        found.append(await ledger.read_kept_config())
    await ledger.keep_config(first, term=term)
    with pytest.raises(LeadLost):
        await ledger.keep_config(second, term=term + 1)

    assert found == [None, first, first, second, None]
    assert await ledger.read_kept_config() == first


async def test_secret_is_the_one_that_was_there_first(ledger: Ledger) -> None:
    """The first secret that is offered is kept and returned to all nodes."""
    found = [await ledger.ensure_shared_secret(made) for made in ("first", "second", "third")]

    assert found == ["first"] * 3
