"""From a deadline, a zone and a reading to the window in UTC.

The end is always exclusive: the start of the day after the last one, never 23:59:59.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.deadline.value import Deadline, Reading, Unbounded, Window
from alertd.core.time.instant import to_instant, to_wall

_DAY = timedelta(days=1)


def window_of(deadline: Deadline, zone: ZoneInfo, reading: Reading = Reading.END) -> Window:
    """The window of ``deadline`` in ``zone``.

    Read to its end, the window is from the first day to the last. Read to its start, it has no beginning and
    ends where the deadline begins. A date-time is the same instant in both readings. A side that has no date
    has no bound: ``2026-09/..`` read to its end, and ``../2026-12`` read to its start, have ``ends`` None:
    they are never due.
    """
    earliest, latest = deadline.earliest, deadline.latest
    if isinstance(latest, datetime):
        return _point(latest, zone)
    if reading is Reading.START:
        earliest, latest = Unbounded.OPEN, _day_before(earliest)
    begins = ends = first_day = last_day = None
    first_text = end_text = ".."
    if not isinstance(earliest, Unbounded):
        first_day = earliest
        first_text = earliest.isoformat()
        begins = _midnight(earliest, zone)
    if not isinstance(latest, Unbounded):
        last_day = latest
        end_day = latest + _DAY
        end_text = end_day.isoformat()
        ends = _midnight(end_day, zone)
    return Window(
        begins=begins,
        ends=ends,
        first_day=first_day,
        last_day=last_day,
        clock=None,
        zone=zone,
        id=f"{first_text}/{end_text}",
    )


def _point(at: datetime, zone: ZoneInfo) -> Window:
    """The window of a date-time: no longer than an instant."""
    if at.tzinfo is None:
        wall, instant, suffix, shown = at, to_instant(at, zone), "", at
    else:
        instant = at.astimezone(UTC)
        wall, suffix, shown = to_wall(instant, zone), "Z", instant.replace(tzinfo=None)
    return Window(
        begins=instant,
        ends=instant,
        first_day=wall.date(),
        last_day=wall.date(),
        clock=wall,
        zone=zone,
        id=shown.isoformat(timespec="seconds" if shown.second else "minutes") + suffix,
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return to_instant(datetime(day.year, day.month, day.day), zone)


def _day_before(day: date | Unbounded) -> date | Unbounded:
    return day if isinstance(day, Unbounded) else day - _DAY
