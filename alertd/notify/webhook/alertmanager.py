"""Builds the webhook body of Alertmanager, version 4, with an object ``milestone`` in each alert.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Each milestone is an alert,
which fires until the milestone is done or cancelled. The labels identify the milestone and contain nothing
that changes as the deadline approaches, so that a receiver sees a single alert from the first reminder to
the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NotRequired

from typing_extensions import TypedDict

from alertd.core.message.message import Item, Kind, Message
from alertd.core.milestones.fields import find_first_link
from alertd.core.milestones.occurrence import Cause
from alertd.core.routing.labels import MILESTONE, TIMELINE, keep_lasting
from alertd.notify.webhook.payload import ItemPayload, build_item, format_instant

VERSION = "4"
ALERTNAME = "MilestoneDeadline"
NEVER = "0001-01-01T00:00:00Z"
"""The end of an alert that still fires: Go's zero time."""

_GROUP = (TIMELINE.name, MILESTONE.name)
_NAMES = {Kind.NOTICE: "AlertdNotice", Kind.TEST: "AlertdTest"}


class AlertPayload(TypedDict):
    """One alert. A notice or a test has no ``milestone``."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: str
    endsAt: str
    fingerprint: str
    generatorURL: str
    milestone: NotRequired[ItemPayload]


class AlertmanagerPayload(TypedDict):
    """The body of an Alertmanager webhook, version 4."""

    version: str
    groupKey: str
    truncatedAlerts: int
    status: str
    receiver: str
    groupLabels: dict[str, str]
    commonLabels: dict[str, str]
    commonAnnotations: dict[str, str]
    externalURL: str
    alerts: list[AlertPayload]


def build_alertmanager_payload(message: Message) -> AlertmanagerPayload:
    """Return the body. A notice or a test is an alert too, without a milestone."""
    alerts = [_alert(message, item) for item in message.items] or [_own(message)]
    status = "resolved" if all(alert["status"] == "resolved" for alert in alerts) else "firing"
    labels = _find_common(alert["labels"] for alert in alerts)
    group: dict[str, str] = {name: labels[name] for name in _GROUP if name in labels}
    pairs = ", ".join(f"{name}={_quote(value)}" for name, value in group.items())
    return {
        "version": VERSION,
        "groupKey": f"{{}}/{{receiver={_quote(message.receiver)}}}:{{{pairs}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": message.receiver,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": _find_common(alert["annotations"] for alert in alerts),
        "externalURL": message.page,
        "alerts": alerts,
    }


def compute_fingerprint(labels: Mapping[str, str]) -> str:
    """Return Alertmanager's fingerprint of labels: FNV-1a with 64 bits over the names and values, each
    followed by 0xff.

    Source: https://github.com/prometheus/common/blob/main/model/signature.go, ``labelSetToFingerprint``.
    """
    value = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in b"%b\xff%b\xff" % (name.encode(), labels[name].encode()):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def _alert(message: Message, item: Item) -> AlertPayload:
    resolved = item.cause is Cause.DONE or item.state.is_closed
    labels = {"alertname": ALERTNAME, **keep_lasting(item.route_labels)}
    annotations = {
        "summary": f"{item.title}: {item.headline}",
        "description": " ".join(
            (*item.sentences, *([item.contradiction] if item.contradiction else []), item.late)
        ).strip(),
        "title": item.title,
        "deadline": item.phrase,
        "distance": item.badge,
        "cause": item.cause.value,
        "offset": item.offset,
        "state": item.state.name.lower(),
        "runbook_url": find_first_link(item.fields),
    }
    url = item.page or find_first_link(item.fields)
    alert = _build_alert(message, labels, annotations, resolved=resolved, url=url)
    alert["milestone"] = build_item(item)
    return alert


def _own(message: Message) -> AlertPayload:
    labels = {"alertname": _NAMES.get(message.kind, ALERTNAME), "receiver": message.receiver}
    annotations = {"summary": message.subject, "description": "\n".join(message.lines)}
    return _build_alert(message, labels, annotations, resolved=False, url=message.page)


def _build_alert(
    message: Message, labels: dict[str, str], annotations: dict[str, str], *, resolved: bool, url: str
) -> AlertPayload:
    since = format_instant(message.since)
    kept = {name: value for name, value in sorted(labels.items()) if value}
    return {
        "status": "resolved" if resolved else "firing",
        "labels": kept,
        "annotations": {name: value for name, value in sorted(annotations.items()) if value},
        "startsAt": since,
        "endsAt": since if resolved else NEVER,
        "fingerprint": compute_fingerprint(kept),
        "generatorURL": url,
    }


def _find_common(sets: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the pairs that all sets contain."""
    first, *rest = sets
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
