"""Golden files of Slack's requests for every cause, by a webhook and as a bot, with links to alertd's page.

`ALERTD_UPDATE_GOLDEN=1 make test ARGS=tests/notify/test_slack_golden.py` writes tests/golden/slack/ again.
Read the diff.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alertd.core.message.message import Kind, Message
from alertd.core.milestones.occurrence import Cause
from alertd.notify.render.clean import clean_message
from alertd.notify.slack.blocks import render_posts, render_reply
from alertd.testing import with_links
from tests.core.scenes import SCENES
from tests.notify.slack_limits import faults

GOLDEN = Path(__file__).parent.parent / "golden" / "slack"
MENTION = "<@U024BE7LH>"

SHOWN = {
    Cause.APPROACHING: "approaching",
    Cause.OPENS: "opens",
    Cause.DUE: "due-month",
    Cause.OVERDUE: "contested-passed-by-some",
    Cause.MOVED: "moved-later",
    Cause.DONE: "done-with-evidence",
    Cause.ACKNOWLEDGED: "acknowledged",
    Cause.CANCELLED: "cancelled",
}
"""A scene for each cause."""


def webhook(message: Message) -> Any:
    return [post.payload() for post in render_posts(message, mention=MENTION)]


def bot(message: Message) -> Any:
    """Return the edit of the first message, and the reply in its thread."""
    posts = render_posts(message, interactive=True, lasting=True)
    answer = render_reply(message, mention=MENTION, interactive=True)
    return {"first": [post.payload() for post in posts], "reply": answer.payload()}


FORMS: dict[str, Callable[[Message], Any]] = {"webhook": webhook, "bot": bot}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cause", SHOWN)
def test_each_cause_looks_as_it_did_when_somebody_last_looked(cause: Cause, form: str) -> None:
    path = GOLDEN / f"{cause}.{form}.json"
    message = clean_message(with_links(SCENES[SHOWN[cause]]()))
    assert message.items[0].cause is cause

    rendered = json.dumps(FORMS[form](message), indent=2, ensure_ascii=False) + "\n"

    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8")


def test_every_cause_is_shown_and_no_file_is_left_over() -> None:
    assert set(SHOWN) == set(Cause)
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{cause}.{form}.json" for cause in Cause for form in FORMS
    }


@pytest.mark.parametrize("name", SCENES)
def test_every_scene_is_within_slacks_limits(name: str) -> None:
    message = clean_message(with_links(SCENES[name]()))

    posts = [
        *render_posts(message, lasting=True),
        *([render_reply(message)] if message.kind is Kind.SINGLE else []),
    ]

    assert [fault for post in posts for fault in faults(post.payload())] == []
