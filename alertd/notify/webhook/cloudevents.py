"""Builds the body of a webhook as a CloudEvent 1.0, in structured or binary mode.

Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md ("Context Attributes"),
formats/json-format.md (section 3) and bindings/http-protocol-binding.md (sections 3.1 and 3.2).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from alertd.core.message.message import Message
from alertd.notify.base import encode_json
from alertd.notify.webhook.payload import VERSION, build_payload, find_type, format_instant

STRUCTURED = "application/cloudevents+json"
DATA_TYPE = "application/json"

# Printable ASCII except the double quote and the percent sign (HTTP binding, section 3.1.3.2).
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


def build_default_source(host: str) -> str:
    """Return a source that distinguishes this installation of alertd: ``//example.org/alertd``."""
    return f"//{host}/alertd"


def build_attributes(message: Message, source: str) -> dict[str, Any]:
    """Return the context attributes, the required ones first.

    ``id`` is the delivery's id, so that ``source`` and ``id`` together are the same at every attempt. Only a
    message about a single milestone has a ``subject``. ``alertdversion`` is an extension attribute: the
    version of the format of ``data``.
    """
    subject = {"subject": message.items[0].milestone} if len(message.items) == 1 else {}
    return {
        "specversion": "1.0",
        "id": message.id,
        "source": source,
        "type": find_type(message),
        **subject,
        "time": format_instant(message.since),
        "datacontenttype": DATA_TYPE,
        "alertdversion": VERSION,
    }


def build_structured(message: Message, source: str) -> bytes:
    """Return one JSON object with the attributes and ``data``."""
    return encode_json({**build_attributes(message, source), "data": build_payload(message)["data"]})


def build_binary(message: Message, source: str) -> tuple[bytes, dict[str, str]]:
    """Return ``data`` as the body and the attributes as headers.

    ``datacontenttype`` is left out, because the request's content type replaces it.
    """
    given = build_attributes(message, source)
    del given["datacontenttype"]
    headers = {f"ce-{name}": quote(str(value), safe=_PLAIN) for name, value in given.items()}
    return encode_json(build_payload(message)["data"]), headers
