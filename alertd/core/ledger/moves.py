"""A move as the history keeps it: the windows before and after, and how each of them was given.

A fact of the history is a text, so this module joins the windows of one side into one text. No other module
writes or reads such facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from alertd.core.ledger.records import HistoryEntry, Value

_BETWEEN = "; "


class MoveSide(StrEnum):
    """Which windows: the name of the fact that holds how they were given."""

    BEFORE = "from"
    AFTER = "to"

    @property
    def windows_fact(self) -> str:
        """The name of the fact that holds the ids of the windows."""
        return f"{self.value}_windows"


WINDOW_FACTS = tuple(side.windows_fact for side in MoveSide)
"""The names of the facts that hold ids; people are shown the other facts."""


def join_phrases(values: Iterable[Value]) -> str:
    """How the windows were given, in one text."""
    return _BETWEEN.join(value.phrase for value in values) or "no date"


def make_move_facts(before: Sequence[Value], after: Sequence[Value]) -> dict[str, str]:
    """The facts of a move from some windows to others."""
    sides = ((MoveSide.BEFORE, before), (MoveSide.AFTER, after))
    phrases = {side.value: join_phrases(values) for side, values in sides}
    return phrases | {
        side.windows_fact: _BETWEEN.join(value.window_id for value in values) for side, values in sides
    }


def read_windows(entry: HistoryEntry | None, side: MoveSide) -> dict[str, str]:
    """From the id of each window of one side to how it was given; {} for what is no move."""
    facts = entry.facts if entry is not None else {}
    ids = [window_id for window_id in facts.get(side.windows_fact, "").split(_BETWEEN) if window_id]
    phrases = facts.get(side.value, "").split(_BETWEEN)
    return {window_id: phrases[place] if place < len(phrases) else "" for place, window_id in enumerate(ids)}
