"""``alertd ack``, ``snooze``, ``done``, ``cancel``, ``reopen`` and ``retry`` on a real SQLite ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alertd import app
from alertd.core.ledger.outcome import Rejected
from alertd.core.ledger.records import DeliveryState
from tests.cli.stage import Staged, run, staged, write_folder

CONFIG = """\
ack_expires: 10d
route: {receiver: desk}
receivers:
  - {name: desk, notifiers: [{type: console}]}
"""


def timeline() -> str:
    """Return a timeline whose deadline is in 40 days: one of its reminders is past and two are not."""
    day = (app.now() + timedelta(days=40)).date()
    return (
        "timeline: t\ntitle: T\ntimezone: UTC\nmilestones:\n"
        f"  - {{id: m, title: M, deadline: {day}, policy: {{before: [60d, 30d, 20d]}}}}\n"
    )


@pytest.fixture
def stage(tmp_path: Path) -> Staged:
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG, t=timeline()))
    stage.daemon_at(app.now())
    return stage


def standing_after(stage: Staged, *args: str) -> tuple[object, str]:
    ran = run(*args, *stage.args, columns=300)
    assert (ran.code, ran.err) == (0, "")
    record = stage.with_ledger(lambda ledger: ledger.read_record("t/m"))
    assert record is not None
    return record.status, ran.out


def test_ack_holds_for_ack_expires(stage: Staged) -> None:
    """Without --until an acknowledgement lasts for ack_expires. The answer names its end and what is next."""
    before = app.now()

    status, out = standing_after(stage, "ack", "t/m", "--by", "Grace", "--why", "on it")

    until = getattr(status, "ack_until", None)
    assert isinstance(until, datetime)
    assert timedelta(0) <= until - (before + timedelta(days=10)) + timedelta(seconds=1) < timedelta(minutes=1)
    assert getattr(status, "ack_by", "") == "Grace"
    assert out.startswith("Acknowledged t/m: no reminder until ")
    assert "Next reminder: " in out
    assert "30 days before the deadline" in out or "20 days before the deadline" in out


def test_a_date_means_the_time_of_that_days_reminders(stage: Staged) -> None:
    """A date in --until means the policy's time of day on that date, in the milestone's zone."""
    day = (app.now() + timedelta(days=15)).date()

    status, out = standing_after(stage, "snooze", "m", "--until", day.isoformat())

    assert getattr(status, "snooze_until", None) == datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    assert getattr(status, "snooze_by", "") == "ada"
    assert "What is still true then is sent once, to desk." in out


def test_a_duration_keeps_the_clock_time(stage: Staged) -> None:
    """--until 7d means seven local days from now, at the same time of day."""
    status, _ = standing_after(stage, "ack", "m", "--until", "7d")

    until = getattr(status, "ack_until", None)
    assert isinstance(until, datetime)
    assert timedelta(0) <= app.now() + timedelta(days=7) - until < timedelta(minutes=1)


def test_done_and_reopen(stage: Staged) -> None:
    """done records today's date in the milestone's zone, notifies earlier recipients, and can be reopened."""
    status, out = standing_after(stage, "done", "m", "--evidence", "https://example.org/proof")
    assert getattr(status, "done_on", None) == app.now().date()
    assert getattr(status, "evidence", "") == "https://example.org/proof"
    assert out.endswith("No further reminder. desk had been told of it and will hear so.\n")

    explained = run("explain", "m", *stage.args)
    assert "Next\n  Nothing: it is done on " in explained.out
    assert "  Done on " in explained.out

    again = run("done", "m", *stage.args)
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith("alertd: t/m is done on ")

    _, out = standing_after(stage, "reopen", "m")
    assert out.startswith("Open again: t/m. Next reminder: ")


def test_cancel(stage: Staged) -> None:
    """cancel ends the reminders, and its answer names the command that undoes it."""
    status, out = standing_after(stage, "cancel", "m", "--why", "it was a mistake")

    assert getattr(status, "cancelled", False)
    assert out == "Cancelled t/m: no further reminder. `alertd reopen t/m` takes it back.\n"


def test_actions_are_in_the_history(stage: Staged) -> None:
    """history shows who recorded an action, and why."""
    standing_after(stage, "ack", "m", "--until", "7d", "--by", "Grace", "--why", "on it")

    ran = run("history", "m", *stage.args)

    assert ran.code == 0
    assert "acknowledged  t/m" in ran.out
    assert "by Grace: on it" in ran.out


USAGE = {
    "the past": (("ack", "m", "--until", "2020-01-01"), "not in the future"),
    "no date": (("done", "m", "--on", "today"), "'today' is no date"),
    "a day to come": (("done", "m", "--on", "2999-01-01"), "if it came about today leave this out"),
    "snooze needs an end": (("snooze", "m"), "--until"),
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_changes_nothing(stage: Staged, name: str) -> None:
    """Wrong usage exits with 2 and does not change the ledger."""
    args, message = USAGE[name]
    before = stage.with_ledger(lambda ledger: ledger.read_record("t/m"))

    ran = run(*args, *stage.args, columns=300)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert stage.with_ledger(lambda ledger: ledger.read_record("t/m")) == before


def test_an_unknown_person_is_wrong_usage(stage: Staged) -> None:
    """The acting person is --by, else $SUDO_USER, else $USER. Without all three the command asks for --by."""
    unnamed = run("cancel", "m", *stage.args, USER="", SUDO_USER="")
    assert (unnamed.code, unnamed.out) == (2, "")
    assert "--by" in unnamed.err

    assert run("cancel", "m", *stage.args, USER="root", SUDO_USER="grace").code == 0
    record = stage.with_ledger(lambda ledger: ledger.read_record("t/m"))
    assert record is not None
    assert record.status.cancelled_by == "grace"


def test_an_unknown_milestone(stage: Staged, tmp_path: Path) -> None:
    """The error for a mistyped id suggests the nearest id. A missing ledger is an error of its own."""
    ran = run("ack", "t/n", *stage.args)
    empty = run(
        "ack", "t/m", "--config", str(stage.folder), "--database", f"sqlite:///{tmp_path}/new.sqlite3"
    )

    assert (ran.code, ran.err) == (1, "alertd: no milestone 't/n'; did you mean t/m?\n")
    assert empty.code == 1
    assert "no daemon has run on it yet" in empty.err


@pytest.mark.parametrize("name", ["t/m", "m"])
def test_a_record_that_cannot_be_read_is_not_an_unknown_milestone(stage: Staged, name: str) -> None:
    """The milestone exists, so the error says what is wrong with its record. Its history is still shown."""
    run("ack", "t/m", *stage.args)
    with closing(sqlite3.connect(stage.folder.parent / "ledger.sqlite3")) as connection, connection:
        connection.execute("update milestone set standing = '{'")

    ran = run("done", name, *stage.args)
    history = run("history", name, *stage.args)
    explained = run("explain", name, *stage.args)

    assert ran.code == 1
    assert ran.err.startswith("alertd: the row 't/m' of the table milestone cannot be read: ")
    assert history.code == 0
    assert "t/m" in history.out
    assert explained.err.startswith("alertd: the row 't/m' of the table milestone cannot be read: ")
    assert "from the files alone" in " ".join(explained.err.split())


def test_retry_makes_a_dead_delivery_ready(tmp_path: Path) -> None:
    """retry accepts the id of a dead delivery. The id of any other delivery is an error."""
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG, t=timeline()))
    stage.outcomes["desk/console"] = Rejected(reason="it is closed")
    stage.daemon_at(app.now())
    dead = stage.with_ledger(lambda ledger: ledger.find_deliveries(state=DeliveryState.DEAD))[0][0].id

    ran = run("retry", dead, *stage.args)
    again = run("retry", dead, *stage.args)
    unknown = run("retry", "msg_x", *stage.args)

    assert (ran.code, ran.out) == (0, f"{dead} will be sent again to desk/console.\n")
    assert (again.code, unknown.code) == (1, 1)
    assert unknown.err.startswith("alertd: ")
