"""A daemon that starts on a ledger which owes something sends that at once, before all files are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from alertd.core.config import Config
from alertd.engine.daemon import Daemon
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_daemon import Stage
from tests.engine.test_planning_gives_way import due_at
from tests.scene import StepClock, a_config, when

T = TypeVar("T")


class SlowFolder:
    """A worker that reads the configuration at once, and all files when the test lets it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.is_asked = asyncio.Event()

    def submit(self, call: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        result = call()
        if isinstance(result, Config) or result is None:
            done(result)
        else:
            self.waiting.append(lambda: done(result))
            self.is_asked.set()


async def start_slowly(
    read_config: Callable[[Stage], Config | None],
) -> tuple[Stage, Daemon, SlowFolder, asyncio.Task[None]]:
    """Plan a reminder, let it fall due while no daemon runs, and start a daemon whose folder is slow."""
    stage = Stage(MemoryLedger(), StepClock(when("2026-09-01T08:00")))
    stage.define(due_at("soon/m", "2026-09-01T08:00:10"))
    await stage.daemon().start()
    assert stage.lines() == []
    folder = SlowFolder()
    second = Stage(stage.scene.ledger, StepClock(when("2026-09-01T08:00:11")), node="node-2")
    second.scene.timelines, second.scene.config = stage.scene.timelines, stage.scene.config
    second.world = replace(second.world, file_worker=folder, load_config=lambda: read_config(second))
    daemon = second.daemon()
    starting = asyncio.create_task(daemon.start())
    await folder.is_asked.wait()
    return second, daemon, folder, starting


async def test_what_is_owed_is_sent_while_the_files_are_read() -> None:
    """The reading of the files has not ended when the reminder arrives, and the start goes on after it."""
    stage, daemon, folder, starting = await start_slowly(lambda stage: stage.scene.config)

    await stage.until(lambda: bool(stage.lines()))
    was_starting = not starting.done()
    folder.waiting.pop()()
    await starting
    await daemon.idle()

    assert was_starting
    assert len(stage.lines()) == 1
    assert daemon.definitions is not None
    assert stage.built == 1


async def test_configuration_that_has_changed_meanwhile_replaces_the_early_one() -> None:
    """What all files say counts."""
    stage, daemon, folder, starting = await start_slowly(lambda _stage: a_config("desk"))

    folder.waiting.pop()()
    await starting
    await daemon.idle()

    assert daemon._reloader.config == stage.scene.config
    assert stage.built == 2


async def test_start_without_a_sound_configuration_waits_for_the_files() -> None:
    """Nothing says who is to be told."""
    stage, daemon, folder, starting = await start_slowly(lambda _stage: None)

    before = stage.built
    folder.waiting.pop()()
    await starting
    await daemon.turn()
    await daemon.idle()

    assert before == 0
    assert len(stage.lines()) == 1
