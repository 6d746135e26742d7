"""Test what `Ledger.repair` repairs and leaves alone, on every ledger."""

from datetime import datetime, timedelta

import pytest

from alertd.core.ledger.records import Delivery, ReminderState
from alertd.core.reason import PlainReason, Reason, TooLate, TooLateAtLoad
from alertd.ports import Ledger
from tests.contract.samples import DAY, HOUR, MINUTE, NOW, a_delivery, an_owed, fill, sent, take

CATCH_UP = 35 * DAY
YEAR = 400 * DAY


async def repair(ledger: Ledger, now: datetime = NOW, limit: int = 100) -> tuple[int, int]:
    repaired = await ledger.repair(now, CATCH_UP, limit)
    return repaired["reminders"], repaired["deliveries"]


@pytest.mark.parametrize(
    ("due", "wakes", "reason", "is_repaired"),
    [
        # due in a week, and expired when the clock was a year ahead
        (7 * DAY, 7 * DAY, TooLate(days=393), True),
        (7 * DAY, 7 * DAY, TooLateAtLoad(days=393), True),
        # was missed two days ago, and expired by the same clock
        (-2 * DAY, -2 * DAY, TooLate(days=402), True),
        # a digest would have sent it tomorrow
        (-2 * DAY, DAY, TooLate(days=399), True),
        # expired now, and a minute ago
        (-36 * DAY, -36 * DAY, TooLate(days=36), False),
        # expired in time, when `catch_up` was shorter
        (-20 * DAY, -20 * DAY, TooLate(days=10), False),
        # expired by a clock that was ahead, and too late by now
        (-40 * DAY, -40 * DAY, TooLate(days=440), False),
    ],
)
async def test_reminder_that_is_expired_by_a_clock_that_was_ahead_is_pending_again(
    ledger: Ledger, due: timedelta, wakes: timedelta, reason: Reason, is_repaired: bool
) -> None:
    """A reminder that was too late by an instant that is still to come is pending; others stay expired."""
    expired = an_owed("k1", at=NOW + due, wake_at=NOW + wakes, state=ReminderState.EXPIRED, reason=reason)
    await fill(ledger, expired)

    assert await repair(ledger) == (int(is_repaired), 0)

    (owed,) = await ledger.read_owed("iraq/phase-2")
    wanted = (ReminderState.PENDING, None) if is_repaired else (ReminderState.EXPIRED, reason)
    assert (owed.state, owed.reason) == wanted
    assert (owed.at, owed.wake_at) == (expired.at, expired.wake_at)
    assert await repair(ledger) == (0, 0)


async def test_only_expired_reminders_are_repaired(ledger: Ledger) -> None:
    """What is to come stays as it is in every other state, and each call changes no more than it may."""
    later = NOW + 7 * DAY
    others = [state for state in ReminderState if state is not ReminderState.EXPIRED]
    kept = [an_owed(f"a{state}", at=later, state=state, reason=PlainReason.NOT_OWED) for state in others]
    expired = [
        an_owed(f"k{number}", at=later, state=ReminderState.EXPIRED, reason=TooLate(days=300))
        for number in range(5)
    ]
    await fill(ledger, *kept, *expired)

    assert [await repair(ledger, limit=2) for _ in range(4)] == [(2, 0), (2, 0), (1, 0), (0, 0)]

    states = {owed.key: owed.state for owed in await ledger.read_owed("iraq/phase-2")}
    assert states == {owed.key: owed.state for owed in kept} | {
        owed.key: ReminderState.PENDING for owed in expired
    }


async def test_waits_and_horizons_from_the_future_begin_now(ledger: Ledger) -> None:
    """A ready delivery waits no longer than a retry can, and its horizon has begun; a final one is left."""
    made = {
        "waits": a_delivery("k1", bound_at=NOW - HOUR, next_at=NOW + YEAR),
        "bound": a_delivery("k2", bound_at=NOW + YEAR),
        "tried": a_delivery("k3", tried_from=NOW + YEAR),
        "asked": a_delivery("k4", next_at=NOW + 28 * HOUR, tried_from=NOW - MINUTE),
        "sent": a_delivery("k5", bound_at=NOW + YEAR),
    }
    await fill(ledger, *(an_owed(f"k{number}") for number in range(1, 6)), deliveries=list(made.values()))
    leases = await take(ledger)
    await ledger.settle([sent(lease) for lease in leases if lease.delivery.id == made["sent"].id])

    assert await repair(ledger) == (0, 3)

    after = {name: await read(ledger, delivery.id) for name, delivery in made.items()}
    assert (after["waits"].next_at, after["waits"].horizon_start) == (NOW, NOW - HOUR)
    assert (after["bound"].bound_at, after["bound"].horizon_start) == (NOW + YEAR, NOW)
    assert after["tried"].horizon_start == NOW
    assert after["asked"] == made["asked"]
    assert after["sent"].horizon_start == NOW + YEAR
    assert await repair(ledger) == (0, 0)


async def read(ledger: Ledger, name: str) -> Delivery:
    ((delivery, _, _),) = await ledger.find_deliveries(delivery=name)
    return delivery
