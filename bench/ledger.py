"""Lease and settle, each on disk: 200 at a time beside one at a time, and beside many idle rows.

``python -m bench.ledger [ROUNDS]`` prints one line a case: deliveries a second, and the ratio to 200 at a
time. A look is what every wake-up asks, with nothing due: due and next_wake. The cases take turns in one
process, so that a slow moment of the machine is in all of them; the median of the rounds counts. Above them
stands what the disk itself does: appends of 4 KiB with an fsync each. The same on PostgreSQL, where there is
a server to start.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from alertd.core.deadline import parse_deadline
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    Lease,
    Record,
    ReminderState,
    ScheduledReminder,
    Value,
)
from alertd.core.milestones.milestone import Claim, Milestone, Source
from alertd.core.milestones.occurrence import Cause, fingerprint
from alertd.core.milestones.policy import Policy
from alertd.core.planning.decide import Decisions, Verdict, delivery_id
from alertd.ports import LEASE_FOR, Changes, Ledger, Settlement
from alertd.store import migrate, open_ledger
from tests.postgres import programs, server

NOW = datetime(2026, 9, 1, 6, tzinfo=UTC)
WINDOW = "2026-09-01/2026-10-01"
IDLE_MILESTONES = 25_000
IDLE_EACH = 10
IDLE_ROWS = f"{IDLE_MILESTONES * IDLE_EACH:,} idle"
BUSY = 2_000
GROUPS = {200: 1_000, 20: 400, 1: 60}
"""How many are settled a round, by the size of the groups: about as long for each."""


def milestone(number: int) -> Record:
    source = Source(id="minister", who="A. Minister, of something", published="2024-09-08")
    return Record(
        milestone=Milestone(
            id=f"bench/m{number}",
            timeline="bench",
            timeline_title="Bench",
            title=f"What is promised as number {number}",
            zone=ZoneInfo("Asia/Baghdad"),
            policy=Policy(),
            claims=(Claim(deadline=parse_deadline("2026-09"), sources=(source,)),),
            labels={"country": "iraq"},
        ),
        file="milestones/bench.yaml",
        revision=1,
        values=(Value(window_id=WINDOW, edtf="2026-09", phrase="by September 2026"),),
        loaded_at=NOW,
        changed_at=NOW,
    )


def owed(number: int, slot: str, at: datetime) -> ScheduledReminder:
    return ScheduledReminder(
        key=fingerprint("bench", str(number), slot),
        milestone=f"bench/m{number}",
        receiver="desk",
        cause=Cause.APPROACHING,
        offset=slot,
        window_id=WINDOW,
        at=at,
        wake_at=at,
        group=(("milestone", f"bench/m{number}"),),
    )


async def fill(ledger: Ledger, idle: int) -> None:
    """``BUSY`` milestones, and ``idle`` more with reminders that are far away."""
    for first in range(0, BUSY + idle, 1_000):
        numbers = range(first, first + 1_000)
        far = (
            owed(n, f"-{d}d", NOW + timedelta(days=100 + d))
            for n in numbers
            for d in range(IDLE_EACH)
            if n >= BUSY
        )
        await ledger.apply(Changes(records=tuple(map(milestone, numbers)), owed=tuple(far)))


async def make_ready(ledger: Ledger, many: int, round_name: str) -> None:
    """``many`` deliveries of one reminder each, ready now."""
    made = [owed(number, round_name, NOW) for number in range(many)]
    await ledger.apply(Changes(owed=tuple(made)))
    deliveries = tuple(
        Delivery(
            id=delivery_id("desk", "hook", (one.key,)),
            receiver="desk",
            notifier="hook",
            members=(one.key,),
            bound_at=NOW,
            next_at=NOW,
        )
        for one in made
    )
    verdicts = tuple(Verdict(key=one.key, state=ReminderState.BOUND, reason="") for one in made)
    assert await ledger.bind(Decisions(deliveries=deliveries, verdicts=verdicts))


def accepted(lease: Lease) -> Settlement:
    return Settlement(
        lease=lease,
        state=DeliveryState.SENT,
        at=NOW,
        attempt=Attempt(delivery=lease.delivery.id, number=1, at=NOW, took_ms=10, outcome="sent"),
        told=lease.delivery.members,
        remember={owed.milestone: {"thread": "1"} for owed in lease.owed},
    )


async def settle_all(ledger: Ledger, group: int) -> int:
    """Lease and settle until nothing is ready, ``group`` at a time. Returns how many there were."""
    done = 0
    while leases := await ledger.lease("bench", NOW, for_=LEASE_FOR, limit=group, per_channel=group):
        assert not await ledger.settle([accepted(lease) for lease in leases])
        done += len(leases)
    return done


async def bind_and_settle(ledger: Ledger, group: int, many: int, round_name: str) -> float:
    """Deliveries a second, leasing and settling alone; making them ready is not counted."""
    await make_ready(ledger, many, round_name)
    started = time.perf_counter()
    assert await settle_all(ledger, group) == many
    return many / (time.perf_counter() - started)


async def look(ledger: Ledger, times: int = 100) -> float:
    """Looks a second with nothing due."""
    started = time.perf_counter()
    for _ in range(times):
        assert not await ledger.due(NOW, 500)
        await ledger.next_wake(NOW)
    return times / (time.perf_counter() - started)


def disk(folder: Path, times: int = 200) -> float:
    """Appends of 4 KiB with an fsync each, a second."""
    with (folder / "appends").open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(times):
            file.write(bytes(4096))
            os.fsync(file.fileno())
        return times / (time.perf_counter() - started)


@contextmanager
def folders(*names: str) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="alertd-bench-") as root:
        yield [Path(root) / name for name in names]


async def measure(
    empty_url: str, idle_url: str, rounds: int, *, settled: Callable[[], object] = lambda: None
) -> None:
    """All cases on two ledgers.

    Args:
        settled: called when they are filled.
    """
    empty, idle = await open_ledger(empty_url), await open_ledger(idle_url)
    await fill(empty, 0)
    await fill(idle, IDLE_MILESTONES)
    settled()
    rates: dict[str, list[float]] = {}
    looks: dict[str, list[float]] = {}
    for number in range(rounds):
        for group, many in GROUPS.items():
            rate = await bind_and_settle(empty, group, many, f"{number}/{group}")
            rates.setdefault(f"{group:>3} at a time", []).append(rate)
        rate = await bind_and_settle(idle, 200, GROUPS[200], f"{number}/idle")
        rates.setdefault(f"200 at a time, {IDLE_ROWS}", []).append(rate)
        looks.setdefault("look", []).append(await look(empty))
        looks.setdefault(f"look, {IDLE_ROWS}", []).append(await look(idle))
    await empty.close()
    await idle.close()
    show(rates)
    show(looks)


async def main(rounds: int) -> None:
    with folders("empty.db", "idle.db") as (empty_path, idle_path):
        print(f"disk: {disk(empty_path.parent):,.0f} appends of 4 KiB a second, an fsync each")
        print("SQLite")
        await measure(f"sqlite:///{empty_path}", f"sqlite:///{idle_path}", rounds)
    if programs() is None:
        print("PostgreSQL: no server on this machine")
        return
    print("PostgreSQL")
    with server(settings=()) as made:
        for name in ("empty", "idle"):
            made.execute(f"create database {name}")
            await migrate(made.url(name))

        def analyze() -> None:
            # As autovacuum does within a minute of a load: until then PostgreSQL knows nothing of the rows.
            for name in ("empty", "idle"):
                made.execute("analyze", name)

        await measure(made.url("empty"), made.url("idle"), rounds, settled=analyze)


def show(rates: dict[str, list[float]]) -> None:
    """A line a case, with its ratio to the first one."""
    medians = {name: statistics.median(found) for name, found in rates.items()}
    base = next(iter(medians.values()))
    for name, middle in medians.items():
        print(f"{name:<32} {middle:>8,.0f} a second   {middle / base:.3f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
