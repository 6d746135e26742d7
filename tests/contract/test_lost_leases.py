"""A lease that ends without a settlement is counted, is an attempt, and is leased again with few others."""

from alertd.core.reason import PlainReason
from alertd.ports import Ledger, LostLeases
from tests.contract.samples import MINUTE, NOW, a_delivery, again, an_owed, fill, sent, take

LATER = NOW + 6 * MINUTE
"""When a lease of five minutes has run out."""


async def two_lost(ledger: Ledger) -> None:
    """Two deliveries on one channel and one on another, whose node has ended while it sent them."""
    await fill(
        ledger,
        *(an_owed(key) for key in ("k1", "k2", "k3", "k4")),
        deliveries=[
            a_delivery("k1", next_at=NOW),
            a_delivery("k2", next_at=NOW + MINUTE),
            a_delivery("k3", notifier="mail", next_at=NOW + MINUTE / 2),
            a_delivery("k4", next_at=LATER),
        ],
    )
    assert len(await take(ledger, now=NOW + MINUTE)) == 3


async def test_lost_lease_is_an_attempt_and_is_counted(ledger: Ledger) -> None:
    """A delivery that is leased again has one attempt more, whose outcome is unknown."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    await take(ledger)

    (lease,) = await take(ledger, owner="node-2", now=LATER)

    ((delivery, attempts, _),) = await ledger.find_deliveries()
    assert lease.delivery == delivery
    assert (delivery.lost_leases, delivery.attempts) == (1, 1)
    assert [(one.number, one.outcome, one.reason) for one in attempts] == [
        (1, "unknown", PlainReason.LEASE_LOST)
    ]


async def test_attempt_that_is_settled_ends_the_count(ledger: Ledger) -> None:
    """A settlement with an attempt makes the count 0; one without, such as of a lease too old, keeps it."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    await take(ledger)

    (lease,) = await take(ledger, now=LATER)
    await ledger.settle([again(lease, attempt=None, next_at=LATER)])
    (kept,) = await take(ledger, now=LATER)
    await ledger.settle([again(kept, next_at=LATER)])
    (reset,) = await take(ledger, now=LATER)

    assert [one.delivery.lost_leases for one in (lease, kept, reset)] == [1, 1, 0]
    assert reset.delivery.attempts == 2


async def test_lease_of_what_the_caller_holds_is_not_lost(ledger: Ledger) -> None:
    """A node that still sends a delivery when its lease runs out gets it again, and nothing is counted."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (first,) = await take(ledger)

    (second,) = await take(ledger, now=LATER, held=[first.delivery.id], lost=LostLeases.LEFT_OUT)

    assert (second.delivery, second.fence) == (first.delivery, 2)


async def test_lost_ones_are_left_out_and_leased_one_for_each_channel(ledger: Ledger) -> None:
    """Only fresh deliveries are leased without ``lost``; lost ones are leased one for each channel."""
    await two_lost(ledger)

    fresh = await take(ledger, now=LATER, lost=LostLeases.LEFT_OUT)
    lost = await take(ledger, now=LATER, lost=LostLeases.ALONE)
    more = await take(ledger, now=LATER, most={"desk/hook": 0}, lost=LostLeases.ALONE)
    last = await take(ledger, now=LATER, lost=LostLeases.FEW)

    assert [one.delivery.members for one in fresh] == [("k4",)]
    assert {one.delivery.members for one in lost} == {("k1",), ("k3",)}
    assert more == []
    assert [one.delivery.members for one in last] == [("k2",)]


async def test_lost_twice_is_leased_alone(ledger: Ledger) -> None:
    """A delivery that has lost two leases comes after the others, one at a time, and only if it may."""
    await two_lost(ledger)
    await take(ledger, now=LATER)
    at = LATER + 6 * MINUTE

    held_back = await take(ledger, now=at, lost=LostLeases.FEW)
    first = await take(ledger, now=at, lost=LostLeases.ALONE)

    # k4 has lost one lease and goes first; then one of those that have lost two.
    assert [one.delivery.members for one in held_back] == [("k4",)]
    assert [(one.delivery.members, one.delivery.lost_leases) for one in first] == [(("k1",), 2)]


async def test_wake_up_for_lost_ones_can_be_left_out(ledger: Ledger) -> None:
    """While something is in flight, deliveries that wait to be sent alone do not wake the loop."""
    await two_lost(ledger)
    (fresh,) = await take(ledger, now=LATER, lost=LostLeases.LEFT_OUT)
    await ledger.settle([sent(fresh)])

    assert await ledger.find_next_wake(LATER) == NOW
    assert await ledger.find_next_wake(LATER, lost=False) is None


async def test_lost_leases_are_reported(ledger: Ledger) -> None:
    """A lease counts as lost from its end on, before the delivery is leased again, until it is settled."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (first,) = await take(ledger)
    name = first.delivery.id

    live = (await ledger.find_waiting(NOW + MINUTE)).lost
    ended = (await ledger.find_waiting(LATER)).lost
    (second,) = await take(ledger, now=LATER)
    leased = (await ledger.find_waiting(LATER)).lost
    await ledger.settle([sent(second)])

    assert (live, ended, leased) == ({}, {name: 1}, {name: 1})
    assert (await ledger.find_waiting(LATER)).lost == {}
