"""The body of a webhook as a CloudEvent 1.0, structured or binary.

Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md ("Context Attributes"),
formats/json-format.md (section 3) and bindings/http-protocol-binding.md (sections 3.1 and 3.2).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from alertd.core.message.message import Message
from alertd.notify.webhook.payload import VERSION, instant, json_bytes, payload_of, type_of

STRUCTURED = "application/cloudevents+json"
DATA_TYPE = "application/json"

# Printable ASCII but for the double quote and the percent sign (HTTP binding, section 3.1.3.2).
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


def default_source(host: str) -> str:
    """What tells this alertd from others: ``//example.org/alertd``."""
    return f"//{host}/alertd"


def attributes_of(message: Message, source: str) -> dict[str, Any]:
    """The context attributes, those that are required first.

    ``id`` is the delivery's, so that ``source`` and ``id`` together are the same at every attempt. There is a
    ``subject`` when the message is about one milestone. ``alertdversion`` is an extension: the version of
    what ``data`` holds.
    """
    subject = {"subject": message.items[0].milestone} if len(message.items) == 1 else {}
    return {
        "specversion": "1.0",
        "id": message.id,
        "source": source,
        "type": type_of(message),
        **subject,
        "time": instant(message.since),
        "datacontenttype": DATA_TYPE,
        "alertdversion": VERSION,
    }


def structured(message: Message, source: str) -> bytes:
    """Attributes and ``data`` in one JSON object."""
    return json_bytes({**attributes_of(message, source), "data": payload_of(message)["data"]})


def binary(message: Message, source: str) -> tuple[bytes, dict[str, str]]:
    """``data`` alone, and the attributes as headers; ``datacontenttype`` is the request's content type."""
    given = attributes_of(message, source)
    del given["datacontenttype"]
    headers = {f"ce-{name}": quote(str(value), safe=_PLAIN) for name, value in given.items()}
    return json_bytes(payload_of(message)["data"]), headers
