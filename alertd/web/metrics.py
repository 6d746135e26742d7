"""The metrics for Prometheus: counters of what happened, and gauges that are read at each scrape.

The names follow Prometheus's conventions: base units, and ``_total`` for counters. No label holds an id, an
address or a text that people wrote. The exceptions are receivers and channels, whose number the configuration
bounds, and ``alertd_milestone_deadline_timestamp_seconds``, which is opt-in and has a bound of its own.
"""

from __future__ import annotations

import platform
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector

from alertd import __version__
from alertd.core.config import Definitions
from alertd.core.ledger.records import DeliveryState, Lease, ReminderState
from alertd.core.ledger.unreadable import TABLES
from alertd.core.planning.audit import Audit, AuditFault, Waiting
from alertd.engine.observer import Observer
from alertd.engine.status import DaemonStatus
from alertd.ports import Settlement

MAX_DEADLINES = 10_000
"""The most lines of alertd_milestone_deadline_timestamp_seconds. Deadlines beyond that are only counted."""

DURATION_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LATENESS_BUCKETS_S = (
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0,
    3_600.0, 4 * 3_600.0, 86_400.0, 7 * 86_400.0,
)  # fmt: skip

OUTCOMES = ("sent", "retry", "unknown", "rejected")
UNSERVED = ("evicted", "late", "busy", "malformed", "disconnected")
WHAT_DIFFERS = ("definitions", "versions")

# The client would add a ``_created`` line to each counter. process_start_time_seconds has that instant.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The state of the daemon and the ledger at one instant.

    Attributes:
        channels: the channels of the configuration in force.
        counts, waiting: the ledger's; None if the ledger cannot be read.
        deadlines: milestone, claim, and the instant (UTC) at which the claim's window ends.
        deadlines_left_out: the number of deadlines beyond :data:`MAX_DEADLINES`.
    """

    now: datetime
    daemon_status: DaemonStatus
    definitions: Definitions | None = None
    channels: Sequence[str] = ()
    counts: Mapping[str, int] | None = None
    waiting: Waiting | None = None
    deadlines: Sequence[tuple[str, str, datetime]] = ()
    deadlines_left_out: int = 0


class Metrics(Observer):
    """Counts for one daemon.

    Args:
        started_at: when it began to load its files.
    """

    def __init__(self, started_at: datetime) -> None:
        self.registry = CollectorRegistry()
        self._standing = _Standing()
        registry = self.registry
        build = Gauge(
            "alertd_build_info", "Which alertd this is; always 1.", ("version", "python"), registry=registry
        )
        build.labels(__version__, platform.python_version()).set(1)
        self._deliveries = Counter(
            "alertd_deliveries",
            "Deliveries that have ended, by how.",
            ("receiver", "channel", "outcome"),
            registry=registry,
        )
        self._attempts = Counter(
            "alertd_attempts", "Tries to send, by how each ended.", ("channel", "outcome"), registry=registry
        )
        self._lost = Counter(
            "alertd_leases_lost",
            "Leases that ended without a settlement: the process probably ended during the attempt.",
            ("channel",),
            registry=registry,
        )
        self._durations = Histogram(
            "alertd_attempt_duration_seconds",
            "How long a try took.",
            ("channel",),
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )
        self._lateness = Histogram(
            "alertd_delivery_lateness_seconds",
            "How long after it was due, or after its mute or snooze ended, the first of it was sent.",
            ("receiver",),
            buckets=LATENESS_BUCKETS_S,
            registry=registry,
        )
        self._lag = Histogram(
            "alertd_loop_lag_seconds",
            "How much later than asked for the event loop woke: a reminder that was due then waited as long.",
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )
        self._reloads = Counter(
            "alertd_reloads",
            "Readings of the files, by whether they were taken.",
            ("result",),
            registry=registry,
        )
        for result in ("accepted", "refused"):
            self._reloads.labels(result)
        self._reload_ok = Gauge(
            "alertd_reload_last_successful", "Whether the last reading was taken.", registry=registry
        )
        self._reload_ok.set(1)
        self._reload_at = Gauge(
            "alertd_reload_last_success_timestamp_seconds",
            "When files were last taken.",
            registry=registry,
        )
        self._reload_at.set(started_at.timestamp())
        self._reload_took = Gauge(
            "alertd_reload_last_duration_seconds", "How long the last reading took.", registry=registry
        )
        self._audit_at = Gauge(
            "alertd_audit_last_success_timestamp_seconds",
            "When the self-audit last found nothing; 0 before it ever did.",
            registry=registry,
        )
        self._unserved = Counter(
            "alertd_web_unserved",
            "Requests and connections that the web server did not serve, by why.",
            ("why",),
            registry=registry,
        )
        for why in UNSERVED:
            self._unserved.labels(why)
        registry.register(self._standing)
        ProcessCollector(registry=registry)

    def settled(self, settlement: Settlement, *, fenced: bool) -> None:
        delivery, attempt = settlement.lease.delivery, settlement.attempt
        if attempt is not None:
            self._attempts.labels(delivery.channel, attempt.outcome).inc()
            self._durations.labels(delivery.channel).observe(attempt.took_ms / 1_000)
        if fenced or settlement.state is DeliveryState.READY:
            return
        self._deliveries.labels(delivery.receiver, delivery.channel, settlement.state.value).inc()
        due_at = _due_at(settlement)
        if settlement.state is DeliveryState.SENT and due_at is not None:
            late_s = max(0.0, (settlement.at - due_at).total_seconds())
            self._lateness.labels(delivery.receiver).observe(late_s)

    def lost(self, lease: Lease) -> None:
        self._lost.labels(lease.delivery.channel).inc()

    def reloaded(self, *, accepted: bool, took_s: float, at: datetime) -> None:
        self._reloads.labels("accepted" if accepted else "refused").inc()
        self._reload_ok.set(int(accepted))
        self._reload_took.set(took_s)
        if accepted:
            self._reload_at.set(at.timestamp())

    def lagged(self, lag_s: float) -> None:
        self._lag.observe(lag_s)

    def audited(self, audit: Audit) -> None:
        if audit.passed:
            self._audit_at.set(audit.at.timestamp())

    def count_unserved(self, why: str) -> None:
        """Count a request or a connection that the web server did not serve."""
        self._unserved.labels(why).inc()

    def exposition(self, facts: Facts, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition and its media type.

        Args:
            accept: the request's Accept header. A client that accepts OpenMetrics gets that format.
        """
        try:
            encode, kind = choose_encoder(accept)
        except (TypeError, ValueError):
            # The library fails on a version that is no number.
            encode, kind = choose_encoder("")
        self._begin(facts.channels)
        self._standing.facts = facts
        return encode(self.registry), kind

    def _begin(self, channels: Iterable[str]) -> None:
        """Set each counter of each channel to 0, since a query sees no increase if the first value is 1."""
        for channel in channels:
            receiver = channel.partition("/")[0]
            for state in DeliveryState:
                if state is not DeliveryState.READY:
                    self._deliveries.labels(receiver, channel, state.value)
            for outcome in OUTCOMES:
                self._attempts.labels(channel, outcome)
            self._durations.labels(channel)
            self._lost.labels(channel)
            self._lateness.labels(receiver)


@dataclass(slots=True)
class _Standing:
    """Collects the gauges at each scrape."""

    facts: Facts | None = field(default=None)

    def collect(self) -> Iterator[Metric]:
        if self.facts is not None:
            yield from _families(self.facts)

    __hash__ = object.__hash__


def _families(facts: Facts) -> Iterator[Metric]:
    daemon_status, found = facts.daemon_status, facts.definitions
    passed = daemon_status.audit is not None and not daemon_status.findings and daemon_status.is_well
    ready = passed and facts.counts is not None
    yield _make_gauge("alertd_ready", "Whether /readyz says so.", ready)
    yield _make_gauge(
        "alertd_node_leads", "Whether this node is the one that reconciles.", daemon_status.leads
    )
    yield _make_gauge(
        "alertd_clock_ahead_seconds",
        "How far this node's clock is ahead of the ledger's.",
        daemon_status.clock_ahead.total_seconds(),
    )
    yield _make_gauges(
        "alertd_nodes_differing",
        "Whether live nodes differ in what they run.",
        "what",
        {
            what: any(difference.what == what for difference in daemon_status.differences)
            for what in WHAT_DIFFERS
        },
    )
    of_kind = dict.fromkeys(AuditFault, 0)
    for finding in daemon_status.findings:
        of_kind[finding.fault] += 1
    yield _make_gauges(
        "alertd_audit_findings",
        "What the last self-audit found, and what is wrong at this moment, by kind.",
        "fault",
        {fault.value.replace(" ", "_"): number for fault, number in of_kind.items()},
    )
    yield _make_gauge("alertd_config_problems", "Problems of the files.", len(daemon_status.problems))
    yield _make_gauge(
        "alertd_definitions_broken_files",
        "Timeline files with a problem.",
        len(found.broken if found else ()),
    )
    apart = Counts(row.table for row in daemon_status.unreadable)
    yield _make_gauges(
        "alertd_ledger_unreadable_rows",
        "Rows of the ledger that this node cannot read, at most 1,000 in all.",
        "table",
        {table: apart[table] for table in TABLES},
    )
    yield _make_gauges(
        "alertd_deliveries_in_flight",
        "Sends under way.",
        "channel",
        {channel: daemon_status.in_flight.get(channel, 0) for channel in facts.channels},
    )
    yield _make_gauges(
        "alertd_deliveries_leased_ahead",
        "Deliveries that this node has leased and sends next.",
        "channel",
        {channel: daemon_status.leased_ahead.get(channel, 0) for channel in facts.channels},
    )
    yield _make_gauges(
        "alertd_channel_paused",
        "Whether a channel does not answer, so that one message at a time is tried.",
        "channel",
        {channel: channel in daemon_status.paused for channel in facts.channels},
    )
    yield _make_gauge(
        "alertd_ledger_writable",
        "Whether the daemon could use the ledger when it last tried.",
        not daemon_status.ledger_failing,
    )
    yield _make_gauge(
        "alertd_last_look_age_seconds",
        "How long ago the loop last finished what it was doing.",
        daemon_status.look_age_s,
    )
    yield from _ledger(facts)
    yield _make_gauge(
        "alertd_milestone_deadlines_left_out", "Deadlines without a line below.", facts.deadlines_left_out
    )
    deadlines = GaugeMetricFamily(
        "alertd_milestone_deadline_timestamp_seconds",
        "When a deadline's window ends, exclusive.",
        labels=("milestone", "claim"),
    )
    for milestone, claim, ends in facts.deadlines:
        deadlines.add_metric((milestone, claim), ends.timestamp())
    yield deadlines


def _ledger(facts: Facts) -> Iterator[Metric]:
    yield _make_gauge("alertd_ledger_up", "Whether the ledger could be asked.", facts.counts is not None)
    if facts.counts is None or facts.waiting is None:
        return
    yield _make_gauge("alertd_milestones", "Milestones not withdrawn.", facts.counts.get("milestones", 0))
    for name, about, states in (
        ("owed", "Reminders in the ledger.", ReminderState),
        ("deliveries", "Deliveries in the ledger.", DeliveryState),
    ):
        rows = {state.value: facts.counts.get(f"{name}.{state.value}", 0) for state in states}
        yield _make_gauges(f"alertd_ledger_{name}", about, "state", rows)
    ages = {
        "undecided": facts.waiting.undecided,
        "untaken": facts.waiting.untaken,
    }
    yield _make_gauges(
        "alertd_ledger_oldest_due_age_seconds",
        "How long the oldest of what is due has waited: to be decided about, or to be taken for sending.",
        "waits",
        {name: max(0.0, (facts.now - at).total_seconds()) if at else 0.0 for name, at in ages.items()},
    )


def _due_at(settlement: Settlement) -> datetime | None:
    """When it should have been sent: held back is not late. None for what tells of alertd itself."""
    lease = settlement.lease
    if lease.delivery.edition is not None:
        return lease.delivery.edition.at
    return min((owed.wake_at for owed in lease.owed), default=None)


def _make_gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=float(value))


def _make_gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), float(value))
    return family
