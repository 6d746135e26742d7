"""Tells the operator and the log which rows of the ledger this node cannot read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alertd.core.config import Config
from alertd.core.ledger.records import Notice
from alertd.core.ledger.unreadable import Unreadable, advise
from alertd.core.words import format_count
from alertd.engine.deps import Dependencies
from alertd.engine.notices import address_notice
from alertd.errors import LedgerDamaged
from alertd.ports import Changes
from alertd.system.telemetry import Event

INSPECTED = 500
"""How many rows of each table one look reads."""

MAX_LINES = 20
"""How many rows a notice names, and how many get a line in the log at a time."""


class RowsApart:
    """The rows that this node cannot read.

    Args:
        on_damage: called when damaged pages keep a look from reading the rows.

    Attributes:
        rows: the rows that were set apart when they were last looked at.
    """

    def __init__(self, deps: Dependencies, on_damage: Callable[[LedgerDamaged], None]) -> None:
        self.rows: tuple[Unreadable, ...] = ()
        self._deps = deps
        self._on_damage = on_damage

    async def have_changed(self) -> bool:
        """Return whether rows have been set apart or released since the last look. Cheap to call."""
        return tuple(await self._deps.ledger.find_unreadable(0)) != self.rows

    async def look(self, config: Config) -> tuple[Sequence[Unreadable], Sequence[Unreadable]]:
        """Look at the next rows of the ledger, and tell of each row once.

        Returns:
            the rows that have been set apart since the last look, and those that have been released.

        Raises:
            LedgerError: the ledger cannot be used; call again later.
        """
        deps, before = self._deps, self.rows
        try:
            found = tuple(await deps.ledger.find_unreadable(INSPECTED))
        except LedgerDamaged as error:
            # Pages of some table are damaged. The rows that were set apart when they were needed are known.
            self._on_damage(error)
            found = tuple(await deps.ledger.find_unreadable(0))
        known, now_apart = set(before), set(found)
        new = [row for row in found if row not in known]
        released = [row for row in before if row not in now_apart]
        if new:
            await self._tell(config, new)
        for row in new[:MAX_LINES]:
            deps.log.error(
                Event.ROW_REFUSED, table=row.table, key=row.key, reason=row.why, advice=advise(row)
            )
        for row in released[:MAX_LINES]:
            deps.log.info(Event.ROW_RECOVERED, table=row.table, key=row.key)
        self.rows = found
        return new, released

    async def _tell(self, config: Config, new: list[Unreadable]) -> None:
        """Send a notice to the operator. The same rows make one notice a day."""
        now = self._deps.clock.now()
        more = len(new) - MAX_LINES
        lines = (
            *(str(row) for row in new[:MAX_LINES]),
            *((f"And {more:,} more.",) if more > 0 else ()),
            "Nothing else is held up by this, and nothing is deleted. What waits for these rows is "
            "sent, late, when they can be read again.",
            *dict.fromkeys(advise(row) for row in new[:MAX_LINES]),
        )
        notice = Notice(
            slot="/".join(("unreadable", f"{now:%Y-%m-%d}", *lines)),
            headline=f"{format_count(len(new), 'row')} of the ledger cannot be read",
            lines=lines,
        )
        await self._deps.ledger.apply(Changes(deliveries=tuple(address_notice(config, notice, now))))
