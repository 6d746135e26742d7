"""The history's record of a move: the windows before and after it, and the phrase of each window.

Each fact of a history entry is a text, so this module joins the windows of one side into one text. No other
module writes or reads these facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from alertd.core.ledger.records import HistoryEntry, Value

_BETWEEN = "; "


class MoveSide(StrEnum):
    """The windows before or after a move. The value is the name of the fact that holds their phrases."""

    BEFORE = "from"
    AFTER = "to"

    @property
    def windows_fact(self) -> str:
        """The name of the fact that holds the ids of the windows."""
        return f"{self.value}_windows"


WINDOW_FACTS = tuple(side.windows_fact for side in MoveSide)
"""The names of the facts that hold window ids. The page and ``alertd history`` do not show them."""


def join_phrases(values: Iterable[Value]) -> str:
    """Join the phrases of some windows into one text for people."""
    return _BETWEEN.join(value.phrase for value in values) or "no date"


def make_move_facts(before: Sequence[Value], after: Sequence[Value]) -> dict[str, str]:
    """Make the facts of a history entry about a move from ``before`` to ``after``."""
    sides = ((MoveSide.BEFORE, before), (MoveSide.AFTER, after))
    phrases = {side.value: join_phrases(values) for side, values in sides}
    return phrases | {
        side.windows_fact: _BETWEEN.join(value.window_id for value in values) for side, values in sides
    }


def read_windows(entry: HistoryEntry | None, side: MoveSide) -> dict[str, str]:
    """Read the windows of one side of a move: their phrases by window id.

    Returns:
        {} if the entry is None or about something other than a move.
    """
    facts = entry.facts if entry is not None else {}
    ids = [window_id for window_id in facts.get(side.windows_fact, "").split(_BETWEEN) if window_id]
    phrases = facts.get(side.value, "").split(_BETWEEN)
    return {window_id: phrases[place] if place < len(phrases) else "" for place, window_id in enumerate(ids)}
