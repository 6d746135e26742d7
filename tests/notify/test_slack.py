"""Slack through an incoming webhook: the outcomes of its answers, and valid combinations of options."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.base import Env
from alertd.notify.slack.blocks import render_posts
from alertd.notify.slack.notifier import SlackNotifier, SlackOptions
from alertd.testing import Answer, Fault, HttpSink, notifier_env, sample_message, with_links
from tests.notify.contract import SECRET_PATH, ServiceContract
from tests.notify.slack_limits import faults
from tests.notify.test_slack_blocks import of_many

HOOK = {"webhook_url": "https://hooks.slack.com/services/T0/B0/canary"}
BOT = {"token": "xoxb-canary", "channel": "C024BE91L"}


@pytest.fixture
async def env() -> AsyncIterator[Env]:
    made = notifier_env()
    yield made
    await made.http.aclose()


def notifier(env: Env, sink: HttpSink, **options: Any) -> SlackNotifier:
    hook = {"webhook_url": f"{sink.url}/services/T0/B0/canary", "timeout": 5}
    return SlackNotifier(SlackOptions.model_validate({**hook, **options}), env)


async def sent(env: Env, *answers: Answer) -> tuple[Outcome, HttpSink]:
    async with HttpSink(*answers) as sink:
        return await notifier(env, sink).send(sample_message(), {}), sink


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        # Slack's success.
        (Answer(), Sent(note="HTTP 200")),
        # The success of Mattermost and Rocket.Chat.
        (Answer(body=b'{"success":true}'), Sent(note="HTTP 200")),
        # The log-in page of a proxy or a gateway.
        (Answer(body=b"<html>Log in"), Rejected(reason="answered 200, but not ok: <html>Log in")),
        (Answer(body=b'{"ok":false}'), Rejected(reason='answered 200, but not ok: {"ok":false}')),
        (Answer(body=b"[" * 60_000), Rejected(reason="answered 200, but not ok: " + "[" * 199 + "…")),
        # The documented errors of incoming webhooks.
        (Answer(status=404, body=b"no_service"), Rejected(reason="answered 404: no_service")),
        (Answer(status=400, body=b"invalid_token"), Rejected(reason="answered 400: invalid_token")),
        (Answer(status=403, body=b"action_prohibited"), Rejected(reason="answered 403: action_prohibited")),
        (
            Answer(status=410, body=b"channel_is_archived"),
            Rejected(reason="answered 410: the receiver is gone and wants no more", gone=True),
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
        outcome = replace(outcome, reason=f"{sink.url} {outcome.reason}")
    assert actual == outcome
    assert [request.path for request in sink.requests] == ["/services/T0/B0/canary"]


async def test_an_answer_that_breaks_off_leaves_it_unknown(env: Env) -> None:
    outcome, _ = await sent(env, Answer(fault=Fault.RESET_IN_BODY))

    assert isinstance(outcome, Retry)
    assert outcome.unknown


@pytest.mark.parametrize("error", ["invalid_blocks", "invalid_attachments", "msg_blocks_too_long"])
async def test_what_is_refused_for_its_layout_is_sent_as_text(env: Env, error: str) -> None:
    """Slack posted nothing at first, and a reminder must not fail because of its layout."""
    message = sample_message()

    outcome, sink = await sent(env, Answer(status=400, body=error.encode()), Answer())

    assert outcome == Sent(note=f"HTTP 200; as plain text: {error}")
    laid_out, plain = (json.loads(request.body) for request in sink.requests)
    assert set(plain) == {"text", "unfurl_links", "unfurl_media"}
    assert plain["text"] == f"{laid_out['text']}\n{message.id}"


async def test_what_is_refused_as_text_too_is_rejected_for_the_first_reason(env: Env) -> None:
    outcome, sink = await sent(
        env, Answer(status=400, body=b"invalid_blocks"), Answer(status=403, body=b"no")
    )

    assert outcome == Rejected(reason=f"{sink.url} answered 400: invalid_blocks")


async def test_a_webhook_gets_no_word_of_channels_threads_or_metadata(env: Env) -> None:
    _, sink = await sent(env)

    body = json.loads(sink.requests[0].body)
    assert set(body) == {"text", "unfurl_links", "unfurl_media", "blocks", "attachments"}
    assert faults(body) == []


async def test_several_posts_are_made_in_order_and_the_rest_is_tried_again_without_them(env: Env) -> None:
    message = of_many(200)
    async with HttpSink(Answer(), Answer(status=503, body=b"later"), Answer()) as sink:
        sender = notifier(env, sink)
        first = await sender.send(message, {})
        second = await sender.send(message, {})

    parts = [
        json.loads(request.body)["attachments"][0]["blocks"][-1]["elements"][0]["text"]
        for request in sink.requests
    ]
    assert first == Retry(reason=f"1 of 3 parts are posted; {sink.url} answered 503: later", partly=True)
    assert second == Sent(note="HTTP 200")
    assert [part.partition(" · ")[2] for part in parts] == [
        "part 1 of 3",
        "part 2 of 3",
        "part 2 of 3",
        "part 3 of 3",
    ]
    assert {part.partition(" · ")[0] for part in parts} == {message.id}


async def test_a_rate_limit_between_posts_holds_the_whole_channel(env: Env) -> None:
    answers = Answer(), Answer(status=429, body=b"", headers={"Retry-After": "7"})
    async with HttpSink(*answers) as sink:
        outcome = await notifier(env, sink).send(of_many(200), {})

    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=7)
    assert not outcome.partly


async def test_parts_that_are_not_those_of_before_are_all_sent(env: Env) -> None:
    message = of_many(200)
    fewer = replace(message, items=message.items[:170])
    async with HttpSink(Answer(), Answer(status=503), Answer()) as sink:
        sender = notifier(env, sink)
        await sender.send(message, {})
        outcome = await sender.send(fewer, {})

    assert outcome == Sent(note="HTTP 200")
    assert len(sink.requests) == 2 + len(render_posts(fewer))


async def test_clicks_come_to_alertd_once_there_is_a_signing_secret(env: Env) -> None:
    async with HttpSink() as sink:
        await notifier(env, sink).send(with_links(sample_message()), {})
        await notifier(env, sink, signing_secret="x").send(with_links(sample_message()), {})

    linked, acting = (request.body.decode() for request in sink.requests)
    assert '"action_id":"open.acknowledge"' in linked
    assert '"action_id":"alertd.acknowledge"' in acting


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "webhook_url, webhook_url_file, token or token_file is required"),
        ({**HOOK, "webhook_url_file": "x"}, "webhook_url and webhook_url_file exclude each other"),
        ({**HOOK, **BOT}, "webhook_url and token exclude each other"),
        ({"token": "xoxb-canary"}, "a token needs a channel to post to"),
        ({**BOT, "token_file": "x"}, "token and token_file exclude each other"),
        ({**HOOK, "channel": "C1"}, "channel is nothing without a token"),
        ({**HOOK, "signing_secret": "x", "signing_secret_file": "x"}, "exclude each other"),
        ({**BOT, "api_url": "ftp://slack.example"}, "is not an http or https URL with a host"),
        ({**BOT, "broadcast": ["late"]}, "Input should be 'opens', 'approaching'"),
        ({**BOT, "mentions": [{"who": "nobody"}]}, "is not here, channel, everyone"),
    ],
)
def test_options_that_do_not_go_together_are_refused_without_being_quoted(
    options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        SlackOptions.model_validate(options)

    assert why in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_a_file_that_holds_no_token_or_url_is_tried_again_and_not_quoted() -> None:
    held = {"token": "xoxb canary", "url": "canary"}
    env = notifier_env(secrets=held)
    bot = SlackNotifier(SlackOptions.model_validate({"token_file": "token", "channel": "C1"}), env)
    hook = SlackNotifier(SlackOptions.model_validate({"webhook_url_file": "url"}), env)

    outcomes = [await sender.send(sample_message(), {}) for sender in (bot, hook)]
    await env.http.aclose()

    assert outcomes == [
        Retry(reason="what the secret file holds is not a token"),
        Retry(reason="what the secret file holds is not an http or https URL with a host"),
    ]


class TestContract(ServiceContract):
    type_name = "slack"
    golden_links = False
    golden_list = True

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {"webhook_url": url + SECRET_PATH, "timeout": timeout_s}
