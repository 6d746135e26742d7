"""Runs calls that may block, such as those to a file system that hangs.

asyncio's default executor has few threads, which the web server uses too, and it waits for all of them when
the process stops. So a call that may hang gets a thread of its own here. It is a daemon thread: the process
ends without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class OwnThreads:
    """Runs each call in a daemon thread, at most ``limit`` at a time.

    A call that hangs keeps its place until it ends, so that there are never more threads.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._free = asyncio.Semaphore(limit)

    async def run(self, work: Callable[[], T], limit_s: float) -> T:
        """Call ``work`` in a thread, as soon as a place is free, and return its result.

        Raises:
            TimeoutError: ``limit_s`` seconds have passed. The call may still be running.
            RuntimeError: the system starts no more threads. The call is not made.
        """
        async with asyncio.timeout(limit_s):
            await self._free.acquire()
            return await asyncio.shield(self._start(work))

    def _start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            self._free.release()
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]  # work has returned it
            else:
                future.set_exception(error)
                future.exception()  # mark as retrieved, since the caller may have given up

        def call() -> None:
            result, failure = None, None
            try:
                result = work()
            except BaseException as error:  # whatever it is, the caller gets it
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, result, failure)

        try:
            threading.Thread(target=call, name=self._name, daemon=True).start()
        except BaseException:
            # The system has no thread left at this moment. Without the release, the place would be lost.
            self._free.release()
            raise
        return future
