"""Makes the body of a webhook, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from alertd.core.message.message import Message
from alertd.notify.http.redact import quote
from alertd.notify.render.text import render_text
from alertd.notify.webhook.alertmanager import alertmanager_payload
from alertd.notify.webhook.cloudevents import DATA_TYPE, STRUCTURED, binary, structured
from alertd.notify.webhook.payload import body_of, json_bytes, payload_of
from alertd.notify.webhook.template import Labels, TemplateFailed, TemplateRefused

if TYPE_CHECKING:
    from alertd.notify.webhook.template import Template

JSON = "application/json"


class WebhookFormat(StrEnum):
    """What the body of a webhook looks like."""

    ALERTD = "alertd"
    CLOUDEVENTS = "cloudevents"
    CLOUDEVENTS_BINARY = "cloudevents-binary"
    ALERTMANAGER = "alertmanager"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is posted.

    Attributes:
        headers: those that belong to the format.
        note: what is to be said of it beside how the receiver answered; "" for nothing.
    """

    content: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def made_of(message: Message, form: WebhookFormat, source: str) -> Body:
    """The body in any format but ``template``.

    Args:
        message: one that went through :func:`alertd.notify.render.clean.fit`.
        source: of the CloudEvent.
    """
    match form:
        case WebhookFormat.CLOUDEVENTS:
            return Body(content=structured(message, source), content_type=STRUCTURED)
        case WebhookFormat.CLOUDEVENTS_BINARY:
            content, headers = binary(message, source)
            return Body(content=content, content_type=DATA_TYPE, headers=headers)
        case WebhookFormat.ALERTMANAGER:
            return Body(content=json_bytes(alertmanager_payload(message)))
        case WebhookFormat.ALERTD | WebhookFormat.TEMPLATE:
            return Body(content=body_of(message))


def rendered(message: Message, template: Template) -> Body:
    """The body that the template makes. Raises TemplateFailed."""
    return Body(content=template.render(values_of(message)), content_type=template.content_type)


def instead(message: Message, error: TemplateFailed | TemplateRefused) -> Body:
    """The body of format ``alertd``, where the template makes none: a reminder is not lost to a typo."""
    note = f"the template failed, so the body is of format alertd ({quote(str(error))})"
    return Body(content=body_of(message), note=note)


def values_of(message: Message) -> dict[str, Any]:
    """What a template sees."""
    payload = payload_of(message)
    data = payload.pop("data")
    for item in data["items"]:
        item["labels"] = Labels(item["labels"])
    return {**payload, **data, "text": render_text(message)}
