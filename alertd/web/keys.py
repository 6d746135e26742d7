"""Keys derived from one secret, one for each purpose: what is signed for one is worth nothing for another.

A signature is HMAC-SHA256 (RFC 2104); keys are derived by HKDF's expand step of one block (RFC 5869, 2.3).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable

LEAST_SECRET = 32
"""Characters of a secret; fewer could be guessed."""


class Keys:
    """Signs and verifies.

    Args:
        secret: read anew at each use, so that a changed file ends what was signed with the old one.
    """

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "Keys()"

    def of(self, purpose: str) -> bytes:
        """The key for one purpose, 32 bytes."""
        return hmac.digest(self._secret(), f"alertd/{purpose}".encode() + b"\x01", hashlib.sha256)

    def sign(self, purpose: str, text: str) -> str:
        """The signature of ``text``: 43 characters of base64url."""
        return encoded(hmac.digest(self.of(purpose), text.encode(), hashlib.sha256))

    def verify(self, purpose: str, text: str, signature: str) -> bool:
        """Whether that is its signature; in constant time."""
        return hmac.compare_digest(self.sign(purpose, text).encode(), signature.encode())


def encoded(raw: bytes) -> str:
    """Base64url without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
