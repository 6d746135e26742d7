"""The values that the composition root gives to a daemon: its ports, and functions over adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from alertd.core.config import Config, Definitions
from alertd.core.message.links import Links
from alertd.core.planning.audit import Audit, AuditFinding
from alertd.engine.leader import LEAD_FOR
from alertd.engine.observer import Observer
from alertd.ports import (
    ChangeFeed,
    Clock,
    Closable,
    DeliveryQueue,
    LeadershipLedger,
    LedgerReader,
    NodeRegistry,
    Notifier,
    PlanningLedger,
    Prunable,
    ReminderQueue,
    TimeSource,
)
from alertd.system.systemd import Systemd
from alertd.system.telemetry import Log

FILES_EVERY_S = 2.0


class Companion(Protocol):
    """A server that runs beside the daemon and ends with it, such as the web server."""

    def use(self, config: Config) -> None:
        """Follow this configuration, which is in force from now on."""

    def findings(self) -> Sequence[AuditFinding]:
        """Report faults that hold at the moment, for the self-audit."""

    async def close(self) -> None:
        """Stop serving. Called before the ledger is closed. Safe to call twice."""


class EngineLedger(
    PlanningLedger,
    LeadershipLedger,
    NodeRegistry,
    ReminderQueue,
    DeliveryQueue,
    LedgerReader,
    ChangeFeed,
    TimeSource,
    Prunable,
    Closable,
    Protocol,
):
    """The roles of the ledger that a daemon needs. A daemon never records what people do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """See the module.

    Attributes:
        load: reads the definition files.
        signature: returns another value whenever a definition file or the time zone database has changed. It
            is cheap, and is called every two seconds.
        build: makes the notifiers of a configuration, by channel.
        node: the name of this node, as ``alertd status`` shows it.
        links: makes the links of its messages, or raises if they cannot be signed; None: messages lead
            nowhere.
        drain_s: seconds to wait for sends in flight when told to stop.
        files_every_s: seconds between two calls of ``signature``.
        lead_for: how long other nodes wait for a leader that no longer reports.
        is_gone: returns whether another node is known to be dead.
        asleep: returns the seconds that the machine has slept since it was booted.
        observer: is told what happens, and counts it.
        beat: tells the dead man's switch how an audit ended; returns why that failed, or "".
    """

    ledger: EngineLedger
    clock: Clock
    log: Log
    load: Callable[[], Definitions]
    signature: Callable[[], Hashable]
    build: Callable[[Config], Mapping[str, Notifier]]
    node: str
    links: Callable[[Config], Links | None] = lambda _config: None
    systemd: Systemd = field(default_factory=Systemd)
    drain_s: float = 20.0
    files_every_s: float = FILES_EVERY_S
    lead_for: timedelta = LEAD_FOR
    is_gone: Callable[[str], bool] = lambda _node: False
    asleep: Callable[[], float] = lambda: 0.0
    observer: Observer = field(default_factory=Observer)
    beat: Callable[[Config, Audit], Awaitable[str]] | None = None
