"""Test what every ledger promises about digests: the next one, its content, and that it is built once."""

from dataclasses import replace
from typing import Any

from alertd.core.ledger.records import ReminderState
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import ActionKind
from alertd.core.planning.decide import Decisions
from alertd.core.routing.digest import DigestIssue, NextDigest
from alertd.ports import Changes, Ledger
from tests.contract.samples import (
    DAY,
    HOUR,
    NOW,
    WINDOW,
    a_delivery,
    a_record,
    an_action,
    an_owed,
    bound,
    dead,
    fill,
    take,
)

EDITION = DigestIssue(
    name="every Monday at 08:00 (UTC)",
    zone="UTC",
    at=NOW,
    since=NOW - 7 * DAY,
    until=NOW + 14 * DAY,
    overview=("iraq/phase-1", "iraq/phase-3"),
    more=7,
    even_if_empty=True,
)


def a_digest(key: str = "d1", **changes: Any) -> NextDigest:
    base = NextDigest(key=key, receiver="desk", name=EDITION.name, at=NOW, since=NOW - 7 * DAY)
    return replace(base, **changes)


async def test_what_is_owed_next_comes_back_the_earliest_first(ledger: Ledger) -> None:
    """A next digest is read back unchanged and counts as waiting."""
    first, second = a_digest("d2", at=NOW - HOUR), a_digest("d1", at=NOW)

    assert await ledger.read_digests() == []
    await ledger.apply(Changes(digests=(second, first)))

    assert await ledger.read_digests() == [first, second]
    assert await ledger.find_next_wake(NOW) == NOW - HOUR
    assert (await ledger.find_waiting(NOW)).undecided == NOW - HOUR


async def test_an_instant_is_mended_unless_the_digest_was_made_meanwhile(ledger: Ledger) -> None:
    """A new instant is written unless the digest has been built in the meantime."""
    await ledger.apply(Changes(digests=(a_digest(),)))

    await ledger.apply(Changes(digests=(a_digest(at=NOW + HOUR),)))
    assert await ledger.read_digests() == [a_digest(at=NOW + HOUR)]

    await ledger.apply(Changes(digests=(a_digest(at=NOW, since=NOW),)))
    assert await ledger.read_digests() == [a_digest(at=NOW + HOUR)]


async def test_what_is_owed_no_more_is_gone(ledger: Ledger) -> None:
    """A digest that is no longer configured is deleted."""
    await ledger.apply(Changes(digests=(a_digest("d1"), a_digest("d2"))))

    await ledger.apply(Changes(no_digests=("d1", "never")))

    assert [one.key for one in await ledger.read_digests()] == ["d2"]


async def test_a_digest_is_made_once(ledger: Ledger) -> None:
    """A second node, or one that read another instant, writes nothing."""
    await fill(ledger, an_owed("k1"), an_owed("k2", offset="-1d"))
    await ledger.apply(Changes(digests=(a_digest(),)))
    following = a_digest(at=NOW + 7 * DAY, since=NOW)
    turn = (a_digest(), following)
    first = Decisions(deliveries=(a_delivery("k1"),), verdicts=(bound("k1"),), turn=turn)
    second = Decisions(deliveries=(a_delivery("k2"),), verdicts=(bound("k2"),), turn=turn)

    assert await ledger.bind(first)
    assert not await ledger.bind(second)

    assert await ledger.read_digests() == [following]
    assert [one.id for one, _, _ in await ledger.find_deliveries()] == [a_delivery("k1").id]
    assert {one.key: one.state for one in await ledger.read_owed("iraq/phase-2")}[
        "k2"
    ] is ReminderState.PENDING


async def test_a_digest_whose_reminder_is_taken_is_not_made(ledger: Ledger) -> None:
    """The digest stays scheduled if one of its occurrences is no longer pending."""
    await fill(ledger, an_owed("k1"), deliveries=(a_delivery("k1"),))
    await ledger.apply(Changes(digests=(a_digest(),)))
    turn = (a_digest(), a_digest(at=NOW + DAY, since=NOW))

    assert not await ledger.bind(Decisions(deliveries=(), verdicts=(bound("k1"),), turn=turn))

    assert await ledger.read_digests() == [a_digest()]


async def test_an_edition_comes_back_equal_with_the_records_that_it_shows(ledger: Ledger) -> None:
    """The lease of a digest has the records that the digest shows and the next reminders of its receiver."""
    other = an_owed("k3", milestone="iraq/phase-3", at=NOW + DAY)
    elsewhere = an_owed("k4", milestone="iraq/phase-1", at=NOW + DAY, receiver="leads")
    await fill(ledger, an_owed("k1"), other, elsewhere)
    delivery = a_delivery("k1", edition=EDITION)
    await ledger.bind(Decisions(deliveries=(delivery,), verdicts=(bound("k1"),)))

    (lease,) = await take(ledger)

    assert lease.delivery.edition == EDITION
    assert set(lease.records) == {"iraq/phase-2", "iraq/phase-1", "iraq/phase-3"}
    assert {name: one.key for name, one in lease.upcoming.items()} == {"iraq/phase-3": "k3"}
    ((found, _, _),) = await ledger.find_deliveries()
    assert found.edition == EDITION


async def test_a_digest_without_a_reminder_is_a_delivery_like_any(ledger: Ledger) -> None:
    """A digest without members can be leased, fail and be retried."""
    await fill(ledger, an_owed("k1", milestone="iraq/phase-1"), an_owed("k3", milestone="iraq/phase-3"))
    delivery = a_delivery(edition=EDITION)
    await ledger.bind(Decisions(deliveries=(delivery,), verdicts=()))
    (lease,) = await take(ledger)
    await ledger.settle([dead(lease)])

    await ledger.retry(delivery.id, NOW + HOUR, "ada")

    (again,) = await take(ledger, now=NOW + HOUR)
    assert (again.delivery.id, again.owed, again.delivery.edition) == (delivery.id, (), EDITION)


async def test_held_is_all_that_is_pending_and_due_for_one_receiver(ledger: Ledger) -> None:
    """All pending and due occurrences of the receiver are returned, and no others."""
    owed = (
        an_owed("k2", at=NOW, wake_at=NOW + DAY),
        an_owed("k1", at=NOW - DAY),
        an_owed("k3", milestone="a/first"),
        an_owed("k4", at=NOW + HOUR),
        an_owed("k5", receiver="leads"),
        an_owed("k6", state=ReminderState.SUPERSEDED),
    )
    await fill(ledger, *owed)

    held = await ledger.read_held("desk", NOW)

    assert [one.key for one, _ in held] == ["k3", "k1", "k2"]
    assert [record.id for _, record in held] == ["a/first", "iraq/phase-2", "iraq/phase-2"]


async def test_windows_are_those_of_which_the_receiver_has_a_reminder(ledger: Ledger) -> None:
    """Windows with a reminder in any state are returned, except for withdrawn or done milestones and news."""
    await fill(
        ledger,
        an_owed("k1", state=ReminderState.EXPIRED),
        an_owed("k2", state=ReminderState.BOUND),
        an_owed("k3", window_id="2026-01-01/2027-01-01"),
        an_owed("k4", window_id="2028-01-01/2029-01-01", state=ReminderState.CANCELLED),
        an_owed("k5", window_id="", cause=Cause.MOVED, offset="moved"),
        an_owed("k6", milestone="late/one", at=NOW + DAY),
        an_owed("k7", milestone="done/one"),
        an_owed("k8", milestone="gone/one"),
        an_owed("k9", milestone="their/one", receiver="leads"),
    )
    await ledger.apply(Changes(records=(a_record("gone/one", withdrawn=True),)))
    await ledger.act(an_action(ActionKind.DONE, milestone="done/one"), ())

    assert await ledger.read_windows("desk", NOW + DAY) == [
        ("iraq/phase-2", "2026-01-01/2027-01-01", NOW),
        ("iraq/phase-2", WINDOW, NOW),
    ]
    assert [name for name, _, _ in await ledger.read_windows("desk", NOW + 2 * DAY)][-1] == "late/one"


async def test_records_of_some_milestones(ledger: Ledger) -> None:
    """Reading records by id returns those that exist."""
    await fill(ledger, an_owed(milestone="a/first"))

    assert await ledger.read_records_by_id(["a/first", "b/none"]) == {"a/first": a_record("a/first")}
    assert await ledger.read_records_by_id([]) == {}
