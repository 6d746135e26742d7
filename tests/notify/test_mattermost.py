"""Mattermost: the requests that it gets, and the outcomes of its answers."""

from collections.abc import Mapping

import pytest

from alertd.core.ledger.outcome import Rejected, Sent
from alertd.core.message.message import Message
from alertd.notify.mattermost import build_mattermost_payload
from alertd.notify.render.clean import clean_message
from alertd.notify.render.markup import count_units
from alertd.testing import SAMPLES, Answer, sample_message, with_links
from tests.notify.contract import SECRET_PATH, ServiceContract
from tests.notify.sending import MILESTONE, Options, body_of, crowd, long_story, said, sent, titled

MAX_POST = 16_383
MAX_FOOTER = 300


def hook() -> Options:
    return lambda url: {"url": f"{url}/hooks/canary-key"}


@pytest.mark.parametrize(
    "message",
    [*(sample_message(name) for name in SAMPLES), long_story(), crowd(), titled("&<>" * 600)],
    ids=[*SAMPLES, "story", "crowd", "entities"],
)
def test_it_fits_into_one_post(message: Message) -> None:
    (attachment,) = build_mattermost_payload(clean_message(with_links(message)))["attachments"]

    assert count_units(attachment["title"]) + count_units(attachment["text"]) <= MAX_POST
    assert attachment["fallback"]
    assert attachment["text"]
    assert len(attachment["footer"]) <= MAX_FOOTER
    assert message.id in attachment["footer"]


def test_what_is_left_out_is_said() -> None:
    story, many = (
        build_mattermost_payload(clean_message(message))["attachments"][0]["text"]
        for message in (long_story(), crowd())
    )

    assert "The rest is not shown here." in story
    assert "more, not listed here." in many


def test_nobody_is_mentioned_and_nothing_is_markup() -> None:
    text = "@all @here <!channel> <https://evil.example|x> **now** ~town-square # a&lt;b"

    (attachment,) = build_mattermost_payload(clean_message(titled(text)))["attachments"]

    escaped = (
        "@\u2060all @\u2060here &lt;!channel&gt; &lt;https://evil.example|x&gt; \\*\\*now\\*\\* "
        "\\~town-square \\# a&amp;lt;b"
    )
    assert escaped in attachment["text"]
    assert escaped in attachment["title"]
    for name in ("title", "text", "fallback"):
        assert "@all" not in attachment[name]
        assert "@here" not in attachment[name]


def test_what_can_be_done_is_a_line_of_links() -> None:
    (attachment,) = build_mattermost_payload(clean_message(with_links(sample_message())))["attachments"]

    line = next(line for line in attachment["text"].splitlines() if line.startswith("[Acknowledge]"))
    assert [part.partition("]")[0] for part in line.split(" · ")] == [
        "[Acknowledge",
        "[Snooze",
        "[Done",
        "[Details",
    ]
    assert attachment["title_link"] == f"https://alertd.example/milestones/{MILESTONE}"


def test_programs_find_the_id_in_the_properties() -> None:
    message = sample_message()

    assert build_mattermost_payload(message)["props"] == {
        "alertd": {"id": message.id, "milestone": MILESTONE}
    }
    assert build_mattermost_payload(sample_message("many"))["props"].keys() == {"alertd"}


async def test_ok_is_what_says_that_it_was_posted() -> None:
    outcome, (request,) = await sent("mattermost", hook(), Answer(body=b"ok\n"))

    assert outcome == Sent(note="HTTP 200")
    assert request.headers["content-type"].startswith("application/json")
    assert body_of(request)["attachments"]


@pytest.mark.parametrize("body", [b"", b"<html>Log in</html>", b'{"ok": true}'])
async def test_another_200_is_not_taken_for_mattermosts(body: bytes) -> None:
    outcome, _ = await sent("mattermost", hook(), Answer(body=body))

    assert isinstance(outcome, Rejected)
    assert "not as Mattermost does" in outcome.reason


async def test_what_is_refused_is_told_without_the_key() -> None:
    refusal = said(
        {"id": "web.incoming_webhook.invalid", "message": "no canary-key", "status_code": 400}, 400
    )

    outcome, _ = await sent("mattermost", hook(), refusal)

    assert isinstance(outcome, Rejected)
    assert "web.incoming_webhook.invalid" in outcome.reason
    assert "canary" not in outcome.reason


class TestContract(ServiceContract):
    type_name = "mattermost"
    takes = (Answer(),)

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {"url": url + SECRET_PATH, "timeout": timeout_s}
