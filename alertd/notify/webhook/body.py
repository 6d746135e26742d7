"""Builds the body of a webhook in the configured format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from alertd.core.message.message import Message
from alertd.core.milestones.fields import FIELDS
from alertd.notify.base import encode_json
from alertd.notify.http.redact import quote
from alertd.notify.render.text import render_text
from alertd.notify.webhook.alertmanager import build_alertmanager_payload
from alertd.notify.webhook.cloudevents import DATA_TYPE, STRUCTURED, build_binary, build_structured
from alertd.notify.webhook.payload import build_payload, encode_body
from alertd.notify.webhook.template_values import Labels, TemplateFailed, TemplateRefused

if TYPE_CHECKING:
    from alertd.notify.webhook.template import Template

JSON = "application/json"


class WebhookFormat(StrEnum):
    """The format of a webhook's body."""

    ALERTD = "alertd"
    CLOUDEVENTS = "cloudevents"
    CLOUDEVENTS_BINARY = "cloudevents-binary"
    ALERTMANAGER = "alertmanager"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The body of a request.

    Attributes:
        headers: the headers that belong to the format.
        note: a remark for the delivery's outcome; "" for none.
    """

    content: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def build_body(message: Message, form: WebhookFormat, source: str) -> Body:
    """Return the body in any format except ``template``.

    Args:
        message: a message that :func:`alertd.notify.render.clean.clean_message` has cleaned.
        source: the ``source`` of the CloudEvent.
    """
    match form:
        case WebhookFormat.CLOUDEVENTS:
            return Body(content=build_structured(message, source), content_type=STRUCTURED)
        case WebhookFormat.CLOUDEVENTS_BINARY:
            content, headers = build_binary(message, source)
            return Body(content=content, content_type=DATA_TYPE, headers=headers)
        case WebhookFormat.ALERTMANAGER:
            return Body(content=encode_json(build_alertmanager_payload(message)))
        case WebhookFormat.ALERTD | WebhookFormat.TEMPLATE:
            return Body(content=encode_body(message))


def render_template(message: Message, template: Template) -> Body:
    """Return the body that the template makes. Raises TemplateFailed."""
    return Body(content=template.render(collect_values(message)), content_type=template.content_type)


def fall_back(message: Message, error: TemplateFailed | TemplateRefused) -> Body:
    """Return a body of format ``alertd`` after the template failed, so that no reminder is lost to a typo."""
    note = f"the template failed, so the body is of format alertd ({quote(str(error))})"
    return Body(content=encode_body(message), note=note)


def collect_values(message: Message) -> dict[str, Any]:
    """Return the values that a template can use."""
    payload = build_payload(message)
    data = payload["data"]
    items = [{**item, **_every_field(item)} for item in data["items"]]
    others = {name: value for name, value in payload.items() if name != "data"}
    return {**others, **data, "items": items, "text": render_text(message)}


def _every_field(item: Mapping[str, Any]) -> dict[str, Any]:
    """A template may name every field, whether this milestone has a value for it or not."""
    values = {shown.key: item.get(shown.key, shown.empty) for shown in FIELDS}
    return {name: value if isinstance(value, str) else Labels(value) for name, value in values.items()}
