"""Watches over the file of an embedded ledger: whether it is in its place, and whether its pages are sound.

A ledger that was deleted, moved or replaced is noticed within seconds. The daemon still has it open, so it
saves the ledger beside the path, ends, and moves the copy to the path unless somebody has put a file there.
As long as the ledger cannot be saved, the daemon does not end by itself: it holds the only copy.

The pages are checked in slices. A small ledger is checked each minute as a whole, a large one table by table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from alertd.core.ledger.file import FileLoss
from alertd.core.planning.audit import AuditFinding, report_damage, report_displaced, report_unexamined
from alertd.engine.deps import Dependencies
from alertd.errors import LedgerDamaged, LedgerError
from alertd.ports import LedgerFile
from alertd.system.telemetry import Event

SLICE_S = 0.2
"""How long a slice of checks goes on with the next table, in seconds."""

REST = 2_000
"""How many times as long as a slice took the checks rest after it: they take 0.05 percent of the time."""

T = TypeVar("T")


class FileWatch:
    """Notices that the ledger's file was taken away, and saves the ledger.

    Attributes:
        loss: how the file was taken away; None: it is in its place.
        saved: the path of the copy; "" before the ledger was saved.
        failure: why the ledger could not be saved at the last try; "" if it could.
        unexamined: why the last two looks could not examine the file; "" if one of them could.
    """

    def __init__(self, deps: Dependencies) -> None:
        self.loss: FileLoss | None = None
        self.saved = ""
        self.failure = ""
        self.unexamined = ""
        self._deps = deps
        self._has_failed = False
        self._suspected: FileLoss | None = None
        self._label = ""

    async def look(self) -> None:
        """Compare the file with the open ledger, and save the ledger if the file was taken away.

        The second look in a row that finds the same decides. A file system may be slow to show a rename.
        """
        deps = self._deps
        if deps.file is None or self.saved:
            return
        try:
            found = await deps.file.find_loss()
        except LedgerError as error:
            # Nothing is known about the file now, so this look decides nothing.
            self._suspected = None
            self.unexamined = str(error) if self._has_failed else ""
            self._has_failed = True
            return
        self._has_failed, self.unexamined = False, ""
        suspected, self._suspected = self._suspected, found
        if found is None or found != suspected:
            self.loss, self.failure = None, ""
            return
        await self._save(deps.file, found)

    async def conclude(self) -> bool:
        """Save what was written since, and move the copy to the ledger's path. The ledger is closed next.

        Returns:
            whether the file was taken away.
        """
        deps = self._deps
        if deps.file is None:
            return False
        found = self.loss
        if found is None:
            # The daemon may be told to stop a moment after the file was taken away.
            try:
                found = await deps.file.find_loss()
            except LedgerError as error:
                deps.log.error(Event.LEDGER_FAILED, reason=str(error))
                return False
        if found is None:
            return False
        await self._save(deps.file, found)
        in_place, reason = False, self.failure or str(found)
        if self.saved:
            try:
                in_place = await deps.file.put_back(self.saved)
            except LedgerError as error:
                reason = str(error)
        deps.log.critical(Event.LEDGER_RESCUED, copy=self.saved, in_place=in_place, reason=reason)
        return True

    async def _save(self, file: LedgerFile, loss: FileLoss) -> None:
        deps, before, self.failure = self._deps, (self.loss, self.failure), ""
        self.loss = loss
        if not self._label:
            self._label = f"rescued-{deps.clock.now():%Y%m%dT%H%M%SZ}"
        try:
            self.saved = await file.save(self._label)
        except LedgerError as error:
            self.failure = str(error)
        if (self.loss, self.failure) != before:
            finding = report_displaced(loss, self.failure)
            deps.log.critical(Event.LEDGER_DISPLACED, reason=finding.detail, copy=self.saved)

    def findings(self) -> Iterator[AuditFinding]:
        """Yield what is wrong at the moment."""
        if self.loss is not None:
            yield report_displaced(self.loss, self.failure)
        elif self.unexamined:
            yield report_unexamined(self.unexamined)


class PageCheck:
    """Checks the pages of the ledger in the background, and collects damage that statements have met.

    Args:
        on_change: called when damage was found, or when it is gone.
    """

    def __init__(self, deps: Dependencies, on_change: Callable[[], None]) -> None:
        self._deps = deps
        self._on_change = on_change
        self._damage: dict[str, str] = {}
        self._left: list[str] = []
        self._rests_until_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin the next slice, unless the checks rest or a slice has not ended."""
        if self._deps.file is None or self._task is not None:
            return
        if self._deps.clock.monotonic() >= self._rests_until_s:
            self._task = asyncio.create_task(self._run_slice())

    def note(self, error: LedgerDamaged) -> None:
        """Record that a statement has met a damaged page. It counts until all tables have been checked."""
        self._record("", str(error))

    async def attempt(self, work: Awaitable[T], otherwise: T) -> T:
        """Return the result of ``work``, or ``otherwise`` if pages that it needs are damaged.

        So damaged pages stop only what needs them. The damage is a finding of the self-audit.
        """
        try:
            return await work
        except LedgerDamaged as error:
            self.note(error)
            return otherwise

    def findings(self) -> Iterator[AuditFinding]:
        """Yield what is wrong now: the damaged tables, or what a statement met while no table is known."""
        of_tables = [damage for table, damage in self._damage.items() if table]
        yield from map(report_damage, of_tables or self._damage.values())

    async def wait_checked(self) -> None:
        """Wait until the current slice has ended, if there is one."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """End the current slice."""
        if self._deps.file is not None:
            await self._deps.file.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run_slice(self) -> None:
        clock = self._deps.clock
        began_s = clock.monotonic()
        try:
            while await self._check_next() and clock.monotonic() - began_s < SLICE_S:
                pass
        except LedgerError as error:
            # The check could not run, so it says nothing about the pages.
            self._deps.log.debug(Event.LEDGER_FAILED, reason=str(error), again_in_s=0)
        finally:
            took_s = clock.monotonic() - began_s
            self._rests_until_s = clock.monotonic() + REST * took_s if took_s >= SLICE_S else 0.0
            self._task = None

    async def _check_next(self) -> bool:
        """Check the next table. Returns whether tables are left in this round."""
        file = self._deps.file
        assert file is not None  # noqa: S101  for mypy
        if not self._left:
            try:
                self._left = [*await file.list_tables()]
            except LedgerDamaged as error:
                self._record("sqlite_schema", str(error))
                return False
        table = self._left.pop(0)
        damage = await file.check(table)
        self._record(table, f"pages of the table {table} are damaged: {damage}" if damage else "")
        if not self._left and set(self._damage) <= {""}:
            # Nothing is damaged any more, so what a statement met is gone too.
            self._record("", "")
        return bool(self._left)

    def _record(self, table: str, damage: str) -> None:
        before = self._damage.get(table, "")
        if damage:
            self._damage[table] = damage
        else:
            self._damage.pop(table, None)
        if damage and not before:
            self._deps.log.critical(Event.LEDGER_DAMAGED, table=table, reason=damage)
        if bool(damage) != bool(before):
            self._on_change()
