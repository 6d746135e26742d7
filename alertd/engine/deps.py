"""The values that the composition root gives to a daemon: its ports, and functions over adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from alertd.core.config import Config, Definitions, Timeline
from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.message.links import Links
from alertd.core.planning.audit import Audit, AuditFinding
from alertd.engine.backpressure import LIMITS, SenderLimits
from alertd.engine.files import FileWorker, InlineWorker
from alertd.engine.leader import LEAD_FOR
from alertd.engine.observer import Observer
from alertd.engine.reconcile_pass import AT_ONCE
from alertd.ports import (
    ChangeFeed,
    Clock,
    Closable,
    ConfigKeeper,
    DeliveryQueue,
    LeadershipLedger,
    LedgerFile,
    LedgerReader,
    NodeRegistry,
    Notifier,
    PlanningLedger,
    Prunable,
    ReminderQueue,
    Repairable,
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
    ConfigKeeper,
    ReminderQueue,
    DeliveryQueue,
    LedgerReader,
    ChangeFeed,
    TimeSource,
    Prunable,
    Repairable,
    Closable,
    Protocol,
):
    """The roles of the ledger that a daemon needs. A daemon never records what people do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """See the module.

    Attributes:
        load: reads the definition files.
        load_with: the same with a text that is used in place of ``alertd.yaml`` if that has a problem; None:
            such a file ends the start.
        signature: returns another value whenever a definition file or the time zone database has changed. It
            is called every two seconds.
        know: is told of the fingerprints that the ledger has, so that ``load`` need not parse these files.
        read_timeline: reads the milestones of a timeline that ``load`` has left in its file.
        file_worker: calls ``load``, ``load_with`` and ``signature``.
        build: makes the notifiers of a configuration, by channel.
        prepare: imports what these notifiers need for sending. It is called in a thread, shortly before the
            first message.
        node: the name of this node, as ``alertd status`` shows it.
        links: makes the links of its messages, or raises if they cannot be signed; None: messages lead
            nowhere.
        drain_s: seconds to wait for sends in flight when told to stop.
        stop_s: seconds that a look may go on when told to stop. After the drain the ledger has twice as long
            to answer.
        files_every_s: seconds between two calls of ``signature``.
        lead_for: how long other nodes wait for a leader that no longer reports.
        is_gone: returns whether another node is known to be dead.
        asleep: returns the seconds that the machine has slept since it was booted.
        file_problems: returns what is wrong with each file that access depends on and of which older content
            is in use.
        is_synchronised: returns whether the machine's time is synchronised; None: nobody knows.
        observer: is told what happens, and counts it.
        limits: how much is sent and leased at once.
        plan_at_once: how many milestones are planned and written together.
        file: the ledger's file; None: the ledger is in memory or on a server.
        beat: tells the dead man's switch how an audit ended; returns why that failed, or "".
    """

    ledger: EngineLedger
    clock: Clock
    log: Log
    load: Callable[[], Definitions]
    signature: Callable[[], Hashable]
    build: Callable[[Config], Mapping[str, Notifier]]
    node: str
    prepare: Callable[[Config], None] | None = None
    links: Callable[[Config], Links | None] = lambda _config: None
    systemd: Systemd = field(default_factory=Systemd)
    drain_s: float = 20.0
    stop_s: float = 5.0
    files_every_s: float = FILES_EVERY_S
    load_with: Callable[[str], Definitions] | None = None
    know: Callable[[Sequence[TimelineFingerprint]], None] = lambda _kept: None
    read_timeline: Callable[[Timeline], Timeline] = lambda timeline: timeline
    file_worker: FileWorker = field(default_factory=InlineWorker)
    lead_for: timedelta = LEAD_FOR
    is_gone: Callable[[str], bool] = lambda _node: False
    asleep: Callable[[], float] = lambda: 0.0
    file_problems: Callable[[], Sequence[str]] = tuple
    is_synchronised: Callable[[], bool | None] = lambda: None
    observer: Observer = field(default_factory=Observer)
    limits: SenderLimits = LIMITS
    plan_at_once: int = AT_ONCE
    file: LedgerFile | None = None
    beat: Callable[[Config, Audit], Awaitable[str]] | None = None
