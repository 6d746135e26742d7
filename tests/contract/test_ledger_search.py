"""Test the search for deliveries and moves on every ledger."""

from datetime import datetime
from typing import Any

import pytest

from alertd.core.ledger.records import DeliveryState
from alertd.core.reason import Answered
from alertd.ports import Changes, Ledger
from tests.contract.samples import DAY, MINUTE, NOW, a_delivery, a_notice, a_record, an_entry, an_owed, fill

ONE = a_delivery("k1", bound_at=NOW)
TWO = a_delivery(
    "k2",
    receiver="leads",
    bound_at=NOW + MINUTE,
    state=DeliveryState.DEAD,
    reason=Answered(text="HTTP 410 Gone"),
)
THREE = a_notice(bound_at=NOW + 2 * MINUTE)


async def filled(ledger: Ledger) -> None:
    await ledger.apply(Changes(records=(a_record("iraq/phase-1"),)))
    await fill(
        ledger,
        an_owed("k1", milestone="iraq/phase-1"),
        an_owed("k2", receiver="leads"),
        deliveries=[ONE, TWO],
    )
    await ledger.apply(Changes(deliveries=(THREE,)))


async def ids(ledger: Ledger, **asked: Any) -> list[str]:
    return [one.id for one, _, _ in await ledger.find_deliveries(**asked)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [THREE, TWO, ONE]),
        ({"delivery": TWO.id}, [TWO]),
        ({"delivery": "msg_unknown"}, []),
        ({"receiver": "leads"}, [TWO]),
        ({"state": DeliveryState.READY}, [THREE, ONE]),
        ({"receiver": "desk", "state": DeliveryState.DEAD}, []),
        # by milestone, reason and channel, ignoring case
        ({"text": "PHASE-1"}, [ONE]),
        ({"text": "http 410"}, [TWO]),
        ({"text": "ops/"}, [THREE]),
        ({"text": ONE.id}, [ONE]),
        # wildcards of SQL have no special meaning
        ({"text": "%"}, []),
        ({"text": "phase_1"}, []),
    ],
)
async def test_deliveries_are_found(ledger: Ledger, asked: dict[str, Any], found: list[Any]) -> None:
    """A delivery is returned if it matches all filters."""
    await filled(ledger)

    assert await ids(ledger, **asked) == [one.id for one in found]


async def test_deliveries_are_paged(ledger: Ledger) -> None:
    """The next page starts after the last delivery of a page, and no delivery is on two pages."""
    await filled(ledger)
    seen: list[str] = []
    before: tuple[datetime, str] | None = None

    for _ in range(4):
        for one, _tries, _members in await ledger.find_deliveries(before=before, limit=1):
            seen.append(one.id)
            before = (one.bound_at, one.id)

    assert seen == [THREE.id, TWO.id, ONE.id]


async def test_last_move_of_each(ledger: Ledger) -> None:
    """The last move of each milestone that has moved is returned."""
    first = an_entry(kind="moved", at=NOW, facts={"from": "a", "to": "b"})
    last = an_entry(kind="moved", at=NOW + DAY, facts={"from": "b", "to": "c"})
    other = an_entry(milestone="iraq/phase-1", kind="loaded")
    await ledger.apply(Changes(history=(last, first, other)))

    assert await ledger.read_last_moves(["iraq/phase-2", "iraq/phase-1", "iraq/none"]) == {
        "iraq/phase-2": last
    }
    assert await ledger.read_last_moves([]) == {}


async def test_records_are_paged(ledger: Ledger) -> None:
    """A page has the records after an id, in the same order as all records, without withdrawn ones."""
    names = ["t/a", "t/b", "t/c@2026-09-30", "u/a"]
    gone = a_record("t/ba", withdrawn=True)
    await ledger.apply(Changes(records=(*map(a_record, names), gone)))
    seen: list[str] = []
    after = ""

    for _ in range(5):
        for one in await ledger.read_records(after=after, limit=1):
            seen.append(one.id)
            after = one.id

    assert seen == [one.id for one in await ledger.read_records()] == names
