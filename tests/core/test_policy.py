"""Policies: their defaults, and calendars of working days."""

from __future__ import annotations

from datetime import date, time

import pytest

from alertd.core.milestones.policy import Contested, Policy, Roll, WorkCalendar

IRAQ = WorkCalendar(
    name="iraq",
    weekend=frozenset({4, 5}),
    holidays=frozenset({date(2026, 5, 26), date(2026, 5, 27), date(2026, 5, 28)}),
)

# a day; the last working day before or on the day; the first working day on or after the day
DAYS = [
    # a working day is its own
    ("2026-09-30", "2026-09-30", "2026-09-30"),
    # the weekend is Friday and Saturday
    ("2026-10-02", "2026-10-01", "2026-10-04"),
    ("2026-10-03", "2026-10-01", "2026-10-04"),
    # a feast that runs into the weekend
    ("2026-05-28", "2026-05-25", "2026-05-31"),
]


@pytest.mark.parametrize(("day", "earlier", "later"), DAYS)
def test_working_days(day: str, earlier: str, later: str) -> None:
    """The nearest working day before and after a day off is found."""
    found = date.fromisoformat(day)

    assert IRAQ.find_earlier(found) == date.fromisoformat(earlier)
    assert IRAQ.find_later(found) == date.fromisoformat(later)
    assert IRAQ.is_working(found) is (earlier == day)


def test_when_nobody_ever_works_the_day_stays() -> None:
    """With a calendar without working days, nothing moves, and the search ends."""
    never = WorkCalendar(name="never", weekend=frozenset(range(7)))

    assert never.find_earlier(date(2026, 9, 30)) == never.find_later(date(2026, 9, 30)) == date(2026, 9, 30)


def test_the_default_is_that_of_the_design() -> None:
    """The defaults are those of the design, such as four reminders before and four after the deadline."""
    made = Policy()

    assert [str(lead) for lead in made.before] == ["90d", "30d", "7d", "1d"]
    assert [str(delay) for delay in made.after] == ["1d", "7d", "14d", "28d"]
    assert (made.on_day, made.opens, made.then_every, made.at) == (True, True, None, time(9))
    assert (made.contested, made.roll) == (Contested.EACH, Roll.NONE)
