"""Matrix: the requests that a homeserver gets, and the outcomes of its answers."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta

import pytest
from pydantic import ValidationError

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify.matrix import MatrixOptions, build_matrix_content
from alertd.notify.render.clean import clean_message
from alertd.testing import SAMPLES, Answer, sample_message, with_links
from alertd.testing.contract import CANARY
from tests.notify.contract import ServiceContract, json_answer
from tests.notify.sending import MILESTONE, Options, body_of, crowd, long_story, said, sent, titled
from tests.notify.test_outline import Checked

TOKEN = "syt_canary"
ROOM = "!deadlines:example.org"
MAX_EVENT = 65_536
ALLOWED = {"h4", "p", "br", "b", "i", "s", "a", "code", "sub"}
"""Some of the tags that "m.room.message msgtypes" allows in a formatted body."""


def room(**more: object) -> Options:
    return lambda url: {"homeserver": f"{url}/", "room": ROOM, "token": TOKEN, **more}


def event(number: int) -> Answer:
    return said({"event_id": f"$event{number}"})


@pytest.mark.parametrize(
    "message",
    [*(sample_message(name) for name in SAMPLES), long_story(), crowd(), titled("<&\U0001f534" * 500)],
    ids=[*SAMPLES, "story", "crowd", "escapes"],
)
def test_it_fits_into_one_message_of_sound_html(message: Message) -> None:
    content = build_matrix_content(clean_message(with_links(message)), "text")

    # Canonical JSON is UTF-8. The content leaves room for keys, hashes, signatures and a thread.
    assert len(json.dumps(content, ensure_ascii=False).encode()) <= MAX_EVENT - 8_000
    read = Checked()
    read.feed(content["formatted_body"].replace("<br>", ""))
    assert read.open == []
    assert message.id in read.text
    assert message.id in content["body"]


def test_only_tags_that_every_client_shows_are_used() -> None:
    content = build_matrix_content(clean_message(titled("<script>alert(1)</script> <mx-reply>")), "text")

    assert set(re.findall(r"</?([a-z0-9-]+)", content["formatted_body"])) <= ALLOWED
    assert "&lt;script&gt;" in content["formatted_body"]


def test_nobody_is_mentioned_unless_it_is_said_outright() -> None:
    content = build_matrix_content(clean_message(titled("@room @m.haddad:example.org")), "text")

    assert content["m.mentions"] == {}
    assert "@\u2060room @\u2060m.haddad:example.org" in content["formatted_body"]


def test_what_is_left_out_is_said() -> None:
    assert "more, not listed here." in build_matrix_content(clean_message(crowd(2_000)), "text")["body"]


async def test_the_transaction_is_the_delivery() -> None:
    message = sample_message()

    outcome, (request,) = await sent("matrix", room(), event(1), message=message)

    assert isinstance(outcome, Sent)
    assert request.method == "PUT"
    assert request.path == f"/_matrix/client/v3/rooms/{ROOM}/send/m.room.message/{message.id}"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert body_of(request)["msgtype"] == "m.text"
    assert "m.relates_to" not in body_of(request)


async def test_a_room_is_one_piece_of_the_path() -> None:
    _, (request,) = await sent("matrix", room(room="!a/b?c#d:example.org"), event(1))

    assert request.path.startswith("/_matrix/client/v3/rooms/!a%2Fb%3Fc%23d:example.org/send/m.room.message/")


async def test_the_first_message_about_a_milestone_begins_its_thread() -> None:
    outcome, _ = await sent("matrix", room(), event(1))

    assert outcome == Sent(
        note="HTTP 200", state={MILESTONE: {"room": ROOM, "root": "$event1", "last": "$event1"}}
    )


async def test_later_messages_are_in_the_thread_and_reply_to_the_one_before() -> None:
    prior = {MILESTONE: {"room": ROOM, "root": "$event1", "last": "$event2"}}

    outcome, (request,) = await sent("matrix", room(), event(3), prior=prior)

    assert outcome == Sent(note="HTTP 200", state={MILESTONE: {**prior[MILESTONE], "last": "$event3"}})
    assert body_of(request)["m.relates_to"] == {
        "rel_type": "m.thread", "event_id": "$event1", "is_falling_back": True,
        "m.in_reply_to": {"event_id": "$event2"},
    }  # fmt: skip


@pytest.mark.parametrize("status", [400, 404])
async def test_a_thread_that_the_room_does_not_know_is_begun_anew(status: int) -> None:
    refusal = said({"errcode": "M_UNKNOWN", "error": "Can't send relation to unknown event"}, status)
    prior = {MILESTONE: {"room": ROOM, "root": "$gone", "last": "$gone"}}

    outcome, (first, second) = await sent("matrix", room(), refusal, event(9), prior=prior)

    assert outcome == Sent(
        note="HTTP 200", state={MILESTONE: {"room": ROOM, "root": "$event9", "last": "$event9"}}
    )
    assert first.path == second.path
    assert "m.relates_to" not in body_of(second)


async def test_a_room_of_another_name_has_threads_of_its_own() -> None:
    prior = {MILESTONE: {"room": "!old:example.org", "root": "$1", "last": "$1"}}

    _, (request,) = await sent("matrix", room(), event(1), prior=prior)

    assert "m.relates_to" not in body_of(request)


@pytest.mark.parametrize("more", [{"thread": False}, {}])
async def test_without_threads_and_for_many_nothing_is_remembered(more: dict[str, object]) -> None:
    message = sample_message() if more else sample_message("many")

    outcome, _ = await sent("matrix", room(**more), event(1), message=message)

    assert outcome == Sent(note="HTTP 200")


async def test_a_notice_is_one_when_it_is_asked_for() -> None:
    _, (request,) = await sent("matrix", room(msgtype="notice"), event(1))

    assert body_of(request)["msgtype"] == "m.notice"


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (said({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2_001}, 429), 3),
        (said({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2_000}, 429, **{"Retry-After": "9"}), 9),
        (said({"errcode": "M_LIMIT_EXCEEDED"}, 429), None),
    ],
)
async def test_it_waits_as_long_as_the_answer_asks_for(answer: Answer, after: int | None) -> None:
    outcome, _ = await sent("matrix", room(), answer)

    assert isinstance(outcome, Retry)
    assert outcome.after == (timedelta(seconds=after) if after else None)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (said({"errcode": "M_FORBIDDEN", "error": "User not in room"}, 403), "User not in room"),
        (said({"errcode": "M_UNKNOWN_TOKEN", "error": f"no {TOKEN}"}, 401), "no [hidden]"),
        (Answer(body=b"<html>Welcome</html>"), "not as a homeserver does"),
        (said({}), "not as a homeserver does"),
    ],
)
async def test_what_will_not_help_is_rejected(answer: Answer, why: str) -> None:
    outcome, _ = await sent("matrix", room(), answer)

    assert isinstance(outcome, Rejected)
    assert why in outcome.reason


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"room": "#deadlines:example.org"}, "is not a room's id, which begins with !"),
        ({"token": "canary token"}, "is not a token"),
        ({"token": None}, "token or token_file is required"),
        ({"homeserver": "matrix.example.org"}, "is not an http or https URL with a host"),
    ],
)
def test_what_cannot_work_is_refused_and_not_quoted(options: dict[str, object], why: str) -> None:
    whole = {"homeserver": "https://matrix.example.org", "room": ROOM, "token": TOKEN, **options}

    with pytest.raises(ValidationError) as caught:
        MatrixOptions.model_validate(whole)

    assert why in str(caught.value)
    assert "canary" not in str(caught.value)


class TestContract(ServiceContract):
    type_name = "matrix"
    takes = (json_answer({"event_id": "$1234"}),)

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {"homeserver": url, "room": "!deadlines:example.org", "token": CANARY, "timeout": timeout_s}
