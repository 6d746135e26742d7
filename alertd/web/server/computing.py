"""Runs what pages compute in a few threads, so that the event loop stays free and no reminder is late.

A thread that computes shares the interpreter with the loop. However many clients ask at the same time, at
most :data:`THREADS` threads compute, so the loop always gets a good share. The others wait for their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from alertd.system.collector import pause_collector
from alertd.system.worker_threads import WorkerThreads

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 2
"""Two, so that a small page does not wait for a large feed."""

_threads = WorkerThreads("alertd-pages-made", THREADS)


async def compute(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``work`` in one of the threads and return its result.

    Meanwhile the garbage collector is off. It would go through all that a large page consists of again and
    again, and all threads would wait.
    """
    call = partial(work, *args, **kwargs)
    return await asyncio.wrap_future(_threads.submit(lambda: _compute(call)))


def _compute(call: Callable[[], T]) -> T:
    with pause_collector():
        return call()
