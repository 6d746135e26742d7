"""What a daemon is given: its ports, and what it does not know how to make itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from alertd.core.config import Config, Definitions
from alertd.core.message.links import Links
from alertd.core.planning.audit import Audit, AuditFinding
from alertd.engine.leader import LEAD_FOR
from alertd.engine.observer import Observer
from alertd.ports import Clock, Ledger, Notifier
from alertd.system.systemd import Systemd
from alertd.system.telemetry import Log

FILES_EVERY_S = 2.0


async def nothing_to_end() -> None:
    """What ends beside the daemon when nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What the daemon is given.

    Attributes:
        load: reads the definition files.
        signature: changes whenever a definition file does; cheap, asked every two seconds.
        build: the notifiers of a configuration, by channel.
        links: where its messages lead at the moment; None: nowhere.
        drain_s: how long to wait for sends in flight when told to stop.
        files_every_s: how often ``signature`` is asked.
        lead_for: how long a leader that says nothing more is waited for.
        is_gone: whether another node is known to be dead.
        asleep: seconds that the machine has slept since it was booted.
        meter: counts what happens.
        standing: what was found elsewhere and stands, for the self-audit.
        ending: ends what runs beside the daemon, before the ledger is closed.
        beat: tells the dead man's switch how an audit ended; returns why it did not work, or "".
    """

    ledger: Ledger
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
    meter: Observer = field(default_factory=Observer)
    standing: Callable[[], Sequence[AuditFinding]] = tuple
    ending: Callable[[], Awaitable[None]] = nothing_to_end
    beat: Callable[[Config, Audit], Awaitable[str]] | None = None
