"""Nothing that a daemon does besides holds up sending: counted in calls and on a clock that work advances."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

from alertd.app import load_definitions
from alertd.app.notifiers import prepare_to_send
from alertd.core.config import Config
from alertd.core.planning.decide import Decisions
from alertd.core.routing.digest import Digest
from alertd.engine.binding import BIND_LIMIT
from alertd.engine.prune import LEAST, LIMIT, SHORT_S, PrunePace
from alertd.engine.timer import Chore
from alertd.notify.http.client import HttpClient
from alertd.ports import Ledger
from alertd.system.settings import read_settings
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_daemon import Stage, turns
from tests.engine.test_planning_gives_way import due_at
from tests.engine.test_sender import turn_of_the_loop
from tests.scene import ROOT, UTC_ZONE, StepClock, a_config, a_milestone, route_to, when

START = when("2026-09-01T08:00")
DUE = when("2026-09-01T08:00:10")
SECOND = timedelta(seconds=1)


class Working:
    """A ledger in which each transaction that binds takes a second, and which notes for whom it binds."""

    def __init__(self, ledger: Ledger, clock: StepClock) -> None:
        self._ledger = ledger
        self._clock = clock
        self.receivers: list[set[str]] = []
        self.calls: list[str] = []

    async def bind(self, decisions: Decisions) -> bool:
        self._clock.advance(self._clock.at + SECOND)
        self.receivers.append({delivery.receiver for delivery in decisions.deliveries})
        self.calls.append("bind")
        return await self._ledger.bind(decisions)

    async def lease(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append("lease")
        return await self._ledger.lease(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def a_crowd(number: int) -> tuple[Stage, Working, StepClock]:
    """A daemon with ``number`` reminders that are due at once for ``crowd``, and one for ``desk``.

    The one for ``desk`` falls due two seconds later, when the first of the others are being decided about.
    """
    clock = StepClock(START)
    ledger = Working(MemoryLedger(), clock)
    stage = Stage(ledger, clock)
    routes = (route_to("desk", 'milestone="late/m"'),)
    route = replace(ROOT, receiver="crowd", routes=routes)
    stage.scene.config = a_config("desk", "crowd", route=route)
    stage.define(
        *(due_at(f"t/m{index}", "2026-09-01T08:00:10") for index in range(number)),
        due_at("late/m", "2026-09-01T08:00:12"),
    )
    return stage, ledger, clock


async def test_crowd_for_one_receiver_holds_up_no_other() -> None:
    """Ten transactions are needed for the crowd. The reminder that falls due meanwhile waits for two."""
    stage, ledger, clock = await a_crowd(10 * BIND_LIMIT)
    daemon = stage.daemon()
    await daemon.start()
    clock.advance(DUE)

    await daemon.turn()

    place = next(index for index, receivers in enumerate(ledger.receivers) if "desk" in receivers)
    assert place <= 3
    assert len(ledger.receivers) > 10
    await daemon.idle()


async def test_what_is_bound_goes_out_before_more_is_decided_about() -> None:
    """After each transaction that binds a part of a crowd, deliveries are leased."""
    stage, ledger, clock = await a_crowd(5 * BIND_LIMIT)
    daemon = stage.daemon()
    await daemon.start()
    clock.advance(DUE)
    ledger.calls.clear()

    await daemon.turn()
    await daemon.idle()

    binds = [index for index, name in enumerate(ledger.calls) if name == "bind"]
    assert len(binds) >= 5
    # At most the part of the crowd and what is due for others are bound in a row.
    for first, third in zip(binds, binds[2:], strict=False):
        assert "lease" in ledger.calls[first:third]


class Held:
    """A ledger whose audits or prunes do not end until the test lets them."""

    def __init__(self, ledger: Ledger, method: str) -> None:
        self._ledger = ledger
        self._method = method
        self.begun = asyncio.Event()
        self.released = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ledger, name)
        if name != self._method:
            return found

        async def wait_and_call(*args: Any, **kwargs: Any) -> Any:
            self.begun.set()
            await self.released.wait()
            return await found(*args, **kwargs)

        return wait_and_call


@pytest.mark.parametrize(("chore", "method"), [(Chore.AUDIT, "find_waiting"), (Chore.PRUNE, "prune")])
async def test_reminder_is_sent_while_a_chore_waits_for_the_ledger(chore: Chore, method: str) -> None:
    """An audit or a prune of a large ledger takes long. What falls due meanwhile is sent."""
    clock = StepClock(START)
    held = Held(MemoryLedger(), method)
    stage = Stage(held, clock)
    stage.define(due_at("soon/m", "2026-09-01T08:00:10"), a_milestone("t/m", "2027-09-30"))
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    daemon._timer.wanted |= {chore}

    look = asyncio.create_task(daemon._look())
    await held.begun.wait()
    clock.advance(DUE)
    daemon._timer.wake()
    while not stage.lines("desk"):
        await asyncio.wait({look}, timeout=0.01)
    was_sent_first = not look.done()
    held.released.set()
    await look
    await daemon.idle()

    assert was_sent_first


async def test_call_in_the_moment_in_which_a_chore_ends_wakes_the_loop() -> None:
    """A send that ends together with an audit does not wait for the next chore to be settled."""
    daemon = Stage(MemoryLedger(), StepClock(START)).daemon()
    timer = daemon._timer

    async def work(*, calls: bool) -> None:
        await turn_of_the_loop()
        if calls:
            timer.wake()

    await daemon._turns.run_beside(work(calls=False))
    was_called = timer.is_called or timer._woken.is_set()
    await daemon._turns.run_beside(work(calls=True))

    assert not was_called
    assert timer.is_called
    assert timer._woken.is_set()


async def test_chore_beside_the_turns_makes_no_turn_itself() -> None:
    """Two turns at once would both use the places that are free."""
    clock = StepClock(START)
    ledger = Working(MemoryLedger(), clock)
    stage = Stage(ledger, clock)
    stage.define(due_at("soon/m", "2026-09-01T08:00:10"))
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    seen: list[str] = []

    async def work() -> None:
        clock.advance(DUE)
        ledger.calls.clear()
        await daemon._turns.give_way()
        seen.extend(ledger.calls)

    await daemon._turns.run_beside(work())

    assert seen == []


def test_prune_learns_how_much_it_can_delete_in_a_short_time() -> None:
    pace = PrunePace()

    fast = [pace.limit]
    for _ in range(10):
        pace.adapt(0.0)
        fast.append(pace.limit)
    slow = []
    for _ in range(10):
        pace.adapt(10 * SHORT_S)
        slow.append(pace.limit)
    pace.adapt(0.75 * SHORT_S)

    assert fast == sorted(fast)
    assert fast[-1] == LIMIT
    assert slow[0] == LIMIT // 2
    assert (slow[-1], pace.limit) == (LEAST, LEAST)


async def test_big_digest_holds_up_no_other_receiver() -> None:
    """While the ledger reads what waits for a digest, a reminder for another receiver is sent."""
    clock = StepClock(START)
    held = Held(MemoryLedger(), "read_held")
    stage = Stage(held, clock)
    digest = Digest(weekdays=tuple(range(7)), at=time(8, 0, 10), zone=UTC_ZONE)
    route = replace(ROOT, receiver="weekly", digest=digest, routes=(route_to("desk", 'milestone="soon/m"'),))
    stage.scene.config = a_config("desk", "weekly", route=route)
    stage.define(due_at("soon/m", "2026-09-01T08:00:11"), due_at("t/m", "2026-09-01T08:00:10"))
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    clock.advance(DUE)

    turn = asyncio.create_task(daemon.turn())
    await held.begun.wait()
    clock.advance(DUE + SECOND)
    while not stage.lines("desk"):
        await asyncio.wait({turn}, timeout=0.01)
    was_sent_first = not turn.done()
    held.released.set()
    await turn
    await daemon.idle()

    assert was_sent_first
    assert stage.lines("weekly")


async def test_sending_is_prepared_shortly_before_it_is_needed() -> None:
    """An idle daemon imports nothing for sending. The first reminder does not wait for the imports."""
    clock = StepClock(START)
    stage = Stage(MemoryLedger(), clock)
    stage.define(due_at("t/m", "2026-09-01T08:02"))
    prepared: list[Config] = []
    done = threading.Semaphore(0)

    def prepare(config: Config) -> None:
        prepared.append(config)
        done.release()

    stage.world = replace(stage.world, prepare=prepare)
    daemon = stage.daemon()
    await daemon.start()

    await daemon.turn()
    is_early = bool(prepared)
    clock.advance(when("2026-09-01T08:01:30"))
    await daemon.turn()
    await asyncio.to_thread(done.acquire)
    await daemon.turn()
    await daemon.idle()

    assert not is_early
    assert prepared == [stage.scene.config]
    assert not stage.lines("desk")


class Prepared(HttpClient):
    """Counts how often it is prepared."""

    calls = 0

    def prepare(self) -> None:
        self.calls += 1


@pytest.mark.parametrize(("kind", "calls"), [("webhook", 1), ("console", 0)])
def test_only_notifiers_that_post_are_prepared_for(tmp_path: Path, kind: str, calls: int) -> None:
    options = ", url: 'http://127.0.0.1:9/hook'" if kind == "webhook" else ""
    (tmp_path / "milestones").mkdir()
    (tmp_path / "alertd.yaml").write_text(
        f"receivers:\n- {{name: desk, notifiers: [{{type: {kind}{options}}}]}}\n"
    )
    config = load_definitions(read_settings(config=tmp_path, database="sqlite://")).config
    assert config is not None
    http = Prepared()

    prepare_to_send(config, http)

    assert http.calls == calls
