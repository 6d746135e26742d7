"""How much one lease reads at most, since other statements wait for it."""

from pathlib import Path

from alertd.core.ledger.records import Delivery, Lease
from alertd.core.planning.decide import Decisions
from alertd.ports import Changes
from alertd.store import open_ledger
from alertd.store.candidates import MEMBERS_AT_ONCE
from alertd.store.sql import SqlLedger
from tests.contract.samples import NOW, a_delivery, a_record, an_owed, bound, take


async def bind_large(ledger: SqlLedger, *sizes: tuple[str, int]) -> list[Delivery]:
    """Bind a delivery of each size for a receiver, in this order."""
    made: list[Delivery] = []
    for number, (receiver, size) in enumerate(sizes):
        owed = [
            an_owed(f"{number} {place}", milestone=f"t/{number}-{place}", receiver=receiver)
            for place in range(size)
        ]
        keys = [reminder.key for reminder in owed]
        records = tuple(a_record(reminder.milestone) for reminder in owed)
        delivery = a_delivery(*keys, receiver=receiver, next_at=NOW)
        await ledger.apply(Changes(records=records, owed=tuple(owed)))
        assert await ledger.bind(Decisions(deliveries=(delivery,), verdicts=tuple(map(bound, keys))))
        made.append(delivery)
    return made


def count_members(leases: list[Lease]) -> list[tuple[str, int]]:
    return sorted((lease.delivery.receiver, len(lease.owed)) for lease in leases)


async def test_large_deliveries_are_leased_one_at_a_time_with_small_ones_beside(tmp_path: Path) -> None:
    """A digest in parts takes as many leases, and holds up no other receiver."""
    ledger = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    large = ("weekly", MEMBERS_AT_ONCE)
    await bind_large(ledger, large, large, ("desk", 1), large)

    taken = [[*await take(ledger)] for _ in range(4)]

    assert [count_members(leases) for leases in taken] == [[("desk", 1), large], [large], [large], []]
    await ledger.close()


async def test_small_deliveries_are_leased_together(tmp_path: Path) -> None:
    """What has few members in all is one lease."""
    ledger = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    await bind_large(ledger, *[("desk", 2)] * 5)

    assert len(await take(ledger)) == 5
    await ledger.close()
