"""Keys derived from one secret, one for each purpose: what is signed for one is worth nothing for another.

Of several secrets, a line each, the first signs and all of them verify, so that one can follow another
without ending what was signed.

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
        """The key that signs for one purpose, 32 bytes."""
        return self.all_of(purpose)[0]

    def all_of(self, purpose: str) -> tuple[bytes, ...]:
        """Those that verify for one purpose, the one that signs first."""
        info = f"alertd/{purpose}".encode() + b"\x01"
        return tuple(hmac.digest(one, info, hashlib.sha256) for one in self._secret().splitlines())

    def sign(self, purpose: str, text: str) -> str:
        """The signature of ``text``: 43 characters of base64url."""
        return _signature(self.of(purpose), text)

    def verify(self, purpose: str, text: str, signature: str) -> bool:
        """Whether that is its signature; in constant time."""
        given = signature.encode()
        made = (_signature(key, text).encode() for key in self.all_of(purpose))
        fits = [hmac.compare_digest(one, given) for one in made]  # all of them, however soon one fits
        return any(fits)


def _signature(key: bytes, text: str) -> str:
    return encoded(hmac.digest(key, text.encode(), hashlib.sha256))


def encoded(raw: bytes) -> str:
    """Base64url without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
