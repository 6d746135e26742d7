"""Months on a real SQLite file: descriptors, memory, tasks and what the node keeps stay as they were."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
import structlog

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Message
from alertd.engine.deps import Dependencies
from alertd.ports import Ledger
from alertd.store import open_ledger
from alertd.system.telemetry import Log
from tests.scene import StepClock
from tests.sim.expected import rungs_of
from tests.sim.files import definitions, read_timeline
from tests.sim.node import LiveDaemon
from tests.sim.spec import CHANNELS, DESK, LEADS, Files, Spec
from tests.sim.world import START

DAYS = 180
WARM = 40
CHORES_EVERY = 5
MEMORY_MAY_GROW = 256 * 1024
"""Bytes: rows that SQLAlchemy has prepared statements for, and the like; a leak of a few hundred bytes a day
would be more."""


@dataclass
class Receiver:
    """Takes two of three, and keeps nothing."""

    taken: int = 0
    asked: int = 0

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        self.asked += 1
        if self.asked % 3 == 0:
            return Retry(reason="503")
        self.taken += 1
        return Sent(state={item.milestone: {"id": message.id} for item in message.items})

    async def aclose(self) -> None:
        """It holds nothing."""


class Stage:
    """One daemon, a day at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self.clock = StepClock(START)
        self.files = Files(specs=(_moved_to(0), Spec(id="b/m", deadlines=("2026-02",), ladder="nagging")))
        self.version = 1
        self.receiver = Receiver()
        self.ledger = ledger
        log = structlog.wrap_logger(None, processors=[_drop])
        self.daemon = LiveDaemon(
            Dependencies(
                ledger=ledger,
                clock=self.clock,
                log=cast(Log, log),
                load=lambda: definitions(self.files, self.version),
                read_timeline=lambda timeline: read_timeline(timeline, self.files),
                signature=lambda: self.version,
                build=lambda _config: {name: self.receiver for names in CHANNELS.values() for name in names},
                node="n1:1",
            )
        )

    async def day(self, number: int) -> None:
        """What falls due in it, every fifth day all chores, and every tenth a date that moves."""
        if number % 10 == 0:
            self.files = self.files.with_spec(_moved_to(number))
            self.version += 1
            await self.daemon.reload()
        end = self.clock.now() + timedelta(days=1)
        if number % CHORES_EVERY == 0:
            self.daemon.poke("lead", "ledger", "reconcile", "report", "audit")
        for _ in range(1000):
            await self.daemon._look()
            await self.daemon.idle()
            next_at = await self.daemon.next_at(self.clock.now())
            if next_at is None or next_at > end:
                self.clock.advance(end)
                return
            self.clock.advance(max(next_at, self.clock.now() + timedelta(milliseconds=200)))
        raise AssertionError("it never ends")

    def sizes(self) -> dict[str, int]:
        gc.collect()
        return {
            **self.daemon.sizes,
            "descriptors": len(os.listdir("/proc/self/fd")),
            # The thread of the checkpoints begins with the thousandth changed row, and there is only one.
            "threads": sum("alertd-checkpoints" not in thread.name for thread in threading.enumerate()),
            "tasks": len(asyncio.all_tasks()),
        }


@pytest.mark.long(15)
async def test_nothing_grows_over_months(tmp_path: Path) -> None:
    """A reminder a fortnight, a date that moves every ten days, a receiver that refuses every third message."""
    ledger = await open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3")
    stage = Stage(ledger)
    await stage.daemon.start()
    for number in range(WARM):
        await stage.day(number)
    before = stage.sizes()
    tracemalloc.start()
    try:
        for number in range(WARM, WARM + 20):
            await stage.day(number)
        gc.collect()
        early, _ = tracemalloc.get_traced_memory()
        for number in range(WARM + 20, DAYS):
            await stage.day(number)
        after = stage.sizes()
        late, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counts = await ledger.count_rows()
    nodes = await ledger.read_nodes()
    await stage.daemon._end()

    assert stage.receiver.taken > 40
    assert {name: size for name, size in after.items() if size > before[name]} == {}
    assert late - early < MEMORY_MAY_GROW, f"{late - early} bytes"
    assert len(nodes) == 1
    assert sum(size for name, size in counts.items() if name.startswith("owed.")) <= _most_rows()


def _moved_to(number: int) -> Spec:
    """Its date is always a month ahead."""
    day = START.date() + timedelta(days=30 + number)
    return Spec(id="a/m", deadlines=(day.isoformat(),))


def _most_rows() -> int:
    """Each reminder of each date for each receiver, and the news of each move."""
    moves = [_moved_to(number) for number in range(0, DAYS, 10)]
    others = Spec(id="b/m", deadlines=("2026-02",), ladder="nagging")
    return sum(2 * len(rungs_of(spec)) + len((DESK, LEADS)) for spec in (*moves, others))


def _drop(_logger: object, _method: str, _facts: Mapping[str, object]) -> str:
    raise structlog.DropEvent
