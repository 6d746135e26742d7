"""The metrics for Prometheus, and that the dashboard and the rules use only metrics that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from alertd.core.config import Definitions
from alertd.core.ledger.records import Attempt, Delivery, DeliveryState, Lease, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.core.planning.audit import Audit, AuditFault, AuditFinding, Waiting
from alertd.core.planning.decide import make_delivery_id
from alertd.engine.status import DaemonStatus, Difference
from alertd.ports import Settlement
from alertd.web.metrics import MAX_DEADLINES, Facts, Metrics
from tests.core.builders import SILENT
from tests.docs_pages import ROOT, codes, prose, tables
from tests.scene import Scene, a_milestone, when
from tests.web.stage import NOW, TOKENS, a_stage

RULES = ROOT / "deploy/prometheus/alertd.rules.yml"
RULES_TEST = ROOT / "deploy/prometheus/alertd.rules.test.yml"
DASHBOARD = ROOT / "deploy/grafana/alertd.json"


def a_settlement(
    state: DeliveryState, outcome: str = "sent", late_s: float = 2.0, took_ms: int = 30
) -> Settlement:
    delivery = Delivery(
        id=make_delivery_id("desk", "slack", ("k",)), receiver="desk", notifier="slack", members=("k",),
        bound_at=NOW, next_at=NOW,
    )  # fmt: skip
    owed = ScheduledReminder(
        key="k", milestone="t/m", receiver="desk", cause=Cause.DUE, offset="0d", window_id="w",
        # This one was due a day before, and a mute held it back.
        at=NOW - timedelta(days=1), wake_at=NOW,
    )  # fmt: skip
    lease = Lease(delivery=delivery, owner="n", fence=1, until=NOW, owed=(owed,))
    at = NOW + timedelta(seconds=late_s)
    attempt = Attempt(delivery=delivery.id, number=1, at=at, took_ms=took_ms, outcome=outcome)
    return Settlement(lease=lease, state=state, at=at, attempt=attempt)


FACTS = Facts(
    now=NOW,
    daemon_status=DaemonStatus(leads=True, is_well=True, audit=Audit(at=NOW)),
    definitions=Definitions(config=None),
    channels=("desk/slack",),
    counts={"milestones": 3, "owed.pending": 7, "deliveries.dead": 1},
    waiting=Waiting(undecided=NOW - timedelta(seconds=9)),
    deadlines=(("t/m", "2026-09", NOW),),
)


def read(metrics: Metrics, facts: Facts = FACTS) -> Mapping[str, Metric]:
    text, _ = metrics.exposition(facts)
    return {family.name: family for family in parse(text.decode())}


def values(metrics: Metrics, facts: Facts = FACTS) -> Mapping[tuple[str, ...], float]:
    """Map the name and the label values, in the order of the labels' names, to the value."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in read(metrics, facts).values()
        for sample in family.samples
    }


def test_deliveries_are_counted_by_how_they_ended() -> None:
    metrics = Metrics(NOW)
    metrics.settled(a_settlement(DeliveryState.READY, "retry"), fenced=False)
    metrics.settled(a_settlement(DeliveryState.SENT), fenced=True)
    metrics.settled(a_settlement(DeliveryState.SENT), fenced=False)
    metrics.settled(a_settlement(DeliveryState.DEAD, "rejected"), fenced=False)

    told = values(metrics)

    assert {key[2]: value for key, value in told.items() if key[0] == "alertd_deliveries_total"} == {
        "sent": 1, "dead": 1, "suppressed": 0, "superseded": 0,
    }  # fmt: skip
    assert {key[2]: value for key, value in told.items() if key[0] == "alertd_attempts_total"} == {
        "sent": 2, "retry": 1, "rejected": 1, "unknown": 0,
    }  # fmt: skip
    assert told["alertd_attempt_duration_seconds_sum", "desk/slack"] == pytest.approx(0.12)


def test_held_back_is_not_late() -> None:
    """Lateness counts from the end of the mute, and only for deliveries that were sent."""
    metrics = Metrics(NOW)
    metrics.settled(a_settlement(DeliveryState.SENT, late_s=2), fenced=False)
    metrics.settled(a_settlement(DeliveryState.DEAD, late_s=500), fenced=False)
    metrics.settled(a_settlement(DeliveryState.SENT, late_s=-1), fenced=False)

    told = values(metrics)

    assert told["alertd_delivery_lateness_seconds_sum", "desk"] == 2
    assert told["alertd_delivery_lateness_seconds_count", "desk"] == 2


def test_what_was_refused_does_not_move_the_last_success() -> None:
    metrics = Metrics(NOW)
    metrics.reloaded(accepted=True, took_s=0.5, at=NOW + timedelta(seconds=60))
    metrics.reloaded(accepted=False, took_s=0.25, at=NOW + timedelta(seconds=120))

    told = values(metrics)

    assert told["alertd_reload_last_success_timestamp_seconds",] == NOW.timestamp() + 60
    assert told["alertd_reload_last_successful",] == 0
    assert told["alertd_reload_last_duration_seconds",] == 0.25
    assert told["alertd_reloads_total", "accepted"] == told["alertd_reloads_total", "refused"] == 1


def test_audit_is_told_by_when_it_last_passed_and_what_it_found() -> None:
    metrics = Metrics(NOW)
    failed = Audit(
        at=NOW + timedelta(seconds=60), findings=(AuditFinding(fault=AuditFault.ENDLESS_LEASE, detail="x"),)
    )
    metrics.audited(Audit(at=NOW))
    metrics.audited(failed)

    told = values(metrics, replace(FACTS, daemon_status=replace(FACTS.daemon_status, audit=failed)))

    assert told["alertd_audit_last_success_timestamp_seconds",] == NOW.timestamp()
    assert told["alertd_audit_findings", "endless_lease"] == 1
    assert told["alertd_audit_findings", "missing"] == 0
    assert told["alertd_ready",] == 0


def test_ledger_that_cannot_be_written_is_told_though_it_can_be_read() -> None:
    """The last audit passed: it was before that."""
    full = AuditFinding(fault=AuditFault.UNWRITABLE, detail="full")
    daemon_status = replace(
        FACTS.daemon_status, current=(full,), ledger_failing=True, look_age_s=42.0, is_well=True
    )

    before = values(Metrics(NOW))
    told = values(Metrics(NOW), replace(FACTS, daemon_status=daemon_status))

    assert before["alertd_ledger_writable",] == before["alertd_ready",] == 1
    assert told["alertd_ledger_writable",] == told["alertd_ready",] == 0
    assert told["alertd_ledger_up",] == 1
    assert told["alertd_audit_findings", "unwritable"] == 1
    assert told["alertd_last_look_age_seconds",] == 42


def test_what_stands_is_told() -> None:
    daemon_status = DaemonStatus(
        leads=True, is_well=True, audit=Audit(at=NOW), in_flight={"desk/slack": 2}, paused=("desk/slack",),
        differences=(Difference(what="versions", by=()),), clock_ahead=timedelta(seconds=-3),
        problems=("a", "b"),
    )  # fmt: skip
    broken = Definitions(config=None, broken=frozenset({"milestones/a.yaml"}))

    told = values(Metrics(NOW), replace(FACTS, daemon_status=daemon_status, definitions=broken))

    assert told["alertd_deliveries_in_flight", "desk/slack"] == 2
    assert told["alertd_channel_paused", "desk/slack"] == 1
    assert told["alertd_nodes_differing", "versions"] == 1
    assert told["alertd_nodes_differing", "definitions"] == 0
    assert told["alertd_clock_ahead_seconds",] == -3
    assert told["alertd_config_problems",] == 2
    assert told["alertd_definitions_broken_files",] == 1
    assert told["alertd_ledger_owed", "pending"] == 7
    assert told["alertd_ledger_owed", "expired"] == 0
    assert told["alertd_ledger_oldest_due_age_seconds", "undecided"] == 9
    assert told["alertd_ledger_oldest_due_age_seconds", "untaken"] == 0
    assert told["alertd_ready",] == 1


def test_ledger_that_cannot_be_asked_is_told_so() -> None:
    told = values(Metrics(NOW), replace(FACTS, counts=None, waiting=None))

    assert told["alertd_ledger_up",] == told["alertd_ready",] == 0
    assert not [key for key in told if key[0] == "alertd_ledger_owed"]


@pytest.mark.parametrize(
    ("web", "shown", "status"),
    [("", False, 200), (TOKENS, False, 401), (TOKENS, True, 200), (f"{TOKENS}, metrics: all", False, 200)],
)
async def test_metrics_are_for_whom_the_file_says(tmp_path: Path, web: str, shown: bool, status: int) -> None:
    async with a_stage(tmp_path, web) as stage:
        headers = {"Authorization": f"Bearer {stage.token('p', 'read')}"} if shown else {}

        answer = await stage.get("/metrics", **headers)

        assert answer.status_code == status


async def test_both_formats_are_spoken(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        plain = await stage.get("/metrics")
        open_ = await stage.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")

        assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert open_.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert "alertd_ready" in {family.name for family in parse(plain.text)}
        families = parse_openmetrics(open_.text)  # type: ignore[no-untyped-call]
        assert "alertd_ready" in {family.name for family in families}


@pytest.mark.parametrize("wanted", [True, False])
async def test_deadlines_are_told_when_asked_for(tmp_path: Path, wanted: bool) -> None:
    """Each distinct window is one metric, even if two sources give it."""
    async with a_stage(tmp_path, f"metrics_per_milestone: {str(wanted).lower()}") as stage:
        scene = Scene(stage.ledger, at="2026-08-01")
        scene.define(a_milestone("t/m", "2026-09", "2026"), a_milestone("t/n", "2027", "2027"))
        await scene.reconcile()

        families = {family.name: family for family in parse((await stage.get("/metrics")).text)}

        deadlines = families["alertd_milestone_deadline_timestamp_seconds"].samples
        told = {(sample.labels["milestone"], sample.labels["claim"]): sample.value for sample in deadlines}
        expected = {
            ("t/m", "2026-09"): when("2026-10-01").timestamp(),
            ("t/m", "2026"): when("2027-01-01").timestamp(),
            ("t/n", "2027"): when("2028-01-01").timestamp(),
        }
        assert told == (expected if wanted else {})


async def test_deadlines_are_bounded(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "metrics_per_milestone: true") as stage:
        scene = Scene(stage.ledger, at="2026-08-01")
        days = [f"2027-{number // 28 + 1:02}-{number % 28 + 1:02}" for number in range(115)]
        scene.define(*(a_milestone(f"t/{number}", *days, policy=SILENT) for number in range(87)))
        await scene.reconcile()

        families = {family.name: family for family in parse((await stage.get("/metrics")).text)}

        assert MAX_DEADLINES + 5 == 87 * 115
        assert len(families["alertd_milestone_deadline_timestamp_seconds"].samples) == MAX_DEADLINES
        assert families["alertd_milestone_deadlines_left_out"].samples[0].value == 5


# -- the documentation, the dashboard and the rules


def exposed() -> list[Metric]:
    metrics = Metrics(NOW)
    metrics.settled(a_settlement(DeliveryState.SENT), fenced=False)
    metrics.exposition(FACTS)
    return list(metrics.registry.collect())


def test_every_metric_is_documented() -> None:
    (table,) = tables(prose(ROOT / "docs/reference/metrics.md"))
    told = {codes(name)[0]: (kind, codes(labels)) for name, kind, labels, _ in table.rows}

    real = {}
    for family in exposed():
        if family.name.startswith("alertd_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            real[name] = (family.type, labels)

    assert {name: (kind, set(labels)) for name, (kind, labels) in told.items()} == real


def names(metrics: Iterable[Metric]) -> frozenset[str]:
    """List the names that a query can use: for histograms and counters, the exposed names."""
    found: set[str] = set()
    for metric in metrics:
        match metric.type:
            case "counter":
                found.add(f"{metric.name}_total")
            case "histogram":
                found |= {f"{metric.name}_{part}" for part in ("bucket", "count", "sum")}
            case _:
                found.add(metric.name)
    return frozenset(found)


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every query of the rules and of the dashboard, with its place."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    yield from _queries(json.loads(DASHBOARD.read_text()), "alertd.json")


def _queries(node: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        place = str(node.get("title", place))
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str) and ("(" in value or "{" in value):
                yield place, value
            else:
                yield from _queries(value, place)
    elif isinstance(node, list):
        for child in node:
            yield from _queries(child, place)


KEYWORDS = {
    "abs", "and", "bool", "by", "changes", "delta", "group_left", "group_right", "histogram_quantile",
    "ignoring", "increase", "label_values", "max", "min", "offset", "on", "or", "rate", "sort", "sum", "time",
    "unless", "without",
}  # fmt: skip
ELSEWHERE = {"job", "instance", "le"}
"""The labels that a scrape or a histogram adds."""


def named(expression: str) -> tuple[set[str], set[str]]:
    """Find the metrics and the labels in a query, with a small PromQL reader that suits these files."""
    plain = re.sub(r'"[^"]*"', '""', expression)
    plain = re.sub(r"\[[^\]]*\]", "", plain)
    labels = set()
    for braces in re.findall(r"\{([^}]*)\}", plain):
        labels |= set(re.findall(r"(\w+)\s*[=!]", braces))
    plain = re.sub(r"\{[^}]*\}", "", plain)
    for listed in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", plain):
        labels |= set(re.findall(r"\w+", listed))
    plain = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", plain)
    # This function is Grafana's own. Its second argument is a label.
    plain = re.sub(r"label_values\((\w+), \w+\)", r"\1", plain)
    words = set(re.findall(r"[a-zA-Z_:][\w:]*", plain))
    return words - KEYWORDS, labels


def test_reader_of_queries_finds_names_and_labels() -> None:
    expression = (
        'histogram_quantile(0.9, sum by (le, a) (rate(x_bucket{b="y z", c!~"d"}[5m]))) > time() - e_f'
    )

    assert named(expression) == ({"x_bucket", "e_f"}, {"le", "a", "b", "c"})


@pytest.mark.parametrize(("place", "expression"), [*expressions()])
def test_what_is_drawn_and_alerted_on_exists(place: str, expression: str) -> None:
    families = exposed()
    there = names(families) | {"up"}
    asked, labels = named(expression)
    known = {label for family in families for sample in family.samples for label in sample.labels}

    assert asked
    assert asked <= there
    assert labels <= known | ELSEWHERE


def test_every_alert_says_what_to_do() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]

    assert all(rule["labels"]["severity"] in ("critical", "warning") for rule in rules)
    assert all(set(rule["annotations"]) == {"summary", "description"} for rule in rules)
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 8


def test_panels_lie_beside_each_other() -> None:
    panels = [panel["gridPos"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    taken = [
        (x, y)
        for at in panels
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23


def test_promtool_agrees(tmp_path: Path) -> None:
    """If promtool is installed, it checks the rules. Otherwise only the tests above do."""
    promtool = shutil.which("promtool")
    if promtool is None:
        rules = yaml.safe_load(RULES_TEST.read_text())
        alerts = {
            rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
        }
        tested = {alert["alertname"] for test in rules["tests"] for alert in test["alert_rule_test"]}
        assert tested <= alerts
        return
    shutil.copy(RULES, tmp_path)
    shutil.copy(RULES_TEST, tmp_path)
    checked = subprocess.run(
        [promtool, "test", "rules", RULES_TEST.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    text, _ = Metrics(NOW).exposition(FACTS)
    linted = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert linted.returncode == 0, linted.stderr
