"""Makes the JSON Schema of a webhook's body in the format ``alertd``.

The schema is kept as `config/schema/webhook.schema.json`. It allows further names, because a version of the
body may gain names: a receiver ignores those that it does not know. The tests forbid further names, and
validate every sample.
"""

from __future__ import annotations

from alertd.core.shape import JsonSchema
from alertd.notify.webhook.payload import WebhookPayload
from alertd.system.json_schema import DIALECT, make_schemas


def build_webhook_schema() -> JsonSchema:
    """The schema of the body."""
    _, named = make_schemas({"webhook": WebhookPayload}, "#/$defs/{model}")
    body = named.pop("Webhook")
    return {
        "$schema": DIALECT,
        "$id": "webhook.schema.json",
        "title": "A webhook of alertd, version 1",
        **body,
        "$defs": named,
    }
