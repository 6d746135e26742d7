"""Runs the demo as fast as possible, with the real daemon and real servers, and checks what arrived."""

from __future__ import annotations

import base64
import io
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from alertd.core.ledger.records import DeliveryState
from alertd.core.milestones.occurrence import Cause
from alertd.demo import run
from alertd.demo.audit import DemoAudit, audit
from alertd.demo.inbox import MailReceived, WebhookPost
from alertd.demo.occasion import ReminderOccasion
from alertd.demo.play import Played, play
from alertd.demo.screen import Screen
from alertd.demo.stage import SECRET, open_stage
from alertd.demo.story import BEGINS, RETRY_AFTER_S


@pytest.fixture(scope="module")
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def whole(shown: io.StringIO) -> tuple[Played, DemoAudit, Path]:
    """The results of one run, which the tests below share and do not change."""
    import asyncio

    async def once() -> tuple[Played, DemoAudit, Path]:
        async with open_stage(BEGINS) as running:
            played = await play(running, Screen(shown), seconds=0)
            sent = await running.ledger.find_deliveries(state=DeliveryState.SENT, limit=1_000)
            assert len(sent) == len({receipt.id for receipt in played.receipts})
            return played, await audit(running.ledger, played), running.folder

    return asyncio.run(once())


def told(played: Played, milestone: str, cause: Cause) -> list[ReminderOccasion]:
    return [
        occasion for occasion in played.occasions if (occasion.short, occasion.cause) == (milestone, cause)
    ]


def test_nothing_is_lost_or_repeated(whole: tuple[Played, DemoAudit, Path]) -> None:
    """Exactly the deliveries that the ledger records as sent arrive, each once, in all three channels."""
    played, found, _ = whole

    accepted = Counter(receipt.id for receipt in played.receipts if receipt.accepted)

    assert set(accepted.values()) == {1}
    assert (found.lost, found.repeated, found.errors) == ((), (), "")
    assert found.sent["slack"] == found.sent["webhook"] > found.sent["email"] > 10


def test_every_signature_is_valid(
    whole: tuple[Played, DemoAudit, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference library computes the same signature for each webhook and virtual instant."""
    played, found, _ = whole
    library = Webhook("whsec_" + base64.b64encode(SECRET).decode())
    posts = [receipt for receipt in played.receipts if isinstance(receipt, WebhookPost)]

    for post in posts:
        at = datetime.fromtimestamp(int(post.headers["webhook-timestamp"]), tz=UTC)
        assert at == post.at.replace(microsecond=0)
        # The library's `verify` always uses the machine's clock, so the test compares only the signatures.
        expected = library.sign(msg_id=post.id, timestamp=at, data=post.body.decode())
        assert post.headers["webhook-signature"] == expected

    assert len(posts) == found.sent["webhook"] + 1
    assert found.forged == ()


def test_every_mail_has_both_parts(whole: tuple[Played, DemoAudit, Path]) -> None:
    """Each mail has a text and an HTML part, and the sender and the recipients of the configuration."""
    played, _, _ = whole
    mails = [receipt for receipt in played.receipts if isinstance(receipt, MailReceived)]

    for mail in mails:
        assert mail.mail.get_content_type() in ("multipart/alternative", "multipart/mixed")
        assert "leave" in mail.part("plain") or "sign" in mail.part("plain")
        assert "<html" in mail.part("html")
        assert mail.envelope.sender == "alertd@demo.example"
        assert mail.envelope.recipients == ("leads@demo.example",)
    assert len({str(mail.mail["Message-ID"]) for mail in mails}) == len(mails)


def test_a_retry_is_the_same_request(whole: tuple[Played, DemoAudit, Path]) -> None:
    """A request that was answered with 503 is repeated after Retry-After, with the same id and content."""
    played, found, _ = whole
    refused = [
        receipt for receipt in played.receipts if isinstance(receipt, WebhookPost) and not receipt.accepted
    ]
    again = [receipt for receipt in played.receipts if receipt.id == refused[0].id and receipt.accepted]

    assert len(refused) == len(again) == 1
    assert isinstance(again[0], WebhookPost)
    waited_s = (again[0].at - refused[0].at).total_seconds()
    assert RETRY_AFTER_S <= waited_s < RETRY_AFTER_S + 60
    first, second = dict(refused[0].payload["data"]), dict(again[0].payload["data"])
    assert first.pop("composed") < second.pop("composed")
    assert second == first
    assert (refused[0].headers["alertd-attempt"], again[0].headers["alertd-attempt"]) == ("1", "2")
    assert found.retried == {refused[0].id: 2}


def test_each_receiver_gets_one_message_about_the_move(whole: tuple[Played, DemoAudit, Path]) -> None:
    """Every receiver gets one message about the move. After it, only the new date has reminders."""
    played, _, _ = whole
    moved = told(played, "phase-2", Cause.MOVED)
    after = [occasion for occasion in played.occasions if occasion.at > moved[0].at]

    assert len(moved) == 1
    assert len(moved[0].receipts) == 3
    assert moved[0].receipts[0].subject.startswith("Moved from the end of 2026 to 15 January 2027")
    assert not [occasion for occasion in after if occasion.at < datetime(2026, 12, 16, tzinfo=UTC)]
    due = told(played, "phase-2", Cause.DUE)[-1]
    assert due.at == datetime(2027, 1, 15, 6, tzinfo=UTC)


def test_actions_stop_reminders(whole: tuple[Played, DemoAudit, Path]) -> None:
    """After done there are no reminders. An acknowledgement holds reminders back until it ends.

    Then each receiver gets one more message, that the date has passed. The receiver whose route is muted at
    weekends gets its message after the weekend.
    """
    played, found, _ = whole

    signing = [(occasion.offset, occasion.late) for occasion in told(played, "signing", Cause.OVERDUE)]
    assert [offset for offset, _ in signing] == ["+1d", "+28d", "+28d"]
    assert "weekend" in signing[2][1]
    assert [occasion.offset for occasion in told(played, "phase-1", Cause.OVERDUE)] == ["+1d"]
    assert len(told(played, "phase-1", Cause.DONE)) == 1
    assert any("done on 2025-10-04" in reason for reason in found.unsent)


def test_every_reminder_is_on_time_or_has_a_reason(whole: tuple[Played, DemoAudit, Path]) -> None:
    """Only the first reminder, which was due before the start, and reminders held by a weekend are late."""
    played, _, _ = whole

    late = {occasion.late.partition(":")[2].strip() for occasion in played.occasions if occasion.late}

    assert late == {"alertd was not there yet", "weekend"}


def test_the_folder_is_removed(whole: tuple[Played, DemoAudit, Path]) -> None:
    """The demo removes its temporary folder."""
    _, _, folder = whole

    assert not folder.exists()


def test_the_output(caplog: pytest.LogCaptureFixture) -> None:
    """The demo exits with 0, shows messages in full, and prints no escape sequences without a terminal.

    Every connection is closed before the event loop is, so asyncio has nothing to report.
    """
    out = io.StringIO()

    code = run(out, seconds=0)

    text = out.getvalue()
    assert code == 0, text
    assert "\x1b" not in text
    assert "promise kept" in text
    assert "multipart" not in text
    assert text.count("✓ the signature fits") == 1
    assert "Passed yesterday by the minister's account; due in 91 days" in text
    assert max(len(line) for line in text.splitlines()) <= 120
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
