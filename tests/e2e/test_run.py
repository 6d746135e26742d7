"""The real daemon against a real HTTP sink and a real SMTP server."""

import json
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from alertd.testing import Answer, Fault
from tests.e2e.stage import SECRET, Stage, a_stage, body, in_a_minute, reminded_at

pytestmark = pytest.mark.long

YEARS_AHEAD = "2099-09-30T12:00"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        yield made


async def test_reminder_reaches_webhook_slack_and_mail(stage: Stage) -> None:
    """When it is due, and not before, each channel gets it in its own form, with the id in it."""
    deadline = in_a_minute(1)
    stage.write_config(
        stage.hook(),
        f"{{type: slack, webhook_url: '{stage.http.url}/slack'}}",
        "{type: email, to: [desk@example.org]}",
    )
    stage.write_timeline(m=deadline)

    daemon = await stage.start()
    await stage.until(lambda: len(stage.requests) >= 2 and len(stage.mails) >= 1)
    await daemon.until("delivery.sent", 3)
    status = await daemon.stop()

    assert (status, len(stage.requests), len(stage.mails)) == (0, 2, 1)
    assert daemon.garbage == []

    hook = next(one for one in stage.requests if one.path == "/hook")
    verified = Webhook(SECRET).verify(hook.body, dict(hook.headers))
    assert verified["type"] == "milestone.approaching"
    assert verified["data"]["id"] == hook.headers["webhook-id"] == hook.headers["idempotency-key"]
    assert verified["data"]["items"][0]["milestone"] == "t/m"
    assert datetime.fromisoformat(verified["data"]["composed"]) >= reminded_at(deadline)

    slack = body(next(one for one in stage.requests if one.path == "/slack"))
    assert "It comes about" in slack["text"]
    assert "msg_" in json.dumps(slack)

    mail = stage.mails[0].message
    parts = [part.get_content_type() for part in mail.walk()]
    assert parts == ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar"]
    assert all("It comes about" in part.get_content() for part in mail.walk() if not part.is_multipart())
    assert mail["Message-ID"].startswith("<msg_")
    assert stage.mails[0].recipients == ("desk@example.org",)
    ids = [hook.headers["webhook-id"], mail["Message-ID"].partition("@")[0].lstrip("<")]
    assert set(ids) < {one["delivery"] for one in daemon.events if one["event"] == "delivery.sent"}


async def test_kill_and_start_again_repeats_and_loses_nothing(stage: Stage) -> None:
    """Killed after one reminder and started after the next fell due: each arrives once, under its own id."""
    stage.write_config()
    first, second = in_a_minute(0), in_a_minute(2)
    stage.write_timeline(m=first, n=second)

    daemon = await stage.start()
    await daemon.until("delivery.sent")
    killed = await daemon.kill()
    for _ in range(2):
        daemon = await stage.start()
        await stage.until(lambda: len(stage.requests) >= 2)
        await daemon.until("daemon.ready")
        await daemon.kill()
    daemon = await stage.start()
    status = await daemon.stop()

    assert (killed, status) == (-signal.SIGKILL, 0)
    # On a busy machine both may be due before the first is sent; then either is first.
    assert sorted(body(one)["data"]["items"][0]["milestone"] for one in stage.requests) == ["t/m", "t/n"]
    assert len({one.headers["webhook-id"] for one in stage.requests}) == 2


async def test_what_people_say_takes_effect_while_it_runs(stage: Stage) -> None:
    """Commands of other processes count at once: acknowledged is not sent, done is told."""
    stage.write_config()
    stage.write_timeline(told=in_a_minute(0), acked=in_a_minute(8))
    daemon = await stage.start()

    await stage.command("ack", "t/acked", "--until", "1d", "--by", "ada")
    await daemon.until("delivery.sent")
    await stage.command("done", "t/told", "--by", "ada", "--evidence", "https://example.org/photo")
    await stage.until(lambda: len(stage.requests) >= 2)
    suppressed = await daemon.until("occurrence.suppressed")
    await daemon.stop()

    assert [body(one)["type"] for one in stage.requests] == ["milestone.approaching", "milestone.done"]
    assert suppressed["reason"] == "acknowledged by ada"


async def test_dead_delivery_is_told_and_sent_again(stage: Stage) -> None:
    """What is refused is dead, goes to the fallback, is told to the operator, and `retry` sends it again."""
    stage.http.answers = [Answer(status=410), Answer()]
    stage.write_config(
        more="  - name: spare\n    notifiers: [{type: email, to: [spare@example.org]}]\n"
        "fallback_receiver: spare\noperator: spare\n"
    )
    stage.write_timeline(m=in_a_minute(0))
    daemon = await stage.start()
    died = await daemon.until("delivery.died")
    await stage.until(lambda: len(stage.mails) >= 2)

    await stage.command("retry", died["delivery"], "--by", "ada")
    await daemon.until("delivery.sent", 3)
    await daemon.stop()

    subjects = sorted(mail.message["Subject"] for mail in stage.mails)
    assert [one.headers["webhook-id"] for one in stage.requests] == [died["delivery"]] * 2
    assert any("It comes about" in subject for subject in subjects)
    assert any("desk/webhook" in subject for subject in subjects)


async def test_reload_takes_good_files_and_keeps_the_last_good_ones(stage: Stage) -> None:
    """SIGHUP and a changed file are taken up; a broken one is refused; log, status and a notice say so."""
    ops = f"  - name: ops\n    notifiers: [{stage.hook('/ops')}]\noperator: ops\n"
    stage.write_config(more=ops)
    stage.write_timeline(m=YEARS_AHEAD)
    daemon = await stage.start()

    stage.write("milestones/t.yaml", "timeline: t\ntitle: [\n")
    daemon.signal(signal.SIGHUP)
    refused = await daemon.until("file.refused")
    await stage.until(lambda: len(stage.requests) >= 1)
    # Something is wrong, so it exits with 1.
    status = await stage.command("status", "--format", "json", status=1)
    with closing(sqlite3.connect(stage.ledger)) as ledger:
        known = ledger.execute("select id, withdrawn from milestone").fetchall()

    stage.write("alertd.yaml", "route: {}\n")
    daemon.signal(signal.SIGHUP)
    await daemon.until("config.refused")
    await stage.until(lambda: len(stage.requests) >= 2)

    # Nobody sends a signal for this: the files have changed.
    stage.write_config(more=ops)
    stage.write_timeline(m=YEARS_AHEAD, n=in_a_minute(0))
    await stage.until(lambda: len(stage.requests) >= 3)
    await daemon.stop()

    assert refused["problem"].startswith("milestones/t.yaml:")
    assert refused["problem"] in status
    assert known == [("t/m", 0)]
    assert [one.path for one in stage.requests] == ["/ops", "/ops", "/hook"]
    assert refused["problem"] in body(stage.requests[0])["data"]["lines"]
    assert body(stage.requests[2])["data"]["items"][0]["milestone"] == "t/n"


async def test_service_manager_hears_of_it(stage: Stage, tmp_path: Path) -> None:
    """READY once it runs, RELOADING with the time and READY again for SIGHUP, STOPPING at the end."""
    stage.write_config()
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)) as manager:
        manager.bind(str(tmp_path / "notify"))
        daemon = await stage.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="30000000")
        before_s = time.clock_gettime(time.CLOCK_MONOTONIC)
        daemon.signal(signal.SIGHUP)
        await daemon.until("config.loaded", 2)
        await daemon.stop()
        said = _datagrams(manager)

    names = [one.partition("=")[0] for one in said]
    assert [one for one in names if one not in {"STATUS", "WATCHDOG"}] == [
        "READY", "RELOADING", "READY", "STOPPING",
    ]  # fmt: skip
    assert "WATCHDOG" in names
    (reloading,) = [one for one in said if one.startswith("RELOADING=1\nMONOTONIC_USEC=")]
    told_s = int(reloading.rpartition("=")[2]) / 1_000_000
    assert before_s - 0.001 <= told_s <= time.clock_gettime(time.CLOCK_MONOTONIC)


async def test_hanging_receiver_does_not_keep_it_from_stopping(stage: Stage) -> None:
    """SIGTERM waits for what is in flight within its limit, writes down how it ended, and exits 0."""
    stage.http.answers = [Answer(fault=Fault.HANG)]
    stage.write_config()
    stage.write_timeline(m=in_a_minute(0))
    daemon = await stage.start()
    await stage.until(lambda: len(stage.requests) >= 1)

    status = await daemon.stop()

    stopped = await daemon.until("daemon.stopped")
    with closing(sqlite3.connect(stage.ledger)) as ledger:
        found = ledger.execute("select outcome from attempt").fetchall()
    assert (status, stopped["unsettled"]) == (0, 0)
    assert found == [("unknown",)]


async def test_nothing_to_run_on(stage: Stage) -> None:
    """Without a good configuration it says what is wrong and exits so that nobody starts it again."""
    stage.write("alertd.yaml", "route: {}\n")

    daemon = await stage.spawn()

    assert await daemon.ended() == 78
    refused = await daemon.until("config.refused")
    assert refused["problem"].startswith("alertd.yaml:1:")


async def test_configuration_that_vanishes_is_refused_while_it_runs_and_at_the_next_start(
    stage: Stage,
) -> None:
    """The running daemon keeps its receivers. The next start has none to keep, and exits with 78."""
    stage.write_config(more=f"  - name: ops\n    notifiers: [{stage.hook('/ops')}]\noperator: ops\n")
    stage.write_timeline(m=YEARS_AHEAD)
    daemon = await stage.start()

    stage.write("alertd.yaml", "# the editor has lost the rest\n")
    daemon.signal(signal.SIGHUP)
    refused = await daemon.until("config.refused")
    await stage.until(lambda: len(stage.requests) >= 1)
    stopped = await daemon.stop()
    again = await stage.spawn()
    status = await again.ended()

    assert refused["problem"].startswith("alertd.yaml:1:1: the file has no content; ")
    assert body(stage.requests[0])["data"]["lines"] == [refused["problem"]]
    assert (stopped, daemon.printed) == (0, "")
    assert status == 78
    assert [one["problem"] for one in again.events if one["event"] == "config.refused"] == [
        refused["problem"]
    ]


async def test_ledger_that_cannot_be_opened_is_one_line(stage: Stage) -> None:
    """A ledger that is none is refused in one line, with exit 65 and no traceback."""
    stage.write_config()
    spoil(stage.ledger)

    daemon = await stage.spawn()

    assert await daemon.ended() == 65
    assert daemon.garbage == []
    (line,) = daemon.events
    assert line["event"] == "ledger.damaged"
    assert str(stage.ledger) in line["reason"]


def spoil(ledger: Path) -> None:
    ledger.write_bytes(b"this is no database, whatever its name says\n" * 100)


def _datagrams(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found
