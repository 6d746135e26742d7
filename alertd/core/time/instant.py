"""Conversion between local wall times and UTC instants, by the rule of RFC 5545 section 3.3.5.

An instant is always an aware `datetime` in UTC. A wall time is always a naive `datetime`, which has a meaning
only together with a time zone. Files and the ledger store the wall time and the zone. alertd computes the
instant again at every load, because the time zone database changes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alertd.errors import ZoneMissing

UTC_ZONE = ZoneInfo("UTC")


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone with this name.

    Raises:
        ZoneMissing: this machine's time zone database does not have it.
        ValueError: the text cannot be the name of a zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        # OSError: the name is the name of a folder, or is too long for the file system.
        raise ZoneMissing(name) from error


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the UTC instant at which the clocks of ``zone`` show ``wall``.

    If the wall time occurs twice (a fold), the result is its first occurrence. If the wall time never occurs
    (a gap), it is read with the UTC offset that applies before the gap: 02:30 in a gap from 02:00 to 03:00 is
    the instant at which the clocks show 03:30. ``wall.fold`` is ignored.

    Args:
        wall: a naive local time.
        zone: the time zone of ``wall``.

    Raises:
        ValueError: ``wall`` is aware.

    Source: RFC 5545 section 3.3.5, "FORM #3". PEP 495 defines ``fold=0`` in the same way.
    """
    if wall.tzinfo is not None:
        raise ValueError(f"a wall time has no zone of its own: {wall.isoformat()}")
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def to_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the naive local time that the clocks of ``zone`` show at ``instant``, with ``fold=0``.

    Raises:
        ValueError: ``instant`` is naive.
    """
    if instant.tzinfo is None:
        raise ValueError(f"an instant is aware: {instant.isoformat()}")
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def to_local_date(instant: datetime, zone: ZoneInfo) -> date:
    """Return the calendar day in ``zone`` that contains ``instant``.

    Raises:
        ValueError: ``instant`` is naive.
    """
    return to_wall(instant, zone).date()
