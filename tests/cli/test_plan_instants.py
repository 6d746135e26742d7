"""The instants that ``alertd plan --format jsonl`` prints for the design's table and for hard cases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.stage import run, write_folder

CONFIG = """\
policies:
  default: {before: [90d, 30d, 7d, 1d], after: [1d], opens: false, at: "09:00"}
route: {receiver: desk}
receivers: [{name: desk, notifiers: [{type: console}]}]
"""

WHOLE_TABLE = ("-90d", "-30d", "-7d", "-1d", "0d", "+1d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A deadline in a zone, and the UTC instants at which its reminders are due, by offset."""

    deadline: str
    zone: str
    due: dict[str, str]
    policy: str = "{}"


def due(*instants: str) -> dict[str, str]:
    return dict(zip(WHOLE_TABLE, (f"{instant}:00Z" for instant in instants), strict=True))


def planned(tmp_path: Path, case: Case) -> dict[str, str]:
    """Run the command and return the instant of each line by its offset."""
    timeline = (
        f"timeline: t\ntitle: T\ntimezone: {case.zone}\nmilestones:\n"
        f'  - {{id: m, title: M, deadline: "{case.deadline}", policy: {case.policy}}}\n'
    )
    folder = write_folder(tmp_path, CONFIG, t=timeline)
    ran = run("plan", "--config", folder, "--from", "2000-01-01", "--to", "2040-01-01", "--format", "jsonl")
    assert (ran.code, ran.err) == (0, "")
    return {line["offset"]: line["at"] for line in map(json.loads, ran.lines)}


TABLE = [
    # The zones: Baghdad has no summer time; New York and Berlin have one; Cairo's begins at midnight.
    Case(
        deadline="2026-09",
        zone="Asia/Baghdad",
        due=due(
            "2026-07-02T06:00", "2026-08-31T06:00", "2026-09-23T06:00",
            "2026-09-29T06:00", "2026-09-30T06:00", "2026-10-01T06:00",
        ),
    ),
    Case(
        deadline="2026",
        zone="America/New_York",
        due=due(
            "2026-10-02T13:00", "2026-12-01T14:00", "2026-12-24T14:00",
            "2026-12-30T14:00", "2026-12-31T14:00", "2027-01-01T14:00",
        ),
    ),
    Case(
        deadline="2026-03",
        zone="Europe/Berlin",
        due=due(
            "2025-12-31T08:00", "2026-03-01T08:00", "2026-03-24T08:00",
            "2026-03-30T07:00", "2026-03-31T07:00", "2026-04-01T07:00",
        ),
    ),
    Case(
        deadline="2026-04-23",
        zone="Africa/Cairo",
        due=due(
            "2026-01-23T07:00", "2026-03-24T07:00", "2026-04-16T07:00",
            "2026-04-22T07:00", "2026-04-23T07:00", "2026-04-24T06:00",
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.zone)
def test_the_table_of_the_design(tmp_path: Path, case: Case) -> None:
    """The command prints exactly the instants of each row in design section 3."""
    assert planned(tmp_path, case) == case.due


AT_MIDNIGHT = '{before: [1d], after: [1d], at: "00:00"}'
HARD = {
    # Africa/Cairo has no midnight on 2026-04-24. The offset before the gap applies (RFC 5545, 3.3.5).
    "gap at midnight": Case(
        deadline="2026-04-24",
        zone="Africa/Cairo",
        policy=AT_MIDNIGHT,
        due={"-1d": "2026-04-22T22:00:00Z", "0d": "2026-04-23T22:00:00Z", "+1d": "2026-04-24T21:00:00Z"},
    ),
    # A deadline on the day before ends with the 23rd, at the instant at which the 24th begins.
    "overdue from a gap": Case(
        deadline="2026-04-23",
        zone="Africa/Cairo",
        policy='{before: [], on_day: false, after: [1d], at: "00:00"}',
        due={"+1d": "2026-04-23T22:00:00Z"},
    ),
    # RFC 5545, 3.3.5: 02:30 on 11 March 2007 in New York is read with UTC-5, so it means 03:30 EDT.
    "the gap of RFC 5545": Case(
        deadline="2007-03-11",
        zone="America/New_York",
        policy='{before: [], after: [], at: "02:30"}',
        due={"0d": "2007-03-11T07:30:00Z"},
    ),
    # RFC 5545, 3.3.5: 01:30 on 4 November 2007 occurs twice and means the first time, 01:30 EDT.
    "the fold of RFC 5545": Case(
        deadline="2007-11-04",
        zone="America/New_York",
        policy='{before: [], after: [], at: "01:30"}',
        due={"0d": "2007-11-04T05:30:00Z"},
    ),
    # The gap and the fold of 2026. Reminders on the days around them keep their clock time.
    "around a gap": Case(
        deadline="2026-03-08",
        zone="America/New_York",
        policy='{before: [1d], after: [1d], at: "02:30"}',
        due={"-1d": "2026-03-07T07:30:00Z", "0d": "2026-03-08T07:30:00Z", "+1d": "2026-03-09T06:30:00Z"},
    ),
    "around a fold": Case(
        deadline="2026-11-01",
        zone="America/New_York",
        policy='{before: [1d], after: [1d], at: "01:30"}',
        due={"-1d": "2026-10-31T05:30:00Z", "0d": "2026-11-01T05:30:00Z", "+1d": "2026-11-02T06:30:00Z"},
    ),
    # A deadline in the gap is due an hour later by the clock, as with dateutil's tz.resolve_imaginary.
    "a deadline in a gap": Case(
        deadline="2026-03-29T02:30",
        zone="Europe/Berlin",
        policy="{before: [1d, 1h], after: [1h]}",
        due={
            "-1d": "2026-03-28T01:30:00Z",
            "-1h": "2026-03-29T00:30:00Z",
            "0d": "2026-03-29T01:30:00Z",
            "+1h": "2026-03-29T02:30:00Z",
        },
    ),
    # Lord Howe's clocks move by half an hour, so 02:15 on 2026-10-04 does not exist. Before, it is +10:30.
    "a gap of half an hour": Case(
        deadline="2026-10-04",
        zone="Australia/Lord_Howe",
        policy='{before: [1d], after: [1d], at: "02:15"}',
        due={"-1d": "2026-10-02T15:45:00Z", "0d": "2026-10-03T15:45:00Z", "+1d": "2026-10-04T15:15:00Z"},
    ),
    "a fold of half an hour": Case(
        deadline="2026-04-05",
        zone="Australia/Lord_Howe",
        policy='{before: [], after: [], at: "01:45"}',
        due={"0d": "2026-04-04T14:45:00Z"},
    ),
    # Apia skipped 2011-12-30. Its 09:00 is read with the offset before, -10:00, which is a day later.
    "a day that was left out": Case(
        deadline="2011-12-31",
        zone="Pacific/Apia",
        policy="{before: [2d, 1d], after: []}",
        due={"-2d": "2011-12-29T19:00:00Z", "-1d": "2011-12-30T19:00:00Z", "0d": "2011-12-30T19:00:00Z"},
    ),
    # A month before the 31st is clipped to the month's last day, once. Months are subtracted before days.
    "a month before 31 March": Case(
        deadline="2026-03-31",
        zone="UTC",
        policy="{before: [1mo, 1mo1d], after: [1mo]}",
        due={
            "-1mo1d": "2026-02-27T09:00:00Z",
            "-1mo": "2026-02-28T09:00:00Z",
            "0d": "2026-03-31T09:00:00Z",
            "+1mo": "2026-04-30T09:00:00Z",
        },
    ),
    # As with dateutil, years and months are added together before the day is clipped:
    # date(2000, 2, 29) + relativedelta(years=1, months=1) is 2001-03-29.
    "a year and a month after a leap day": Case(
        deadline="2000-02-29",
        zone="UTC",
        policy="{before: [1y], on_day: false, after: [1y, 1y1mo]}",
        due={"+1y": "2001-02-28T09:00:00Z", "+1y1mo": "2001-03-29T09:00:00Z"},
    ),
    # Lead times count from the last day of a month, which is 29 February here.
    "a month that is a leap February": Case(
        deadline="2028-02",
        zone="UTC",
        policy="{before: [1d], after: [1d]}",
        due={"-1d": "2028-02-28T09:00:00Z", "0d": "2028-02-29T09:00:00Z", "+1d": "2028-03-01T09:00:00Z"},
    ),
    # With a time of day, the reminder on the day is sent at 09:00 if that is earlier. Days keep the clock
    # time, and hours are exact.
    "a time of day": Case(
        deadline="2026-10-25T17:00",
        zone="Europe/Berlin",
        policy="{before: [1d, 24h], after: [1d, 30min]}",
        due={
            "-24h": "2026-10-24T16:00:00Z",
            "-1d": "2026-10-24T15:00:00Z",
            "0d": "2026-10-25T08:00:00Z",
            "+30min": "2026-10-25T16:30:00Z",
            "+1d": "2026-10-26T16:00:00Z",
        },
    ),
    "a time of day before 09:00": Case(
        deadline="2026-06-01T06:00Z",
        zone="UTC",
        policy="{before: [], after: []}",
        due={"0d": "2026-06-01T06:00:00Z"},
    ),
}


@pytest.mark.parametrize("name", HARD)
def test_gaps_folds_and_month_ends(tmp_path: Path, name: str) -> None:
    """The command converts the wall time of a reminder to an instant as RFC 5545 section 3.3.5 specifies."""
    assert planned(tmp_path, HARD[name]) == HARD[name].due
