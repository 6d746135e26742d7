"""Golden files of what people see: tests/golden/notify/, composed at 2026-11-24T06:00Z.

`ALERTD_UPDATE_GOLDEN=1 make test ARGS=tests/notify/test_golden.py` writes the files again. Read the diff.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from alertd.core.message.message import Message
from alertd.core.milestones.occurrence import Cause
from alertd.notify.apprise import apprise_text
from alertd.notify.discord import discord_payload
from alertd.notify.email.body import render_html
from alertd.notify.matrix import matrix_content
from alertd.notify.mattermost import mattermost_payload
from alertd.notify.ntfy import ntfy_payload
from alertd.notify.pagerduty import pagerduty_payloads
from alertd.notify.render.clean import fit
from alertd.notify.render.text import render_text
from alertd.notify.slack.blocks import render_posts
from alertd.notify.teams import teams_payload
from alertd.notify.telegram import telegram_payload
from alertd.notify.webhook.payload import payload_of
from alertd.testing import SAMPLES, sample_message, with_links

GOLDEN = Path(__file__).parent.parent / "golden" / "notify"


def as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def html(message: Message) -> str:
    # Remove the blank lines that templates leave.
    return re.sub(r"\n\s*\n+", "\n", render_html(message)) + "\n"


RENDERINGS: dict[str, Callable[[Message], str]] = {
    "txt": render_text,
    "html": html,
    "slack.json": lambda message: as_json([post.payload() for post in render_posts(message)]),
    "webhook.json": lambda message: as_json(payload_of(message)),
    # With links to alertd's page, which most of these services show as buttons.
    "apprise.txt": lambda message: "\n\n".join(apprise_text(with_links(message), 32_768)) + "\n",
    "discord.json": lambda message: as_json(discord_payload(with_links(message))),
    "matrix.json": lambda message: as_json(matrix_content(with_links(message), "text")),
    "mattermost.json": lambda message: as_json(mattermost_payload(with_links(message))),
    "ntfy.json": lambda message: as_json(ntfy_payload(with_links(message))),
    "pagerduty.json": lambda message: as_json(list(pagerduty_payloads(with_links(message)))),
    "teams.json": lambda message: as_json(teams_payload(with_links(message))),
    "telegram.json": lambda message: as_json(telegram_payload(with_links(message))),
}


@pytest.mark.parametrize("ending", RENDERINGS)
@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_looks_as_it_did_when_somebody_last_looked(name: str, ending: str) -> None:
    path = GOLDEN / f"{name}.{ending}"

    rendered = RENDERINGS[ending](fit(sample_message(name)))

    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{name}.{ending}" for name in SAMPLES for ending in RENDERINGS}

    assert {path.name for path in GOLDEN.iterdir()} == expected


def test_every_cause_is_kept() -> None:
    shown = {item.cause for name in SAMPLES for item in sample_message(name).items}

    assert shown == set(Cause)
