"""How a daemon stands at the moment, for whoever shows it: to be read, and not acted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from alertd.core.planning.audit import Audit
from alertd.engine.nodes import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """See the module.

    Attributes:
        leads: it is the node that reconciles.
        is_well: its audits are sound and recent; while they are not, the watchdog is not fed.
        in_flight: sends under way, by channel.
        paused: channels that do not answer it.
        audit: the last one; None before the first.
        differences: in what the live nodes differ.
        clock_ahead: how far its clock is ahead of the ledger's; zero where that has none of its own.
        problems: in the files that it runs on.
        ledger_failing: the ledger could not be used when it last tried.
    """

    leads: bool
    is_well: bool
    in_flight: Mapping[str, int] = field(default_factory=dict)
    paused: tuple[str, ...] = ()
    audit: Audit | None = None
    differences: tuple[Difference, ...] = ()
    clock_ahead: timedelta = timedelta()
    problems: tuple[str, ...] = ()
    ledger_failing: bool = False
