"""What Google Chat gets, and what its answers mean."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from alertd.notify import Message, Rejected, Retry, Sent, clean_message, encode_json
from alertd.notify.google_chat import GoogleChatOptions, build_google_chat_payload
from alertd.testing import SAMPLES, Answer, sample_message, with_links
from alertd.testing.contract import CANARY
from tests.notify.contract import SECRET_PATH, ServiceContract, json_answer
from tests.notify.sending import MILESTONE, Options, body_of, crowd, long_story, said, sent, titled
from tests.notify.test_outline import Checked

POSTED = json_answer({"name": "spaces/AAAA/messages/B.C", "thread": {"name": "spaces/AAAA/threads/B"}})
MAX_BYTES = 32_000
MAX_WIDGETS = 100
TAGS = {"b", "i", "s", "a", "br"}
"""Of the tags that "Format messages" lists for cards, those that alertd uses."""


def hook(**more: object) -> Options:
    return lambda url: {"url": f"{url}/v1/spaces/AAAA/messages?key=canary-key&token=canary-token%3D", **more}


def widgets_of(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    (card,) = payload["cardsV2"]
    return [widget for section in card["card"]["sections"] for widget in section["widgets"]]


def texts_of(payload: Mapping[str, Any]) -> list[str]:
    return [widget["textParagraph"]["text"] for widget in widgets_of(payload) if "textParagraph" in widget]


def query(path: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(path).query)


def failure(status: int, code: str, message: str = "canary-token= is no good", **more: object) -> Answer:
    return said({"error": {"code": status, "message": message, "status": code, **more}}, status)


class Card(Checked):
    """What is read of a card's text; a <br> has no end."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            super().handle_starttag(tag, attrs)


LONG = [long_story(), crowd(), titled("🔴" * 2_000), titled("&<>\"'" * 300), titled("ملف" * 900)]


@pytest.mark.parametrize(
    "message",
    [*(sample_message(name) for name in SAMPLES), *LONG],
    ids=[*SAMPLES, "story", "crowd", "wide", "entities", "arabic"],
)
def test_every_limit_of_a_card_is_kept(message: Message) -> None:
    payload = build_google_chat_payload(clean_message(with_links(message)))

    widgets = widgets_of(payload)
    assert len(encode_json(payload)) <= MAX_BYTES
    assert len(widgets) <= MAX_WIDGETS
    assert all(texts_of(payload))
    assert message.id in texts_of(payload)[-1]
    assert message.id in payload["fallbackText"]
    for text in texts_of(payload):
        read = Card()
        read.feed(text)
        assert not read.open
        assert set(re.findall(r"</?(\w+)", text)) <= TAGS


def test_what_is_left_out_is_said() -> None:
    story, many = (
        "\n".join(texts_of(build_google_chat_payload(clean_message(made))))
        for made in (long_story(), crowd(900))
    )

    assert "The rest is not shown here." in story
    assert "more, not listed here." in many


def test_nobody_is_mentioned_and_nothing_is_markup_in_a_card() -> None:
    payload = build_google_chat_payload(
        clean_message(titled("<users/all> @all <b>now</b> <a href='https://evil.example'>x</a>"))
    )

    whole = "\n".join(texts_of(payload))
    assert (
        "&lt;users/all&gt; @\u2060all &lt;b&gt;now&lt;/b&gt; &lt;a href='https://evil.example'&gt;" in whole
    )
    assert "<users" not in encode_json(payload).decode().replace("\\u2060", "\u2060")
    assert "<b>now" not in whole


def test_what_can_be_done_are_buttons_that_open_a_page() -> None:
    payload = build_google_chat_payload(clean_message(with_links(sample_message())))

    (buttons,) = (widget["buttonList"]["buttons"] for widget in widgets_of(payload) if "buttonList" in widget)
    assert [button["text"] for button in buttons] == ["Acknowledge", "Snooze", "Done", "Details"]
    assert buttons[-1]["onClick"] == {"openLink": {"url": f"https://alertd.example/milestones/{MILESTONE}"}}
    assert "buttonList" not in str(build_google_chat_payload(clean_message(sample_message())))


async def test_all_messages_about_a_milestone_are_in_one_thread() -> None:
    outcome, (request,) = await sent("google_chat", hook(), POSTED)

    assert outcome == Sent(note="HTTP 200")
    assert body_of(request)["thread"] == {"threadKey": f"alertd/{MILESTONE}"}
    assert query(request.path)["messageReplyOption"] == ["REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"]


@pytest.mark.parametrize(
    ("options", "name"), [(hook(), "many"), (hook(), "digest"), (hook(), "test"), (hook(thread=False), "due")]
)
async def test_what_belongs_to_no_thread_says_nothing_of_threads(options: Options, name: str) -> None:
    _, (request,) = await sent("google_chat", options, POSTED, message=sample_message(name))

    assert "thread" not in body_of(request)
    assert "messageReplyOption" not in query(request.path)


async def test_the_id_is_the_requests_own_and_the_urls_secrets_are_kept_whole() -> None:
    message = sample_message()

    _, (request,) = await sent("google_chat", hook(), POSTED, message=message)

    assert query(request.path)["requestId"] == [message.id]
    assert query(request.path)["key"] == ["canary-key"]
    assert query(request.path)["token"] == ["canary-token="]


async def test_a_card_that_is_refused_is_posted_as_plain_text_in_the_same_thread() -> None:
    refused = failure(400, "INVALID_ARGUMENT", "Invalid card")
    message = with_links(titled("*now* _so_ ~no~ `x` <users/all> https://a.example/b_c"))

    outcome, (first, second) = await sent("google_chat", hook(), refused, POSTED, message=message)

    assert isinstance(outcome, Sent)
    assert "as plain text: http://127.0.0.1" in outcome.note
    assert outcome.note.endswith("INVALID_ARGUMENT: Invalid card")
    assert first.path == second.path
    body = body_of(second)
    assert body.keys() == {"text", "thread"}
    assert (
        "*\u2060now*\u2060 _\u2060so_\u2060 ~\u2060no~\u2060 `\u2060x`\u2060 <\u2060users/all>"
        in body["text"]
    )
    assert "https://a.example/b_c" in body["text"]
    assert message.id in body["text"]


async def test_what_is_refused_twice_is_rejected() -> None:
    refused = failure(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")

    outcome, requests = await sent("google_chat", hook(), refused)

    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith(
        "answered 400: INVALID_ARGUMENT: API key not valid. Please pass a valid API key."
    )
    assert len(requests) == 2


@pytest.mark.parametrize("message", [long_story(), crowd()], ids=["story", "crowd"])
async def test_plain_text_keeps_its_own_limit(message: Message) -> None:
    refused = failure(400, "INVALID_ARGUMENT")

    _, (_, second) = await sent("google_chat", hook(), refused, POSTED, message=message)

    assert len(body_of(second)["text"]) <= 4_000


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "29.5s"}


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (failure(429, "RESOURCE_EXHAUSTED"), None),
        (failure(429, "RESOURCE_EXHAUSTED", details=[{"@type": "x"}, RETRY_INFO]), 30),
        (failure(429, "RESOURCE_EXHAUSTED", details=[{"retryDelay": "soon"}, 7]), None),
        # Some of Google's APIs say this with a 403.
        (failure(403, "RESOURCE_EXHAUSTED", details=[RETRY_INFO]), 30),
        (failure(409, "ABORTED"), None),
        (failure(499, "CANCELLED"), None),
        (failure(500, "INTERNAL"), None),
        (failure(503, "UNAVAILABLE"), None),
    ],
    ids=["429", "delay", "nonsense", "403", "aborted", "cancelled", "internal", "unavailable"],
)
async def test_what_google_asks_to_try_again_is_tried_again(answer: Answer, after: int | None) -> None:
    outcome, requests = await sent("google_chat", hook(), answer)

    assert isinstance(outcome, Retry)
    assert outcome.after == (timedelta(seconds=after) if after else None)
    assert "[hidden] is no good" in outcome.reason
    assert len(requests) == 1


async def test_a_header_says_more_of_the_wait_than_the_body() -> None:
    answer = said({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [RETRY_INFO]}}, 429,
                  **{"Retry-After": "70"})  # fmt: skip

    outcome, _ = await sent("google_chat", hook(), answer)

    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=70)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND")]
)
async def test_what_is_refused_is_told_in_googles_words_without_the_token(status: int, code: str) -> None:
    outcome, requests = await sent("google_chat", hook(), failure(status, code))

    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith(f"answered {status}: {code}: [hidden] is no good")
    assert not outcome.gone
    assert len(requests) == 1


@pytest.mark.parametrize(
    "answer", [Answer(body=b"<html>Sign in</html>"), said({"ok": True}), said({"name": 7}), said([])]
)
async def test_a_2xx_that_names_no_message_is_not_taken_for_googles(answer: Answer) -> None:
    outcome, _ = await sent("google_chat", hook(), answer)

    assert isinstance(outcome, Rejected)
    assert "not as Google Chat does" in outcome.reason


async def test_a_url_in_a_file_is_read_at_each_send() -> None:
    outcome, requests = await sent("google_chat", lambda _: {"url_file": "chat_url"}, secrets={})

    assert outcome == Retry(reason="secret file 'chat_url': not found")
    assert not requests


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "url or url_file is required"),
        ({"url": "https://chat.example/x", "url_file": "x"}, "url and url_file exclude each other"),
        ({"url": "chat.googleapis.com/v1/spaces/A"}, "is not an http or https URL with a host"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        GoogleChatOptions.model_validate(options)


class TestContract(ServiceContract):
    type_name = "google_chat"
    takes = (POSTED,)

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {"url": f"{url}{SECRET_PATH}&token={CANARY}", "timeout": timeout_s}
