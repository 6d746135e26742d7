"""Dates and times that people type on the command line, in a form, or in a request to the API."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alertd.core.time.duration import Duration, parse_duration, shift_wall
from alertd.core.time.instant import to_instant, to_wall
from alertd.errors import DurationError, MomentError

FORMS = (
    "a date (2026-09-30), a local time (2026-09-30T09:00), an instant (2026-09-30T06:00Z) or a duration (7d)"
)


def read_day(text: str) -> date:
    """Parse a calendar day such as ``2026-09-30``.

    Raises:
        MomentError: the text is not such a day.
    """
    day = _parse_date(text)
    if day is None:
        raise MomentError(f"{text!r} is no date; write one such as 2026-09-30")
    return day


def read_moment(text: str, *, zone: ZoneInfo, now: datetime, at: time = time.min, sign: int = 1) -> datetime:
    """Parse ``now`` or one of :data:`FORMS`, and return an aware UTC instant.

    Args:
        zone: the time zone of a date and of a local time. The calendar units of a duration keep the clock
            time in this zone.
        now: the aware instant from which a duration counts.
        at: the time of day for a date without a time.
        sign: -1 to count a duration backwards.

    Raises:
        MomentError: the text has none of these forms, or the result is not in the years 1 to 9999.
    """
    if text == "now":
        return now
    day = _parse_date(text)
    try:
        if day is not None:
            return to_instant(datetime.combine(day, at), zone)
        found = _parse_datetime(text)
        if found is not None:
            return found.astimezone(UTC) if found.tzinfo else to_instant(found, zone)
        return _shift(now, zone, parse_duration(text) * sign)
    except DurationError as error:
        if text[:1].isdigit() and "-" not in text:
            raise MomentError(str(error)) from None
        raise MomentError(f"{text!r} is none of {FORMS}") from None
    except (ValueError, OverflowError):
        raise MomentError(f"{text!r} leaves the calendar") from None


def _shift(now: datetime, zone: ZoneInfo, by: Duration) -> datetime:
    wall = shift_wall(to_wall(now, zone), by)
    return (to_instant(wall, zone) + timedelta(seconds=by.seconds)).replace(microsecond=0)


def _parse_date(text: str) -> date | None:
    # fromisoformat also accepts 20260930 and 2026-W40-3. Here such a text is more likely a mistake.
    if len(text) != len("2026-09-30") or text[4] != "-" or text[7] != "-":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _parse_datetime(text: str) -> datetime | None:
    if len(text) < len("2026-09-30T09:00") or text[10] not in "T ":
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
