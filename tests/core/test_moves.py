"""The history keeps a move in facts, from which its windows can be read back."""

from __future__ import annotations

from alertd.core.ledger.moves import WINDOW_FACTS, MoveSide, join_phrases, make_move_facts, read_windows
from alertd.core.ledger.records import HistoryEntry
from alertd.core.message.claims import list_values
from tests.core.builders import at, contested, milestone


def test_the_windows_of_a_move_are_read_back() -> None:
    """Every window comes back with its phrase, in order; an entry that is no move has no window."""
    before, after = list_values(contested()), list_values(milestone("2027-01"))
    facts = make_move_facts(before, after)
    entry = HistoryEntry(milestone="t/m", at=at("2026-09-01T00:00"), kind="moved", facts=facts)

    assert read_windows(entry, MoveSide.BEFORE) == {one.window_id: one.phrase for one in before}
    assert read_windows(entry, MoveSide.AFTER) == {one.window_id: one.phrase for one in after}
    assert read_windows(None, MoveSide.BEFORE) == {}
    assert set(WINDOW_FACTS) < set(facts)


def test_a_milestone_that_had_no_date() -> None:
    """The fact for people is "no date", and no window comes back."""
    facts = make_move_facts((), list_values(milestone("2027-01")))
    entry = HistoryEntry(milestone="t/m", at=at("2026-09-01T00:00"), kind="moved", facts=facts)

    assert facts["from"] == join_phrases(()) == "no date"
    assert read_windows(entry, MoveSide.BEFORE) == {}
