"""Local wall times and UTC instants, one into the other, by the rule of RFC 5545 section 3.3.5.

An instant is always an aware `datetime` in UTC. A wall time is always a naive `datetime`; it means nothing
without a zone. Wall time and zone are what is stored: an instant is computed again at every load, because the
time zone database changes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

UTC_ZONE = ZoneInfo("UTC")


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the clocks of ``zone`` show ``wall``.

    A wall time that occurs twice (fold) is the first of the two; one that never occurs (gap) is read with the
    offset before the gap, and so falls as far after the gap as it was written into it. ``wall.fold`` is
    ignored.

    Raises:
        ValueError: ``wall`` is aware.

    Source: RFC 5545 section 3.3.5, "FORM #3"; PEP 495 gives ``fold=0`` just this meaning.
    """
    if wall.tzinfo is not None:
        raise ValueError(f"a wall time has no zone of its own: {wall.isoformat()}")
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def to_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks of ``zone`` show at ``instant``: a naive `datetime`, its fold forgotten.

    Raises:
        ValueError: ``instant`` is naive.
    """
    if instant.tzinfo is None:
        raise ValueError(f"an instant is aware: {instant.isoformat()}")
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def to_local_date(instant: datetime, zone: ZoneInfo) -> date:
    """The calendar day in ``zone`` on which ``instant`` falls.

    Raises:
        ValueError: ``instant`` is naive.
    """
    return to_wall(instant, zone).date()
