"""A real mail, the link in it, the real daemon: what somebody says by it is what is no longer sent."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.stage import Stage, a_stage, in_a_minute, mails_about, text_of
from tests.web.stage import NO_TLS

pytestmark = pytest.mark.long

OUTSIDE = "http://127.0.0.1"
"""How people reach it, says the configuration; which port that is, the test finds out later."""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        yield made


async def test_link_in_a_mail_stops_what_nags(stage: Stage) -> None:
    """Following it stops nothing; sending its form does, and what is not acknowledged still nags."""
    stage.write_config("{type: email, to: [desk@example.org]}", more=f"web: {{external_url: '{OUTSIDE}'}}\n")
    policy = "{before: [60s, 50s], on_day: false, after: [], opens: false}"
    stage.write_timeline(policy, known=in_a_minute(1), other=in_a_minute(1))
    daemon = await stage.start(ALERTD_LISTEN="127.0.0.1:0")
    opened = await daemon.until("listener.opened")
    await stage.until(lambda: len(stage.mails) >= 2)
    (mail,) = mails_about(stage.mails, "t/known")
    (link,) = re.findall(rf"Acknowledge: {OUTSIDE}(/act/\S+)", text_of(mail))
    async with httpx.AsyncClient(base_url=f"http://{opened['addresses'][0]}", verify=NO_TLS) as browser:
        form = await browser.get(link)
        before = await stage.command("history", "t/known", "--format", "jsonl")
        fields = dict(re.findall(r'<input id="[^"]+" name="(\w+)" type="\w+" value="([^"]*)"', form.text))
        answer = await browser.post(
            link, data={**fields, "by": "Grace"}, headers={"origin": OUTSIDE, "host": "127.0.0.1"}
        )
        page = await browser.get(answer.headers["location"])
    await stage.until(lambda: len(mails_about(stage.mails, "t/other")) == 2)
    await daemon.until("occurrence.suppressed")
    status = await daemon.stop()

    assert "It comes about" in form.text
    assert '"ack"' not in before
    assert answer.status_code == 303
    assert "Acknowledged t/known: no reminder until" in page.text
    assert len(mails_about(stage.mails, "t/known")) == 1
    history = await stage.command("history", "t/known", "--format", "jsonl")
    assert '"by": "Grace, by a link to desk"' in history
    assert '"how": "link:desk"' in history
    assert status == 0
    assert link.rpartition("/")[2] not in str(daemon.events)
