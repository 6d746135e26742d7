"""What is counted as it happens: told by the daemon, kept by whoever wants it."""

from __future__ import annotations

from datetime import datetime

from alertd.core.planning.audit import Audit
from alertd.ports import Settlement


class Observer:
    """Counts nothing. Each method returns at once and never raises."""

    def settled(self, settlement: Settlement, *, fenced: bool) -> None:
        """How a try ended was written down; ``fenced``: it does not count, somebody else has the delivery."""

    def reloaded(self, *, accepted: bool, took_s: float, at: datetime) -> None:
        """The files were read, and taken or refused."""

    def audited(self, audit: Audit) -> None:
        """There was an audit."""
