"""Who is owed the news of a move and of an end, by the records alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from alertd.core.config import Config
from alertd.core.ledger.records import ReminderState, ScheduledReminder
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.changes import make_done_news, make_move_news
from tests.core.builders import BAGHDAD, at, milestone, move, owed, record
from tests.scene import ROOT, a_config

BEFORE, AFTER, LATER = milestone("2026-09-30"), milestone("2026-10-31"), milestone("2026-12-31")
NOW = at("2026-09-25T00:00")
CONFIG = a_config("desk", zone=BAGHDAD, route=ROOT)
"""It does not have the receiver ``leads``."""

TOLD = replace(
    owed(BEFORE, "-7d", receiver="leads"), state=ReminderState.BOUND, told_at=at("2026-09-23T09:00")
)
WAITING = owed(BEFORE, "moved", NOW + timedelta(hours=1), receiver="leads", move=move(BEFORE, AFTER))


def news(
    made: Milestone, to: Milestone, known: Sequence[ScheduledReminder], config: Config = CONFIG
) -> list[str]:
    found = make_move_news(record(made), replace(record(to), revision=2), known, config, NOW)
    return sorted(one.receiver for one in found.owed)


def test_a_receiver_that_was_told_is_owed_the_move_also_by_files_that_do_not_have_it() -> None:
    """What these files do not know is no decision that it need not hear."""
    assert news(BEFORE, AFTER, [TOLD]) == ["desk", "leads"]
    assert news(BEFORE, AFTER, [replace(TOLD, state=ReminderState.PENDING, told_at=None)]) == ["desk"]


def test_a_move_that_waits_for_an_unknown_receiver_goes_on_waiting() -> None:
    """Of two moves within the damping time alertd reports the sum, at the instant of the first."""
    found = make_move_news(record(AFTER), replace(record(LATER), revision=2), [WAITING], CONFIG, NOW)
    (for_leads,) = (one for one in found.owed if one.receiver == "leads")

    assert for_leads.at == WAITING.at
    assert for_leads.move == move(BEFORE, LATER)
    assert [key for key, _ in found.called_off] == [WAITING.key]


def test_a_receiver_that_was_told_is_owed_the_end_also_by_files_that_do_not_have_it() -> None:
    """So it is with the news that a milestone is done."""
    assert [one.receiver for one in make_done_news(record(BEFORE), [TOLD], CONFIG, NOW)] == ["leads"]
