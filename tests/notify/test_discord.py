"""Discord: the requests that it gets, and the outcomes of its answers."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify.discord import DiscordOptions, build_discord_payload
from alertd.notify.render.clean import clean_message
from alertd.notify.render.markup import count_units
from alertd.testing import SAMPLES, Answer, sample_message, with_links
from tests.notify.contract import SECRET_PATH, ServiceContract, json_answer
from tests.notify.sending import MILESTONE, Options, body_of, crowd, long_story, said, sent, titled

POSTED = said({"id": "1300", "channel_id": "777"})
GONE = said({"message": "Unknown Channel", "code": 10003}, status=404)


def hook(**more: object) -> Options:
    return lambda url: {"url": f"{url}/api/webhooks/1/canary-token", **more}


def query(path: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(path).query)


LONG = [long_story(), crowd(), titled("🔴" * 2_000), titled("_*~`|<" * 300)]


@pytest.mark.parametrize(
    "message",
    [*(sample_message(name) for name in SAMPLES), *LONG],
    ids=[*SAMPLES, "story", "crowd", "wide", "marks"],
)
def test_every_limit_of_an_embed_is_kept(message: Message) -> None:
    payload = build_discord_payload(clean_message(with_links(message)))

    (embed,) = payload["embeds"]
    texts = [embed["title"], embed["description"], embed["footer"]["text"]]
    assert count_units(embed["title"]) <= 256
    assert 0 < count_units(embed["description"]) <= 4_096
    assert count_units(embed["footer"]["text"]) <= 2_048
    assert sum(map(count_units, texts)) <= 6_000
    assert 0 <= embed["color"] <= 0xFFFFFF
    (row,) = payload["components"]
    assert 1 <= len(row["components"]) <= 5
    assert all(len(button["label"]) <= 80 and len(button["url"]) <= 512 for button in row["components"])
    assert message.id in embed["footer"]["text"]


def test_what_is_left_out_is_said() -> None:
    story, many = (
        build_discord_payload(clean_message(message))["embeds"][0]["description"]
        for message in (long_story(), crowd())
    )

    assert "The rest is not shown here." in story
    assert "more, not listed here." in many


def test_nobody_is_mentioned_and_nothing_is_markup() -> None:
    payload = build_discord_payload(
        clean_message(titled("@everyone <@1> **now** [x](https://evil.example) ||secret||"))
    )

    assert payload["allowed_mentions"] == {"parse": []}
    assert (
        "@\u2060everyone \\<@\u20601\\> \\*\\*now\\*\\* \\[x\\](https://evil.example) \\|\\|secret\\|\\|"
        in payload["embeds"][0]["description"]
    )


async def test_the_answer_is_waited_for_and_the_urls_own_query_is_kept() -> None:
    outcome, (request,) = await sent(
        "discord", lambda url: {"url": f"{url}/api/webhooks/1/t?thread_id=5"}, POSTED
    )

    assert outcome == Sent(note="HTTP 200")
    assert query(request.path) == {"thread_id": ["5"], "wait": ["true"], "with_components": ["true"]}
    assert "thread_name" not in body_of(request)


async def test_in_a_forum_a_milestone_gets_a_post_of_its_own() -> None:
    outcome, (request,) = await sent("discord", hook(forum=True), POSTED)

    assert outcome == Sent(note="HTTP 200", state={MILESTONE: {"thread": "777"}})
    assert 0 < len(body_of(request)["thread_name"]) <= 100


async def test_in_a_forum_later_messages_go_into_the_post() -> None:
    prior = {MILESTONE: {"thread": "777"}}

    outcome, (request,) = await sent("discord", hook(forum=True), POSTED, prior=prior)

    assert outcome == Sent(note="HTTP 200", state=prior)
    assert query(request.path)["thread_id"] == ["777"]
    assert "thread_name" not in body_of(request)


async def test_a_post_that_was_deleted_is_replaced() -> None:
    outcome, (first, second) = await sent(
        "discord", hook(forum=True), GONE, said({"id": "1", "channel_id": "888"}),
        prior={MILESTONE: {"thread": "777"}},
    )  # fmt: skip

    assert outcome == Sent(note="HTTP 200", state={MILESTONE: {"thread": "888"}})
    assert query(first.path)["thread_id"] == ["777"]
    assert "thread_id" not in query(second.path)
    assert body_of(second)["thread_name"]


async def test_in_a_forum_what_is_about_many_is_a_post_that_nothing_follows() -> None:
    outcome, (request,) = await sent("discord", hook(forum=True), POSTED, message=sample_message("many"))

    assert outcome == Sent(note="HTTP 200")
    assert body_of(request)["thread_name"].startswith("5 deadlines")


async def test_a_webhook_that_was_deleted_stops_the_channel() -> None:
    outcome, _ = await sent(
        "discord", hook(), said({"message": "Unknown Webhook", "code": 10015}, status=404)
    )

    assert isinstance(outcome, Rejected)
    assert outcome.gone


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (said({"message": "You are being rate limited.", "retry_after": 64.57, "global": False}, 429), 65),
        (said({"retry_after": 64.57}, 429, **{"Retry-After": "70"}), 70),
        (said({"retry_after": "soon"}, 429), None),
        (said({"retry_after": -1}, 429), None),
    ],
)
async def test_it_waits_as_long_as_the_answer_asks_for(answer: Answer, after: int | None) -> None:
    outcome, _ = await sent("discord", hook(), answer)

    assert isinstance(outcome, Retry)
    assert outcome.after == (timedelta(seconds=after) if after else None)


@pytest.mark.parametrize(
    "answer", [Answer(body=b"<html>Log in</html>"), said({"ok": True}), Answer(status=204, body=b"")]
)
async def test_a_2xx_that_names_no_message_is_not_taken_for_discords(answer: Answer) -> None:
    outcome, _ = await sent("discord", hook(), answer)

    assert isinstance(outcome, Rejected)
    assert "not as Discord does" in outcome.reason


async def test_what_is_refused_is_told_without_the_token() -> None:
    outcome, _ = await sent("discord", hook(), said({"message": "Invalid canary-token", "code": 50027}, 401))

    assert isinstance(outcome, Rejected)
    assert "Invalid [hidden]" in outcome.reason
    assert not outcome.gone


def test_options_show_no_url() -> None:
    options = DiscordOptions.model_validate({"url": "https://discord.example/api/webhooks/1/canary"})

    assert "canary" not in repr(options)


class TestContract(ServiceContract):
    type_name = "discord"
    takes = (json_answer({"id": "1234", "channel_id": "99"}),)

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {"url": url + SECRET_PATH, "timeout": timeout_s}
