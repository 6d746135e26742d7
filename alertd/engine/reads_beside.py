"""Reads of the planner that take long, made beside the turns, so that what falls due meanwhile is sent.

A short read right before a change is written, such as what a receiver was told last, is no such read. No turn
comes between that read and the writing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from alertd.ports import PlanningLedger

ReadBeside = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]

LONG = frozenset(
    {
        "read_deferred",
        "read_done_dates",
        "read_fingerprints",
        "read_milestones",
        "read_snapshots",
        "read_timeline",
        "read_timelines",
    }
)
"""The methods of the ledger that read much. With SQLite, they may also wait for each other."""


class _ReadsBeside:
    def __init__(self, ledger: PlanningLedger, read_beside: ReadBeside) -> None:
        self._ledger = ledger
        self._read_beside = read_beside

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ledger, name)
        if name not in LONG:
            return method
        return lambda *args, **kwargs: self._read_beside(method(*args, **kwargs))


def make_reads_beside(ledger: PlanningLedger, read_beside: ReadBeside) -> PlanningLedger:
    """Return the ledger with its long reads awaited by ``read_beside``."""
    return cast(PlanningLedger, _ReadsBeside(ledger, read_beside))
