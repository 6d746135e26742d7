"""Measures leasing and settling on disk: in groups of several sizes, and with many idle rows.

``python -m bench.ledger [ROUNDS]`` prints a line for each case: deliveries per second, and the ratio to the
case with groups of 200. A look is the query of every wake-up, with nothing due: find_due and
find_next_wake. The cases take turns in one process, so that a slow moment of the machine affects all cases.
Each result is the median of the rounds. The first line shows the speed of the disk itself: appends of 4
KiB, each with an fsync. The cases are repeated on PostgreSQL if a server can be started.
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
from alertd.core.planning.decide import Decisions, Verdict, make_delivery_id
from alertd.ports import LEASE_FOR, Changes, Ledger, Settlement
from alertd.store import migrate, open_ledger
from bench.kit.postgres import MISSING, start_postgres

NOW = datetime(2026, 9, 1, 6, tzinfo=UTC)
WINDOW = "2026-09-01/2026-10-01"
IDLE_MILESTONES = 25_000
IDLE_EACH = 10
IDLE_ROWS = f"{IDLE_MILESTONES * IDLE_EACH:,} idle"
BUSY = 2_000
GROUPS = {200: 1_000, 20: 400, 1: 60}
"""Deliveries per round by the size of the groups, chosen so that rounds of all sizes take about as long."""


def make_milestone(number: int) -> Record:
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


def make_reminder(number: int, slot: str, at: datetime) -> ScheduledReminder:
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
    """Add ``BUSY`` milestones without reminders, and ``idle`` milestones with reminders in the far future."""
    for first in range(0, BUSY + idle, 1_000):
        numbers = range(first, first + 1_000)
        far = (
            make_reminder(n, f"-{d}d", NOW + timedelta(days=100 + d))
            for n in numbers
            for d in range(IDLE_EACH)
            if n >= BUSY
        )
        await ledger.apply(Changes(records=tuple(map(make_milestone, numbers)), owed=tuple(far)))


async def make_ready(ledger: Ledger, many: int, round_name: str) -> None:
    """Add ``many`` deliveries that are ready now, each of one reminder."""
    made = [make_reminder(number, round_name, NOW) for number in range(many)]
    await ledger.apply(Changes(owed=tuple(made)))
    deliveries = tuple(
        Delivery(
            id=make_delivery_id("desk", "hook", (reminder.key,)),
            receiver="desk",
            notifier="hook",
            members=(reminder.key,),
            bound_at=NOW,
            next_at=NOW,
        )
        for reminder in made
    )
    verdicts = tuple(Verdict(key=one.key, state=ReminderState.BOUND, reason=None) for one in made)
    assert await ledger.bind(Decisions(deliveries=deliveries, verdicts=verdicts))


def accept(lease: Lease) -> Settlement:
    return Settlement(
        lease=lease,
        state=DeliveryState.SENT,
        at=NOW,
        attempt=Attempt(delivery=lease.delivery.id, number=1, at=NOW, took_ms=10, outcome="sent"),
        told=lease.delivery.members,
        remember={reminder.milestone: {"thread": "1"} for reminder in lease.owed},
    )


async def settle_all(ledger: Ledger, group: int) -> int:
    """Lease and settle deliveries, ``group`` at a time, until none is ready. Return how many there were."""
    done = 0
    while leases := await ledger.lease("bench", NOW, duration=LEASE_FOR, limit=group, per_channel=group):
        assert not await ledger.settle([accept(lease) for lease in leases])
        done += len(leases)
    return done


async def measure_deliveries(ledger: Ledger, group: int, many: int, round_name: str) -> float:
    """Return leased and settled deliveries per second. The time to make them ready is not counted."""
    await make_ready(ledger, many, round_name)
    started = time.perf_counter()
    assert await settle_all(ledger, group) == many
    return many / (time.perf_counter() - started)


async def measure_looks(ledger: Ledger, times: int = 100) -> float:
    """Return looks per second with nothing due."""
    started = time.perf_counter()
    for _ in range(times):
        assert not await ledger.find_due(NOW, 500)
        await ledger.find_next_wake(NOW)
    return times / (time.perf_counter() - started)


def measure_disk(folder: Path, times: int = 200) -> float:
    """Return appends of 4 KiB per second, each with an fsync."""
    with (folder / "appends").open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(times):
            file.write(bytes(4096))
            os.fsync(file.fileno())
        return times / (time.perf_counter() - started)


@contextmanager
def make_folders(*names: str) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="alertd-bench-") as root:
        yield [Path(root) / name for name in names]


async def measure(
    empty_url: str, idle_url: str, rounds: int, *, on_filled: Callable[[], object] = lambda: None
) -> None:
    """Measure all cases on two ledgers and print the results.

    Args:
        on_filled: called when both ledgers are filled.
    """
    empty, idle = await open_ledger(empty_url), await open_ledger(idle_url)
    await fill(empty, 0)
    await fill(idle, IDLE_MILESTONES)
    on_filled()
    rates: dict[str, list[float]] = {}
    looks: dict[str, list[float]] = {}
    for number in range(rounds):
        for group, many in GROUPS.items():
            rate = await measure_deliveries(empty, group, many, f"{number}/{group}")
            rates.setdefault(f"{group:>3} at a time", []).append(rate)
        rate = await measure_deliveries(idle, 200, GROUPS[200], f"{number}/idle")
        rates.setdefault(f"200 at a time, {IDLE_ROWS}", []).append(rate)
        looks.setdefault("look", []).append(await measure_looks(empty))
        looks.setdefault(f"look, {IDLE_ROWS}", []).append(await measure_looks(idle))
    await empty.close()
    await idle.close()
    show(rates)
    show(looks)


async def main(rounds: int) -> None:
    with make_folders("empty.db", "idle.db") as (empty_path, idle_path):
        print(f"disk: {measure_disk(empty_path.parent):,.0f} appends of 4 KiB a second, an fsync each")
        print("SQLite")
        await measure(f"sqlite:///{empty_path}", f"sqlite:///{idle_path}", rounds)
    with start_postgres() as made:
        if made is None:
            print(f"PostgreSQL: {MISSING}")
            return
        print("PostgreSQL")
        for name in ("empty", "idle"):
            made.execute(f"create database {name}")
            await migrate(made.url(name))

        def analyze() -> None:
            # Autovacuum does this within a minute of a load. Until then PostgreSQL has no statistics.
            for name in ("empty", "idle"):
                made.execute("analyze", name)

        await measure(made.url("empty"), made.url("idle"), rounds, on_filled=analyze)


def show(rates: dict[str, list[float]]) -> None:
    """Print a line for each case, with its ratio to the first case."""
    medians = {name: statistics.median(found) for name, found in rates.items()}
    base = next(iter(medians.values()))
    for name, middle in medians.items():
        print(f"{name:<32} {middle:>8,.0f} a second   {middle / base:.3f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
