"""The bodies of webhooks: every format for every kind of message, byte by byte.

`ALERTD_UPDATE_GOLDEN=1 make test ARGS=tests/notify/test_webhook_formats.py` writes the files in
tests/golden/webhook/ again. Read the diff.
"""

import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.v1.http import from_http
from standardwebhooks.webhooks import Webhook

from alertd.core.message.message import Kind, Message
from alertd.core.milestones.milestone import State
from alertd.core.milestones.occurrence import Cause
from alertd.definitions.schema import format_schema
from alertd.notify.base import Env
from alertd.notify.render.clean import clean_message
from alertd.notify.webhook.alertmanager import NEVER, build_alertmanager_payload, compute_fingerprint
from alertd.notify.webhook.body import WebhookFormat
from alertd.notify.webhook.notifier import WebhookNotifier, WebhookOptions
from alertd.notify.webhook.payload import build_payload, encode_body
from alertd.notify.webhook.payload_schema import build_webhook_schema
from alertd.testing import SAMPLES, FixedClock, HttpSink, Received, notifier_env, sample_message, with_links

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "webhook"
SECRET = "whsec_" + base64.b64encode(b"current" * 5).decode()
TEMPLATE = """\
{
  "text": {{ subject }},
  "milestones": [
    {% for item in items %}
    {"id": {{ item.milestone }}, "by": {{ item.phrase }}, "country": {{ item.labels.country }},
     "accounts": [{% for claim in item.claims %}
       {{ claim.accounts|join(" and ", attribute="who") }}{% if not loop.last %},{% endif %}

     {% endfor %}]}{% if not loop.last %},{% endif %}

    {% endfor %}
  ]
}
"""


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as server:
        yield server


async def sent(
    sink: HttpSink, message: Message, form: str, clock: FixedClock | None = None, **given: object
) -> Received:
    """Return the request as it arrived."""
    env: Env = notifier_env(clock=clock)
    options = WebhookOptions.model_validate({"url": f"{sink.url}/hook", "format": form, **given})
    try:
        await WebhookNotifier(options, env).send(message, {})
    finally:
        await env.http.aclose()
    return sink.requests[-1]


def shown(request: Received) -> str:
    """Return a request as readable text: the headers that every run has, then the body."""
    body = json.loads(request.body)
    # The port and the length of the version number differ from run to run, so they are left out.
    headers = {name: text for name, text in request.headers.items() if name not in ("host", "user-agent")}
    lines = [
        f"{request.method} {request.path}",
        *(f"{name}: {text}" for name, text in sorted(headers.items())),
    ]
    return "\n".join((*lines, "", json.dumps(body, indent=2, ensure_ascii=False))) + "\n"


# -- all formats


@pytest.mark.parametrize("form", WebhookFormat)
@pytest.mark.parametrize("name", SAMPLES)
async def test_each_message_is_posted_as_it_was_when_somebody_last_looked(
    sink: HttpSink, name: str, form: WebhookFormat
) -> None:
    path = GOLDEN / f"{name}.{form}.http"
    given: dict[str, Any] = {"template": TEMPLATE} if form is WebhookFormat.TEMPLATE else {}

    posted = shown(await sent(sink, with_links(sample_message(name)), form, secret=SECRET, **given))

    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(posted, encoding="utf-8")
    assert posted == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{name}.{form}.http" for name in SAMPLES for form in WebhookFormat
    }


@pytest.mark.parametrize("form", WebhookFormat)
async def test_each_format_is_signed_and_verified_and_carries_the_id(
    sink: HttpSink, form: WebhookFormat
) -> None:
    # The reference library compares the timestamp with the machine's clock.
    clock = FixedClock(datetime.now(UTC))  # noqa: TID251
    given: dict[str, Any] = {"template": TEMPLATE} if form is WebhookFormat.TEMPLATE else {}
    message = sample_message("contested")

    request = await sent(sink, message, form, clock, secret=SECRET, **given)

    assert Webhook(SECRET).verify(request.body, dict(request.headers)) == json.loads(request.body)
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == message.id


# -- alertd


def closed(schema: Any) -> Any:
    """Return the schema, changed to refuse unknown names."""
    if isinstance(schema, list):
        return [closed(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items()}
    if "properties" in made:
        made["additionalProperties"] = False
    return made


def test_the_schema_that_is_kept_is_the_one_that_is_made() -> None:
    """Receivers read the file in the repository; `alertd schema webhook` makes the same schema."""
    jsonschema.Draft202012Validator.check_schema(build_webhook_schema())

    assert (ROOT / "config" / "schema" / "webhook.schema.json").read_text("utf-8") == format_schema(
        build_webhook_schema()
    )


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("has_links", [True, False], ids=["links", "no links"])
async def test_every_sample_fits_the_schema_and_brings_nothing_else(
    sink: HttpSink, name: str, *, has_links: bool
) -> None:
    message = sample_message(name)

    request = await sent(sink, with_links(message) if has_links else message, "alertd")

    validator = jsonschema.Draft202012Validator(
        closed(build_webhook_schema()), format_checker=jsonschema.FormatChecker()
    )
    assert list(validator.iter_errors(json.loads(request.body))) == []


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("state", State)
def test_every_cause_and_state_fits_the_schema(cause: Cause, state: State) -> None:
    (item,) = sample_message("contested").items
    message = sample_message("contested", items=(replace(item, cause=cause, state=state),))

    assert jsonschema.Draft202012Validator(closed(build_webhook_schema())).is_valid(
        build_payload(clean_message(message))
    )


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"type": "milestone.missed"},
        {"timestamp": "2026-11-24T06:00:00+00:00"},
        {"data": {}},
    ],
    ids=str,
)
def test_what_alertd_never_sends_does_not_fit_the_schema(change: Mapping[str, object]) -> None:
    body = build_payload(clean_message(sample_message()))

    assert jsonschema.Draft202012Validator(build_webhook_schema()).is_valid(body)
    assert not jsonschema.Draft202012Validator(build_webhook_schema()).is_valid({**body, **change})


def test_what_is_added_later_fits_the_schema_of_today() -> None:
    """New names may appear within a version. A receiver ignores names that it does not know."""
    body = json.loads(encode_body(clean_message(sample_message())))
    body["data"]["items"][0]["weather"] = "fine"

    assert jsonschema.Draft202012Validator(build_webhook_schema()).is_valid(body)


# -- cloudevents


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-binary"])
@pytest.mark.parametrize("name", SAMPLES)
async def test_the_cloudevents_library_reads_what_arrives(sink: HttpSink, name: str, form: str) -> None:
    message = sample_message(name)

    request = await sent(sink, message, form)
    event = from_http_event(HTTPMessage(dict(request.headers), request.body), JSONFormat())
    older = from_http(dict(request.headers), request.body)

    alertd = build_payload(clean_message(message))
    assert event.get_specversion() == older["specversion"] == "1.0"
    assert event.get_id() == older["id"] == message.id
    assert event.get_source() == older["source"] == "//alertd.example/alertd"
    assert event.get_type() == older["type"] == alertd["type"]
    assert event.get_time() == message.since
    assert event.get_subject() == (message.items[0].milestone if message.kind is Kind.SINGLE else None)
    assert event.get_datacontenttype() == "application/json"
    assert str(event.get_extension("alertdversion")) == "1"
    assert event.get_data() == older.data == alertd["data"]


async def test_the_content_type_says_which_mode(sink: HttpSink) -> None:
    structured = await sent(sink, sample_message(), "cloudevents")
    binary = await sent(sink, sample_message(), "cloudevents-binary", source="https://alertd.example/a%20b")

    assert structured.headers["content-type"] == "application/cloudevents+json"
    assert not [name for name in structured.headers if name.startswith("ce-")]
    assert binary.headers["content-type"] == "application/json"
    # The percent sign in the source is itself percent-encoded (HTTP binding, section 3.1.3.2).
    assert binary.headers["ce-source"] == "https://alertd.example/a%2520b"
    event = from_http_event(HTTPMessage(dict(binary.headers), binary.body), JSONFormat())
    assert event.get_source() == "https://alertd.example/a%20b"


async def test_an_odd_id_steers_no_header(sink: HttpSink) -> None:
    message = sample_message("contested")
    item = replace(message.items[0], milestone='a/b "ü%\r\nX-Evil: 1')

    request = await sent(sink, sample_message("contested", items=(item,)), "cloudevents-binary")

    assert request.headers["ce-subject"] == "a/b%20%22%C3%BC%25%20X-Evil:%201"
    assert "x-evil" not in request.headers


# -- alertmanager

TEXT, TEXTS = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}
V4 = {
    # The fields in Alertmanager's documentation of webhook_config, and their types.
    "type": "object",
    "required": [
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
        "commonAnnotations", "externalURL", "alerts",
    ],
    "properties": {
        "version": {"const": "4"},
        "groupKey": {"type": "string", "minLength": 1},
        "truncatedAlerts": {"type": "integer", "minimum": 0},
        "status": {"enum": ["firing", "resolved"]},
        "receiver": TEXT,
        "groupLabels": TEXTS,
        "commonLabels": TEXTS,
        "commonAnnotations": TEXTS,
        "externalURL": TEXT,
        "alerts": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": [
                    "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint",
                ],
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "labels": {**TEXTS, "required": ["alertname"]},
                    "annotations": TEXTS,
                    "startsAt": {"type": "string", "format": "date-time"},
                    "endsAt": {"type": "string", "format": "date-time"},
                    "generatorURL": TEXT,
                    "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
                    "milestone": {"type": "object"},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
async def test_every_sample_is_what_a_receiver_of_alertmanager_reads(sink: HttpSink, name: str) -> None:
    message = sample_message(name)

    body = json.loads((await sent(sink, message, "alertmanager")).body)

    assert list(jsonschema.Draft202012Validator(V4).iter_errors(body)) == []
    assert body["receiver"] == "desk"
    for alert, item in zip(body["alerts"], message.items, strict=False):
        assert (
            alert["milestone"]
            == build_payload(clean_message(message))["data"]["items"][message.items.index(item)]
        )
        assert alert["fingerprint"] == compute_fingerprint(alert["labels"])
        assert alert["labels"]["milestone"] == item.milestone
    for key, sets in (("commonLabels", "labels"), ("commonAnnotations", "annotations")):
        assert all(body[key].items() <= alert[sets].items() for alert in body["alerts"])
    assert body["groupLabels"].items() <= body["commonLabels"].items()


def test_a_fingerprint_is_alertmanagers_own() -> None:
    """The two values come from the test of signatures in prometheus/common."""
    assert compute_fingerprint({}) == f"{14695981039346656037:016x}"
    assert (
        compute_fingerprint({"name": "garland, briggs", "fear": "love is not enough"})
        == f"{5799056148416392346:016x}"
    )


def test_one_alert_fires_from_the_first_reminder_and_is_resolved_at_last() -> None:
    """The labels that identify the alert stay the same, so a receiver closes the alert that it opened."""
    reminder = build_alertmanager_payload(clean_message(sample_message("contested")))
    moved = build_alertmanager_payload(clean_message(sample_message("moved")))

    assert reminder["status"] == moved["status"] == "firing"
    assert reminder["alerts"][0]["fingerprint"] == moved["alerts"][0]["fingerprint"]
    assert reminder["groupKey"] == moved["groupKey"]
    assert reminder["alerts"][0]["endsAt"] == NEVER


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"cause": Cause.DONE, "state": State.DONE}, "resolved"),
        ({"state": State.CANCELLED}, "resolved"),
        ({"state": State.PASSED_BY_ALL}, "firing"),
    ],
    ids=["done", "cancelled", "passed"],
)
def test_done_and_cancelled_are_resolved(changes: Mapping[str, Any], status: str) -> None:
    message = sample_message("contested")
    (item,) = message.items
    item = replace(item, **changes)

    (alert,) = build_alertmanager_payload(sample_message("contested", items=(item,)))["alerts"]

    assert alert["status"] == status
    assert (alert["endsAt"] == NEVER) is (status == "firing")


def test_a_message_fires_as_long_as_one_of_its_milestones_does() -> None:
    body = build_alertmanager_payload(clean_message(sample_message("many")))

    assert {alert["status"] for alert in body["alerts"]} == {"firing", "resolved"}
    assert body["status"] == "firing"
    assert body["commonLabels"] == {"alertname": "MilestoneDeadline"}
