"""Reads the requests and mails that arrived as a receiver would, and checks signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from alertd.testing import Mail, Received

_ID = re.compile(r"msg_[0-9A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackPost:
    """A request to Slack's incoming webhook."""

    id: str
    at: datetime
    accepted: bool
    payload: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return str(self.payload["text"]).partition("\n")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPost:
    """A signed request.

    Attributes:
        is_genuine: whether the signature matches the id, the timestamp and the body.
    """

    id: str
    at: datetime
    accepted: bool
    headers: Mapping[str, str]
    body: bytes
    is_genuine: bool

    @property
    def payload(self) -> Mapping[str, Any]:
        payload: Mapping[str, Any] = json.loads(self.body)
        return payload

    @property
    def subject(self) -> str:
        return str(self.payload["data"]["subject"])


@dataclass(frozen=True, slots=True, kw_only=True)
class MailReceived:
    """A mail with its envelope. ``mail``: its content, parsed."""

    id: str
    at: datetime
    accepted: bool
    envelope: Mail
    mail: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.mail["Subject"])

    def part(self, kind: str) -> str:
        """The text of its ``plain`` or ``html`` part; "" when it has none."""
        body = self.mail.get_body((kind,))
        return str(body.get_content()) if body is not None else ""


Receipt = SlackPost | WebhookPost | MailReceived


def slack_post(request: Received, at: datetime, *, accepted: bool) -> SlackPost:
    """Read a request to the Slack endpoint. The delivery's id is in the last line of the message."""
    payload = json.loads(request.body)
    found = _ID.findall(request.body.decode())
    return SlackPost(id=found[-1] if found else "", at=at, accepted=accepted, payload=payload)


def webhook_post(request: Received, at: datetime, secret: bytes, *, accepted: bool) -> WebhookPost:
    """Read a request to the webhook endpoint and check its signature."""
    headers = request.headers
    return WebhookPost(
        id=headers.get("webhook-id", ""),
        at=at,
        accepted=accepted,
        headers=headers,
        body=request.body,
        is_genuine=_is_genuine(headers, request.body, secret),
    )


def mail_received(envelope: Mail, at: datetime) -> MailReceived:
    """A mail that the server accepted; the id is in its Message-ID."""
    mail = envelope.message
    found = _ID.search(str(mail["Message-ID"]))
    return MailReceived(id=found[0] if found else "", at=at, accepted=True, envelope=envelope, mail=mail)


def _is_genuine(headers: Mapping[str, str], body: bytes, secret: bytes) -> bool:
    """Verify the signature as the specification's section "Verifying webhook authenticity" describes.

    The check shares no code with the sender, so an error in the sender cannot hide.
    """
    signed = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    given = [signature.partition(",")[2] for signature in headers.get("webhook-signature", "").split()]
    return any(hmac.compare_digest(expected, signature) for signature in given)
