"""A pool of threads for calls that may never return, such as those to a database on a disk that hangs.

The threads are daemon threads. Those of ``concurrent.futures`` are not: the interpreter waits for them when
it exits, however long a call takes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class WorkerThreads:
    """Runs calls in at most ``limit`` threads, in the order in which they come. Threads start when needed.

    Args:
        name: the name of the threads.
    """

    def __init__(self, name: str, limit: int = 1) -> None:
        self._name = name
        self._limit = limit
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._started = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Make a call as soon as a thread is free. Not thread-safe: one thread submits.

        Raises:
            RuntimeError: the system starts no more threads. The call is not made.
        """
        future: Future[T] = Future()
        if self._started < self._limit:
            # A thread that cannot be started does not count, so that the next call tries again.
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._started += 1
        self._calls.put((future, call))
        return future

    def end(self) -> None:
        """End the threads after the calls that were submitted. Does not wait for them."""
        for _ in range(self._started):
            self._calls.put(None)

    def _work(self) -> None:
        while (submitted := self._calls.get()) is not None:
            _call(*submitted)
            del submitted  # an idle thread keeps no result alive


async def run_aside(call: Callable[[], T]) -> T:
    """Make a call in a thread of its own, and return its result. The caller may give it up."""
    threads = WorkerThreads("aside")
    future = threads.submit(call)
    threads.end()
    return await asyncio.wrap_future(future)


MANY = 200
"""From so many items on, what is computed about them leaves the event loop."""


async def compute(work: Callable[[], T], items: int) -> T:
    """Call ``work``, which only computes, and return its result. A thread calls it if there are many items.

    The thread shares the interpreter with the loop, so the loop stays free for other tasks.
    """
    return work() if items < MANY else await run_aside(work)


def _call(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # whatever it is, the caller gets it
        future.set_exception(error)
    else:
        future.set_result(result)
