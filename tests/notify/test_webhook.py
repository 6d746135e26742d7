"""Webhooks: what arrives at a real server, and that third-party libraries can verify it."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

import alertd
from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.notify.base import Env
from alertd.notify.webhook.notifier import WebhookNotifier, WebhookOptions
from alertd.testing import SAMPLES, Answer, FixedClock, HttpSink, notifier_env, sample_message
from alertd.testing.contract import CANARY
from tests.notify.contract import SECRET_PATH, ServiceContract

CURRENT = "whsec_" + base64.b64encode(b"current" * 5).decode()
FORMER = "whsec_" + base64.b64encode(b"former" * 6).decode()


@pytest.fixture
async def env() -> AsyncIterator[Env]:
    # The reference library compares the timestamp with the machine's clock.
    made = notifier_env(clock=FixedClock(datetime.now(UTC)))  # noqa: TID251
    yield made
    await made.http.aclose()


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as server:
        yield server


def options(**given: object) -> WebhookOptions:
    return WebhookOptions.model_validate(given)


async def test_a_message_arrives_as_json_with_its_id_in_the_header_and_the_body(
    env: Env, sink: HttpSink
) -> None:
    message = sample_message("contested")

    outcome = await WebhookNotifier(options(url=f"{sink.url}/hook?token=1"), env).send(message, {})

    assert outcome == Sent(note="HTTP 200")
    (request,) = sink.requests
    assert (request.method, request.path) == ("POST", "/hook?token=1")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"alertd/{alertd.__version__}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == message.id
    assert "webhook-signature" not in request.headers
    body = json.loads(request.body)
    assert body["version"] == 1
    assert body["type"] == "milestone.overdue"
    assert body["timestamp"] == "2026-11-24T06:00:00Z"
    assert body["data"]["id"] == message.id
    (item,) = body["data"]["items"]
    assert item["state"] == "passed_by_some"
    assert [claim["edtf"] for claim in item["claims"]] == ["2026-09", "2026", "2027-09~"]
    assert item["claims"][0]["window"] == {"begins": "2026-08-31T21:00:00Z", "ends": "2026-09-30T21:00:00Z"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("approaching", "milestone.approaching"),
        ("contested", "milestone.overdue"),
        ("moved", "milestone.moved"),
        ("opens", "milestone.opens"),
        ("done", "milestone.done"),
        ("many", "milestones.many"),
        ("notice", "alertd.notice"),
        ("test", "alertd.test"),
    ],
)
async def test_the_type_says_what_the_message_is_about(
    env: Env, sink: HttpSink, name: str, kind: str
) -> None:
    await WebhookNotifier(options(url=sink.url), env).send(sample_message(name), {})

    assert json.loads(sink.requests[0].body)["type"] == kind
    assert name in SAMPLES


async def test_a_retry_is_the_same_request_signed_anew(env: Env, sink: HttpSink) -> None:
    notifier = WebhookNotifier(options(url=sink.url, secret=CURRENT), env)

    await notifier.send(sample_message("contested", attempt=1), {})
    await notifier.send(sample_message("contested", attempt=2), {})

    first, second = sink.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (first.headers["alertd-attempt"], second.headers["alertd-attempt"]) == ("1", "2")


async def test_the_reference_library_verifies_what_arrives(env: Env, sink: HttpSink) -> None:
    await WebhookNotifier(options(url=sink.url, secret=CURRENT), env).send(sample_message("many"), {})

    (request,) = sink.requests
    verified = Webhook(CURRENT).verify(request.body.decode(), dict(request.headers))
    assert verified["type"] == "milestones.many"
    with pytest.raises(WebhookVerificationError):
        Webhook(FORMER).verify(request.body.decode(), dict(request.headers))


async def test_while_a_secret_is_rotated_both_verify(env: Env, sink: HttpSink) -> None:
    await WebhookNotifier(options(url=sink.url, secret=[CURRENT, FORMER]), env).send(sample_message(), {})

    (request,) = sink.requests
    for secret in (CURRENT, FORMER):
        Webhook(secret).verify(request.body.decode(), dict(request.headers))


async def test_a_secret_in_a_file_is_read_at_each_send(sink: HttpSink) -> None:
    held = {"hook_url": f"{sink.url}/a\n", "hook_secret": FORMER}
    env = notifier_env(secrets=held, clock=FixedClock(datetime.now(UTC)))  # noqa: TID251
    notifier = WebhookNotifier(options(url_file="hook_url", secret_file="hook_secret"), env)

    await notifier.send(sample_message(), {})
    held.update(hook_url=f"{sink.url}/b", hook_secret=CURRENT)
    await notifier.send(sample_message(), {})
    await env.http.aclose()

    first, second = sink.requests
    assert (first.path, second.path) == ("/a", "/b")
    Webhook(FORMER).verify(first.body.decode(), dict(first.headers))
    Webhook(CURRENT).verify(second.body.decode(), dict(second.headers))


@pytest.mark.parametrize(
    ("held", "why"),
    [
        # The file does not exist.
        ({}, "secret file 'hook_url': not found"),
        # The file is being written, or has wrong contents.
        (
            {"hook_url": "canary-8c1f"},
            "what the webhook's secret file holds is not an http or https URL with a host",
        ),
    ],
)
async def test_a_url_that_cannot_be_read_is_tried_again_and_not_quoted(
    held: dict[str, str], why: str
) -> None:
    env = notifier_env(secrets=held)

    outcome = await WebhookNotifier(options(url_file="hook_url"), env).send(sample_message(), {})

    assert outcome == Retry(reason=why)


async def test_own_headers_are_sent_and_hidden_when_they_are_echoed(env: Env, sink: HttpSink) -> None:
    sink.answers = [Answer(status=400, body=b"bad token canary-8c1f in Bearer canary-8c1f")]
    notifier = WebhookNotifier(options(url=sink.url, headers={"Authorization": "Bearer canary-8c1f"}), env)

    outcome = await notifier.send(sample_message(), {})

    assert sink.requests[0].headers["authorization"] == "Bearer canary-8c1f"
    assert isinstance(outcome, Rejected)
    assert outcome.reason == f"{sink.url} answered 400: bad token [hidden] in [hidden]"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "url or url_file is required"),
        ({"url": "https://a.example/", "url_file": "hook"}, "url and url_file exclude each other"),
        (
            {"url": "https://a.example/", "secret": "s3cret", "secret_file": "f"},
            "secret and secret_file exclude",
        ),
        ({"url": "ftp://a.example/canary"}, "not an http or https URL"),
        ({"url": "https://"}, "not an http or https URL"),
        ({"url": "https://a.example/ x"}, "without spaces"),
        ({"url": "https://a.example/", "secret": "whsec_canary!"}, "not whsec_ followed by base64"),
        # A header that only the transport or the signature sets.
        ({"url": "https://a.example/", "headers": {"Host": "b.example"}}, "set by alertd alone"),
        ({"url": "https://a.example/", "headers": {"Webhook-Id": "1"}}, "set by alertd alone"),
        ({"url": "https://a.example/", "headers": {"Transfer-Encoding": "chunked"}}, "set by alertd alone"),
        # A line break would start another header.
        ({"url": "https://a.example/", "headers": {"X-A": "canary\r\nX-B: 2"}}, "not printable ASCII"),
        ({"url": "https://a.example/", "headers": {"X A": "1"}}, "not a header's name"),
        ({"url": "https://a.example/", "timeout": 0}, "greater than 0"),
        ({"url": "https://a.example/", "colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_options_that_cannot_work_are_refused_without_quoting_a_secret(
    given: dict[str, object], why: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        options(**given)

    assert why in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_odd_texts_pass_through_and_steer_nothing(env: Env, sink: HttpSink) -> None:
    item = replace(
        sample_message().items[0],
        title="a\r\nb \u202e\U0001f480 \udc80 ملف",
        fields={"url": "javascript:alert(1)"},
    )

    await WebhookNotifier(options(url=sink.url), env).send(sample_message(items=(item,)), {})

    sent = json.loads(sink.requests[0].body)["data"]["items"][0]
    assert sent["title"] == "a b \U0001f480 ملف"
    assert sent["url"] == ""


class TestContract(ServiceContract):
    type_name = "webhook"
    golden_links = False

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {
            "url": url + SECRET_PATH,
            "secret": CANARY,
            "headers": {"X-Key": CANARY},
            "timeout": timeout_s,
        }
