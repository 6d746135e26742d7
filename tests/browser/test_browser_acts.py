"""From a real mail to a real browser: an action there stops the reminders."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.stage import Stage, a_stage, in_a_minute, mails_about, text_of

PATIENCE_MS = 15_000

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@pytest_asyncio.fixture(loop_scope="session")
async def running(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        yield made


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as there:
        return int(there.getsockname()[1])


async def test_acknowledged_by_mail_and_done_by_page_no_more_nags_come(
    browser: Browser, running: Stage
) -> None:
    """A person follows the link in the mail and sends its form, then marks a second milestone as done."""
    port = free_port()
    outside = f"http://127.0.0.1:{port}"
    running.write_config(
        "{type: email, to: [desk@example.org]}", more=f"web: {{external_url: '{outside}'}}\n"
    )
    policy = "{before: [60s, 42s], on_day: false, after: [], opens: false}"
    running.write_timeline(policy, known=in_a_minute(1), over=in_a_minute(1))
    daemon = await running.start(ALERTD_LISTEN=f"127.0.0.1:{port}")
    await running.until(lambda: len(running.mails) >= 2)
    (mail,) = mails_about(running.mails, "t/known")
    (link,) = re.findall(rf"Acknowledge: ({outside}/act/\S+)", text_of(mail))

    page = await browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(link)
    await page.get_by_label("Your name").fill("Grace")
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.get_by_role("status")).to_contain_text("Acknowledged t/known")
    await page.goto(f"{outside}/milestones/t/over")
    await page.locator("#act-done summary").click()
    await page.locator("#act-done button").click()
    await expect(page.locator(".told")).to_be_visible()

    for number in (1, 2):
        await daemon.until("occurrence.suppressed", number)
    await running.until(lambda: len(mails_about(running.mails, "t/over")) >= 2)
    status = await daemon.stop()

    assert status == 0
    assert len(mails_about(running.mails, "t/known")) == 1
    causes = [str(mail.message["X-Alertd-Cause"]) for mail in mails_about(running.mails, "t/over")]
    assert causes == ["approaching", "done"]
