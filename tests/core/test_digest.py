"""When a digest is sent: local days and times, gaps and folds, quiet hours."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.routing.digest import EVERY_DAY, Digest, find_digest_instant
from alertd.core.time.instant import to_wall
from alertd.core.time.interval import NamedInterval, TimeInterval, TimeRange
from tests.core.builders import utc

BERLIN, CAIRO = ZoneInfo("Europe/Berlin"), ZoneInfo("Africa/Cairo")


def a_digest(*weekdays: int, at: str = "08:00", zone: ZoneInfo = BERLIN) -> Digest:
    return Digest(weekdays=weekdays, at=time.fromisoformat(at), zone=zone)


@pytest.mark.parametrize(
    ("digest", "name"),
    [
        (a_digest(0), "every Monday at 08:00 (Europe/Berlin)"),
        (a_digest(0, 3, 6), "every Monday, Thursday and Sunday at 08:00 (Europe/Berlin)"),
        (a_digest(*EVERY_DAY, at="00:00", zone=CAIRO), "every day at 00:00 (Africa/Cairo)"),
        (a_digest(), "on the first day of every month at 08:00 (Europe/Berlin)"),
    ],
)
def test_its_name_is_its_schedule(digest: Digest, name: str) -> None:
    assert digest.name == name


@pytest.mark.parametrize(
    ("digest", "after", "instant"),
    [
        (a_digest(0), "2026-10-01T00:00", "2026-10-05T06:00"),
        (a_digest(0), "2026-10-05T05:59", "2026-10-05T06:00"),
        (a_digest(0), "2026-10-05T06:00", "2026-10-12T06:00"),
        (a_digest(0, 3), "2026-10-05T06:00", "2026-10-08T06:00"),
        # The clocks are set back on 25 October.
        (a_digest(0), "2026-10-20T00:00", "2026-10-26T07:00"),
        (a_digest(), "2026-10-01T06:00", "2026-11-01T07:00"),
        (a_digest(), "2026-12-31T00:00", "2027-01-01T07:00"),
        # A time that occurs twice is the first. A time in a gap has the offset before the gap.
        (a_digest(6, at="02:30"), "2026-10-24T12:00", "2026-10-25T00:30"),
        (a_digest(6, at="02:30"), "2026-03-28T12:00", "2026-03-29T01:30"),
        (a_digest(*EVERY_DAY, at="00:00", zone=CAIRO), "2026-04-23T00:00", "2026-04-23T22:00"),
    ],
)
def test_the_instant_after_another(digest: Digest, after: str, instant: str) -> None:
    assert find_digest_instant(digest, utc(after)) == utc(instant)


@given(
    after=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.isoformat()),
    weekdays=st.sets(st.integers(0, 6)),
    at=st.times().map(lambda one: one.replace(microsecond=0)),
    zone=st.sampled_from(["UTC", "Africa/Cairo", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"]),
)
def test_it_is_later_and_no_further_than_the_next_of_its_days(
    after: str, weekdays: set[int], at: time, zone: str
) -> None:
    """A digest comes within its interval in every zone, even if the zone skips a whole day."""
    digest = Digest(weekdays=tuple(sorted(weekdays)), at=at, zone=ZoneInfo(zone))

    found = find_digest_instant(digest, utc(after))

    assert timedelta(0) < found - utc(after) <= timedelta(days=8 if weekdays else 33)
    wall = to_wall(found, digest.zone)
    near = (wall - timedelta(days=1), wall, wall + timedelta(days=1))
    assert any(day.weekday() in weekdays if weekdays else day.day in (1, 2) for day in near)


def night(start: int, end: int) -> NamedInterval:
    interval = TimeInterval(times=(TimeRange(start=start * 60, end=end * 60),), location=BERLIN)
    return NamedInterval(name="night", intervals=(interval,))


def test_quiet_hours_put_it_off_to_their_end() -> None:
    """A weekly digest at 06:00 is sent when the quiet hours end at 07:00."""
    found = find_digest_instant(a_digest(0, at="06:00"), utc("2026-10-01T00:00"), night(0, 7))

    assert found == utc("2026-10-05T05:00")


@pytest.mark.long
def test_one_that_is_quiet_at_all_times_is_not_looked_for_without_end() -> None:
    """The search has a bound, although the definitions refuse such hours."""
    found = find_digest_instant(a_digest(0), utc("2026-10-01T00:00"), night(0, 24))

    assert found > utc("2026-10-01T00:00")
