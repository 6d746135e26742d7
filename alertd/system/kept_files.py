"""Keeps the last good content of the files that access depends on: tokens, passwords and secrets.

A file that is missing, empty, half-written or unreadable is most often being replaced. Its last good content
stays in use, and :attr:`KeptFiles.problems` names the file. A file that was never read has no such content,
so its users get the error: nobody is let in, and nothing is sent without its secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from alertd.system.file_thread import FileThread
from alertd.system.regular_file import SecretUnreadable
from alertd.system.telemetry import Event, Log

T = TypeVar("T")


CATCH_UP_S = 1.0
"""How long a request waits until the files of tokens and users have been read again."""


@dataclass(frozen=True, slots=True)
class FileUse:
    """One use of a file: what the file is read for, and the name by which ``alertd.yaml`` refers to it."""

    purpose: str
    name: str

    def __str__(self) -> str:
        return f"{self.purpose} {self.name!r}"


@dataclass(slots=True)
class _Kept:
    content: Any = None
    is_good: bool = False
    error: SecretUnreadable | None = None


@dataclass(slots=True)
class KeptFiles:
    """The files that access depends on, each with its last good content.

    Without :meth:`watch`, each :meth:`read` reads the file. A watched file is read by :meth:`refresh` only,
    so that a thread can do that, and :meth:`read` never waits for a disk.

    Attributes:
        thread: reads files for :meth:`catch_up`; None: files are not read between two refreshes.
    """

    log: Log | None = None
    thread: FileThread | None = None
    _pending: asyncio.Future[None] | None = None
    _pending_s: float = 0.0
    _files: dict[FileUse, _Kept] = field(default_factory=dict)
    _watched: Mapping[FileUse, Callable[[], Any]] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with each file of which older content is in use."""
        return tuple(
            f"{kept.error}; its last good content stays in use"
            for _, kept in sorted(self._files.items(), key=lambda item: str(item[0]))
            if kept.error is not None and kept.is_good
        )

    def read(self, use: FileUse, load: Callable[[], T]) -> T:
        """Return the content of a file, or its last good content while it cannot be used.

        Args:
            load: reads the file; it is not called for a watched file.

        Raises:
            SecretUnreadable: the file cannot be used, and there is no earlier content.
        """
        kept = self._files.get(use) if use in self._watched else None
        if kept is None:
            kept = self._load(use, load)
        if not kept.is_good:
            raise kept.error or SecretUnreadable(f"{use}: not read yet")
        content: T = kept.content
        return content

    async def catch_up(self, uses: Collection[FileUse]) -> None:
        """Read some watched files again in :attr:`thread`, so that a change just made counts.

        Returns after :data:`CATCH_UP_S` at the latest, and at once while an earlier call hangs: then the
        content that was read last counts.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + CATCH_UP_S
        if self.thread is None:
            return
        if self._pending is not None:
            if loop.time() - self._pending_s > CATCH_UP_S:
                return
            # That reading may have begun before the change.
            await asyncio.wait({self._pending}, timeout=max(0.0, until_s - loop.time()))
        if self._pending is None:
            self._pending, self._pending_s = loop.create_future(), loop.time()
            self.thread.submit(partial(self._refresh, uses), self._end_catch_up)
        await asyncio.wait({self._pending}, timeout=max(0.0, until_s - loop.time()))

    def _end_catch_up(self, _result: object) -> None:
        if self._pending is not None:
            self._pending.set_result(None)
            self._pending = None

    def find_loader(self, use: FileUse) -> Callable[[], Any] | None:
        """Return the function that reads a watched file; None if the file is not watched."""
        return self._watched.get(use)

    def watch(self, uses: Mapping[FileUse, Callable[[], Any]]) -> None:
        """Read these files now and at each :meth:`refresh`, and forget all others."""
        for use, load in uses.items():
            self._load(use, load)
        self._watched = uses
        self.keep_only(uses.keys())

    def keep_only(self, uses: Collection[FileUse]) -> None:
        """Forget all files but these. Reads nothing."""
        self._watched = {use: load for use, load in self._watched.items() if use in uses}
        for use in [*self._files]:
            if use not in uses:
                self._files.pop(use, None)

    def refresh(self) -> None:
        """Read all watched files again."""
        self._refresh([*self._watched])

    def _refresh(self, uses: Collection[FileUse]) -> None:
        watched = self._watched
        for use in uses:
            if use in watched:
                self._load(use, watched[use])

    def _load(self, use: FileUse, load: Callable[[], Any]) -> _Kept:
        before = self._files.get(use) or _Kept()
        # Each result is a new value, so that a reader in another thread never sees half of a change.
        try:
            self._files[use] = after = _Kept(load(), is_good=True)
        except SecretUnreadable as error:
            self._files[use] = after = _Kept(before.content, before.is_good, error)
            if self.log is not None and before.is_good and str(before.error) != str(error):
                self.log.error(Event.ACCESS_FILE_KEPT, file=use.name, reason=str(error))
        else:
            if self.log is not None and before.is_good and before.error is not None:
                self.log.info(Event.ACCESS_FILE_RECOVERED, file=use.name)
        return after
