"""The wall clock set forward and back, by libfaketime; the monotonic one goes on."""

from __future__ import annotations

import os
from pathlib import Path

from tests.torture import postgres, promised
from tests.torture.arena import LONG_LEASE_S, Arena, Size
from tests.torture.ledger import books
from tests.torture.nodes import Node
from tests.torture.receipts import now_s
from tests.torture.scenarios.kills import a_server

SEEN_AFTER_S = 240.0
"""After a step back the timers are 30 s late at the most; so may the pauses of a breaker be."""

NOTICED_S = 60.0
CONFIRMED_S = 8.0
"""In the place of five minutes."""

STEP_S = 1800
YEAR_S = 400 * 86_400
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
    """The wall clock steps forward half an hour and back ten minutes, and shows another year for a moment.

    Each step waits until the process has noticed the one before. libfaketime reads its file every second or
    two, and makes a process stand still for seconds now and then, so no fixed time is long enough.
    """
    arena.lease_s = LONG_LEASE_S
    # libfaketime makes a process stand still for seconds now and then.
    arena.hook_timeout_s = 6.0
    step = arena.folder / "step"
    _set(arena, step, 0)
    arena.configure()
    # Some fall due at once, some while it is half an hour ahead, some later still.
    per = size.milestones // (size.rounds + 1)
    for number in range(size.rounds + 1):
        begin = promised.soon(4 + number * (STEP_S - BACK_S + 4))
        arena.promise(per, span_s=6.0, begin=begin, name=f"t{number}x")
    node = arena.node("a", **_shifted(step))
    await node.ready()
    ahead_s = 0
    for _ in range(size.rounds):
        # Nobody may act by another year, so it is not in the list of how far the clock was ahead.
        for other_s in (ahead_s + YEAR_S, ahead_s):
            _write(step, other_s)
            await _notices(arena, node, "clock.stepped")
        for by_s, notices in ((STEP_S, "clock.confirmed"), (-BACK_S, "clock.stepped")):
            ahead_s += by_s
            _set(arena, step, ahead_s)
            await _notices(arena, node, notices)
    # What was written down for a time to which the clock has gone back waits until it comes again.
    _set(arena, step, ahead_s + STEP_S)
    arena.count("steps")
    await arena.finish(SEEN_AFTER_S)
    seen, set_to = len(arena.events("clock.stepped")), arena.counted["steps"]
    arena.demand(seen >= set_to - 1, f"of {set_to} steps it has noticed {seen}")
    expired = [key for key, (state, _) in books(arena.database).owed.items() if state == "expired"]
    arena.demand(not expired, f"expired by a clock that was wrong: {expired[:5]}")


async def apart(arena: Arena, size: Size) -> None:
    """Two nodes on PostgreSQL, the clock of one half an hour ahead: neither is early, and it is said.

    The one that is ahead begins alone, so that it has something to send: it is the slower one under
    libfaketime.
    """
    arena.lease_s = LONG_LEASE_S
    arena.hook_timeout_s = 6.0
    await a_server(arena)
    step = arena.folder / "step"
    _write(step, STEP_S)
    arena.configure()
    arena.promise(size.milestones, span_s=size.rounds * 8.0)
    ahead = arena.node("ahead", **_shifted(step))
    await ahead.ready()
    await arena.bell.within(NOTICED_S, lambda: bool(arena.receipts.accepted), ahead.events)
    right = arena.node("right")
    await right.ready()
    arena.count("nodes ahead")
    await arena.finish()
    sent = {one.pid for one in arena.receipts.read()}
    arena.demand(ahead.pid in sent, "the node that is ahead has sent nothing: nothing was put to the test")
    said = await arena.bell.happens(NOTICED_S, lambda: bool(ahead.events("clock.differed")))
    arena.demand(said, "it has not said that the clocks differ")
    arena.demand(not right.events("clock.differed"), "the other one has said that its clock is wrong")


async def _notices(arena: Arena, node: Node, name: str) -> None:
    """Count a step that was just made, and wait until the node has logged what it is to say of it."""
    arena.count("steps")
    before = len(node.events(name))
    await arena.bell.within(NOTICED_S, lambda: len(node.events(name)) > before, node.events)


def _shifted(step: Path) -> dict[str, str]:
    """What has a process go by the wall clock that the file says."""
    return {
        "LD_PRELOAD": str(library()), "FAKETIME_TIMESTAMP_FILE": str(step), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TORTURE_CONFIRMED_S": str(CONFIRMED_S),
    }  # fmt: skip


def _set(arena: Arena, file: Path, ahead_s: int) -> None:
    _write(file, ahead_s)
    arena.ahead.append((now_s(), float(ahead_s)))


def _write(file: Path, ahead_s: int) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(f"+{ahead_s}\n")
    draft.rename(file)
