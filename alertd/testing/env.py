"""Makes the environment of a notifier for a test."""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from alertd.core.config import Smtp
from alertd.notify.base import Env
from alertd.notify.http.client import HttpClient
from alertd.notify.http.egress import Egress
from alertd.system.secrets import SecretUnreadable


@dataclass(slots=True)
class FixedClock:
    """A clock that moves only when a test sets it. It starts at the time of the sample messages."""

    at: datetime = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds


def notifier_env(
    *,
    secrets: Mapping[str, str] | None = None,
    smtp: Smtp | None = None,
    out: TextIO | None = None,
    clock: FixedClock | None = None,
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    egress: Egress | None = None,
) -> Env:
    """Return an environment with the given secrets. Close its ``http`` at the end of the test.

    Args:
        secrets: the secrets by name. Each send reads the mapping, so a test can change a secret.
        egress: checks addresses and resolves names; by default the real checks and the system's resolver.
    """
    held = secrets if secrets is not None else {}

    def secret(name: str) -> str:
        if name not in held:
            raise SecretUnreadable(f"secret file {name!r}: not found")
        return held[name]

    return Env(
        http=HttpClient(tls, egress),
        clock=clock or FixedClock(),
        secret=secret,
        out=out or io.StringIO(),
        smtp=smtp or Smtp(),
        host="alertd.example",
    )
