"""The history keeps a move in facts, from which its windows can be read back."""

from __future__ import annotations

from alertd.core.ledger.moves import WINDOW_FACTS, MoveSide, kept_windows, move_facts, phrases_text
from alertd.core.ledger.records import HistoryEntry
from alertd.core.message.claims import values_of
from tests.core.builders import at, contested, milestone


def test_the_windows_of_a_move_are_read_back() -> None:
    """Every window comes back with its phrase, in order; an entry that is no move has no window."""
    before, after = values_of(contested()), values_of(milestone("2027-01"))
    facts = move_facts(before, after)
    entry = HistoryEntry(milestone="t/m", at=at("2026-09-01T00:00"), kind="moved", facts=facts)

    assert kept_windows(entry, MoveSide.BEFORE) == {one.window_id: one.phrase for one in before}
    assert kept_windows(entry, MoveSide.AFTER) == {one.window_id: one.phrase for one in after}
    assert kept_windows(None, MoveSide.BEFORE) == {}
    assert set(WINDOW_FACTS) < set(facts)


def test_a_milestone_that_had_no_date() -> None:
    """The fact for people is "no date", and no window comes back."""
    facts = move_facts((), values_of(milestone("2027-01")))
    entry = HistoryEntry(milestone="t/m", at=at("2026-09-01T00:00"), kind="moved", facts=facts)

    assert facts["from"] == phrases_text(()) == "no date"
    assert kept_windows(entry, MoveSide.BEFORE) == {}
