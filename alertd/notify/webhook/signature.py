"""Signs webhooks: Standard Webhooks 1.0, scheme ``v1`` (HMAC-SHA256).

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
    """The three headers of a signed webhook.

    Args:
        secrets: keys, the current one first; a receiver that knows any of them can verify, which is how a
            secret is rotated without a gap.
        message_id: holds no dot, since a dot is what separates it from the timestamp.
        at: the instant of this attempt, aware; receivers refuse one that is minutes off.
        body: the very bytes that are sent.
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


def key_of(text: str) -> bytes:
    """The key in a secret as people keep it: ``whsec_`` and base64; any other text is the key itself.

    Raises:
        ValueError: after ``whsec_`` comes no base64, or nothing. The text isn't quoted.
    """
    if not text.startswith(PREFIX):
        return text.encode()
    encoded = text.removeprefix(PREFIX)
    try:
        # Some tools leave the padding off.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not whsec_ followed by base64") from None
    if not key:
        raise ValueError("is not whsec_ followed by base64")
    return key
