"""A ledger that cannot be written, late reminders and a loop that is stuck are known within a minute."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alertd.core.config import Config, Heartbeat
from alertd.core.planning.audit import Audit, AuditFault, AuditFinding
from alertd.engine.daemon import Daemon
from alertd.engine.liveness import LATE_AFTER_S, STUCK_AFTER_S, UNWRITABLE_AFTER_S, Liveness, Watch
from alertd.engine.self_audit import BEAT_EVERY_S, STALE_AFTER_S
from alertd.engine.timer import LOOK_AGAIN_S, Chore
from alertd.ports import Ledger
from alertd.store import open_ledger
from alertd.system.systemd import Systemd
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_daemon import Stage
from tests.scene import StepClock, a_milestone, when

NOW = when("2026-09-24T08:59:30")
LIMIT_S = 10
MINUTE_S = 60.0
UNWRITABLE, LATE, STUCK = AuditFault.UNWRITABLE, AuditFault.LATE, AuditFault.STUCK


@contextmanager
def full_disk() -> Iterator[None]:
    """The kernel lets this process write to no file beyond its first bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Watching:
    """A daemon whose looks the test makes, with its service manager and its dead man's switch."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.clock = StepClock(NOW)
        self.stage = Stage(ledger, self.clock)
        config = replace(self.stage.scene.config, heartbeat=Heartbeat(url="http://127.0.0.1:1/ping"))
        self.stage.scene.config = config
        self.beats: list[Audit] = []
        self._heard: list[str] = []
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._manager.setblocking(False)
        systemd = Systemd(address=str(folder / "notify"), watchdog_s=30)
        self.stage.world = replace(self.stage.world, systemd=systemd, beat=self._beat)
        self.daemon: Daemon = self.stage.daemon()

    async def _beat(self, _config: Config, audit: Audit) -> str:
        self.beats.append(audit)
        return ""

    async def pass_s(self, seconds: float) -> None:
        """Let time pass in steps of five seconds, with all that happens by itself meanwhile except looks."""
        for _ in range(round(seconds / 5)):
            self.clock.advance(self.clock.at + timedelta(seconds=5))
            self.daemon._watch.look()
            await self._told()

    async def _told(self) -> None:
        await self.daemon._audit.wait_told()
        self._hear()

    async def look(self, *chores: Chore) -> None:
        self.daemon._timer.wanted |= {*chores}
        await self.daemon._look()
        await self._told()

    async def live_s(self, seconds: float) -> None:
        """Let time pass, with a look every five seconds, and the lead renewed in each."""
        for _ in range(round(seconds / 5)):
            await self.pass_s(5)
            await self.look(Chore.LEAD)

    @property
    def faults(self) -> set[AuditFault]:
        return {finding.fault for finding in self.daemon.status.findings}

    def said(self, what: str) -> list[str]:
        """What systemd has been told of one kind since this was last asked for that kind."""
        self._hear()
        heard = [line.partition("=")[2] for line in self._heard if line.startswith(f"{what}=")]
        self._heard = [line for line in self._heard if not line.startswith(f"{what}=")]
        return heard

    def _hear(self) -> None:
        """Read everything, since the queue of a socket is short."""
        with suppress(BlockingIOError):
            while True:
                self._heard.append(self._manager.recv(4096).decode())

    def close(self) -> None:
        self._manager.close()


@asynccontextmanager
async def watching(ledger: Ledger, folder: Path) -> AsyncIterator[Watching]:
    made = Watching(ledger, folder)
    made.stage.define(a_milestone("t/m", "2026-10-01"))
    await made.daemon.start()
    await made.look(Chore.AUDIT)
    try:
        yield made
    finally:
        await made.daemon._audit.close()
        await ledger.close()
        made.close()


async def test_full_disk_is_known_everywhere_within_a_minute(tmp_path: Path) -> None:
    """A real ledger that can be read and not written. Recovery clears all that was found."""
    ledger = await open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3")
    async with watching(ledger, tmp_path) as here:
        before = (here.faults, [audit.passed for audit in here.beats])
        with full_disk():
            # The lead is renewed for a later time, so there is something to write.
            await here.pass_s(5)
            await here.look(Chore.LEAD)
            at_once = (here.daemon.status.ledger_failing, here.faults, here.said("STATUS")[-1])
            await here.live_s(MINUTE_S)
            await here.look(Chore.AUDIT)
        status, lines, beats = here.daemon.status, here.said("STATUS"), here.beats[-1]
        await here.live_s(MINUTE_S)
        await here.look(Chore.AUDIT)

        assert before == (set(), [True])
        assert at_once[:2] == (True, set())
        assert at_once[2].startswith("the ledger cannot be used: ")
        # The reminder of 09:00 is due, and cannot be bound.
        assert [finding.fault for finding in status.current] == [UNWRITABLE, LATE]
        assert status.audit is not None
        assert UNWRITABLE in {finding.fault for finding in status.audit.findings}
        assert status.is_well  # a restart would lose what is not yet written down
        assert lines[-1].startswith("the ledger cannot be written since 2026-09-24 08:59:")
        assert not beats.passed
        assert [str(finding).partition(":")[0] for finding in beats.findings][:2] == ["unwritable", "late"]
        assert (here.faults, here.daemon.status.ledger_failing) == (set(), False)
        assert here.beats[-1].passed
        assert here.said("STATUS")[-1].startswith("next: t/m")
        assert here.stage.lines()[1:] == ["2026-09-24T09:00 desk t/m -7d"]


async def test_ledger_that_fails_for_ten_minutes_is_worth_a_restart(tmp_path: Path) -> None:
    """Reading works, so the audits are recent, and the watchdog is not fed all the same."""
    ledger = await open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3")
    async with watching(ledger, tmp_path) as here:
        with full_disk():
            await here.look(Chore.LEAD)
            await here.live_s(STALE_AFTER_S - 10)
            shortly_before = here.daemon.status.is_well
            await here.live_s(20)

            assert shortly_before
            assert not here.daemon.status.is_well


class Hanging:
    """A ledger of which one method never returns until it is released."""

    def __init__(self, ledger: Ledger, method: str) -> None:
        self._ledger = ledger
        self._method = method
        self.hangs = False
        self.released = asyncio.Event()
        self.called = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ledger, name)
        if name != self._method or not self.hangs:
            return found

        async def hang(*args: Any, **kwargs: Any) -> Any:
            self.called.set()
            await self.released.wait()
            return await found(*args, **kwargs)

        return hang


@pytest.mark.parametrize("method", ["find_due", "take_lead", "find_waiting", "report"])
async def test_loop_that_is_stuck_is_known_within_a_minute(method: str, tmp_path: Path) -> None:
    """Wherever a look hangs. The watchdog is not fed meanwhile, and all is well once it goes on."""
    ledger: Any = Hanging(MemoryLedger(), method)
    async with watching(ledger, tmp_path) as here:
        ledger.hangs = True
        here.said("WATCHDOG")
        look = asyncio.create_task(here.look(*Chore))
        async with asyncio.timeout(LIMIT_S):
            await ledger.called.wait()
        fed_before = len(here.said("WATCHDOG"))
        await here.pass_s(MINUTE_S)
        faults, beat = here.faults, here.beats[-1]
        lines = here.said("STATUS")
        fed = here.said("WATCHDOG")
        ledger.hangs = False
        ledger.released.set()
        await look
        await here.live_s(10)
        await here.look(Chore.AUDIT)

        assert fed_before == 1
        assert STUCK in faults
        assert not beat.passed
        assert "the loop has not finished anything since 2026-09-24 08:59:30Z" in lines[-1]
        assert fed == []
        assert here.faults == set()
        assert here.beats[-1].passed


async def test_loop_that_does_not_wake_is_known_within_two_minutes() -> None:
    """Between two looks the loop waits for half a minute at the most."""
    clock = StepClock(NOW)
    liveness = Liveness(clock)
    liveness.begin_look()
    liveness.finish_look(None)

    clock.advance(NOW + timedelta(seconds=LOOK_AGAIN_S + STUCK_AFTER_S - 1))
    waiting = liveness.findings()
    clock.advance(clock.at + timedelta(seconds=1))

    assert waiting == ()
    assert [finding.fault for finding in liveness.findings()] == [STUCK]


async def test_nothing_is_late_because_the_clock_was_set() -> None:
    """The loop looks at once after a step; until then the monotonic clock says what is late."""
    clock = StepClock(NOW)
    liveness = Liveness(clock)
    liveness.begin_look()
    liveness.finish_look(NOW + timedelta(seconds=20))

    clock.step(timedelta(days=1))
    stepped = liveness.findings()
    clock.advance(clock.at + timedelta(seconds=20 + LATE_AFTER_S))

    assert stepped == ()
    assert LATE in {finding.fault for finding in liveness.findings()}


async def test_short_failures_are_no_finding() -> None:
    """A ledger that fails now and then is not one that cannot be written."""
    clock = StepClock(NOW)
    liveness = Liveness(clock)
    found: list[AuditFinding] = []
    for _ in range(20):
        liveness.begin_look()
        liveness.fail_look("locked")
        clock.advance(clock.at + timedelta(seconds=UNWRITABLE_AFTER_S - 1))
        found += liveness.findings()
        liveness.begin_look()
        liveness.finish_look(None)

    assert found == []


@pytest.mark.parametrize("has_stalled", [True, False])
async def test_process_that_stood_still_is_not_stuck(*, has_stalled: bool) -> None:
    """After SIGCONT or a suspended machine the loop gets its turn before it is judged."""
    fault = AuditFinding(fault=STUCK, detail="x")
    told: list[tuple[AuditFinding, ...]] = []
    watch = Watch(
        StepClock(NOW),
        find=lambda: (fault,),
        has_stalled=lambda _since_s: has_stalled,
        tell=lambda found, _has_changed: told.append(found),
    )

    watch.look()

    assert told == ([] if has_stalled else [(fault,)])


async def test_switch_is_told_once_a_minute_while_a_fault_lasts(tmp_path: Path) -> None:
    """At once when it begins, and not again with each look of the watch."""
    ledger: Any = Hanging(MemoryLedger(), "find_due")
    async with watching(ledger, tmp_path) as here:
        ledger.hangs = True
        look = asyncio.create_task(here.look())
        await ledger.called.wait()
        before = len(here.beats)
        await here.pass_s(STUCK_AFTER_S + 5 * BEAT_EVERY_S)
        beats = len(here.beats) - before
        ledger.released.set()
        await look

        # The stuck loop, the late reminder a few seconds later, and one more in each minute.
        assert 5 <= beats <= 8


async def test_audit_that_cannot_run_is_a_finding_and_stops_nothing(tmp_path: Path) -> None:
    """A bug in the audit is not "all is well", and reminders go out all the same."""
    ledger: Any = Hanging(MemoryLedger(), "none")
    async with watching(ledger, tmp_path) as here:
        ledger.find_waiting = None  # a bug
        await here.look(Chore.AUDIT)
        failed, beat = here.faults, here.beats[-1]
        await here.live_s(MINUTE_S)
        del ledger.find_waiting
        await here.look(Chore.AUDIT)

        assert failed == {AuditFault.UNAUDITED}
        assert not beat.passed
        assert here.stage.lines()[1:] == ["2026-09-24T09:00 desk t/m -7d"]
        assert here.faults == set()
