"""Measures how long planning holds up the loop of the daemon.

``python -m bench.loop [MILESTONES]`` starts a daemon on a ledger on disk and prints, for a reconciliation of
everything and for one after `alertd done`: how long it took, and the longest time in which nothing else ran
on the loop, by the wall clock and by the time of its processor. On a busy machine the second one counts.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from alertd.core.config import Config, Definitions, NotifierSpec, Receiver, Timeline
from alertd.core.deadline import parse_deadline
from alertd.core.ledger.outcome import Outcome, Sent
from alertd.core.message.message import Message
from alertd.core.milestones.milestone import Claim, Milestone
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.routing.route import Route
from alertd.engine.actions import act
from alertd.engine.daemon import Daemon
from alertd.engine.deps import Dependencies
from alertd.engine.timer import Chore
from alertd.store import open_ledger
from alertd.system.clock import SystemClock

UTC_ZONE = ZoneInfo("UTC")


class Accepting:
    """A notifier that accepts everything."""

    async def send(self, _message: Message, _prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        return Sent()

    async def aclose(self) -> None:
        """Nothing is open."""


def make_milestone(name: str, edtf: str) -> Milestone:
    return Milestone(
        id=f"bench/{name}",
        timeline="bench",
        timeline_title="Bench",
        title="What is promised",
        zone=UTC_ZONE,
        policy=Policy(),
        claims=(Claim(deadline=parse_deadline(edtf), sources=()),),
    )


async def find_longest_gap(work: Awaitable[object]) -> tuple[float, float, float]:
    """Return how long the work took, and the longest gaps by the wall clock and by the processor's time."""
    gaps, ended = [0.0, 0.0], asyncio.Event()

    async def watch() -> None:
        before = time.perf_counter(), time.thread_time()
        while not ended.is_set():
            await asyncio.sleep(0.001)
            now = time.perf_counter(), time.thread_time()
            gaps[:] = (max(gap, after - then) for gap, after, then in zip(gaps, now, before, strict=True))
            before = now

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0.05)
    began = time.perf_counter()
    await work
    took = time.perf_counter() - began
    ended.set()
    await watcher
    return took, gaps[0], gaps[1]


async def measure(number: int, folder: str) -> None:
    url = f"sqlite:///{Path(folder) / 'ledger.sqlite3'}"
    ledger, other = await open_ledger(url), await open_ledger(url)
    config = Config(
        zone=UTC_ZONE,
        route=Route(receiver="desk", path="route"),
        receivers={
            "desk": Receiver(name="desk", notifiers=(NotifierSpec(name="hook", type="fake", options=None),))
        },
    )
    milestones = [make_milestone(f"m{each}", "2031-06-30") for each in range(number)]

    def load() -> Definitions:
        timeline = Timeline(
            id="bench", title="Bench", file="milestones/bench.yaml", milestones=tuple(milestones)
        )
        return Definitions(config=config, timelines=(timeline,), fingerprint=str(len(milestones)))

    log = structlog.wrap_logger(None, processors=[_drop])
    daemon = Daemon(
        Dependencies(
            ledger=ledger,
            clock=SystemClock(),
            log=log,  # type: ignore[arg-type]  # a logger that drops everything
            load=load,
            signature=lambda: 0,
            build=lambda _config: {"desk/hook": Accepting()},
            node="bench",
        )
    )
    await daemon.start()
    await daemon._look()
    steps: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("everything", lambda: look(daemon, Chore.RECONCILE)),
        ("after done", lambda: look(daemon, Chore.LEDGER)),
    ]
    print(f"{number} milestones\nreconciled     took ms   longest gap ms   by the processor ms")
    for name, work in steps:
        if name == "after done":
            action = Action(
                kind=ActionKind.DONE,
                milestone="bench/m1",
                at=datetime.now(UTC),
                by="ada",
                done_on=datetime.now(UTC).date(),
            )
            await act(other, config, action)
        took, gap, busy = await find_longest_gap(work())
        print(f"{name:12} {took * 1e3:9.0f} {gap * 1e3:16.0f} {busy * 1e3:21.0f}")
    await ledger.close()
    await other.close()


async def look(daemon: Daemon, chore: Chore) -> None:
    daemon._timer.want(chore)
    await daemon._look()


def _drop(_logger: object, _method: str, _event: object) -> object:
    raise structlog.DropEvent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, folder))


if __name__ == "__main__":
    main()
