"""A policy says which reminders a milestone gets: before, on and after its deadline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum

from alertd.core.time.duration import Duration

DAY = timedelta(days=1)

INLINE = "inline"
"""The name of a policy that a timeline or a milestone writes out for itself."""


class Contested(StrEnum):
    """What to remind of when the live claims have different windows (design, section 4)."""

    EACH = "each"
    EARLIEST = "earliest"
    LATEST = "latest"
    PREFERRED = "preferred"


class Roll(StrEnum):
    """What to do with a reminder that falls on a day nobody works."""

    NONE = "none"
    EARLIER = "earlier"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCalendar:
    """The days on which nobody works.

    Attributes:
        name: as in ``calendars:`` of the configuration.
        weekend: weekdays, Monday is 0.
        holidays: local dates. An estimated holiday is in here like any other: it may move a
            reminder, and nothing in alertd lets it move a deadline.
    """

    name: str
    weekend: frozenset[int] = frozenset({5, 6})
    holidays: frozenset[date] = frozenset()

    def is_working(self, day: date) -> bool:
        return day.weekday() not in self.weekend and day not in self.holidays

    def find_earlier(self, day: date) -> date:
        """The last working day up to ``day``; ``day`` itself when 30 days back there is none."""
        return self._search(day, -DAY)

    def find_later(self, day: date) -> date:
        """The first working day from ``day`` on; ``day`` itself when in 30 days there is none."""
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
    """Which reminders, at what time of day.

    Attributes:
        before: lead times, each counted back from the last day of the window.
        on_day: whether the last day itself has one.
        after: the ladder once the window has ended.
        then_every: the step after the ladder's last rung, without end; None: the ladder ends.
        opens: whether the first day of a window longer than a day has one.
        at: local time of day in the milestone's zone.
        roll: reminders before and on the day move to an earlier working day. Those that say
            that something has begun or has passed move to a later one: earlier it isn't true.
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
