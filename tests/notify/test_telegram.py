"""Telegram: the requests that it gets, and the outcomes of its answers."""

import logging
from collections.abc import Mapping
from datetime import timedelta

import pytest
from pydantic import ValidationError

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify.render.clean import clean_message
from alertd.notify.render.markup import count_units
from alertd.notify.telegram import TelegramOptions, build_telegram_payload
from alertd.testing import SAMPLES, Answer, sample_message, with_links
from alertd.testing.contract import CANARY
from tests.notify.contract import ServiceContract, json_answer
from tests.notify.sending import MILESTONE, Options, body_of, crowd, long_story, said, sent, titled
from tests.notify.test_outline import Checked

TOKEN = "110201543:AAHcanary5f0c9b"
CHAT = "-1001234567890"
LONG = [long_story(), crowd(), titled("\U0001f534" * 2_000), titled('<&"@me ' * 300)]


def bot(**more: object) -> Options:
    return lambda url: {"api_url": url, "token": TOKEN, "chat": CHAT, **more}


def posted(number: int, **more: object) -> Answer:
    return said({"ok": True, "result": {"message_id": number, **more}})


def refused(status: int, description: str, **parameters: object) -> Answer:
    return said(
        {"ok": False, "error_code": status, "description": description, "parameters": parameters}, status
    )


@pytest.mark.parametrize(
    "message",
    [*(sample_message(name) for name in SAMPLES), *LONG],
    ids=[*SAMPLES, "story", "crowd", "wide", "marks"],
)
def test_it_is_sound_html_of_at_most_4096_characters(message: Message) -> None:
    payload = build_telegram_payload(clean_message(with_links(message)))

    read = Checked()
    read.feed(payload["text"])
    assert read.open == []
    assert 0 < count_units(read.text) <= 4_096
    assert payload["parse_mode"] == "HTML"
    assert read.text.endswith(f"{message.id} · alertd")


def test_room_is_not_wasted() -> None:
    read = Checked()

    read.feed(build_telegram_payload(clean_message(long_story()))["text"])

    assert count_units(read.text) > 3_900
    assert "The rest is not shown here." in read.text


def test_nobody_is_mentioned_and_nothing_is_markup() -> None:
    text = build_telegram_payload(
        clean_message(titled("@everybody <b>now</b> <a href='tg://user?id=1'>x</a> &amp;"))
    )["text"]

    assert "@everybody" not in text
    assert "&lt;b&gt;now&lt;/b&gt; &lt;a href='tg://user?id=1'&gt;x&lt;/a&gt; &amp;amp;" in text
    read = Checked()
    read.feed(text)
    assert not any(href and href.startswith("tg:") for href in read.hrefs)


def test_buttons_open_pages() -> None:
    rows = build_telegram_payload(clean_message(with_links(sample_message())))["reply_markup"][
        "inline_keyboard"
    ]

    assert [[button["text"] for button in row] for row in rows] == [
        ["Acknowledge", "Snooze"],
        ["Done", "Details"],
    ]
    assert all(button["url"].startswith("https://alertd.example/") for row in rows for button in row)
    assert "reply_markup" not in build_telegram_payload(sample_message())


async def test_the_bot_sends_to_the_chat_and_the_topic() -> None:
    outcome, (request,) = await sent("telegram", bot(topic=7), posted(42))

    assert outcome == Sent(note="HTTP 200", state={MILESTONE: {"chat": CHAT, "message": "42"}})
    assert request.path == f"/bot{TOKEN}/sendMessage"
    assert body_of(request)["chat_id"] == CHAT
    assert body_of(request)["message_thread_id"] == 7
    assert "reply_parameters" not in body_of(request)


async def test_later_messages_about_a_milestone_reply_to_the_first() -> None:
    prior = {MILESTONE: {"chat": CHAT, "message": "42"}}

    outcome, (request,) = await sent(
        "telegram", bot(), posted(50, reply_to_message={"message_id": 42}), prior=prior
    )

    assert body_of(request)["reply_parameters"] == {"message_id": 42, "allow_sending_without_reply": True}
    assert outcome == Sent(note="HTTP 200", state=prior)


async def test_when_the_first_was_deleted_the_next_one_takes_its_place() -> None:
    outcome, _ = await sent("telegram", bot(), posted(50), prior={MILESTONE: {"chat": CHAT, "message": "42"}})

    assert outcome == Sent(note="HTTP 200", state={MILESTONE: {"chat": CHAT, "message": "50"}})


@pytest.mark.parametrize(
    ("more", "prior"),
    [({"reply": False}, {"chat": CHAT, "message": "42"}), ({}, {"chat": "@other", "message": "42"})],
)
async def test_nothing_replies_when_it_is_not_asked_for_or_in_another_chat(
    more: dict[str, object], prior: dict[str, str]
) -> None:
    _, (request,) = await sent("telegram", bot(**more), posted(50), prior={MILESTONE: prior})

    assert "reply_parameters" not in body_of(request)


@pytest.mark.parametrize(
    "why", ["Bad Request: BUTTON_URL_INVALID", "Bad Request: can't parse entities: Unsupported start tag"]
)
async def test_a_layout_that_is_refused_costs_no_reminder(why: str) -> None:
    message = with_links(sample_message())

    outcome, (_, second) = await sent("telegram", bot(), refused(400, why), posted(3), message=message)

    assert isinstance(outcome, Sent)
    assert outcome.note == f"HTTP 200; as plain text: {why}"
    body = body_of(second)
    assert "parse_mode" not in body
    assert "reply_markup" not in body
    assert "Acknowledge: https://alertd.example/act/" in body["text"]
    assert count_units(body["text"]) <= 4_096
    assert message.id in body["text"]


@pytest.mark.parametrize("message", LONG, ids=range(4))
async def test_a_long_message_as_plain_text_fits_too(message: Message) -> None:
    why = "Bad Request: can't parse entities"

    _, (_, second) = await sent("telegram", bot(), refused(400, why), posted(3), message=with_links(message))

    assert count_units(body_of(second)["text"]) <= 4_096


async def test_it_waits_as_long_as_the_answer_asks_for() -> None:
    outcome, _ = await sent(
        "telegram", bot(), refused(429, "Too Many Requests: retry after 35", retry_after=35)
    )

    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=35)


async def test_a_group_that_has_become_a_supergroup_says_its_new_id() -> None:
    why = "Bad Request: group chat was upgraded to a supergroup chat"

    outcome, _ = await sent("telegram", bot(), refused(400, why, migrate_to_chat_id=-100987))

    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith("the group has become a supergroup, its id is -100987")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (refused(403, "Forbidden: bot was blocked by the user"), "bot was blocked by the user"),
        (refused(401, f"Unauthorized {TOKEN}"), "Unauthorized [hidden]"),
        (refused(404, f"no bot{TOKEN}/sendMessage"), "no [hidden]"),
        (Answer(body=b"<html>Log in</html>"), "not as Telegram does"),
        (said({"ok": True}), "not as Telegram does"),
        (said({"ok": False}), "not as Telegram does"),
    ],
)
async def test_what_will_not_help_is_rejected_without_the_token(
    answer: Answer, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    outcome, _ = await sent("telegram", bot(), answer)

    assert isinstance(outcome, Rejected)
    assert why in outcome.reason
    assert "canary" not in outcome.reason + caplog.text


@pytest.mark.parametrize(
    "answer",
    [Answer(status=503, body=TOKEN.encode()), Answer(status=302, headers={"Location": f"/bot{TOKEN}"})],
)
async def test_no_answer_makes_the_token_public(answer: Answer) -> None:
    outcome, _ = await sent("telegram", bot(), answer)

    assert "canary" not in repr(outcome)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"token": "canary/../x"}, "is not a bot's token"),
        ({"token": None}, "token or token_file is required"),
        ({"chat": "deadlines"}, "is not a chat's id such as"),
        ({"topic": 0}, "Input should be greater than 0"),
    ],
)
def test_what_cannot_work_is_refused_and_not_quoted(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TelegramOptions.model_validate({"token": TOKEN, "chat": CHAT, **options})

    assert why in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_a_file_that_holds_no_token_is_tried_again_and_not_quoted() -> None:
    outcome, requests = await sent(
        "telegram", lambda url: {"api_url": url, "token_file": "bot", "chat": CHAT}, secrets={"bot": "canary"}
    )

    assert outcome == Retry(reason="what secret file 'bot' holds is not a bot's token")
    assert requests == []


class TestContract(ServiceContract):
    type_name = "telegram"
    takes = (json_answer({"ok": True, "result": {"message_id": 42}}),)

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {
            "api_url": url,
            "token": f"110201543:{CANARY}",
            "chat": "-1001234567890",
            "timeout": timeout_s,
        }
