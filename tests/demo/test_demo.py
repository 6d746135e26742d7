"""The demo itself, as fast as it can: the true daemon, real servers, and all that arrived there."""

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
from alertd.demo.stage import SECRET, stage
from alertd.demo.story import BEGINS, RETRY_AFTER_S


@pytest.fixture(scope="module")
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def whole(shown: io.StringIO) -> tuple[Played, DemoAudit, Path]:
    """One run for all tests below; they only look at what it left."""
    import asyncio

    async def once() -> tuple[Played, DemoAudit, Path]:
        async with stage(BEGINS) as on:
            played = await play(on, Screen(shown), seconds=0)
            sent = await on.ledger.deliveries(state=DeliveryState.SENT, limit=1_000)
            assert len(sent) == len({receipt.id for receipt in played.receipts})
            return played, await audit(on.ledger, played), on.folder

    return asyncio.run(once())


def told(played: Played, milestone: str, cause: Cause) -> list[ReminderOccasion]:
    return [one for one in played.occasions if (one.short, one.cause) == (milestone, cause)]


def test_nothing_is_lost_and_nothing_comes_twice(whole: tuple[Played, DemoAudit, Path]) -> None:
    """What the ledger calls sent is what arrived, each id accepted once, in all three channels."""
    played, found, _ = whole

    accepted = Counter(receipt.id for receipt in played.receipts if receipt.accepted)

    assert set(accepted.values()) == {1}
    assert (found.lost, found.repeated, found.errors) == ((), (), "")
    assert found.sent["slack"] == found.sent["webhook"] > found.sent["email"] > 10


def test_every_signature_is_valid(
    whole: tuple[Played, DemoAudit, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference library accepts each webhook at the virtual instant at which it came."""
    played, found, _ = whole
    library = Webhook("whsec_" + base64.b64encode(SECRET).decode())
    posts = [receipt for receipt in played.receipts if isinstance(receipt, WebhookPost)]

    for post in posts:
        at = datetime.fromtimestamp(int(post.headers["webhook-timestamp"]), tz=UTC)
        assert at == post.at.replace(microsecond=0)
        # It compares with the machine's clock and can be told no other: so the signature alone is compared.
        expected = library.sign(msg_id=post.id, timestamp=at, data=post.body.decode())
        assert post.headers["webhook-signature"] == expected

    assert len(posts) == found.sent["webhook"] + 1
    assert found.forged == ()


def test_every_mail_has_both_parts(whole: tuple[Played, DemoAudit, Path]) -> None:
    """Text and HTML, both with the milestone's title, from and to whom the configuration says."""
    played, _, _ = whole
    mails = [receipt for receipt in played.receipts if isinstance(receipt, MailReceived)]

    for one in mails:
        assert one.mail.get_content_type() in ("multipart/alternative", "multipart/mixed")
        assert "leave" in one.part("plain") or "sign" in one.part("plain")
        assert "<html" in one.part("html")
        assert one.envelope.sender == "alertd@demo.example"
        assert one.envelope.recipients == ("leads@demo.example",)
    assert len({str(one.mail["Message-ID"]) for one in mails}) == len(mails)


def test_a_retry_is_the_same_request(whole: tuple[Played, DemoAudit, Path]) -> None:
    """What was turned away with 503 comes again when it was asked to: same id, same content."""
    played, found, _ = whole
    refused = [one for one in played.receipts if isinstance(one, WebhookPost) and not one.accepted]
    again = [one for one in played.receipts if one.id == refused[0].id and one.accepted]

    assert len(refused) == len(again) == 1
    assert isinstance(again[0], WebhookPost)
    waited_s = (again[0].at - refused[0].at).total_seconds()
    assert RETRY_AFTER_S <= waited_s < RETRY_AFTER_S + 60
    first, second = dict(refused[0].payload["data"]), dict(again[0].payload["data"])
    assert first.pop("composed") < second.pop("composed")
    assert second == first
    assert (refused[0].headers["alertd-attempt"], again[0].headers["alertd-attempt"]) == ("1", "2")
    assert found.retried == {refused[0].id: 2}


def test_the_move_is_told_once(whole: tuple[Played, DemoAudit, Path]) -> None:
    """Every receiver hears of it in one message; the old date's reminders stop, the new one's come."""
    played, _, _ = whole
    moved = told(played, "phase-2", Cause.MOVED)
    after = [one for one in played.occasions if one.at > moved[0].at]

    assert len(moved) == 1
    assert len(moved[0].receipts) == 3
    assert moved[0].receipts[0].subject.startswith("Moved from the end of 2026 to 15 January 2027")
    assert not [one for one in after if one.at < datetime(2026, 12, 16, tzinfo=UTC)]
    due = told(played, "phase-2", Cause.DUE)[-1]
    assert due.at == datetime(2027, 1, 15, 6, tzinfo=UTC)


def test_what_people_say_stops_the_nags(whole: tuple[Played, DemoAudit, Path]) -> None:
    """After done there is no further reminder; an acknowledgement holds them back until it ends, when it is
    said once more that the date has passed: to one receiver at once, to the other after its weekend."""
    played, found, _ = whole

    signing = [(one.offset, one.late) for one in told(played, "signing", Cause.OVERDUE)]
    assert [offset for offset, _ in signing] == ["+1d", "+28d", "+28d"]
    assert "weekend" in signing[2][1]
    assert [one.offset for one in told(played, "phase-1", Cause.OVERDUE)] == ["+1d"]
    assert len(told(played, "phase-1", Cause.DONE)) == 1
    assert any("done on 2025-10-04" in reason for reason in found.unsent)


def test_every_reminder_is_on_time_or_says_why_not(whole: tuple[Played, DemoAudit, Path]) -> None:
    """Never early; late are only the first, which was due before the start, and what a weekend held back."""
    played, _, _ = whole

    late = {occasion.late.partition(":")[2].strip() for occasion in played.occasions if occasion.late}

    assert late == {"alertd was not there yet", "weekend"}


def test_it_cleans_up(whole: tuple[Played, DemoAudit, Path]) -> None:
    """The temporary folder is gone."""
    _, _, folder = whole

    assert not folder.exists()


def test_what_it_shows() -> None:
    """Each kind in full, the numbers at the end, no escape sequence where there is no terminal; exit 0."""
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
