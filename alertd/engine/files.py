"""Reads the definition files away from the loop, and notices when they change or when their folder hangs.

At most one look at the files and one reading of them are under way, so nothing piles up while a folder hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from alertd.core.config import Definitions, Timeline, UnreadMilestones
from alertd.errors import TimelineUnread
from alertd.ports import Clock

T = TypeVar("T")

HANGS_AFTER_S = 30.0
"""How long a call to the file system may take before it is given up."""

LOOKS_UP_S = 0.01
"""How long the loop waits for a file before it lets other work run."""


class FileWorker(Protocol):
    """Makes calls to the file system, one after the other."""

    def submit(self, call: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Make a call, and then call ``done`` in the running loop with the result or the exception."""


class InlineWorker:
    """Makes each call at once, for a simulation and for tests, whose files are in memory."""

    def submit(self, call: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Make a call."""
        result: T | Exception
        try:
            result = call()
        except Exception as error:
            result = error
        done(result)


class DefinitionFiles:
    """Reads the definition files, and tells whether they have changed since.

    Args:
        load: reads the definition files.
        load_with: the same, with a text to use in place of an ``alertd.yaml`` that has a problem; None: this
            is not possible.
        signature: returns another value whenever a definition file or the time zone database has changed.
        on_change: called when the files are to be read again.
        on_read: called when :attr:`result` has a result.
        read_timeline: reads the milestones of a timeline that are not in memory.

    Attributes:
        result: what the last reading has returned or raised; None until then.
    """

    def __init__(
        self,
        load: Callable[[], Definitions],
        signature: Callable[[], Hashable],
        *,
        load_with: Callable[[str], Definitions] | None,
        worker: FileWorker,
        clock: Clock,
        on_change: Callable[[], None],
        on_read: Callable[[], None],
        read_timeline: Callable[[Timeline], Timeline] = lambda timeline: timeline,
    ) -> None:
        self.result: Definitions | Exception | None = None
        self._load = load
        self._load_with = load_with
        self._signature = signature
        self._worker = worker
        self._clock = clock
        self._on_change = on_change
        self._on_read = on_read
        self._read_timeline = read_timeline
        self._read: Hashable = None
        self._seen: Hashable = None
        self._looking_s: float | None = None
        self._reading_s: float | None = None
        self._rereading_s: float | None = None
        self._is_given_up = False
        self._finished = asyncio.Event()

    @property
    def is_reading(self) -> bool:
        """Whether the files are being read, and the result is still wanted."""
        return self._reading_s is not None and not self._is_given_up

    @property
    def hangs_s(self) -> float:
        """For how long a call has not returned, in seconds; 0 unless that is longer than it may take."""
        began_s = [at_s for at_s in (self._looking_s, self._reading_s, self._rereading_s) if at_s is not None]
        waited_s = self._clock.monotonic() - min(began_s) if began_s else 0.0
        return waited_s if waited_s >= HANGS_AFTER_S else 0.0

    @property
    def can_keep(self) -> bool:
        """Whether :meth:`begin` can use a kept text."""
        return self._load_with is not None

    def look(self) -> None:
        """Look whether a file has changed, unless a look is under way.

        A file that has changed since the last look may still be written, so it is read after the next look.
        """
        if self._looking_s is None:
            self._looking_s = self._clock.monotonic()
            self._worker.submit(self._look, self._end_look)

    def begin(self, kept: str = "") -> bool:
        """Begin to read all definition files as they are now. Returns False if a reading is under way.

        Args:
            kept: the content to use in place of an ``alertd.yaml`` that has a problem; "" for none.
        """
        if self._reading_s is not None:
            return False
        self.result = None
        self._finished.clear()
        self._reading_s = self._clock.monotonic()
        load = partial(self._load_with, kept) if kept and self._load_with is not None else self._load
        self._worker.submit(partial(self._read_all, load), self._end_read)
        return True

    async def wait(self) -> Definitions | Exception:
        """Return the result of the reading that is under way or has ended."""
        while self.result is None:
            await self._finished.wait()
            self._finished.clear()
        return self.result

    async def read_timeline(self, timeline: Timeline, give_way: Callable[[], Awaitable[None]]) -> Timeline:
        """Return a timeline with its milestones, which are read from the file unless they are in memory.

        Args:
            give_way: lets other work run. It is called again and again while the file is read.

        Raises:
            TimelineUnread: the file cannot be read, is another one by now, or its folder hangs.
        """
        if not isinstance(timeline.milestones, UnreadMilestones):
            return timeline
        if self._rereading_s is not None:
            raise TimelineUnread(f"{timeline.file}: another file is still being read")
        results: list[Timeline | Exception] = []
        finished = asyncio.Event()

        def end(result: Timeline | Exception) -> None:
            self._rereading_s = None
            results.append(result)
            finished.set()

        self._rereading_s = self._clock.monotonic()
        self._worker.submit(partial(self._read_timeline, timeline), end)
        while not results:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOKS_UP_S):
                    await finished.wait()
            await give_way()
            if not results and self.hangs_s:
                raise TimelineUnread(f"{timeline.file}: the configuration folder does not answer")
        (result,) = results
        if isinstance(result, (OSError, TimelineUnread)):
            raise TimelineUnread(str(result)) from result
        if isinstance(result, Exception):
            raise result
        return result

    def give_up(self) -> None:
        """Ignore the result of the reading that is under way. When it ends, the files are read again."""
        self._is_given_up = self._reading_s is not None

    def have_changed(self) -> bool:
        """Return whether a file has changed since the files were last read. This may wait for the disk."""
        return self._look() != self._read

    def _look(self) -> Hashable:
        """Return the signature, or the text of the error, which is the same as long as the error is."""
        try:
            return self._signature()
        except Exception as error:
            return repr(error)

    def _read_all(self, load: Callable[[], Definitions]) -> tuple[Hashable, Definitions | Exception]:
        # The signature is taken first: files that change while they are read are then read again.
        signature = self._look()
        try:
            return signature, load()
        except Exception as error:
            return signature, error

    def _end_read(self, outcome: tuple[Hashable, Definitions | Exception] | Exception) -> None:
        self._reading_s = None
        is_wanted, self._is_given_up = not self._is_given_up, False
        signature, result = (None, outcome) if isinstance(outcome, Exception) else outcome
        self._read = self._seen = signature
        if is_wanted:
            self.result = result
            self._finished.set()
            self._on_read()
        else:
            self._on_change()

    def _end_look(self, signature: Hashable | Exception) -> None:
        self._looking_s = None
        settled = signature == self._seen and signature != self._read
        self._seen = signature
        if settled:
            self._on_change()
