"""Slack: what an incoming webhook gets, and that it is within Slack's limits whatever the titles are."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alertd.core.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.clean import fit
from alertd.notify.kit import Env
from alertd.notify.slack import SlackNotifier, SlackOptions
from alertd.notify.slack_blocks import MAX_BLOCKS, slack_payload
from alertd.testing import SAMPLES, Answer, Fault, HttpSink, notifier_env, sample_message


@pytest.fixture
async def env() -> AsyncIterator[Env]:
    made = notifier_env()
    yield made
    await made.http.aclose()


async def sent(env: Env, *answers: Answer, timeout_s: float = 5) -> tuple[Outcome, HttpSink]:
    async with HttpSink(*answers) as sink:
        options = SlackOptions.model_validate(
            {"webhook_url": f"{sink.url}/services/T0/B0/canary", "timeout": timeout_s}
        )
        return await SlackNotifier(options, env).send(sample_message(), {}), sink


def texts(value: Any) -> Iterator[str]:
    """Every text object's text."""
    if isinstance(value, dict):
        if value.get("type") in ("mrkdwn", "plain_text"):
            yield value["text"]
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        # What Slack says when all is well.
        (Answer(), Sent(note="HTTP 200")),
        # What Mattermost and Rocket.Chat say.
        (Answer(body=b'{"success":true}'), Sent(note="HTTP 200")),
        # A log-in page of something in between.
        (Answer(body=b"<html>Log in"), Rejected(reason="answered 200, but not ok: <html>Log in")),
        (Answer(body=b'{"ok":false}'), Rejected(reason='answered 200, but not ok: {"ok":false}')),
        # The documented errors of incoming webhooks.
        (Answer(status=404, body=b"no_service"), Rejected(reason="answered 404: no_service")),
        (Answer(status=400, body=b"invalid_token"), Rejected(reason="answered 400: invalid_token")),
        (
            Answer(status=410, body=b"channel_is_archived"),
            Rejected(reason="answered 410: the receiver is gone and wants no more"),
        ),
        (
            Answer(status=429, body=b"rate_limited", headers={"Retry-After": "30"}),
            Retry(reason="answered 429: rate_limited", after=timedelta(seconds=30)),
        ),
        (Answer(status=500, body=b"rollup_error"), Retry(reason="answered 500: rollup_error")),
    ],
)  # fmt: skip
async def test_each_answer_of_slack_has_its_outcome(env: Env, answer: Answer, outcome: Outcome) -> None:
    actual, sink = await sent(env, answer)

    if isinstance(outcome, Retry | Rejected):
        outcome = replace(outcome, reason=f"{sink_url(actual)} {outcome.reason}")
    assert actual == outcome
    assert sink.requests[0].path == "/services/T0/B0/canary"


def sink_url(outcome: Outcome) -> str:
    assert isinstance(outcome, Retry | Rejected)
    return outcome.reason.split(" ")[0]


async def test_an_answer_that_breaks_off_leaves_it_unknown(env: Env) -> None:
    outcome, _ = await sent(env, Answer(fault=Fault.RESET_IN_BODY))

    assert isinstance(outcome, Retry)
    assert outcome.unknown


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_has_a_header_a_fallback_a_colour_and_its_id(name: str) -> None:
    message = sample_message(name)

    payload = slack_payload(fit(message))

    assert payload["blocks"][0]["type"] == "header"
    assert message.subject in payload["text"]
    (attachment,) = payload["attachments"]
    assert attachment["color"].startswith("#")
    last = attachment["blocks"][-1]
    assert last["type"] == "context"
    assert last["elements"][0]["text"] == message.id


HOSTILE = [
    # A mention of everybody, a link that is another, an escape.
    "<!channel> <https://evil.example|https://good.example> &amp;",
    # A date that Slack would turn to each reader's zone.
    "<!date^1392734382^{date}|x>",
    "a\r\nb\x1b[31m\u202etxt.exe",
    "\U0001f480" * 50_000,
    "x" * 100_000,
    "&" * 100_000,
    "*bold* _it_ ~st~ `code` @here #general",
    "ملف " * 500,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["contested", "many"])
def test_whatever_the_texts_are_they_fit_and_steer_nothing(name: str, text: str) -> None:
    message = sample_message(name)
    item = replace(
        message.items[0], title=text, phrase=text, headline=text, details=(text,) * 100, milestone=text
    )
    item = replace(item, claims=tuple(replace(one, phrase=text, note=text) for one in item.claims) * 40)
    items = (item,) * (200 if name == "many" else 1)

    payload = slack_payload(fit(replace(message, items=items, subject=text)))

    blocks = payload["blocks"] + payload["attachments"][0]["blocks"]
    assert len(blocks) <= MAX_BLOCKS
    assert blocks[-1]["elements"][0]["text"] == message.id
    assert len(blocks[0]["text"]["text"].encode("utf-16-le")) // 2 <= 150
    for one in texts(payload):
        assert 0 < len(one.encode("utf-16-le")) // 2 <= 3_000
    for one in [*texts(blocks[1:]), payload["text"]]:
        assert "<!" not in one
        assert "<https://evil" not in one
        assert "\x1b" not in one
        assert "\u202e" not in one
    json.dumps(payload).encode("ascii")


def test_of_very_many_only_the_first_are_listed_and_the_rest_counted() -> None:
    message = sample_message("many")

    payload = slack_payload(fit(replace(message, items=message.items * 40)))

    assert any("and 170 more" in text for text in texts(payload))
    assert "and 170 more" in payload["text"]
