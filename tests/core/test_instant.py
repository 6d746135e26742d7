"""Wall times and instants, including gaps and folds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.time.instant import to_instant, to_local_date, to_wall

RESOLVED = [
    # fold, the example of RFC 5545 3.3.5: the first of the two, at UTC-04:00
    ("America/New_York", "2007-11-04T01:30", "2007-11-04T05:30"),
    # gap, the example of RFC 5545 3.3.5: the offset before it, UTC-05:00
    ("America/New_York", "2007-03-11T02:30", "2007-03-11T07:30"),
    # midnight in a gap
    ("Africa/Cairo", "2026-04-24T00:00", "2026-04-23T22:00"),
    ("America/Sao_Paulo", "2016-10-16T00:00", "2016-10-16T03:00"),
    ("Asia/Beirut", "2026-03-29T00:00", "2026-03-28T22:00"),
    ("Asia/Tehran", "2022-03-22T00:00", "2022-03-21T20:30"),
    # a whole day that never was
    ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T22:00"),
    # a gap of half an hour
    ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45"),
    # the last summer time of Iraq
    ("Asia/Baghdad", "2007-04-01T03:30", "2007-04-01T00:30"),
    # a gap in the night from Friday to Saturday
    ("Asia/Gaza", "2026-03-28T02:30", "2026-03-28T00:30"),
    # a fold, as Ramadan begins
    ("Africa/Casablanca", "2026-02-15T02:30", "2026-02-15T01:30"),
    # neither gap nor fold, summer and winter
    ("Europe/Berlin", "2026-07-01T09:00", "2026-07-01T07:00"),
    ("Europe/Berlin", "2026-12-01T09:00", "2026-12-01T08:00"),
    ("Asia/Baghdad", "2026-10-01T00:00", "2026-09-30T21:00"),
    ("UTC", "2026-10-01T00:00", "2026-10-01T00:00"),
]
ZONES = sorted({row[0] for row in RESOLVED})


@pytest.mark.parametrize(("zone", "wall", "utc"), RESOLVED)
def test_to_instant(zone: str, wall: str, utc: str) -> None:
    """A wall time in a fold is its first occurrence, and in a gap it has the offset before the gap."""
    instant = to_instant(datetime.fromisoformat(wall), ZoneInfo(zone))

    assert instant == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert instant.tzinfo is UTC


def test_fold_of_the_wall_time_is_ignored() -> None:
    """There is no way to request the second of two equal wall times."""
    wall = datetime(2007, 11, 4, 1, 30, fold=1)

    assert to_instant(wall, ZoneInfo("America/New_York")) == datetime(2007, 11, 4, 5, 30, tzinfo=UTC)


def test_to_wall_shows_both_sides_of_a_fold_alike() -> None:
    """In a fold, two instants that are an hour apart have the same wall time."""
    zone = ZoneInfo("America/New_York")

    first = to_wall(datetime(2007, 11, 4, 5, 30, tzinfo=UTC), zone)
    second = to_wall(datetime(2007, 11, 4, 6, 30, tzinfo=UTC), zone)

    assert first == second == datetime(2007, 11, 4, 1, 30)
    assert first.fold == second.fold == 0


@pytest.mark.parametrize(
    ("zone", "utc", "day"),
    [
        # already tomorrow in Baghdad
        ("Asia/Baghdad", "2026-09-30T21:00", date(2026, 10, 1)),
        ("Asia/Baghdad", "2026-09-30T20:59", date(2026, 9, 30)),
        # still yesterday in New York
        ("America/New_York", "2026-10-01T03:59", date(2026, 9, 30)),
        # Apia went from the 29th to the 31st
        ("Pacific/Apia", "2011-12-30T09:59", date(2011, 12, 29)),
        ("Pacific/Apia", "2011-12-30T10:00", date(2011, 12, 31)),
    ],
)
def test_local_date(zone: str, utc: str, day: date) -> None:
    """The day of an instant is the day on the calendar of the zone."""
    assert to_local_date(datetime.fromisoformat(utc).replace(tzinfo=UTC), ZoneInfo(zone)) == day


def test_naive_and_aware_are_not_confused() -> None:
    """A wall time with a zone, and an instant without a zone, are refused."""
    zone = ZoneInfo("Asia/Baghdad")

    with pytest.raises(ValueError, match="no zone of its own"):
        to_instant(datetime(2026, 9, 30, tzinfo=UTC), zone)
    with pytest.raises(ValueError, match="aware"):
        to_wall(datetime(2026, 9, 30), zone)
    with pytest.raises(ValueError, match="aware"):
        to_local_date(datetime(2026, 9, 30), zone)


@given(
    st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2100, 1, 1)),
    st.sampled_from(ZONES),
)
def test_instant_and_back(wall: datetime, name: str) -> None:
    """A wall time that is converted and converted back is the same or, in a gap, later by the gap."""
    zone = ZoneInfo(name)

    back = to_wall(to_instant(wall, zone), zone)

    assert timedelta(0) <= back - wall <= timedelta(days=1)
    assert to_instant(back, zone) == to_instant(wall, zone)
