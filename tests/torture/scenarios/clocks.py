"""The wall clock set forward and back, by libfaketime; the monotonic one goes on."""

from __future__ import annotations

import os
from pathlib import Path

from tests.torture import promised
from tests.torture.arena import LONG_LEASE_S, Arena, Size
from tests.torture.receipts import now_s

SEEN_AFTER_S = 240.0
"""After a step back the timers are 30 s late at the most; so may the pauses of a breaker be."""

STEP_S = 1800
BACK_S = 600


def library() -> Path | None:
    given = os.environ.get("TORTURE_FAKETIME", "")
    found = [Path(given)] if given else sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return next((one for one in found if one.exists()), None)


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
    node = arena.node(
        "a",
        LD_PRELOAD=str(library()), FAKETIME_TIMESTAMP_FILE=str(step), FAKETIME_CACHE_DURATION="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )  # fmt: skip
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


def _set(arena: Arena, file: Path, ahead_s: int) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(f"+{ahead_s}\n")
    draft.rename(file)
    arena.ahead.append((now_s(), float(ahead_s)))
