"""Windows: half-open, in UTC, computed from local days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Reading, compute_window, parse_deadline, read_window
from alertd.core.time.duration import parse_duration, shift_date
from alertd.core.time.instant import to_instant

# The table of section 3 of the design: deadline, zone, begins, ends, and the reminders at 09:00 local.
OFFSETS = ("-90d", "-30d", "-7d", "-1d", "0d", "1d")
DESIGN = [
    (
        "2026-09",
        "Asia/Baghdad",
        "2026-08-31T21:00Z",
        "2026-09-30T21:00Z",
        "2026-07-02T06:00Z 2026-08-31T06:00Z 2026-09-23T06:00Z "
        "2026-09-29T06:00Z 2026-09-30T06:00Z 2026-10-01T06:00Z",
    ),
    (
        "2026",
        "America/New_York",
        "2026-01-01T05:00Z",
        "2027-01-01T05:00Z",
        "2026-10-02T13:00Z 2026-12-01T14:00Z 2026-12-24T14:00Z "
        "2026-12-30T14:00Z 2026-12-31T14:00Z 2027-01-01T14:00Z",
    ),
    (
        "2026-03",
        "Europe/Berlin",
        "2026-02-28T23:00Z",
        "2026-03-31T22:00Z",
        "2025-12-31T08:00Z 2026-03-01T08:00Z 2026-03-24T08:00Z "
        "2026-03-30T07:00Z 2026-03-31T07:00Z 2026-04-01T07:00Z",
    ),
    (
        "2026-04-23",
        "Africa/Cairo",
        "2026-04-22T22:00Z",
        "2026-04-23T22:00Z",
        "2026-01-23T07:00Z 2026-03-24T07:00Z 2026-04-16T07:00Z "
        "2026-04-22T07:00Z 2026-04-23T07:00Z 2026-04-24T06:00Z",
    ),
]

# deadline, reading, id, first day, last day, whether it opens
IDS = [
    # read to the end
    ("2026-09-30", Reading.END, "2026-09-30/2026-10-01", "2026-09-30", "2026-09-30", False),
    ("2026-09", Reading.END, "2026-09-01/2026-10-01", "2026-09-01", "2026-09-30", True),
    ("2025-09/2026-09", Reading.END, "2025-09-01/2026-10-01", "2025-09-01", "2026-09-30", True),
    # a day written as an interval opens no more than a day does
    ("2026-09-30/2026-09-30", Reading.END, "2026-09-30/2026-10-01", "2026-09-30", "2026-09-30", False),
    # without a beginning there is nothing to open
    ("../2026-12", Reading.END, "../2027-01-01", None, "2026-12-31", False),
    ("/2026-12", Reading.END, "../2027-01-01", None, "2026-12-31", False),
    # without an end it opens, and is never due
    ("2026-09/..", Reading.END, "2026-09-01/..", "2026-09-01", None, True),
    ("2026-09/", Reading.END, "2026-09-01/..", "2026-09-01", None, True),
    # read to the start, the last day is the day before
    ("2026-09", Reading.START, "../2026-09-01", None, "2026-08-31", False),
    ("2027", Reading.START, "../2027-01-01", None, "2026-12-31", False),
    ("2026-09-30", Reading.START, "../2026-09-30", None, "2026-09-29", False),
    ("2025-09/2026-09", Reading.START, "../2025-09-01", None, "2025-08-31", False),
    ("2026-09/..", Reading.START, "../2026-09-01", None, "2026-08-31", False),
    # a deadline before an unknown start is never due
    ("../2026-12", Reading.START, "../..", None, None, False),
    # the last year whose end is a date
    ("9998-12-31", Reading.END, "9998-12-31/9999-01-01", "9998-12-31", "9998-12-31", False),
]

SAME = [
    # a quarter by any name, and its three months
    ("2026-Q3", "2026-35", "2026-07/2026-09", "2026-07-01/2026-09-30", "[2026-07..2026-09]"),
    # a year, its months not given, its two halves
    ("2026", "2026-XX", "2026-XX-XX", "2026-40/2026-41", "2026~"),
    # qualifiers are no part of it
    ("2026-09", "2026-09?", "2026-09~", "2026-09%", "2026-09-XX"),
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(("text", "name", "begins", "ends", "reminders"), DESIGN)
def test_bounds_of_the_design(text: str, name: str, begins: str, ends: str, reminders: str) -> None:
    """The bounds, and the days counted back from the last day, match the table of the design."""
    zone = ZoneInfo(name)

    window = compute_window(parse_deadline(text), zone)

    assert (window.begins, window.ends) == (utc(begins), utc(ends))
    assert window.last_day is not None
    days = [shift_date(window.last_day, parse_duration(offset)) for offset in OFFSETS]
    nine = [to_instant(datetime.combine(day, time(9)), zone) for day in days]
    assert nine == [utc(reminder) for reminder in reminders.split()]


@pytest.mark.parametrize(
    ("text", "reading", "identity", "first_day", "last_day", "spans_days"),
    IDS,
    ids=[f"{row[0]} {row[1].value}" for row in IDS],
)
def test_days_and_ids(
    text: str,
    reading: Reading,
    identity: str,
    first_day: str | None,
    last_day: str | None,
    *,
    spans_days: bool,
) -> None:
    """A window has its first and last local day and its id, and knows whether it opens."""
    zone = ZoneInfo("Asia/Baghdad")

    window = compute_window(parse_deadline(text), zone, reading)

    assert window.id == identity
    assert window.first_day == (date.fromisoformat(first_day) if first_day else None)
    assert window.last_day == (date.fromisoformat(last_day) if last_day else None)
    assert (window.begins is None, window.ends is None) == (first_day is None, last_day is None)
    assert window.spans_days is spans_days
    assert window.clock is None
    assert window.zone is zone


@pytest.mark.parametrize("texts", SAME, ids=[row[0] for row in SAME])
def test_one_window_many_texts(texts: tuple[str, ...]) -> None:
    """Deadlines that differ only in their form or their qualifier have the same window."""
    zone = ZoneInfo("Europe/Berlin")

    windows = {compute_window(parse_deadline(text), zone) for text in texts}

    assert len(windows) == 1


def test_before_september_is_by_the_end_of_august() -> None:
    """A month that is read to its start is the open interval that ends with the month before."""
    zone = ZoneInfo("Asia/Baghdad")

    before = compute_window(parse_deadline("2026-09"), zone, Reading.START)

    assert before == compute_window(parse_deadline("../2026-08"), zone)


@pytest.mark.parametrize(
    ("text", "instant", "clock", "identity"),
    [
        # local: the id is the wall time, whatever its instant is
        ("2026-09-30T17:00", "2026-09-30T14:00Z", "2026-09-30T17:00", "2026-09-30T17:00"),
        # seconds are part of the id only if they are not zero
        ("2026-09-30T17:00:00", "2026-09-30T14:00Z", "2026-09-30T17:00", "2026-09-30T17:00"),
        ("2026-09-30T17:00:05", "2026-09-30T14:00:05Z", "2026-09-30T17:00:05", "2026-09-30T17:00:05"),
        # with an offset: the id is the instant, and the clock is local to the zone
        ("2026-09-30T17:00Z", "2026-09-30T17:00Z", "2026-09-30T20:00", "2026-09-30T17:00Z"),
        ("2026-09-30T20:00+03:00", "2026-09-30T17:00Z", "2026-09-30T20:00", "2026-09-30T17:00Z"),
        # another day in the zone than in the text
        ("2026-09-30T22:00Z", "2026-09-30T22:00Z", "2026-10-01T01:00", "2026-09-30T22:00Z"),
    ],
)
@pytest.mark.parametrize("reading", Reading)
def test_date_times(text: str, instant: str, clock: str, identity: str, reading: Reading) -> None:
    """A date-time is an instant in both readings, with its clock time and its local day."""
    window = compute_window(parse_deadline(text), ZoneInfo("Asia/Baghdad"), reading)

    assert window.begins == window.ends == utc(instant)
    assert window.clock == datetime.fromisoformat(clock)
    assert window.first_day == window.last_day == window.clock.date()
    assert window.id == identity
    assert not window.spans_days


@pytest.mark.parametrize(
    ("text", "name", "begins", "ends"),
    [
        # its first midnight is in a gap: the day begins at 01:00, and has 23 hours
        ("2026-04-24", "Africa/Cairo", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),
        # its last midnight is in a gap
        ("2016-10-15", "America/Sao_Paulo", "2016-10-15T03:00Z", "2016-10-16T03:00Z"),
        # a day of 24 and a half hours
        ("2026-04-05", "Australia/Lord_Howe", "2026-04-04T13:00Z", "2026-04-05T13:30Z"),
        # a day that never was has no length
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00Z", "2011-12-30T10:00Z"),
        # Iraq had summer time until 2007
        ("2007-07", "Asia/Baghdad", "2007-06-30T20:00Z", "2007-07-31T20:00Z"),
        ("2008-07", "Asia/Baghdad", "2008-06-30T21:00Z", "2008-07-31T21:00Z"),
    ],
)
def test_odd_days(text: str, name: str, begins: str, ends: str) -> None:
    """The bounds are local midnights, or the instants that replace a midnight in a gap or a fold."""
    window = compute_window(parse_deadline(text), ZoneInfo(name))

    assert (window.begins, window.ends) == (utc(begins), utc(ends))


@given(
    st.dates(min_value=date(1000, 1, 1), max_value=date(9998, 12, 31)),
    st.sampled_from(("Asia/Baghdad", "America/New_York", "Pacific/Apia", "Africa/Cairo", "UTC")),
)
def test_days_follow_without_a_seam(day: date, name: str) -> None:
    """The end of a day is the beginning of the next day in UTC, and the id does not depend on the zone."""
    zone = ZoneInfo(name)

    window = compute_window(parse_deadline(day.isoformat()), zone)
    before = compute_window(parse_deadline(day.isoformat()), zone, Reading.START)

    assert window.begins is not None
    assert window.ends is not None
    assert before.ends == window.begins <= window.ends
    assert window.begins.tzinfo is window.ends.tzinfo is UTC
    assert window.id == compute_window(parse_deadline(day.isoformat()), ZoneInfo("UTC")).id


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize("zone", ["Asia/Baghdad", "America/New_York", "UTC"])
@pytest.mark.parametrize(
    "edtf",
    [
        "2026-09", "2026-09-30", "2026-09-30T17:00", "2026-09-30T17:00:30", "2026-09-30T23:30Z",
        "2026-09-30T17:00+05:00", "../2026-12", "2026-10/..", "[2026-09,2026-12]",
    ],
)  # fmt: skip
def test_a_window_is_read_back_from_its_id(edtf: str, zone: str, reading: Reading) -> None:
    """The id that the ledger stores is enough to restore the whole window."""
    made = compute_window(parse_deadline(edtf), ZoneInfo(zone), reading)

    assert read_window(made.id, ZoneInfo(zone)) == made
