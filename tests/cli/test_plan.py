"""The JSON lines, the text and the calendar that ``alertd plan`` prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from icalendar import Calendar

from tests.cli.stage import SHIPPED, assert_golden, run, write_folder

CONFIG = """\
policies:
  default: {before: [90d, 30d, 7d, 1d], after: [1d, 7d, 14d, 28d], at: "09:00"}
time_intervals:
  - {name: weekend, time_intervals: [{weekdays: [saturday, sunday], location: Asia/Baghdad}]}
route:
  receiver: desk
  routes:
    - {matchers: ['cause=~"overdue|moved"'], receiver: leads, continue: true, mute_time_intervals: [weekend]}
    - {matchers: ['timeline=~".+"'], receiver: desk}
receivers:
  - {name: desk, notifiers: [{type: console}]}
  - {name: leads, notifiers: [{type: console}]}
"""

TIMELINE = """\
timeline: iraq
title: Withdrawal
timezone: Asia/Baghdad
sources:
  minister: {who: The minister, short: the minister}
  reuters: {who: Reuters}
milestones:
  - id: phase-2
    title: Forces stationed in the Kurdish autonomous region leave
    claims:
      - {deadline: 2026-09, source: minister}
      - {deadline: 2026-Q4, source: reuters}
  - id: report
    title: The monthly report is filed
    deadline: 2026-09-30
    repeat: RRULE:FREQ=MONTHLY;BYMONTHDAY=-1
    timezone: America/New_York
    policy: {before: [1d], after: []}
"""

AUTUMN = ("--from", "2026-09-20", "--to", "2026-10-20")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path, CONFIG, iraq=TIMELINE)


def lines(folder: Path, *args: str) -> list[dict[str, object]]:
    ran = run("plan", "--config", folder, "--format", "jsonl", *args)
    assert (ran.code, ran.err) == (0, "")
    return [json.loads(line) for line in ran.lines]


def test_a_line_has_the_keys_of_the_contract(folder: Path) -> None:
    """A line has the keys of design section 10, in that order, and no other keys."""
    first = lines(folder, "--from", "2026-09-23", "--to", "2026-09-24")[0]

    assert list(first) == [
        "at", "milestone", "cause", "offset", "deadline", "sources", "receiver", "key",
    ]  # fmt: skip
    assert {name: first[name] for name in list(first)[:-1]} == {
        "at": "2026-09-23T06:00:00Z",
        "milestone": "iraq/phase-2",
        "cause": "approaching",
        "offset": "-7d",
        "deadline": "2026-09",
        "sources": ["minister"],
        "receiver": "desk",
    }


def test_lines_are_sorted_and_canonical(folder: Path) -> None:
    """Lines are sorted by instant, a quarter is canonical EDTF, and an opening has the offset ``opens``."""
    found = lines(folder, "--from", "2026-09-01", "--to", "2027-03-01")

    assert [line["at"] for line in found] == sorted(str(line["at"]) for line in found)
    deadlines = {line["deadline"] for line in found if line["milestone"] == "iraq/phase-2"}
    assert deadlines == {"2026-09", "2026-36"}
    assert [line["at"] for line in found if line["offset"] == "opens"] == [
        "2026-09-01T06:00:00Z",
        "2026-10-01T06:00:00Z",
    ]


def test_the_range_is_half_open(folder: Path) -> None:
    """The range includes reminders that are due at --from, and excludes reminders that are due at --to."""
    at = "2026-09-23T06:00Z"

    assert len(lines(folder, "--from", at, "--to", "2026-09-23T06:01Z")) == 1
    assert lines(folder, "--from", "2026-09-23T05:00Z", "--to", at) == []


def test_a_bare_date_is_utc_by_default(folder: Path) -> None:
    """Dates in --from and --to are read in UTC, or in the zone that --timezone names."""
    args = ("--from", "2026-09-23T09:00", "--to", "2026-09-24")

    assert lines(folder, *args) == []
    assert len(lines(folder, *args, "--timezone", "Asia/Baghdad")) == 1


def test_muted_means_deferred(folder: Path) -> None:
    """A muted reminder is planned for the end of the mute. Its line has the original instant and the mute."""
    found = lines(folder, "--from", "2027-01-01", "--to", "2027-02-15", "--receiver", "leads")

    assert [(line["at"], line.get("due"), line.get("muted_by")) for line in found] == [
        ("2027-01-01T06:00:00Z", None, None),
        ("2027-01-07T06:00:00Z", None, None),
        ("2027-01-14T06:00:00Z", None, None),
        ("2027-01-28T06:00:00Z", None, None),
    ]
    weekend = "{before: [], on_day: false, after: [2d], opens: false}"
    text = TIMELINE.replace("title: Forces", f"policy: {weekend}\n    title: Forces")
    late = lines(write_folder(folder, CONFIG, iraq=text), "--from", "2026-10-01", "--to", "2027-02-01")
    held = [line for line in late if line["receiver"] == "leads"]
    assert [(line["at"], line["due"], line["muted_by"]) for line in held if "due" in line] == [
        ("2027-01-03T21:00:00Z", "2027-01-02T06:00:00Z", "mute_time_intervals: weekend"),
    ]


def test_keys_are_unique_and_stable(folder: Path) -> None:
    """Keys of lines are unique, and a second run prints the same lines."""
    found = lines(folder, *AUTUMN)

    assert len({line["key"] for line in found}) == len(found) > 10
    assert lines(folder, *AUTUMN) == found


def test_the_plan_of_some_milestones_or_receivers(folder: Path) -> None:
    """--milestone accepts a full id, its part after the slash, a series or an instance of a series."""
    for name in ("iraq/report", "report"):
        found = lines(folder, *AUTUMN, "--milestone", name)
        assert {line["milestone"] for line in found} == {"iraq/report@2026-09-30"}
    instance = lines(folder, "--from", "2026-09-01", "--to", "2027-01-01", "--milestone", "report@2026-11-30")
    assert {line["milestone"] for line in instance} == {"iraq/report@2026-11-30"}
    both = lines(folder, *AUTUMN, "--milestone", "report", "--milestone", "phase-2")
    assert both == lines(folder, *AUTUMN)
    assert {line["receiver"] for line in lines(folder, *AUTUMN, "--receiver", "leads")} == {"leads"}


def test_json_is_one_array_of_the_same(folder: Path) -> None:
    """--format json prints the lines of jsonl as one array."""
    ran = run("plan", "--config", folder, "--format", "json", *AUTUMN)

    assert json.loads(ran.out) == lines(folder, *AUTUMN)


def test_the_calendar_reads_back(folder: Path) -> None:
    """--format ics prints a calendar with an event for each line. The event's UID is the line's key."""
    ran = run("plan", "--config", folder, "--format", "ics", *AUTUMN)

    calendar = Calendar.from_ical(ran.out)
    events = {str(event["UID"]): event for event in calendar.walk("VEVENT")}
    expected = {line["key"]: line["at"] for line in lines(folder, *AUTUMN)}
    assert {
        uid: f"{event.decoded('dtstart'):%Y-%m-%dT%H:%M:%SZ}" for uid, event in events.items()
    } == expected
    assert all({"DTSTAMP", "SUMMARY", "DESCRIPTION"} <= event.keys() for event in events.values())


@pytest.mark.parametrize("columns", [80, 120])
def test_the_text(folder: Path, columns: int) -> None:
    """The text groups reminders by day and zone, lists receivers together, and fits the terminal's width."""
    ran = run("plan", "--config", folder, *AUTUMN, columns=columns)

    assert ran.code == 0
    assert max(len(line) for line in ran.lines) <= columns
    assert_golden(f"plan-{columns}.txt", ran.out)


def test_an_empty_range_names_the_next_reminder(folder: Path) -> None:
    """If no reminder is due in the range, the text names the first one after it, and jsonl is empty."""
    ran = run(
        "plan", "--config", folder, "--from", "2026-01-01", "--to", "2026-01-02", "--milestone", "phase-2"
    )

    assert ran.out == (
        "No reminder is due from 2026-01-01 00:00 to 2026-01-02 00:00 UTC.\n"
        "The next one is iraq/phase-2, 2 July 2026, 09:00 (Asia/Baghdad), 90 days before\nthe deadline.\n"
    )
    assert lines(folder, "--from", "2026-01-01", "--to", "2026-01-02") == []


def test_without_a_range_it_is_ninety_days_from_now() -> None:
    """Without --from and --to the plan covers the next 90 days."""
    assert run("plan", "--config", SHIPPED).code == 0
    assert run("plan", ALERTD_CONFIG=str(SHIPPED)).code == 0


USAGE = {
    "no date": (("--from", "tomorrow"), "'tomorrow' is none of a date"),
    "a date that is not there": (("--from", "2026-02-30"), "'2026-02-30' is none of"),
    "the end first": (("--from", "2026-02-02", "--to", "2026-02-01"), "is not after --from"),
    "an empty range": (("--from", "2026-02-02", "--to", "2026-02-02"), "is not after --from"),
    "minutes or months": (("--to", "3m"), "m could be months or minutes"),
    "no zone": (("--timezone", "Baghdad"), "'Baghdad' is no zone"),
    "no format": (("--format", "yaml"), "'yaml'"),
    "no option": (("--form", "json"), "No such option"),
    "beyond the calendar": (("--from", "9990-01-01", "--to", "50y"), "leaves the calendar"),
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_exits_2(folder: Path, name: str) -> None:
    """Wrong usage exits with 2, explains the right usage on stderr, and prints nothing on stdout."""
    args, message = USAGE[name]

    ran = run("plan", "--config", folder, *args, columns=300)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_unknown_names_exit_1_with_the_nearest(folder: Path) -> None:
    """An unknown milestone or receiver is an error that suggests the nearest name."""
    for args, message in (
        (("--milestone", "iraq/phase2"), "alertd: no milestone 'iraq/phase2'; did you mean iraq/phase-2?\n"),
        (("--receiver", "lead"), "alertd: no receiver 'lead'; did you mean leads?\n"),
    ):
        ran = run("plan", "--config", folder, *args)
        assert (ran.code, ran.out, ran.err) == (1, "", message)


def test_a_problem_in_a_file_prevents_a_plan(folder: Path) -> None:
    """A problem in a file is an error, because a plan without the file's milestones would look complete."""
    (folder / "milestones" / "bad.yaml").write_text("timeline: bad\n", encoding="utf-8")

    ran = run("plan", "--config", folder, *AUTUMN)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("milestones/bad.yaml:1:1: ")
