"""A node leaves alone what it does not know: it does not find, lease or wait for it unless it is a stray."""

from collections.abc import Sequence
from typing import Any

from alertd.core.ledger.records import Known
from alertd.core.planning.audit import Stray
from alertd.core.routing.digest import NextDigest
from alertd.ports import Changes, Ledger, LostLeases
from tests.contract.samples import HOUR, MINUTE, NOW, a_delivery, an_owed, fill, take

MINE = Known(receivers=frozenset({"desk"}), channels=frozenset({"desk/hook"}), digests=frozenset())


def known(**changes: Any) -> Known:
    return Known(receivers=MINE.receivers, channels=MINE.channels, digests=MINE.digests, **changes)


def keys(found: Sequence[Any]) -> list[str]:
    return [owed.key for owed, _ in found]


async def test_reminders_of_other_receivers_are_left_out(ledger: Ledger) -> None:
    """Reminders are found besides some receivers, and strays only after a while and if nobody knows them."""
    await fill(ledger, an_owed("k1"), an_owed("k2", receiver="gone", at=NOW - HOUR))

    besides = await ledger.find_due(NOW, 10, ["gone"])
    young = await ledger.find_strays(known(strays_before=NOW - HOUR - MINUTE), 10)
    old = await ledger.find_strays(known(strays_before=NOW - HOUR), 10)
    others = await ledger.find_strays(known(strays_before=NOW, elsewhere=frozenset({"gone"})), 10)

    assert (keys(besides), keys(young), keys(old), keys(others)) == (["k1"], [], ["k2"], [])


async def test_deliveries_of_other_channels_are_left_out(ledger: Ledger) -> None:
    """A delivery on a channel that the node does not know is leased only as a stray."""
    await fill(
        ledger,
        *(an_owed(key) for key in ("k1", "k2", "k3")),
        deliveries=[
            a_delivery("k1"),
            a_delivery("k2", notifier="gone", next_at=NOW - HOUR),
            a_delivery("k3", receiver="gone", next_at=NOW - HOUR),
        ],
    )

    most = {"desk/hook": 0}
    none = await take(ledger, known=MINE, most=most)
    elsewhere = known(strays_before=NOW - HOUR, elsewhere=frozenset({"gone"}))
    one = await take(ledger, known=elsewhere, most=most)
    mine = await take(ledger, known=MINE)
    strays = await take(ledger, known=known(strays_before=NOW - HOUR))

    assert none == []
    assert [[lease.delivery.channel for lease in leases] for leases in (one, mine, strays)] == [
        ["desk/gone"],
        ["desk/hook"],
        ["gone/hook"],
    ]


async def test_lost_deliveries_of_other_channels_are_left_out(ledger: Ledger) -> None:
    """The same holds for deliveries whose last lease was lost."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1", receiver="gone", next_at=NOW - HOUR)])
    await take(ledger)
    later = NOW + 6 * MINUTE

    left = await take(ledger, now=later, known=MINE, lost=LostLeases.ALONE)
    taken = await take(ledger, now=later, known=known(strays_before=NOW), lost=LostLeases.ALONE)

    assert left == []
    assert [lease.delivery.channel for lease in taken] == ["gone/hook"]


async def test_a_stray_has_the_other_receivers_of_its_reminders(ledger: Ledger) -> None:
    """A lease on an unknown channel tells to whom else the same occurrence is owed; other leases do not."""
    await fill(
        ledger,
        an_owed("k1", receiver="gone"),
        an_owed("k2", receiver="new"),
        an_owed("k3", receiver="other", offset="-1d"),
        deliveries=[a_delivery("k1", receiver="gone")],
    )

    (stray,) = await take(ledger, known=known(strays_before=NOW))

    assert stray.owed_elsewhere == {"k1": frozenset({"new"})}


async def test_nothing_wakes_for_what_is_left_alone(ledger: Ledger) -> None:
    """Unknown reminders, deliveries and digests do not wake the loop, and are not work that waits."""
    await fill(
        ledger,
        an_owed("k1", receiver="gone", at=NOW - MINUTE),
        an_owed("k2", receiver="gone", at=NOW - HOUR),
        deliveries=[a_delivery("k2", receiver="gone", next_at=NOW - HOUR)],
    )
    digest = NextDigest(key="d", receiver="gone", name="every day", at=NOW, since=NOW - HOUR)
    await ledger.apply(Changes(digests=(digest,)))

    waiting = await ledger.find_waiting(NOW, known=MINE)
    elsewhere = await ledger.find_waiting(NOW, known=known(elsewhere=frozenset({"gone"})))

    assert await ledger.find_next_wake(NOW) == NOW - HOUR
    assert await ledger.find_next_wake(NOW, known=MINE) is None
    assert (waiting.undecided, waiting.untaken) == (None, None)
    assert waiting.strays == (Stray(receiver="gone", reminders=1, deliveries=1, since=NOW - HOUR),)
    assert elsewhere.strays == ()
