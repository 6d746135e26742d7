"""ntfy: the requests that it gets, and the outcomes of its answers."""

import base64
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify.ntfy import NtfyOptions, build_ntfy_payload
from alertd.notify.render.clean import clean_message
from alertd.testing import SAMPLES, Answer, sample_message, with_links
from alertd.testing.contract import CANARY
from tests.notify.contract import ServiceContract, json_answer
from tests.notify.sending import MILESTONE, Options, body_of, crowd, long_story, said, sent, titled

PUBLISHED = said({"id": "hwQ2YpKdmg", "event": "message"})


def topic(**more: object) -> Options:
    return lambda url: {"server": f"{url}/", "topic": "canary-topic", **more}


@pytest.mark.parametrize(
    "message",
    [*(sample_message(name) for name in SAMPLES), long_story(), crowd(), titled("\U0001f534" * 2_000)],
    ids=[*SAMPLES, "story", "crowd", "wide"],
)
def test_the_message_stays_one(message: Message) -> None:
    payload = build_ntfy_payload(clean_message(with_links(message)))

    # ntfy turns a longer message into an attached file.
    assert 0 < len(payload["message"].encode()) <= 4_096
    assert message.id in payload["message"]
    assert payload["title"]
    assert len(payload.get("actions", [])) <= 3


def test_what_is_left_out_is_said() -> None:
    assert "The rest is not shown here." in build_ntfy_payload(clean_message(long_story()))["message"]
    assert "more, not listed here." in build_ntfy_payload(clean_message(crowd()))["message"]


@pytest.mark.parametrize(
    ("name", "priority", "tags"),
    [
        ("contested", 5, ["red_circle", "overdue"]),
        ("opens", 4, ["orange_circle", "opens"]),
        ("moved", 4, ["purple_circle", "moved"]),
        ("done", 2, ["green_circle", "done"]),
        ("notice", 3, ["notice"]),
        ("test", 3, ["test"]),
        ("many", 5, ["red_circle", "overdue", "opens", "approaching", "moved", "done"]),
    ],
)
def test_what_is_late_is_loud(name: str, priority: int, tags: list[str]) -> None:
    payload = build_ntfy_payload(sample_message(name))

    assert (payload["priority"], payload["tags"]) == (priority, tags)


def test_a_tap_opens_the_page_and_buttons_the_rest() -> None:
    payload = build_ntfy_payload(with_links(sample_message()))

    assert payload["click"] == f"https://alertd.example/milestones/{MILESTONE}"
    assert [action["label"] for action in payload["actions"]] == ["Acknowledge", "Snooze", "Done"]
    assert {action["action"] for action in payload["actions"]} == {"view"}
    assert "click" not in build_ntfy_payload(sample_message())


async def test_a_repeat_takes_the_place_of_the_first() -> None:
    message = sample_message()

    outcome, (request,) = await sent("ntfy", topic(), PUBLISHED, message=message)

    assert outcome == Sent(note="HTTP 200")
    assert request.path == "/"
    assert body_of(request)["topic"] == "canary-topic"
    assert body_of(request)["sequence_id"] == message.id


async def test_no_text_reaches_a_header() -> None:
    _, (request,) = await sent("ntfy", topic(), PUBLISHED, message=titled("Größe 期限\r\nX-Evil: 1"))

    assert set(request.headers) <= {
        "host", "accept", "connection", "accept-encoding", "content-type", "content-length", "user-agent",
    }  # fmt: skip


async def test_a_token_or_a_password_logs_in() -> None:
    _, (by_token,) = await sent("ntfy", topic(token_file="t"), PUBLISHED, secrets={"t": "tk_canary\n"})
    _, (by_password,) = await sent(
        "ntfy", topic(basic={"username": "phil", "password_file": "p"}), PUBLISHED, secrets={"p": "größe"}
    )
    _, (by_nothing,) = await sent("ntfy", topic(), PUBLISHED)

    assert by_token.headers["authorization"] == "Bearer tk_canary"
    assert (
        base64.b64decode(by_password.headers["authorization"].removeprefix("Basic ")).decode() == "phil:größe"
    )
    assert "authorization" not in by_nothing.headers


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said({"code": 42901, "http": 429, "error": "limit reached: too many requests"}, 429), Retry),
        (said({"code": 50701, "http": 507}, 507), Retry),
        (said({"code": 40301, "http": 403, "error": "forbidden canary-topic"}, 403), Rejected),
        (Answer(body=b"<html>ntfy</html>"), Rejected),
    ],
)
async def test_what_fails_is_told_without_the_topic(answer: Answer, kind: type) -> None:
    outcome, _ = await sent("ntfy", topic(), answer)

    assert isinstance(outcome, kind)
    assert "canary" not in repr(outcome)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"topic": "canary/x"}, "is not a topic"),
        ({"topic": None}, "topic or topic_file is required"),
        ({"token": "tk_canary\n"}, "is not a token"),
        ({"token": "tk_canary", "basic": {"username": "phil", "password": "canary"}}, "exclude each other"),
    ],
)
def test_what_cannot_work_is_refused_and_not_quoted(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NtfyOptions.model_validate({"topic": "t", **options})

    assert why in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("name", "held"), [("topic_file", "canary/x"), ("token_file", "canary x")])
async def test_a_file_that_holds_something_else_is_tried_again_and_not_quoted(name: str, held: str) -> None:
    options = {name: "s"} if name == "topic_file" else {"topic": "t", name: "s"}

    outcome, requests = await sent("ntfy", lambda url: {"server": url, **options}, secrets={"s": held})

    assert isinstance(outcome, Retry)
    assert "canary" not in outcome.reason
    assert requests == []


class TestContract(ServiceContract):
    type_name = "ntfy"
    takes = (json_answer({"id": "hwQ2YpKdmg"}),)

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {"server": url, "topic": CANARY, "token": f"tk_{CANARY}", "timeout": timeout_s}
