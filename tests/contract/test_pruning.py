"""Test what `Ledger.prune` deletes and keeps, on every ledger."""

from datetime import datetime, timedelta

from alertd.core.ledger.records import ReminderState
from alertd.core.milestones.occurrence import Cause
from alertd.ports import Changes, Ledger
from tests.contract.samples import (
    DAY,
    NOW,
    a_delivery,
    a_notice,
    a_record,
    an_entry,
    an_owed,
    bind,
    fill,
    sent,
    take,
)

LATER = NOW + 1000 * DAY


async def prune(ledger: Ledger, before: datetime = LATER, limit: int = 100) -> tuple[int, int]:
    forgotten = await ledger.prune(before, limit)
    return forgotten["milestones"], forgotten["deliveries"]


async def withdraw(ledger: Ledger, *names: str) -> None:
    await ledger.apply(Changes(records=tuple(a_record(name, withdrawn=True) for name in names)))


async def send_all(ledger: Ledger) -> None:
    await ledger.settle([sent(lease) for lease in await take(ledger)])


async def test_a_withdrawn_milestone_is_forgotten_with_all_that_is_about_it(ledger: Ledger) -> None:
    """All rows about a withdrawn milestone are deleted, and no rows about others."""
    await fill(ledger, an_owed("k1"), an_owed("k2", milestone="iraq/phase-1"))
    await bind(ledger, a_delivery("k1"), a_delivery("k2"))
    await send_all(ledger)
    await ledger.apply(Changes(history=(an_entry(), an_entry(milestone="iraq/phase-1"))))
    await withdraw(ledger, "iraq/phase-2")

    assert await prune(ledger) == (1, 1)

    assert await ledger.read_record("iraq/phase-2") is None
    assert await ledger.read_owed("iraq/phase-2") == []
    assert await ledger.read_history("iraq/phase-2") == []
    assert [one.id for one, _, _ in await ledger.find_deliveries()] == [a_delivery("k2").id]
    assert [one.key for one in await ledger.read_owed("iraq/phase-1")] == ["k2"]
    assert len(await ledger.read_history("iraq/phase-1")) == 1
    assert await prune(ledger) == (0, 0)


async def test_what_was_sent_for_a_milestone_that_lives_is_never_forgotten(ledger: Ledger) -> None:
    """Sent reminders of a current milestone are kept, however old, because they prevent a second sending."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    await send_all(ledger)

    assert await prune(ledger, LATER + 10_000 * DAY) == (0, 0)

    (owed,) = await ledger.read_owed("iraq/phase-2")
    assert owed.state is ReminderState.BOUND
    assert len(await ledger.find_deliveries()) == 1


async def test_what_is_on_its_way_is_kept(ledger: Ledger) -> None:
    """A milestone with a pending occurrence or a ready delivery is kept."""
    await fill(ledger, an_owed("k1"), an_owed("k2", milestone="iraq/phase-1"), deliveries=[a_delivery("k1")])
    await withdraw(ledger, "iraq/phase-2", "iraq/phase-1")

    assert await prune(ledger) == (0, 0)

    await send_all(ledger)
    assert await prune(ledger) == (1, 1)


async def test_what_was_said_lately_is_kept(ledger: Ledger) -> None:
    """The age of a milestone counts from the last entry in its history."""
    await fill(ledger)
    await ledger.apply(Changes(history=(an_entry(at=NOW + 9 * DAY, kind="withdrawn"),)))
    await withdraw(ledger, "iraq/phase-2")

    assert await prune(ledger, NOW + 9 * DAY) == (0, 0)
    assert await prune(ledger, NOW + 9 * DAY + timedelta(microseconds=1)) == (1, 0)


async def test_a_message_about_several_stays_with_those_that_live(ledger: Ledger) -> None:
    """A grouped delivery loses only the members of the deleted milestone."""
    both = a_delivery("k1", "k2")
    await fill(ledger, an_owed("k1"), an_owed("k2", milestone="iraq/phase-1"), deliveries=[both])
    await send_all(ledger)
    await withdraw(ledger, "iraq/phase-2")

    assert await prune(ledger) == (1, 0)

    ((delivery, attempts, members),) = await ledger.find_deliveries()
    assert delivery.id == both.id
    assert delivery.members == ("k2",)
    assert len(attempts) == 1
    assert [one.key for one in members] == ["k2"]


async def test_old_notices_are_forgotten(ledger: Ledger) -> None:
    """Old settled notices are deleted, and unsettled notices are kept."""
    await ledger.apply(Changes(deliveries=(a_notice("one"), a_notice("two"))))
    (first, _) = await take(ledger)
    await ledger.settle([sent(first)])

    assert await prune(ledger, NOW) == (0, 0)
    assert await prune(ledger) == (0, 1)

    assert [one.id for one, _, _ in await ledger.find_deliveries()] != [first.delivery.id]
    assert len(await ledger.find_deliveries()) == 1


async def test_so_many_at_a_time(ledger: Ledger) -> None:
    """A call deletes at most ``limit`` milestones, and the caller repeats it."""
    names = [f"iraq/{number}" for number in range(5)]
    await ledger.apply(Changes(records=tuple(a_record(name) for name in names)))
    await withdraw(ledger, *names)

    assert [await prune(ledger, limit=2) for _ in range(4)] == [(2, 0), (2, 0), (1, 0), (0, 0)]
    assert await ledger.read_timeline("iraq") == ([], [])


async def test_old_repeats_in_the_middle_are_forgotten(ledger: Ledger) -> None:
    """Of a date's overdue reminders the first and the latest stay, and what is young, waits or is ready."""
    slots = [f"+{number}d" for number in range(100)]
    repeats = [
        an_owed(slot, cause=Cause.OVERDUE, offset=slot, at=NOW + number * DAY, wake_at=NOW + number * DAY)
        for number, slot in enumerate(slots)
    ]
    await fill(ledger, *repeats)
    await bind(ledger, *(a_delivery(slot) for slot in slots[:95]))
    await ledger.settle([sent(lease) for lease in await take(ledger) if lease.delivery.members != ("+70d",)])
    before = NOW + 90 * DAY

    first = await ledger.prune(before, 10)
    rest = await ledger.prune(before, 100)

    # Of the 90 old ones, one is still on its way, and all but 64 of the others are deleted.
    assert (first["reminders"], rest["reminders"]) == (10, 15)
    assert (first["deliveries"], rest["deliveries"]) == (10, 15)
    left = {owed.key for owed in await ledger.read_owed("iraq/phase-2")}
    gone = {slot for number, slot in enumerate(slots) if 63 <= number < 89 and number != 70}
    assert left == {*slots} - gone
    assert await prune(ledger, before) == (0, 0)
    assert (await ledger.prune(before, 100))["reminders"] == 0
