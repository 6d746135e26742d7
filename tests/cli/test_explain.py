"""``alertd explain`` from the files alone, and with a ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alertd.core.ledger.outcome import Rejected
from tests.cli.stage import SHIPPED, assert_golden, run, staged, write_folder
from tests.cli.test_plan import CONFIG, TIMELINE

ON_THE_DAY = "2026-11-24T09:00"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "config", CONFIG, iraq=TIMELINE)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_shipped_contested_milestone(columns: int) -> None:
    """explain shows the claims with their windows, why they conflict, the reminders and the routes."""
    ran = run("explain", "phase-2", "--config", SHIPPED, "--at", ON_THE_DAY, "--no-ledger", columns=columns)

    assert (ran.code, ran.err) == (0, "")
    assert max(len(line) for line in ran.lines) <= columns
    assert_golden(f"explain-{columns}.txt", ran.out)


def test_routes_and_mutes(folder: Path) -> None:
    """explain names the route and the matchers for each receiver, and the mute that defers a reminder."""
    text = TIMELINE.replace("title: Forces", "policy: {after: [2d, 3d, 9d]}\n    title: Forces")
    write_folder(folder, CONFIG, iraq=text)

    ran = run("explain", "phase-2", "--config", folder, "--at", "2027-01-01", "--no-ledger")

    assert_golden("explain-muted-80.txt", ran.out)


def test_a_series_and_one_of_its_instances(folder: Path) -> None:
    """The id of a series means its next instance. The id of an instance means that instance."""
    base = ("--config", folder, "--at", "2026-10-05", "--no-ledger")

    series = run("explain", "iraq/report", *base)
    instance = run("explain", "iraq/report@2026-12-31", *base)
    none = run("explain", "iraq/report@2026-12-30", *base)

    assert "iraq/report@2026-10-31" in series.lines[1]
    assert "It recurs: 2026-10-31, 2026-11-30," in series.out
    assert "iraq/report@2026-12-31" in instance.lines[1]
    assert "Next\n  30 December 2026, 09:00 (America/New_York)" in instance.out
    assert (none.code, none.out) == (1, "")
    assert none.err == "alertd: iraq/report@2026-12-30: the series has no such instance\n"


def test_an_unknown_id_suggests_the_nearest(folder: Path) -> None:
    """The error for a mistyped id suggests the nearest id."""
    ran = run("explain", "phase2", "--config", folder)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "alertd: no milestone 'phase2'; did you mean iraq/phase-2?\n"


def test_json_has_the_same_facts(folder: Path) -> None:
    """--format json prints one object, with windows as half-open ranges of UTC instants."""
    ran = run("explain", "phase-2", "--config", folder, "--at", ON_THE_DAY, "--format", "json", "--no-ledger")

    facts = json.loads(ran.out)
    assert facts["state"] == "passed by some"
    assert (
        facts["claims"][0] | {"begins": "2026-08-31T21:00:00Z", "ends": "2026-09-30T21:00:00Z"}
        == facts["claims"][0]
    )
    assert facts["reminders"][0]["route"] == "route.routes[1]"
    assert facts["next"]["at"] == "2026-12-01T06:00:00Z"
    rows = run(
        "explain", "phase-2", "--config", folder, "--at", ON_THE_DAY, "--format", "jsonl", "--no-ledger"
    )
    assert json.loads(rows.out) == facts


def test_with_a_ledger_reminders_show_their_outcomes(tmp_path: Path, folder: Path) -> None:
    """With a ledger, explain shows the outcome of each reminder, and then the deliveries."""
    stage = staged(tmp_path, folder)
    stage.outcomes["leads/console"] = Rejected(reason="HTTP 410 from example.org")
    for day in ("2026-09-30", "2026-10-01", "2026-10-07"):
        stage.daemon_at(datetime.fromisoformat(f"{day}T06:00:00+00:00").astimezone(UTC))

    ran = run("explain", "phase-2", *stage.args, "--at", "2026-10-08")

    assert (ran.code, ran.err) == (0, "")
    assert_golden("explain-ledger-80.txt", ran.out)
    assert "Deliveries" not in run("explain", "phase-2", *stage.args, "--no-ledger").out


def test_explain_creates_no_ledger(tmp_path: Path, folder: Path) -> None:
    """Without a ledger, explain works from the files and creates no ledger."""
    stage = staged(tmp_path, folder)

    ran = run("explain", "phase-2", *stage.args)

    assert ran.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


def test_a_broken_ledger_is_left_out_with_a_warning(tmp_path: Path, folder: Path) -> None:
    """A database file that is no ledger causes a warning. With --ledger it is an error."""
    (tmp_path / "ledger.sqlite3").write_text("this is not a database" * 100, encoding="utf-8")
    stage = staged(tmp_path, folder)

    ran = run("explain", "phase-2", *stage.args)
    asked = run("explain", "phase-2", "--ledger", *stage.args)

    assert ran.code == 0
    assert ran.err.startswith("alertd: the ledger cannot be read and is left out: ")
    assert asked.code == 1
    assert asked.err.startswith("alertd: ")


def test_a_broken_file_elsewhere_is_a_warning(folder: Path) -> None:
    """A problem in another file causes a warning on stderr."""
    (folder / "milestones" / "bad.yaml").write_text("timeline: bad\n", encoding="utf-8")

    ran = run("explain", "phase-2", "--config", folder)

    assert ran.code == 0
    assert ran.err == "alertd: milestones/bad.yaml has a problem and is left out; `alertd check` says which\n"


def test_a_broken_file_is_explained_from_the_ledger(tmp_path: Path, folder: Path) -> None:
    """Reminders of an unreadable file continue, so explain shows them from the ledger, with a notice."""
    stage = staged(tmp_path, folder)
    stage.daemon_at(datetime(2026, 7, 1, 12, tzinfo=UTC))
    (folder / "milestones" / "iraq.yaml").write_text("timeline: iraq\nmilestones: {\n", encoding="utf-8")

    ran = run("explain", "phase-2", "--at", "2026-07-01", *stage.args)
    facts = json.loads(run("explain", "phase-2", "--format", "json", *stage.args).out)
    files_alone = run("explain", "phase-2", "--no-ledger", *stage.args)

    assert ran.code == 0
    assert ran.lines[1:3] == [
        "iraq/phase-2  milestones/iraq.yaml",
        "This file cannot be read now. The ledger's last version of it is shown.",
    ]
    assert "Next" in ran.lines
    assert (facts["milestone"], facts["kept"], facts["file"]) == (
        "iraq/phase-2",
        True,
        "milestones/iraq.yaml",
    )
    assert files_alone.code == 1


def test_an_instance_of_a_broken_file_is_explained_from_the_ledger(tmp_path: Path, folder: Path) -> None:
    """If the file of a series is unreadable, explain finds its instances in the ledger.

    The id of an instance means that instance, and the id of the series means the next instance.
    """
    stage = staged(tmp_path, folder)
    file = folder / "milestones" / "reports.yaml"
    file.write_text(
        "timeline: reports\ntitle: Reports\nmilestones:\n"
        "  - {id: monthly, title: A, deadline: 2026-07-31, repeat: 'RRULE:FREQ=MONTHLY;BYMONTHDAY=-1'}\n",
        encoding="utf-8",
    )
    stage.daemon_at(datetime(2026, 7, 1, 12, tzinfo=UTC))
    file.write_text("timeline: reports\n", encoding="utf-8")

    instance = run("explain", "reports/monthly@2026-10-31", "--at", "2026-07-01", *stage.args)
    following = run("explain", "monthly", "--at", "2026-09-01", *stage.args)
    none = run("explain", "reports/monthly@2026-10-30", *stage.args)

    assert instance.lines[1].startswith("reports/monthly@2026-10-31")
    assert following.lines[1].startswith("reports/monthly@2026-09-30")
    assert "It recurs: 2026-09-30, 2026-10-31" in " ".join(following.lines)
    assert (none.code, none.err.splitlines()[-1]) == (
        1,
        "alertd: reports/monthly@2026-10-30: the series has no such instance",
    )


def test_the_message_after_an_acknowledgement(tmp_path: Path, folder: Path) -> None:
    """An acknowledgement that ends after the deadline is followed by one message that the date has passed."""
    stage = staged(tmp_path, folder)
    stage.daemon_at(datetime(2027, 1, 2, 12, tzinfo=UTC))
    acked = run("ack", "phase-2", "--until", "2099-01-01", "--by", "ann", *stage.args)

    ran = run("explain", "phase-2", "--at", "2027-01-02T16:00", *stage.args)

    assert acked.code == 0
    assert "2099, 09:00" in ran.out.rpartition("Next")[2]
    assert "when the acknowledgement ends: that it has passed, once." in " ".join(ran.out.split())
