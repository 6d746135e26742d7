"""``alertd status``, ``history`` and ``migrate`` on a real SQLite ledger."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from alertd import app
from alertd.cli.examine import find_write_obstacle
from alertd.cli.status import render_status
from alertd.core.ledger.outcome import Rejected, Retry
from alertd.engine.health import Health, read_health
from alertd.engine.status import LiveReport
from alertd.ports import Ledger, NodeReport
from tests.cli.stage import Staged, assert_golden, run, staged, write_folder
from tests.cli.test_plan import CONFIG, TIMELINE

NOW = datetime(2026, 10, 7, 6, 10, tzinfo=UTC)


@pytest.fixture
def stage(tmp_path: Path) -> Staged:
    """A ledger after three days: desk accepted everything, leads failed once and then rejected a message."""
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG, iraq=TIMELINE))
    stage.daemon_at(datetime(2026, 9, 30, 6, tzinfo=UTC))
    stage.outcomes["leads/console"] = Retry(reason="HTTP 503 from example.org")
    stage.daemon_at(datetime(2026, 10, 1, 6, tzinfo=UTC))
    stage.outcomes["leads/console"] = Rejected(reason="HTTP 410 from example.org")
    stage.daemon_at(datetime(2026, 10, 7, 6, tzinfo=UTC))
    return stage


def report(stage: Staged, seen_at: datetime, *problems: str) -> None:
    node = NodeReport(
        node="box:4711",
        version="0.1.0",
        started_at=seen_at - timedelta(days=3),
        seen_at=seen_at,
        problems=problems,
        receivers=("desk", "leads"),
    )
    stage.with_ledger(lambda ledger: ledger.report(node))


def health(stage: Staged, now: datetime) -> Health:
    return stage.with_ledger(lambda ledger: read_health(ledger, now))


def text_of(page: RenderableType, columns: int) -> str:
    console = Console(width=columns, highlight=False, emoji=False, no_color=True)
    with console.capture() as captured:
        console.print(page)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


@pytest.mark.parametrize("columns", [80, 120])
def test_the_page(stage: Staged, columns: int) -> None:
    """The status page starts with the verdict, and then shows daemons, problems, reminders and deliveries."""
    report(stage, NOW - timedelta(seconds=20), "milestones/bad.yaml:3:5: no such key")

    page = text_of(render_status(health(stage, NOW)), columns)

    assert max(len(line) for line in page.splitlines()) <= columns
    assert_golden(f"status-{columns}.txt", page)


def test_daemons_with_different_versions_are_a_problem(stage: Staged) -> None:
    """Running daemons with different versions are a problem. A stopped daemon is not compared.

    The page also marks the daemon that reconciles.
    """

    async def write(ledger: Ledger) -> None:
        for node, version, stopped in (("a", "1.0", False), ("b", "1.1", False), ("c", "0.9", True)):
            report = NodeReport(node=node, version=version, started_at=NOW, seen_at=NOW, stopped=stopped)
            await ledger.report(report)
        await ledger.take_lead("b", NOW, duration=timedelta(minutes=1))

    stage.with_ledger(write)

    found = health(stage, NOW)
    page = text_of(render_status(found), 100)

    assert "the daemons run different versions: a runs 1.0; b runs 1.1" in found.wrong
    assert [line.split()[0] for line in page.splitlines() if "reconciles" in line] == ["b"]


def test_status_without_problems(tmp_path: Path) -> None:
    """status exits with 0 if a daemon was just seen, no reminder is late and no delivery is dead."""
    quiet = TIMELINE.partition("milestones:")[0] + "milestones:\n  - {id: m, title: M, deadline: 2099-09}\n"
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG, iraq=quiet))
    stage.daemon_at(app.now())
    report(stage, app.now())

    ran = run("status", *stage.args)

    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[0].startswith("All is well.")


WRONG = {
    "no daemon": (timedelta(minutes=6), (), "no daemon is running: the last was seen 6 minutes ago"),
    "a problem in a file": (timedelta(0), ("milestones/bad.yaml:1:1: bad",), "1 problem in the files"),
}


@pytest.mark.parametrize("name", WRONG)
def test_problems_exit_1(tmp_path: Path, name: str) -> None:
    """status names each problem and exits with 1, both for text and for JSON."""
    ago, problems, message = WRONG[name]
    quiet = TIMELINE.partition("milestones:")[0] + "milestones:\n  - {id: m, title: M, deadline: 2099-09}\n"
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG, iraq=quiet))
    stage.daemon_at(app.now())
    report(stage, app.now() - ago, *problems)

    ran = run("status", *stage.args)
    facts = run("status", *stage.args, "--format", "json")

    assert (ran.code, facts.code) == (1, 1)
    assert message.lower() in ran.out.lower()
    assert json.loads(facts.out)["wrong"] == [message]


def test_late_reminders_and_dead_deliveries_are_problems(stage: Staged) -> None:
    """A late reminder, and a delivery that died within the last week, are problems."""
    report(stage, NOW + timedelta(days=3))

    now = health(stage, NOW)
    later = health(stage, NOW + timedelta(days=30))

    assert "1 delivery died in the last seven days" in now.wrong
    assert "1 delivery died in the last seven days" not in later.wrong
    assert any(wrong.startswith("a reminder has been waiting for ") for wrong in later.wrong)


def list_wrong(stage: Staged, now: datetime, **known: object) -> tuple[str, ...]:
    found: Health = stage.with_ledger(lambda ledger: read_health(ledger, now, **known))  # type: ignore[arg-type]
    return found.wrong


@pytest.fixture
def quiet(tmp_path: Path) -> Staged:
    """A ledger on which a daemon reported at NOW, and on which nothing is due for years."""
    distant = "milestones:\n  - {id: m, title: M, deadline: 2099-09}\n"
    timeline = TIMELINE.partition("milestones:")[0] + distant
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG, iraq=timeline))
    stage.daemon_at(NOW)
    report(stage, NOW)
    return stage


def test_a_daemon_that_does_not_report_is_a_problem(quiet: Staged) -> None:
    """It reports every 20 seconds; what it cannot write, nobody else can read."""
    silent = (
        "box:4711 has not reported for 50 seconds: it cannot write the ledger, is stuck, or has ended"
        " without reporting that"
    )

    assert list_wrong(quiet, NOW + timedelta(seconds=49)) == ()
    assert list_wrong(quiet, NOW + timedelta(seconds=50)) == (silent,)


def test_what_the_daemon_says_now_counts_for_what_it_last_wrote(quiet: Staged) -> None:
    """Its last report is from before the disk was full. A daemon that answers is not silent."""
    full = "unwritable: the ledger cannot be written since 06:08Z: the disk is full"
    well, failing = (
        LiveReport(node="box:4711"),
        LiveReport(node="box:4711", findings=(full,), paused=("a/b",)),
    )
    later = NOW + timedelta(minutes=4)

    assert list_wrong(quiet, later, live=[well]) == ()
    assert list_wrong(quiet, later, live=[failing]) == (
        f"the audit of box:4711 found: {full}",
        "a/b does not answer",
    )
    assert len(list_wrong(quiet, later, live=[LiveReport(node="other:1")])) == 1


def test_a_daemon_that_is_known_to_have_ended_is_not_running(quiet: Staged) -> None:
    """Its process has gone, and it reported seconds ago: it was killed."""
    wrong = list_wrong(quiet, NOW + timedelta(seconds=5), is_gone=lambda node: node == "box:4711")

    assert wrong == ("no daemon is running: the last was seen 5 seconds ago",)


def test_an_obstacle_and_a_daemon_that_does_not_answer_are_problems(quiet: Staged) -> None:
    assert list_wrong(quiet, NOW, unanswered=["the daemon at /x is stuck"], obstacle="the disk is full") == (
        "the daemon at /x is stuck",
        "the ledger cannot be written: the disk is full",
    )


def test_a_row_that_cannot_be_read_is_a_problem_before_the_daemon_has_found_it(quiet: Staged) -> None:
    """The daemon's audit is up to a minute old. What it has found as well is said once."""
    edit(quiet, "update milestone set standing = '{'")

    (found,) = list_wrong(quiet, NOW)
    report = LiveReport(node="box:4711", findings=(f"unreadable: {found}",))

    assert found.startswith("1 row is set apart: milestone iraq/m: ")
    assert list_wrong(quiet, NOW, live=[report]) == (f"the audit of box:4711 found: unreadable: {found}",)


def test_damaged_pages_of_a_table_leave_the_rest_of_the_status(quiet: Staged) -> None:
    """The history is not needed to say which daemons run, and its damage is a problem."""
    edit(quiet, "pragma wal_checkpoint(truncate)")
    ledger = quiet.folder.parent / "ledger.sqlite3"
    with closing(sqlite3.connect(ledger)) as connection:
        (root,) = connection.execute("select rootpage from sqlite_schema where name = 'history'").fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
    with ledger.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)

    found = health(quiet, NOW)

    assert [node.node for node in found.nodes] == ["box:4711"]
    (wrong,) = found.wrong
    assert "malformed" in wrong
    assert "alertd restore" in wrong


def edit(stage: Staged, statement: str) -> None:
    """Change the ledger with SQL, as nobody should."""
    with closing(sqlite3.connect(stage.folder.parent / "ledger.sqlite3")) as connection, connection:
        connection.execute(statement)


def test_a_daemon_without_milestones_is_a_problem(tmp_path: Path) -> None:
    """Nobody is reminded of anything, which is not "all is well"."""
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG))
    report(stage, NOW)

    assert list_wrong(stage, NOW) == ("no milestone is loaded, so alertd sends no reminders",)


def test_a_channel_that_has_accepted_nothing_for_long_is_a_problem(stage: Staged) -> None:
    """Between two tries nothing is late, and nothing arrives either."""
    began = datetime(2026, 10, 14, 6, tzinfo=UTC)
    stage.outcomes["leads/console"] = Retry(reason="HTTP 502 from example.org")
    for minutes in (0, 29, 31):
        stage.daemon_at(began + timedelta(minutes=minutes))
        report(stage, began + timedelta(minutes=minutes))
        wrong = list_wrong(stage, began + timedelta(minutes=minutes))
        failing = [problem for problem in wrong if problem.startswith("a delivery to leads/console")]

        expected = ["a delivery to leads/console has failed for 31 minutes"] if minutes == 31 else []
        assert failing == expected, minutes


def test_a_late_reminder_is_a_problem_after_a_minute(stage: Staged) -> None:
    """A daemon decides about what is due within moments."""
    due = min(reminder.wake_at for reminder in health(stage, NOW).coming)
    late = "a reminder has been waiting for 1 minute"

    assert late not in list_wrong(stage, due + timedelta(seconds=60))
    assert late in list_wrong(stage, due + timedelta(seconds=61))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that holds a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        capture_output=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_found_without_a_daemon(small_disk: Path) -> None:
    """A ledger may be read on a full disk, and then nobody is there to say that it cannot be written."""
    url = f"sqlite:///{small_disk}/ledger.sqlite3"
    before = find_write_obstacle(url)
    with suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))

    assert before == ""
    assert find_write_obstacle(url) == f"the disk of {small_disk} is full; free some space on it"


def test_a_missing_folder_is_an_obstacle_and_a_server_is_not_examined(tmp_path: Path) -> None:
    assert find_write_obstacle(f"sqlite:///{tmp_path}/none/ledger.sqlite3") != ""
    assert find_write_obstacle("postgresql://db.example.org/alertd") == ""


@pytest.mark.parametrize(
    "command",
    [
        ("status",), ("history",), ("history", "m"), ("explain", "phase-2", "--ledger"), ("ack", "m"),
        ("done", "m"), ("retry", "msg_x"),
    ],
)  # fmt: skip
def test_a_missing_ledger_is_a_problem(command: tuple[str, ...], tmp_path: Path) -> None:
    """Without a ledger a command reports the path that it tried, and creates no file."""
    folder = write_folder(tmp_path / "config", CONFIG, t=TIMELINE)
    place = tmp_path / "state" / "none.sqlite3"

    ran = run(*command, "--config", folder, "--database", f"sqlite:///{place}")

    assert (ran.code, ran.out) == (1, "")
    assert f"there is no ledger at {place}: no daemon has run on it yet" in ran.err
    assert not place.parent.exists()


@pytest.mark.parametrize("columns", [80, 120])
def test_the_history(stage: Staged, columns: int) -> None:
    """history lists, by day and newest first, loaded files, deliveries and the outcomes of attempts."""
    ran = run("history", "phase-2", *stage.args, columns=columns)

    assert (ran.code, ran.err) == (0, "")
    assert max(len(line) for line in ran.lines) <= columns
    assert_golden(f"history-{columns}.txt", ran.out)


def test_history_for_programs(stage: Staged) -> None:
    """jsonl prints a line for each entry and delivery, newest first. json prints the same as one array."""
    rows = [json.loads(line) for line in run("history", *stage.args, "--format", "jsonl").lines]

    assert json.loads(run("history", *stage.args, "--format", "json").out) == rows
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    dead = next(row for row in rows if row["type"] == "delivery" and row["state"] == "dead")
    assert dead["attempts"][0]["outcome"] == "rejected"
    assert dead["carries"][0]["milestone"] == "iraq/phase-2"
    assert {row["kind"] for row in rows if row["type"] == "entry"} == {"loaded"}
    assert len(run("history", *stage.args, "--format", "jsonl", "--limit", "2").lines) == 2


def test_migrate_reports_the_revisions(tmp_path: Path) -> None:
    """migrate creates the tables of an empty database. A second run has nothing to do."""
    url = f"sqlite:///{tmp_path}/new.db"

    first, second = run("migrate", "--database", url), run("migrate", "--database", url)

    assert (first.code, second.code) == (0, 0)
    assert "was empty and is at revision" in " ".join(first.lines)
    assert "already" in " ".join(second.lines)


def test_a_failing_receiver_is_shown_with_its_first_and_its_last_error(stage: Staged) -> None:
    """status shows the first and the last error of a failing receiver, because they can differ."""
    for day, reason in ((14, "HTTP 502 from example.org"), (15, "no answer from example.org")):
        stage.outcomes["leads/console"] = Retry(reason=reason)
        stage.daemon_at(datetime(2026, 10, day, 6, tzinfo=UTC))

    page = text_of(render_status(health(stage, datetime(2026, 10, 15, 6, 10, tzinfo=UTC))), 100)

    _, _, failing = page.partition("Failing\n")
    assert failing.splitlines()[:3] == [
        "  leads/console",
        "    first, 1 day ago: HTTP 502 from example.org",
        "    last, 10 minutes ago: no answer from example.org",
    ]
