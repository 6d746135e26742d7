"""The wall clock set forward and back, by libfaketime; the monotonic one goes on."""

from __future__ import annotations

import os
from pathlib import Path

from tests.torture import postgres, promised
from tests.torture.arena import LONG_LEASE_S, Arena, Size
from tests.torture.receipts import now_s
from tests.torture.scenarios.kills import a_server

SEEN_AFTER_S = 240.0
"""After a step back the timers are 30 s late at the most; so may the pauses of a breaker be."""

STEP_S = 1800
BACK_S = 600


def library() -> Path | None:
    given = os.environ.get("TORTURE_FAKETIME", "")
    found = [Path(given)] if given else sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return next((one for one in found if one.exists()), None)


def missing_both() -> str:
    return missing() or postgres.missing()


def missing() -> str:
    return "" if library() else "libfaketime is not installed (Debian's package faketime)"


async def jumps(arena: Arena, size: Size) -> None:
    """The wall clock of the machine steps forward half an hour and back ten minutes, again and again."""
    arena.lease_s = LONG_LEASE_S
    # libfaketime makes a process stand still for seconds now and then.
    arena.hook_timeout_s = 6.0
    step = arena.folder / "step"
    _set(arena, step, 0)
    arena.configure()
    total = (STEP_S - BACK_S) * size.rounds
    # Some fall due at once, some while it is half an hour ahead, some later still.
    per = size.milestones // (size.rounds + 1)
    for number in range(size.rounds + 1):
        begin = promised.soon(4 + number * (STEP_S - BACK_S + 4))
        arena.promise(per, span_s=6.0, begin=begin, name=f"t{number}x")
    node = arena.node("a", **_shifted(step))
    await node.ready()
    for number in range(size.rounds):
        await arena.passes(arena.rng.uniform(2.0, 4.0))
        _set(arena, step, number * (STEP_S - BACK_S) + STEP_S)
        arena.count("steps")
        await arena.passes(arena.rng.uniform(2.0, 4.0))
        _set(arena, step, (number + 1) * (STEP_S - BACK_S))
        arena.count("steps")
    # What was written down for a time to which the clock has gone back waits until it comes again.
    _set(arena, step, total + STEP_S)
    arena.count("steps")
    await arena.finish(SEEN_AFTER_S)
    seen = len(arena.events("clock.stepped"))
    arena.demand(seen >= 2, f"of {arena.counted['steps']} steps it has noticed {seen}")


async def apart(arena: Arena, size: Size) -> None:
    """Two nodes on PostgreSQL, the clock of one half an hour ahead: neither is early, and it is said."""
    arena.lease_s = LONG_LEASE_S
    arena.hook_timeout_s = 6.0
    await a_server(arena)
    step = arena.folder / "step"
    step.write_text(f"+{STEP_S}\n")
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * 8.0)
    ahead, right = arena.node("ahead", **_shifted(step)), arena.node("right")
    for node in (ahead, right):
        await node.ready()
    arena.count("nodes ahead")
    await arena.finish()
    sent = {one.pid for one in arena.receipts.read()}
    arena.demand(ahead.pid in sent, "the node that is ahead has sent nothing: nothing was put to the test")
    said = await arena.bell.happens(20.0, lambda: bool(ahead.events("clock.differed")))
    arena.demand(said, "it has not said that the clocks differ")
    arena.demand(not right.events("clock.differed"), "the other one has said that its clock is wrong")


def _shifted(step: Path) -> dict[str, str]:
    """What has a process go by the wall clock that the file says."""
    return {
        "LD_PRELOAD": str(library()), "FAKETIME_TIMESTAMP_FILE": str(step), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


def _set(arena: Arena, file: Path, ahead_s: int) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(f"+{ahead_s}\n")
    draft.rename(file)
    arena.ahead.append((now_s(), float(ahead_s)))
