"""A lease that is taken ahead begins later, or is given back; it is lost only if it has begun."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alertd.core.milestones.status import ActionKind
from alertd.errors import LedgerRefused
from alertd.ports import Changes, Ledger, LostLeases
from tests.contract.samples import (
    MINUTE,
    NOW,
    a_delivery,
    a_record,
    a_value,
    again,
    an_action,
    an_owed,
    dead,
    fill,
    sent,
    take,
)

AHEAD = timedelta(seconds=10)
LEASE = 5 * MINUTE


async def a_backlog(ledger: Ledger, *keys: str) -> None:
    """One delivery for each key, the first one due first."""
    await fill(
        ledger,
        *(an_owed(key) for key in keys),
        deliveries=[a_delivery(key, next_at=NOW - MINUTE / (place + 1)) for place, key in enumerate(keys)],
    )


async def test_lease_ahead_keeps_others_away_until_it_ends(ledger: Ledger) -> None:
    """Nobody else gets what is leased ahead; when the lease has ended, anybody does, and nothing is lost."""
    await a_backlog(ledger, "k1")
    (ahead,) = await take(ledger, duration=AHEAD, ahead=True)

    early = await take(ledger, owner="node-2", now=NOW + AHEAD / 2, lost=LostLeases.LEFT_OUT)
    waits = await ledger.find_next_wake(NOW + AHEAD / 2)
    fresh = await ledger.find_next_wake(NOW + AHEAD, lost=False)
    suspects = await take(ledger, owner="node-2", now=NOW + AHEAD, lost=LostLeases.ALONE)
    reported = (await ledger.find_waiting(NOW + AHEAD)).lost
    (lease,) = await take(ledger, owner="node-2", now=NOW + AHEAD, lost=LostLeases.LEFT_OUT)

    assert (early, suspects, reported) == ([], [], {})
    assert waits == NOW + AHEAD
    assert fresh is not None
    assert fresh <= NOW + AHEAD
    assert (lease.delivery, lease.fence) == (ahead.delivery, ahead.fence + 1)
    assert (lease.delivery.attempts, lease.delivery.lost_leases) == (0, 0)


async def test_lease_that_has_begun_can_be_lost(ledger: Ledger) -> None:
    """A lease that begins is live for its whole time from then on, and is lost when that has run out."""
    await a_backlog(ledger, "k1", "k2")
    ahead = await take(ledger, duration=AHEAD, ahead=True)
    begins_at = NOW + AHEAD

    refused = await ledger.begin(ahead[:1], begins_at, duration=LEASE)
    again_refused = await ledger.begin(ahead[:1], begins_at, duration=LEASE)
    live = await take(ledger, owner="node-2", now=begins_at + LEASE / 2, lost=LostLeases.LEFT_OUT)
    lost = await take(ledger, owner="node-2", now=begins_at + LEASE, lost=LostLeases.ALONE)

    assert (refused, again_refused) == (frozenset(), frozenset())
    assert [one.delivery.id for one in live] == [ahead[1].delivery.id]
    assert [(one.delivery.id, one.delivery.lost_leases) for one in lost] == [(ahead[0].delivery.id, 1)]


async def test_what_was_leased_ahead_and_sent_is_settled_as_always(ledger: Ledger) -> None:
    """A settlement counts, and a retry of it is neither ahead nor lost."""
    await a_backlog(ledger, "k1", "k2")
    first, second = await take(ledger, duration=AHEAD, ahead=True)
    await ledger.begin([first, second], NOW, duration=LEASE)

    refused = await ledger.settle([sent(first), again(second, next_at=NOW + MINUTE)])
    (retried,) = await take(ledger, now=NOW + MINUTE, lost=LostLeases.LEFT_OUT)

    assert refused == frozenset()
    assert (retried.delivery.id, retried.delivery.attempts) == (second.delivery.id, 1)
    assert retried.delivery.lost_leases == 0


async def test_released_lease_is_free_at_once(ledger: Ledger) -> None:
    """What is given back is leased again as if nothing had happened. A second release does nothing."""
    await a_backlog(ledger, "k1", "k2")
    ahead = await take(ledger, duration=AHEAD, ahead=True)
    await ledger.begin(ahead[:1], NOW, duration=LEASE)

    await ledger.release(ahead)
    await ledger.release(ahead)
    taken = await take(ledger, owner="node-2", lost=LostLeases.LEFT_OUT)
    await ledger.release(ahead)
    more = await take(ledger, owner="node-3")

    assert [one.delivery for one in taken] == [one.delivery for one in ahead]
    assert more == []
    assert await ledger.settle([sent(one) for one in taken]) == frozenset()


async def test_released_delivery_that_is_final_stays_so(ledger: Ledger) -> None:
    """Nothing becomes ready again because its lease is given back."""
    await a_backlog(ledger, "k1", "k2")
    first, second = await take(ledger)
    await ledger.settle([sent(first), dead(second)])

    await ledger.release([first, second])

    assert await take(ledger, now=NOW + LEASE) == []
    assert await ledger.find_next_wake(NOW) is None


async def test_lease_that_another_node_has_does_not_begin(ledger: Ledger) -> None:
    """Neither what was leased again since, nor what was released, nor what is final begins."""
    await a_backlog(ledger, "k1", "k2", "k3", "k4")
    ahead = await take(ledger, duration=AHEAD, ahead=True)
    await ledger.release(ahead[:1])
    await ledger.settle([sent(ahead[1])])
    await take(ledger, owner="node-2", now=NOW + AHEAD, limit=2)

    refused = await ledger.begin(ahead, NOW + AHEAD, duration=LEASE)

    assert refused == {one.delivery.id for one in ahead[:3]}


async def test_lease_that_ran_out_begins_if_nobody_else_has_it(ledger: Ledger) -> None:
    """A node that was slow loses nothing as long as no other node has leased the delivery."""
    await a_backlog(ledger, "k1")
    ahead = await take(ledger, duration=AHEAD, ahead=True)

    refused = await ledger.begin(ahead, NOW + 2 * AHEAD, duration=LEASE)

    assert refused == frozenset()
    assert await take(ledger, owner="node-2", now=NOW + 2 * AHEAD) == []


@pytest.mark.parametrize("kind", ActionKind)
async def test_what_somebody_has_acted_on_does_not_begin(ledger: Ledger, kind: ActionKind) -> None:
    """An acknowledgement, a snooze, done or cancel after the lease, and only of its milestone."""
    other = an_owed("k2", milestone="iraq/other")
    await fill(ledger, an_owed("k1"), other, deliveries=[a_delivery("k1"), a_delivery("k2")])
    if kind is ActionKind.REOPEN:
        await ledger.act(an_action(ActionKind.DONE, at=NOW - MINUTE), ())
    ahead = await take(ledger, duration=AHEAD, ahead=True)

    await ledger.act(an_action(kind), ())
    refused = await ledger.begin(ahead, NOW, duration=LEASE)

    assert refused == {one.delivery.id for one in ahead if one.delivery.members == ("k1",)}


@pytest.mark.parametrize(
    "changes",
    [
        {"values": (a_value(window_id="2026-10-01/2026-11-01"),), "changed_at": NOW + MINUTE, "revision": 2},
        {"withdrawn": True},
    ],
)
async def test_what_the_files_have_moved_or_withdrawn_does_not_begin(
    ledger: Ledger, changes: dict[str, Any]
) -> None:
    """A milestone that has other windows since the lease, or is gone."""
    await a_backlog(ledger, "k1")
    ahead = await take(ledger, duration=AHEAD, ahead=True)

    await ledger.apply(Changes(records=(a_record(**changes),)))

    assert await ledger.begin(ahead, NOW, duration=LEASE) == {ahead[0].delivery.id}


async def test_what_has_changed_otherwise_begins(ledger: Ledger) -> None:
    """A new title is no reason to decide again: the message has the title of when it was leased."""
    await a_backlog(ledger, "k1")
    (ahead,) = await take(ledger, duration=AHEAD, ahead=True)
    record = ahead.records["iraq/phase-2"]

    await ledger.apply(Changes(records=(replace(record, milestone=replace(record.milestone, title="New")),)))

    assert await ledger.begin([ahead], NOW, duration=LEASE) == frozenset()


async def test_status_that_was_leased_begins(ledger: Ledger) -> None:
    """A milestone whose acknowledgement was there at the lease has not changed since."""
    await a_backlog(ledger, "k1")
    await ledger.act(an_action(ActionKind.SNOOZE), ())
    ahead = await take(ledger, duration=AHEAD, ahead=True)

    assert await ledger.begin(ahead, NOW, duration=LEASE) == frozenset()


async def test_nothing_begins_and_nothing_is_released(ledger: Ledger) -> None:
    """Without leases, nothing is done."""
    assert await ledger.begin([], NOW, duration=LEASE) == frozenset()
    await ledger.release([])


async def test_settling_and_beginning_at_once_is_both(ledger: Ledger) -> None:
    """What is settled is final and what begins can be lost; each says what it refuses."""
    await a_backlog(ledger, "k1", "k2", "k3")
    first, second, third = await take(ledger, duration=AHEAD, ahead=True)
    await ledger.begin([first], NOW, duration=LEASE)
    await ledger.release([third])
    old = replace(second, fence=second.fence - 1)

    refused = await ledger.settle_and_begin([sent(first), sent(old)], [second, third], NOW, duration=LEASE)
    none = await ledger.settle_and_begin([sent(second)], [], NOW, duration=LEASE)
    free = await take(ledger, owner="node-2", lost=LostLeases.LEFT_OUT)

    assert refused == (frozenset({second.delivery.id}), frozenset({third.delivery.id}))
    assert none == (frozenset(), frozenset())
    assert [lease.delivery.id for lease in free] == [third.delivery.id]


async def test_settling_and_beginning_at_once_is_all_or_nothing(ledger: Ledger) -> None:
    """A settlement that the ledger refuses as a whole keeps the others from beginning."""
    await a_backlog(ledger, "k1", "k2")
    first, second = await take(ledger, duration=AHEAD, ahead=True)
    unwritable = replace(sent(first), follow_up=(a_delivery("nobody has this reminder"),))

    with pytest.raises(LedgerRefused):
        await ledger.settle_and_begin([unwritable], [second], NOW, duration=LEASE)
    lost = await take(ledger, owner="node-2", now=NOW + AHEAD, lost=LostLeases.ALONE)
    free = await take(ledger, owner="node-2", now=NOW + AHEAD, lost=LostLeases.LEFT_OUT)

    assert not lost
    assert {lease.delivery.id for lease in free} == {first.delivery.id, second.delivery.id}
