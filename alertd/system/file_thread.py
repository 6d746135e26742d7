"""Makes calls to the file system in one thread of its own, because such a call may take for ever.

A folder on a network can hang. The event loop goes on meanwhile, and so does the shared pool of threads, in
which the ledger works. The thread is a daemon thread, so a call that hangs does not hold up the exit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class FileThread:
    """Implements :class:`alertd.engine.files.FileWorker` with a thread. The first call starts the thread."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[asyncio.AbstractEventLoop, Callable[[], Any], Callable[[Any], None]]]
        self._calls = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, call: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Make a call after the earlier ones. ``done`` gets the result, in the running loop.

        If the system starts no more threads, ``done`` gets a RuntimeError, and the next call tries again.
        """
        loop = asyncio.get_running_loop()
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="files", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                loop.call_soon(done, error)
                return
            self._thread = thread
        self._calls.put((loop, call, done))

    def _work(self) -> None:
        while True:
            loop, call, done = self._calls.get()
            result: Any
            try:
                result = call()
            except Exception as error:
                result = error
            # The loop is closed if the daemon has stopped during the call.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(done, result)
