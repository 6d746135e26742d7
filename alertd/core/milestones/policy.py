"""Policies. A policy defines which reminders a milestone has before, on and after its deadline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum

from alertd.core.time.duration import Duration

DAY = timedelta(days=1)

INLINE = "inline"
"""The name of a policy that is written in full in a timeline or a milestone."""


class Contested(StrEnum):
    """Which windows have reminders when the live claims have different windows."""

    EACH = "each"
    EARLIEST = "earliest"
    LATEST = "latest"
    PREFERRED = "preferred"


class Roll(StrEnum):
    """How to move a reminder that falls on a day that is not a working day."""

    NONE = "none"
    EARLIER = "earlier"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCalendar:
    """A calendar of working days.

    Attributes:
        name: the name of the calendar under ``calendars:`` in the configuration.
        weekend: the weekdays that are not working days; Monday is 0.
        holidays: the local dates of holidays, including estimated holidays. A holiday can move a reminder,
            and never moves a deadline.
    """

    name: str
    weekend: frozenset[int] = frozenset({5, 6})
    holidays: frozenset[date] = frozenset()

    def is_working(self, day: date) -> bool:
        """Whether ``day`` is a working day."""
        return day.weekday() not in self.weekend and day not in self.holidays

    def find_earlier(self, day: date) -> date:
        """Return the last working day up to and including ``day``.

        If none of the 30 days up to ``day`` is a working day, the result is ``day``.
        """
        return self._search(day, -DAY)

    def find_later(self, day: date) -> date:
        """Return the first working day from ``day`` on.

        If none of the 30 days from ``day`` on is a working day, the result is ``day``.
        """
        return self._search(day, DAY)

    def _search(self, day: date, step: timedelta) -> date:
        candidate = day
        for _ in range(30):
            if self.is_working(candidate):
                return candidate
            candidate += step
        return day


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which reminders a milestone has, and at what time of day.

    Attributes:
        name: the name of the policy in the configuration, or :data:`INLINE`.
        before: lead times, which count back from the last day of the window.
        on_day: whether the last day of the window has a reminder.
        after: delays of the overdue reminders, which count from the last day of the window.
        then_every: the interval of the repeats after the last step of ``after``; None for no repeats.
        opens: whether the first day of a window that is longer than a day has a reminder.
        at: the local time of day, in the time zone of the milestone.
        contested: which windows have reminders when the live claims differ.
        roll: with ``EARLIER``, reminders before the deadline and on its day move to an earlier working day.
            ``opens`` and overdue reminders move to a later working day, because on an earlier day they would
            be false.
        calendar: the working days for ``roll``.
    """

    name: str = "default"
    before: tuple[Duration, ...] = (
        Duration(days=90), Duration(days=30), Duration(days=7), Duration(days=1),
    )  # fmt: skip
    on_day: bool = True
    after: tuple[Duration, ...] = (
        Duration(days=1), Duration(days=7), Duration(days=14), Duration(days=28),
    )  # fmt: skip
    then_every: Duration | None = None
    opens: bool = True
    at: time = time(9, 0)
    contested: Contested = Contested.EACH
    roll: Roll = Roll.NONE
    calendar: WorkCalendar = field(default_factory=lambda: WorkCalendar(name="weekend"))
