"""PagerDuty: the requests that it gets, and the outcomes of its answers."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.core.milestones.milestone import State
from alertd.notify.base import encode_json
from alertd.notify.pagerduty import build_pagerduty_payloads
from alertd.notify.render.clean import clean_message
from alertd.testing import SAMPLES, Answer, sample_message, with_links
from alertd.testing.contract import CANARY
from tests.notify.contract import ServiceContract, json_answer
from tests.notify.sending import MILESTONE, Options, body_of, crowd, long_story, said, sent, titled

ACCEPTED = said({"status": "success", "message": "Event processed", "dedup_key": "k"}, 202)
KEY = "canary0123456789canary0123456789"


def service() -> Options:
    return lambda url: {"api_url": url, "routing_key": KEY}


@pytest.mark.parametrize(
    "message",
    [*(sample_message(name) for name in SAMPLES), long_story(), crowd(), titled("\U0001f534" * 2_000)],
    ids=[*SAMPLES, "story", "crowd", "wide"],
)
def test_every_limit_is_kept_and_every_field_is_one_of_theirs(message: Message) -> None:
    for payload in build_pagerduty_payloads(clean_message(with_links(message))):
        about = payload["payload"]
        assert len(encode_json(payload)) <= 512 * 1024
        assert 0 < len(about["summary"]) <= 1_024
        assert about["source"]
        assert about["severity"] in ("critical", "error", "warning", "info")
        assert 0 < len(payload["dedup_key"]) <= 255
        assert payload["event_action"] in ("trigger", "acknowledge", "resolve")
        assert about["custom_details"]["id"] == message.id


@pytest.mark.parametrize(
    ("name", "action", "severity"),
    [
        ("contested", "trigger", "critical"),
        ("opens", "trigger", "warning"),
        ("approaching", "trigger", "warning"),
        ("moved", "trigger", "warning"),
        ("done", "resolve", "info"),
        ("acknowledged", "acknowledge", "info"),
        ("cancelled", "resolve", "info"),
    ],
)
def test_the_alert_follows_the_milestone(name: str, action: str, severity: str) -> None:
    message = sample_message(name)

    (payload,) = build_pagerduty_payloads(message)

    assert payload["event_action"] == action
    assert payload["payload"]["severity"] == severity
    assert payload["dedup_key"] == f"alertd/{message.items[0].milestone}"


def test_what_is_cancelled_is_resolved() -> None:
    message = sample_message()
    cancelled = replace(message, items=(replace(message.items[0], state=State.CANCELLED),))

    (payload,) = build_pagerduty_payloads(cancelled)

    assert payload["event_action"] == "resolve"


def test_a_name_that_is_too_long_for_a_key_gets_one_of_its_own() -> None:
    message = sample_message()
    named = [
        replace(message, items=(replace(message.items[0], milestone=f"{'t' * 250}/{end}"),))
        for end in ("a", "b")
    ]

    first, second, again = (
        next(build_pagerduty_payloads(message))["dedup_key"] for message in (*named, named[0])
    )

    assert first == again != second


@pytest.mark.parametrize("name", ["digest", "notice", "test"])
def test_what_is_about_no_milestone_is_one_alert_of_its_own(name: str) -> None:
    message = sample_message(name)

    (payload,) = build_pagerduty_payloads(message)

    assert payload["dedup_key"] == f"alertd/{message.id}"
    assert payload["event_action"] == "trigger"


def test_the_page_is_linked() -> None:
    (payload,) = build_pagerduty_payloads(with_links(sample_message()))

    assert payload["client_url"] == f"https://alertd.example/milestones/{MILESTONE}"
    assert [link["text"] for link in payload["links"]] == ["Acknowledge", "Snooze", "Done", "Details"]
    assert "links" not in next(build_pagerduty_payloads(sample_message()))


async def test_it_is_accepted_with_a_202() -> None:
    outcome, (request,) = await sent("pagerduty", service(), ACCEPTED)

    assert outcome == Sent(note="HTTP 202")
    assert request.path == "/v2/enqueue"
    assert body_of(request)["routing_key"] == KEY


async def test_of_many_each_has_its_alert() -> None:
    message = sample_message("many")

    outcome, requests = await sent("pagerduty", service(), ACCEPTED, message=message)

    assert outcome == Sent(note="5 requests: HTTP 202")
    assert [body_of(request)["dedup_key"] for request in requests] == [
        f"alertd/{item.milestone}" for item in message.items
    ]
    assert [body_of(request)["event_action"] for request in requests] == ["trigger"] * 4 + ["resolve"]


async def test_what_fails_midway_is_tried_again_as_a_whole() -> None:
    outcome, requests = await sent(
        "pagerduty", service(), ACCEPTED, Answer(status=500, body=b""), message=sample_message("many")
    )

    assert isinstance(outcome, Retry)
    assert "1 of 5 milestones are told of; " in outcome.reason
    assert outcome.partly
    assert len(requests) == 2


async def test_who_asks_for_time_gets_it_for_the_whole_channel() -> None:
    busy = Answer(status=429, body=b"", headers={"Retry-After": "30"})

    outcome, _ = await sent("pagerduty", service(), ACCEPTED, busy, message=sample_message("many"))

    assert isinstance(outcome, Retry)
    assert outcome.after is not None
    assert not outcome.partly


async def test_one_that_is_refused_keeps_none_of_the_others_back() -> None:
    refusal = said({"status": "invalid event", "message": "Event object is invalid", "errors": [KEY]}, 400)

    outcome, requests = await sent("pagerduty", service(), refusal, ACCEPTED, message=sample_message("many"))

    assert isinstance(outcome, Sent)
    assert outcome.partly.startswith("1 of 5 milestones were refused, the last because ")
    assert "canary" not in outcome.partly
    assert len(requests) == 5


async def test_all_that_are_refused_are_rejected() -> None:
    refusal = said({"status": "invalid event", "message": "Event object is invalid"}, 400)

    outcome, _ = await sent("pagerduty", service(), refusal, message=sample_message("many"))

    assert isinstance(outcome, Rejected)


@pytest.mark.parametrize("answer", [Answer(body=b"<html>Log in</html>"), said({"status": "invalid event"})])
async def test_another_2xx_is_not_taken_for_pagerdutys(answer: Answer) -> None:
    outcome, _ = await sent("pagerduty", service(), answer)

    assert isinstance(outcome, Rejected)
    assert "not as PagerDuty does" in outcome.reason


class TestContract(ServiceContract):
    type_name = "pagerduty"
    takes = (json_answer({"status": "success"}, 202),)
    golden_list = True

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {"api_url": url, "routing_key": CANARY, "timeout": timeout_s}
