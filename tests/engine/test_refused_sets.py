"""Reminders about which the ledger takes no decision hold up no digest, no stray and no later reminder."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.policy import Policy
from alertd.core.routing.digest import Digest
from alertd.engine.binding import BIND_LIMIT, Binder, BindResult
from alertd.engine.known import LEFT_ALONE_FOR, make_known
from alertd.store.sql import SqlLedger
from tests.scene import ROOT, UTC_ZONE, Scene, Watched, a_config, a_ledger, a_milestone, when

BAD, GOOD = "t/bad", "t/good"
ON_THE_DAY = Policy(before=(), opens=False)
WEEKLY = replace(ROOT, digest=Digest(weekdays=(0,), at=time(8), zone=UTC_ZONE))


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    async with a_ledger("file", tmp_path) as made:
        assert isinstance(made, SqlLedger)
        yield made


class Spoiling:
    """A ledger whose record of one milestone raises an exception when it is planned, as a bug would."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def read_records_by_id(self, names: Sequence[str]) -> Any:
        records = await self._ledger.read_records_by_id(names)
        return {
            name: replace(record, milestone=replace(record.milestone, policy=None))  # type: ignore[arg-type]
            if name == BAD
            else record
            for name, record in records.items()
        }


async def refuse(ledger: SqlLedger, like: str) -> None:
    """From now on the database takes no binding of reminders of such milestones."""
    condition = f"new.milestone like '{like}' and new.state = 'bound'"
    rule = f"create trigger bad before update on owed when {condition} begin select raise(abort, 'no'); end"
    await ledger.write(lambda connection: connection.execute(text(rule)))


async def bind_all(binder: Binder, scene: Scene, since: str = "") -> list[BindResult]:
    """Bind until there is no more."""
    known = None
    if since:
        known = make_known(scene.config, (), since=when(since), elsewhere=frozenset(), now=scene.now)
    results = [await binder.bind(scene.now, known)]
    while results[-1].more:
        results.append(await binder.bind(scene.now, known))
    return results


async def list_ready(ledger: SqlLedger) -> list[tuple[str, list[str]]]:
    """The receiver and the milestones of each ready delivery."""
    return sorted(
        (delivery.receiver, [owed.milestone for owed in members])
        for delivery, _, members in await ledger.find_deliveries()
        if delivery.state.value == "ready"
    )


async def test_digest_goes_out_without_what_the_ledger_refuses(ledger: SqlLedger) -> None:
    """The rest is in it, the next issue is scheduled, and what is left out is named at each issue."""
    scene = Scene(ledger, at="2026-09-01", config=a_config(route=WEEKLY))
    scene.define(
        a_milestone(BAD, "2026-10-01"),
        *(a_milestone(f"{GOOD}-{number}", "2026-10-01") for number in range(3)),
    )
    await scene.reconcile()
    await scene.until("2026-09-28T07:59")
    scene.log.clear()
    await refuse(ledger, BAD)
    scene.clock.advance(when("2026-09-28T08:00"))
    binder = scene.binder()

    results = await bind_all(binder, scene)
    await scene.turn()

    failed = {name for result in results for name in result.failed}
    assert failed == {(BAD, "desk")}
    told = {item.milestone for telling in scene.log for item in telling.message.items}
    assert told == {f"{GOOD}-{number}" for number in range(3)}
    assert [digest.at for digest in await ledger.read_digests()] == [when("2026-10-05T08:00")]

    scene.clock.advance(when("2026-10-05T08:00"))
    again = await bind_all(binder, scene)

    assert {name for result in again for name in result.failed} == {(BAD, "desk")}


async def test_overview_that_the_ledger_refuses_holds_up_no_digest(ledger: SqlLedger) -> None:
    """What has waited for the digest goes out, and the operator hears of the overview."""
    scene = Scene(ledger, at="2026-09-01", config=a_config(route=WEEKLY))
    scene.define(a_milestone(GOOD, "2026-09-29"), a_milestone("t/other", "2026-10-02", policy=ON_THE_DAY))
    await scene.reconcile()
    await scene.until("2026-09-28T07:59")
    condition = "new.edition like '%t/other%'"
    rule = f"create trigger bad before insert on delivery when {condition}"
    rule += " begin select raise(abort, 'no'); end"
    await ledger.write(lambda connection: connection.execute(text(rule)))
    scene.clock.advance(when("2026-09-28T08:00"))

    results = await bind_all(scene.binder(), scene)

    failed = {name for result in results for name in result.failed}
    assert failed == {("the overview of the digest every Monday at 08:00 (UTC)", "desk")}
    assert await list_ready(ledger) == [("desk", [GOOD])]
    assert [digest.at for digest in await ledger.read_digests()] == [when("2026-10-05T08:00")]


async def test_milestone_that_breaks_the_overview_is_left_out_of_it(ledger: SqlLedger) -> None:
    """A bug that one milestone triggers is reported, and the digest goes out with the others."""
    scene = Scene(ledger, at="2026-09-01", config=a_config(route=WEEKLY))
    shown = [a_milestone(name, "2026-10-02", policy=ON_THE_DAY) for name in ("t/other", BAD)]
    scene.define(a_milestone(GOOD, "2026-09-29"), *shown)
    await scene.reconcile()
    await scene.until("2026-09-28T07:59")
    scene.clock.advance(when("2026-09-28T08:00"))
    spoiling: Any = Spoiling(ledger)
    binder = Binder(spoiling, scene.config)

    results = await bind_all(binder, scene)

    assert {name for result in results for name in result.failed} == {(BAD, "desk")}
    ((_, digest),) = [
        (delivery.receiver, delivery.edition)
        for delivery, _, _ in await ledger.find_deliveries()
        if delivery.state.value == "ready"
    ]
    assert digest is not None
    assert digest.overview == ("t/other",)


async def lose_receiver(ledger: SqlLedger) -> Scene:
    """Reminders for a receiver that nobody knows any more are due for longer than they are left alone."""
    scene = Scene(ledger, at="2026-09-20", config=a_config("desk", "spare"))
    scene.define(a_milestone(BAD, "2026-09-30"), a_milestone(GOOD, "2026-09-30"))
    await scene.reconcile()
    await scene.turn()
    route = replace(ROOT, receiver="spare")
    scene.config = a_config("spare", route=route, fallback_receiver="spare")
    scene.clock.advance(when("2026-09-23T09:00") + LEFT_ALONE_FOR + timedelta(minutes=1))
    return scene


async def test_stray_that_the_ledger_refuses_holds_up_no_other(ledger: SqlLedger) -> None:
    """The other stray goes to the fallback receiver."""
    scene = await lose_receiver(ledger)
    await refuse(ledger, BAD)
    binder = scene.binder()

    results = await bind_all(binder, scene, since="2026-09-20")

    assert await list_ready(ledger) == [("spare", [GOOD])]
    assert {name for result in results for name in result.failed} == {(BAD, "desk")}
    assert binder.undecidable == {(BAD, "desk")}


async def test_undecidable_reminder_holds_up_no_stray(ledger: SqlLedger) -> None:
    """Strays go to the fallback although a reminder for a known receiver stays undecided."""
    scene = await lose_receiver(ledger)
    scene.define(a_milestone("u/bad", "2026-09-24"))
    scene.broken = frozenset({"milestones/t.yaml"})
    await scene.reconcile()
    await refuse(ledger, "u/bad")
    binder = scene.binder()

    await bind_all(binder, scene, since="2026-09-20")

    assert ("spare", [BAD, GOOD]) in await list_ready(ledger)
    assert binder.undecidable == {("u/bad", "spare")}


async def make_due(ledger: SqlLedger, *milestones: Milestone) -> Scene:
    """Reminders of the milestones are due, and the ledger refuses those of the bad ones."""
    scene = Scene(ledger, at="2026-09-20")
    scene.define(*milestones)
    await scene.reconcile()
    await scene.turn()
    await refuse(ledger, f"{BAD}%")
    scene.clock.advance(when("2026-09-23T09:00"))
    return scene


@pytest.mark.long
async def test_more_undecidable_sets_than_one_look_takes_hold_up_no_later_one(ledger: SqlLedger) -> None:
    """A reminder that is due after all of them is bound by the same look."""
    bad = (a_milestone(f"{BAD}-{number:03}", "2026-09-29") for number in range(BIND_LIMIT + 1))
    scene = await make_due(ledger, *bad, a_milestone(GOOD, "2026-09-30"))
    binder = scene.binder()

    await bind_all(binder, scene)

    assert await list_ready(ledger) == [("desk", [GOOD])]
    assert len(binder.undecidable) == BIND_LIMIT + 1

    watched: Any = Watched(ledger)
    binder._ledger = watched
    scene.clock.advance(scene.now + timedelta(seconds=1))
    await bind_all(binder, scene)

    # The next look, a second later, does not try each of them again.
    assert watched.calls.count("bind") <= 3
    assert len(binder.undecidable) == BIND_LIMIT + 1

    await ledger.write(lambda connection: connection.execute(text("drop trigger bad")))
    await bind_all(binder, scene)

    assert binder.undecidable == frozenset()


async def test_sets_that_are_taken_again_are_found_among_the_refused(ledger: SqlLedger) -> None:
    """After a minute each refused set is tried again, and those that the ledger takes by now are bound."""
    names = [f"{BAD}-{number}" for number in range(4)]
    scene = await make_due(ledger, *(a_milestone(name, "2026-09-30") for name in names))
    binder = scene.binder()
    await bind_all(binder, scene)
    await ledger.write(lambda connection: connection.execute(text("drop trigger bad")))
    await refuse(ledger, names[0])

    scene.clock.advance(when("2026-09-23T09:01"))
    await bind_all(binder, scene)

    assert binder.undecidable == {(names[0], "desk")}
