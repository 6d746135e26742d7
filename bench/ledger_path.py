"""Measures what the ledger costs for each reminder on its way from due to settled.

``python -m bench.ledger_path [REMINDERS]`` makes reminders of distinct milestones due at once and takes them
through the ledger as the daemon does: find_due and bind, lease and settle in groups of 200, and
find_next_wake after each group. For each call it prints the CPU time of this process for each reminder, and
the number of SQL statements for each group. Composing and sending are not part of this. Then 300 reminders go
through one by one, as they do when few are due. All is repeated on PostgreSQL if a server can be started; the
CPU time of the server is not counted.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine, event

from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    Grounds,
    Known,
    Lease,
    ReminderState,
    ScheduledReminder,
)
from alertd.core.planning.decide import Decisions, Verdict, make_delivery_id
from alertd.ports import LEASE_FOR, Changes, Ledger, LostLeases, Settlement
from alertd.store import migrate, open_ledger
from bench.ledger import NOW, make_milestone, make_reminder
from tests.postgres import programs, server

T = TypeVar("T")

GROUP = 200
BIND = 500
KNOWN = Known(receivers=frozenset({"desk"}), channels=frozenset({"desk/hook"}), digests=frozenset())


async def fill(ledger: Ledger, many: int) -> None:
    """Schedule ``many`` reminders that are due, each of its own milestone, which has five later reminders."""
    for first in range(0, many, 1_000):
        numbers = range(first, min(first + 1_000, many))
        due = [make_reminder(number, "-30d", NOW) for number in numbers]
        later = [
            make_reminder(number, f"-{days}d", NOW + timedelta(days=30 - days))
            for number in numbers
            for days in range(1, 6)
        ]
        await ledger.apply(Changes(records=tuple(map(make_milestone, numbers)), owed=(*due, *later)))


def decide(owed: ScheduledReminder) -> tuple[Verdict, Delivery]:
    grounds = Grounds(route="route", matchers=(), policy="default")
    delivery = Delivery(
        id=make_delivery_id("desk", "hook", (owed.key,)),
        receiver="desk",
        notifier="hook",
        members=(owed.key,),
        bound_at=NOW,
        next_at=NOW,
    )
    return Verdict(key=owed.key, state=ReminderState.BOUND, reason=None, grounds=grounds), delivery


def accept(lease: Lease) -> Settlement:
    return Settlement(
        lease=lease,
        state=DeliveryState.SENT,
        at=NOW,
        attempt=Attempt(delivery=lease.delivery.id, number=1, at=NOW, took_ms=10, outcome="sent"),
        told=lease.delivery.members,
    )


class Meter:
    """Adds up the CPU time, the statements and the calls of each method of the ledger."""

    def __init__(self) -> None:
        self.cpu_s: defaultdict[str, float] = defaultdict(float)
        self.statements: Counter[str] = Counter()
        self._name = ""

    def count(self, *_details: object) -> None:
        self.statements[self._name] += 1

    async def measure(self, name: str, call: Awaitable[T]) -> T:
        self._name = name
        started = time.process_time()
        result = await call
        self.cpu_s[name] += time.process_time() - started
        return result

    def show(self, many: int, group: int) -> None:
        for name in (*self.cpu_s, "all"):
            spent = self.cpu_s[name] if name in self.cpu_s else sum(self.cpu_s.values())
            statements = self.statements[name] if name in self.statements else self.statements.total()
            per_reminder, per_group = spent / many * 1e6, statements / (many / group)
            print(f"{name:<16} {per_reminder:>7.1f} us a reminder   {per_group:>6.1f} statements per {group}")


async def take_through(ledger: Ledger, many: int, group: int, meter: Meter) -> None:
    """Bind, lease and settle all reminders, and bind and lease ``group`` of them at most at once."""
    bound = 0
    while due := await meter.measure("find_due", ledger.find_due(NOW, BIND if group > 1 else 1)):
        decided = [decide(owed) for owed, _ in due]
        decisions = Decisions(
            deliveries=tuple(delivery for _, delivery in decided),
            verdicts=tuple(verdict for verdict, _ in decided),
        )
        assert await meter.measure("bind", ledger.bind(decisions))
        bound += len(due)
    assert bound == many
    settled = 0
    while settled < many:
        call = ledger.lease(
            "bench",
            NOW,
            duration=LEASE_FOR,
            limit=group,
            per_channel=group,
            most={"desk/hook": group},
            lost=LostLeases.LEFT_OUT,
            known=KNOWN,
        )
        leases = await meter.measure("lease", call)
        refused = await meter.measure("settle", ledger.settle([accept(lease) for lease in leases]))
        assert leases
        assert not refused
        settled += len(leases)
        await meter.measure("find_next_wake", ledger.find_next_wake(NOW, lost=False, known=KNOWN))


@contextmanager
def count_statements(meter: Meter) -> Iterator[None]:
    event.listen(Engine, "before_cursor_execute", meter.count)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", meter.count)


async def measure(url: str, many: int, group: int) -> None:
    ledger = await open_ledger(url)
    await fill(ledger, many)
    meter = Meter()
    with count_statements(meter):
        await take_through(ledger, many, group, meter)
    await ledger.close()
    meter.show(many, group)


async def main(many: int) -> None:
    cases = {"many": (many, GROUP), "single": (300, 1)}
    with tempfile.TemporaryDirectory(prefix="alertd-bench-") as folder:
        for name, (number, group) in cases.items():
            print(f"SQLite, {number:,} due at once, {group} at a time")
            await measure(f"sqlite:///{Path(folder) / name}.db", number, group)
    if programs() is None:
        print("PostgreSQL: no server on this machine")
        return
    with server(settings=()) as made:
        for name, (number, group) in cases.items():
            print(f"PostgreSQL, {number:,} due at once, {group} at a time")
            made.execute(f"create database {name}")
            await migrate(made.url(name))
            await measure(made.url(name), number, group)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
