"""A configuration folder that hangs: reminders go on, whoever asks is answered, and nothing piles up."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.core.config import Definitions
from alertd.engine.control import Control, ask
from alertd.engine.daemon import Daemon
from alertd.engine.files import HANGS_AFTER_S
from alertd.engine.reload import HUNG, ReloadResult
from alertd.engine.timer import Chore
from alertd.ports import Ledger
from alertd.system.clock import SystemClock
from alertd.system.file_thread import FileThread
from tests.engine.test_daemon import Stage, turns
from tests.engine.test_vanished import heard
from tests.scene import StepClock, a_ledger, a_milestone, when

LIMIT_S = 10.0
M = "t/m"


class Folder:
    """A folder in memory whose calls hang, until it answers again, in the thread that makes them.

    Attributes:
        calls: how many calls hang or have hung.
        entered: how many of them have begun.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._answers = threading.Event()
        self._answers.set()
        self.entered = threading.Semaphore(0)
        self.threads: set[int] = set()

    def hang(self) -> None:
        self._answers.clear()

    def answer(self) -> None:
        self._answers.set()

    def load(self) -> Definitions:
        self._wait()
        return self._stage.load()

    def read_signature(self) -> Hashable:
        self._wait()
        return self._stage.files

    async def until_entered(self) -> None:
        """Wait until a call hangs."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=LIMIT_S)

    def _wait(self) -> None:
        self.threads.add(threading.get_ident())
        if not self._answers.is_set():
            self.entered.release()
            self._answers.wait()


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def hung(ledger: Ledger) -> AsyncIterator[tuple[Stage, Folder, Daemon]]:
    """A daemon by hand that has begun to read its files again, which hangs."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    folder = Folder(stage)
    stage.world = replace(
        stage.world, load=folder.load, signature=folder.read_signature, file_worker=FileThread()
    )
    stage.define(a_milestone(M, "2026-09-30"))
    daemon = stage.daemon()
    await daemon.start()
    await turns(daemon)
    folder.hang()
    daemon.requests.want()
    await daemon._look()
    await folder.until_entered()
    yield stage, folder, daemon
    folder.answer()


async def look_after(stage: Stage, daemon: Daemon, seconds: float) -> None:
    """Let time pass, and have the loop look at everything, as it does every two seconds."""
    clock = stage.clock
    assert isinstance(clock, StepClock)
    clock.advance(clock.now() + timedelta(seconds=seconds))
    daemon._timer.wanted |= {Chore.FILES, Chore.REPORT}
    await daemon._look()
    await daemon.idle()
    await daemon._look()


async def ask_daemon(daemon: Daemon) -> asyncio.Task[ReloadResult]:
    """Ask for a reload. Returns the task that waits for the answer."""
    before = len(daemon.requests.list_pending())
    task = asyncio.create_task(daemon.requests.ask())
    async with asyncio.timeout(LIMIT_S):
        while len(daemon.requests.list_pending()) == before:
            await daemon._timer.wait(None, daemon._turns.looked_at, 0.01)
    return task


async def until_answered(daemon: Daemon) -> None:
    """Carry out what the loop is woken for, until the files have been read once more."""
    async with asyncio.timeout(LIMIT_S):
        while daemon._status.hung or daemon._reloader.files.is_reading or daemon._reloader.files.result:
            await daemon._timer.wait(None, daemon._turns.looked_at, 0.05)
            daemon._timer.wanted.add(Chore.FILES)
            await daemon._look()


async def test_reminders_go_on_while_the_folder_hangs(hung: tuple[Stage, Folder, Daemon]) -> None:
    stage, _, daemon = hung
    stage.clock.advance(when("2026-09-29T09:00"))  # type: ignore[attr-defined]

    await daemon._look()
    await daemon.idle()

    assert [line.rpartition(" ")[2] for line in stage.lines()] == ["-7d", "-1d"]


async def test_all_who_ask_are_answered_when_it_is_given_up(hung: tuple[Stage, Folder, Daemon]) -> None:
    """Those who asked before it hung, and while it hangs; those who ask later are answered at once."""
    stage, _, daemon = hung
    asked = [await ask_daemon(daemon) for _ in range(2)]
    await look_after(stage, daemon, HANGS_AFTER_S - 1)
    early = [task.done() for task in asked]

    await look_after(stage, daemon, 2)
    answers = await asyncio.gather(*asked)
    late = await ask_daemon(daemon)
    await daemon._look()

    refusal = ReloadResult(accepted=False, problems=(HUNG,))
    assert early == [False, False]
    assert answers == [refusal, refusal]
    assert await asyncio.wait_for(late, LIMIT_S) == refusal


async def test_log_status_audit_and_operator_hear_of_it_once(
    ledger: Ledger, hung: tuple[Stage, Folder, Daemon]
) -> None:
    """A restart would not help, so the watchdog does not hear of it."""
    stage, _, daemon = hung
    before = await heard(ledger, daemon)

    for _ in range(3):
        await look_after(stage, daemon, HANGS_AFTER_S)
    problems, findings = await heard(ledger, daemon)

    assert before == ((), ())
    assert problems == (HUNG,)
    assert findings == (f"file: {HUNG}",)
    assert [event["reason"] for event in stage.events if event["event"] == "files.hung"] == [HUNG]
    assert [sent.message.lines for sent in stage.told if sent.channel == "ops/hook"] == [(HUNG,)]
    assert "the configuration folder does not answer" in daemon._status.line
    assert daemon.status.is_well


async def test_nothing_piles_up(hung: tuple[Stage, Folder, Daemon]) -> None:
    """However often it is looked and asked for: one thread, and at most one look and one reading wait."""
    stage, folder, daemon = hung

    for _ in range(20):
        daemon.requests.want()
        await look_after(stage, daemon, 5)

    worker = stage.world.file_worker
    assert isinstance(worker, FileThread)
    assert worker._calls.qsize() <= 2
    assert len(folder.threads) == 1
    assert threading.get_ident() not in folder.threads


async def test_files_are_read_when_the_folder_answers(
    ledger: Ledger, hung: tuple[Stage, Folder, Daemon]
) -> None:
    """What changed while it hung is put in force, although that reading was given up."""
    stage, folder, daemon = hung
    await look_after(stage, daemon, HANGS_AFTER_S + 1)
    stage.define(a_milestone(M, "2026-10-31"))
    stage.files = 1

    folder.answer()
    await until_answered(daemon)
    again = await ask_daemon(daemon)
    await daemon._look()
    await daemon._reloader.files.wait()
    await daemon._look()

    assert stage.names("files.hung", "files.answered") == ["files.hung", "files.answered"]
    assert "milestone.moved" in stage.names()
    assert await heard(ledger, daemon) == ((), ())
    assert await again == ReloadResult(accepted=True)


async def test_slow_folder_is_no_fault(ledger: Ledger, hung: tuple[Stage, Folder, Daemon]) -> None:
    """It takes 8 s: the reload waits for it, and nobody else does."""
    stage, folder, daemon = hung
    asked = await ask_daemon(daemon)
    stage.clock.advance(stage.clock.now() + timedelta(seconds=8))  # type: ignore[attr-defined]
    await daemon._look()

    folder.answer()
    async with asyncio.timeout(LIMIT_S):
        while not asked.done():
            await daemon._timer.wait(None, daemon._turns.looked_at, 0.05)
            await daemon._look()

    assert await asked == ReloadResult(accepted=True)
    assert "files.hung" not in stage.names()
    assert await heard(ledger, daemon) == ((), ())


async def test_look_that_hangs_is_told_too(ledger: Ledger) -> None:
    """Nobody has asked for a reload: the daemon only looks whether a file has changed."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    folder = Folder(stage)
    stage.world = replace(
        stage.world, load=folder.load, signature=folder.read_signature, file_worker=FileThread()
    )
    daemon = stage.daemon()
    await daemon.start()
    folder.hang()
    await look_after(stage, daemon, 2)
    await folder.until_entered()

    await look_after(stage, daemon, HANGS_AFTER_S + 1)
    during = await heard(ledger, daemon)
    folder.answer()
    await until_answered(daemon)

    assert during == ((HUNG,), (f"file: {HUNG}",))
    assert stage.names("files.hung", "files.answered") == ["files.hung", "files.answered"]


async def test_start_waits_for_the_folder(ledger: Ledger) -> None:
    """Without its files a daemon can do nothing yet, and does not take them for gone."""
    stage = Stage(ledger, StepClock(when("2026-09-24")))
    folder = Folder(stage)
    stage.world = replace(
        stage.world, load=folder.load, signature=folder.read_signature, file_worker=FileThread()
    )
    stage.define(a_milestone(M, "2026-09-30"))
    folder.hang()
    daemon = stage.daemon()
    starting = asyncio.create_task(daemon.start())
    await folder.until_entered()

    folder.answer()
    await asyncio.wait_for(starting, LIMIT_S)

    assert await ledger.read_timelines() == {"t": "milestones/t.yaml"}


async def running(ledger: Ledger, act: Callable[[Stage, Folder, Daemon], object]) -> Stage:
    """Run the real loop by the real clock, hang its folder, and ``act``; stop it while the folder hangs."""
    stage = Stage(ledger, SystemClock())
    folder = Folder(stage)
    stage.world = replace(
        stage.world, load=folder.load, signature=folder.read_signature, file_worker=FileThread()
    )
    daemon = stage.daemon()
    await daemon.start()
    loop = asyncio.create_task(daemon.run())
    folder.hang()
    await folder.until_entered()
    done = act(stage, folder, daemon)
    if asyncio.iscoroutine(done):
        await done
    daemon.stop()
    async with asyncio.timeout(LIMIT_S):
        await loop
    folder.answer()
    return stage


async def test_stop_does_not_wait_for_the_folder(ledger: Ledger) -> None:
    stage = await running(ledger, lambda *_: None)

    assert stage.names()[-1] == "daemon.stopped"


async def test_signal_for_a_reload_does_not_stop_the_loop(ledger: Ledger) -> None:
    """SIGHUP while the folder hangs changes nothing: a stop is heard all the same."""
    stage = await running(ledger, lambda *_: signal.raise_signal(signal.SIGHUP))

    assert stage.names()[-1] == "daemon.stopped"


async def test_reload_command_is_answered_while_the_folder_hangs(
    hung: tuple[Stage, Folder, Daemon], tmp_path: Path
) -> None:
    """By the real socket: `alertd reload --wait` ends with the reason."""
    stage, _, daemon = hung
    control = Control(tmp_path / "socket", tmp_path, daemon.requests, stage.log)
    await control.open()
    await look_after(stage, daemon, HANGS_AFTER_S + 1)

    answer = asyncio.create_task(
        asyncio.to_thread(ask, tmp_path / "socket", tmp_path, wait=True, within_s=LIMIT_S)
    )
    async with asyncio.timeout(LIMIT_S):
        while not answer.done():
            await daemon._timer.wait(None, daemon._turns.looked_at, 0.05)
            await daemon._look()
    await control.close()

    assert await answer == ReloadResult(accepted=False, problems=(HUNG,))
