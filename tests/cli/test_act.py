"""``alertd ack``, ``snooze``, ``done``, ``cancel``, ``reopen`` and ``retry`` on a real SQLite ledger."""

from __future__ import annotations

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
    """A deadline 40 days from now: its 90 days before is past, its 30 days before is to come."""
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
    record = stage.with_ledger(lambda book: book.record("t/m"))
    assert record is not None
    return record.standing, ran.out


def test_ack_holds_for_ack_expires(stage: Staged) -> None:
    """Without --until an acknowledgement holds for ack_expires; it says until when and what comes next."""
    before = app.now()

    standing, out = standing_after(stage, "ack", "t/m", "--by", "Grace", "--why", "on it")

    until = getattr(standing, "ack_until", None)
    assert isinstance(until, datetime)
    assert timedelta(0) <= until - (before + timedelta(days=10)) + timedelta(seconds=1) < timedelta(minutes=1)
    assert getattr(standing, "ack_by", "") == "Grace"
    assert out.startswith("Acknowledged t/m: no reminder until ")
    assert "Next reminder: " in out
    assert "30 days before the deadline" in out or "20 days before the deadline" in out


def test_a_date_means_when_reminders_of_that_day_go_out(stage: Staged) -> None:
    """--until with a date is the policy's time of day in the milestone's zone."""
    day = (app.now() + timedelta(days=15)).date()

    standing, out = standing_after(stage, "snooze", "m", "--until", day.isoformat())

    assert getattr(standing, "snooze_until", None) == datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    assert getattr(standing, "snooze_by", "") == "ada"
    assert "What is still true then is sent once, to desk." in out


def test_a_duration_keeps_the_clock_time(stage: Staged) -> None:
    """--until 7d is seven local days from now."""
    standing, _ = standing_after(stage, "ack", "m", "--until", "7d")

    until = getattr(standing, "ack_until", None)
    assert isinstance(until, datetime)
    assert timedelta(0) <= app.now() + timedelta(days=7) - until < timedelta(minutes=1)


def test_done_and_reopen(stage: Staged) -> None:
    """done takes today in the milestone's zone, tells whoever was told, and is taken back by reopen."""
    standing, out = standing_after(stage, "done", "m", "--evidence", "https://example.org/proof")
    assert getattr(standing, "done_on", None) == app.now().date()
    assert getattr(standing, "evidence", "") == "https://example.org/proof"
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
    """cancel ends reminders and names the way back."""
    standing, out = standing_after(stage, "cancel", "m", "--why", "it was a mistake")

    assert getattr(standing, "cancelled", False)
    assert out == "Cancelled t/m: no further reminder. `alertd reopen t/m` takes it back.\n"


def test_what_was_said_is_in_the_history(stage: Staged) -> None:
    """history names who said it and why."""
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
    """Wrong usage exits 2, and the ledger is as it was."""
    args, message = USAGE[name]
    before = stage.with_ledger(lambda book: book.record("t/m"))

    ran = run(*args, *stage.args, columns=300)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert stage.with_ledger(lambda book: book.record("t/m")) == before


def test_nobody_by_name_is_wrong_usage(stage: Staged) -> None:
    """Who says so is --by, else $SUDO_USER, else $USER; with none of them it is asked for."""
    nobody = run("cancel", "m", *stage.args, USER="", SUDO_USER="")
    assert (nobody.code, nobody.out) == (2, "")
    assert "--by" in nobody.err

    assert run("cancel", "m", *stage.args, USER="root", SUDO_USER="grace").code == 0
    record = stage.with_ledger(lambda book: book.record("t/m"))
    assert record is not None
    assert record.standing.cancelled_by == "grace"


def test_an_unknown_milestone(stage: Staged, tmp_path: Path) -> None:
    """A mistyped id gets the nearest; where no daemon has run, that is said."""
    ran = run("ack", "t/n", *stage.args)
    empty = run(
        "ack", "t/m", "--config", str(stage.folder), "--database", f"sqlite:///{tmp_path}/new.sqlite3"
    )

    assert (ran.code, ran.err) == (1, "alertd: no milestone 't/n'; did you mean t/m?\n")
    assert empty.code == 1
    assert "no daemon has run on it yet" in empty.err


def test_retry_makes_a_dead_delivery_ready(tmp_path: Path) -> None:
    """retry takes the id of a dead delivery; another one's is a problem."""
    stage = staged(tmp_path, write_folder(tmp_path / "config", CONFIG, t=timeline()))
    stage.outcomes["desk/console"] = Rejected(reason="it is closed")
    stage.daemon_at(app.now())
    dead = stage.with_ledger(lambda book: book.deliveries(state=DeliveryState.DEAD))[0][0].id

    ran = run("retry", dead, *stage.args)
    again = run("retry", dead, *stage.args)
    unknown = run("retry", "msg_x", *stage.args)

    assert (ran.code, ran.out) == (0, f"{dead} will be sent again to desk/console.\n")
    assert (again.code, unknown.code) == (1, 1)
    assert unknown.err.startswith("alertd: ")
