"""Signs webhooks by Standard Webhooks 1.0, scheme ``v1`` (HMAC-SHA256).

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md,
"Signature scheme" and "Verifying webhook authenticity".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

PREFIX = "whsec_"


def sign(secrets: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers of a signed webhook.

    Args:
        secrets: keys, the current one first. A receiver that knows any of the keys can verify the webhook, so
            that a secret can be rotated without interruption.
        message_id: must not contain a dot, which separates the id from the timestamp.
        at: the instant of this attempt, aware. Receivers reject a timestamp that is minutes off.
        body: the exact bytes that are sent.

    Raises:
        ValueError: the id contains a dot, or ``at`` has no time zone.
    """
    if "." in message_id or at.tzinfo is None:
        raise ValueError("a signed id holds no dot, and a signed instant has a zone")
    seconds = str(int(at.timestamp()))
    signed = f"{message_id}.{seconds}.".encode() + body
    signatures = (
        base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def decode_key(text: str) -> bytes:
    """Return the key in a secret: decoded base64 after the prefix ``whsec_``, else the text itself.

    Raises:
        ValueError: after ``whsec_`` the text is empty or not base64. The error's text does not quote the
            secret.
    """
    if not text.startswith(PREFIX):
        return text.encode()
    encoded = text.removeprefix(PREFIX)
    try:
        # Some tools omit the padding.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not whsec_ followed by base64") from None
    if not key:
        raise ValueError("is not whsec_ followed by base64")
    return key
